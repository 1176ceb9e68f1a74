package workload

import "github.com/understudy-dr/understudy"

// Plan is what fails over together, checked, in the form in which control walks it.
type Plan struct {
	Name understudy.PlanName
	Home understudy.Site
	// Sites are all sites of the plan, in the plan's order; Home is one of them.
	Sites []understudy.Site
	// Hooks names the command to run at a stage. Commands themselves are known to serve only.
	Hooks map[understudy.StageName]understudy.HookName
	// Approvals lists the verbs that wait for a second person.
	Approvals []understudy.Verb
	// Workloads are in the plan's order, which respects After.
	Workloads []Planned
}

// Workload finds a workload of the plan by name.
func (p Plan) Workload(n understudy.WorkloadName) (Planned, bool) {
	for _, w := range p.Workloads {
		if w.Name == n {
			return w, true
		}
	}
	return Planned{}, false
}

// Planned is one workload of a plan: what its kind needs to open it, and what control needs to order it.
type Planned struct {
	Spec
	// Cluster is the name under which its endpoints stand at each site.
	Cluster understudy.ClusterName
	// OnFailure is the plan's choice; it is never empty.
	OnFailure understudy.OnFailure
	// Schedule says when replication runs; it is zero unless the kind's architecture is scheduled.
	Schedule Schedule
	// Provisioners name what makes and removes the workload's cluster at a site; a site without an entry has one
	// that is always there.
	Provisioners map[understudy.Site]understudy.ProvisionerName
	// After names the workloads of the same plan that come before this one.
	After []understudy.WorkloadName
}

// Direction is one allowed direction of replication between two sites.
type Direction struct {
	From understudy.Site `json:"from" yaml:"from"`
	To   understudy.Site `json:"to" yaml:"to"`
}
