package control

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/journal"
)

// errEnough ends a watch from within.
var errEnough = errors.New("control: enough seen")

// Wait returns when the operation rests: paused, awaiting approval, in its commit window, or ended.
func (c *Controller) Wait(ctx context.Context, id understudy.OperationID) (Operation, error) {
	_, rev, err := c.opt.Journal.List(ctx, keyOp(id))
	if err != nil {
		return Operation{}, err
	}
	op, err := c.Operation(ctx, id)
	if err != nil || op.State.Resting() {
		return op, err
	}
	err = c.opt.Journal.Watch(ctx, keyOp(id), rev, func(e journal.Event) error {
		if e.Key != keyOp(id) || e.Value == nil {
			return nil
		}
		value, err := assembled(ctx, c.opt.Journal, e.Entry)
		if errors.Is(err, errMoved) {
			return nil // a newer one follows
		}
		if err != nil {
			return err
		}
		op = Operation{} // an absent field must not keep what the reading before had, such as its progress
		if err := json.Unmarshal(value, &op); err != nil {
			return unreadable(e.Key, err)
		}
		if op.State.Resting() {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return op, nil
	}
	return op, err
}

// Watch calls each with every entry of the operation's journal after the given number, in order, and with
// progress, which has the number of the entry before it; it returns nil when the operation has ended, and
// otherwise when ctx ends or each fails. Calls of each do not overlap.
func (c *Controller) Watch(ctx context.Context, id understudy.OperationID, after int64, each func(Event) error) error {
	prefix := prefixEvents(id)
	entries, rev, err := c.opt.Journal.List(ctx, prefix)
	if err != nil {
		return err
	}
	entry := func(v *viewer, e journal.Entry) error {
		if e.Value == nil {
			return nil
		}
		value, err := assembled(ctx, c.opt.Journal, e)
		if err != nil {
			return err
		}
		return v.entry(e.Key, value)
	}
	if _, err := c.Operation(ctx, id); err != nil {
		return err
	}
	v := &viewer{each: each, last: after}
	for _, e := range entries {
		if err := entry(v, e); err != nil {
			return ended(err)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	if s, err := c.ordered(); err == nil {
		group.Go(func() { v.progress(ctx, s, id) })
	}
	return ended(c.opt.Journal.Watch(ctx, prefix, rev, func(e journal.Event) error { return entry(v, e.Entry) }))
}

func ended(err error) error {
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// viewer hands entries and progress to one watcher.
type viewer struct {
	mu   sync.Mutex
	each func(Event) error
	last int64
	over bool
}

func (v *viewer) entry(key string, value []byte) error {
	var e Event
	if err := json.Unmarshal(value, &e); err != nil {
		return unreadable(key, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if e.Seq > v.last {
		v.last = e.Seq
		if err := v.each(e); err != nil {
			v.over = true
			return err
		}
	}
	if e.Kind == EventState && e.State.Final() {
		v.over = true
		return errEnough
	}
	return nil
}

// progress hands on what the running step says of itself, until ctx ends.
func (v *viewer) progress(ctx context.Context, s *session, id understudy.OperationID) {
	var said *understudy.StepProgress
	for {
		woken := s.changed.wait()
		if now := s.runs.find(id).now(); now != nil && now != said {
			said = now
			v.mu.Lock()
			if !v.over {
				v.over = v.each(Event{Seq: v.last, At: s.opt.Now(), Kind: EventProgress, Progress: now}) != nil
			}
			v.mu.Unlock()
		}
		select {
		case <-woken:
		case <-ctx.Done():
			return
		case <-s.hard.Done():
			return
		}
	}
}
