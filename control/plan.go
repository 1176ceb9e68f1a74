package control

import (
	"slices"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// Plans are the compiled plans of the applied documents.
type Plans []workload.Plan

// Find gives the plan of that name.
func (p Plans) Find(n understudy.PlanName) (workload.Plan, bool) {
	for _, x := range p {
		if x.Name == n {
			return x, true
		}
	}
	return workload.Plan{}, false
}

// other gives the first site of the plan that is not s.
func other(p workload.Plan, s understudy.Site) understudy.Site {
	for _, x := range p.Sites {
		if x != s {
			return x
		}
	}
	return ""
}

// names lists a plan's workloads in order.
func names(p workload.Plan) []understudy.WorkloadName {
	out := make([]understudy.WorkloadName, 0, len(p.Workloads))
	for _, w := range p.Workloads {
		out = append(out, w.Name)
	}
	return out
}

// needsApproval says whether the verb waits for a second person.
func needsApproval(p workload.Plan, v understudy.Verb) bool { return slices.Contains(p.Approvals, v) }
