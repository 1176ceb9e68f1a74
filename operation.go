package understudy

import "time"

// Verb is what an operation does.
type Verb string

// The verbs. Protect to Unprotect change roles or links; Verify and Replicate do not. Abort is the way
// back of an unfinished takeover, Duty is control's standing duty towards a returning old primary.
const (
	Protect    Verb = "protect"
	Switchover Verb = "switchover"
	Failover   Verb = "failover"
	Commit     Verb = "commit"
	Rollback   Verb = "rollback"
	Reprotect  Verb = "reprotect"
	Failback   Verb = "failback"
	Unprotect  Verb = "unprotect"
	Replicate  Verb = "replicate"
	Verify     Verb = "verify"
	Drill      Verb = "drill"
	Abort      Verb = "abort"
	Duty       Verb = "duty"
)

// OperationID names one run of a verb, such as "op-7k2f9q".
type OperationID string

// Acceptance is a named person's word that a site is not writing although that cannot be proved (level FA).
// It holds only while the site stays unreachable.
type Acceptance struct {
	Site Site      `json:"site"`
	By   string    `json:"by"`
	At   time.Time `json:"at"`
}

// Consent is a named person's acceptance, for one operation, of what a guard would refuse in one shard. It never says "all": more than the
// number that the person saw is refused again, and so is another source than the one they named.
type Consent struct {
	// Shard is one tree; empty where the workload has only one.
	Shard string `json:"shard,omitempty"`
	// Deletes is the number of deletes that is accepted, and Source the identity of a source that was made anew.
	Deletes int64     `json:"deletes,omitempty"`
	Source  string    `json:"source,omitempty"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
}

// Envelope is what an approval binds: the operation, its objects and order, the highest loss and the lowest
// fence level. It never binds positions.
type Envelope struct {
	Verb      Verb           `json:"verb"`
	Plan      PlanName       `json:"plan"`
	Workloads []WorkloadName `json:"workloads"`
	// To is the site that is to become active; empty for verbs that move nothing.
	To Site `json:"to,omitempty"`
	// MaxLoss refuses the operation above this bound of loss; nil means that none was named.
	MaxLoss *time.Duration `json:"maxLoss,omitempty"`
	// FenceFloor is the lowest fence level that is enough; FA is enough only with an Acceptance.
	FenceFloor  FenceLevel   `json:"fenceFloor,omitempty"`
	Acceptances []Acceptance `json:"acceptances,omitempty"`
	Consents    []Consent    `json:"consents,omitempty"`
}

// Accepted returns the acceptance for the site, if a person gave one.
func (e Envelope) Accepted(s Site) (Acceptance, bool) {
	for _, a := range e.Acceptances {
		if a.Site == s {
			return a, true
		}
	}
	return Acceptance{}, false
}
