package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/journal"
	"github.com/understudy-dr/understudy/workload"
)

// The methods of Controller in this file, start.go, acting.go, watch.go, status.go, report.go and ledger.go
// are the whole surface for the API and the command line. All errors are *understudy.Error: kind refused for a
// safety check, conflict where the caller's base is old, not-found, invalid, and fenced when this member does not
// lead (the error names who does).

// ordered gives the term of a member that takes orders.
func (c *Controller) ordered() (*session, error) {
	c.mu.Lock()
	s, settling := c.leading, c.settling
	c.mu.Unlock()
	if s != nil {
		return s, nil
	}
	e := &understudy.Error{
		Code: "US219", Kind: understudy.KindFenced, Op: "control", Summary: "this member does not lead",
		Fix: "ask the leading member",
	}
	if settling {
		e.Summary = "this member leads soon: it waits until a former leader can have nothing in flight"
		e.Kind, e.Fix = understudy.KindRetry, "ask again in some seconds"
		return nil, e
	}
	if l, err := c.Leader(context.Background()); err == nil && l.Holder != "" {
		e.Why = l.Holder + " leads"
	}
	return nil, e
}

// Leader says who leads.
func (c *Controller) Leader(ctx context.Context) (Leader, error) {
	e, err := c.opt.Journal.Get(ctx, journal.LeaderKey(leadership))
	if err != nil {
		return Leader{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l := Leader{Holder: string(e.Value), Self: c.leading != nil, Settling: c.settling}
	if e.Version != 0 {
		l.Term = int64(e.Version)
	}
	return l, nil
}

// Documents gives the applied documents.
func (c *Controller) Documents(ctx context.Context) (Documents, error) {
	d, _, err := read[Documents](ctx, c.opt.Journal, keyDocuments)
	return d, err
}

// Apply replaces the documents. It is refused when they changed since the caller's base, when they do not
// compile or name what serve's configuration does not know, when they change a plan with an open operation, and when they drop or move a protected workload.
// It never changes a role.
func (c *Controller) Apply(ctx context.Context, req ApplyRequest) (Documents, error) {
	s, err := c.ordered()
	if err != nil {
		return Documents{}, err
	}
	next, err := c.opt.Compile(req.Text)
	if err != nil {
		return Documents{}, err
	}
	if err := c.admit(ctx, req.Text); err != nil {
		return Documents{}, err
	}
	if err := s.mayApply(ctx, next); err != nil {
		return Documents{}, err
	}
	s.runs.yield(ctx, "")
	s.use.Lock()
	defer s.use.Unlock()
	docs, version, err := read[Documents](ctx, s.opt.Journal, keyDocuments)
	if err != nil {
		return docs, err
	}
	if docs.Version != req.Base {
		return docs, &understudy.Error{
			Code: "US218", Kind: understudy.KindConflict, Op: "control.apply",
			Summary: "the documents changed since this change was begun", Why: docs.By + " applied another version",
			Fix: "understudy diff, then apply again",
		}
	}
	if err := s.mayApply(ctx, next); err != nil {
		return docs, err
	}
	docs = Documents{Text: req.Text, Version: docs.Version + 1, By: req.By, At: s.opt.Now()}
	var t change
	t.put(keyDocuments, version, docs)
	s.links.stopAll()
	s.handles.close()
	s.seen.forget()
	if err := s.commit(&t); err != nil {
		return docs, errors.Join(err, s.links.resume())
	}
	return docs, s.links.resume()
}

// admit refuses documents that name what serve's configuration does not know.
func (c *Controller) admit(ctx context.Context, documents string) error {
	if c.opt.Admit == nil {
		return nil
	}
	now, err := c.Documents(ctx)
	if err != nil {
		return err
	}
	return c.opt.Admit(now.Text, documents)
}

// MostWorkloads is the highest number of workloads of a plan. Their roles move together or not at all, so all of them
// fit in one transaction of the journal: a role and an entry each, beside the operation and the plan.
const MostWorkloads = (journal.MaxOps - 10) / 2

// mayApply refuses plans that are too large, changes under an open operation, and the loss of a protected workload.
func (s *session) mayApply(ctx context.Context, next Plans) error {
	for _, plan := range next {
		if n := len(plan.Workloads); n > MostWorkloads {
			return refused("US259", understudy.Object{Plan: plan.Name}, fmt.Sprintf("the plan has %d workloads, and at most %d move in one transaction", n, MostWorkloads),
				"make two plans of it")
		}
	}
	now, err := s.c.plans(ctx)
	if err != nil {
		// Documents that no longer compile may be replaced by some that do.
		return nil
	}
	ops, err := readAll[Operation](ctx, s.opt.Journal, prefixOps)
	if err != nil {
		return err
	}
	for _, op := range ops {
		resting := op.Verb == understudy.Replicate && op.State.Resting()
		if op.State.Final() || op.State == CommitWindow || op.Verb == understudy.Duty || resting {
			continue
		}
		if paused := op.State == PausedByOperator || op.State == PausedByStep; paused && onlyEndpoints(now, next, op.Plan) {
			// What paused it may be an address that is wrong, or has changed with the disaster.
			continue
		}
		return refused("US257", op.object(), "operation "+string(op.ID)+" is open",
			"finish or abort it first; while it is paused, the endpoints of its clusters may be changed, and nothing else of its plan")
	}
	for _, plan := range now {
		for _, p := range plan.Workloads {
			recs, err := readAll[linkRecord](ctx, s.opt.Journal, linkPrefix(p))
			if err != nil {
				return err
			}
			if len(recs) == 0 {
				continue
			}
			to, _ := next.Find(plan.Name)
			q, ok := to.Workload(p.Name)
			if !ok || q.Kind != p.Kind || s.scheduled(q) != s.scheduled(p) || !slices.Equal(q.Sites, p.Sites) || to.Home != plan.Home {
				return refused("US258", objectOf(p), "the workload is protected: it can be neither dropped nor moved", "understudy unprotect "+string(plan.Name))
			}
		}
	}
	return nil
}

// onlyEndpoints says that a plan stays as it is but for the endpoints of its clusters.
func onlyEndpoints(now, next Plans, name understudy.PlanName) bool {
	bare := func(plans Plans) (workload.Plan, bool) {
		p, ok := plans.Find(name)
		p.Workloads = slices.Clone(p.Workloads)
		for i := range p.Workloads {
			p.Workloads[i].Clusters = nil
		}
		return p, ok
	}
	a, before := bare(now)
	b, after := bare(next)
	return before && after && digest(a) == digest(b)
}

// Plans lists the applied plans.
func (c *Controller) Plans(ctx context.Context) ([]PlanInfo, error) {
	plans, err := c.plans(ctx)
	out := make([]PlanInfo, 0, len(plans))
	for _, p := range plans {
		out = append(out, PlanInfo{Plan: p.Name, Home: p.Home, Sites: p.Sites, Workloads: names(p)})
	}
	return out, err
}

// Operations lists operations, newest first.
func (c *Controller) Operations(ctx context.Context, req OperationsRequest) ([]Operation, error) {
	ops, err := readAll[Operation](ctx, c.opt.Journal, prefixOps)
	if err != nil {
		return nil, err
	}
	ops = slices.DeleteFunc(ops, func(op Operation) bool {
		return req.Plan != "" && op.Plan != req.Plan || req.Open && op.State.Final()
	})
	if len(ops) == 0 && req.Plan != "" {
		// A misspelt name must not look like a plan on which nothing was ever done.
		if _, err := c.plan(ctx, req.Plan); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(ops, func(a, b Operation) int {
		if c := b.Created.Compare(a.Created); c != 0 {
			return c
		}
		return cmp.Compare(a.ID, b.ID)
	})
	return ops, nil
}

// Operation gives one operation as it stands.
func (c *Controller) Operation(ctx context.Context, id understudy.OperationID) (Operation, error) {
	op, version, err := read[Operation](ctx, c.opt.Journal, keyOp(id))
	if err == nil && version == 0 {
		err = notFound("operation", string(id))
	}
	if s, lerr := c.ordered(); lerr == nil {
		op.Now, op.Retrying = s.runs.find(id).now(), s.runs.find(id).again()
	}
	return op, err
}

// Doctor looks at all sites of a plan, or of all plans when none is named, and changes nothing.
func (c *Controller) Doctor(ctx context.Context, plan understudy.PlanName) (Findings, error) {
	plans, err := c.plans(ctx)
	if err != nil {
		return Findings{}, err
	}
	if plan != "" {
		one, ok := plans.Find(plan)
		if !ok {
			return Findings{}, notFound("plan", string(plan))
		}
		plans = Plans{one}
	}
	return c.examineAll(ctx, plans)
}

// Try looks at all sites of plans that are not applied, as Doctor does, and keeps nothing of them. What is remembered of
// an applied plan of the same name counts. What Apply would refuse for its names is refused here too.
func (c *Controller) Try(ctx context.Context, documents string) (Findings, error) {
	plans, err := c.opt.Compile(documents)
	if err != nil {
		return Findings{}, err
	}
	if err := c.admit(ctx, documents); err != nil {
		return Findings{}, err
	}
	return c.examineAll(ctx, plans)
}

func (c *Controller) examineAll(ctx context.Context, plans Plans) (Findings, error) {
	id, _, err := read[string](ctx, c.opt.Journal, keyControlPlane)
	if err != nil {
		return Findings{}, err
	}
	out := Findings{At: c.opt.Now()}
	for _, p := range plans {
		for _, w := range p.Workloads {
			f := WorkloadFindings{Plan: p.Name, Workload: w.Name}
			f.Error = understudy.AsError(c.examine(ctx, w, id, &f))
			out.Workloads = append(out.Workloads, f)
		}
	}
	return out, nil
}

// examine looks at one workload's sites with an opening of its own, so that every member can.
func (c *Controller) examine(ctx context.Context, p workload.Planned, id string, f *WorkloadFindings) error {
	ctx, cancel := context.WithTimeout(ctx, probeBudget)
	defer cancel()
	var gone absences
	if err := c.absent(ctx, p, &gone); err != nil {
		return err
	}
	_, w, err := c.open(ctx, p, id, &gone)
	if err != nil {
		return err
	}
	obs, err := w.Observe(workload.WithDoctor(ctx))
	markAbsent(p, &gone, obs)
	f.Sites, f.Findings = obs.Sites, obs.Findings
	if err == nil {
		f.Findings, err = recognised(ctx, c.opt.Journal, w, p, obs)
	}
	return errors.Join(err, w.Close())
}

// recognised gives the findings of an observation, and a refusal where what answers at a site is not what is
// remembered of it. The memory is the kind's own, so its Decide is asked, at the stage check of a verification: a
// stage that no kind has steps for.
func recognised(ctx context.Context, j journal.Journal, w workload.Workload, p workload.Planned, obs workload.Observation) ([]workload.Finding, error) {
	kept, err := kept(ctx, j, objectOf(p))
	if err != nil {
		return obs.Findings, err
	}
	role, _, err := read[understudy.Role](ctx, j, keyRole(objectOf(p)))
	if err != nil {
		return obs.Findings, err
	}
	_, refusal := w.Decide(understudy.Stage{
		Name: understudy.StageCheck, Verb: understudy.Verify, Workload: p.Name, Plan: p.Plan,
		Before: role, Now: role, After: role, Kept: kept,
	}, obs)
	if refusal == nil {
		return obs.Findings, nil
	}
	e := understudy.AsError(refusal)
	return append(slices.Clone(obs.Findings), workload.Finding{Code: e.Code, Level: "refuse", Object: e.Object, Summary: e.Summary, Fix: e.Fix}), nil
}
