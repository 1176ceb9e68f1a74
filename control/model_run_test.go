package control

import (
	"slices"
	"testing"

	"github.com/understudy-dr/understudy"
)

// replicate lists what runs of replication may do: begin, and publish or end.
func (m model) replicate(guards []Guard) []next {
	if !m.scheduled || !m.protected || pass(guards, GateEffect, Facts{Waited: m.waited}, understudy.Object{}) != nil {
		return nil
	}
	var out []next
	for to := side(1); to <= 2; to++ {
		f := Facts{
			InPlace: m.running[to] && m.active == to.other(), Replicating: m.run != 0, Busy: m.busy() && !m.mayRunBeside(),
		}
		if pass(guards, GateRun, f, understudy.Object{}) != nil {
			continue
		}
		n := m
		n.second = m.run != 0
		n.run = to
		out = append(out, next{m: n})
	}
	if m.run != 0 {
		n := m
		n.run, n.second = 0, false
		out = append(out, next{m: n})
	}
	return out
}

// mayRunBeside is the engine's rule of that name; an operation of the model may rest anywhere.
func (m model) mayRunBeside() bool {
	return (isTakeover(m.op.verb) || m.op.verb == understudy.Unprotect || m.op.verb == understudy.Reprotect) && m.op.looksOn()
}

// looksOn says that an operation stands where nothing was changed yet.
func (o opModel) looksOn() bool {
	before := []understudy.StageName{understudy.StageCheck, understudy.StageConfirm, understudy.StageBound, understudy.StageApprove}
	return !o.aborting && slices.Contains(before, o.rows()[o.row].Stage)
}

// preempt ends the open run; its step may leave a write in flight, and its walk, which does not know yet, may try to
// publish: whenever it does, it has lost its place.
func (m model) preempt(guards []Guard) []next {
	if m.run == 0 || m.blind || m.op.aborting && m.op.verb == understudy.Reprotect && !m.op.touched {
		return []next{{m: m}}
	}
	to := m.run
	m.run, m.second = 0, false
	z := m
	z.zombie[to] = true
	broken := ""
	if pass(guards, GatePublish, Facts{}, understudy.Object{}) == nil {
		broken = "a run that lost its place publishes"
	}
	return []next{{m: m}, {m: z, broken: broken}}
}

// wrongRun names the invariant about runs that a state breaks.
func (m model) wrongRun() string {
	switch {
	case m.second:
		return "two runs of a workload write at once"
	case m.run == 0:
		return ""
	case m.run == m.active:
		return "a run writes into the active side"
	case !m.running[m.run]:
		return "a run copies along a link that was ended"
	case m.open[m.run]:
		return "a run writes beside other writers"
	default:
		return ""
	}
}

// Operations must end the runs that they meet: if they did not, the exploration would find the harm.
func TestPreemptionIsNeeded(t *testing.T) {
	t.Parallel()
	if raced {
		t.Log("not tried under the race detector; the lane without it does")
		return
	}
	begin := beginning()
	begin.scheduled, begin.blind = true, true
	e := explore(begin, Guards(), most)
	if e.broken == "" {
		t.Fatalf("nothing breaks in %d states", e.states)
	}
	t.Logf("%s: %v", e.broken, e.path)
}
