package control

import (
	"context"
	"slices"

	"github.com/understudy-dr/understudy"
)

// decide applies a person's decision to an operation and has it walked on.
func (c *Controller) decide(ctx context.Context, req ActRequest, fn func(*session, *Operation, *change) ([]Event, error)) (Operation, error) {
	s, err := c.ordered()
	if err != nil {
		return Operation{}, err
	}
	if req.By == "" {
		return Operation{}, invalid("US204", understudy.Object{}, "nobody is named as the one who asks", "name who asks")
	}
	op, _, err := s.amend(ctx, req.Operation, func(op *Operation, t *change) ([]Event, error) { return fn(s, op, t) })
	if err == nil && op.State == Running {
		s.runs.kick(op.ID)
	}
	return op, err
}

// Retry runs the failed step of a paused operation again. If no step failed, or the world had changed under it,
// the stage begins anew. With a workload, one that was quarantined follows the takeover by an operation of its own,
// which is returned. A named acceptance may be added, for a side that turned out to be unreachable.
func (c *Controller) Retry(ctx context.Context, req ActRequest) (Operation, error) {
	if req.Workload != "" {
		return c.rejoin(ctx, req, false)
	}
	return c.decide(ctx, req, func(s *session, op *Operation, _ *change) ([]Event, error) {
		if err := meant(op.object(), req.Accept); err != nil {
			return nil, err
		}
		if len(req.AcceptFence)+len(req.Accept) > 0 && op.Approved != nil {
			return nil, refused("US242", op.object(), "the approval does not cover a new acceptance", "abort, or start a failover that supersedes, and have it approved")
		}
		for _, site := range req.AcceptFence {
			op.Envelope.Acceptances = append(op.Envelope.Acceptances, word(site, req.As, req.By, s.opt.Now()))
		}
		op.Envelope.Consents = append(op.Envelope.Consents, consents(req.Accept, req.By, s.opt.Now())...)
		failed, err := s.failedStep(op)
		if err != nil {
			return nil, err
		}
		// A step that was decided knows nothing of a word that was given later.
		anew := len(req.Accept) > 0 || failed == nil || op.Error != nil && op.Error.Kind == understudy.KindConflict
		e, err := op.enter(Retry, req.By, req.Reason)
		if err != nil || !anew {
			return []Event{e}, err
		}
		return []Event{e, op.begin(op.Stage)}, nil
	})
}

// failedStep gives the entry of the step that paused the operation; nil when it was not a step.
func (s *session) failedStep(op *Operation) (*Event, error) {
	events, err := readAll[Event](s.hard, s.opt.Journal, prefixEvents(op.ID))
	if err != nil {
		return nil, err
	}
	for _, e := range slices.Backward(events) {
		switch {
		case e.Kind == EventState && e.State == PausedByStep:
		case e.Kind == EventFailed && e.Pass == op.Pass:
			return &e, nil
		default:
			return nil, nil
		}
	}
	return nil, nil
}

// Skip leaves the failed step out, where the step allows it; it needs a reason.
func (c *Controller) Skip(ctx context.Context, req ActRequest) (Operation, error) {
	return c.decide(ctx, req, func(s *session, op *Operation, _ *change) ([]Event, error) {
		if req.Reason == "" {
			return nil, invalid("US243", op.object(), "a step is skipped with a reason only", "add --reason")
		}
		failed, err := s.failedStep(op)
		if err != nil {
			return nil, err
		}
		if failed == nil || !failed.Step.Skippable {
			return nil, refused("US244", op.object(), "what failed cannot be skipped", "retry, or abort")
		}
		e, err := op.enter(Skip, req.By, req.Reason)
		skipped := Event{
			Kind: EventSkipped, Stage: failed.Stage, Pass: failed.Pass, Workload: failed.Workload,
			Step: failed.Step, By: req.By, Text: req.Reason,
		}
		op.Error = nil
		return []Event{e, skipped}, err
	})
}

// Abort turns the operation back; after PROMOTE it is refused. A running step is interrupted. With a workload it
// lets a quarantined one go.
func (c *Controller) Abort(ctx context.Context, req ActRequest) (Operation, error) {
	if req.Workload != "" {
		return c.rejoin(ctx, req, true)
	}
	s, err := c.ordered()
	if err != nil {
		return Operation{}, err
	}
	now, err := c.Operation(ctx, req.Operation)
	if err != nil {
		return now, err
	}
	if refusal := pass(Guards(), GateTurn, Facts{Promoted: now.Promoted}, now.object()); refusal != nil {
		return now, refusal
	}
	if r := s.runs.find(req.Operation); r != nil && now.State == Running {
		r.ask(errTurned, req.By, req.Reason)
		return now, nil
	}
	return c.decide(ctx, req, func(s *session, op *Operation, t *change) ([]Event, error) {
		return s.turn(op, t, req.By, req.Reason)
	})
}

// Approve consents to the envelope of an operation that awaits it. The person who started it cannot.
func (c *Controller) Approve(ctx context.Context, req ActRequest) (Operation, error) {
	return c.decide(ctx, req, func(s *session, op *Operation, _ *change) ([]Event, error) {
		if op.By == req.By {
			return nil, refused("US246", op.object(), "who starts an operation cannot approve it", "ask somebody else")
		}
		e, err := op.enter(Approve, req.By, req.Reason)
		op.Approved = &Approval{By: req.By, At: s.opt.Now(), Digest: digest(op.Envelope)}
		return []Event{e}, err
	})
}

// Pause stops a running operation at the next boundary of a step.
func (c *Controller) Pause(ctx context.Context, req ActRequest) (Operation, error) {
	s, err := c.ordered()
	if err != nil {
		return Operation{}, err
	}
	now, err := c.Operation(ctx, req.Operation)
	if err != nil {
		return now, err
	}
	if r := s.runs.find(req.Operation); r != nil && now.State == Running {
		r.ask(errPaused, req.By, req.Reason)
		s.changed.fire()
		return now, nil
	}
	return c.decide(ctx, req, func(_ *session, op *Operation, _ *change) ([]Event, error) {
		e, err := op.enter(Pause, req.By, req.Reason)
		return []Event{e}, err
	})
}

// Resume goes on with an operation that an operator paused.
func (c *Controller) Resume(ctx context.Context, req ActRequest) (Operation, error) {
	return c.decide(ctx, req, func(_ *session, op *Operation, _ *change) ([]Event, error) {
		e, err := op.enter(Resume, req.By, req.Reason)
		return []Event{e}, err
	})
}
