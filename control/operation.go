package control

import (
	"context"
	"slices"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/journal"
	"github.com/understudy-dr/understudy/workload"
)

// planRecord says which operation has the plan in hand.
type planRecord struct {
	// Current is the role-changing operation that has not come to its end; a takeover in its commit window
	// has, and stands in Takeover.
	Current  understudy.OperationID `json:"current,omitempty"`
	Takeover understudy.OperationID `json:"takeover,omitempty"`
	// Promoted is when a role moved last, and PromotedFrom the side it left.
	Promoted     time.Time       `json:"promoted,omitzero"`
	PromotedFrom understudy.Site `json:"promotedFrom,omitempty"`
}

// rows gives the table that the operation walks now.
func (op *Operation) rows() []Row {
	if op.Aborting {
		return Backwards(op.Verb)
	}
	return Stages(op.Verb)
}

// index is the place of the stage in the table.
func (op *Operation) index() int {
	return slices.IndexFunc(op.rows(), func(r Row) bool { return r.Stage == op.Stage })
}

// takeover says whether the operation moves the role from one site to another.
func (op *Operation) takeover() bool { return isTakeover(op.Verb) }

func isTakeover(v understudy.Verb) bool {
	t := TableVerb(v)
	return t == understudy.Switchover || t == understudy.Failover
}

// exclusive says whether at most one such operation is open in a plan.
func exclusive(v understudy.Verb) bool {
	return v != understudy.Verify && v != understudy.Duty && v != understudy.Replicate
}

// part gives the operation's record of a workload; nil when it takes no part.
func (op *Operation) part(n understudy.WorkloadName) *Part {
	for i := range op.Parts {
		if op.Parts[i].Workload == n {
			return &op.Parts[i]
		}
	}
	return nil
}

// stagesOf lists the names of a table.
func stagesOf(rows []Row) []understudy.StageName {
	out := make([]understudy.StageName, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.Stage)
	}
	return out
}

// begin puts the operation at a stage and gives the entry that says so.
func (op *Operation) begin(stage understudy.StageName) Event {
	op.Stage = stage
	op.Pass++
	op.Error = nil
	return Event{Kind: EventStage, Stage: stage, Pass: op.Pass}
}

// enter moves the operation's state and gives the entry that says so.
func (op *Operation) enter(on Trigger, by, text string) (Event, error) {
	if err := op.move(on); err != nil {
		return Event{}, err
	}
	return Event{Kind: EventState, State: op.State, On: on, Stage: op.Stage, By: by, Text: text, Error: op.Error}, nil
}

// writeOp puts the operation with its new entries into a transaction and numbers them.
func (s *session) writeOp(t *change, op *Operation, version journal.Revision, events []Event) {
	now := s.opt.Now()
	for i := range events {
		op.Seq++
		events[i].Seq, events[i].At = op.Seq, now
		t.set(keyEvent(op.ID, op.Seq), events[i])
	}
	if op.State.Final() && op.Ended.IsZero() {
		op.Ended = now
	}
	op.Next = nextCommand(op)
	t.put(keyOp(op.ID), version, op)
}

// owned is as much of an operation as says whose it is; that never changes, and the rest may be long.
type owned struct {
	Plan understudy.PlanName `json:"plan"`
}

// amend reads an operation, lets fn change it, and writes it with fn's entries and further writes, in one
// transaction under the plan's lock.
func (s *session) amend(ctx context.Context, id understudy.OperationID, fn func(*Operation, *change) ([]Event, error)) (Operation, []Event, error) {
	owner, version, err := read[owned](ctx, s.opt.Journal, keyOp(id))
	if err != nil {
		return Operation{}, nil, err
	}
	if version == 0 {
		return Operation{}, nil, notFound("operation", string(id))
	}
	defer s.locks.lock(string(owner.Plan))()
	op, version, err := read[Operation](ctx, s.opt.Journal, keyOp(id))
	if err != nil {
		return op, nil, err
	}
	var t change
	events, err := fn(&op, &t)
	if err != nil {
		return op, nil, err
	}
	s.writeOp(&t, &op, version, events)
	if err := s.commit(&t); err != nil {
		return op, nil, err
	}
	s.links.freeze(&op)
	s.changed.fire()
	return op, events, nil
}

// release frees the plan when an operation ends or arrives.
func (s *session) release(ctx context.Context, op *Operation, t *change) error {
	rec, version, err := read[planRecord](ctx, s.opt.Journal, keyPlan(op.Plan))
	if err != nil {
		return err
	}
	if rec.Current == op.ID {
		rec.Current = ""
	}
	if op.State == CommitWindow {
		rec.Takeover = op.ID
	}
	if rec.Takeover == op.ID && op.State.Final() {
		rec.Takeover = ""
	}
	t.put(keyPlan(op.Plan), version, rec)
	return nil
}

// included lists the plan's workloads that take part now, in order.
func included(p workload.Plan, op *Operation) []workload.Planned {
	var out []workload.Planned
	for _, w := range p.Workloads {
		if op.holds(w.Name) {
			out = append(out, w)
		}
	}
	return out
}

// nextCommand is what a person would do about the operation.
func nextCommand(op *Operation) string {
	id := string(op.ID)
	switch op.State {
	case AwaitingApproval:
		return "understudy approve " + id
	case PausedByOperator:
		return "understudy resume " + id
	case PausedByStep:
		if op.Promoted {
			return "understudy retry " + id
		}
		return "understudy retry " + id + ", or understudy abort " + id
	case CommitWindow:
		return "understudy commit " + string(op.Plan)
	default:
		return ""
	}
}
