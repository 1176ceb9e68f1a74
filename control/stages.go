package control

import "github.com/understudy-dr/understudy"

// Act is something control itself does at a stage, before or after the steps of the workloads.
type Act string

// The acts. Every act can run twice: it looks whether it already happened.
const (
	// ActOwn refuses sites that carry the stamp of another control plane, and findings that refuse.
	ActOwn Act = "own"
	// ActHealthy refuses a planned takeover of what is not protected.
	ActHealthy Act = "healthy"
	// ActConfirm records what can be reached and when the source last answered.
	ActConfirm Act = "confirm"
	// ActBound states what would be lost, and refuses above the highest loss.
	ActBound Act = "bound"
	// ActRebound states it again, after fence and salvage.
	ActRebound Act = "re-bound"
	// ActApprove waits for a second person, where the plan wants one.
	ActApprove Act = "approve"
	// ActFreeze tells movers to copy data and positions only, and ActUnfreeze ends that.
	ActFreeze   Act = "freeze"
	ActUnfreeze Act = "unfreeze"
	// ActOpenRole gives an unprotected workload its first role.
	ActOpenRole Act = "open-role"
	// ActFence, ActPromote and ActRestore are the role transactions.
	ActFence   Act = "FENCE"
	ActPromote Act = "PROMOTE"
	ActRestore Act = "RESTORE"
	// ActDial looks whether a site that was accepted as unreachable answers after all.
	ActDial Act = "dial"
	// ActNeedFence, ActNeedDrain, ActNeedHalt, ActNeedOpen and ActNeedLedger demand proofs.
	ActNeedFence  Act = "need-fence"
	ActNeedDrain  Act = "need-drain"
	ActNeedHalt   Act = "need-halt"
	ActNeedOpen   Act = "need-open"
	ActNeedLedger Act = "need-ledger"
	// ActStartLinks assigns the links of the role, and ActEndLinks ends those into the side that takes over.
	ActStartLinks Act = "start-links"
	ActEndLinks   Act = "end-links"
	// ActAwaitCopied waits until the first copy is complete, ActAwaitProtected until a link keeps up.
	ActAwaitCopied    Act = "await-copied"
	ActAwaitProtected Act = "await-protected"
	// ActForgetCopy forgets what was proven of a copy that may be made anew now.
	ActForgetCopy Act = "forget-copy"
	// ActForget ends the protection, ActSettle ends the takeover that a commit or rollback is about.
	ActForget Act = "forget"
	ActSettle Act = "settle"
	// ActPreempt ends the runs of replication that are open, ActNeedStaged and ActNeedPublished demand what a run
	// has to show.
	ActPreempt       Act = "pre-empt"
	ActNeedStaged    Act = "need-staged"
	ActNeedPublished Act = "need-published"
	// ActProvision makes the target's cluster exist, and ActDismiss removes clusters that the plan wants absent.
	ActProvision Act = "provision"
	ActDismiss   Act = "dismiss"
	// ActCompare runs a verification by content, and ActJudge keeps its verdict.
	ActCompare Act = "compare"
	ActJudge   Act = "judge"
)

// Row is one stage of an operation: a barrier across the plan. Control's acts before come first, then the
// workloads' steps in the order of the plan, then control's acts after, then the plan's hook.
type Row struct {
	Stage  understudy.StageName
	Before []Act
	// Steps says that workloads contribute.
	Steps bool
	After []Act
	// Continue says that the plan's choice "continue" applies here.
	Continue bool
	// Quarantine says that the plan's choice "quarantine" applies here.
	Quarantine bool
}

func acts(a ...Act) []Act { return a }

