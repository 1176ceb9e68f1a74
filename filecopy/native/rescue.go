package native

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
)

const (
	// itemsName is the list that staging writes.
	itemsName = "items"
	// keepEvery is how often what is staged by then is kept as a segment of its own: a member that is lost takes no more than that along. An object
	// costs a NameNode four calls.
	keepEvery = 30 * time.Second
)

// heritage is what members that were lost sealed of the files of a set: the kept parts of their ready lists, the last one first, read along the plan.
// Nothing else of theirs is believed in. A nil heritage is empty.
type heritage struct {
	lists []*peeked
	over  bool
}

// heritage opens the lists of the plans that were succeeded; nil where there are none.
func (r *run) heritage(ctx context.Context) (*heritage, error) {
	if _, ok := r.job.Target.(filecopy.Rescuer); !ok || len(r.claim.Former) == 0 {
		return nil, nil
	}
	h := &heritage{}
	for _, a := range r.claim.Former {
		names, err := r.leftNames(ctx, r.state.Set.Number, a)
		if err != nil {
			h.close()
			return nil, err
		}
		h.lists = append(h.lists, peek(&leftList{ctx: ctx, vault: r.vault, names: names}))
	}
	return h, nil
}

func (h *heritage) close() {
	if h == nil {
		return
	}
	for _, l := range h.lists {
		l.close()
	}
}

// pass leaves out what comes before a path. Paths come in their order.
func (h *heritage) pass(p filecopy.Path) error {
	if h == nil {
		return nil
	}
	h.over = true
	for _, l := range h.lists {
		for l.ok && l.head.Path.Compare(p) < 0 {
			l.advance()
		}
		if l.err != nil {
			return l.err
		}
		h.over = h.over && !l.ok
	}
	return nil
}

// ended says once that nothing is left.
func (h *heritage) ended() bool {
	if h == nil || !h.over || h.lists == nil {
		return false
	}
	h.close()
	h.lists = nil
	return true
}

// find gives the sealed file of an item, if there is one.
func (h *heritage) find(it *item) *partial {
	if h == nil {
		return nil
	}
	for _, l := range h.lists {
		if l.at(it.Path) && fits(it, &l.head) {
			return &partial{item: l.head, left: true}
		}
	}
	return nil
}

// fits says whether a file was sealed of the very version that an item names, as its target's store would make it now. A file that somebody writes is
// not held still, not even by a snapshot.
func fits(it, was *item) bool {
	return was.Version == it.Version && it.Version != "" && was.Size == it.Size && was.Sum.Known && !it.Building && !was.Building &&
		was.Replication == it.Replication && was.BlockSize == it.BlockSize && (!it.Expect.Known || it.Expect == was.Sum)
}

// leftList reads the sealed files of a kept list. A segment that is gone or damaged is passed over: that costs work.
type leftList struct {
	ctx   context.Context
	vault vault
	names []string
	open  *fileStream
}

func (l *leftList) next() (item, bool, error) {
	for {
		if l.open == nil {
			if len(l.names) == 0 {
				return item{}, false, l.ctx.Err()
			}
			name := l.names[0]
			l.names = l.names[1:]
			if err := l.begin(name); unreadableList(err) {
				continue
			} else if err != nil {
				return item{}, false, err
			}
		}
		it, ok, err := l.open.next()
		if err != nil && !unreadableList(err) {
			return item{}, false, err
		}
		if err != nil || !ok {
			l.close()
		} else if it.Op == opCopy && it.Kind == filecopy.File && it.Sealed.Handle != "" {
			return it, true, nil
		}
	}
}

// begin opens a segment, which is looked through as a whole first.
func (l *leftList) begin(name string) error {
	info, err := l.vault.inspect(l.ctx, name)
	if err != nil {
		return err
	}
	path, err := l.vault.fetch(l.ctx, info)
	if err != nil {
		return err
	}
	l.open, err = openSegment(path, info.Digest)
	return err
}

func unreadableList(err error) bool {
	return slices.ContainsFunc([]error{errDamaged, errTorn, errNewer, errMalformed, filecopy.ErrNotFound, filecopy.ErrCorrupt},
		func(e error) bool { return errors.Is(err, e) })
}

func (l *leftList) close() {
	if l.open != nil {
		l.open.close()
		l.open = nil
	}
}

// rescue takes a file over that a lost member sealed, out of reach of what that one may still have on its way, and proves it where it lies then.
// It says false where that cannot be done, or something else lies there: then the file is copied.
func (s *stager) rescue(ctx context.Context, it, was item) (item, bool, error) {
	to, ok := s.assembly.(filecopy.Rescuer)
	if !it.inNew || !ok {
		if to, ok = s.job.Target.(filecopy.Rescuer); !ok {
			return it, false, nil
		}
	}
	for busy := 1; ; busy++ {
		done, err := s.takeOver(ctx, to, it, was)
		switch {
		case err == nil:
			s.meter.change(func(p *filecopy.Progress) { p.Bytes += it.Size })
			return done, true, nil
		case errors.Is(err, filecopy.ErrBusy) && busy <= maxBusy:
			if err := s.yield(ctx, busyPause<<busy); err != nil {
				return it, false, err
			}
			continue
		}
		for _, e := range []error{filecopy.ErrNotFound, filecopy.ErrCorrupt, filecopy.ErrChanged, filecopy.ErrUnsupported, filecopy.ErrBusy} {
			if errors.Is(err, e) {
				return it, false, nil
			}
		}
		return it, false, err
	}
}

func (s *stager) takeOver(ctx context.Context, to filecopy.Rescuer, it, was item) (item, error) {
	h, err := to.Rescue(ctx, s.planLot(s.state.Set.Number, s.state.ID), was.Sealed, translate(it.Entry, s.job.Principals))
	if err != nil {
		return it, err
	}
	it.Sealed, it.Sum = filecopy.Sealed{Handle: h}, was.Sum
	if it.Sealed, err = s.seal(ctx, it); err == nil && it.Sealed.Identity != was.Sealed.Identity {
		err = fmt.Errorf("%w: another file lies where %q was sealed", filecopy.ErrCorrupt, string(it.Path))
	}
	return it, err
}

// keepOften keeps what is staged, from time to time, until the walk has ended. A large file holds up all behind it, but not what comes before.
func (s *stager) keepOften(ctx context.Context, ended <-chan struct{}) error {
	tick := time.NewTicker(s.often)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return nil
		case <-ctx.Done():
			return nil
		case <-tick.C:
			err := s.order.still(func(next int64) error {
				if s.unkept == 0 {
					return nil
				}
				return s.roll(ctx, next)
			})
			if err != nil {
				return err
			}
		}
	}
}

// roll keeps the open segment; next is the place behind its items.
func (s *stager) roll(ctx context.Context, next int64) error {
	if s.list.open == nil {
		return nil
	}
	if err := s.list.roll(ctx); err != nil {
		return err
	}
	return s.kept(next)
}

// settle ends what there was to take over, once the items up to a place are through: all of it is in lists of our own then, and what lost members left
// besides goes. First nobody looks there any more.
func (s *stager) settle(ctx context.Context, last int64) error {
	if err := s.order.passed(ctx, last); err != nil {
		return err
	}
	if len(s.claim.Former) == 0 {
		return nil
	}
	if err := s.order.still(func(next int64) error { return s.roll(ctx, next) }); err != nil {
		return err
	}
	number := s.state.Set.Number
	mine, left := s.claim, s.claim.Former
	mine.Former = nil
	if err := s.keepClaim(ctx, number, mine); err != nil {
		return err
	}
	return s.forsake(ctx, number, left)
}
