package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// defaultStepTimeout bounds one attempt of a step that names no time of its own.
const defaultStepTimeout = 10 * time.Minute

// stepFailure says which step of which workload failed.
type stepFailure struct {
	step understudy.Step
	err  error
}

// Error gives the cause.
func (f *stepFailure) Error() string { return f.err.Error() }

// Unwrap gives the cause.
func (f *stepFailure) Unwrap() error { return f.err }

// contribute does a workload's part of a stage: decide once, then do what is not done.
func (w *walk) contribute(ctx context.Context, stage understudy.StageName, p workload.Planned) error {
	h, err := w.s.handles.get(ctx, p)
	if err != nil {
		return err
	}
	if err := w.stillDue(ctx, p); err != nil {
		return err
	}
	steps, err := w.decided(ctx, stage, p, h)
	if err != nil {
		return err
	}
	for _, step := range steps {
		if w.done(stage, p.Name, step.ID) {
			continue
		}
		if err := w.boundary(); err != nil {
			return err
		}
		if err := w.step(ctx, stage, p, h, step); err != nil {
			return err
		}
	}
	return nil
}

// decided gives the journaled steps of this pass, deciding first if there are none.
func (w *walk) decided(ctx context.Context, stage understudy.StageName, p workload.Planned, h *handle) ([]understudy.Step, error) {
	for i := len(w.log) - 1; i >= 0; i-- {
		e := w.log[i]
		if e.Kind == EventDecided && e.Pass == w.op.Pass && e.Stage == stage && e.Workload == p.Name {
			return e.Steps, nil
		}
	}
	obs, err := w.look(ctx, p)
	if err != nil {
		return nil, err
	}
	at, err := w.stageFor(ctx, stage, p, obs)
	if err != nil {
		return nil, err
	}
	steps, err := h.Decide(at, obs)
	if err != nil {
		return nil, err
	}
	if err := distinct(steps); err != nil {
		return nil, err
	}
	return steps, w.amend(func(op *Operation, _ *change) ([]Event, error) {
		return []Event{{
			Kind: EventDecided, Stage: stage, Pass: op.Pass, Workload: p.Name, Steps: steps, Digest: digest(steps),
		}}, nil
	})
}

// distinct refuses lists in which two steps could be mistaken for each other after a crash.
func distinct(steps []understudy.Step) error {
	ids := map[string]bool{}
	for _, s := range steps {
		if s.ID == "" || ids[s.ID] {
			return bug("step id %q is empty or used twice in one stage", s.ID)
		}
		ids[s.ID] = true
	}
	return nil
}

