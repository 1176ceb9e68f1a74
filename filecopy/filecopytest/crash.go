package filecopytest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/understudy-dr/understudy/filecopy"
)

// maxCrashes ends a sweep that does not come to an end.
const maxCrashes = 2000

// testCrash kills a run before every call of the target, and lets the next process go on with the same data directory.
func testCrash(b *bench) { sweep(b, false, false) }

// testCrashAfterEffect does the same, but the call that fails has its effect.
func testCrashAfterEffect(b *bench) { sweep(b, true, false) }

// testLostMember does the same, but another member goes on, which knows nothing.
func testLostMember(b *bench) { sweep(b, false, true) }

// testLostMembers loses one member after the other, each somewhat later than the one before, until one comes to its end.
func testLostMembers(b *bench) {
	b.populate()
	b.run()
	b.vary(1)
	old, want := b.tree(b.target), b.tree(b.source)
	for at := 1; ; at += 1 + 2*max(b.rig.Stride, 1) {
		job := b.job
		job.Target = fragile(b.target, &fuse{at: at, after: at%2 == 0})
		_, err := b.rig.Mover(b.TempDir()).Run(b.ctx, job, nil)
		if err == nil {
			break
		}
		if !errors.Is(err, errCrash) || at > maxCrashes {
			b.Fatalf("crash at call %d: %v", at, err)
		}
		b.mixed(at, old, want)
	}
	b.holdsWhat(b.source, b.target, want)
	b.clean()
	b.agrees()
}

// sweep crashes runs at later and later calls until one comes to its end. After each crash a reader must see each file whole, old or
// new; then the run is taken up and must give what an unbroken one gives.
func sweep(b *bench, after, otherMember bool) {
	b.populate()
	b.run()
	stride := max(b.rig.Stride, 1)
	old := b.tree(b.target)
	for round, at := 1, 1; round <= maxCrashes; round, at = round+1, at+stride {
		b.vary(round)
		want := b.tree(b.source)
		f := &fuse{at: at, after: after}
		job := b.job
		job.Target = fragile(b.target, f)
		_, err := b.rig.Mover(b.dir).Run(b.ctx, job, nil)
		if err == nil {
			b.same()
			b.agrees()
			return
		}
		if !errors.Is(err, errCrash) {
			b.Fatalf("crash before call %d: %v", at, err)
		}
		b.mixed(at, old, want)
		if otherMember {
			b.dir = b.TempDir()
		}
		b.run()
		old = b.holdsWhat(b.source, b.target, want)
		b.clean()
		if b.Failed() {
			b.Fatalf("after a crash at call %d", at)
		}
	}
	b.Errorf("still crashing after %d calls", maxCrashes)
}

// vary makes the next state of the source: files change, come, go and are renamed.
func (b *bench) vary(round int) {
	b.Helper()
	b.put("a", fmt.Sprintf("round %d of a, long enough to have several parts", round))
	b.put(filecopy.Path(fmt.Sprintf("d/r%d/x", round)), "new directory")
	b.must(b.source.Retire(b.ctx, filecopy.Path(fmt.Sprintf("d/r%d", round-1)), "20200101T000000Z-x-1"))
	b.must(b.source.SetAttributes(b.ctx, "d/c", filecopy.Attributes{Mode: 0o600 + uint32(round%2)*0o44}, filecopy.FieldMode))
	if !b.source.Describe().Capabilities.RenameOver {
		return
	}
	b.put(filecopy.Path(fmt.Sprintf("d/r%d/s/y", round)), "and one within it")
	// Out of a directory in whose place a file is to come.
	b.must(b.source.Retire(b.ctx, "kx", "20200101T000000Z-x-1"))
	if _, err := b.stat(b.source, "k/x"); err == nil {
		b.must(b.source.Move(b.ctx, "k/x", "kx"))
	}
	b.must(b.source.Retire(b.ctx, "k", "20200101T000000Z-x-1"))
	if round%2 == 0 {
		b.put("k/x", "in a directory")
	} else {
		b.put("k", "a file")
	}
	from, to := filecopy.Path("d/e"), filecopy.Path("e")
	if round%2 == 0 {
		from, to = to, from
	}
	b.must(b.source.Move(b.ctx, from, to))
	// As logs are rotated: what is renamed has another file in its place at once.
	b.must(b.source.Move(b.ctx, "log", filecopy.Path(fmt.Sprintf("log.%d", round))))
	b.put("log", fmt.Sprintf("round %d of the log", round))
}

// mixed wants each file of the target to be as it was, or as it will be, and each new directory to be whole.
func (b *bench) mixed(at int, old, want map[filecopy.Path]seen) {
	b.Helper()
	now := b.eachFile(at, old, want)
	if _, ok := b.target.(filecopy.Assembler); ok {
		b.allOrNothing(at, now, old, want)
	}
}

