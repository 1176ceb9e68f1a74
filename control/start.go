package control

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/journal"
	"github.com/understudy-dr/understudy/workload"
)

// admission is what is looked at before an operation begins.
type admission struct {
	req     StartRequest
	plan    workload.Plan
	rec     planRecord
	version journal.Revision
	// current and takeover are the operations that rec names.
	current, takeover *Operation
	roles             map[understudy.WorkloadName]understudy.Role
	from, to          understudy.Site
}

// Start begins an operation and returns at once, or shows what it would do.
func (c *Controller) Start(ctx context.Context, req StartRequest) (Started, error) {
	s, err := c.ordered()
	if err != nil {
		return Started{}, err
	}
	plan, err := c.plan(ctx, req.Plan)
	if err != nil {
		return Started{}, err
	}
	if req.DryRun {
		d, err := s.dryRun(ctx, plan, req)
		return Started{DryRun: d}, err
	}
	defer s.locks.lock(string(req.Plan))()
	op, err := s.begin(ctx, plan, req)
	return Started{Operation: op}, err
}

// begin begins an operation, under the plan's lock.
func (s *session) begin(ctx context.Context, plan workload.Plan, req StartRequest) (*Operation, error) {
	a, err := s.admit(ctx, plan, req)
	if err != nil {
		return nil, err
	}
	op := a.operation(s)
	var t change
	if err := s.enlist(ctx, a, op, &t); err != nil {
		return nil, err
	}
	if err := s.commit(&t); err != nil {
		return nil, err
	}
	if a.current != nil && exclusive(req.Verb) {
		s.supplant(a.current)
	}
	s.links.freeze(op)
	s.runs.kick(op.ID)
	return op, nil
}

// supplant stops the walk of an operation whose place another has taken.
func (s *session) supplant(old *Operation) {
	old.State = Superseded
	s.links.freeze(old)
	if r := s.runs.find(old.ID); r != nil {
		r.cancel(errPaused)
	}
}

// admit reads what is there and asks the guards.
func (s *session) admit(ctx context.Context, plan workload.Plan, req StartRequest) (*admission, error) {
	a := &admission{req: req, plan: plan, roles: map[understudy.WorkloadName]understudy.Role{}}
	if Stages(req.Verb) == nil || req.Verb == understudy.Duty {
		return nil, invalid("US203", understudy.Object{Plan: req.Plan}, "there is no operation "+string(req.Verb)+" yet", "see `understudy help`")
	}
	if err := a.confirmed(); err != nil {
		return nil, err
	}
	if err := a.meant(); err != nil {
		return nil, err
	}
	var err error
	if req.Verb == understudy.Replicate {
		if err := a.narrow(s); err != nil {
			return nil, err
		}
	}
	if err := s.guardSweeps(a); err != nil {
		return nil, err
	}
	if a.rec, a.version, err = read[planRecord](ctx, s.opt.Journal, keyPlan(plan.Name)); err != nil {
		return nil, err
	}
	if a.current, err = s.named(ctx, a.rec.Current); err != nil {
		return nil, err
	}
	if a.takeover, err = s.named(ctx, a.rec.Takeover); err != nil {
		return nil, err
	}
	if err := s.mayTakePlace(ctx, a.req); err != nil {
		return nil, err
	}
	for _, p := range a.plan.Workloads {
		role, version, err := s.role(ctx, objectOf(p))
		if err != nil {
			return nil, err
		}
		if version != 0 {
			a.roles[p.Name] = role
		}
	}
	if err := a.direct(); err != nil {
		return nil, err
	}
	if err := a.guard(); err != nil || req.Verb != understudy.Replicate {
		return a, err
	}
	return a, s.guardRun(ctx, a)
}

