package control

import (
	"context"
	"fmt"
	"slices"

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
	if missed(&w.op, v) {
		v.Coverage = fmt.Sprintf("no shard matches %q: nothing was compared", w.op.Shards)
	}
	return w.amend(func(op *Operation, _ *change) ([]Event, error) {
		op.part(p.Name).Verdict = &v
		text := fmt.Sprintf("%s: %d records compared in %d shards", v.Outcome, v.Compared, v.Shards)
		if missed(op, v) {
			text = v.Coverage
		}
		return []Event{{Kind: EventNote, Stage: op.Stage, Pass: op.Pass, Workload: p.Name, Text: text}}, nil
	})
}

// missed says that the verification was narrowed to shards of which the workload has none.
func missed(op *Operation, v understudy.Verdict) bool {
	return len(op.Shards) > 0 && v.Shards == 0 && v.Outcome == understudy.Match
}

// judge makes the verdict the workload's newest one, unless it is a good one about a part of it: that is not what status
// says of the whole.
func (w *walk) judge(p workload.Planned) error {
	return w.amend(func(op *Operation, t *change) ([]Event, error) {
		v := op.part(p.Name).Verdict
		if v == nil {
			return nil, bug("a verification without a verdict")
		}
		if !slices.ContainsFunc(op.Parts, func(x Part) bool { return x.Verdict == nil || !missed(op, *x.Verdict) }) {
			v.Outcome = understudy.Unknown // a misspelt pattern proves nothing
		}
		narrow := op.Quick || len(op.Shards) > 0
		if narrow && v.Outcome != understudy.Different && v.Outcome != understudy.SchemaMismatch {
			return nil, nil
		}
		t.set(keyVerdict(objectOf(p)), v)
		return nil, nil
	})
}