// digest names a value by its content.
func digest(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "unknown"
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// done says whether the step of this pass has a result or was skipped.
func (w *walk) done(stage understudy.StageName, name understudy.WorkloadName, id string) bool {
	return slices.ContainsFunc(w.log, func(e Event) bool {
		return w.about(e, stage, name, id) && (e.Kind == EventResult || e.Kind == EventSkipped)
	})
}

func (w *walk) about(e Event, stage understudy.StageName, name understudy.WorkloadName, id string) bool {
	return e.Pass == w.op.Pass && e.Stage == stage && e.Workload == name && e.Step != nil && e.Step.ID == id
}

// step journals the intent, does the step, and journals what came of it.
func (w *walk) step(ctx context.Context, stage understudy.StageName, p workload.Planned, h *handle, step understudy.Step) error {
	attempt, open := 1, false
	for _, e := range w.log {
		if !w.about(e, stage, p.Name, step.ID) {
			continue
		}
		if e.Kind == EventFailed {
			attempt, open = e.Attempt+1, false
		}
		open = open || e.Kind == EventIntent
	}
	if open && step.Class == understudy.AskHuman {
		return w.unknown(stage, p, step, attempt)
	}
	entry := Event{Stage: stage, Pass: w.op.Pass, Workload: p.Name, Step: brief(step), Attempt: attempt}
	if !open {
		intent := entry
		intent.Kind = EventIntent
		if err := w.amend(func(*Operation, *change) ([]Event, error) { return []Event{intent}, nil }); err != nil {
			return err
		}
	}
	receipt, err := w.do(ctx, stage, p, h, step, attempt)
	if err != nil {
		return w.failed(entry, err)
	}
	receipt.Step, receipt.Kind, receipt.Stage = step.ID, step.Kind, stage
	return w.result(entry, p, receipt)
}

// repeatMost is how much of a step, or of a change of the memory, an entry repeats that another one holds, in bytes.
const repeatMost = 8 << 10

// brief gives a step as the entries tell it that come after the decided list. That holds it whole, with the
// before-image, and is journaled before any of them; what is large is not repeated.
func brief(step understudy.Step) *understudy.Step {
	if len(step.Args)+len(step.Before) > repeatMost {
		step.Args, step.Before = nil, nil
	}
	return &step
}

// unknown asks a person about a step that cannot be repeated and may have happened.
func (w *walk) unknown(stage understudy.StageName, p workload.Planned, step understudy.Step, attempt int) error {
	o := objectOf(p)
	o.Site = step.Site
	return w.failed(Event{Stage: stage, Pass: w.op.Pass, Workload: p.Name, Step: brief(step), Attempt: attempt}, &understudy.Error{
		Code: "US240", Kind: understudy.KindBroken, Op: "control.resume", Object: o,
		Summary: "it is not known whether this step happened before the crash: " + step.Summary,
		Fix:     "look, then retry or skip it",
	})
}

// failed journals a failed attempt, unless the whole term is ending, or a standing duty yields: then the intent stays
// open, as after a crash.
func (w *walk) failed(entry Event, err error) error {
	yields := errors.Is(err, errYielded) || errors.Is(err, errMoot)
	if w.s.hard.Err() != nil || yields || understudy.KindOf(err) == understudy.KindFenced {
		return err
	}
	entry.Kind, entry.Error = EventFailed, understudy.AsError(err)
	if werr := w.amend(func(*Operation, *change) ([]Event, error) { return []Event{entry}, nil }); werr != nil {
		return werr
	}
	return &stepFailure{step: *entry.Step, err: err}
}

// result journals the receipt, the workload's memory, proofs of fences and ledgers, all at once.
func (w *walk) result(entry Event, p workload.Planned, r understudy.Receipt) error {
	entry.Kind, entry.Receipt = EventResult, &r
	if written(r.Keep).size() > repeatMost {
		// The memory itself holds it from the same transaction on.
		told := r
		told.Keep = nil
		entry.Receipt = &told
	}
	return w.amend(func(op *Operation, t *change) ([]Event, error) {
		if err := w.s.keep(t, objectOf(p), r.Keep); err != nil {
			return nil, err
		}
		if err := w.s.remember(t, op, objectOf(p), r); err != nil {
			return nil, err
		}
		if err := w.s.published(t, op, p, r); err != nil {
			return nil, err
		}
		for _, proof := range r.Proofs {
			if proof.Kind == understudy.ProofOpen && proof.Site == op.To && proof.Complete && op.Marks.Verified.Before(op.Marks.Promoted) {
				op.Marks.Verified = proof.At
			}
		}
		return []Event{entry}, nil
	})
}

// do runs one attempt, with retries by itself for what may go away.
func (w *walk) do(ctx context.Context, stage understudy.StageName, p workload.Planned, h *handle, step understudy.Step, attempt int) (understudy.Receipt, error) {
	ctx, err := w.turn(ctx, p, h)
	if err != nil {
		return understudy.Receipt{}, err
	}
	defer h.give()
	now, _, err := w.s.role(ctx, objectOf(p))
	if err != nil {
		return understudy.Receipt{}, err
	}
	run := w.lend(stage, p, now, attempt)
	// The budget is asked here too: at its very end the policy would try again without any delay.
	until := time.Now().Add(w.s.opt.StepBudget)
	policy := retrypolicy.NewBuilder[understudy.Receipt]().
		HandleIf(func(_ understudy.Receipt, err error) bool { return retriable(err) && time.Now().Before(until) }).
		WithBackoff(50*time.Millisecond, 5*time.Second).
		WithMaxDuration(w.s.opt.StepBudget).WithMaxRetries(-1).
		ReturnLastFailure().Build()
	timeout := step.Timeout
	if timeout == 0 {
		timeout = defaultStepTimeout
	}
	receipt, err := failsafe.With(policy).WithContext(ctx).Get(func() (understudy.Receipt, error) {
		if !w.s.opt.Now().Before(w.s.deadline()) {
			return understudy.Receipt{}, leaseExpired(step)
		}
		once, cancel := context.WithTimeoutCause(ctx, timeout, timedOut(objectOf(p), step, timeout))
		defer cancel()
		r, err := h.Do(once, step, run)
		if err != nil && ctx.Err() == nil && once.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
			err = context.Cause(once)
		}
		if retriable(err) && ctx.Err() == nil && time.Now().Before(until) {
			w.again(p.Name, step, run.Log, err)
		}
		return r, err
	})
	w.run.settled()
	if err != nil && errors.Is(context.Cause(ctx), errYielded) {
		err = errYielded
	}
	return receipt, err
}

// again makes seen that a step is tried again: each cause once in the log, and the last one with its time in status.
func (w *walk) again(n understudy.WorkloadName, step understudy.Step, log *slog.Logger, err error) {
	if w.run.tried(n, step, understudy.AsError(err), w.s.opt.Now()) {
		log.Warn("a step failed and is tried again by itself", "step", step.ID, "error", err, "budget", w.s.opt.StepBudget)
	}
}

