package filecopytest

import (
	"bytes"
	"errors"

	"github.com/understudy-dr/understudy/filecopy"
)

// testAssembly puts directories together out of sight, where the target can, and shows each in one step, and once.
func testAssembly(b *bench) {
	whole, ok := b.target.(filecopy.Assembler)
	if !ok {
		return
	}
	to, err := whole.Assembly("lot")
	b.must(err)
	root, err := b.stat(b.target, "")
	b.must(err)
	a := plain(0o755)
	a.Owner, a.Group, a.Replication, a.BlockSize = root.Owner, root.Group, 1, 1<<20
	made := func(p filecopy.Path) filecopy.Entry {
		return filecopy.Entry{Path: p, Kind: filecopy.Directory, Attributes: a}
	}
	for _, p := range []filecopy.Path{"", "new", "new/below", "old", "late"} {
		b.must(to.MakeDirectory(b.ctx, made(p)))
	}
	content := []byte("content")
	e := filecopy.Entry{Path: "new/below/file", Kind: filecopy.File, Size: int64(len(content)), Attributes: a}
	h, err := to.Begin(b.ctx, "lot", e)
	b.must(err)
	b.must(to.Write(b.ctx, h, filecopy.Part{Size: e.Size}, bytes.NewReader(content)))
	sealed, err := to.Seal(b.ctx, h, e, filecopy.SumOf(0).Extend(content))
	b.must(err)
	version, err := to.Publish(b.ctx, sealed, e)
	b.must(err)
	b.must(b.target.MakeDirectory(b.ctx, made("old")))
	if now := b.tree(b.target); len(now) != 1 {
		b.Errorf("readers see %v", now)
	}
	if err := whole.Reveal(b.ctx, "lot", "old"); !errors.Is(err, filecopy.ErrChanged) {
		b.Errorf("reveal over a directory = %v", err)
	}
	b.must(whole.Reveal(b.ctx, "lot", "new"))
	now := b.tree(b.target)
	if f := now[e.Path]; f.content != "content" || f.entry.Version != version || len(now) != 4 {
		b.Errorf("readers see %v, want version %q of the file", now, version)
	}
	if err := whole.Reveal(b.ctx, "lot", "absent"); !errors.Is(err, filecopy.ErrNotFound) {
		b.Errorf("reveal of nothing = %v", err)
	}
	b.must(b.target.Discard(b.ctx, "lot"))
	if err := whole.Reveal(b.ctx, "lot", "late"); !errors.Is(err, filecopy.ErrNotFound) {
		b.Errorf("reveal of what was discarded = %v", err)
	}
}
