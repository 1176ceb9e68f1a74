package control_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
)

// hookFunc is a hook runner that does what a test wants at a stage.
type hookFunc map[understudy.HookName]func() (string, error)

func (h hookFunc) Has(n understudy.HookName) bool { return h[n] != nil }

func (h hookFunc) RunHook(_ context.Context, n understudy.HookName, _ []string) (string, error) {
	return h[n]()
}

// onStage has f run behind a stage.
func onStage(c *controltest.Setup, stage understudy.StageName, f func()) {
	c.Plan.Hooks = map[understudy.StageName]understudy.HookName{stage: "then"}
	c.Options = func(o *control.Options) {
		o.Hooks = hookFunc{"then": func() (string, error) { f(); return "done", nil }}
	}
}

func TestAnOldSideThatAnswersBeforeTheHaltIsFencedAfterAll(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		var s *scene
		s = protectedScene(t, func(c *controltest.Setup) {
			onStage(c, understudy.StageRebound, func() { s.world.SetUp("east", true) })
		})
		s.world.SetUp("east", false)
		op := s.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{"east"}}, control.CommitWindow)
		r, err := s.Report(t.Context(), op.ID)
		if err != nil {
			t.Fatal(err)
		}
		fences := 0
		for _, st := range r.Stages {
			if st.Name == understudy.StageFence {
				fences++
			}
		}
		if fences != 2 || s.world.Open("east") {
			t.Fatalf("%d passes of fence, east open %v", fences, s.world.Open("east"))
		}
	})
}

// A link of a fenced source goes on proving while a salvage takes its time: that is no clock set back.
func TestALongSalvageOfAFencedSideLosesNoProof(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, func(c *controltest.Setup) {
			onStage(c, understudy.StageSalvage, func() { <-time.After(20 * time.Second) })
		})
		op := s.Do(control.StartRequest{Verb: understudy.Failover}, control.CommitWindow)
		r := op.Parts[0].Rebound
		if r == nil || !r.Known || r.Bound != 0 {
			t.Fatalf("the bound before the halt: %+v", r)
		}
	})
}

func TestAnOldSideThatAnswersAfterTheHaltIsFencedAndAPersonDecides(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		var s *scene
		s = protectedScene(t, func(c *controltest.Setup) {
			onStage(c, understudy.StageCut, func() { s.world.SetUp("east", true) })
		})
		s.world.SetUp("east", false)
		op := s.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{"east"}}, control.PausedByStep)
		if op.Error.Code != "US262" || op.Stage != understudy.StagePromote || s.world.Open("east") || op.Promoted {
			t.Fatalf("%s: %v", op.Stage, op.Error)
		}
		if op = s.Act(s.Retry, control.ActRequest{Operation: op.ID}); op.State != control.CommitWindow {
			t.Fatalf("%s: %v", op.State, op.Error)
		}
	})
}

func TestTheBoundRefusesAboveTheHighestLoss(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		s.world.SetUp("east", false)
		<-time.After(time.Minute)
		limit := 10 * time.Second
		op := s.Do(control.StartRequest{Verb: understudy.Failover, MaxLoss: &limit, AcceptFence: []understudy.Site{"east"}}, control.PausedByStep)
		if op.Error.Code != "US261" || op.Parts[0].Bound == nil || op.Parts[0].Bound.Bound < time.Minute {
			t.Fatalf("%v %+v", op.Error, op.Parts[0].Bound)
		}
		if op = s.Act(s.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted {
			t.Fatalf("%s: %v", op.State, op.Error)
		}
	})
}

func TestAFirstCopyThatWasNeverCompleteHasNoBound(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		s.world.SetDelay(time.Hour)
		s.write("east", "a", 3)
		s.Begin(control.StartRequest{Verb: understudy.Protect})
		s.until("linked", func(st control.PlanStatus) bool { return len(st.Workloads[0].Links) > 0 })
		s.world.SetUp("east", false)
		op := s.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{"east"}}, control.PausedByStep)
		if op.Error.Code != "US260" {
			t.Fatal(op.Error)
		}
		if p, _ := s.Newest(understudy.Protect); p.State != control.Superseded {
			t.Fatalf("the bootstrap is %s", p.State)
		}
	})
}

