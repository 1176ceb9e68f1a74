package control

import (
	"slices"
	"sync"

	"github.com/understudy-dr/understudy"
)

// The model is one single-writer workload on two sites, with everything that the engine knows only by proof held
// as truth beside it. It walks the same tables and asks the same guards as the engine; steps succeed, fail, or
// end without their proof, sites come and go, leaders die with a request in flight, and operations that lost
// their place try once more.

// side is a site: 0 none, 1 east (home), 2 west.
type side int8

func (s side) other() side { return 3 - s }

// proofs are what an operation can show.
type proofs struct{ fence, drain, halt, never, level, open, ledger bool }

// opModel is an operation. It is comparable, as is everything of the model.
type opModel struct {
	verb     understudy.Verb
	row      int8
	proved   bool // at PROMOTE: what comes before the transaction is done
	aborting bool
	promoted bool
	accepted bool
	halting  bool // links were ended
	fenced   bool // the role was fenced on its way
	again    bool // an unprotect or a reprotect ended a link, and has changed nothing of the target
	touched  bool // a reprotect may have changed something of the target
	partial  bool // a workload is quarantined
	from, to side
	holds    bool // the role is still the one it wrote last
	has      proofs
	gone     bool // it is a ghost
	undoes   bool // it is about the open takeover
	runs     bool // it may meet runs of replication
}

// model is one state of the world.
type model struct {
	active, last side
	protected    bool
	open, up     [3]bool
	// running are movers into a site that are assigned, zombie those that ended with a write in flight.
	running, zombie [3]bool
	// assigned means that a link into the site was assigned since the site was last given up.
	assigned [3]bool
	// forced means that the other side was promoted on a person's word, and this one not met since.
	forced [3]bool
	// drained is the truth: the target holds everything since the last fence.
	drained bool
	op      opModel
	// takeover waits for its commit, between these sides.
	takeover         bool
	takeFrom, takeTo side
	takePartial      bool
	takeFailover     bool
	// ghost is an operation that lost its place and does not know it yet.
	ghost opModel
	// late is a request in flight of a leader that died: it opens this site. waited is false until the next
	// leader has waited it out.
	late   side
	waited bool
	// scheduled means that no mover follows a link: runs copy along it. blind means that operations do not end the
	// runs that they meet, for the test that shows why they must.
	scheduled, blind bool
	// run is the side that an open run of replication writes, and second that another one is open beside it.
	run    side
	second bool
}

// ghost is what matters of an operation that lost its place; empty when it has no effect ahead, or when the guards
// refuse that effect however favourable everything else is.
func (o opModel) ghost(guards []Guard) opModel {
	g := opModel{gone: true, verb: o.verb, holds: o.holds, from: o.from, to: o.to, aborting: o.aborting}
	var gate Gate
	switch {
	case isTakeover(o.verb) && o.has.halt && !o.promoted && !o.aborting:
		gate, g.accepted, g.has = GatePromote, o.accepted, proofs{fence: o.has.fence, halt: true}
	case isTakeover(o.verb) && o.aborting && o.fenced && o.has.never:
		gate, g.fenced, g.halting, g.has = GateRestore, true, o.halting, proofs{never: true, level: o.has.level}
	case !o.aborting && !isTakeover(o.verb) && slices.Contains(o.rows()[o.row].After, ActStartLinks):
		gate = GateAssign
	default:
		return opModel{}
	}
	best := Facts{
		Waited: true, Fenced: true, Accepted: true, Silent: true, Drained: true, Halted: true, NeverEnabled: true, Level: true, Whole: true,
	}
	if pass(guards, gate, best, understudy.Object{}) != nil {
		return opModel{}
	}
	return g
}

// moved is called with every change of the role: only the operation that made it knows the new one.
func (m *model) moved() {
	m.op.holds, m.ghost.holds = true, false
}

func (m model) busy() bool { return m.op.verb != "" }

func (o opModel) rows() []Row {
	at := table{o.verb, o.aborting}
	if made, ok := tables.Load(at); ok {
		return made.([]Row)
	}
	rows := Stages(o.verb)
	if o.aborting {
		rows = Backwards(o.verb)
	}
	tables.Store(at, rows)
	return rows
}

// table names the rows of an operation, or of its way back.
type table struct {
	verb     understudy.Verb
	aborting bool
}

// tables are the rows that were made already: the model asks for them at every move.
var tables sync.Map

