package control

import (
	"context"
	"fmt"
	"slices"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// replicateRows is one run of replication in an architecture without a mover, of one workload.
func replicateRows() []Row {
	return []Row{
		{Stage: understudy.StageCheck, Before: acts(ActOwn), Steps: true},
		{Stage: understudy.StageProvision, Before: acts(ActProvision, ActOwn), Steps: true},
		{Stage: understudy.StageCapture, Steps: true},
		{Stage: understudy.StageCopy, Steps: true},
		{Stage: understudy.StageApply, Steps: true},
		{Stage: understudy.StageProve, Steps: true, After: acts(ActNeedStaged)},
		{Stage: understudy.StagePublish, Steps: true, After: acts(ActNeedPublished)},
		{Stage: understudy.StageRelease, Steps: true, After: acts(ActDismiss)},
	}
}

// runGuards are the guards of runs of replication.
func runGuards() []Guard {
	return []Guard{
		{"in place", GateRun, "US272", func(f Facts) bool { return f.InPlace },
			"no protected link runs from the active side to that site", "look at `understudy status`"},
		{"single", GateRun, "US273", func(f Facts) bool { return !f.Replicating },
			"a run of the workload is open", "wait until it has ended, or abort it"},
		{"undisturbed", GateRun, "US274", func(f Facts) bool { return !f.Busy },
			"an operation that changes roles or links is open", "it begins by schedule when that has ended"},
		{"in place", GatePublish, "US275", func(f Facts) bool { return f.InPlace },
			"the run has lost its place: what it put in place does not count as published", "look at `understudy status`"},
	}
}

// scheduled says whether no mover follows the workload's links.
func (s *session) scheduled(p workload.Planned) bool {
	kind, _ := s.opt.Registry.Kind(p.Kind)
	return kind.Scheduled(p.Architecture)
}

// narrow leaves in the plan the one workload that is to be replicated.
func (a *admission) narrow(s *session) error {
	var found []workload.Planned
	for _, p := range a.plan.Workloads {
		if (a.req.Workload == "" || p.Name == a.req.Workload) && s.scheduled(p) {
			found = append(found, p)
		}
	}
	o := understudy.Object{Plan: a.req.Plan, Workload: a.req.Workload}
	switch _, known := a.plan.Workload(a.req.Workload); {
	case len(found) == 1:
		a.plan.Workloads = found
		return nil
	case len(found) > 1:
		return invalid("US271", o, "several workloads of the plan are replicated by schedule", "add --workload NAME")
	case a.req.Workload != "" && !known:
		return notFound("workload", string(a.req.Workload))
	default:
		return invalid("US270", o, "no run is needed: a mover follows the source all the time", "look at `understudy status "+string(a.req.Plan)+"`")
	}
}

// link is what a run copies along.
func (a *admission) link() understudy.Link {
	return understudy.Link{Plan: a.plan.Name, Workload: a.plan.Workloads[0].Name, From: a.from, To: a.to}
}

// guardRun asks the guards before a run.
func (s *session) guardRun(ctx context.Context, a *admission) error {
	p := a.plan.Workloads[0]
	rec, _, err := read[linkRecord](ctx, s.opt.Journal, keyLink(a.link()))
	if err != nil {
		return err
	}
	open, err := s.openRun(ctx, objectOf(p))
	if err != nil {
		return err
	}
	role := a.roles[p.Name]
	f := Facts{
		Verb: a.req.Verb, InPlace: rec.Wanted && role.IsActive(a.from) && !role.IsActive(a.to),
		Replicating: open != nil && open.State != PausedByStep, Busy: a.current != nil && !mayRunBeside(a.current),
	}
	refusal := pass(Guards(), GateRun, f, objectOf(p))
	if refusal == nil {
		return nil
	}
	switch {
	case refusal.Code == "US273":
		refusal.Why = "operation " + string(open.ID) + " is " + string(open.State) + " at stage " + string(open.Stage)
	case refusal.Code == "US274":
		refusal.Why = "operation " + string(a.current.ID) + " (" + string(a.current.Verb) + ") is " + string(a.current.State)
	}
	return refusal
}

// mayRunBeside says whether a run may go on beside an open operation: a takeover that rests before its first effect,
// for instance until somebody approves it, must not let the exposure grow meanwhile, nor must an unprotect or a
// reprotect. It ends the run when it goes on.
func mayRunBeside(op *Operation) bool {
	ends := op.takeover() || op.Verb == understudy.Unprotect || op.Verb == understudy.Reprotect
	return ends && op.State.Resting() && op.Inherits == "" && op.looksOn()
}

// looksOn says that an operation stands where nothing was changed yet: what it is about is looked at, stated and approved.
func (op *Operation) looksOn() bool {
	before := []understudy.StageName{understudy.StageCheck, understudy.StageConfirm, understudy.StageBound, understudy.StageApprove}
	return !op.Aborting && slices.Contains(before, op.Stage)
}

// openRun gives the run of a workload that has not come to its end; nil when there is none.
func (s *session) openRun(ctx context.Context, o understudy.Object) (*Operation, error) {
	ops, err := s.runsOf(ctx, o)
	if err != nil {
		return nil, err
	}
	for i := range ops {
		if !ops[i].State.Final() {
			return &ops[i], nil
		}
	}
	return nil, nil
}

// runsOf lists the runs of a workload that the journal keeps, newest first.
func (s *session) runsOf(ctx context.Context, o understudy.Object) ([]Operation, error) {
	ops, err := readAll[Operation](ctx, s.opt.Journal, prefixOps)
	if err != nil {
		return nil, err
	}
	ops = slices.DeleteFunc(ops, func(op Operation) bool {
		return op.Verb != understudy.Replicate || op.Plan != o.Plan || op.part(o.Workload) == nil
	})
	slices.SortFunc(ops, func(a, b Operation) int { return b.Created.Compare(a.Created) })
	return ops, nil
}

// published makes what a receipt says is shown at the target now the link's progress, in the receipt's transaction.
// The link is that of the operation, and must be one of the present role.
func (s *session) published(t *change, op *Operation, p workload.Planned, r understudy.Receipt) error {
	if r.Published == nil {
		return nil
	}
	role, _, err := s.role(s.hard, objectOf(p))
	if err != nil {
		return err
	}
	l := understudy.Link{Plan: p.Plan, Workload: p.Name, From: op.From, To: op.To}
	kind, _ := s.opt.Registry.Kind(p.Kind)
	f := Facts{Verb: op.Verb, InPlace: slices.Contains(kind.Links(p.Spec, role), l)}
	if refusal := pass(Guards(), GatePublish, f, objectOf(p)); refusal != nil {
		return refusal
	}
	if r.Published.Set == "" || r.Published.SourceTime.IsZero() {
		return bug("a set was published without a name or without the time of its source")
	}
	t.set(keyProgress(l), understudy.Progress{
		Link: l, Epoch: role.Epoch, At: s.opt.Now(), State: understudy.Protected, Published: r.Published,
		Safe: r.Published.SourceTime, LastPoll: r.Published.SourceTime,
		CopiedRecords: r.Published.Records, CopiedBytes: r.Published.Bytes,
	})
	return nil
}

// needPublished demands that this operation has published.
func (w *walk) needPublished(_ context.Context, p workload.Planned) error {
	for _, r := range w.receipts(p.Name) {
		if r.Published != nil {
			return nil
		}
	}
	return refused("US277", objectOf(p), "the stage ended without a published set", "retry")
}

// copied demands, in place of waiting for a mover, that the links into the target show a set under the present role.
func (w *walk) copied(ctx context.Context, p workload.Planned) error {
	role, _, err := w.s.role(ctx, objectOf(p))
	if err != nil {
		return err
	}
	for _, l := range w.into(p, role) {
		progress, ok, err := w.s.progress(ctx, l)
		if err != nil {
			return err
		}
		if !ok || progress.Published == nil || progress.Epoch < role.Epoch {
			return refused("US277", objectOf(p), fmt.Sprintf("nothing was published along %s", l), "retry")
		}
	}
	return nil
}
