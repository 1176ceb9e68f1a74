package control

import (
	"context"
	"fmt"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// compare verifies one workload by content and keeps the verdict with the operation.
func (w *walk) compare(ctx context.Context, p workload.Planned) error {
	if part := w.op.part(p.Name); part.Verdict != nil {
		return nil
	}
	h, err := w.s.handles.get(ctx, p)
	if err != nil {
		return err
	}
	kept, err := w.s.kept(ctx, objectOf(p))
	if err != nil {
		return err
	}
	v, err := h.Verify(ctx, understudy.Scope{
		From: w.op.From, To: w.op.To, Shards: w.op.Shards, Quick: w.op.Quick, Kept: kept, Lease: w.s.lease(),
		Report: func(sp understudy.StepProgress) { w.run.report(sp); w.s.changed.fire() },
	})
	if err != nil {
		return err
	}
	return w.amend(func(op *Operation, _ *change) ([]Event, error) {
		op.part(p.Name).Verdict = &v
		return []Event{{
			Kind: EventNote, Stage: op.Stage, Pass: op.Pass, Workload: p.Name,
			Text: fmt.Sprintf("%s: %d records compared in %d shards", v.Outcome, v.Compared, v.Shards),
		}}, nil
	})
}

// judge makes the verdict the workload's newest one.
func (w *walk) judge(p workload.Planned) error {
	return w.amend(func(op *Operation, t *change) ([]Event, error) {
		v := op.part(p.Name).Verdict
		if v == nil {
			return nil, bug("a verification without a verdict")
		}
		t.set(keyVerdict(objectOf(p)), v)
		return nil, nil
	})
}
