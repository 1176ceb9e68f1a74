package native

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/filecopy"
)

// stager walks the plan in its order, stages files side by side, and writes the ready list in the order of the plan.
type stager struct {
	*run
	journal *journal
	lock    sync.Mutex
	order   *order
	list    *listWriter
	fix     correction
	found   resumed
	// brought is what a carrier was asked to bring.
	brought *peeked
	// later says that all of it is read back once it is staged.
	later bool
	// assembly is the tree in which new directories will be put together; nil where files of theirs are staged as others are. fresh is the new
	// directory that holds the present items.
	assembly filecopy.Target
	fresh    *filecopy.Path
	// left is what lost members sealed, and unkept counts the copied files that are in no kept segment yet.
	left   *heritage
	unkept int64
}

// resumed is what a journal says about an unfinished run.
type resumed struct {
	// next is the first place of the plan that is in no kept segment.
	next   int64
	kept   []segmentInfo
	fix    correction
	sealed map[int64]item
	begun  map[int64]*partial
	// rotten and flaws are what was found when files were read back.
	rotten, flaws int64
}

// partial is a file of which some parts are staged.
type partial struct {
	item  item
	parts map[int]record
	// brought says that a carrier was to bring all of it, and left that a member that was lost sealed it.
	brought, left bool
}

// replay learns from one record. Later records of a place replace earlier ones.
func (f *resumed) replay(r record) error {
	switch r.Kind {
	case recordBegun:
		f.begun[r.Seq] = &partial{item: r.Item, parts: map[int]record{}}
	case recordPart:
		if p := f.begun[r.Seq]; p != nil {
			p.parts[r.Number] = r
		}
	case recordSealed:
		delete(f.begun, r.Seq)
		f.sealed[r.Seq] = r.Item
	case recordKept:
		f.next, f.kept, f.fix = r.Seq, append(f.kept, r.Segment), r.Fix
		for seq := range f.sealed {
			if seq < f.next {
				delete(f.sealed, seq)
			}
		}
	case recordRot:
		f.rotten, f.flaws = f.rotten+r.Size, f.flaws+int64(r.Number)
	}
	return nil
}

// stage brings everything that the plan copies into the staging place, and gives the ready list.
func (r *run) stage(ctx context.Context) (layer, correction, error) {
	s, err := r.stager(ctx, r.runDir(), itemsName, "journal ")
	if err != nil {
		return layer{}, correction{}, err
	}
	s.later = r.job.ReadBack
	if a, ok := r.job.Target.(filecopy.Assembler); ok && r.state.Assembly != "" {
		s.assembly, err = a.Assembly(r.state.Assembly)
	}
	if err == nil {
		err = s.carry(ctx)
	}
	if err == nil {
		s.left, err = r.heritage(ctx)
	}
	if err == nil {
		err = s.all(ctx)
	}
	s.left.close()
	if s.brought != nil {
		s.brought.close()
	}
	return s.end(ctx, err)
}

// stager gives a stager that goes on behind what the journal in a directory says, and writes the list of a name.
func (r *run) stager(ctx context.Context, dir, name, point string) (*stager, error) {
	s := &stager{run: r, found: resumed{sealed: map[int64]item{}, begun: map[int64]*partial{}}}
	j, err := openJournal(dir, s.found.replay)
	if err != nil {
		return nil, err
	}
	s.journal = j
	j.before = func(k recordKind) error { return r.at(point + k.String()) }
	s.fix = s.found.fix
	s.list = r.vault.writer(r.listName(name), r.temp(name))
	s.list.list.Segments = s.found.kept
	for _, info := range s.found.kept {
		s.list.list.Items += info.Items
	}
	s.order = newOrder(s.found.next, func(seq int64, it *item) error { return s.pass(ctx, seq, it) })
	return s, nil
}

// end closes the journal and, where all went well, the list.
func (s *stager) end(ctx context.Context, err error) (layer, correction, error) {
	defer s.list.abandon()
	if cerr := s.journal.close(); err == nil {
		err = cerr
	}
	if err != nil {
		return layer{}, s.fix, err
	}
	list, err := s.list.done(ctx)
	return list, s.fix, err
}

// String names a kind of record.
func (k recordKind) String() string {
	return [...]string{"", "begun", "part", "sealed", "kept", "rot"}[k]
}

// write appends to the journal; what is copied while a set is published has none.
func (s *stager) write(r record) error {
	if s.journal == nil {
		return nil
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.journal.append(&r)
}

// all stages the plan, and keeps the list in pieces that another member can go on from.
func (s *stager) all(ctx context.Context) error {
	ended := make(chan struct{})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.keepOften(ctx, ended) })
	g.Go(func() error {
		defer close(ended)
		return s.walk(ctx)
	})
	return g.Wait()
}

// walk hands out the items of the plan.
func (s *stager) walk(ctx context.Context) error {
	in, err := openSegment(s.planPath(), s.state.Plan.Digest)
	if err != nil {
		return err
	}
	defer in.close()
	outer := ctx
	g, ctx := errgroup.WithContext(ctx)
	for seq := int64(0); ; seq++ {
		it, ok, err := in.next()
		if err != nil || !ok {
			if err = firstError(g.Wait(), err); err != nil {
				return err
			}
			return s.settle(outer, seq-1)
		}
		s.place(&it)
		if err := s.left.pass(it.Path); err != nil {
			return firstError(g.Wait(), err)
		}
		if s.left.ended() {
			g.Go(func() error { return s.settle(ctx, seq-1) })
		}
		if seq < s.found.next {
			s.countStaged(&it)
			continue
		}
		if err := s.hand(ctx, g, seq, it); err != nil {
			return firstError(g.Wait(), err)
		}
	}
}

