package filecopytest

import (
	"errors"
	"io"
	"strings"

	"github.com/understudy-dr/understudy/filecopy"
)

// testRescue takes sealed files over from a lot whose writer was lost, where the target can. What that one sends late does no harm, and the old lot
// goes without them.
func testRescue(b *bench) {
	if _, ok := b.target.(filecopy.Rescuer); !ok {
		return
	}
	root, err := b.stat(b.target, "")
	b.must(err)
	a := plain(0o644)
	a.Owner, a.Group, a.Replication, a.BlockSize = root.Owner, root.Group, 1, 1<<20
	e := filecopy.Entry{Path: "a", Kind: filecopy.File, Attributes: a}
	one := b.lostFile(b.target, e, "content")
	empty := e
	empty.Path = "empty"
	two := b.lostFile(b.target, empty, "")
	one, two = b.rescued(b.target, one), b.rescued(b.target, two)
	b.late(one, "content")
	b.late(two, "")
	for _, f := range []lostFile{one, two} {
		_, err := b.target.Publish(b.ctx, f.Sealed, f.Entry)
		b.must(err)
	}
	want := map[filecopy.Path]string{"a": "content", "empty": ""}
	if whole, ok := b.target.(filecopy.Assembler); ok {
		b.rescuesPlaced(whole, e, want)
	}
	b.must(b.target.Discard(b.ctx, "lot"))
	if _, err := b.target.(filecopy.Rescuer).Rescue(b.ctx, "lot/three", one.Sealed, one.Entry); !errors.Is(err, filecopy.ErrNotFound) {
		b.Errorf("rescue of what was published = %v", err)
	}
	now := b.tree(b.target)
	for p, content := range want {
		if f, ok := now[p]; !ok || f.content != content {
			b.Errorf("%q is %q, %v", p, f.content, ok)
		}
	}
}

// rescuesPlaced takes files over that are staged in a tree of a lot's own, into another tree and out of it.
func (b *bench) rescuesPlaced(whole filecopy.Assembler, e filecopy.Entry, want map[filecopy.Path]string) {
	b.Helper()
	from, err := whole.Assembly("lot/one")
	b.must(err)
	to, err := whole.Assembly("lot/two")
	b.must(err)
	in, out := e, e
	in.Path, out.Path = "new/below/in", "new/below/out"
	f, g := b.lostFile(from, in, "goes into a tree"), b.lostFile(from, out, "goes out of a tree")
	rescuer := to
	if _, ok := to.(filecopy.Rescuer); !ok {
		rescuer = b.target
	}
	f, g = b.rescued(rescuer, f), b.rescued(b.target, g)
	dir := filecopy.Entry{Kind: filecopy.Directory, Attributes: e.Attributes}
	dir.Mode = 0o755
	for _, dir.Path = range []filecopy.Path{"", "new", "new/below"} {
		b.must(to.MakeDirectory(b.ctx, dir))
	}
	_, err = to.Publish(b.ctx, f.Sealed, f.Entry)
	b.must(err)
	b.must(whole.Reveal(b.ctx, "lot/two", "new"))
	b.late(g, "goes out of a tree")
	_, err = b.target.Publish(b.ctx, g.Sealed, g.Entry)
	b.must(err)
	want[in.Path], want[out.Path] = "goes into a tree", "goes out of a tree"
}

// lostFile is a file that a lost member sealed, with the handle that this one had.
type lostFile struct {
	filecopy.Entry
	filecopy.Sealed
	sum filecopy.Checksum
	old filecopy.Handle
}

// lostFile stages a file in a lot, at a target.
func (b *bench) lostFile(at filecopy.Target, e filecopy.Entry, content string) lostFile {
	b.Helper()
	e.Size = int64(len(content))
	h, err := at.Begin(b.ctx, "lot/one", e)
	b.must(err)
	b.must(b.target.Write(b.ctx, h, filecopy.Part{Size: e.Size}, strings.NewReader(content)))
	f := lostFile{Entry: e, sum: filecopy.SumOf(0).Extend([]byte(content))}
	f.Sealed, err = b.target.Seal(b.ctx, h, e, f.sum)
	b.must(err)
	return f
}

// rescued takes a file over, and wants it to be the same one.
func (b *bench) rescued(at filecopy.Target, f lostFile) lostFile {
	b.Helper()
	h, err := at.(filecopy.Rescuer).Rescue(b.ctx, "lot/two", f.Sealed, f.Entry)
	b.must(err)
	sealed, err := b.target.Seal(b.ctx, h, f.Entry, f.sum)
	if err != nil || sealed.Identity != f.Identity || sealed.Handle == f.Handle || sealed.Proof == filecopy.ProofServer && sealed.Sum != f.sum {
		b.Errorf("sealed again as %+v, %v; was %+v", sealed, err, f.Sealed)
	}
	f.old, f.Sealed = f.Handle, sealed
	return f
}

// late does what a lost member may have had on its way, and wants the file to be as it was.
func (b *bench) late(f lostFile, content string) {
	b.Helper()
	if _, err := b.target.(filecopy.Rescuer).Rescue(b.ctx, "lot/three", filecopy.Sealed{Handle: f.old, Identity: f.Identity}, f.Entry); !errors.Is(err, filecopy.ErrNotFound) {
		b.Errorf("rescue of what was taken over = %v", err)
	}
	// These find nothing, or make something that nobody asks for.
	_ = b.target.Write(b.ctx, f.old, filecopy.Part{Size: 4}, strings.NewReader("late"))
	_, _ = b.target.Seal(b.ctx, f.old, f.Entry, f.sum)
	b.must(b.target.Discard(b.ctx, "lot/one"))
	r, err := b.target.ReadSealed(b.ctx, f.Sealed)
	if errors.Is(err, filecopy.ErrUnsupported) {
		return
	}
	b.must(err)
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != content {
		b.Errorf("%q is %q, %v", f.Path, got, err)
	}
}
