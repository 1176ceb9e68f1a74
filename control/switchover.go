package control

import (
	"context"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/journal"
	"github.com/understudy-dr/understudy/workload"
)

// roleMove is one workload's part of a role transaction.
type roleMove struct {
	p       workload.Planned
	version journal.Revision
	to      understudy.Role
}

// moveRoles writes all roles in one transaction, or none. The versions that were read guard it.
func (w *walk) moveRoles(moves []roleMove, also func(*Operation, *change) error) error {
	if len(moves) == 0 {
		return nil
	}
	for _, m := range moves {
		if err := w.s.forgetFences(m.p, m.to); err != nil {
			return err
		}
	}
	return w.amend(func(op *Operation, t *change) ([]Event, error) {
		var events []Event
		for _, m := range moves {
			t.put(keyRole(objectOf(m.p)), m.version, m.to)
			events = append(events, Event{Kind: EventRole, Stage: op.Stage, Pass: op.Pass, Workload: m.p.Name, Role: &m.to, Text: m.to.String()})
		}
		if also != nil {
			return events, also(op, t)
		}
		return events, nil
	})
}

// forgetFences drops what is known of the fences of sites that become active: when one of them is an old side again, that is another fence. It comes before the
// role, so that a crash in between leaves a fence to be proved again, and none that is believed.
func (s *session) forgetFences(p workload.Planned, to understudy.Role) error {
	defer s.locks.lock(string(p.Plan))()
	for _, site := range p.Sites {
		if !to.IsActive(site) {
			continue
		}
		var t change
		t.drop(keyOld(objectOf(p), site))
		if err := s.commit(&t); err != nil {
			return err
		}
	}
	return nil
}

// fenceRoles makes nobody active, for all workloads and before the first effect of the stage.
func (w *walk) fenceRoles(ctx context.Context) error {
	var moves []roleMove
	for _, p := range included(w.plan, &w.op) {
		role, version, err := w.s.role(ctx, objectOf(p))
		if err != nil {
			return err
		}
		if role.None() {
			continue
		}
		obs, err := w.look(ctx, p)
		if err != nil {
			return err
		}
		moves = append(moves, roleMove{p, version, above(role, obs.HighestEpoch).Fenced()})
	}
	return w.moveRoles(moves, nil)
}

// promote makes the new side active, for all workloads that are not quarantined in one transaction: the point
// of no return.
func (w *walk) promote(ctx context.Context) error {
	if w.op.Promoted {
		return nil
	}
	var moves []roleMove
	for _, p := range included(w.plan, &w.op) {
		role, version, err := w.s.role(ctx, objectOf(p))
		if err != nil {
			return err
		}
		obs, err := w.lookAgain(ctx, p, silenceFresh)
		if err != nil {
			return err
		}
		f := w.facts(p, role)
		f.Silent = obs.Sites[w.op.From].Presence != workload.Present
		if f.Halted, err = w.halted(ctx, p, role); err != nil {
			return err
		}
		if refusal := pass(Guards(), GatePromote, f, objectOf(p)); refusal != nil {
			refusal.Why = w.lacking(p.Name, understudy.ProofFence)
			return refusal
		}
		moves = append(moves, roleMove{p, version, above(role, obs.HighestEpoch).Promoted(w.op.To)})
	}
	if len(moves) == 0 {
		return bug("no workload is left to promote")
	}
	return w.moveRoles(moves, func(op *Operation, t *change) error {
		op.Promoted = true
		op.Marks.Promoted = w.s.opt.Now()
		rec, version, err := read[planRecord](w.s.hard, w.s.opt.Journal, keyPlan(op.Plan))
		rec.Promoted, rec.PromotedFrom = op.Marks.Promoted, op.From
		t.put(keyPlan(op.Plan), version, rec)
		return err
	})
}

// healthy refuses a planned takeover of a workload whose link does not keep up.
func (w *walk) healthy(ctx context.Context, p workload.Planned) error {
	role, _, err := w.s.role(ctx, objectOf(p))
	if err != nil {
		return err
	}
	for _, l := range w.into(p, role) {
		progress, ok, err := w.s.progress(ctx, l)
		if err != nil {
			return err
		}
		if ok && progress.State == understudy.Protected {
			continue
		}
		state := understudy.Unprotected
		if ok {
			state = progress.State
		}
		return refused("US250", objectOf(p), "the link "+l.String()+" is "+string(state)+": a switchover needs it protected",
			"wait until `understudy status "+string(p.Plan)+"` says protected, or repair the link")
	}
	return nil
}
