package understudy

import (
	"fmt"
	"slices"
)

// RoleEpoch counts the changes of a workload's role. It only grows. It is not Kafka's leader or producer
// epoch, although movers hand it to engines as a fencing token.
type RoleEpoch int64

// Role is the authoritative record of which sites may write one workload. Nothing else decides it.
type Role struct {
	// Active lists the sites that may take writes; empty means none, between a fence and a promotion.
	Active []Site `json:"active"`
	// From is the last non-empty Active: while Active is none, links still follow it so that they can drain.
	From []Site `json:"from"`
	// Epoch grows by one with every change of the role.
	Epoch RoleEpoch `json:"epoch"`
}

// Sources are the sites that links follow: the active ones, or the last active ones while there is none.
func (r Role) Sources() []Site {
	if len(r.Active) > 0 {
		return r.Active
	}
	return r.From
}

// IsActive says whether the site may take writes.
func (r Role) IsActive(s Site) bool { return slices.Contains(r.Active, s) }

// None says whether no site may take writes.
func (r Role) None() bool { return len(r.Active) == 0 }

// Fenced is the role after FENCE: nobody may write, and the last active sites are remembered.
func (r Role) Fenced() Role {
	return Role{From: slices.Clone(r.Sources()), Epoch: r.Epoch + 1}
}

// Promoted is the role after PROMOTE or RESTORE: the given sites may write.
func (r Role) Promoted(to ...Site) Role {
	return Role{Active: slices.Clone(to), From: slices.Clone(to), Epoch: r.Epoch + 1}
}

// Equal compares two roles field by field.
func (r Role) Equal(o Role) bool {
	return r.Epoch == o.Epoch && slices.Equal(r.Active, o.Active) && slices.Equal(r.From, o.From)
}

// String gives the role for people, such as "active east, epoch 3".
func (r Role) String() string {
	if r.None() {
		return fmt.Sprintf("active none, from %v, epoch %d", r.From, r.Epoch)
	}
	return fmt.Sprintf("active %v, epoch %d", r.Active, r.Epoch)
}

// Stamp is the copy of a role that a site carries in a place of its engine, so that roles can be rebuilt
// without the journal and a second control plane is refused.
type Stamp struct {
	ControlPlane string       `json:"controlPlane"`
	Plan         PlanName     `json:"plan"`
	Workload     WorkloadName `json:"workload"`
	Role         Role         `json:"role"`
}
