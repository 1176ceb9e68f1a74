package control_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/workloadtest"
)

// scene is a toy estate: one plan, east at home, west beside it.
type scene struct {
	*controltest.Plane
	t     *testing.T
	world *workloadtest.World
	setup controltest.Setup
}

func toyPlan(workloads ...workload.Planned) workload.Plan {
	if len(workloads) == 0 {
		workloads = []workload.Planned{{Spec: workloadtest.ToySpec("contoso", "orders", "east", "west"), OnFailure: understudy.Stop}}
	}
	return workload.Plan{Name: "contoso", Home: "east", Sites: []understudy.Site{"east", "west"}, Workloads: workloads}
}

func newScene(t *testing.T, change func(*controltest.Setup)) *scene {
	t.Helper()
	world := workloadtest.NewWorld("east", "west")
	s := &scene{t: t, world: world, setup: controltest.Setup{
		Registry: workload.NewRegistry(workloadtest.Toy(world)), Plan: toyPlan(), DataDir: t.TempDir(),
	}}
	if change != nil {
		change(&s.setup)
	}
	s.Plane = controltest.Start(t, s.setup)
	s.Apply()
	return s
}

// write has a client write n records at a site and wants them acknowledged.
func (s *scene) write(site understudy.Site, prefix string, n int) {
	s.t.Helper()
	for i := range n {
		if err := s.world.Write(site, fmt.Sprintf("%s%d", prefix, i), "v"); err != nil {
			s.t.Fatalf("write at %s: %v", site, err)
		}
	}
}

// do runs a verb to the state.
func (s *scene) do(verb understudy.Verb, want control.State) control.Operation {
	s.t.Helper()
	return s.Do(control.StartRequest{Verb: verb}, want)
}

// protected waits until status says that the workload is protected.
func (s *scene) protected() {
	s.t.Helper()
	s.until("protected", func(st control.PlanStatus) bool {
		for _, w := range st.Workloads {
			if w.Protection != understudy.Protected {
				return false
			}
		}
		return true
	})
}

// until polls status; in a bubble of virtual time that costs nothing.
func (s *scene) until(what string, ok func(control.PlanStatus) bool) {
	s.t.Helper()
	deadline := time.Now().Add(5 * time.Minute)
	for {
		st, err := s.Status(s.t.Context(), "contoso")
		if err != nil {
			s.t.Fatal(err)
		}
		if ok(st) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("not %s: %+v", what, st.Workloads)
		}
		<-time.After(100 * time.Millisecond)
	}
}

func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func TestSwitchoverAndBackLosesNothing(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		s.write("east", "a", 5)
		s.do(understudy.Protect, control.Committed)
		s.write("east", "b", 5)
		s.protected()
		s.do(understudy.Switchover, control.CommitWindow)
		if s.world.Open("east") || !s.world.Open("west") {
			t.Fatal("the wrong side is open")
		}
		s.write("west", "c", 3)
		s.do(understudy.Commit, control.Committed)
		s.protected()
		s.do(understudy.Failback, control.CommitWindow)
		s.do(understudy.Commit, control.Committed)
		s.write("east", "d", 1)
		s.until("alike", func(control.PlanStatus) bool {
			return len(s.world.IDs("west")) == 14 && fmt.Sprint(s.world.IDs("east")) == fmt.Sprint(s.world.IDs("west"))
		})
		if r := s.Role("orders"); r.Epoch != 5 || !r.IsActive("east") {
			t.Fatalf("role %v", r)
		}
	})
}

func TestFailoverLedgerReprotectFailback(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		s.write("east", "a", 5)
		s.do(understudy.Protect, control.Committed)
		s.protected()
		s.world.SetDelay(time.Hour)
		s.write("east", "lost", 3)
		s.world.SetUp("east", false)
		<-time.After(5 * time.Second)

		op := s.do(understudy.Failover, control.PausedByStep)
		if op.Stage != understudy.StageFence || op.Error.Code != "US221" {
			t.Fatalf("paused at %s: %v", op.Stage, op.Error)
		}
		op = s.Act(s.Retry, control.ActRequest{Operation: op.ID, AcceptFence: []understudy.Site{"east"}})
		if op.State != control.CommitWindow {
			t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
		}
		s.write("west", "new", 2)
		s.world.SetDelay(10 * time.Millisecond)
		s.do(understudy.Commit, control.Committed)
		s.world.SetUp("east", true)
		s.until("fenced", func(st control.PlanStatus) bool {
			old := st.Workloads[0].Old
			return len(old) == 1 && old[0].State == "fenced"
		})
		rep := s.do(understudy.Reprotect, control.Committed)
		r, err := s.Report(t.Context(), rep.ID)
		if err != nil || len(r.Ledger) != 1 || r.Ledger[0].Records != 3 {
			t.Fatalf("ledger %+v, %v", r.Ledger, err)
		}
		r, err = s.Report(t.Context(), op.ID)
		if err != nil || r.Loss[0].Realised == nil || *r.Loss[0].Realised != 3 {
			t.Fatalf("loss %+v, %v", r.Loss, err)
		}
		if r.RTO.Total < 5*time.Second || r.RTO.Detect == 0 {
			t.Fatalf("rto %+v", r.RTO)
		}
		s.protected()
		s.do(understudy.Failback, control.CommitWindow)
		if fmt.Sprint(s.world.IDs("east")) != fmt.Sprint(s.world.IDs("west")) {
			t.Fatalf("east %v\nwest %v", s.world.IDs("east"), s.world.IDs("west"))
		}
	})
}