// Stages gives the table of a verb; nil for verbs that have none. Rollback and failback are switchovers to
// another site, and the way back of an operation is Backwards.
func Stages(v understudy.Verb) []Row {
	switch v {
	case understudy.Protect:
		return protectRows()
	case understudy.Switchover, understudy.Failback, understudy.Rollback:
		return switchoverRows()
	case understudy.Failover:
		return failoverRows()
	case understudy.Commit:
		return []Row{{Stage: understudy.StageRelease, Steps: true, After: acts(ActSettle, ActDismiss)}}
	case understudy.Replicate:
		return replicateRows()
	case understudy.Reprotect:
		return reprotectRows()
	case understudy.Unprotect:
		return unprotectRows()
	case understudy.Verify:
		return []Row{
			{Stage: understudy.StageCompare, Before: acts(ActCompare)},
			{Stage: understudy.StageJudge, Before: acts(ActJudge)},
		}
	case understudy.Duty:
		return []Row{{Stage: understudy.StageFence, Steps: true, After: acts(ActNeedFence)}}
	default:
		return nil
	}
}

// TableVerb is the verb that workloads see in Stage.Verb and Run.Verb: the one whose table is walked.
func TableVerb(v understudy.Verb) understudy.Verb {
	switch v {
	case understudy.Failback, understudy.Rollback:
		return understudy.Switchover
	default:
		return v
	}
}

func protectRows() []Row {
	return []Row{
		{Stage: understudy.StageCheck, Before: acts(ActPreempt, ActOwn), Steps: true},
		{Stage: understudy.StageProvision, Before: acts(ActProvision), Steps: true, After: acts(ActOwn)},
		{Stage: understudy.StageCreate, Before: acts(ActOpenRole), Steps: true},
		{Stage: understudy.StageGuard, Steps: true},
		{Stage: understudy.StageBootstrap, Steps: true, After: acts(ActStartLinks, ActAwaitCopied)},
		{Stage: understudy.StageFollow, After: acts(ActAwaitProtected)},
		{Stage: understudy.StageProve, Steps: true, After: acts(ActDismiss), Continue: true},
	}
}

func switchoverRows() []Row {
	rows := []Row{
		{Stage: understudy.StageCheck, Before: acts(ActPreempt, ActOwn, ActHealthy), Steps: true, Quarantine: true},
		{Stage: understudy.StageBound, After: acts(ActBound)},
		{Stage: understudy.StageApprove, After: acts(ActApprove)},
		{Stage: understudy.StageProvision, Before: acts(ActPreempt, ActProvision), Steps: true, Quarantine: true},
		{Stage: understudy.StageFreeze, Before: acts(ActFreeze), Steps: true, Quarantine: true},
		{Stage: understudy.StageFence, Before: acts(ActFence), Steps: true, After: acts(ActNeedFence), Quarantine: true},
		{Stage: understudy.StageDrain, Steps: true, After: acts(ActNeedDrain), Quarantine: true},
	}
	rows = append(rows, takeoverRows()...)
	return append(rows,
		Row{Stage: understudy.StageRoute, Steps: true, Continue: true},
		Row{Stage: understudy.StageGuard, Steps: true},
		Row{Stage: understudy.StageReverse, Steps: true, After: acts(ActStartLinks), Continue: true},
		Row{Stage: understudy.StageUnfreeze, Before: acts(ActUnfreeze), Steps: true, Continue: true},
	)
}

func failoverRows() []Row {
	rows := []Row{
		{Stage: understudy.StageConfirm, Before: acts(ActPreempt), After: acts(ActConfirm)},
		{Stage: understudy.StageBound, After: acts(ActBound)},
		{Stage: understudy.StageApprove, After: acts(ActApprove)},
		{Stage: understudy.StageProvision, Before: acts(ActPreempt, ActProvision), Steps: true, Quarantine: true},
		{Stage: understudy.StageFreeze, Before: acts(ActFreeze), Steps: true, Quarantine: true},
		{Stage: understudy.StageFence, Before: acts(ActFence), Steps: true, After: acts(ActNeedFence), Quarantine: true},
		{Stage: understudy.StageSalvage, Steps: true, Quarantine: true},
		{Stage: understudy.StageRebound, After: acts(ActRebound)},
	}
	rows = append(rows, takeoverRows()...)
	return append(rows,
		Row{Stage: understudy.StageRoute, Steps: true, Continue: true},
		Row{Stage: understudy.StageUnfreeze, Before: acts(ActUnfreeze), Steps: true, Continue: true},
	)
}

