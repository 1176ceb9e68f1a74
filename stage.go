package understudy

// StageName names a barrier of an operation: every workload finishes it before any begins the next.
type StageName string

// The stages, in the words of the design. Which operation has which stages, in which order, is a table of
// package control; workloads only contribute steps.
const (
	StageCheck     StageName = "check"
	StageConfirm   StageName = "confirm"
	StageBound     StageName = "bound"
	StageApprove   StageName = "approve"
	StageProvision StageName = "provision"
	StageCreate    StageName = "create"
	StageGuard     StageName = "guard"
	StageBootstrap StageName = "bootstrap"
	StageFollow    StageName = "follow"
	StageProve     StageName = "prove"
	StageFreeze    StageName = "freeze"
	StageFence     StageName = "fence"
	StageDrain     StageName = "drain"
	StageSalvage   StageName = "salvage"
	StageRebound   StageName = "re-bound"
	StageHalt      StageName = "halt"
	StageCut       StageName = "cut"
	StagePromote   StageName = "promote"
	StageEnable    StageName = "enable"
	StageRoute     StageName = "route"
	StageReverse   StageName = "reverse"
	StageUnfreeze  StageName = "unfreeze"
	StageLevel     StageName = "level"
	StageRestore   StageName = "restore"
	StageUnfence   StageName = "unfence"
	StageScan      StageName = "scan"
	StageLedger    StageName = "ledger"
	StageResolve   StageName = "resolve"
	StageRelease   StageName = "release"
	StageCompare   StageName = "compare"
	StageJudge     StageName = "judge"
	StageUnguard   StageName = "unguard"
	StageCapture   StageName = "capture"
	StageCopy      StageName = "copy"
	StageApply     StageName = "apply"
	StagePublish   StageName = "publish"
)

// Stage is everything a workload may know when it turns one stage of an operation into steps.
type Stage struct {
	Name      StageName
	Operation OperationID
	Verb      Verb
	Workload  WorkloadName
	Plan      PlanName
	// ControlPlane is the identity that stamps carry.
	ControlPlane string
	// Before is the role when the operation began, Now the role at this stage, After the role it aims at.
	Before, Now, After Role
	// Old is the site that is or was active and To the site that takes over, or is to be followed by a link.
	// In protect and reprotect, Old is the source of the link and To its target.
	Old, To  Site
	Envelope Envelope
	// Sweeps are what the operation does beyond copying what changed.
	Sweeps []Sweep
	// Receipts are those of the earlier steps of this operation and workload, oldest first; a failover that
	// supersedes a switchover, and an abort, inherit them.
	Receipts []Receipt
	// Kept is the workload's memory in the journal.
	Kept Keep
}

// Receipt returns the newest receipt of a step kind, if there is one.
func (s Stage) Receipt(kind StepKind) (Receipt, bool) {
	for i := len(s.Receipts) - 1; i >= 0; i-- {
		if s.Receipts[i].Kind == kind {
			return s.Receipts[i], true
		}
	}
	return Receipt{}, false
}
