package filecopytest

import (
	"errors"
	"io"
	"strings"

	"github.com/understudy-dr/understudy/filecopy"
)

// testAssembly puts directories together out of sight, where the target can, and shows each in one step, and once.
func testAssembly(b *bench) {
	whole, ok := b.target.(filecopy.Assembler)
	if !ok {
		return
	}
	const tree = "lot/tree"
	to, err := whole.Assembly(tree)
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
	e := filecopy.Entry{Path: "new/below/file", Kind: filecopy.File, Attributes: a}
	staged := b.staged(to, e, "content")
	loose, twin := e, e
	loose.Path, twin.Path = "old/loose", "new/below/twin"
	late, second := b.staged(to, loose, "late"), b.cutOff(to, twin, "of which half is there")
	version, err := to.Publish(b.ctx, staged.Sealed, staged.Entry)
	b.must(err)
	_, err = to.Publish(b.ctx, second.Sealed, second.Entry)
	b.must(err)
	b.must(b.target.MakeDirectory(b.ctx, made("old")))
	if now := b.tree(b.target); len(now) != 1 {
		b.Errorf("readers see %v", now)
	}
	if err := whole.Reveal(b.ctx, tree, "old"); !errors.Is(err, filecopy.ErrChanged) {
		b.Errorf("reveal over a directory = %v", err)
	}
	b.must(whole.Reveal(b.ctx, tree, "new"))
	// Where the file was, a create arrives late, by a mover that was thought dead.
	impostor, err := to.Begin(b.ctx, "lot", staged.Entry)
	b.must(err)
	b.must(b.target.Write(b.ctx, impostor, filecopy.Part{}, strings.NewReader("")))
	again, err := b.target.Publish(b.ctx, staged.Sealed, staged.Entry)
	b.must(err)
	_, err = b.target.Publish(b.ctx, late.Sealed, late.Entry)
	b.must(err)
	now := b.tree(b.target)
	if f := now[e.Path]; f.content != "content" || f.entry.Version != version || again != version || len(now) != 6 {
		b.Errorf("readers see %v, want version %q of the file, and again %q", now, version, again)
	}
	if now[twin.Path].content != "of which half is there" || now[loose.Path].content != "late" {
		b.Errorf("readers see %v", now)
	}
	if err := whole.Reveal(b.ctx, tree, "absent"); !errors.Is(err, filecopy.ErrNotFound) {
		b.Errorf("reveal of nothing = %v", err)
	}
	b.must(b.target.Discard(b.ctx, "lot"))
	if err := whole.Reveal(b.ctx, tree, "late"); !errors.Is(err, filecopy.ErrNotFound) {
		b.Errorf("reveal of what was discarded = %v", err)
	}
}

// stagedFile is a file that is staged, with its entry.
type stagedFile struct {
	filecopy.Entry
	filecopy.Sealed
}

// staged stages a file that begins at a target; all else is done by the store itself, as movers do.
func (b *bench) staged(at filecopy.Target, e filecopy.Entry, content string) stagedFile {
	b.Helper()
	e.Size = int64(len(content))
	h, err := at.Begin(b.ctx, "lot", e)
	b.must(err)
	b.must(b.target.Write(b.ctx, h, filecopy.Part{Size: e.Size}, strings.NewReader(content)))
	sealed, err := b.target.Seal(b.ctx, h, e, filecopy.SumOf(0).Extend([]byte(content)))
	b.must(err)
	return stagedFile{e, sealed}
}

// cutOff stages a file whose first writing was cut off. Who writes it there again succeeds, or is told to begin again.
func (b *bench) cutOff(at filecopy.Target, e filecopy.Entry, content string) stagedFile {
	b.Helper()
	e.Size = int64(len(content))
	first, err := at.Begin(b.ctx, "lot", e)
	b.must(err)
	whole := filecopy.Part{Size: e.Size}
	if err := b.target.Write(b.ctx, first, whole, io.MultiReader(strings.NewReader(content[:5]), failing{})); !errors.Is(err, errCrash) {
		b.Fatalf("a writing that is cut off = %v", err)
	}
	if err := b.target.Write(b.ctx, first, whole, strings.NewReader(content)); err != nil && !errors.Is(err, filecopy.ErrNotFound) {
		b.Errorf("write again = %v", err)
	}
	return b.staged(b.target, e, content)
}

// failing is a reader that fails.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errCrash }
