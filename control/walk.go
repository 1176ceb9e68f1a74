package control

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// walk is one operation on its way through its table.
type walk struct {
	s    *session
	run  *run
	op   Operation
	plan workload.Plan
	// log are the operation's entries, oldest first, and before those it inherits.
	log, before []Event
	// silences is what this walk has found of the old side; one that goes on after a rest or a crash looks anew.
	silences silences
}

// walk goes on with an operation until it rests, ends, or the term drains. What fails outside the operation
// itself ends the term, and the next one goes on from the journal.
func (s *session) walk(ctx context.Context, id understudy.OperationID, r *run) {
	s.use.RLock()
	defer s.use.RUnlock()
	w, err := s.openWalk(ctx, id, r)
	if err == nil {
		w.clear(ctx)
		err = w.along(ctx)
	}
	if err != nil && s.hard.Err() == nil {
		s.opt.Log.Error("an operation cannot go on", "operation", string(id), "error", err)
		s.fail(err)
	}
}

// clear has an operation begin with nothing of a standing duty under way. A duty that begins later sees the operation,
// which is journaled, before each of its steps.
func (w *walk) clear(ctx context.Context) {
	switch {
	case w.op.Verb == understudy.Duty:
		w.run.isDuty(w.op.Plan)
	case exclusive(w.op.Verb):
		w.s.runs.yield(ctx, w.op.Plan)
	}
}

func (s *session) openWalk(ctx context.Context, id understudy.OperationID, r *run) (*walk, error) {
	w := &walk{s: s, run: r}
	var err error
	if w.op, _, err = read[Operation](ctx, s.opt.Journal, keyOp(id)); err != nil {
		return nil, err
	}
	if w.log, err = readAll[Event](ctx, s.opt.Journal, prefixEvents(id)); err != nil {
		return nil, err
	}
	for from := w.op.Inherits; from != ""; {
		older, err := readAll[Event](ctx, s.opt.Journal, prefixEvents(from))
		if err != nil {
			return nil, err
		}
		w.before = append(older, w.before...)
		parent, _, err := read[Operation](ctx, s.opt.Journal, keyOp(from))
		if err != nil {
			return nil, err
		}
		from = parent.Inherits
	}
	w.plan, err = s.c.plan(ctx, w.op.Plan)
	return w, err
}

