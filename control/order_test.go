package control_test

import (
	"context"
	"slices"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/workloadtest"
)

// threeWorkloads is a plan in the order in which spec arranges it: curated first, orders after it, and logs, which wait
// for nobody. Each has a world of its own.
func threeWorkloads(onFailure understudy.OnFailure) (workload.Plan, workload.Registry, map[understudy.WorkloadName]*workloadtest.World) {
	worlds := map[understudy.WorkloadName]*workloadtest.World{}
	kinds := map[understudy.WorkloadName]workload.Kind{}
	var all []workload.Planned
	for _, name := range []understudy.WorkloadName{"curated", "orders", "logs"} {
		worlds[name] = workloadtest.NewWorld("east", "west")
		kinds[name] = workloadtest.Toy(worlds[name])
		all = append(all, workload.Planned{Spec: workloadtest.ToySpec("contoso", name, "east", "west"), OnFailure: onFailure})
	}
	all[1].After = []understudy.WorkloadName{"curated"}
	kind := kinds["curated"]
	kind.Open = func(ctx context.Context, s workload.Spec, o workload.Opening) (workload.Workload, error) {
		return kinds[s.Name].Open(ctx, s, o)
	}
	return toyPlan(all...), workload.NewRegistry(kind), worlds
}

func threeScene(t *testing.T, onFailure understudy.OnFailure) (*scene, map[understudy.WorkloadName]*workloadtest.World) {
	plan, registry, worlds := threeWorkloads(onFailure)
	s := newScene(t, func(c *controltest.Setup) { c.Plan, c.Registry = plan, registry })
	s.do(understudy.Protect, control.Committed)
	return s, worlds
}

// A stage is a barrier across the plan, and within it the workloads go one after another, in the order of the plan; the
// role of all of them moves in one transaction.
func TestWorkloadsFailOverInTheOrderOfThePlan(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s, worlds := threeScene(t, understudy.Stop)
		order := []understudy.WorkloadName{"curated", "orders", "logs"}
		for _, verb := range []understudy.Verb{understudy.Switchover, understudy.Failover} {
			var op control.Operation
			if verb == understudy.Switchover {
				op = s.do(verb, control.CommitWindow)
				s.do(understudy.Commit, control.Committed)
			} else {
				for _, w := range worlds {
					w.SetUp("west", false)
				}
				op = s.Do(control.StartRequest{Verb: verb, AcceptFence: []understudy.Site{"west"}}, control.CommitWindow)
			}
			stage, last, steps := understudy.StageName(""), 0, 0
			for _, e := range s.events(op) {
				if e.Kind != control.EventIntent || e.Workload == "" {
					continue
				}
				at := slices.Index(order, e.Workload)
				if e.Stage == stage && at < last {
					t.Fatalf("%s: at %s %s came after %s", verb, stage, e.Workload, order[last])
				}
				stage, last, steps = e.Stage, at, steps+1
			}
			if steps < 3*len(order) {
				t.Fatalf("%s had %d steps only", verb, steps)
			}
			s.rolesMovedAtOnce(op, len(order))
		}
	})
}

// rolesMovedAtOnce wants the role events of PROMOTE side by side in the journal.
func (s *scene) rolesMovedAtOnce(op control.Operation, want int) {
	s.t.Helper()
	var moved []int64
	for _, e := range s.events(op) {
		if e.Kind == control.EventRole && e.Role != nil && e.Role.IsActive(op.To) {
			moved = append(moved, e.Seq)
		}
	}
	if len(moved) != want || moved[want-1]-moved[0] != int64(want-1) {
		s.t.Fatalf("the roles moved by the entries %v", moved)
	}
}

// A workload that is left out takes those along that come after it, and no other.
func TestAQuarantinedWorkloadTakesItsFollowersAlong(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s, worlds := threeScene(t, understudy.Quarantine)
		worlds["curated"].Fail("drain", planned(understudy.KindBroken))
		op := s.do(understudy.Switchover, control.CommitWindow)
		for i, want := range []control.PartState{control.Quarantined, control.Quarantined, control.Included} {
			if op.Parts[i].State != want {
				t.Fatalf("%s is %s", op.Parts[i].Workload, op.Parts[i].State)
			}
		}
		if !s.Role("orders").None() || !s.Role("logs").IsActive("west") {
			t.Fatalf("orders %v, logs %v", s.Role("orders"), s.Role("logs"))
		}
		_, err := s.Retry(t.Context(), control.ActRequest{Operation: op.ID, Workload: "orders", By: "ada"})
		refusedWith(t, err, "US263")
		for _, name := range []understudy.WorkloadName{"curated", "orders"} {
			join, err := s.Retry(t.Context(), control.ActRequest{Operation: op.ID, Workload: name, By: "ada"})
			if err != nil {
				t.Fatal(err)
			}
			if join = s.Rest(join.ID); join.State != control.Committed || !s.Role(name).IsActive("west") {
				t.Fatalf("%s at %s: %v", join.State, join.Stage, join.Error)
			}
		}
		s.do(understudy.Commit, control.Committed)
	})
}
