package native

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
)

// provedName is the list of a set whose files were read back. It stands beside the one that staging wrote, and replaces it: a file that was
// staged anew has another handle.
const provedName = "proved"

// prover reads back what is staged, in the order of paths, once all of it is there: so a file lies on the target's disks for as long as staging the
// rest takes before it is looked at, and for as short as can be before it is shown. Its journal is a stager's: what is proven is not read again.
type prover struct {
	*stager
	// files counts what was read, also by earlier processes.
	files int64
}

// prove reads back the files of a list, and gives the list of what is proven, with what the set differs by from its plan.
func (r *run) prove(ctx context.Context, staged layer, fix correction) (layer, correction, error) {
	dir := filepath.Join(r.runDir(), provedName)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return layer{}, fix, directoryFailed(err)
	}
	s, err := r.stager(ctx, dir, provedName, "prove ")
	if err != nil {
		return layer{}, fix, err
	}
	p := &prover{stager: s}
	p.meter.change(func(g *filecopy.Progress) {
		g.Phase, g.Rotten, g.Flaws = filecopy.PhaseProve, s.found.rotten, s.found.flaws
	})
	list, more, err := s.end(ctx, p.walk(ctx, staged))
	last, set := p.meter.last(), &r.state.Set
	set.ReadBack, set.Rotten, set.Flaws = p.files, last.Rotten, last.Flaws
	return list, correction{fix.Entries + more.Entries, fix.Files + more.Files, fix.Bytes + more.Bytes}, err
}

// walk hands out the items of the list.
func (p *prover) walk(ctx context.Context, staged layer) error {
	in := p.vault.stream(ctx, staged, &floor{})
	defer in.close()
	g, working := errgroup.WithContext(ctx)
	for seq := int64(0); ; seq++ {
		it, ok, err := in.next()
		if err != nil || !ok {
			return firstError(g.Wait(), err)
		}
		// Nothing can rot in an empty file.
		reads := it.Op == opCopy && it.Size > 0
		if reads {
			p.files++
		}
		switch done, proven := p.found.sealed[seq]; {
		case seq < p.found.next:
			p.count(&it)
		case proven:
			delete(p.found.sealed, seq)
			p.count(&it)
			err = p.deliver(seq, it, done)
		case reads:
			err = p.hand(working, g, seq, it)
		default:
			if err = p.order.room(working, seq); err == nil {
				err = p.order.put(seq, it)
			}
		}
		if err != nil {
			return firstError(g.Wait(), err)
		}
	}
}

// count counts what an earlier process read.
func (p *prover) count(it *item) {
	if it.Op == opCopy {
		p.meter.change(func(g *filecopy.Progress) { g.ReadBack += it.Size })
	}
}

// hand gives a file to a worker.
func (p *prover) hand(ctx context.Context, g *errgroup.Group, seq int64, it item) error {
	if err := p.order.room(ctx, seq); err != nil {
		return err
	}
	if err := p.gate.enter(ctx); err != nil {
		return err
	}
	g.Go(func() error {
		done, err := p.one(ctx, seq, it)
		p.gate.leave(it.Size, false)
		if err != nil {
			return named("read back", it.Path, err)
		}
		if err := p.write(record{Kind: recordSealed, Seq: seq, Item: done}); err != nil {
			return err
		}
		return p.deliver(seq, it, done)
	})
	return nil
}

// one proves a file. One that differs, or is gone, is staged anew from the source, and read again; when that differs too, the run ends.
func (p *prover) one(ctx context.Context, seq int64, it item) (item, error) {
	for again := false; ; again = true {
		read, err := p.patient(ctx, seq, it)
		rotten := errors.Is(err, filecopy.ErrCorrupt) || errors.Is(err, filecopy.ErrNotFound)
		// A file that was staged before reading back was asked for may lie where it cannot be read.
		unread := errors.Is(err, filecopy.ErrUnsupported)
		switch {
		case err == nil:
			return it, nil
		case unread && again:
			return it, unreadable(it, p.job.Target.Describe().Name, err)
		case again && rotten:
			return it, rots(it, read, err)
		case !rotten && !unread:
			return it, err
		case rotten:
			p.meter.change(func(g *filecopy.Progress) { g.Rotten++ })
			if err := p.write(record{Kind: recordRot, Seq: seq, Size: 1}); err != nil {
				return it, err
			}
		}
		if it, err = p.anew(ctx, it); err != nil || it.Op == opSkip {
			return it, err
		}
	}
}