// takeoverRows is what a switchover and a failover share, from halt to the first verified write.
func takeoverRows() []Row {
	return []Row{
		{Stage: understudy.StageHalt, Before: acts(ActDial, ActEndLinks), Steps: true, After: acts(ActNeedHalt)},
		{Stage: understudy.StageCut, Steps: true},
		{Stage: understudy.StagePromote, Before: acts(ActDial), Steps: true, After: acts(ActPromote)},
		{Stage: understudy.StageEnable, Steps: true},
		{Stage: understudy.StageProve, Steps: true, After: acts(ActNeedOpen), Continue: true},
	}
}

func reprotectRows() []Row {
	return []Row{
		{Stage: understudy.StageCheck, Before: acts(ActOwn), Steps: true},
		{Stage: understudy.StageApprove, After: acts(ActApprove)},
		// A link may run already, into a side that took foreign writes: it ends, so that it starts anew on what
		// resolve leaves there.
		{Stage: understudy.StageFence, Before: acts(ActPreempt, ActProvision, ActOwn, ActEndLinks), Steps: true, After: acts(ActNeedFence)},
		{Stage: understudy.StageScan, Steps: true},
		{Stage: understudy.StageLedger, Steps: true, After: acts(ActNeedLedger)},
		{Stage: understudy.StageGuard, Steps: true},
		{Stage: understudy.StageResolve, Before: acts(ActForgetCopy), Steps: true},
		{Stage: understudy.StageReverse, Steps: true, After: acts(ActStartLinks, ActAwaitProtected)},
		{Stage: understudy.StageProve, Steps: true, After: acts(ActDismiss), Continue: true},
	}
}

// unprotectRows has the workloads refuse twice before a link is ended: by what is there, and again when what was
// made for the operation is there too.
func unprotectRows() []Row {
	return append([]Row{
		{Stage: understudy.StageCheck, Steps: true},
		{Stage: understudy.StageApprove, After: acts(ActApprove)},
		{Stage: understudy.StageProvision, Before: acts(ActPreempt, ActProvision), Steps: true},
	}, letGoRows(ActEndLinks)...)
}

// letGoRows ends a protection, from the halt on.
func letGoRows(halt ...Act) []Row {
	return []Row{
		{Stage: understudy.StageHalt, Before: halt, Steps: true},
		{Stage: understudy.StageUnguard, Steps: true},
		{Stage: understudy.StageRelease, Steps: true, After: acts(ActDismiss, ActForget)},
	}
}

// Backwards gives the stages of the way back of an unfinished operation.
func Backwards(v understudy.Verb) []Row {
	switch TableVerb(v) {
	case understudy.Switchover, understudy.Failover:
		return []Row{
			{Stage: understudy.StageLevel, Steps: true},
			{Stage: understudy.StageRestore, Steps: true, After: acts(ActRestore)},
			{Stage: understudy.StageUnfence, Steps: true},
			{Stage: understudy.StageFollow, Steps: true, After: acts(ActStartLinks)},
			{Stage: understudy.StageUnfreeze, Before: acts(ActUnfreeze), Steps: true, After: acts(ActDismiss), Continue: true},
		}
	case understudy.Protect:
		return letGoRows(ActPreempt, ActProvision, ActEndLinks)
	case understudy.Unprotect:
		return []Row{{Stage: understudy.StageFollow, After: acts(ActStartLinks, ActDismiss)}}
	case understudy.Replicate:
		return []Row{{Stage: understudy.StageRelease, Steps: true, After: acts(ActDismiss)}}
	case understudy.Reprotect:
		return []Row{
			{Stage: understudy.StageHalt, Before: acts(ActPreempt, ActEndLinks)},
			{Stage: understudy.StageFollow, After: acts(ActStartLinks)},
		}
	default:
		return nil
	}
}
