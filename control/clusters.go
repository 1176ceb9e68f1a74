package control

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/provision"
	"github.com/understudy-dr/understudy/workload"
)

// clusterRecord is what control last did to a workload's cluster at a site. It is written before the effect, so that
// after a crash nobody takes a cluster that is being removed for one that is there.
type clusterRecord struct {
	Site      understudy.Site        `json:"site"`
	Cluster   understudy.ClusterName `json:"cluster"`
	State     string                 `json:"state"`
	Note      string                 `json:"note,omitempty"`
	Operation understudy.OperationID `json:"operation"`
	At        time.Time              `json:"at"`
}

// The states of a clusterRecord.
const (
	clusterMaking   = "making"
	clusterPresent  = "present"
	clusterRemoving = "removing"
	clusterAbsent   = "absent"
)

func keyCluster(o understudy.Object, s understudy.Site) string {
	return "/cluster/" + o.String() + "/" + string(s)
}

// ClusterStatus is what is known of a cluster that is made when it is needed.
type ClusterStatus struct {
	Site        understudy.Site            `json:"site"`
	Cluster     understudy.ClusterName     `json:"cluster"`
	Provisioner understudy.ProvisionerName `json:"provisioner"`
	// State is "making", "present", "removing" or "absent by plan".
	State string `json:"state"`
	// Note is what the provisioner says of it.
	Note string    `json:"note,omitempty"`
	At   time.Time `json:"at,omitzero"`
}

// provisioned gives the name of what makes the workload's cluster at a site; empty when it is always there.
func provisioned(p workload.Planned, site understudy.Site) understudy.ProvisionerName {
	if name := p.Provisioners[site]; name != provision.Static {
		return name
	}
	return ""
}

// cluster gives the record of a cluster. One that control never touched is there at home, and nowhere else.
func (c *Controller) cluster(ctx context.Context, p workload.Planned, site understudy.Site) (clusterRecord, error) {
	rec, version, err := read[clusterRecord](ctx, c.opt.Journal, keyCluster(objectOf(p), site))
	if version == 0 {
		rec = clusterRecord{Site: site, Cluster: p.Cluster, State: clusterAbsent}
		if site == p.Home {
			rec.State = clusterPresent
		}
	}
	return rec, err
}

// gone says whether the record means that the plan wants no cluster there now.
func (r clusterRecord) gone() bool { return r.State == clusterAbsent || r.State == clusterRemoving }

// absences knows which clusters are absent by plan, for those who must not dial them.
type absences struct {
	mu   sync.Mutex
	gone map[understudy.Object]map[understudy.Site]bool
}

func (a *absences) set(o understudy.Object, site understudy.Site, gone bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gone == nil {
		a.gone = map[understudy.Object]map[understudy.Site]bool{}
	}
	if a.gone[o] == nil {
		a.gone[o] = map[understudy.Site]bool{}
	}
	a.gone[o][site] = gone
}

func (a *absences) has(o understudy.Object, site understudy.Site) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.gone[o][site]
}

// absent reads which of a workload's clusters are absent by plan.
func (c *Controller) absent(ctx context.Context, p workload.Planned, into *absences) error {
	for _, site := range p.Sites {
		if provisioned(p, site) == "" {
			continue
		}
		rec, err := c.cluster(ctx, p, site)
		if err != nil {
			return err
		}
		into.set(objectOf(p), site, rec.gone())
	}
	return nil
}

// markAbsent makes an observation say of every cluster that is absent by plan what it is: a fact, not an outage.
func markAbsent(p workload.Planned, gone *absences, obs workload.Observation) {
	for site, facts := range obs.Sites {
		if facts.Presence == workload.Unreachable && gone.has(objectOf(p), site) {
			facts.Presence, facts.Error = workload.Absent, nil
			obs.Sites[site] = facts
		}
	}
}

// size is what the operation needs a cluster for.
func (w *walk) size() provision.Size {
	if w.op.takeover() {
		return provision.ForService
	}
	return provision.ForRun
}

