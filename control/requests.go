package control

import (
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// ApplyRequest replaces all documents.
type ApplyRequest struct {
	// Text is the documents, sites and plans, as they stand in the files.
	Text string `json:"text"`
	// Base is the version that the caller's change is based on, as Documents gave it; zero for the first.
	Base int64  `json:"base"`
	By   string `json:"by"`
}

// Documents are the applied documents.
type Documents struct {
	Text string `json:"text"`
	// Version grows with every apply; zero means that nothing was applied yet.
	Version int64     `json:"version"`
	By      string    `json:"by"`
	At      time.Time `json:"at,omitzero"`
}

// StartRequest asks for an operation.
type StartRequest struct {
	Verb understudy.Verb     `json:"verb"`
	Plan understudy.PlanName `json:"plan"`
	// Workload names the one to replicate; it may be empty when the plan has only one that is replicated by schedule.
	Workload understudy.WorkloadName `json:"workload,omitempty"`
	// To is the site that is to take over; empty means the only other one, and home for a failback.
	To understudy.Site `json:"to,omitempty"`
	// Confirm must be the plan's name for verbs that move a role.
	Confirm string `json:"confirm,omitempty"`
	// MaxLoss refuses the operation when more than this may be lost.
	MaxLoss *time.Duration `json:"maxLoss,omitempty"`
	// FenceFloor is the lowest fence level that is enough; empty means F2.
	FenceFloor understudy.FenceLevel `json:"fenceFloor,omitempty"`
	// AcceptFence names the sites for which By gives their word that nobody writes there (level FA). In an unprotect
	// it names those that By lets go: what cannot be taken back there, because they do not answer, stays.
	AcceptFence []understudy.Site `json:"acceptFence,omitempty"`
	// Supersede names a stuck operation which a failover replaces; naming it is consent.
	Supersede understudy.OperationID `json:"supersede,omitempty"`
	// Sweeps are what a run of replication is to do beyond copying what changed, whatever is due.
	Sweeps []understudy.Sweep `json:"sweeps,omitempty"`
	// Accept is By's own acceptance of what a guard would refuse in this run; its By and At are filled in.
	Accept []understudy.Consent `json:"accept,omitempty"`
	// Shards and Quick narrow a verification.
	Shards []string `json:"shards,omitempty"`
	Quick  bool     `json:"quick,omitempty"`
	By     string   `json:"by"`
	// As is the name under which the word is given, where it is not By.
	As     string `json:"as,omitempty"`
	Reason string `json:"reason,omitempty"`
	// DryRun shows the stages and steps by today's facts and changes nothing.
	DryRun bool `json:"dryRun,omitempty"`
}

// Started is the answer to a StartRequest: one of the two is set.
type Started struct {
	Operation *Operation `json:"operation,omitempty"`
	DryRun    *DryRun    `json:"dryRun,omitempty"`
}

// DryRun is what an operation would do, by the facts of this moment.
type DryRun struct {
	Verb   understudy.Verb     `json:"verb"`
	Plan   understudy.PlanName `json:"plan"`
	From   understudy.Site     `json:"from"`
	To     understudy.Site     `json:"to"`
	Stages []DryStage          `json:"stages"`
	// Exposure is what a failover would lose now, by workload.
	Exposure map[understudy.WorkloadName]understudy.Exposure `json:"exposure,omitempty"`
}

// DryStage is one stage of a DryRun.
type DryStage struct {
	Name understudy.StageName `json:"name"`
	// Does says what control itself does at the stage, in words.
	Does string `json:"does,omitempty"`
	// Hook is the hook that would run.
	Hook  string    `json:"hook,omitempty"`
	Steps []DryStep `json:"steps,omitempty"`
	// Refused says, by workload, why a stage would not begin with today's facts. Stages whose facts only the
	// operation itself creates are listed without steps.
	Refused map[understudy.WorkloadName]*understudy.Error `json:"refused,omitempty"`
}

// DryStep is one step of a DryRun.
type DryStep struct {
	Workload understudy.WorkloadName `json:"workload"`
	Step     understudy.Step         `json:"step"`
}

// ActRequest is a person's decision about an operation.
type ActRequest struct {
	Operation understudy.OperationID `json:"operation"`
	// Workload limits retry and abort to a quarantined workload.
	Workload understudy.WorkloadName `json:"workload,omitempty"`
	// Reason is required to skip.
	Reason string `json:"reason,omitempty"`
	// AcceptFence adds By's word, in a retry, that nobody writes these sites.
	AcceptFence []understudy.Site `json:"acceptFence,omitempty"`
	// Accept adds, in a retry, By's own acceptance of what a guard refused; its By and At are filled in.
	Accept []understudy.Consent `json:"accept,omitempty"`
	By     string               `json:"by"`
	// As is the name under which the word is given, where it is not By.
	As string `json:"as,omitempty"`
}

// word is a person's acceptance of a site, under the name that was given and with the caller beside it: whoever may
// call may give a word in another's name, and the record shows it.
func word(site understudy.Site, as, by string, at time.Time) understudy.Acceptance {
	if as != "" && as != by {
		by = as + " (called by " + by + ")"
	}
	return understudy.Acceptance{Site: site, By: by, At: at}
}

// OperationsRequest narrows a list of operations; the zero value lists all.
type OperationsRequest struct {
	Plan understudy.PlanName `json:"plan,omitempty"`
	// Open leaves out those that have ended.
	Open bool `json:"open,omitempty"`
}

// Leader says who leads the control plane.
type Leader struct {
	// Holder is "site/host/pid" of the leading member; empty while nobody leads.
	Holder string `json:"holder"`
	Term   int64  `json:"term"`
	// Self is true when the answering member leads; only then it takes orders.
	Self bool `json:"self"`
	// Settling is true while the leader waits out its predecessor's lease.
	Settling bool `json:"settling,omitempty"`
}

// PlanStatus answers: what would I lose now, how long would it take, has it been proved, how do I get home.
type PlanStatus struct {
	Plan  understudy.PlanName `json:"plan"`
	Home  understudy.Site     `json:"home"`
	Sites []understudy.Site   `json:"sites"`
	// Verdict is "ok", "warning" or "breach": the worst of the workloads.
	Verdict   string           `json:"verdict"`
	Workloads []WorkloadStatus `json:"workloads"`
	// Current is the operation that is not finished, if there is one.
	Current *Operation `json:"current,omitempty"`
	// Next is the command that a person would give now, if one is needed.
	Next string    `json:"next,omitempty"`
	At   time.Time `json:"at"`
	// Leader says whose view this is.
	Leader Leader `json:"leader"`
}

// WorkloadStatus is one workload of a PlanStatus.
type WorkloadStatus struct {
	Workload     understudy.WorkloadName `json:"workload"`
	Kind         understudy.KindName     `json:"kind"`
	Architecture understudy.Architecture `json:"architecture"`
	// Role is nil until the workload was protected once.
	Role       *understudy.Role      `json:"role,omitempty"`
	Protection understudy.Protection `json:"protection"`
	// Objective and RTO are the plan's; Exposure is proven now.
	Objective time.Duration       `json:"objective"`
	RTO       time.Duration       `json:"rto"`
	Exposure  understudy.Exposure `json:"exposure"`
	Links     []LinkStatus        `json:"links,omitempty"`
	// Old says of every inactive site that no link writes into what is known of its fence.
	Old []OldSite `json:"old,omitempty"`
	// Clusters are those that are made when they are needed.
	Clusters []ClusterStatus `json:"clusters,omitempty"`
	// Ledgers counts the saved ledgers that nobody has discarded.
	Ledgers  int                `json:"ledgers,omitempty"`
	Findings []workload.Finding `json:"findings,omitempty"`
	// Verified is the newest verdict by content.
	Verified *understudy.Verdict `json:"verified,omitempty"`
	// Notes are facts for people, such as over-retained topics.
	Notes []string `json:"notes,omitempty"`
}

// LinkStatus is one link of a workload.
type LinkStatus struct {
	Link  understudy.Link      `json:"link"`
	Epoch understudy.RoleEpoch `json:"epoch"`
	Term  int64                `json:"term"`
	// Running is true while a mover of this member follows it.
	Running bool `json:"running"`
	// Progress is the newest report.
	Progress *understudy.Progress `json:"progress,omitempty"`
	// Error is why the mover stopped; it is started again by itself.
	Error *understudy.Error `json:"error,omitempty"`
	// Schedule is set in architectures without a mover.
	Schedule *ScheduleStatus `json:"schedule,omitempty"`
	// AcrossWAN means that this member does not stand at the link's target, so that it produces over the wire.
	AcrossWAN bool `json:"acrossWAN,omitempty"`
}

// OldSite is what is known of a site that must not take writes.
type OldSite struct {
	Site understudy.Site `json:"site"`
	// State is "unfenced", "unreachable" (nothing is known, therefore unfenced) or "fenced".
	State string `json:"state"`
	// Text is for people, such as "old primary: unfenced".
	Text  string            `json:"text"`
	Proof *understudy.Proof `json:"proof,omitempty"`
	Error *understudy.Error `json:"error,omitempty"`
	At    time.Time         `json:"at,omitzero"`
}

// PlanInfo is one line about a plan.
type PlanInfo struct {
	Plan      understudy.PlanName       `json:"plan"`
	Home      understudy.Site           `json:"home"`
	Sites     []understudy.Site         `json:"sites"`
	Workloads []understudy.WorkloadName `json:"workloads"`
}

// Findings is what doctor found.
type Findings struct {
	At        time.Time          `json:"at"`
	Workloads []WorkloadFindings `json:"workloads"`
}

// WorkloadFindings is what doctor found of one workload.
type WorkloadFindings struct {
	Plan     understudy.PlanName                    `json:"plan"`
	Workload understudy.WorkloadName                `json:"workload"`
	Sites    map[understudy.Site]workload.SiteFacts `json:"sites,omitempty"`
	Findings []workload.Finding                     `json:"findings,omitempty"`
	Error    *understudy.Error                      `json:"error,omitempty"`
}

// LedgerRecord is what one operation found that only the old side had.
type LedgerRecord struct {
	Plan      understudy.PlanName      `json:"plan"`
	Workload  understudy.WorkloadName  `json:"workload"`
	Operation understudy.OperationID   `json:"operation"`
	At        time.Time                `json:"at"`
	Entries   []understudy.LedgerEntry `json:"entries"`
	Records   int64                    `json:"records"`
	Bytes     int64                    `json:"bytes"`
	// Proof is the evidence that it is durable and complete; nil until there is.
	Proof *understudy.Proof `json:"proof,omitempty"`
	// Dir is where the files are, on the member that saved them.
	Dir       string    `json:"dir"`
	Discarded time.Time `json:"discarded,omitzero"`
	By        string    `json:"by,omitempty"`
}

// LedgerRequest names one ledger.
type LedgerRequest struct {
	Plan      understudy.PlanName     `json:"plan"`
	Workload  understudy.WorkloadName `json:"workload"`
	Operation understudy.OperationID  `json:"operation"`
	By        string                  `json:"by"`
	Reason    string                  `json:"reason,omitempty"`
}

// Metrics is one snapshot of everything worth a time series.
type Metrics struct {
	Leader    bool             `json:"leader"`
	Workloads []WorkloadMetric `json:"workloads"`
	Links     []LinkMetric     `json:"links"`
	// Operations counts all that the journal holds, by plan, verb and state.
	Operations []OperationMetric `json:"operations"`
}

// WorkloadMetric is one workload's figures.
type WorkloadMetric struct {
	Plan      understudy.PlanName     `json:"plan"`
	Workload  understudy.WorkloadName `json:"workload"`
	Sites     []understudy.Site       `json:"sites"`
	Exposure  understudy.Exposure     `json:"exposure"`
	Objective time.Duration           `json:"objective"`
	RTO       time.Duration           `json:"rto"`
	// Protection is the state, and Verdict the newest outcome by content; empty when never verified.
	Protection understudy.Protection `json:"protection"`
	Verdict    understudy.Outcome    `json:"verdict,omitempty"`
	VerdictAt  time.Time             `json:"verdictAt,omitzero"`
	Role       understudy.Role       `json:"role"`
	// Unfenced lists old sites without a proof of their fence.
	Unfenced []understudy.Site `json:"unfenced,omitempty"`
}

// OperationMetric counts the operations of one plan, verb and state.
type OperationMetric struct {
	Plan  understudy.PlanName `json:"plan"`
	Verb  understudy.Verb     `json:"verb"`
	State State               `json:"state"`
	Count int                 `json:"count"`
}

// LinkMetric is one link's figures.
type LinkMetric struct {
	Link          understudy.Link `json:"link"`
	Records       int64           `json:"records"`
	Bytes         int64           `json:"bytes"`
	CopiedRecords int64           `json:"copiedRecords"`
	CopiedBytes   int64           `json:"copiedBytes"`
}

// Report is the one document about an operation.
type Report struct {
	Operation Operation     `json:"operation"`
	Stages    []StageReport `json:"stages"`
	RTO       RTO           `json:"rto"`
	// Loss sets the three numbers side by side and never mixes them.
	Loss   []LossReport   `json:"loss,omitempty"`
	Ledger []LedgerRecord `json:"ledger,omitempty"`
	// Who lists the people in the order in which they acted.
	Who []Actor `json:"who,omitempty"`
	// Warnings are facts from the receipts that a person should read.
	Warnings []string `json:"warnings,omitempty"`
}

// StageReport is one stage of a Report.
type StageReport struct {
	Name  understudy.StageName `json:"name"`
	Pass  int                  `json:"pass"`
	Began time.Time            `json:"began"`
	Ended time.Time            `json:"ended,omitzero"`
	Steps []StepReport         `json:"steps,omitempty"`
	Notes []string             `json:"notes,omitempty"`
}

// StepReport is one step of a Report.
type StepReport struct {
	Workload understudy.WorkloadName `json:"workload,omitempty"`
	Step     understudy.Step         `json:"step"`
	// State is "waiting", "running", "done", "failed" or "skipped".
	State    string              `json:"state"`
	Began    time.Time           `json:"began,omitzero"`
	Ended    time.Time           `json:"ended,omitzero"`
	Attempts int                 `json:"attempts"`
	Receipt  *understudy.Receipt `json:"receipt,omitempty"`
	Error    *understudy.Error   `json:"error,omitempty"`
	// Skipped says who skipped it, and why.
	Skipped string `json:"skipped,omitempty"`
}

// RTO is the recovery time: from the last good poll of the source to the first verified write. A part that
// was not reached is zero.
type RTO struct {
	Total   time.Duration `json:"total"`
	Detect  time.Duration `json:"detect"`
	Confirm time.Duration `json:"confirm"`
	Approve time.Duration `json:"approve"`
	Fence   time.Duration `json:"fence"`
	Promote time.Duration `json:"promote"`
	Verify  time.Duration `json:"verify"`
	// Route lies behind the first verified write and is not part of Total.
	Route time.Duration `json:"route"`
}

// LossReport is one workload's objective, bound and realised loss.
type LossReport struct {
	Workload  understudy.WorkloadName `json:"workload"`
	Objective time.Duration           `json:"objective"`
	Bound     *understudy.Exposure    `json:"bound,omitempty"`
	Rebound   *understudy.Exposure    `json:"rebound,omitempty"`
	// Realised counts the ledgered records; nil until the old side was scanned.
	Realised *int64 `json:"realised,omitempty"`
}

// Actor is a person's part in an operation.
type Actor struct {
	By   string    `json:"by"`
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}
