package native

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/filecopy"
)

const (
	// maxTries is how often a file is read again because it changed, and copied again because bytes were damaged on the way.
	maxTries = 5
	// maxBusy is how often a store may ask for fewer requests about one file.
	maxBusy = 10
	// busyPause is the first pause after that; it doubles.
	busyPause = 50 * time.Millisecond
	// fileParts is how many parts of one file are in flight where a store takes them in any order.
	fileParts = 4
)

// copy stages one file, and gives its item as it is now.
func (s *stager) copy(ctx context.Context, seq int64, it item, begun *partial) (item, error) {
	if begun != nil && begun.left {
		done, ok, err := s.rescue(ctx, it, begun.item)
		if ok || err != nil {
			return done, err
		}
		begun = nil
	}
	busy := 0
	for try := 1; ; {
		done, moved, err := s.try(ctx, seq, it, begun)
		begun, it.inNew = nil, false
		if err == nil {
			return done, nil
		}
		s.meter.change(func(p *filecopy.Progress) { p.Bytes -= moved })
		switch {
		case errors.Is(err, filecopy.ErrBusy) && busy < maxBusy:
			busy++
			if err := s.yield(ctx, busyPause<<busy); err != nil {
				return item{}, err
			}
			continue
		case try >= maxTries:
			return item{}, err
		case (errors.Is(err, filecopy.ErrChanged) || errors.Is(err, filecopy.ErrNotFound)) && !s.state.Set.Consistent:
			s.meter.change(func(p *filecopy.Progress) { p.Changed++ })
			again, rerr := s.relist(ctx, it)
			if rerr != nil || again.Op == opSkip {
				return again, rerr
			}
			it = again
		case errors.Is(err, filecopy.ErrCorrupt), errors.Is(err, filecopy.ErrNotFound):
			// Damaged on the way, or what was staged is gone: once more from the beginning.
		default:
			return item{}, err
		}
		try++
	}
}

// yield gives the place at the gate back for a while.
func (s *stager) yield(ctx context.Context, pause time.Duration) error {
	s.gate.leave(0, true)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	// The caller leaves once more, so the place is taken even when the context has ended.
	if err := s.gate.enter(ctx); err != nil {
		s.gate.take()
		return err
	}
	return nil
}

// relist looks at a file of a live tree again. One that is no file any more is left for the next set.
func (s *stager) relist(ctx context.Context, it item) (item, error) {
	now, err := s.view.Stat(ctx, it.Path)
	if errors.Is(err, filecopy.ErrNotFound) || err == nil && now.Kind != filecopy.File {
		it.Op = opSkip
		return it, nil
	}
	if err != nil {
		return item{}, err
	}
	plain(&now, s.job.Source.Describe().Capabilities)
	it.Entry = now
	it.Expect, it.Sum = now.Sum, filecopy.Checksum{}
	return it, nil
}

// try stages one file once. moved is how many bytes it counted.
func (s *stager) try(ctx context.Context, seq int64, it item, begun *partial) (done item, moved int64, err error) {
	if begun != nil && begun.brought {
		done, err := s.adopt(ctx, begun.item)
		return done, 0, err
	}
	if begun == nil {
		same, ok, err := s.already(ctx, it)
		if err != nil || ok {
			return same, 0, err
		}
		if begun, err = s.begin(ctx, seq, it); err != nil {
			return item{}, 0, err
		}
	} else {
		size := begun.staged()
		s.meter.change(func(p *filecopy.Progress) { p.Bytes += size })
	}
	it = begun.item
	if err := s.parts(ctx, seq, begun); err != nil {
		return item{}, begun.staged(), err
	}
	it.Sum = begun.sum()
	if err := compare(it); err != nil {
		return item{}, begun.staged(), err
	}
	it.Sealed, err = s.seal(ctx, it)
	return it, begun.staged(), err
}

// begin makes a place for a file.
func (s *stager) begin(ctx context.Context, seq int64, it item) (*partial, error) {
	to := s.job.Target
	if it.inNew {
		to = s.assembly
	}
	h, err := to.Begin(ctx, s.planLot(s.state.Set.Number, s.state.ID), translate(it.Entry, s.job.Principals))
	if err != nil {
		return nil, err
	}
	it.Sealed = filecopy.Sealed{Handle: h}
	return &partial{item: it, parts: map[int]record{}}, s.write(record{Kind: recordBegun, Seq: seq, Item: it})
}

// staged gives the number of bytes in the parts.
func (p *partial) staged() int64 {
	var n int64
	for _, r := range p.parts {
		n += r.Size
	}
	return n
}

// sum gives the checksum of all parts one after the other.
func (p *partial) sum() filecopy.Checksum {
	sum := filecopy.SumOf(0)
	for i := range len(p.parts) {
		sum = sum.Append(p.parts[i].Sum, p.parts[i].Size)
	}
	return sum
}