// mayTakePlace refuses a failover in the place of what is not there or has ended: whoever named it means another state of
// the plan than there is.
func (s *session) mayTakePlace(ctx context.Context, req StartRequest) error {
	if req.Supersede == "" {
		return nil
	}
	o := understudy.Object{Plan: req.Plan}
	if req.Verb != understudy.Failover {
		return invalid("US505", o, "only a failover takes the place of an operation", "leave --supersede out, or order a failover")
	}
	op, err := s.named(ctx, req.Supersede)
	if err != nil {
		return err
	}
	if op == nil || op.Plan != req.Plan {
		e := notFound("operation", string(req.Supersede))
		e.Object, e.Why = o, "the failover would take its place, and the plan has no such operation"
		return e
	}
	if op.State.Final() {
		return refused("US210", op.object(), fmt.Sprintf("operation %s (%s) is %s: there is nothing to take the place of", op.ID, op.Verb, op.State),
			"leave --supersede out; `understudy get operations "+string(req.Plan)+"` shows what is open")
	}
	return nil
}

func (s *session) named(ctx context.Context, id understudy.OperationID) (*Operation, error) {
	if id == "" {
		return nil, nil
	}
	op, version, err := read[Operation](ctx, s.opt.Journal, keyOp(id))
	if err != nil || version == 0 {
		return nil, err
	}
	return &op, nil
}

// confirmed wants the plan's name typed where a role moves or protection ends, and a name for a person's word.
func (a *admission) confirmed() error {
	o := understudy.Object{Plan: a.req.Plan}
	if a.req.By == "" {
		return invalid("US204", o, "nobody is named as the one who asks", "name who asks")
	}
	severe := isTakeover(a.req.Verb) || a.req.Verb == understudy.Unprotect || a.req.Verb == understudy.Reprotect
	if severe && !a.req.DryRun && a.req.Confirm != string(a.req.Plan) {
		return refused("US205", o, "this needs the plan's name as confirmation", "add --confirm="+string(a.req.Plan))
	}
	return nil
}

// meant refuses what cannot be meant. A level that is none would otherwise rank below all of them, and lower the floor.
func (a *admission) meant() error {
	o, r := understudy.Object{Plan: a.req.Plan}, a.req
	if r.FenceFloor != "" && (r.FenceFloor.Rank() < understudy.F2.Rank() || r.FenceFloor.Rank() > understudy.F5.Rank()) {
		return invalid("US505", o, fmt.Sprintf("%q is no fence level that could be enough", r.FenceFloor), "name F2, F3, F4 or F5")
	}
	if r.MaxLoss != nil && *r.MaxLoss < 0 {
		return invalid("US505", o, "less than nothing cannot be lost", "give --max-loss as a duration such as 5m, or 0s")
	}
	for _, p := range r.Shards {
		if _, err := regexp.Compile(p); err != nil {
			return invalid("US411", o, fmt.Sprintf("%q is not a pattern of shards", p), "write an RE2 expression that matches whole names, such as orders.*")
		}
	}
	return nil
}

// direct finds out between which sites the operation goes.
func (a *admission) direct() error {
	o := understudy.Object{Plan: a.req.Plan}
	a.to = a.req.To
	switch a.req.Verb {
	case understudy.Failback:
		a.to = a.plan.Home
	case understudy.Commit, understudy.Rollback:
		return a.undoing()
	default: // the others need nothing here
	}
	a.leaveOut()
	active, err := a.active()
	if err != nil {
		return err
	}
	if active == "" && a.req.Verb != understudy.Protect {
		return refused("US206", o, "the plan is not protected", "understudy protect "+string(a.req.Plan))
	}
	a.from = active
	if active == "" {
		a.from = a.plan.Home
	}
	if a.to == "" {
		a.to = other(a.plan, a.from)
	}
	if !slices.Contains(a.plan.Sites, a.to) {
		return invalid("US207", o, "the plan has no site "+string(a.to), "name one of its sites with --to")
	}
	return nil
}

// leaveOut takes out of a takeover the workloads that are active already where it goes: one that was let go by an
// earlier takeover waits there for the others.
func (a *admission) leaveOut() {
	if !isTakeover(a.req.Verb) || a.to == "" {
		return
	}
	rest := slices.DeleteFunc(slices.Clone(a.plan.Workloads), func(p workload.Planned) bool {
		return a.roles[p.Name].IsActive(a.to)
	})
	if len(rest) > 0 {
		a.plan.Workloads = rest
	}
}