// patient reads a file back, and waits where the store asks for that.
func (p *prover) patient(ctx context.Context, seq int64, it item) (filecopy.Checksum, error) {
	for busy := 1; ; busy++ {
		size := int64(0)
		flaws := func(n int) error {
			p.meter.change(func(g *filecopy.Progress) { g.Flaws += int64(n) })
			return p.write(record{Kind: recordRot, Seq: seq, Number: n})
		}
		read, err := p.readBack(ctx, it, &reading{pace: p.pace, flaws: flaws, count: func(n int) {
			size += int64(n)
			p.meter.change(func(g *filecopy.Progress) { g.ReadBack += int64(n) })
		}})
		if err != nil {
			p.meter.change(func(g *filecopy.Progress) { g.ReadBack -= size })
		}
		if !errors.Is(err, filecopy.ErrBusy) || busy > maxBusy {
			return read, err
		}
		if err := p.yield(ctx, busyPause<<busy); err != nil {
			return read, err
		}
	}
}

// anew stages a file again from the source, which must still give what it gave.
func (p *prover) anew(ctx context.Context, it item) (item, error) {
	again := it
	again.Sealed, again.Expect, again.Sum, again.TargetVersion = filecopy.Sealed{}, it.Sum, filecopy.Checksum{}, ""
	// What it stages is read back here, and is in no journal: after a crash the file is looked at as it was.
	again, err := (&stager{run: p.run, later: true}).copy(ctx, 0, again, nil)
	if err == nil {
		p.meter.change(func(g *filecopy.Progress) { g.Bytes -= again.Size })
	}
	return again, err
}

// reading says how a file is read back; nil as fast as it goes, and uncounted.
type reading struct {
	pace  *throttle
	count func(n int)
	// flaws is told of bad replicas that a store met.
	flaws func(n int) error
}

// readBack reads a sealed file, and holds its bytes against what was read at the source. It gives the sum of what it could read whole.
func (s *stager) readBack(ctx context.Context, it item, how *reading) (filecopy.Checksum, error) {
	if how == nil {
		how = &reading{count: func(int) {}, flaws: func(int) error { return nil }}
	}
	back, err := s.job.Target.ReadSealed(ctx, it.Sealed)
	if err != nil {
		return filecopy.Checksum{}, err
	}
	m := &metered{ctx: ctx, from: back, throttle: how.pace, sum: filecopy.SumOf(0), count: how.count}
	err = m.drain()
	cerr := back.Close()
	if f, ok := back.(filecopy.Flawed); ok && f.Flaws() > 0 {
		cerr = errors.Join(cerr, how.flaws(f.Flaws()))
	}
	if err = firstError(err, cerr); err != nil {
		return filecopy.Checksum{}, err
	}
	if m.size != it.Size {
		return m.sum, fmt.Errorf("%w: %d bytes are staged of %d", filecopy.ErrCorrupt, m.size, it.Size)
	}
	return m.sum, differ(it.Sum, m.sum)
}

// rots says that a file differs at the target each time that it is staged.
func rots(it item, read filecopy.Checksum, err error) error {
	e := failure("US734", understudy.KindBroken, "prove", fmt.Sprintf("%q differs at the target, where it was staged twice", string(it.Path)), err)
	e.Why = fmt.Sprintf("%s was read at the source, %s was read back at the target", it.Sum, read)
	if !read.Known {
		e.Why = fmt.Sprintf("%s was read at the source, and the target's store cannot give back what it took: %v", it.Sum, err)
	}
	e.Fix = "look at the disks and the memory of the target's servers, and run it again when they are sound; nothing of the set is shown"
	return e
}

// unreadable says that a store has no way to read staged files.
func unreadable(it item, store string, err error) error {
	e := failure("US735", understudy.KindInvalid, "prove", fmt.Sprintf("%s cannot read back %q before it is published", store, string(it.Path)), err)
	e.Fix = "leave the proof to the store: write proof: checksum"
	return e
}