// along walks stage by stage.
func (w *walk) along(ctx context.Context) error {
	if err := w.takeUp(); err != nil {
		return err
	}
	for w.op.State == Running {
		err := w.boundary()
		if err == nil {
			err = w.stage(ctx, w.op.rows()[w.op.index()])
		}
		if err == nil {
			err = w.forward()
		}
		if errors.Is(err, errDrained) || errors.Is(err, errGone) || errors.Is(err, errYielded) || w.s.hard.Err() != nil {
			return nil
		}
		if err != nil && errors.Is(context.Cause(ctx), errYielded) {
			return nil
		}
		if _, _, what := w.run.wish(); what == errTurned && err != nil {
			// The interrupted context is spent; a fresh walk goes backwards.
			w.s.runs.kick(w.op.ID)
			return w.turned()
		}
		if err == nil {
			continue
		}
		if err := w.answer(err); errors.Is(err, errGone) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// takeUp begins a validated operation, and begins a stage that only proves anew: its proofs have aged.
func (w *walk) takeUp() error {
	if w.op.State == Validated {
		return w.amend(func(op *Operation, _ *change) ([]Event, error) {
			e, err := op.enter(Begin, op.By, "")
			return []Event{e, op.begin(op.rows()[0].Stage)}, err
		})
	}
	i := w.op.index()
	if w.op.State != Running || i < 0 {
		return nil
	}
	row := w.op.rows()[i]
	decided := slices.ContainsFunc(w.log, func(e Event) bool { return e.Kind == EventDecided && e.Pass == w.op.Pass })
	if !decided || !slices.Contains(row.After, ActPromote) && !slices.Contains(row.After, ActRestore) {
		return nil
	}
	return w.amend(func(op *Operation, _ *change) ([]Event, error) {
		return []Event{op.begin(op.Stage)}, nil
	})
}

// boundary is the place between two steps where people are heard.
func (w *walk) boundary() error {
	if w.s.hard.Err() != nil || w.s.drain.Err() != nil {
		return errDrained
	}
	_, _, what := w.run.wish()
	return what
}

// amend changes the operation and its journal.
func (w *walk) amend(fn func(*Operation, *change) ([]Event, error)) error {
	op, events, err := w.s.amend(w.s.hard, w.op.ID, func(op *Operation, t *change) ([]Event, error) {
		if op.State.Final() || op.Aborting != w.op.Aborting {
			return nil, errGone
		}
		return fn(op, t)
	})
	if err != nil {
		return err
	}
	w.op = op
	w.log = append(w.log, events...)
	return nil
}

// note writes a fact for people.
func (w *walk) note(name understudy.WorkloadName, text string) error {
	return w.amend(func(op *Operation, _ *change) ([]Event, error) {
		return []Event{{Kind: EventNote, Stage: op.Stage, Pass: op.Pass, Workload: name, Text: text}}, nil
	})
}

// stage does one row.
func (w *walk) stage(ctx context.Context, row Row) error {
	for _, a := range row.Before {
		if err := w.act(ctx, row, a); err != nil {
			return err
		}
	}
	if row.Steps {
		for _, p := range included(w.plan, &w.op) {
			if w.passedBy(row.Stage, p.Name) {
				continue
			}
			if err := w.tolerate(ctx, row, p, w.contribute(ctx, row.Stage, p)); err != nil {
				return err
			}
		}
	}
	for _, a := range row.After {
		if err := w.act(ctx, row, a); err != nil {
			return err
		}
	}
	return w.hook(ctx, row)
}

// passedBy says that a stage of the way back has nothing to undo for a workload. Only the journal decides, by entries
// that were written with or before what there would be to undo, and that the way back itself adds only where there
// were some before: a walk that goes on after a crash decides the same.
func (w *walk) passedBy(stage understudy.StageName, n understudy.WorkloadName) bool {
	if !w.op.Aborting || !w.op.takeover() {
		return false
	}
	fenced := func(e Event) bool { return e.Kind == EventRole && e.Workload == n }
	unlinked := func(e Event) bool { return e.Kind == EventNote && e.Workload == n && e.Text == linksEndedNote }
	froze := func(e Event) bool {
		return e.Kind == EventIntent && e.Workload == n && e.Stage == understudy.StageFreeze
	}
	switch stage {
	case understudy.StageLevel, understudy.StageRestore, understudy.StageUnfence:
		return !w.happened(fenced)
	case understudy.StageFollow:
		return !w.happened(fenced) && !w.happened(unlinked)
	case understudy.StageUnfreeze:
		return !w.happened(froze)
	default:
		return false
	}
}

// happened looks through the journal, the inherited part included.
func (w *walk) happened(what func(Event) bool) bool {
	return slices.ContainsFunc(w.log, what) || slices.ContainsFunc(w.before, what)
}

// forward ends a stage: on to the next one, or to the end of the table.
func (w *walk) forward() error {
	next := w.op.index() + 1
	return w.amend(func(op *Operation, t *change) ([]Event, error) {
		w.mark(op)
		if rows := op.rows(); next < len(rows) {
			return []Event{op.begin(rows[next].Stage)}, nil
		}
		return w.end(op, t)
	})
}

// end is the end of the table.
func (w *walk) end(op *Operation, t *change) ([]Event, error) {
	on := Finish
	switch {
	case op.Aborting:
		on = Home
	case op.takeover() && op.Joins == "":
		on = Arrive
	}
	e, err := op.enter(on, "", "")
	if err != nil {
		return nil, err
	}
	if exclusive(op.Verb) {
		if err := w.s.release(w.s.hard, op, t); err != nil {
			return nil, err
		}
	}
	if op.Joins != "" {
		return []Event{e}, w.joined(op, t)
	}
	if op.Verb == understudy.Rollback && op.State == CommitWindow {
		return []Event{e}, w.undone(op, t)
	}
	return []Event{e}, nil
}

// mark notes the moments from which the recovery time is split.
func (w *walk) mark(op *Operation) {
	now := w.s.opt.Now()
	set := func(t *time.Time) {
		if t.IsZero() {
			*t = now
		}
	}
	switch op.Stage {
	case understudy.StageConfirm, understudy.StageCheck:
		set(&op.Marks.Confirmed)
	case understudy.StageApprove:
		set(&op.Marks.Approved)
	case understudy.StageFence:
		op.Marks.Fenced = now
	case understudy.StageRoute:
		set(&op.Marks.Routed)
	}
}

// answer turns what stopped the walk into the operation's next state.
func (w *walk) answer(err error) error {
	var back *detour
	switch {
	case errors.As(err, &back):
		return w.amend(func(op *Operation, _ *change) ([]Event, error) {
			return []Event{{Kind: EventNote, Stage: op.Stage, Pass: op.Pass, Text: back.Error()}, op.begin(back.to)}, nil
		})
	case errors.Is(err, errPaused):
		by, reason, _ := w.run.wish()
		return w.enter(Pause, by, reason)
	case errors.Is(err, errAwaits):
		return w.enter(Await, "", "")
	case errors.Is(err, errMoot):
		return w.enter(Supersede, "", mootNote)
	case understudy.KindOf(err) == understudy.KindFenced:
		return err
	}
	return w.amend(func(op *Operation, _ *change) ([]Event, error) {
		op.Error = understudy.AsError(err)
		e, err := op.enter(Fail, "", "")
		return []Event{e}, err
	})
}

func (w *walk) enter(on Trigger, by, text string) error {
	return w.amend(func(op *Operation, _ *change) ([]Event, error) {
		e, err := op.enter(on, by, text)
		return []Event{e}, err
	})
}
