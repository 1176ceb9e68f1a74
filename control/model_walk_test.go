package control

import (
	"slices"

	"github.com/understudy-dr/understudy"
)

// next is one possible outcome of a move, with the invariant it breaks, if any.
type next struct {
	m      model
	broken string
	// failed means that the row did not go through.
	failed bool
}

// walk lists what the engine may do next with the open operation: the whole of a row, or in the row of PROMOTE what
// comes before the transaction and the transaction itself, because the world may change between the two.
func (m model) walk(guards []Guard) []next {
	if !m.busy() || pass(guards, GateEffect, Facts{Waited: m.waited}, understudy.Object{}) != nil {
		return nil
	}
	row := m.op.rows()[m.op.row]
	splits := row.Stage == understudy.StagePromote
	var out []next
	if !splits || !m.op.proved {
		out = m.acts(guards, row.Before)
		out = each(out, m.op.row, func(n model) []next {
			if !row.Steps || !matters(row.Stage, n.op.verb) || n.passedBy(row.Stage) {
				return []next{{m: n}}
			}
			return n.steps(row.Stage)
		})
	} else {
		out = []next{{m: m}}
	}
	if splits && !m.op.proved {
		return each(out, m.op.row, func(n model) []next {
			n.op.proved = true
			return []next{{m: n}}
		})
	}
	out = each(out, m.op.row, func(n model) []next { return n.acts(guards, row.After) })
	return each(out, m.op.row, func(n model) []next {
		n.op.row++
		n.op.proved = false
		return []next{n.arrive()}
	})
}

// each goes on with every outcome that is still in its row, unbroken and not failed.
func each(list []next, row int8, f func(model) []next) []next {
	var out []next
	for _, n := range list {
		if n.broken != "" || n.failed || n.m.op.row != row {
			out = append(out, n)
			continue
		}
		out = append(out, f(n.m)...)
	}
	return out
}

func (m model) passedBy(stage understudy.StageName) bool {
	back := []understudy.StageName{understudy.StageLevel, understudy.StageRestore, understudy.StageUnfence}
	return m.op.aborting && isTakeover(m.op.verb) && !m.op.fenced && slices.Contains(back, stage)
}

// fail leaves the operation where it stands; what was done of the row stays done.
func (m model) fail() next {
	m.op.proved = false
	return next{m: m, failed: true}
}

// acts does control's acts of a row, in order.
func (m model) acts(guards []Guard, list []Act) []next {
	out := []next{{m: m}}
	for _, a := range list {
		out = each(out, m.op.row, func(n model) []next { return n.act(guards, a) })
	}
	return out
}

// arrive skips what is dull, and ends the operation behind its last row.
func (m model) arrive() next {
	m = m.skip()
	if int(m.op.row) < len(m.op.rows()) {
		return next{m: m}
	}
	return m.finish()
}

// finish is the end of the table.
func (m model) finish() next {
	if m.op.aborting || !isTakeover(m.op.verb) {
		m.op = opModel{}
		return next{m: m}
	}
	if !m.open[m.op.to] {
		return next{m: m, broken: "a takeover is done while its new side is closed"}
	}
	if m.takeover && !m.op.undoes {
		return next{m: m, broken: "a takeover is replaced before it was final"}
	}
	m.takeover, m.takeFrom, m.takeTo = true, m.op.from, m.op.to
	m.takePartial, m.takeFailover = m.op.partial, TableVerb(m.op.verb) == understudy.Failover
	m.op = opModel{}
	return next{m: m}
}

// act does one act, as the engine does it.
func (m model) act(guards []Guard, a Act) []next {
	if m.lacks(guards, a) {
		return []next{m.fail()}
	}
	switch a {
	case ActOpenRole:
		if m.last == 0 {
			m.active, m.last = m.op.from, m.op.from
			m.moved()
		}
	case ActPreempt:
		return m.preempt(guards)
	case ActFence:
		if m.run != 0 {
			return []next{{m: m, broken: "FENCE while a run goes on"}}
		}
		if m.active != 0 {
			m.last, m.active = m.active, 0
			m.moved()
			// Proofs of an earlier role do not count: the engine compares epochs.
			m.drained, m.op.has = false, proofs{}
		}
		m.op.fenced = true
	case ActDial:
		return m.dial()
	case ActStartLinks:
		return m.startLinks(guards, m.op)
	case ActEndLinks:
		return m.endLinks()
	case ActPromote:
		return m.promote(guards, m.op)
	case ActRestore:
		return m.restore(guards, m.op)
	case ActForget:
		m.protected, m.assigned = false, [3]bool{}
	case ActSettle:
		if m.takePartial {
			return []next{{m: m, broken: "a takeover is made final while a workload is quarantined"}}
		}
		m.takeover, m.takeFrom, m.takeTo, m.takePartial, m.takeFailover = false, 0, 0, false, false
	default: // the others need nothing here
	}
	return []next{{m: m}}
}

