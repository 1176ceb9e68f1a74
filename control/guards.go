package control

import (
	"slices"

	"github.com/understudy-dr/understudy"
)

// Gate is a decision that must not be taken wrongly.
type Gate string

// The gates. The engine and the exhaustive exploration ask the same guards at each.
const (
	// GateEffect is passed before a leader's first effect, GateStart before an operation begins.
	GateEffect Gate = "effect"
	GateStart  Gate = "start"
	// GateHalt is passed before the links into the new side are ended.
	GateHalt    Gate = "halt"
	GatePromote Gate = "PROMOTE"
	GateRestore Gate = "RESTORE"
	// GateArrive is passed before a takeover counts as done, GateResolve before a reprotect discards anything.
	GateArrive  Gate = "arrive"
	GateResolve Gate = "resolve"
	// GateAssign is passed before a link is assigned, GateTurn before an operation goes backwards.
	GateAssign Gate = "assign"
	GateTurn   Gate = "turn"
	// GateDuty is passed before the standing duty fences a site, GateSettle before a takeover is made final.
	GateDuty   Gate = "duty"
	GateSettle Gate = "settle"
	// GateRun is passed before a run of replication begins, GatePublish before what it shows counts.
	GateRun     Gate = "run"
	GatePublish Gate = "publish"
)

// Facts is all that guards look at. Each gate fills what its guards need; "old" is the side that is or was
// active, "new" the side that takes over.
type Facts struct {
	Verb understudy.Verb
	// Waited means that a former leader can have nothing in flight.
	Waited bool
	// Busy means that another role-changing operation is open, Uncommitted that a takeover is.
	Busy, Uncommitted bool
	// TargetIsOld means that the side to take over is the one that the role calls active, or last active.
	TargetIsOld bool
	// Promoted is the operation's.
	Promoted bool
	// InPlace means that no other operation has taken this one's place, nor its own way back, and for role transactions that the role is
	// none, at the epoch which this one, or the one it inherits from, wrote; for links that they run from the
	// active side.
	InPlace bool
	// Fenced means complete, fresh proof that nobody writes the old side; Accepted a named person's word for
	// it, and Silent that it does not answer now.
	Fenced, Accepted, Silent bool
	// Drained means proof that the new side holds all that the old one holds.
	Drained bool
	// Halted means proof for every link into the new side, or that none was assigned since it was last halted.
	Halted bool
	// NeverEnabled means proof that the new side took no ordinary write, Level that both sides end alike, or
	// that nothing was halted.
	NeverEnabled, Level bool
	// Opened means proof that the new side takes writes, Saved that what only the link's target holds is in the
	// ledger, durable and counted.
	Opened, Saved bool
	// SiteActive, SiteFed and SiteRising are about the duty's site: it is active, a link writes into it, or it
	// is the new side of an open operation.
	SiteActive, SiteFed, SiteRising bool
	// Whole means that no workload of the takeover is quarantined.
	Whole bool
	// Replicating means that a run of the workload is open.
	Replicating bool
}

// Guard is one named condition of a gate.
type Guard struct {
	Name string
	Gate Gate
	Code understudy.Code
	// Holds says whether the gate may be passed as far as this guard is concerned.
	Holds func(Facts) bool
	// Refusal is one line for people, and Fix what they can do.
	Refusal, Fix string
}

// Guards lists all guards. There is no switch that leaves one out.
func Guards() []Guard {
	return slices.Concat(beginGuards(), takeoverGuards(), linkGuards(), runGuards())
}

func beginGuards() []Guard {
	return []Guard{
		{"waited", GateEffect, "US211", func(f Facts) bool { return f.Waited },
			"a former leader may still have requests in flight", "wait: it goes on by itself"},
		{"alone", GateStart, "US212", func(f Facts) bool { return !f.Busy },
			"another operation of this plan is open", "finish or abort it, or name it with --supersede in a failover"},
		{"settled", GateStart, "US213", func(f Facts) bool { return !f.Uncommitted || !wantsSettled(f.Verb) },
			"the last takeover is neither committed nor rolled back", "understudy commit, or understudy rollback"},
		{"other side", GateStart, "US214", func(f Facts) bool { return !f.TargetIsOld },
			"the site that is to take over is the one that is active, or was last", "name the other site with --to"},
		{"forward only", GateTurn, "US215", func(f Facts) bool { return !f.Promoted },
			"the new side is active: there is no way back within this operation", "retry, or start a new failover"},
		{"whole", GateSettle, "US216", func(f Facts) bool { return f.Whole },
			"a workload of the takeover is quarantined", "understudy retry, or understudy abort, with --workload"},
	}
}

