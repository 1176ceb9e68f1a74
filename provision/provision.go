// Package provision is the contract for clusters that do not exist all the time: make one exist, size it, remove it,
// say whether it is there. It must not know what a cluster is used for, nor when it is needed; control does.
//
// Guarantees, which every implementation shows in provisiontest:
//
//   - Every call is idempotent: making what is there, and removing what is not, changes nothing and succeeds.
//   - Make and Resize return when the cluster can be used, Remove when it is gone.
//   - A call that was cut off, by its context or by the end of the process, leaves something that the next Make or
//     Remove brings to its end: a Make after a Remove that was cut off ends with the cluster there.
//   - What Remove must not take is the data: a cluster that is made again shows what was stored before.
//   - Targets with different names do not touch each other. Calls for one target do not overlap.
package provision

import (
	"context"

	"github.com/understudy-dr/understudy"
)

// Static is the name of the provisioner whose clusters are always there.
const Static understudy.ProvisionerName = "static"

// Target names a cluster: the same names mean the same cluster, over every restart.
type Target struct {
	Plan     understudy.PlanName     `json:"plan"`
	Workload understudy.WorkloadName `json:"workload"`
	Site     understudy.Site         `json:"site"`
	// Cluster is the name under which its endpoints stand in the site's file.
	Cluster understudy.ClusterName `json:"cluster"`
}

// String gives the target as plan/workload@site.
func (t Target) String() string {
	return string(t.Plan) + "/" + string(t.Workload) + "@" + string(t.Site)
}

// Size says what the cluster must be large enough for.
type Size string

// The sizes.
const (
	// ForRun is large enough to receive a copy, ForService to do the work of the site that is active.
	ForRun     Size = "run"
	ForService Size = "service"
)

// State says whether a cluster is there.
type State string

// The states of a cluster.
const (
	Present State = "present"
	Absent  State = "absent"
)

// Status is what is known of a cluster.
type Status struct {
	State State `json:"state"`
	// Note is a line for people, such as the name that a cloud gave it.
	Note string `json:"note,omitempty"`
}

// Provisioner makes and removes clusters. Errors are *understudy.Error; retry and unreachable are tried again.
type Provisioner interface {
	// Find says whether the cluster is there, and changes nothing.
	Find(ctx context.Context, t Target) (Status, error)
	// Make makes it exist, at least of the size.
	Make(ctx context.Context, t Target, size Size) (Status, error)
	// Resize changes the size of one that is there.
	Resize(ctx context.Context, t Target, size Size) (Status, error)
	// Remove ends it.
	Remove(ctx context.Context, t Target) (Status, error)
}

// Registry is the list of provisioners, by the names that site files use. It is a value: there is no global one.
type Registry map[understudy.ProvisionerName]Provisioner