// place finds out whether an item belongs to a new directory, which will be put together out of sight. Its first writing goes right there, and
// what is begun again is staged as ever, and moved there when it is published: of each name there is one writing, which no other disturbs.
func (s *stager) place(it *item) {
	if s.fresh != nil && !it.Path.Below(*s.fresh) {
		s.fresh = nil
	}
	if s.fresh == nil && it.Op == opMake && it.Kind == filecopy.Directory && it.Path != "" {
		dir := it.Path
		s.fresh = &dir
	}
	it.inNew = s.assembly != nil && s.fresh != nil && it.Op == opCopy
}

// hand gives one item to a worker, or passes it on when there is nothing to stage.
func (s *stager) hand(ctx context.Context, g *errgroup.Group, seq int64, it item) error {
	if err := s.order.room(ctx, seq); err != nil {
		return err
	}
	if done, ok := s.found.sealed[seq]; ok {
		delete(s.found.sealed, seq)
		s.countStaged(&it)
		return s.deliver(seq, it, done)
	}
	if it.Op != opCopy {
		return s.order.put(seq, it)
	}
	if err := s.gate.enter(ctx); err != nil {
		return err
	}
	begun := s.found.begun[seq]
	delete(s.found.begun, seq)
	if begun == nil {
		var err error
		if begun, err = s.fetched(it.Path); err != nil {
			s.gate.leave(0, false)
			return err
		}
		if begun == nil {
			begun = s.left.find(&it)
		}
	}
	g.Go(func() error {
		done, err := s.copy(ctx, seq, it, begun)
		s.gate.leave(it.Size, false)
		if err != nil {
			return named("copy", it.Path, err)
		}
		if err := s.write(record{Kind: recordSealed, Seq: seq, Item: done}); err != nil {
			return err
		}
		s.meter.change(func(p *filecopy.Progress) { p.Files++ })
		return s.deliver(seq, it, done)
	})
	return nil
}

// countStaged counts what an earlier process staged.
func (s *stager) countStaged(it *item) {
	if it.Op == opCopy {
		s.meter.change(func(p *filecopy.Progress) { p.Files, p.Bytes = p.Files+1, p.Bytes+it.Size })
	}
}

// deliver puts a finished item into the order, with what it differs by from its plan.
func (s *stager) deliver(seq int64, planned, done item) error {
	done.fix = correction{Bytes: done.Size - planned.Size}
	if done.Op == opSkip && planned.Before > 0 {
		done.fix = correction{Bytes: planned.Before - 1 - planned.Size}
	} else if done.Op == opSkip {
		done.fix = correction{Entries: -1, Files: -1, Bytes: -planned.Size}
	}
	return s.order.put(seq, done)
}

// pass writes an item to the ready list; the order calls it for one item at a time, in order.
func (s *stager) pass(ctx context.Context, seq int64, it *item) error {
	s.fix.Entries += it.fix.Entries
	s.fix.Files += it.fix.Files
	s.fix.Bytes += it.fix.Bytes
	if it.Op == opSkip {
		return nil
	}
	if it.Op == opCopy {
		s.unkept++
	}
	rolled, err := s.list.add(ctx, it)
	if err != nil || !rolled {
		return err
	}
	return s.kept(seq + 1)
}

// kept notes that all items before a place are in kept segments.
func (s *stager) kept(next int64) error {
	s.unkept = 0
	last := s.list.list.Segments[len(s.list.list.Segments)-1]
	return s.write(record{Kind: recordKept, Seq: next, Segment: last, Fix: s.fix})
}

// already says whether the target has the content under its path, so that only attributes are to be set: sums of both sides tell.
func (s *stager) already(ctx context.Context, it item) (item, bool, error) {
	if it.TargetVersion == "" || it.First || !s.job.Source.Describe().Capabilities.ServerSum {
		return it, false, nil
	}
	at := it.Sum
	if !at.Known {
		if !s.job.Target.Describe().Capabilities.ServerSum {
			return it, false, nil
		}
		e := it.Entry
		e.Version = it.TargetVersion
		sum, err := s.live.Sum(ctx, e)
		if errors.Is(err, filecopy.ErrChanged) || errors.Is(err, filecopy.ErrNotFound) || errors.Is(err, filecopy.ErrUnsupported) {
			return it, false, nil
		}
		if err != nil {
			return it, false, err
		}
		at = sum
	}
	sum, err := s.view.Sum(ctx, it.Entry)
	if errors.Is(err, filecopy.ErrUnsupported) {
		// A store that computes sums may hold files that it has none of.
		return it, false, nil
	}
	if err != nil || sum != at {
		return it, false, err
	}
	it.Op, it.Sum, it.Set = opStyle, at, filecopy.AllFields&^filecopy.FieldBlockSize
	return it, true, nil
}