// undoing finds the takeover that a commit or rollback is about.
func (a *admission) undoing() error {
	o := understudy.Object{Plan: a.req.Plan}
	if a.takeover == nil {
		return refused("US208", o, "there is no takeover that waits for a commit", "look at `understudy status "+string(a.req.Plan)+"`")
	}
	a.from, a.to = a.takeover.From, a.takeover.To
	if a.req.Verb == understudy.Rollback {
		if TableVerb(a.takeover.Verb) == understudy.Failover {
			return refused("US217", o, "a failover cannot be rolled back: the old side has lost its place, and what was written since would be lost",
				"commit it, reprotect, and fail back")
		}
		a.from, a.to = a.takeover.To, a.takeover.From
	}
	return nil
}

// active gives the site that the workloads agree on, active or last active; empty when none was ever protected.
func (a *admission) active() (understudy.Site, error) {
	var found understudy.Site
	for _, p := range a.plan.Workloads {
		role, ok := a.roles[p.Name]
		if !ok {
			continue
		}
		sources := role.Sources()
		if len(sources) != 1 || found != "" && sources[0] != found {
			return "", refused("US209", objectOf(p), "the workloads of the plan do not agree on the active site", "name the site with --to: those that are there already stay")
		}
		found = sources[0]
	}
	return found, nil
}

// superseding says whether a failover takes the place of the open operation: the person named it, or it does not
// change a role by itself and is pre-empted.
func (a *admission) superseding() bool {
	if a.req.Verb != understudy.Failover || a.current == nil {
		return false
	}
	preempted := !isTakeover(a.current.Verb)
	return preempted || a.req.Supersede == a.current.ID
}

// guard asks the guards of the gate start.
func (a *admission) guard() error {
	f := Facts{
		Verb:        a.req.Verb,
		Busy:        exclusive(a.req.Verb) && a.current != nil && !a.superseding(),
		Uncommitted: a.takeover != nil,
		TargetIsOld: a.from == a.to,
		Whole:       a.takeover == nil || whole(a.takeover),
	}
	refusal := pass(Guards(), GateStart, f, understudy.Object{Plan: a.req.Plan})
	if refusal == nil && a.req.Verb == understudy.Commit {
		refusal = pass(Guards(), GateSettle, f, understudy.Object{Plan: a.req.Plan})
	}
	if refusal == nil {
		return nil
	}
	if f.Uncommitted && refusal.Code == "US213" {
		refusal.Fix = "understudy commit " + string(a.req.Plan)
		if TableVerb(a.takeover.Verb) != understudy.Failover {
			refusal.Fix += ", or understudy rollback " + string(a.req.Plan)
		}
	}
	if f.Busy {
		refusal.Why = "operation " + string(a.current.ID) + " (" + string(a.current.Verb) + ") is " + string(a.current.State)
	}
	return refusal
}

// holds says whether the operation moved the workload.
func (op *Operation) holds(n understudy.WorkloadName) bool {
	p := op.part(n)
	return p != nil && (p.State == Included || p.State == Impaired)
}

func whole(op *Operation) bool {
	return !slices.ContainsFunc(op.Parts, func(p Part) bool { return p.State == Quarantined })
}

// operation is the new record.
func (a *admission) operation(s *session) *Operation {
	now := s.opt.Now()
	floor := a.req.FenceFloor
	if floor == "" {
		floor = understudy.F2
	}
	op := &Operation{
		ID: understudy.OperationID("op-" + randomName(8)), Verb: a.req.Verb, Plan: a.plan.Name, State: Validated,
		Stages: stagesOf(Stages(a.req.Verb)), From: a.from, To: a.to, By: a.req.By, Reason: a.req.Reason, Created: now,
		Envelope: understudy.Envelope{
			Verb: a.req.Verb, Plan: a.plan.Name, Workloads: names(a.plan), To: a.to, MaxLoss: a.req.MaxLoss, FenceFloor: floor,
		},
		Shards: a.req.Shards, Quick: a.req.Quick,
	}
	for _, site := range a.req.AcceptFence {
		op.Envelope.Acceptances = append(op.Envelope.Acceptances, word(site, a.req.As, a.req.By, now))
	}
	op.Envelope.Consents = consents(a.req.Accept, a.req.By, now)
	undoes := a.takeover != nil && (a.req.Verb == understudy.Commit || a.req.Verb == understudy.Rollback)
	for _, p := range a.plan.Workloads {
		if undoes && !a.takeover.holds(p.Name) {
			continue
		}
		op.Parts = append(op.Parts, Part{Workload: p.Name, State: Included, Before: a.roles[p.Name]})
	}
	if undoes {
		op.Undoes = a.takeover.ID
	}
	op.Marks.Started = now
	return op
}

