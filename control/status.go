package control

import (
	"context"
	"fmt"
	"slices"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// Status gives one plan's status. It asks no cluster: it shows what is known, and since when.
func (c *Controller) Status(ctx context.Context, name understudy.PlanName) (PlanStatus, error) {
	plan, err := c.plan(ctx, name)
	if err != nil {
		return PlanStatus{}, err
	}
	out := PlanStatus{Plan: name, Home: plan.Home, Sites: plan.Sites, Verdict: "ok", At: c.opt.Now()}
	if out.Leader, err = c.Leader(ctx); err != nil {
		return out, err
	}
	view := c.view()
	for _, p := range plan.Workloads {
		w, err := view.workload(ctx, p)
		if err != nil {
			return out, err
		}
		out.Workloads = append(out.Workloads, w)
		out.Verdict = worse(out.Verdict, judgement(w))
	}
	return out, view.openOperation(ctx, &out)
}

// view reads what status, metrics and reports show, from the journal and, on the leading member, from memory.
type view struct {
	s       *session
	leading bool
}

// view gives a reading of this member, whether it leads or not.
func (c *Controller) view() view {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leading != nil {
		return view{s: c.leading, leading: true}
	}
	idle := &session{c: c, opt: &c.opt}
	idle.links = newFollows(idle)
	return view{s: idle}
}

// openOperation fills in the operation that is not finished, and what a person would do now.
func (v view) openOperation(ctx context.Context, out *PlanStatus) error {
	rec, _, err := read[planRecord](ctx, v.s.opt.Journal, keyPlan(out.Plan))
	if err != nil {
		return err
	}
	id := rec.Current
	if id == "" {
		id = rec.Takeover
	}
	if out.Current, err = v.s.named(ctx, id); err != nil {
		return err
	}
	switch {
	case out.Current != nil && v.leading:
		out.Current.Now, out.Current.Retrying = v.s.runs.find(id).now(), v.s.runs.find(id).again()
		out.Next = out.Current.Next
	case out.Current != nil:
		out.Next = out.Current.Next
	default:
		out.Next = nextOf(out)
	}
	return nil
}

// nextOf is the command that brings a plan without an open operation forward.
func nextOf(s *PlanStatus) string {
	for _, w := range s.Workloads {
		switch {
		case w.Role == nil || len(w.Links) == 0 && len(w.Old) == 0:
			return "understudy protect " + string(s.Plan)
		case w.Protection == understudy.Unprotected, w.Protection == understudy.Diverged:
			return "understudy reprotect " + string(s.Plan)
		case w.Role.IsActive(s.Home):
			continue
		default:
			return "understudy failback " + string(s.Plan)
		}
	}
	return ""
}

// workload gathers one workload's status.
func (v view) workload(ctx context.Context, p workload.Planned) (WorkloadStatus, error) {
	o := objectOf(p)
	out := WorkloadStatus{
		Workload: p.Name, Kind: p.Kind, Architecture: p.Architecture, Objective: p.RPO, RTO: p.RTO,
		Protection: understudy.Unprotected,
	}
	role, version, err := v.s.role(ctx, o)
	if err != nil {
		return out, err
	}
	if version != 0 {
		out.Role = &role
	}
	if err := v.links(ctx, p, role, &out); err != nil {
		return out, err
	}
	if out.Clusters, err = v.clusters(ctx, p); err != nil {
		return out, err
	}
	if out.Old, err = v.old(ctx, p, role); err != nil {
		return out, err
	}
	if verdict, version, err := read[understudy.Verdict](ctx, v.s.opt.Journal, keyVerdict(o)); err != nil {
		return out, err
	} else if version != 0 {
		out.Verified = &verdict
	}
	ledgers, err := readAll[LedgerRecord](ctx, v.s.opt.Journal, prefixLedger(p.Plan)+string(p.Name)+"/")
	if err != nil {
		return out, err
	}
	for _, l := range ledgers {
		if l.Discarded.IsZero() && l.Records > 0 {
			out.Ledgers++
		}
	}
	if obs, ok := v.s.seen.get(o); ok {
		out.Findings = obs.Findings
	}
	notes, err := v.uncommitted(ctx, p, role)
	out.Notes = append(out.Notes, notes...)
	return out, err
}

// uncommitted gives what the kind has to say of a takeover that is not committed yet.
func (v view) uncommitted(ctx context.Context, p workload.Planned, role understudy.Role) ([]string, error) {
	kind, ok := v.s.opt.Registry.Kind(p.Kind)
	if !ok || kind.Uncommitted == nil || role.None() {
		return nil, nil
	}
	rec, _, err := read[planRecord](ctx, v.s.opt.Journal, keyPlan(p.Plan))
	if err != nil || rec.Takeover == "" {
		return nil, err
	}
	memory, err := kept(ctx, v.s.opt.Journal, objectOf(p))
	if err != nil {
		return nil, err
	}
	seen, _ := v.s.seen.get(objectOf(p))
	return kind.Uncommitted(memory, role, seen), nil
}

// links gathers the links and, from them, protection and exposure.
func (v view) links(ctx context.Context, p workload.Planned, role understudy.Role, out *WorkloadStatus) error {
	recs, err := readAll[linkRecord](ctx, v.s.opt.Journal, linkPrefix(p))
	if err != nil {
		return err
	}
	for _, rec := range recs {
		if !rec.Wanted {
			continue
		}
		l := LinkStatus{Link: rec.Link, Epoch: rec.Epoch, Term: rec.Term, AcrossWAN: v.s.opt.Site != rec.Link.To}
		progress, ok, err := v.s.progress(ctx, rec.Link)
		if err != nil {
			return err
		}
		if l.Schedule, err = v.schedule(ctx, rec.Link); err != nil {
			return err
		}
		l.Running = l.Schedule != nil && l.Schedule.State == Running
		if ok {
			l.Progress = &progress
			out.Notes = append(out.Notes, progress.Notes...)
		}
		if f := v.s.links.find(rec.Link); f != nil {
			f.mu.Lock()
			l.Running, l.Error = f.err == nil, understudy.AsError(f.err)
			f.mu.Unlock()
		}
		out.Links = append(out.Links, l)
		out.Exposure, err = v.s.exposureOf(ctx, p, role, rec.Link.To, v.s.opt.Now())
		if err != nil {
			return err
		}
		out.Protection = protection(l, out.Exposure, p)
	}
	if len(out.Links) == 0 && len(recs) > 0 {
		// Taken over without a way back: what would be lost is everything since.
		out.Exposure, err = v.s.exposureOf(ctx, p, role, other(workload.Plan{Sites: p.Sites}, first(role.Sources())), v.s.opt.Now())
	}
	return err
}

func first(sites []understudy.Site) understudy.Site {
	if len(sites) == 0 {
		return ""
	}
	return sites[0]
}

// protection is the health of a workload: the mover's own view, at risk where the exposure is over the objective.
func protection(l LinkStatus, e understudy.Exposure, p workload.Planned) understudy.Protection {
	switch {
	case l.Progress == nil:
		return understudy.Bootstrapping
	case l.Error != nil:
		return understudy.LinkDown
	case l.Progress.State == understudy.Protected && p.RPO > 0 && e.Known && e.Bound > p.RPO:
		return understudy.AtRisk
	default:
		return l.Progress.State
	}
}

// old gathers what is known of the sites that must not take writes and that no link writes into.
func (v view) old(ctx context.Context, p workload.Planned, role understudy.Role) ([]OldSite, error) {
	recs, err := readAll[linkRecord](ctx, v.s.opt.Journal, linkPrefix(p))
	if err != nil || len(recs) == 0 {
		return nil, err
	}
	op, err := v.s.current(ctx, p.Plan)
	if err != nil {
		return nil, err
	}
	known, err := readAll[OldSite](ctx, v.s.opt.Journal, prefixOld(objectOf(p)))
	if err != nil {
		return nil, err
	}
	var out []OldSite
	for _, site := range p.Sites {
		if !oldSite(role, site) || pass(Guards(), GateDuty, dutyFacts(role, recs, op, site), objectOf(p)) != nil {
			continue
		}
		i := slices.IndexFunc(known, func(o OldSite) bool { return o.Site == site })
		if i < 0 {
			out = append(out, OldSite{Site: site, State: "unfenced", Text: "old primary: unfenced"})
			continue
		}
		out = append(out, known[i])
	}
	return out, nil
}

// judgement is what --check makes of one workload.
func judgement(w WorkloadStatus) string {
	switch {
	case w.Role == nil, w.Protection == understudy.Broken, w.Protection == understudy.Diverged, w.Protection == understudy.AtRisk,
		w.Protection == understudy.LinkDown, w.Protection == understudy.Unprotected:
		return "breach"
	case w.Protection != understudy.Protected, slices.ContainsFunc(w.Links, LinkStatus.failing), slices.ContainsFunc(w.Old, func(o OldSite) bool { return o.State != "fenced" }):
		return "warning"
	default:
		return "ok"
	}
}

// failing says whether the last scheduled run of the link failed.
func (l LinkStatus) failing() bool { return l.Schedule != nil && l.Schedule.Error != nil }

func worse(a, b string) string {
	order := []string{"ok", "warning", "breach"}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}

// Metrics gives one snapshot, without asking any cluster.
func (c *Controller) Metrics(ctx context.Context) (Metrics, error) {
	plans, err := c.plans(ctx)
	if err != nil {
		return Metrics{}, err
	}
	v := c.view()
	out := Metrics{Leader: v.leading}
	for _, plan := range plans {
		for _, p := range plan.Workloads {
			w, err := v.workload(ctx, p)
			if err != nil {
				return out, err
			}
			out.add(p, w)
		}
	}
	ops, err := c.Operations(ctx, OperationsRequest{})
	for _, op := range ops {
		out.count(op)
	}
	return out, err
}

func (m *Metrics) add(p workload.Planned, w WorkloadStatus) {
	wm := WorkloadMetric{
		Plan: p.Plan, Workload: p.Name, Sites: p.Sites, Exposure: w.Exposure, Objective: p.RPO, RTO: p.RTO, Protection: w.Protection,
	}
	if w.Role != nil {
		wm.Role = *w.Role
	}
	if w.Verified != nil {
		wm.Verdict, wm.VerdictAt = w.Verified.Outcome, w.Verified.At
	}
	for _, o := range w.Old {
		if o.State != "fenced" {
			wm.Unfenced = append(wm.Unfenced, o.Site)
		}
	}
	m.Workloads = append(m.Workloads, wm)
	for _, l := range w.Links {
		lm := LinkMetric{Link: l.Link}
		if l.Progress != nil {
			lm.Records, lm.Bytes = l.Progress.Records, l.Progress.Bytes
			lm.CopiedRecords, lm.CopiedBytes = l.Progress.CopiedRecords, l.Progress.CopiedBytes
		}
		m.Links = append(m.Links, lm)
	}
}

func (m *Metrics) count(op Operation) {
	for i := range m.Operations {
		if o := &m.Operations[i]; o.Plan == op.Plan && o.Verb == op.Verb && o.State == op.State {
			o.Count++
			return
		}
	}
	m.Operations = append(m.Operations, OperationMetric{Plan: op.Plan, Verb: op.Verb, State: op.State, Count: 1})
}

// String gives the status of an old site for people.
func (o OldSite) String() string { return fmt.Sprintf("%s: %s", o.Site, o.Text) }