// facts is what the engine would gather; what it cannot know it takes from proofs.
func (m model) facts(o opModel) Facts {
	return Facts{
		Verb: TableVerb(o.verb), Waited: m.waited, Promoted: o.promoted,
		InPlace: !o.gone && m.active == 0 && o.holds,
		Fenced:  o.has.fence, Accepted: o.accepted, Silent: !m.up[o.from], Drained: o.has.drain,
		Halted: !m.assigned[o.to] || o.has.halt, NeverEnabled: o.has.never, Level: !o.halting || o.has.level,
		Whole: !m.takePartial, Opened: o.has.open, Saved: o.has.ledger,
	}
}

// start lists the operations that a person may order now.
func (m model) start(guards []Guard) []model {
	var out []model
	verbs := []understudy.Verb{
		understudy.Protect, understudy.Switchover, understudy.Failover, understudy.Commit, understudy.Rollback,
		understudy.Reprotect, understudy.Failback, understudy.Unprotect,
	}
	for _, v := range verbs {
		for _, accepted := range []bool{false, true} {
			if accepted && (v != understudy.Failover || m.up[m.last]) {
				continue
			}
			out = append(out, m.startOne(guards, v, 1, accepted)...)
			out = append(out, m.startOne(guards, v, 2, accepted)...)
		}
	}
	return out
}

// startOne gives the state in which the operation has begun; none when it is refused.
func (m model) startOne(guards []Guard, v understudy.Verb, to side, accepted bool) []model {
	if (v == understudy.Protect) == m.protected {
		return nil
	}
	o := opModel{verb: v, to: to, accepted: accepted, from: m.last}
	switch v {
	case understudy.Protect:
		if m.last == 0 {
			o.from = 1
		}
	case understudy.Failback:
		if to != 1 {
			return nil
		}
	case understudy.Commit, understudy.Rollback:
		if !m.takeover || v == understudy.Rollback && m.takeFailover {
			return nil
		}
		o.undoes = true
		o.from, o.to = m.takeFrom, m.takeTo
		if v == understudy.Rollback {
			o.from, o.to = m.takeTo, m.takeFrom
		}
		if to != o.to {
			return nil
		}
	default: // the others need nothing here
	}
	supersedes := v == understudy.Failover && m.busy()
	f := Facts{Verb: v, Busy: m.busy() && !supersedes, Uncommitted: m.takeover, TargetIsOld: o.from == o.to, Whole: !m.takePartial}
	if pass(guards, GateStart, f, understudy.Object{}) != nil {
		return nil
	}
	if v == understudy.Commit && pass(guards, GateSettle, f, understudy.Object{}) != nil {
		return nil
	}
	return []model{m.enlist(guards, o, supersedes)}
}

// enlist puts an operation in the place of the one before.
func (m model) enlist(guards []Guard, o opModel, supersedes bool) model {
	if m.busy() {
		m.ghost = m.op.ghost(guards)
		if supersedes && isTakeover(m.op.verb) && !m.op.promoted && m.op.to == o.to {
			o.has, o.halting, o.fenced, o.holds = m.op.has, m.op.halting, m.op.fenced, m.op.holds
		}
	}
	if o.verb == understudy.Failover {
		m.takeover, m.takeFrom, m.takeTo, m.takePartial, m.takeFailover = false, 0, 0, false, false
	}
	m.op = o
	m.op.runs = m.scheduled
	return m.skip()
}

// skip passes over the rows in which nothing happens that the model knows of.
func (m model) skip() model {
	for m.busy() && int(m.op.row) < len(m.op.rows()) && m.op.dull(m.op.rows()[m.op.row]) {
		m.op.row++
	}
	return m
}

// dull says that a row has no part in the model.
func (o opModel) dull(r Row) bool {
	if r.Steps && matters(r.Stage, o.verb) {
		return false
	}
	return !slices.ContainsFunc(slices.Concat(r.Before, r.After), func(a Act) bool {
		switch a {
		case ActPreempt, ActApprove:
			return o.runs
		case ActOwn, ActConfirm, ActBound, ActRebound, ActFreeze, ActUnfreeze, ActAwaitCopied, ActAwaitProtected, ActHealthy,
			ActProvision, ActDismiss:
			return false
		default:
			return true
		}
	})
}