// enlist puts the new operation into a transaction, with what it supersedes.
func (s *session) enlist(ctx context.Context, a *admission, op *Operation, t *change) error {
	for _, p := range a.plan.Workloads {
		for _, l := range linksTo(s, p, a) {
			last, err := s.lastGood(ctx, p, l)
			if err != nil {
				return err
			}
			if !last.IsZero() && (op.Marks.LastGood.IsZero() || last.Before(op.Marks.LastGood)) {
				op.Marks.LastGood = last
			}
		}
	}
	if op.Verb == understudy.Replicate {
		if err := s.enlistRun(ctx, a, op, t); err != nil {
			return err
		}
	}
	began := Event{Kind: EventBegan, By: a.req.By, Text: string(a.req.Verb) + " " + string(a.plan.Name) + " to " + string(a.to)}
	for _, sweep := range op.Sweeps {
		began.Text += ", " + string(sweep)
	}
	events := []Event{began}
	if exclusive(op.Verb) {
		notes, err := s.supersede(a, op, t)
		if err != nil {
			return err
		}
		events = append(events, notes...)
		a.rec.Current = op.ID
		t.put(keyPlan(a.plan.Name), a.version, a.rec)
	}
	s.writeOp(t, op, 0, events)
	return nil
}

// lastGood is when the newest answered poll of a link's source was sent. A source that only runs look at has no polls:
// there it is when the first run began that missed it, and zero when none has.
func (s *session) lastGood(ctx context.Context, p workload.Planned, l understudy.Link) (time.Time, error) {
	if !s.scheduled(p) {
		progress, _, err := s.progress(ctx, l)
		return progress.LastPoll, err
	}
	r, _, err := read[runRecord](ctx, s.opt.Journal, keySchedule(l))
	if err != nil {
		return time.Time{}, err
	}
	newest, err := s.named(ctx, r.Run)
	return r.missed(newest), err
}

func linksTo(s *session, p workload.Planned, a *admission) []understudy.Link {
	kind, _ := s.opt.Registry.Kind(p.Kind)
	return slices.DeleteFunc(kind.Links(p.Spec, a.roles[p.Name]), func(l understudy.Link) bool { return l.To != a.to })
}

// supersede ends what a failover takes the place of. Before PROMOTE it inherits the receipts; after, it begins
// anew from the side that was promoted. What the old operation's hook of freeze stopped is from now on this one's to let
// go on, whichever way it ends: the notes say so.
func (s *session) supersede(a *admission, op *Operation, t *change) ([]Event, error) {
	if a.req.Verb != understudy.Failover {
		return nil, nil
	}
	var notes []Event
	for _, old := range []*Operation{a.current, a.takeover} {
		if old == nil {
			continue
		}
		prior, version, err := read[Operation](s.hard, s.opt.Journal, keyOp(old.ID))
		if err != nil {
			return nil, err
		}
		e, err := prior.enter(Supersede, a.req.By, "superseded by "+string(op.ID))
		if err != nil {
			return nil, err
		}
		log, err := readAll[Event](s.hard, s.opt.Journal, prefixEvents(old.ID))
		if err != nil {
			return nil, err
		}
		if frozenByHook(log) {
			notes = append(notes, Event{Kind: EventNote, Text: frozenNote + string(old.ID)})
		}
		if old == a.current && prior.takeover() && !prior.Promoted && prior.To == op.To {
			op.inherit(&prior)
		}
		s.writeOp(t, &prior, version, []Event{e})
	}
	a.rec.Current, a.rec.Takeover = "", ""
	return notes, nil
}

// inherit lets the receipts of another operation count, and with them the roles from before it.
func (op *Operation) inherit(prior *Operation) {
	op.Inherits = prior.ID
	for i := range op.Parts {
		if p := prior.part(op.Parts[i].Workload); p != nil {
			op.Parts[i].Before = p.Before
		}
	}
}