// lacks says whether an act demands a proof that the operation does not have.
func (m model) lacks(guards []Guard, a Act) bool {
	f := m.facts(m.op)
	switch a {
	case ActNeedFence:
		return demand(guards, f, understudy.Object{}, "fence", "silence") != nil
	case ActNeedDrain:
		return pass(guards, GateHalt, f, understudy.Object{}) != nil
	case ActNeedHalt:
		return demand(guards, f, understudy.Object{}, "halt") != nil
	case ActNeedOpen:
		return pass(guards, GateArrive, f, understudy.Object{}) != nil
	case ActNeedLedger:
		return pass(guards, GateResolve, f, understudy.Object{}) != nil
	default:
		return false
	}
}

// dial looks at a side whose silence was accepted.
func (m model) dial() []next {
	if m.op.has.fence || !m.op.accepted || !m.up[m.op.from] {
		return []next{{m: m}}
	}
	if !m.op.halting {
		m.op.row = int8(slices.IndexFunc(m.op.rows(), func(r Row) bool { return r.Stage == understudy.StageFence }))
		m.op.proved = false
		return []next{{m: m}}
	}
	m.open[m.op.from], m.forced[m.op.from], m.op.has.fence = false, false, true
	return []next{m.fail()}
}

// endLinks ends the movers into the new side; one may leave a write in flight.
func (m model) endLinks() []next {
	if m.op.aborting && m.op.verb == understudy.Reprotect && !m.op.touched {
		return []next{{m: m}}
	}
	m.op.halting = true
	if !m.running[m.op.to] {
		return []next{{m: m}}
	}
	m.running[m.op.to] = false
	m.op.again = m.op.verb == understudy.Unprotect || m.op.verb == understudy.Reprotect && !m.op.touched
	if m.scheduled {
		return []next{{m: m}}
	}
	z := m
	z.zombie[m.op.to] = true
	return []next{{m: m}, {m: z}}
}

// startLinks assigns the link old → new of the role, as the operation sees it.
func (m model) startLinks(guards []Guard, o opModel) []next {
	from, to := m.active, m.active.other()
	if o.gone {
		// A ghost believes in the sides it began with.
		from, to = o.from, o.to
	}
	if m.active == 0 && !o.gone {
		return []next{m.fail()}
	}
	if m.running[to] || o.aborting && isTakeover(o.verb) && !m.assigned[to] {
		return []next{{m: m}}
	}
	if o.aborting && (o.verb == understudy.Unprotect || o.verb == understudy.Reprotect) && !o.again {
		return []next{{m: m}}
	}
	f := Facts{InPlace: !o.gone && m.active == from}
	if pass(guards, GateAssign, f, understudy.Object{}) != nil {
		if o.gone {
			return nil
		}
		return []next{m.fail()}
	}
	m.running[to], m.assigned[to], m.protected = true, true, true
	return []next{{m: m}}
}

// promote is the point of no return; what must be true is looked up in the world, not in the proofs.
func (m model) promote(guards []Guard, o opModel) []next {
	if o.promoted {
		return []next{{m: m}}
	}
	if pass(guards, GatePromote, m.facts(o), understudy.Object{}) != nil {
		if o.gone {
			return nil
		}
		return []next{m.fail()}
	}
	broken := ""
	switch {
	case o.aborting:
		broken = "an operation on its way back promotes"
	case o.gone:
		broken = "an operation that lost its place promotes"
	case o.from == o.to:
		broken = "a side takes over from itself"
	case m.open[o.from] && !(o.accepted && !m.up[o.from]):
		broken = "PROMOTE while the old side is open, and nobody answers for it"
	case m.zombie[o.to]:
		broken = "PROMOTE while a mover's write is in flight"
	case TableVerb(o.verb) == understudy.Switchover && !m.drained:
		broken = "a switchover loses writes"
	}
	m.forced[o.from] = m.open[o.from]
	m.active, m.last = o.to, o.to
	m.moved()
	m.assigned[o.to], m.running[o.from], m.assigned[o.from] = false, false, false
	m.op.promoted, m.op.halting, m.op.accepted, m.op.has = true, false, false, proofs{}
	return []next{{m: m, broken: broken}}
}

// restore makes the old side active again.
func (m model) restore(guards []Guard, o opModel) []next {
	if m.active == o.from || !o.fenced {
		return []next{{m: m}}
	}
	if pass(guards, GateRestore, m.facts(o), understudy.Object{}) != nil {
		if o.gone {
			return nil
		}
		return []next{m.fail()}
	}
	broken := ""
	switch {
	case m.active != 0:
		broken = "RESTORE after PROMOTE"
	case o.gone:
		broken = "an operation that lost its place restores"
	case m.open[o.to]:
		broken = "RESTORE while the new side is open"
	case o.halting && !o.has.level:
		broken = "RESTORE while the sides end differently"
	}
	m.active, m.last = o.from, o.from
	m.moved()
	return []next{{m: m, broken: broken}}
}

