package control

import (
	"context"
	"errors"
	"time"

	"github.com/understudy-dr/understudy"
)

// preempt ends the open runs of the operation's workloads before it does anything that they could disturb: each ends
// superseded, its running step is cut off as a crash would cut it off, and what it staged is left for salvage. It
// returns when nothing of them is in flight, or when whatever is has outlived its lease: a late write is then met by
// the halt, which is proved before PROMOTE. The way back of a reprotect that has done nothing yet disturbs none.
func (w *walk) preempt(ctx context.Context) error {
	for _, p := range included(w.plan, &w.op) {
		if w.op.Aborting && w.op.Verb == understudy.Reprotect && !w.tookApart(p.Name) {
			continue
		}
		runs, err := w.s.runsOf(ctx, objectOf(p))
		if err != nil {
			return err
		}
		for _, op := range runs {
			if err := w.s.supersedeRun(ctx, op.ID, w.op.ID); err != nil {
				return err
			}
			if err := w.s.await(ctx, op.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// supersedeRun ends a run in the journal, if it has not ended: from then on nothing that it does is written.
func (s *session) supersedeRun(ctx context.Context, id, by understudy.OperationID) error {
	_, _, err := s.amend(ctx, id, func(op *Operation, _ *change) ([]Event, error) {
		if op.State.Final() {
			return nil, errGone
		}
		e, err := op.enter(Supersede, "", "superseded by "+string(by))
		return []Event{e}, err
	})
	if errors.Is(err, errGone) || understudy.KindOf(err) == understudy.KindNotFound {
		return nil
	}
	return err
}

// await cuts off the walk of an operation that has ended, and waits until it has returned.
func (s *session) await(ctx context.Context, id understudy.OperationID) error {
	r := s.runs.find(id)
	if r == nil {
		return nil
	}
	r.cancel(errGone)
	t := time.NewTimer(s.opt.Lease + s.opt.RequestTimeout)
	defer t.Stop()
	select {
	case <-r.done:
		return nil
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