func TestAFailoverBackIsBoundedByThePromotion(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		s.world.SetUp("east", false)
		s.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{"east"}}, control.CommitWindow)
		<-time.After(time.Minute)
		s.world.SetUp("east", true)
		s.write("west", "w", 2)
		s.world.SetUp("west", false)
		op := s.Do(control.StartRequest{Verb: understudy.Failover, To: "east", AcceptFence: []understudy.Site{"west"}}, control.CommitWindow)
		if b := op.Parts[0].Bound; b == nil || !b.Known || b.Bound < time.Minute {
			t.Fatalf("%+v", op.Parts[0].Bound)
		}
		if !s.Role("orders").IsActive("east") || !s.world.Open("east") {
			t.Fatal(s.world.Fingerprint())
		}
		s.world.SetUp("west", true)
		s.until("fenced", func(st control.PlanStatus) bool {
			return len(st.Workloads[0].Old) == 1 && st.Workloads[0].Old[0].State == "fenced"
		})
		if s.world.Open("west") {
			t.Fatal("the returning side is open")
		}
	})
}

func TestASiteOfAnotherControlPlaneIsRefused(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		s.world.SetStamp("west", &understudy.Stamp{ControlPlane: "cp-other", Plan: "fabrikam"})
		op := s.do(understudy.Protect, control.PausedByStep)
		if op.Error.Code != "US252" {
			t.Fatal(op.Error)
		}
		if op = s.Act(s.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted {
			t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
		}
	})
}

func TestAHigherEpochInTheEngineRaisesTheRole(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		s.world.SeeToken("west", 50)
		s.until("raised", func(st control.PlanStatus) bool { return st.Workloads[0].Role.Epoch == 51 })
		s.write("east", "b", 2)
		s.until("copied", func(control.PlanStatus) bool { return len(s.world.IDs("west")) == 5 })
		if !s.Role("orders").IsActive("east") {
			t.Fatal(s.Role("orders"))
		}
		s.do(understudy.Switchover, control.CommitWindow)
	})
}

func TestAStaleLeaderStopsAndItsSuccessorWaits(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		shared := func(c *controltest.Setup) {
			c.Options = func(o *control.Options) { o.Exclusive = false }
		}
		s := protectedScene(t, shared)
		s.world.SetDelay(time.Hour)
		s.write("east", "late", 1)
		op := s.Begin(control.StartRequest{Verb: understudy.Switchover})
		s.until("draining", func(st control.PlanStatus) bool {
			return st.Current != nil && st.Current.Stage == understudy.StageDrain
		})
		setup := s.setup
		setup.Store = s.Store
		setup.Options = func(o *control.Options) { o.Exclusive, o.Holder = false, "west/other/2" }
		second := controltest.Launch(t, setup)
		l, err := second.Leader(t.Context())
		if err != nil || l.Self || l.Holder != "west/test/1" {
			t.Fatalf("%+v, %v", l, err)
		}
		_, err = second.Controller.Start(t.Context(), control.StartRequest{Verb: understudy.Verify, Plan: "contoso", By: "ada"})
		refusedWith(t, err, "US219")
		if st, err := second.Status(t.Context(), "contoso"); err != nil || len(st.Workloads) != 1 {
			t.Fatalf("a follower answers reads: %+v, %v", st, err)
		}

		paused := time.Now()
		if !s.Store.Pause("control") {
			t.Fatal("nobody led")
		}
		if err := second.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(paused); waited < 12*time.Second {
			t.Fatalf("the successor took over after %s: not lease and request", waited)
		}
		s.world.SetDelay(10 * time.Millisecond)
		if got := second.Rest(op.ID); got.State != control.CommitWindow {
			t.Fatalf("%s at %s: %v", got.State, got.Stage, got.Error)
		}
		if fmt.Sprint(s.world.IDs("east")) != fmt.Sprint(s.world.IDs("west")) {
			t.Fatal(s.world.Fingerprint())
		}
	})
}

func TestALeaderThatLeavesCleanlyIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, func(c *controltest.Setup) { c.Options = func(o *control.Options) { o.Exclusive = false } })
		s.Plane.Stop()
		setup := s.setup
		setup.Store = s.Store
		before := time.Now()
		controltest.Start(t, setup)
		if d := time.Since(before); d > 3*time.Second {
			t.Fatalf("waited %s", d)
		}
	})
}

func TestDrainingEndsAtABoundaryAndTheNextOneGoesOn(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		var s *scene
		stopped := make(chan struct{})
		s = protectedScene(t, func(c *controltest.Setup) {
			onStage(c, understudy.StageFence, func() {
				go func() { defer close(stopped); s.Plane.Stop() }()
			})
		})
		op := s.Begin(control.StartRequest{Verb: understudy.Switchover})
		<-time.After(time.Minute)
		<-stopped
		setup := s.setup
		setup.Store, setup.Options = s.Store, func(o *control.Options) {
			o.Hooks = hookFunc{"then": func() (string, error) { return "", nil }}
		}
		next := controltest.Start(t, setup)
		if got := next.Rest(op.ID); got.State != control.CommitWindow {
			t.Fatalf("%s at %s: %v", got.State, got.Stage, got.Error)
		}
	})
}
