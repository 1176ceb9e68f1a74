package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// act does one of control's own acts.
func (w *walk) act(ctx context.Context, row Row, a Act) error {
	switch a {
	case ActFence:
		return w.fenceRoles(ctx)
	case ActPromote:
		return w.promote(ctx)
	case ActRestore:
		return w.restore(ctx)
	case ActOpenRole:
		return w.openRoles(ctx)
	case ActApprove:
		return w.approve()
	case ActBound, ActRebound:
		return w.bound(ctx, a)
	case ActConfirm:
		return w.confirm(ctx)
	case ActFreeze, ActUnfreeze:
		// Freezing is a fact of where the operation stands; see frozen.
		return nil
	case ActSettle:
		return w.settleTakeover(ctx)
	case ActForget:
		return w.forget(ctx)
	case ActPreempt:
		return w.preempt(ctx)
	default: // the others need nothing here
	}
	for _, p := range included(w.plan, &w.op) {
		if err := w.tolerate(ctx, row, p, w.actOn(ctx, row, a, p)); err != nil {
			return err
		}
	}
	return nil
}

// actOn does an act that concerns each workload for itself.
func (w *walk) actOn(ctx context.Context, row Row, a Act, p workload.Planned) error {
	switch a {
	case ActOwn:
		return w.own(ctx, p)
	case ActHealthy:
		return w.healthy(ctx, p)
	case ActDial:
		return w.dial(ctx, p)
	case ActNeedFence:
		return w.needFence(ctx, p)
	case ActNeedDrain:
		return w.needDrain(ctx, p)
	case ActNeedHalt:
		return w.needHalt(ctx, p)
	case ActNeedOpen:
		return w.needProof(p, GateArrive, understudy.ProofOpen)
	case ActNeedLedger:
		return w.needProof(p, GateResolve, understudy.ProofLedger)
	case ActStartLinks:
		return w.startLinks(ctx, p)
	case ActEndLinks:
		return w.endLinks(ctx, p)
	case ActForgetCopy:
		return w.forgetCopy(ctx, p)
	case ActAwaitCopied:
		return w.await(ctx, p, understudy.CatchingUp)
	case ActAwaitProtected:
		return w.await(ctx, p, understudy.Protected)
	case ActNeedStaged:
		return w.needStaged(p)
	case ActNeedPublished:
		return w.needPublished(ctx, p)
	case ActProvision:
		return w.provision(ctx, row, p)
	case ActDismiss:
		return w.dismiss(ctx, row, p)
	case ActCompare:
		return w.compare(ctx, p)
	case ActJudge:
		return w.judge(p)
	default:
		return bug("control has no act %q", a)
	}
}

// tolerate applies the plan's choice to a failure of one workload; nil means that the operation goes on.
func (w *walk) tolerate(ctx context.Context, row Row, p workload.Planned, err error) error {
	var back *detour
	if err == nil || ctx.Err() != nil || errors.As(err, &back) ||
		errors.Is(err, errDrained) || errors.Is(err, errPaused) || errors.Is(err, errTurned) ||
		understudy.KindOf(err) == understudy.KindFenced {
		return err
	}
	switch {
	case p.OnFailure == understudy.Continue && row.Continue:
		return w.impair(p.Name, Impaired, err)
	case p.OnFailure == understudy.Quarantine && row.Quarantine && !w.op.Promoted && !w.op.Aborting:
		return w.quarantine(p, err)
	default:
		return err
	}
}

// impair notes that a workload failed where the plan says to go on.
func (w *walk) impair(n understudy.WorkloadName, state PartState, why error) error {
	return w.amend(func(op *Operation, _ *change) ([]Event, error) {
		part := op.part(n)
		part.State, part.Error = state, understudy.AsError(why)
		return []Event{{
			Kind: EventNote, Stage: op.Stage, Pass: op.Pass, Workload: n, Error: part.Error,
			Text: fmt.Sprintf("%s: %s", state, why),
		}}, nil
	})
}

// quarantine leaves a workload out, and those that come after it. The last one cannot be left out: then there
// is nothing left to do, and the operation pauses.
func (w *walk) quarantine(p workload.Planned, why error) error {
	out := []understudy.WorkloadName{p.Name}
	for _, q := range w.plan.Workloads {
		if slices.ContainsFunc(q.After, func(n understudy.WorkloadName) bool { return slices.Contains(out, n) }) {
			out = append(out, q.Name)
		}
	}
	left := 0
	for _, q := range included(w.plan, &w.op) {
		if !slices.Contains(out, q.Name) {
			left++
		}
	}
	if left == 0 {
		return why
	}
	for _, n := range out {
		if part := w.op.part(n); part == nil || part.State == Quarantined {
			continue
		}
		if err := w.impair(n, Quarantined, why); err != nil {
			return err
		}
	}
	return nil
}