// eachFile wants each file of the target to be as it was, or as it will be, and gives what is there.
func (b *bench) eachFile(at int, old, want map[filecopy.Path]seen) map[filecopy.Path]seen {
	b.Helper()
	now := b.tree(b.target)
	for p, s := range now {
		if s.entry.Kind == filecopy.File && s.content != old[p].content && s.content != want[p].content {
			b.Errorf("crash at %d: %q is neither old nor new: %.40q", at, p, s.content)
		}
	}
	for p, s := range old {
		stays := want[p].entry.Kind == filecopy.File && want[p].entry.Path == p
		if _, there := now[p]; s.entry.Kind == filecopy.File && stays && !there {
			b.Errorf("crash at %d: %q is absent", at, p)
		}
	}
	return now
}

// allOrNothing wants each new directory to be there with all that it will hold, or not at all.
func (b *bench) allOrNothing(at int, now, old, want map[filecopy.Path]seen) {
	b.Helper()
	for p, s := range now {
		if s.entry.Kind != filecopy.Directory || old[p].entry.Kind == filecopy.Directory && old[p].entry.Path == p {
			continue
		}
		for q, w := range want {
			if _, there := now[q]; q.Below(p) && (!there || now[q].content != w.content) {
				b.Errorf("crash at %d: the new directory %q is there without %q", at, p, q)
			}
		}
	}
}

// testFinish loses the source when a set is ready, at every call of its publishing, and rolls it forward from the target alone.
func testFinish(b *bench) {
	b.populate()
	b.run()
	ready, dropped := 0, 0
	for at := 1; at < maxCrashes; at += max(b.rig.Stride, 1) {
		b.vary(at)
		want := b.tree(b.source)
		job := b.job
		job.Target = fragile(b.target, &fuse{at: at})
		if _, err := b.rig.Mover(b.dir).Run(b.ctx, job, nil); err == nil {
			break
		}
		b.dir = b.TempDir()
		mover, job := b.rig.Mover(b.dir), b.job
		job.Source = nil
		standing, err := mover.Standing(b.ctx, job)
		b.must(err)
		if standing.Ready == nil {
			if _, err := mover.Finish(b.ctx, job, nil); !errors.Is(err, filecopy.ErrNothingReady) {
				b.Fatalf("finish without a ready set = %v", err)
			}
			b.must(mover.Drop(b.ctx, job))
			dropped++
			b.run()
			continue
		}
		ready++
		if err := mover.Drop(b.ctx, job); standing.Shown != errors.Is(err, filecopy.ErrGuard) {
			b.Fatalf("drop = %v, shown = %v", err, standing.Shown)
		} else if err == nil {
			b.run()
			continue
		}
		set, err := mover.Finish(b.ctx, job, nil)
		if err != nil || set.ID != standing.Ready.ID {
			b.Fatalf("finish = %+v, %v", set, err)
		}
		b.exactly(want)
	}
	if ready == 0 || dropped == 0 {
		b.Errorf("%d runs were ready, %d were not", ready, dropped)
	}
}

// exactly wants the target to hold what the source held.
func (b *bench) exactly(want map[filecopy.Path]seen) {
	b.Helper()
	now := b.tree(b.target)
	for p, s := range want {
		if now[p].content != s.content {
			b.Errorf("%q = %.40q, want %.40q", p, now[p].content, s.content)
		}
		delete(now, p)
	}
	for p, s := range now {
		if holds(b.source, s.entry.Kind) {
			b.Errorf("%q is too much", p)
		}
	}
}

// testReaders reads the target all the time while sets are published: each file is there and whole, in one of its versions.
func testReaders(b *bench) {
	const versions = 6
	content := func(v, f int) string { return strings.Repeat(fmt.Sprintf("<%d.%d>", v, f), 3000) }
	paths := []filecopy.Path{"r/1", "r/2", "r/s/3"}
	for f, p := range paths {
		b.put(p, content(0, f))
	}
	b.run()
	ctx, stop := context.WithCancel(b.ctx)
	var readers sync.WaitGroup
	reads := make([]int, len(paths))
	for f, p := range paths {
		readers.Go(func() {
			for ctx.Err() == nil {
				if err := b.whole(p, func(s string) bool {
					for v := range versions {
						if s == content(v, f) {
							return true
						}
					}
					return false
				}); err != nil {
					b.Error(err)
					return
				}
				reads[f]++
			}
		})
	}
	for v := 1; v < versions; v++ {
		for f, p := range paths {
			b.put(p, content(v, f))
		}
		b.run()
	}
	stop()
	readers.Wait()
	b.same()
}

// whole reads a file as a plain reader would: what it opened it reads to the end, and a version that was replaced meanwhile is
// no fault.
func (b *bench) whole(p filecopy.Path, good func(string) bool) error {
	e, err := b.stat(b.target, p)
	if err != nil {
		return fmt.Errorf("%q: %w", p, err)
	}
	view, err := b.target.Open(b.ctx, filecopy.Pin{})
	if err != nil {
		return err
	}
	defer view.Close()
	s, err := slurp(b.ctx, view, e)
	if errors.Is(err, filecopy.ErrChanged) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%q: %w", p, err)
	}
	if !good(s) {
		return fmt.Errorf("%q is in no whole version: %.60q (%d bytes)", p, s, len(s))
	}
	return nil
}