// wantsSettled lists the verbs that need the last takeover to be final.
func wantsSettled(v understudy.Verb) bool {
	switch v {
	case understudy.Reprotect, understudy.Failback, understudy.Switchover, understudy.Protect, understudy.Unprotect:
		return true
	default:
		return false
	}
}

func takeoverGuards() []Guard {
	// A word is enough for a failover only: a switchover that lets an unfenced side go may lose what that side
	// takes behind the drain.
	shut := func(f Facts) bool { return f.Fenced || f.Accepted && f.Verb == understudy.Failover }
	quiet := func(f Facts) bool { return f.Fenced || f.Silent }
	return []Guard{
		{"drained", GateHalt, "US220", func(f Facts) bool { return f.Drained || f.Verb == understudy.Failover },
			"the new side does not provably hold everything: a switchover loses nothing", "retry when the link has caught up, or abort"},
		{"fence", GatePromote, "US221", shut,
			"nothing proves that nobody writes the old side", "retry the fence, or give your word with --accept-fence FA --as NAME if the site is down"},
		{"silence", GatePromote, "US222", quiet,
			"the old side answers: a named acceptance holds only while it does not", "retry: it is fenced first"},
		{"halt", GatePromote, "US223", func(f Facts) bool { return f.Halted },
			"nothing proves that the link into the new side is halted", "retry, or abort"},
		{"in place", GatePromote, "US224", func(f Facts) bool { return f.InPlace },
			"the operation has lost its place, or the role is not the one it fenced", "look at `understudy status`"},
		{"never enabled", GateRestore, "US226", func(f Facts) bool { return f.NeverEnabled },
			"nothing proves that the new side took no write", "retry, or go on with a failover"},
		{"level", GateRestore, "US227", func(f Facts) bool { return f.Level },
			"the sides do not provably end alike after the halt", "retry"},
		{"in place", GateRestore, "US228", func(f Facts) bool { return f.InPlace },
			"the operation has lost its place, or the role is not the one it fenced", "look at `understudy status`"},
		{"open", GateArrive, "US253", func(f Facts) bool { return f.Opened },
			"nothing proves that the new side takes writes", "retry"},
		{"ledger", GateResolve, "US254", func(f Facts) bool { return f.Saved },
			"nothing proves that the ledger is durable and complete", "retry"},
	}
}

func linkGuards() []Guard {
	return []Guard{
		{"in place", GateAssign, "US230", func(f Facts) bool { return f.InPlace },
			"another operation has taken this one's place, or the link does not run from the active side", "look at `understudy status`"},
		{"inactive", GateDuty, "US232", func(f Facts) bool { return !f.SiteActive },
			"the site is active", ""},
		{"unfed", GateDuty, "US233", func(f Facts) bool { return !f.SiteFed },
			"a link writes into the site", ""},
		{"not rising", GateDuty, "US234", func(f Facts) bool { return !f.SiteRising },
			"the site is the new side of an open operation", ""},
	}
}

// pass asks the guards of a gate; the first that does not hold refuses.
func pass(guards []Guard, gate Gate, f Facts, o understudy.Object) *understudy.Error {
	return ask(guards, f, o, func(g Guard) bool { return g.Gate == gate })
}

// demand asks single guards by name, ahead of the gate that asks them all.
func demand(guards []Guard, f Facts, o understudy.Object, names ...string) *understudy.Error {
	return ask(guards, f, o, func(g Guard) bool { return slices.Contains(names, g.Name) })
}

func ask(guards []Guard, f Facts, o understudy.Object, which func(Guard) bool) *understudy.Error {
	for _, g := range guards {
		if !which(g) || g.Holds(f) {
			continue
		}
		e := refused(g.Code, o, g.Refusal, g.Fix)
		e.Op = "control." + string(g.Gate)
		return e
	}
	return nil
}
