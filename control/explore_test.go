package control

import (
	"slices"
	"testing"
)

// most bounds an exploration; a model that grows beyond it is no longer one that runs with every test.
const most = 200_000

// explored is what an exhaustive walk through the model found.
type explored struct {
	states int
	// broken is the first invariant that broke, and path what led there.
	broken string
	path   []string
	// stuck is a state from which no quiet state can be reached.
	stuck *model
}

// edge is one move of the model.
type edge struct {
	name   string
	to     model
	broken string
}

// moves lists everything that may happen next.
func moves(m model, guards []Guard) []edge {
	var out []edge
	add := func(name string, list []next) {
		for _, n := range list {
			out = append(out, edge{name, n.m, n.broken})
		}
	}
	plain := func(list []model) (o []next) {
		for _, n := range list {
			o = append(o, next{m: n})
		}
		return o
	}
	add("engine", m.walk(guards))
	add("order", plain(m.start(guards)))
	add("people", plain(m.people(guards)))
	add("weather", plain(m.weather()))
	add("run", m.replicate(guards))
	add("ghost", m.ghosts(guards))
	fenced, broken := m.duty(guards)
	if broken != "" {
		return append(out, edge{"duty", m, broken})
	}
	add("duty", plain(fenced))
	return out
}

// beginning is an unprotected plan.
func beginning() model {
	return model{open: [3]bool{false, true, false}, up: [3]bool{false, true, true}, waited: true}
}

// walked is what an exploration has seen; states go by their number, for they are large.
type walked struct {
	number map[model]int32
	states []model
	// parent and via say how each was reached first, and back from where it can be reached in one move.
	parent []int32
	via    []string
	back   [][]int32
}

// reach gives the number of a state that a move leads to.
func (w *walked) reach(m model, from int32, via string) int32 {
	n, known := w.number[m]
	if !known {
		n = int32(len(w.states))
		w.number[m] = n
		w.states, w.parent, w.via, w.back = append(w.states, m), append(w.parent, from), append(w.via, via), append(w.back, nil)
	}
	return n
}

// explore walks breadth first until an invariant breaks or nothing is left.
func explore(begin model, guards []Guard, limit int) explored {
	w := walked{number: map[model]int32{}}
	w.reach(begin, 0, "")
	for i := int32(0); int(i) < min(len(w.states), limit); i++ {
		for _, e := range moves(w.states[i], guards) {
			wrong := e.broken
			if wrong == "" {
				wrong = e.to.wrong()
			}
			if wrong != "" {
				return explored{states: len(w.states), broken: wrong, path: w.trace(i, e)}
			}
			to := w.reach(e.to, i, e.name)
			w.back[to] = append(w.back[to], i)
		}
	}
	return explored{states: len(w.states), stuck: w.stuck()}
}

// stuck gives a state with an open operation from which none without one can be reached.
func (w *walked) stuck() *model {
	free := make([]bool, len(w.states))
	var queue []int32
	for n, m := range w.states {
		if !m.busy() {
			free[n] = true
			queue = append(queue, int32(n))
		}
	}
	for i := 0; i < len(queue); i++ {
		for _, n := range w.back[queue[i]] {
			if !free[n] {
				free[n] = true
				queue = append(queue, n)
			}
		}
	}
	if n := slices.Index(free, false); n >= 0 {
		return &w.states[n]
	}
	return nil
}

func (w *walked) trace(n int32, last edge) []string {
	path := []string{last.name + ": " + last.broken}
	for ; n != 0; n = w.parent[n] {
		stage := ""
		if m := w.states[n]; m.busy() {
			stage = string(m.op.verb) + " at " + string(m.op.rows()[m.op.row].Stage)
		}
		path = append(path, w.via[n]+" → "+stage)
	}
	slices.Reverse(path)
	return path
}

// Every state that tables and guards allow keeps the invariants, and every open operation has a way out.
//
// What is proved where: that the role never names two active sites is not found here, where it is one field and cannot
// fail. In the journal it is one entry per workload that only Role's own methods make, one site each, and that changes
// under its version and the leader's term: the conformance suite of journals proves that such guards hold
// (journal/journaltest), and the exploration that no operation which lost its place passes the gates PROMOTE and RESTORE.
// What may fail is who can write, and that is held for each side: open to writers, a mover running or with a write in
// flight, promoted against on a person's word. The epochs are held as who wrote the role last (holds); that they grow,
// TestRoleEpochsOnlyGrow. TestTheEngineTakesEveryEdge and the sweep (lawful) prove that the engine keeps to the table.
func TestExploreEveryState(t *testing.T) {
	t.Parallel()
	limit := most
	if raced {
		t.Log("under the race detector a part only; the lane without it explores every state")
		limit = 2_000
	}
	for _, scheduled := range []bool{false, true} {
		begin := beginning()
		begin.scheduled = scheduled
		wantSafe(t, explore(begin, Guards(), limit))
	}
}

func wantSafe(t *testing.T, e explored) {
	t.Helper()
	t.Logf("%d states", e.states)
	if e.broken != "" {
		t.Fatalf("%s\n%v", e.broken, e.path)
	}
	if raced {
		return
	}
	if e.states > most {
		t.Fatal("the exploration is not exhaustive")
	}
	if e.stuck != nil {
		t.Fatalf("no way out of %+v", *e.stuck)
	}
}

// Each guard carries weight: without it, the exploration finds the harm.
func TestEveryGuardIsNeeded(t *testing.T) {
	t.Parallel()
	for i, g := range Guards() {
		t.Run(string(g.Gate)+" "+g.Name, func(t *testing.T) {
			if raced {
				t.Log("not tried under the race detector; the lane without it does")
				return
			}
			without := slices.Delete(slices.Clone(Guards()), i, i+1)
			begin := beginning()
			// The guards of runs are about worlds without a mover, the others about any.
			begin.scheduled = g.Gate == GateRun || g.Gate == GatePublish
			e := explore(begin, without, most)
			if e.broken == "" {
				t.Fatalf("nothing breaks without %q in %d states", g.Name, e.states)
			}
			t.Logf("%s after %d moves", e.broken, len(e.path))
		})
	}
}