// approve waits for a second person, where the plan wants one.
func (w *walk) approve() error {
	if !needsApproval(w.plan, w.op.Verb) {
		return nil
	}
	if w.op.Approved != nil && w.op.Approved.Digest == digest(w.op.Envelope) {
		return nil
	}
	return errAwaits
}

// hook runs the plan's hook of the stage, journaled like a step. On the way back there is only one to run: what the hook
// of freeze stopped goes on by that of unfreeze.
func (w *walk) hook(ctx context.Context, row Row) error {
	name, ok := w.plan.Hooks[row.Stage]
	if !ok || w.op.Verb == understudy.Replicate || w.done(row.Stage, "", hookStep) {
		return nil
	}
	if w.op.Aborting && (row.Stage != understudy.StageUnfreeze || !frozenByHook(w.log)) {
		return nil
	}
	if err := w.boundary(); err != nil {
		return err
	}
	step := understudy.Step{ID: hookStep, Kind: hookStep, Class: understudy.Idempotent, Summary: "run the hook " + string(name), Skippable: true}
	attempt := 1
	for _, e := range w.log {
		if w.about(e, row.Stage, "", hookStep) && e.Kind == EventFailed {
			attempt = e.Attempt + 1
		}
	}
	entry := Event{Kind: EventIntent, Stage: row.Stage, Pass: w.op.Pass, Step: &step, Attempt: attempt}
	if err := w.amend(func(*Operation, *change) ([]Event, error) { return []Event{entry}, nil }); err != nil {
		return err
	}
	if w.s.opt.Hooks == nil {
		return w.failed(entry, invalid("US245", w.op.object(), "this member has no hooks", "name the hook "+string(name)+" in serve's configuration"))
	}
	output, err := w.s.opt.Hooks.RunHook(ctx, name, w.environment(row.Stage, attempt))
	if err != nil && errors.Is(context.Cause(ctx), errYielded) {
		return errYielded
	}
	if err != nil {
		return w.failed(entry, err)
	}
	entry.Kind = EventResult
	entry.Receipt = &understudy.Receipt{Step: hookStep, Kind: hookStep, Stage: row.Stage, Summary: output}
	return w.amend(func(*Operation, *change) ([]Event, error) { return []Event{entry}, nil })
}

// hookStep is the id of the step that a hook is journaled as.
const hookStep = "hook"

// frozenNote marks an operation that took the place of another one whose hook of freeze nobody has made up for.
const frozenNote = "its hook of freeze ran, and none of unfreeze yet: "

// frozenByHook says whether the hook of freeze may have run, here or in what this operation took the place of, with none
// of unfreeze after it. The intent counts: nobody knows how far a hook came that failed, or that a crash cut off.
func frozenByHook(log []Event) bool {
	for _, e := range slices.Backward(log) {
		hooked := e.Step != nil && e.Step.ID == hookStep && e.Workload == ""
		switch {
		case hooked && e.Stage == understudy.StageUnfreeze && (e.Kind == EventResult || e.Kind == EventSkipped):
			return false
		case hooked && e.Stage == understudy.StageFreeze, e.Kind == EventNote && strings.HasPrefix(e.Text, frozenNote):
			return true
		}
	}
	return false
}

// environment is what a hook learns. On the way back the sites change places: TO is always where a hook finds, or will
// find, the active side. Not so when one workload is let go by a takeover that stands: the others are active where that went.
func (w *walk) environment(stage understudy.StageName, attempt int) []string {
	var epoch understudy.RoleEpoch
	for _, p := range w.plan.Workloads {
		if r, _, err := w.s.role(w.s.hard, objectOf(p)); err == nil {
			epoch = max(epoch, r.Epoch)
		}
	}
	verb, from, to := w.op.Verb, w.op.From, w.op.To
	if w.op.Aborting {
		verb = understudy.Abort
	}
	if w.op.Aborting && w.op.Joins == "" {
		from, to = to, from
	}
	return []string{
		"UNDERSTUDY_PLAN=" + string(w.op.Plan), "UNDERSTUDY_OPERATION=" + string(w.op.ID),
		"UNDERSTUDY_VERB=" + string(verb), "UNDERSTUDY_STAGE=" + string(stage),
		"UNDERSTUDY_FROM=" + string(from), "UNDERSTUDY_TO=" + string(to),
		fmt.Sprintf("UNDERSTUDY_EPOCH=%d", epoch), fmt.Sprintf("UNDERSTUDY_ATTEMPT=%d", attempt),
	}
}