// turn waits for the step's turn with the workload. A standing duty looks once more, when it has its turn and no
// operation can do a step, whether there is still something to fence.
func (w *walk) turn(ctx context.Context, p workload.Planned, h *handle) (context.Context, error) {
	if w.op.Verb != understudy.Duty {
		h.take()
		return ctx, nil
	}
	ctx, err := h.borrow(ctx)
	if err != nil {
		return ctx, err
	}
	if err := w.stillDue(ctx, p); err != nil {
		h.give()
		return ctx, err
	}
	return ctx, nil
}

// retriable says whether the same call may be made again without asking anybody.
func retriable(err error) bool {
	switch understudy.KindOf(err) {
	case understudy.KindRetry, understudy.KindUnreachable:
		return true
	default:
		return false
	}
}

func timedOut(o understudy.Object, step understudy.Step, after time.Duration) error {
	o.Site = step.Site
	return &understudy.Error{
		Code: "US241", Kind: understudy.KindTimeout, Op: "control.step", Object: o,
		Summary: "the step took longer than " + after.String() + ": " + step.Summary, Fix: "retry, or abort",
	}
}

func leaseExpired(step understudy.Step) error {
	return &understudy.Error{
		Code: "US003", Kind: understudy.KindFenced, Op: "control.step", Object: understudy.Object{Site: step.Site},
		Summary: "this process no longer holds the lease under which it acts",
	}
}

// lend is what a step gets from control while it runs.
func (w *walk) lend(stage understudy.StageName, p workload.Planned, now understudy.Role, attempt int) understudy.Run {
	o := objectOf(p)
	return understudy.Run{
		Operation: w.op.ID, Verb: w.verb(), Stage: stage, Attempt: attempt,
		Link:         understudy.Link{Plan: p.Plan, Workload: p.Name, From: w.op.From, To: w.op.To},
		ControlPlane: w.s.id, Now: now, Lease: w.s.lease(),
		Role: func(ctx context.Context) (understudy.Role, error) {
			r, _, err := w.s.role(ctx, o)
			return r, err
		},
		Report:    func(sp understudy.StepProgress) { w.run.report(sp); w.s.changed.fire() },
		LedgerDir: w.s.ledgerDir(o, w.op.ID),
		Log:       w.s.opt.Log.With("operation", string(w.op.ID), "stage", string(stage), "workload", string(p.Name)),
	}
}

func (s *session) ledgerDir(o understudy.Object, id understudy.OperationID) string {
	return filepath.Join(s.opt.DataDir, "ledger", string(o.Plan), string(o.Workload), string(id))
}

// verb is what workloads see.
func (w *walk) verb() understudy.Verb {
	if w.op.Aborting && w.op.Verb != understudy.Replicate {
		return understudy.Abort
	}
	return TableVerb(w.op.Verb)
}

// stageFor gathers what Decide may know.
func (w *walk) stageFor(ctx context.Context, stage understudy.StageName, p workload.Planned, obs workload.Observation) (understudy.Stage, error) {
	now, _, err := w.s.role(ctx, objectOf(p))
	if err != nil {
		return understudy.Stage{}, err
	}
	kept, err := w.s.kept(ctx, objectOf(p))
	if err != nil {
		return understudy.Stage{}, err
	}
	part := w.op.part(p.Name)
	return understudy.Stage{
		Name: stage, Operation: w.op.ID, Verb: w.verb(), Workload: p.Name, Plan: p.Plan, ControlPlane: w.s.id,
		Before: part.Before, Now: now, After: w.aim(now, obs), Old: w.op.From, To: w.op.To,
		Envelope: w.op.Envelope, Sweeps: w.op.Sweeps, Receipts: w.receipts(p.Name), Kept: kept,
	}, nil
}

// aim is the role that the operation wants to reach from the present one.
func (w *walk) aim(now understudy.Role, obs workload.Observation) understudy.Role {
	to := w.op.To
	if w.op.Aborting {
		to = w.op.From
	}
	if !w.op.takeover() || w.op.Promoted || now.IsActive(to) {
		return now
	}
	return above(now, obs.HighestEpoch).Promoted(to)
}

// above lifts a role's epoch over what the engine has seen, so that the next one is higher than both.
func above(r understudy.Role, seen understudy.RoleEpoch) understudy.Role {
	r.Epoch = max(r.Epoch, seen)
	return r
}

// receipts are those of the workload, inherited ones first.
func (w *walk) receipts(n understudy.WorkloadName) []understudy.Receipt {
	var out []understudy.Receipt
	for _, e := range slices.Concat(w.before, w.log) {
		if e.Kind == EventResult && e.Receipt != nil && e.Workload == n {
			out = append(out, *e.Receipt)
		}
	}
	return out
}
