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

// explore walks breadth first until an invariant breaks or nothing is left.
func explore(begin model, guards []Guard, limit int) explored {
	parent := map[model]model{begin: begin}
	via := map[model]string{}
	back := map[model][]model{}
	queue := []model{begin}
	for i := 0; i < len(queue) && i < limit; i++ {
		m := queue[i]
		for _, e := range moves(m, guards) {
			wrong := e.broken
			if wrong == "" {
				wrong = e.to.wrong()
			}
			if wrong != "" {
				return explored{states: len(parent), broken: wrong, path: trace(parent, via, m, e)}
			}
			back[e.to] = append(back[e.to], m)
			if _, known := parent[e.to]; known {
				continue
			}
			parent[e.to], via[e.to] = m, e.name
			queue = append(queue, e.to)
		}
	}
	return explored{states: len(parent), stuck: stuck(queue, back)}
}

// stuck gives a state with an open operation from which none without one can be reached.
func stuck(all []model, back map[model][]model) *model {
	free := map[model]bool{}
	var queue []model
	for _, m := range all {
		if !m.busy() {
			free[m] = true
			queue = append(queue, m)
		}
	}
	for i := 0; i < len(queue); i++ {
		for _, m := range back[queue[i]] {
			if !free[m] {
				free[m] = true
				queue = append(queue, m)
			}
		}
	}
	for i, m := range all {
		if !free[m] {
			return &all[i]
		}
	}
	return nil
}

func trace(parent map[model]model, via map[model]string, m model, last edge) []string {
	path := []string{last.name + ": " + last.broken}
	for m != parent[m] {
		stage := ""
		if m.busy() {
			stage = string(m.op.verb) + " at " + string(m.op.rows()[m.op.row].Stage)
		}
		path = append(path, via[m]+" → "+stage)
		m = parent[m]
	}
	slices.Reverse(path)
	return path
}

// Every state that tables and guards allow keeps the invariants, and every open operation has a way out.
func TestExploreEveryState(t *testing.T) {
	t.Parallel()
	limit := most
	if raced {
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