// steps does the workload's part of a stage: it succeeds, ends without its proof, or fails.
func (m model) steps(stage understudy.StageName) []next {
	if stage == understudy.StageUnguard {
		m.op.again = false // the intent is there, whatever comes of it
	}
	if m.op.verb == understudy.Reprotect && !m.op.touched {
		refused := m.fail() // before any intent
		m.op.again, m.op.touched = false, true
		return append(m.steps(stage), refused)
	}
	op := m.op
	switch {
	case stage == understudy.StageFence && op.verb != understudy.Reprotect && !m.up[op.from]:
		return []next{{m: m}}
	case stage == understudy.StageDrain && (!m.up[op.from] || !m.up[op.to] || !m.running[op.to]):
		return []next{m.fail()}
	case stage == understudy.StageResolve && m.takeover:
		return []next{{m: m, broken: "what a rollback needs is discarded"}}
	case stage == understudy.StageResolve && !op.has.ledger:
		return []next{{m: m, broken: "what only the target has is discarded without a ledger"}}
	}
	done, site := m.effect(stage)
	if !m.up[site] {
		return []next{m.fail()}
	}
	out := []next{{m: done}, m.fail()}
	if stage == understudy.StageDrain {
		// Another workload of the plan fails here, and is quarantined.
		less := done
		less.op.partial = true
		out = append(out, next{m: less})
	}
	switch {
	case stage == understudy.StageEnable:
		out = append(out, next{m: m}) // the engine took the call and opened nothing
	case stage == understudy.StageProve && !m.open[m.op.to]:
		// A person mends what kept the new side closed, and the proof is made anew.
		done.open[m.op.to], done.op.has.open = true, true
		out = append(out, next{m: done})
	case done.op.has != m.op.has:
		out = append(out, next{m: m})
	}
	return out
}

// effect is what the steps of a stage change when they succeed, and the site they reach.
func (m model) effect(stage understudy.StageName) (model, side) {
	o := &m.op
	site := o.to
	switch stage {
	case understudy.StageFence:
		if o.verb != understudy.Reprotect {
			site = o.from
		}
		m.open[site], m.forced[site], o.has.fence = false, false, true
	case understudy.StageDrain:
		m.drained, o.has.drain = !m.open[o.from], true
	case understudy.StageHalt:
		m.zombie[o.to], o.has.halt = false, true
	case understudy.StageEnable:
		m.open[o.to] = true
	case understudy.StageProve:
		o.has.open = m.open[o.to]
	case understudy.StageLevel:
		site, o.has.level = o.from, true
	case understudy.StageRestore:
		o.has.never = !m.open[o.to]
	case understudy.StageUnfence:
		site = o.from
		m.open[o.from] = true
	case understudy.StageGuard:
		m.open[o.to] = false
	case understudy.StageLedger:
		o.has.ledger = true
	case understudy.StageUnguard:
		// From here on the owner may write there again, and nobody calls it a secondary.
		m.open[o.to], m.protected = true, false
	}
	return m, site
}

// ghosts lets an operation that lost its place try its next act with an effect once more.
func (m model) ghosts(guards []Guard) []next {
	if m.ghost.verb == "" {
		return nil
	}
	g := m.ghost
	var out []next
	tries := m.promote
	if g.aborting && g.fenced {
		tries = m.restore
	}
	if isTakeover(g.verb) {
		for _, n := range tries(guards, g) {
			n.m.ghost = opModel{}
			out = append(out, n)
		}
	}
	if g.verb == understudy.Protect || g.verb == understudy.Reprotect {
		for _, n := range m.startLinks(guards, g) {
			n.m.ghost = opModel{}
			out = append(out, n)
		}
	}
	gone := m
	gone.ghost = opModel{}
	return append(out, next{m: gone})
}

// wrong names the invariant that a state breaks; empty when it breaks none.
func (m model) wrong() string {
	if m.op.promoted && m.op.aborting {
		return "an operation goes back behind the point of no return"
	}
	if m.open[1] && m.open[2] && m.protected && !m.forced[1] && !m.forced[2] && m.active != 0 {
		return "both sides are open to writers"
	}
	if broken := m.wrongRun(); broken != "" {
		return broken
	}
	for s := side(1); s <= 2; s++ {
		if m.active == s && m.open[s] && (m.running[s] || m.zombie[s]) {
			return "a mover writes into the active side"
		}
		if m.running[s] && m.open[s] {
			return "a mover writes beside other writers"
		}
	}
	return ""
}
