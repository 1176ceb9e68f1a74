package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/understudy-dr/understudy"
)

// Report gives everything about one operation, finished or not.
func (c *Controller) Report(ctx context.Context, id understudy.OperationID) (Report, error) {
	op, err := c.Operation(ctx, id)
	if err != nil {
		return Report{}, err
	}
	events, err := readAll[Event](ctx, c.opt.Journal, prefixEvents(id))
	if err != nil {
		return Report{}, err
	}
	r := Report{Operation: op, RTO: op.Marks.split(), Stages: stagesFrom(events), Who: whoActed(op, events), Warnings: warningsIn(events)}
	all, err := c.Ledgers(ctx, op.Plan)
	if err != nil {
		return r, err
	}
	for _, l := range all {
		if l.Operation == id {
			r.Ledger = append(r.Ledger, l)
		}
	}
	if op.takeover() {
		r.Loss, err = c.losses(ctx, op, all)
	}
	return r, err
}

// split divides the recovery time. Every part ends where the next begins; a part whose end was not reached is
// zero, and so are all after it.
func (m Marks) split() RTO {
	var r RTO
	at := m.LastGood
	if at.IsZero() || at.After(m.Started) {
		at = m.Started
	}
	begin := at
	for _, part := range []struct {
		until time.Time
		to    *time.Duration
	}{
		{m.Started, &r.Detect}, {m.Confirmed, &r.Confirm}, {m.Approved, &r.Approve}, {m.Fenced, &r.Fence},
		{m.Promoted, &r.Promote}, {m.Verified, &r.Verify},
	} {
		if part.until.IsZero() {
			return r
		}
		*part.to = nonNegative(part.until.Sub(at))
		at = part.until
	}
	r.Total = nonNegative(m.Verified.Sub(begin))
	if !m.Routed.IsZero() {
		r.Route = nonNegative(m.Routed.Sub(m.Verified))
	}
	return r
}

// stagesFrom arranges a journal by passes of stages.
func stagesFrom(events []Event) []StageReport {
	var out []StageReport
	for _, e := range events {
		if e.Kind == EventStage {
			if n := len(out); n > 0 {
				out[n-1].Ended = e.At
			}
			out = append(out, StageReport{Name: e.Stage, Pass: e.Pass, Began: e.At})
			continue
		}
		if len(out) == 0 {
			continue
		}
		out[len(out)-1].take(e)
	}
	return out
}

// take puts an entry in its place.
func (s *StageReport) take(e Event) {
	switch e.Kind {
	case EventDecided:
		for _, step := range e.Steps {
			s.Steps = append(s.Steps, StepReport{Workload: e.Workload, Step: step, State: "waiting"})
		}
	case EventIntent, EventResult, EventFailed, EventSkipped:
		s.step(e)
	case EventRole:
		s.Notes = append(s.Notes, string(e.Workload)+": "+e.Text)
	case EventNote:
		text := e.Text
		if e.Workload != "" {
			text = string(e.Workload) + ": " + text
		}
		s.Notes = append(s.Notes, text)
	case EventState:
		if e.State.Resting() {
			s.Ended = e.At
		}
	default: // the others need nothing here
	}
}

func (s *StageReport) step(e Event) {
	i := slices.IndexFunc(s.Steps, func(r StepReport) bool { return r.Workload == e.Workload && r.Step.ID == e.Step.ID })
	if i < 0 {
		s.Steps = append(s.Steps, StepReport{Workload: e.Workload, Step: *e.Step})
		i = len(s.Steps) - 1
	}
	r := &s.Steps[i]
	r.Attempts = max(r.Attempts, e.Attempt)
	switch e.Kind {
	case EventIntent:
		r.State, r.Ended, r.Error = "running", time.Time{}, nil
		if r.Began.IsZero() {
			r.Began = e.At
		}
	case EventResult:
		r.State, r.Ended, r.Receipt = "done", e.At, e.Receipt
	case EventFailed:
		r.State, r.Ended, r.Error = "failed", e.At, e.Error
	case EventSkipped:
		r.State, r.Ended, r.Skipped = "skipped", e.At, e.By+": "+e.Text
	default: // the others need nothing here
	}
}

// whoActed lists the people, and what each of them did.
func whoActed(op Operation, events []Event) []Actor {
	var out []Actor
	for _, e := range events {
		if text := deed(e); e.By != "" && text != "" {
			out = append(out, Actor{By: e.By, At: e.At, Text: text})
		}
	}
	for _, a := range op.Envelope.Acceptances {
		out = append(out, Actor{By: a.By, At: a.At, Text: "gives their word that nobody writes " + string(a.Site)})
	}
	for _, c := range op.Envelope.Consents {
		out = append(out, Actor{By: c.By, At: c.At, Text: "accepts, for this operation only: " + accepted(c)})
	}
	slices.SortStableFunc(out, func(a, b Actor) int { return a.At.Compare(b.At) })
	return out
}

// deed is what a person did by an entry; empty where the entry only follows from another one of theirs.
func deed(e Event) string {
	what := ""
	switch {
	case e.Kind == EventBegan:
		return "ordered " + e.Text
	case e.Kind == EventSkipped:
		what = "skipped " + e.Step.ID
	case e.Kind != EventState:
		return e.Text
	case e.On == Begin || e.On == Skip || e.On == Home:
		return ""
	default:
		what = past(e.On, e.State)
	}
	if e.Text != "" {
		what += ": " + e.Text
	}
	return what
}

// past is a person's trigger in the past tense. Journals of earlier versions have the state only.
func past(on Trigger, state State) string {
	switch on {
	case Approve:
		return "approved it"
	case Retry:
		return "had it tried again"
	case Pause:
		return "paused it"
	case Resume:
		return "resumed it"
	case Turn:
		return "aborted it"
	case Settle:
		return "committed it"
	case Undo:
		return "rolled it back"
	case Supersede:
		return "put another in its place"
	default:
		return string(state)
	}
}

// accepted says what a person accepts.
func accepted(c understudy.Consent) string {
	var out []string
	if c.Deletes > 0 {
		out = append(out, fmt.Sprintf("%d deletes", c.Deletes))
	}
	if c.Source != "" {
		out = append(out, "the source made anew as "+c.Source)
	}
	if c.Shard != "" {
		return c.Shard + ": " + strings.Join(out, ", ")
	}
	return strings.Join(out, ", ")
}

// warningsIn gathers what the receipts tell people to read.
func warningsIn(events []Event) []string {
	var out []string
	for _, e := range events {
		if e.Receipt != nil {
			out = append(out, e.Receipt.Warnings...)
		}
	}
	return out
}

// losses sets objective, bound and realised loss side by side. The realised loss is known once a later operation
// has scanned the old side.
func (c *Controller) losses(ctx context.Context, op Operation, ledgers []LedgerRecord) ([]LossReport, error) {
	plan, err := c.plan(ctx, op.Plan)
	if err != nil && understudy.KindOf(err) != understudy.KindNotFound {
		return nil, err
	}
	var out []LossReport
	for _, part := range op.Parts {
		l := LossReport{Workload: part.Workload, Bound: part.Bound, Rebound: part.Rebound}
		if p, ok := plan.Workload(part.Workload); ok {
			l.Objective = p.RPO
		}
		for _, rec := range ledgers {
			if rec.Workload == part.Workload && rec.Proof != nil && rec.Proof.Site == op.From && !rec.At.Before(op.Marks.Promoted) {
				n := rec.Records
				l.Realised = &n
			}
		}
		out = append(out, l)
	}
	return out, nil
}
