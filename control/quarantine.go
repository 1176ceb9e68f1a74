package control

import (
	"context"
	"fmt"

	"github.com/understudy-dr/understudy"
)

// rejoin lets a quarantined workload follow the takeover that left it out, or go back, by an operation of its own
// that inherits what the takeover had done for it.
func (c *Controller) rejoin(ctx context.Context, req ActRequest, back bool) (Operation, error) {
	s, err := c.ordered()
	if err != nil {
		return Operation{}, err
	}
	parent, version, err := read[Operation](ctx, s.opt.Journal, keyOp(req.Operation))
	if err != nil || version == 0 {
		return Operation{}, notFoundUnless(err, req.Operation)
	}
	defer s.locks.lock(string(parent.Plan))()
	if parent, _, err = read[Operation](ctx, s.opt.Journal, keyOp(req.Operation)); err != nil {
		return Operation{}, err
	}
	rec, recVersion, err := read[planRecord](ctx, s.opt.Journal, keyPlan(parent.Plan))
	if err != nil {
		return Operation{}, err
	}
	o := understudy.Object{Plan: parent.Plan, Workload: req.Workload}
	part := parent.part(req.Workload)
	if part == nil || part.State != Quarantined || parent.State != CommitWindow {
		return parent, refused("US247", o, "the workload is not quarantined in a takeover that rests in its commit window", "look at `understudy status "+string(parent.Plan)+"`")
	}
	if refusal := pass(Guards(), GateStart, Facts{Verb: understudy.Failover, Busy: rec.Current != ""}, o); refusal != nil {
		return parent, refusal
	}
	if !back {
		if err := c.itsTurn(ctx, &parent, o); err != nil {
			return parent, err
		}
	}
	op := s.joining(&parent, *part, req.By)
	var t change
	events := []Event{{Kind: EventBegan, By: req.By, Text: fmt.Sprintf("%s of %s", req.Workload, parent.ID)}}
	rec.Current = op.ID
	if back {
		turned, err := s.turn(op, &t, req.By, req.Reason)
		if err != nil {
			return parent, err
		}
		events = append(events, turned...)
	}
	t.put(keyPlan(parent.Plan), recVersion, rec)
	s.writeOp(&t, op, 0, events)
	if err := s.commit(&t); err != nil {
		return parent, err
	}
	s.links.freeze(op)
	s.runs.kick(op.ID)
	return *op, nil
}

// itsTurn refuses a workload that comes after one which is still quarantined.
func (c *Controller) itsTurn(ctx context.Context, parent *Operation, o understudy.Object) error {
	plan, err := c.plan(ctx, parent.Plan)
	if err != nil {
		return err
	}
	p, _ := plan.Workload(o.Workload)
	for _, n := range p.After {
		if part := parent.part(n); part != nil && part.State == Quarantined {
			return refused("US263", o, fmt.Sprintf("it comes after %s, which is quarantined", n),
				fmt.Sprintf("understudy retry %s --workload %s first", parent.ID, n))
		}
	}
	return nil
}

func notFoundUnless(err error, id understudy.OperationID) error {
	if err != nil {
		return err
	}
	return notFound("operation", string(id))
}

// joining is the operation that takes one workload the way of another operation.
func (s *session) joining(parent *Operation, part Part, by string) *Operation {
	now := s.opt.Now()
	part.State, part.Error = Included, nil
	op := &Operation{
		ID: understudy.OperationID("op-" + randomName(8)), Verb: TableVerb(parent.Verb), Plan: parent.Plan, State: Validated,
		Stages: stagesOf(Stages(parent.Verb)), From: parent.From, To: parent.To, By: by, Created: now,
		Envelope: parent.Envelope, Parts: []Part{part}, Inherits: parent.ID, Joins: parent.ID, Marks: Marks{Started: now},
	}
	op.Envelope.Workloads = []understudy.WorkloadName{part.Workload}
	return op
}

// joined ends such an operation: the takeover has the workload again, or has let it go.
func (w *walk) joined(op *Operation, t *change) error {
	parent, version, err := read[Operation](w.s.hard, w.s.opt.Journal, keyOp(op.Joins))
	if err != nil {
		return err
	}
	part := parent.part(op.Parts[0].Workload)
	if part == nil {
		return bug("%s joins %s, which does not know its workload", op.ID, op.Joins)
	}
	part.State, part.Error = Included, nil
	if op.Aborting {
		part.State = Left
	}
	e := Event{Kind: EventNote, Stage: parent.Stage, Pass: parent.Pass, Workload: part.Workload, Text: string(part.State) + " by " + string(op.ID)}
	w.s.writeOp(t, &parent, version, []Event{e})
	return nil
}
