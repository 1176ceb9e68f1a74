package filecopytest

import (
	"context"
	"io"
	"strings"
	"sync"

	"github.com/understudy-dr/understudy/filecopy"
)

// rotting are disks of a target on which a byte of a file flips once it is staged and proven by the store: of as many files as are left, or of all
// when left is negative.
type rotting struct {
	bench *bench
	path  filecopy.Path
	mu    sync.Mutex
	left  int
	// flipped are the handles of rotten files, where the rig cannot flip a byte of what the store keeps: then it flips as it is read.
	flipped map[filecopy.Handle]bool
	reads   int
	// hidden counts files of the path that were staged for a directory that is put together out of sight.
	hidden int
}

// over puts them under a target.
func (r *rotting) over(to filecopy.Target) filecopy.Target {
	return Wrap(to, func(to filecopy.Target, hidden bool) filecopy.Target { return &rotten{to, r, hidden} }, nil)
}

type rotten struct {
	filecopy.Target
	of     *rotting
	hidden bool
}

func (r *rotten) Begin(ctx context.Context, lot string, e filecopy.Entry) (filecopy.Handle, error) {
	if r.hidden && e.Path == r.of.path {
		r.of.mu.Lock()
		r.of.hidden++
		r.of.mu.Unlock()
	}
	return r.Target.Begin(ctx, lot, e)
}

func (r *rotten) Seal(ctx context.Context, h filecopy.Handle, e filecopy.Entry, sum filecopy.Checksum) (filecopy.Sealed, error) {
	s, err := r.Target.Seal(ctx, h, e, sum)
	d := r.of
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil || e.Path != d.path || d.left == 0 {
		return s, err
	}
	d.left--
	if d.bench.rig.Rot != nil {
		d.bench.rig.Rot(d.bench.T, r.Target, s)
		return s, nil
	}
	d.flipped[s.Handle] = true
	return s, nil
}

func (r *rotten) ReadSealed(ctx context.Context, s filecopy.Sealed) (io.ReadCloser, error) {
	from, err := r.Target.ReadSealed(ctx, s)
	d := r.of
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads++
	if err == nil && d.flipped[s.Handle] {
		return &closing{&flippedReader{r: from}, from}, nil
	}
	return from, err
}

// testRotsAtTarget flips a byte of what is staged, of a file that is there and of one in a new directory, after the store has said that it holds what was
// read. Who reads it back finds it: once, which is made
// good, and always, which is refused before anybody sees it. Who does not, and has the store's word alone, publishes it: that is the control.
func testRotsAtTarget(b *bench) {
	if to, ok := b.target.(filecopy.Legible); ok {
		b.target = to.Legible()
		b.job.Target = b.target
	}
	content := func(word string) string { return strings.Repeat(word+" content, longer than a part; ", 60) }
	b.put("a", content("good"))
	b.put("d/b", content("other"))
	b.put("zero", "")
	b.job.ReadBack = true
	if set := b.run(); set.ReadBack != 2 || set.Rotten != 0 {
		b.Errorf("set = %+v", set)
	}
	before := b.tree(b.target)
	for _, p := range []filecopy.Path{"a", "new/c"} {
		b.rots(p, before, content("better"))
		before = b.tree(b.target)
	}
	if b.target.Describe().Capabilities.Proof == filecopy.ProofNone {
		return
	}
	b.put("a", content("last"))
	rot := b.rotting("a", 1)
	b.job.ReadBack = false
	if set := b.run(); set.ReadBack != 0 || rot.reads != 0 || rot.left != 0 {
		b.Errorf("the control read back %d files: %+v", rot.reads, set)
	}
	if b.rig.Rot == nil {
		return
	}
	if err := b.whole("a", func(s string) bool { return s == content("last") }); err == nil {
		b.Error("what had rotted before it was published reads as if it had not")
	}
}

// rotting has so many stagings of a file rot at the target; all when left is negative.
func (b *bench) rotting(p filecopy.Path, left int) *rotting {
	rot := &rotting{bench: b, path: p, left: left, flipped: map[filecopy.Handle]bool{}}
	b.job.Target = rot.over(b.target)
	return rot
}

// rots lets a file rot where it is staged, for ever and then once more.
func (b *bench) rots(p filecopy.Path, before map[filecopy.Path]seen, content string) {
	b.Helper()
	b.put(p, content)
	rot := b.rotting(p, -1)
	b.refused(filecopy.ErrCorrupt, "US734")
	b.untouched(before)
	if _, ok := b.target.(filecopy.Assembler); ok && b.source.Describe().Capabilities.Snapshots && p.Dir() != "" && rot.hidden == 0 {
		b.Errorf("%q was not staged for a new directory", p)
	}
	rot.left = 0
	if set := b.run(); set.Rotten == 0 || set.ReadBack != 1 {
		b.Errorf("set = %+v", set)
	}
	b.same()
}