// provision makes the target's cluster exist, large enough for what the operation does there, and wants it to answer.
func (w *walk) provision(ctx context.Context, row Row, p workload.Planned) error {
	site := w.op.To
	if provisioned(p, site) == "" {
		return nil
	}
	rec, err := w.s.c.cluster(ctx, p, site)
	if err != nil {
		return err
	}
	if w.op.Aborting && rec.gone() && rec.Operation == "" {
		return nil // nothing was ever made there that the way back could undo
	}
	step := clusterStep("make", site, "make the cluster "+string(p.Cluster)+" exist for "+string(w.size()))
	err = w.withCluster(ctx, row.Stage, p, step, [2]string{clusterMaking, clusterPresent}, func(by provision.Provisioner, t provision.Target) (provision.Status, error) {
		found, err := by.Find(ctx, t)
		if err != nil {
			return found, err
		}
		if found.State == provision.Present {
			return by.Resize(ctx, t, w.size())
		}
		return by.Make(ctx, t, w.size())
	})
	if err != nil {
		return err
	}
	return w.answers(ctx, p, site)
}

// answers waits, for the budget of a step, until the workload reaches its cluster.
func (w *walk) answers(ctx context.Context, p workload.Planned, site understudy.Site) error {
	until := time.Now().Add(w.s.opt.StepBudget)
	for {
		obs, err := w.look(ctx, p)
		if err != nil {
			return err
		}
		facts := obs.Sites[site]
		if facts.Presence == workload.Present && facts.Error == nil { // one that refuses our login is present, too
			return nil
		}
		if !time.Now().Before(until) {
			o := objectOf(p)
			o.Site = site
			return &understudy.Error{
				Code: "US284", Kind: understudy.KindUnreachable, Op: "control.provision", Object: o, Err: facts.Error,
				Summary: "the cluster " + string(p.Cluster) + " is there, but it does not answer us", Fix: "look at its addresses and its login in the site's file, then retry",
			}
		}
		if err := w.boundary(); err != nil {
			return err
		}
		pause(ctx, time.Second)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// dismiss removes the clusters of a workload that the plan wants absent: in the architecture with a secondary on
// demand, those of sites that are not active, unless another run needs them.
func (w *walk) dismiss(ctx context.Context, row Row, p workload.Planned) error {
	if p.Architecture != understudy.OnDemandSecondary {
		return nil
	}
	role, _, err := w.s.role(ctx, objectOf(p))
	if err != nil {
		return err
	}
	run, err := w.s.openRun(ctx, objectOf(p))
	if err != nil || run != nil && run.ID != w.op.ID {
		return err
	}
	for _, site := range p.Sites {
		if provisioned(p, site) == "" || slices.Contains(role.Sources(), site) {
			continue
		}
		rec, err := w.s.c.cluster(ctx, p, site)
		if err != nil {
			return err
		}
		if rec.State == clusterAbsent {
			continue
		}
		step := clusterStep("remove", site, "remove the cluster "+string(p.Cluster)+"; its storage stays")
		err = w.withCluster(ctx, row.Stage, p, step, [2]string{clusterRemoving, clusterAbsent}, func(by provision.Provisioner, t provision.Target) (provision.Status, error) {
			if user, err := w.s.alsoUses(ctx, p, site); err != nil || user != "" {
				return provision.Status{State: provision.Absent, Note: "kept: " + user + " uses it"}, err
			}
			return by.Remove(ctx, t)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// alsoUses names another workload whose plan wants the same cluster there now; empty when there is none.
func (s *session) alsoUses(ctx context.Context, p workload.Planned, site understudy.Site) (string, error) {
	plans, err := s.c.plans(ctx)
	if err != nil {
		return "", err
	}
	for _, plan := range plans {
		for _, q := range plan.Workloads {
			same := q.Cluster == p.Cluster && slices.Contains(q.Sites, site) && objectOf(q) != objectOf(p)
			if !same {
				continue
			}
			rec, err := s.c.cluster(ctx, q, site)
			if err != nil {
				return "", err
			}
			if !rec.gone() {
				return objectOf(q).String(), nil
			}
		}
	}
	return "", nil
}

func clusterStep(action string, site understudy.Site, summary string) understudy.Step {
	kind := understudy.StepKind("cluster." + action)
	return understudy.Step{ID: string(kind) + "@" + string(site), Kind: kind, Class: understudy.Idempotent, Site: site, Summary: summary}
}

// withCluster does something to a cluster, journaled like a step: states are what is recorded before and after.
func (w *walk) withCluster(ctx context.Context, stage understudy.StageName, p workload.Planned, step understudy.Step, states [2]string,
	do func(provision.Provisioner, provision.Target) (provision.Status, error)) error {
	if w.done(stage, p.Name, step.ID) {
		return nil
	}
	if err := w.boundary(); err != nil {
		return err
	}
	attempt := 1
	for _, e := range w.log {
		if w.about(e, stage, p.Name, step.ID) && e.Kind == EventFailed {
			attempt = e.Attempt + 1
		}
	}
	// Workloads may share a cluster: making and removing it must not cross each other.
	defer w.s.locks.lock("cluster/" + string(step.Site) + "/" + string(p.Cluster))()
	entry := Event{Kind: EventIntent, Stage: stage, Pass: w.op.Pass, Workload: p.Name, Step: &step, Attempt: attempt}
	if err := w.recordCluster(p, step.Site, states[0], "", entry); err != nil {
		return err
	}
	by := w.s.opt.Provisioners[p.Provisioners[step.Site]]
	if by == nil {
		return w.failed(entry, invalid("US280", understudy.Object{Plan: p.Plan, Workload: p.Name, Site: step.Site},
			fmt.Sprintf("this member has no provisioner %q", p.Provisioners[step.Site]), "name it under `provisioners:` in serve's configuration"))
	}
	target := provision.Target{Plan: p.Plan, Workload: p.Name, Site: step.Site, Cluster: p.Cluster}
	until := time.Now().Add(w.s.opt.StepBudget)
	policy := retrypolicy.NewBuilder[provision.Status]().
		HandleIf(func(_ provision.Status, err error) bool { return retriable(err) && time.Now().Before(until) }).
		WithBackoff(50*time.Millisecond, 5*time.Second).WithMaxDuration(w.s.opt.StepBudget).WithMaxRetries(-1).
		ReturnLastFailure().Build()
	status, err := failsafe.With(policy).WithContext(ctx).Get(func() (provision.Status, error) { return do(by, target) })
	if err != nil {
		return w.failed(entry, err)
	}
	entry.Kind = EventResult
	entry.Receipt = &understudy.Receipt{Step: step.ID, Kind: step.Kind, Stage: stage, Summary: status.Note}
	return w.recordCluster(p, step.Site, states[1], status.Note, entry)
}

// recordCluster journals what is done to a cluster with the operation's entry, and tells the workload.
func (w *walk) recordCluster(p workload.Planned, site understudy.Site, state, note string, entry Event) error {
	rec := clusterRecord{Site: site, Cluster: p.Cluster, State: state, Note: note, Operation: w.op.ID, At: w.s.opt.Now()}
	err := w.amend(func(_ *Operation, t *change) ([]Event, error) {
		t.set(keyCluster(objectOf(p), site), rec)
		return []Event{entry}, nil
	})
	if err == nil {
		w.s.absent.set(objectOf(p), site, rec.gone())
	}
	return err
}

// clusters gives what is known of the workload's clusters that are made when they are needed.
func (v view) clusters(ctx context.Context, p workload.Planned) ([]ClusterStatus, error) {
	var out []ClusterStatus
	for _, site := range p.Sites {
		name := provisioned(p, site)
		if name == "" {
			continue
		}
		rec, err := v.s.c.cluster(ctx, p, site)
		if err != nil {
			return nil, err
		}
		s := ClusterStatus{Site: site, Cluster: p.Cluster, Provisioner: name, State: rec.State, Note: rec.Note, At: rec.At}
		if rec.State == clusterAbsent {
			s.State = "absent by plan"
		}
		out = append(out, s)
	}
	return out, nil
}
