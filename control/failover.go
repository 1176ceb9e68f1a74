package control

import (
	"context"
	"fmt"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// confirm records what can be reached, and when the source last answered.
func (w *walk) confirm(ctx context.Context) error {
	for _, p := range included(w.plan, &w.op) {
		obs, err := w.look(ctx, p)
		if err != nil {
			return err
		}
		target := obs.Sites[w.op.To]
		if target.Presence == workload.Unreachable || target.Presence == "" {
			o := objectOf(p)
			o.Site = w.op.To
			e := refused("US251", o, "the side that is to take over does not answer", "bring it up, then retry")
			if target.Error != nil {
				e.Why = target.Error.Error()
			}
			return e
		}
		text := fmt.Sprintf("%s is %s, %s is %s", w.op.From, obs.Sites[w.op.From].Presence, w.op.To, target.Presence)
		switch old := obs.Sites[w.op.From]; {
		case old.Presence == workload.Present && old.Error != nil:
			text += "; nothing could be learned of the old side: " + old.Error.Summary
		case old.Presence == workload.Present:
			text += "; the old side answers: a switchover would lose nothing"
		}
		if err := w.note(p.Name, text); err != nil {
			return err
		}
	}
	return nil
}

// bound states what would be lost, keeps it, and refuses above the highest loss that was named.
func (w *walk) bound(ctx context.Context, a Act) error {
	found := map[understudy.WorkloadName]understudy.Exposure{}
	for _, p := range included(w.plan, &w.op) {
		e, err := w.exposure(ctx, p)
		if err != nil {
			return err
		}
		found[p.Name] = e
	}
	if err := w.amend(func(op *Operation, _ *change) ([]Event, error) { return recordBounds(op, found, a), nil }); err != nil {
		return err
	}
	if TableVerb(w.op.Verb) != understudy.Failover {
		return nil
	}
	for _, p := range included(w.plan, &w.op) {
		if err := w.refuseLoss(p, found[p.Name]); err != nil {
			return err
		}
	}
	return nil
}

func recordBounds(op *Operation, found map[understudy.WorkloadName]understudy.Exposure, a Act) []Event {
	var events []Event
	for i := range op.Parts {
		e, ok := found[op.Parts[i].Workload]
		if !ok {
			continue
		}
		if a == ActBound {
			op.Parts[i].Bound = &e
		} else {
			op.Parts[i].Rebound = &e
		}
		events = append(events, Event{Kind: EventNote, Stage: op.Stage, Pass: op.Pass, Workload: op.Parts[i].Workload, Text: "exposure: " + exposureText(e)})
	}
	return events
}

// refuseLoss compares the bound with the highest loss.
func (w *walk) refuseLoss(p workload.Planned, e understudy.Exposure) error {
	limit := w.op.Envelope.MaxLoss
	switch {
	case !e.Known:
		return refused("US260", objectOf(p), "nothing is proven about what the new side holds: the first copy was never complete",
			"let the link finish its first copy, or restore the old side")
	case limit != nil && e.Bound > *limit:
		return refused("US261", objectOf(p),
			fmt.Sprintf("up to %s of acknowledged writes may be lost (%s); the highest loss named is %s", e.Bound.Round(time.Millisecond), lossText(e), *limit),
			"wait for the source, or abort and name a higher --max-loss")
	default:
		return nil
	}
}

// lossText says what the bound counts: records of a link, or what came after a set.
func lossText(e understudy.Exposure) string {
	if e.Set != "" {
		return "all that came after the set " + e.Set
	}
	return fmt.Sprintf("about %d records", e.Records)
}

// exposure is what a takeover would lose. Once the old side is provably fenced, the loss stops growing.
func (w *walk) exposure(ctx context.Context, p workload.Planned) (understudy.Exposure, error) {
	role, _, err := w.s.role(ctx, objectOf(p))
	if err != nil {
		return understudy.Exposure{}, err
	}
	until := w.s.opt.Now()
	if proof := w.fenceProof(p.Name, role); proof != nil && proof.At.Before(until) {
		until = proof.At
	}
	if w.everyLink(p, role, understudy.ProofDrain) && len(w.into(p, role)) > 0 {
		return understudy.Exposure{Known: true, Safe: until, SourceReachable: true}, nil
	}
	return w.s.exposureOf(ctx, p, role, w.op.To, until)
}

// dial looks once more at a side whose silence was accepted, and gives it its full time. If it answers before the halt, the operation goes
// back to FENCE, and there is more to salvage; if after, it is fenced here, and a person decides.
func (w *walk) dial(ctx context.Context, p workload.Planned) error {
	role, _, err := w.s.role(ctx, objectOf(p))
	if err != nil {
		return err
	}
	if f := w.facts(p, role); f.Fenced || !f.Accepted {
		return nil
	}
	silent, err := w.silent(ctx, p, 0)
	if err != nil || silent {
		return err
	}
	if !w.halting() {
		return &detour{to: understudy.StageFence, why: string(w.op.From) + " answers again: it is fenced instead of accepted"}
	}
	if err := w.contribute(ctx, understudy.StageFence, p); err != nil {
		return err
	}
	answered := w.happened(func(e Event) bool { return e.Kind == EventNote && e.Workload == p.Name && e.Text == answeredNote })
	if answered {
		return nil
	}
	if err := w.note(p.Name, answeredNote); err != nil {
		return err
	}
	o := objectOf(p)
	o.Site = w.op.From
	return refused("US262", o, "the old side answered after the halt; it is fenced now, and what it took since the cut goes to the ledger",
		"retry to go on, or abort")
}

// answeredNote marks that a person was told.
const answeredNote = "the old side answered after the halt"

// halting says whether the links were ended already.
func (w *walk) halting() bool {
	return w.happened(func(e Event) bool {
		return e.Kind == EventNote && e.Text == linksEndedNote
	})
}

// linksEndedNote marks that links into the new side were ended.
const linksEndedNote = "the links into the new side have ended"