// parts copies the parts that are not staged yet.
func (s *stager) parts(ctx context.Context, seq int64, p *partial) error {
	can := s.job.Target.Describe().Capabilities
	size := p.item.Size
	step := size
	if can.PartSize != nil {
		step = can.PartSize(size)
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(fileParts)
	if can.OrderedParts {
		g.SetLimit(1)
	}
	results := make(chan record, 1)
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		for r := range results {
			p.parts[r.Number] = r
		}
	}()
	missing := p.missing(size, step)
	for _, part := range missing {
		g.Go(func() error {
			if gctx.Err() != nil {
				return gctx.Err()
			}
			r, err := s.part(gctx, p.item, part, part.Offset+part.Size == size)
			if err != nil {
				return err
			}
			r.Seq = seq
			results <- r
			return s.write(r)
		})
	}
	err := g.Wait()
	close(results)
	<-collected
	if err != nil || step >= size {
		return err
	}
	return s.unmoved(ctx, p)
}

// missing lists the parts of a file that are not staged. A part of another size than it would have now is staged again.
func (p *partial) missing(size, step int64) []filecopy.Part {
	var all []filecopy.Part
	for number, offset := 0, int64(0); number == 0 || offset < size; number, offset = number+1, offset+step {
		part := filecopy.Part{Number: number, Offset: offset, Size: min(step, size-offset)}
		if was, ok := p.parts[number]; !ok || was.Size != part.Size {
			delete(p.parts, number)
			all = append(all, part)
		}
	}
	return all
}

// part copies one part. The last one is read to its end, where the source says whether the file is the one that was listed.
func (s *stager) part(ctx context.Context, it item, part filecopy.Part, last bool) (record, error) {
	from, err := s.view.Read(ctx, it.Entry, part.Offset)
	if err != nil {
		return record{}, err
	}
	defer from.Close()
	bounded := &io.LimitedReader{R: from, N: part.Size}
	m := &metered{ctx: ctx, from: bounded, throttle: s.pace}
	m.count = func(n int) { s.meter.change(func(p *filecopy.Progress) { p.Bytes += int64(n) }) }
	var r io.Reader = m
	if pieces, ok := from.(filecopy.Piecewise); ok {
		r = &meteredPieces{m, pieces, bounded}
	}
	err = s.job.Target.Write(ctx, it.Sealed.Handle, part, r)
	if err == nil && m.size != part.Size {
		err = fmt.Errorf("%w: read %d bytes of %d", filecopy.ErrChanged, m.size, part.Size)
	}
	if err == nil && last {
		err = atEnd(from)
	}
	if err != nil {
		s.meter.change(func(p *filecopy.Progress) { p.Bytes -= m.size })
		return record{}, err
	}
	return record{Kind: recordPart, Number: part.Number, Size: part.Size, Sum: filecopy.SumOf(m.sum.CRC32C)}, nil
}

// atEnd wants the end of the file, which a source gives only for what was listed.
func atEnd(r io.Reader) error {
	var one [1]byte
	for {
		n, err := r.Read(one[:])
		switch {
		case n > 0:
			return fmt.Errorf("%w: longer than listed", filecopy.ErrChanged)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// unmoved asks whether a file that was read in pieces was one and the same for all of them, and gave what its store says it holds.
func (s *stager) unmoved(ctx context.Context, p *partial) error {
	now, err := s.view.Stat(ctx, p.item.Path)
	if errors.Is(err, filecopy.ErrNotFound) || err == nil && now.Version != p.item.Version {
		return filecopy.ErrChanged
	}
	if err == nil && now.Sum.Known {
		err = differ(now.Sum, p.sum())
	}
	return err
}

// compare holds what was read against what is known about the content already.
func compare(it item) error {
	if it.Expect.Known && it.Expect != it.Sum {
		return fmt.Errorf("%w: the source gave %s, known is %s", filecopy.ErrCorrupt, it.Sum, it.Expect)
	}
	return nil
}

// seal ends a staged file and proves it.
func (s *stager) seal(ctx context.Context, it item) (filecopy.Sealed, error) {
	sealed, err := s.job.Target.Seal(ctx, it.Sealed.Handle, translate(it.Entry, s.job.Principals), it.Sum)
	if err != nil {
		return sealed, err
	}
	if sealed.Proof == filecopy.ProofServer {
		if err := differ(it.Sum, sealed.Sum); err != nil {
			return sealed, err
		}
	}
	if s.later || sealed.Proof != filecopy.ProofNone && !s.job.ReadBack {
		return sealed, nil
	}
	it.Sealed = sealed
	_, err = s.readBack(ctx, it, nil)
	return sealed, err
}

func differ(want, got filecopy.Checksum) error {
	if want != got {
		return fmt.Errorf("%w: %s was read, %s is staged", filecopy.ErrCorrupt, want, got)
	}
	return nil
}
