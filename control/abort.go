package control

import (
	"context"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// turned sends the operation backwards, as an operator asked while it ran. If PROMOTE came first, it goes on.
func (w *walk) turned() error {
	by, reason, _ := w.run.wish()
	return w.amend(func(op *Operation, t *change) ([]Event, error) {
		events, err := w.s.turn(op, t, by, reason)
		if understudy.KindOf(err) == understudy.KindRefused {
			return []Event{{Kind: EventNote, Stage: op.Stage, Pass: op.Pass, By: by, Text: err.Error()}}, nil
		}
		return events, err
	})
}

// turn sends an operation backwards, to the first stage of the way back.
func (s *session) turn(op *Operation, t *change, by, reason string) ([]Event, error) {
	if refusal := pass(Guards(), GateTurn, Facts{Promoted: op.Promoted}, op.object()); refusal != nil {
		return nil, refusal
	}
	op.Error = nil
	e, err := op.enter(Turn, by, reason)
	if err != nil || op.Aborting {
		return []Event{e}, err
	}
	op.Aborting = true
	if op.Verb == understudy.Protect {
		op.leaveProtected()
	}
	rows := op.rows()
	if len(rows) > 0 {
		op.Stages = stagesOf(rows)
		return []Event{e, op.begin(rows[0].Stage)}, nil
	}
	home, err := op.enter(Home, by, "")
	if err == nil && exclusive(op.Verb) {
		err = s.release(s.hard, op, t)
	}
	return []Event{e, home}, err
}

// leaveProtected takes out of the way back of a protect the workloads that were protected before it: they lose nothing.
func (op *Operation) leaveProtected() {
	for i := range op.Parts {
		if op.Parts[i].Before.Epoch > 0 && op.Parts[i].State != Quarantined {
			op.Parts[i].State = Left
		}
	}
}

// restore makes the old side active again, for all workloads or for none.
func (w *walk) restore(ctx context.Context) error {
	var moves []roleMove
	for _, p := range included(w.plan, &w.op) {
		role, version, err := w.s.role(ctx, objectOf(p))
		if err != nil {
			return err
		}
		if role.IsActive(w.op.From) {
			continue
		}
		f := w.facts(p, role)
		f.NeverEnabled = w.proof(p.Name, role, understudy.ProofNeverEnabled, w.op.To) != nil
		f.Level = !w.haltBegan() || w.proof(p.Name, role, understudy.ProofLevel, w.op.From) != nil
		if refusal := pass(Guards(), GateRestore, f, objectOf(p)); refusal != nil {
			return refusal
		}
		obs, err := w.look(ctx, p)
		if err != nil {
			return err
		}
		moves = append(moves, roleMove{p, version, above(role, obs.HighestEpoch).Promoted(w.op.From)})
	}
	return w.moveRoles(moves, nil)
}

// haltBegan says whether links into the new side were ended on this operation's way.
func (w *walk) haltBegan() bool {
	return w.happened(func(e Event) bool { return e.Kind == EventStage && e.Stage == understudy.StageHalt })
}

// startsAgain says whether an operation may start links at its end. The way back of an unprotect or a reprotect starts
// again only what the operation ended itself, and only while it changed nothing of the target: a mover must not write
// beside others, nor go on in what is made anew.
func (w *walk) startsAgain(p workload.Planned) (bool, error) {
	if !w.op.Aborting || w.op.Verb != understudy.Unprotect && w.op.Verb != understudy.Reprotect {
		return true, nil
	}
	ended := w.happened(func(e Event) bool {
		return e.Kind == EventNote && e.Workload == p.Name && e.Text == linksEndedNote
	})
	if !ended || !w.tookApart(p.Name) {
		return ended, nil
	}
	if w.op.Verb == understudy.Reprotect {
		return false, w.note(p.Name, "the links stay ended, since the target was closed or changed: `understudy reprotect "+string(p.Plan)+"` goes on from there")
	}
	return false, w.note(p.Name, "the links stay ended, since part of the protection was taken back: `understudy protect "+string(p.Plan)+"` puts it in place again")
}

// tookApart says whether a step of an unprotect or a reprotect may have changed something at a site.
func (w *walk) tookApart(n understudy.WorkloadName) bool {
	return w.happened(func(e Event) bool {
		looked := e.Stage == understudy.StageCheck || e.Stage == understudy.StageProvision
		return e.Kind == EventIntent && e.Workload == n && !looked
	})
}
