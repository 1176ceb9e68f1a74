package filecopytest

import (
	"context"
	"io"
	"strings"
	"sync"

	"github.com/understudy-dr/understudy/filecopy"
)

// rotting is a target on whose disks a byte of a file flips once it is staged and proven by the store: of as many files as are left, or of all
// when left is negative.
type rotting struct {
	filecopy.Target
	bench *bench
	path  filecopy.Path
	mu    sync.Mutex
	left  int
	// flipped are the handles of rotten files, where the rig cannot flip a byte of what the store keeps: then it flips as it is read.
	flipped map[filecopy.Handle]bool
	reads   int
}

func (r *rotting) Seal(ctx context.Context, h filecopy.Handle, e filecopy.Entry, sum filecopy.Checksum) (filecopy.Sealed, error) {
	s, err := r.Target.Seal(ctx, h, e, sum)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || e.Path != r.path || r.left == 0 {
		return s, err
	}
	r.left--
	if r.bench.rig.Rot != nil {
		r.bench.rig.Rot(r.bench.T, r.Target, s)
		return s, nil
	}
	r.flipped[s.Handle] = true
	return s, nil
}

func (r *rotting) ReadSealed(ctx context.Context, s filecopy.Sealed) (io.ReadCloser, error) {
	from, err := r.Target.ReadSealed(ctx, s)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	if err == nil && r.flipped[s.Handle] {
		return &closing{&flippedReader{r: from}, from}, nil
	}
	return from, err
}

// testRotsAtTarget flips a byte of what is staged, after the store has said that it holds what was read. Who reads it back finds it: once, which is made
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
	b.put("a", content("better"))
	rot := &rotting{Target: b.target, bench: b, path: "a", left: -1, flipped: map[filecopy.Handle]bool{}}
	b.job.Target = rot
	b.refused(filecopy.ErrCorrupt, "US734")
	b.untouched(before)
	rot.left = 0
	if set := b.run(); set.Rotten == 0 || set.ReadBack != 1 {
		b.Errorf("set = %+v", set)
	}
	b.same()
	if b.target.Describe().Capabilities.Proof == filecopy.ProofNone {
		return
	}
	b.put("a", content("last"))
	b.job.ReadBack = false
	rot.left = 1
	was := rot.reads
	if set := b.run(); set.ReadBack != 0 || rot.reads != was || rot.left != 0 {
		b.Errorf("the control read back %d files: %+v", rot.reads-was, set)
	}
	if b.rig.Rot == nil {
		return
	}
	if err := b.whole("a", func(s string) bool { return s == content("last") }); err == nil {
		b.Error("what had rotted before it was published reads as if it had not")
	}
}