// matters lists the stages whose steps the model knows.
func matters(s understudy.StageName, v understudy.Verb) bool {
	switch s {
	case understudy.StageFence, understudy.StageDrain, understudy.StagePromote, understudy.StageEnable, understudy.StageLevel,
		understudy.StageRestore, understudy.StageUnfence, understudy.StageLedger, understudy.StageResolve:
		return true
	case understudy.StageHalt, understudy.StageProve:
		return isTakeover(v)
	case understudy.StageGuard:
		return v == understudy.Protect
	case understudy.StageUnguard:
		return v == understudy.Unprotect
	default:
		return false
	}
}

// crash lets the leader die. A step that opens a site may have its request in flight.
func (m model) crash() model {
	m.waited = false
	switch m.op.rows()[m.op.row].Stage {
	case understudy.StageEnable:
		m.late = m.op.to
	case understudy.StageUnfence:
		m.late = m.op.from
	}
	return m
}

// people lists the decisions about the open operation: a word for a silent side, and abort. Retry is in the walk:
// an operation that failed stands where it stood, and may go on.
func (m model) people(guards []Guard) []model {
	var out []model
	if !m.busy() && m.takePartial {
		n := m
		n.takePartial = false
		out = append(out, n)
	}
	if m.op.verb == understudy.Failover && !m.op.promoted && !m.op.aborting && !m.op.accepted && !m.up[m.op.from] {
		n := m
		n.op.accepted = true
		out = append(out, n)
	}
	if !m.busy() || m.op.aborting || pass(guards, GateTurn, Facts{Promoted: m.op.promoted}, understudy.Object{}) != nil {
		return out
	}
	n := m
	n.ghost = m.op.ghost(guards)
	n.op.aborting, n.op.row, n.op.proved = true, 0, false
	if len(n.op.rows()) == 0 {
		n.op = opModel{}
	}
	return append(out, n.skip())
}

// weather lists what happens by itself: sites come and go, late requests and late writers arrive.
func (m model) weather() []model {
	var out []model
	for s := side(1); s <= 2; s++ {
		// A site goes where that makes a difference: the side that is being left, or one that nobody fenced yet.
		leaving := m.busy() && isTakeover(m.op.verb) && s == m.op.from && !m.op.promoted
		if leaving || m.forced[s] || !m.up[s] {
			n := m
			n.up[s] = !n.up[s]
			out = append(out, n)
		}
	}
	if m.late != 0 {
		n := m
		n.open[m.late], n.late = true, 0
		out = append(out, n)
	}
	if !m.waited {
		n := m
		if n.late != 0 {
			n.open[n.late], n.late = true, 0
		}
		n.waited = true
		out = append(out, n)
	} else if m.busy() {
		switch m.op.rows()[m.op.row].Stage {
		case understudy.StageEnable, understudy.StageUnfence, understudy.StageHalt:
			out = append(out, m.crash())
		}
	}
	return out
}

// isBehind says that an operation on its way forward has done a stage.
func (o opModel) isBehind(stage understudy.StageName) bool {
	return !o.aborting && int(o.row) > slices.IndexFunc(o.rows(), func(r Row) bool { return r.Stage == stage })
}

// atReprotectFence says that a reprotect may rest before the old primary, which it could not fence.
func (o opModel) atReprotectFence() bool {
	return o.verb == understudy.Reprotect && !o.aborting && o.rows()[o.row].Stage == understudy.StageFence
}

// duty lets the standing duty fence what it may.
func (m model) duty(guards []Guard) ([]model, string) {
	var out []model
	if !m.protected {
		return nil, ""
	}
	for s := side(1); s <= 2; s++ {
		if !m.up[s] || m.active == 0 && s != m.last {
			continue
		}
		becomes := m.busy() && TableVerb(m.op.verb) == understudy.Switchover && m.op.promoted && s == m.op.from
		f := Facts{SiteActive: m.active == s, SiteFed: m.running[s], SiteRising: m.busy() && s == m.op.to && (isTakeover(m.op.verb) || !m.op.looksOn() && !m.op.atReprotectFence()) || becomes}
		if pass(guards, GateDuty, f, understudy.Object{}) != nil || pass(guards, GateEffect, Facts{Waited: m.waited}, understudy.Object{}) != nil {
			continue
		}
		if m.active == s && m.open[s] {
			return nil, "the duty closes the active side"
		}
		if m.running[s] {
			return nil, "the duty closes a link's target"
		}
		if m.busy() && m.op.verb == understudy.Reprotect && s == m.op.to && m.op.isBehind(understudy.StageLedger) {
			return nil, "the duty closes the side that an operation makes a link's target"
		}
		n := m
		n.open[s], n.forced[s] = false, false
		out = append(out, n)
	}
	return out, ""
}
