package control_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/workloadtest"
)

func every(text string) workload.Schedule {
	s, err := workload.ParseSchedule(text)
	if err != nil {
		panic(err)
	}
	return s
}

// scheduledPlan is a plan with one workload that is replicated every four hours.
func scheduledPlan(a understudy.Architecture) workload.Plan {
	return toyPlan(workload.Planned{
		Spec:      workloadtest.ToyScheduledSpec(a, "contoso", "curated", "east", "west"),
		OnFailure: understudy.Stop, Schedule: every("every 4h"), Cluster: "lake",
	})
}

func scheduledScene(t *testing.T, change func(*controltest.Setup)) *scene {
	t.Helper()
	s := newScene(t, func(c *controltest.Setup) {
		c.Plan = scheduledPlan(understudy.StandbySecondary)
		if change != nil {
			change(c)
		}
		// Hours and days pass here, and nobody has to see each half second of them.
		options := c.Options
		c.Options = func(o *control.Options) {
			o.ProbeEvery = 45 * time.Second
			if options != nil {
				options(o)
			}
		}
	})
	s.write("east", "a", 3)
	s.do(understudy.Protect, control.Committed)
	return s
}

// status gives the only workload's status.
func (s *scene) status() control.WorkloadStatus {
	s.t.Helper()
	st, err := s.Status(s.t.Context(), "contoso")
	if err != nil {
		s.t.Fatal(err)
	}
	return st.Workloads[0]
}

// runs lists the runs, newest first.
func (s *scene) runs() []control.Operation {
	s.t.Helper()
	ops, err := s.Operations(s.t.Context(), control.OperationsRequest{})
	if err != nil {
		s.t.Fatal(err)
	}
	var out []control.Operation
	for _, op := range ops {
		if op.Verb == understudy.Replicate {
			out = append(out, op)
		}
	}
	return out
}

// notes gives all notes of an operation.
func (s *scene) notes(id understudy.OperationID) string {
	s.t.Helper()
	r, err := s.Report(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	var all []string
	for _, st := range r.Stages {
		all = append(all, st.Notes...)
	}
	return strings.Join(all, "\n")
}

func TestRunsPublishBySchedule(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := scheduledScene(t, nil)
		w := s.status()
		if len(s.world.IDs("west")) != 3 || w.Protection != understudy.Protected || !w.Exposure.Known || w.Exposure.Set == "" || !w.Exposure.SourceReachable {
			t.Fatalf("after protect: %+v", w)
		}
		if len(s.runs()) != 0 {
			t.Fatal("a run began although protect has just published")
		}
		s.write("east", "b", 2)
		<-time.After(3*time.Hour + 50*time.Minute)
		if w := s.status(); w.Exposure.Bound < 3*time.Hour || len(s.world.IDs("west")) != 3 {
			t.Fatalf("before the run: %+v", w)
		}
		<-time.After(15 * time.Minute)
		w = s.status()
		if len(s.world.IDs("west")) != 5 || w.Exposure.Bound > time.Hour {
			t.Fatalf("after the run: %+v", w)
		}
		run := s.runs()[0]
		sched := w.Links[0].Schedule
		if run.State != control.Committed || run.By != "schedule" || !strings.HasPrefix(run.Reason, "due at ") {
			t.Fatalf("the run: %+v", run)
		}
		if sched.Run != run.ID || sched.Error != nil || time.Until(sched.Next) < 3*time.Hour || w.Links[0].Progress.Published.Set != string(run.ID) {
			t.Fatalf("the schedule: %+v", sched)
		}
		<-time.After(16 * time.Hour)
		if n := len(s.runs()); n != 5 {
			t.Fatalf("%d runs in 20 hours", n)
		}
	})
}

func TestAFailingRunIsShownAndTriedAgainAtTheNextTime(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := scheduledScene(t, nil)
		s.world.SetUp("east", false)
		<-time.After(5*time.Hour + time.Minute)
		w := s.status()
		first := s.runs()[0]
		if first.State != control.PausedByStep || w.Links[0].Schedule.Error == nil || w.Exposure.Bound < 5*time.Hour || w.Protection != understudy.AtRisk {
			t.Fatalf("%+v\n%+v", first, w)
		}
		<-time.After(4 * time.Hour)
		second := s.runs()[0]
		if again, _ := s.Operation(t.Context(), first.ID); again.State != control.Superseded || second.ID == first.ID || second.State != control.PausedByStep {
			t.Fatalf("%+v\n%+v", again, second)
		}
		s.world.SetUp("east", true)
		op := s.Act(s.Retry, control.ActRequest{Operation: second.ID})
		if w := s.status(); op.State != control.Committed || w.Links[0].Schedule.Error != nil || w.Protection != understudy.Protected {
			t.Fatalf("%+v\n%+v", op, w)
		}
	})
}

// Nobody polls a source between runs. It is missed from the first run on that does not find it, and the time of
// detection counts from there to the order.
func TestASourceIsMissedFromTheFirstRunOnThatDoesNotFindIt(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := scheduledScene(t, nil)
		fail := func(down time.Duration) time.Duration {
			s.world.SetUp("east", false)
			<-time.After(down)
			op := s.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{"east"}}, control.CommitWindow)
			r, err := s.Report(t.Context(), op.ID)
			if err != nil || r.RTO.Total < r.RTO.Detect+r.RTO.Fence {
				t.Fatalf("%+v, %v", r.RTO, err)
			}
			return r.RTO.Detect
		}
		// Two runs miss it, at 4 and 8 hours; and one that comes back between two losses forgets the first.
		s.world.SetUp("east", false)
		<-time.After(4*time.Hour + 5*time.Minute)
		s.world.SetUp("east", true)
		<-time.After(4 * time.Hour)
		if got := fail(9 * time.Hour); got < 4*time.Hour || got > 6*time.Hour {
			t.Fatalf("detect is %s", got)
		}
	})
}

func TestATakeoverBetweenTwoRunsHasNothingToDetect(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := scheduledScene(t, nil)
		s.world.SetUp("east", false)
		<-time.After(time.Hour)
		op := s.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{"east"}}, control.CommitWindow)
		if r, err := s.Report(t.Context(), op.ID); err != nil || r.RTO.Detect != 0 {
			t.Fatalf("%+v, %v", r.RTO, err)
		}
	})
}

func TestReplicateNow(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := scheduledScene(t, nil)
		s.write("east", "b", 1)
		arrived, release := s.world.Block("run.copy")
		op := s.Begin(control.StartRequest{Verb: understudy.Replicate})
		<-arrived
		refusedWith(t, s.order(control.StartRequest{Verb: understudy.Replicate, Workload: "curated"}), "US273")
		refusedWith(t, s.order(control.StartRequest{Verb: understudy.Replicate, Workload: "none"}), "US202")
		release()
		if op = s.Rest(op.ID); op.State != control.Committed || len(s.world.IDs("west")) != 4 {
			t.Fatalf("%+v", op)
		}
		s.do(understudy.Switchover, control.CommitWindow)
		refusedWith(t, s.order(control.StartRequest{Verb: understudy.Replicate, To: "west"}), "US214")
	})
}

func TestReplicateIsRefusedWhereAMoverFollows(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := newScene(t, func(c *controltest.Setup) {
			c.Plan = scheduledPlan(understudy.StandbySecondary)
			one := c.Plan.Workloads[0]
			one.Name = "raw"
			c.Plan.Workloads = append(c.Plan.Workloads, one, toyPlan().Workloads[0])
		})
		refusedWith(t, s.order(control.StartRequest{Verb: understudy.Replicate}), "US271")
		refusedWith(t, s.order(control.StartRequest{Verb: understudy.Replicate, Workload: "orders"}), "US270")
		refusedWith(t, s.order(control.StartRequest{Verb: understudy.Replicate, Workload: "raw"}), "US206")
	})
}

func TestRunsArePausedResumedAndAborted(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := scheduledScene(t, nil)
		s.write("east", "b", 1)
		arrived, release := s.world.Block("run.copy")
		op := s.Begin(control.StartRequest{Verb: understudy.Replicate})
		<-arrived
		if _, err := s.Pause(t.Context(), control.ActRequest{Operation: op.ID, By: "ada"}); err != nil {
			t.Fatal(err)
		}
		release()
		if op = s.Rest(op.ID); op.State != control.PausedByOperator {
			t.Fatalf("%+v", op)
		}
		// A run that a person paused is theirs: what comes due is merged, and begins when it has ended.
		<-time.After(9 * time.Hour)
		if sc := s.status().Links[0].Schedule; sc.Due.IsZero() || sc.Merged != 1 || len(s.runs()) != 1 {
			t.Fatalf("%+v", sc)
		}
		if n := s.notes(op.ID); !strings.Contains(n, "1 later ones are merged") {
			t.Fatalf("the paused run says:\n%s", n)
		}
		if op = s.Act(s.Resume, control.ActRequest{Operation: op.ID}); op.State != control.Committed {
			t.Fatalf("%+v", op)
		}
		<-time.After(time.Minute)
		next := s.runs()[0]
		if next.ID == op.ID || next.State != control.Committed || !strings.Contains(next.Reason, "1 later ones are merged") {
			t.Fatalf("%+v", next)
		}
		arrived, _ = s.world.Block("run.publish")
		s.write("east", "c", 1)
		op = s.Begin(control.StartRequest{Verb: understudy.Replicate})
		<-arrived
		if op = s.Act(s.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted || s.world.Staged("west") != 0 {
			t.Fatalf("%+v", op)
		}
	})
}

func TestMissedRunsAreCaughtUpOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := scheduledScene(t, nil)
		s.write("east", "b", 1)
		s.Kill()
		<-time.After(13 * time.Hour)
		s.setup.Store = s.Store.Clone()
		s.Plane = controltest.Start(t, s.setup)
		<-time.After(time.Minute)
		runs := s.runs()
		if len(runs) != 1 || runs[0].State != control.Committed || !strings.Contains(runs[0].Reason, "late; 2 later ones are merged") {
			t.Fatalf("%+v", runs)
		}
	})
}

func TestAClockSetBackRunsAtOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		var back atomic.Int64
		s := scheduledScene(t, func(c *controltest.Setup) {
			c.Options = func(o *control.Options) {
				o.Now = func() time.Time { return time.Now().Add(time.Duration(back.Load())) }
			}
		})
		<-time.After(5 * time.Hour)
		if len(s.runs()) != 1 {
			t.Fatalf("%d runs", len(s.runs()))
		}
		back.Store(int64(-48 * time.Hour))
		if w := s.status(); w.Exposure.Known {
			t.Fatalf("exposure with a set from the future: %+v", w.Exposure)
		}
		<-time.After(time.Minute)
		if n := len(s.runs()); n != 2 {
			t.Fatalf("%d runs after the clock was set back", n)
		}
		<-time.After(13 * time.Hour)
		if n := len(s.runs()); n < 4 || n > 6 {
			t.Fatalf("%d runs after 13 hours more", n)
		}
	})
}

func TestATakeoverEndsRunsBeforeItFences(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		verb understudy.Verb
		step understudy.StepKind
	}{
		{understudy.Switchover, "run.capture"}, {understudy.Switchover, "run.copy"}, {understudy.Switchover, "run.publish"},
		{understudy.Failover, "run.copy"}, {understudy.Failover, "run.prove"}, {understudy.Unprotect, "run.copy"},
	} {
		t.Run(fmt.Sprint(c.verb, " ", c.step), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s := scheduledScene(t, nil)
				s.write("east", "b", 2)
				arrived, _ := s.world.Block(c.step)
				run := s.Begin(control.StartRequest{Verb: understudy.Replicate})
				<-arrived
				want := control.CommitWindow
				if c.verb == understudy.Unprotect {
					want = control.Committed
				}
				op := s.do(c.verb, want)
				run = s.Rest(run.ID)
				if run.State != control.Superseded {
					t.Fatalf("the run is %s", run.State)
				}
				r, err := s.Report(t.Context(), op.ID)
				if err != nil || run.Ended.After(r.Stages[1].Began) {
					t.Fatalf("the run ended at %s: %v", run.Ended, err)
				}
				if c.verb != understudy.Unprotect && len(s.world.IDs("west")) < 5 {
					t.Fatalf("west has %v", s.world.IDs("west"))
				}
			})
		})
	}
}

func TestAFailoverRollsForwardWhatIsStagedAndProved(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := scheduledScene(t, nil)
		<-time.After(time.Hour)
		s.write("east", "b", 2)
		arrived, _ := s.world.Block("run.publish")
		run := s.Begin(control.StartRequest{Verb: understudy.Replicate})
		<-arrived
		<-time.After(time.Hour)
		s.write("east", "lost", 1)
		s.world.SetUp("east", false)
		op := s.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{"east"}}, control.CommitWindow)
		if got := fmt.Sprint(s.world.IDs("west")); got != "[a0 a1 a2 b0 b1]" {
			t.Fatalf("west has %s", got)
		}
		if run = s.Rest(run.ID); run.State != control.Superseded {
			t.Fatalf("the run is %s", run.State)
		}
		p := op.Parts[0]
		if p.Bound == nil || p.Rebound == nil || p.Rebound.Bound > time.Hour+time.Minute || !p.Rebound.Safe.After(p.Bound.Safe) {
			t.Fatalf("bound %+v, after salvage %+v", p.Bound, p.Rebound)
		}
	})
}

func TestTheReverseLinkIsScheduledToo(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := scheduledScene(t, nil)
		s.write("east", "b", 2)
		s.do(understudy.Switchover, control.CommitWindow)
		s.write("west", "c", 1)
		if len(s.world.IDs("west")) != 6 {
			t.Fatalf("west has %v", s.world.IDs("west"))
		}
		// Its first run is due at once: until then nothing is published there.
		s.protected()
		if w := s.status(); len(w.Links) != 1 || w.Links[0].Link.To != "east" || w.Links[0].Progress.Published == nil {
			t.Fatalf("%+v", w)
		}
		s.do(understudy.Commit, control.Committed)
		<-time.After(4*time.Hour + time.Minute)
		if fmt.Sprint(s.world.IDs("east")) != fmt.Sprint(s.world.IDs("west")) {
			t.Fatalf("east %v, west %v", s.world.IDs("east"), s.world.IDs("west"))
		}
		s.do(understudy.Failback, control.CommitWindow)
		s.do(understudy.Commit, control.Committed)
		s.protected()
		if len(s.status().Links) != 1 || s.status().Links[0].Link.To != "west" {
			t.Fatalf("%+v", s.status().Links)
		}
	})
}

func TestAnAbortedTakeoverLeavesTheScheduleAsItWas(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := scheduledScene(t, nil)
		before := s.status()
		s.world.Fail("cut", planned(understudy.KindBroken))
		op := s.do(understudy.Switchover, control.PausedByStep)
		<-time.After(9 * time.Hour)
		if len(s.runs()) != 0 {
			t.Fatal("a run began while nobody is active")
		}
		if op = s.Act(s.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted {
			t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
		}
		<-time.After(time.Minute)
		after := s.status()
		if len(s.runs()) != 1 || !strings.Contains(s.runs()[0].Reason, "merged") || after.Links[0].Epoch == before.Links[0].Epoch {
			t.Fatalf("%+v", after)
		}
	})
}

func TestARunGoesOnBesideATakeoverThatAwaitsApproval(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := scheduledScene(t, func(c *controltest.Setup) { c.Plan.Approvals = []understudy.Verb{understudy.Switchover} })
		op := s.do(understudy.Switchover, control.AwaitingApproval)
		s.write("east", "b", 1)
		<-time.After(5 * time.Hour)
		if len(s.runs()) != 1 || s.runs()[0].State != control.Committed {
			t.Fatalf("%+v", s.runs())
		}
		arrived, _ := s.world.Block("run.capture")
		run := s.Begin(control.StartRequest{Verb: understudy.Replicate})
		<-arrived
		if op = s.Act(s.Approve, control.ActRequest{Operation: op.ID, By: "bob"}); op.State != control.CommitWindow {
			t.Fatalf("%s: %v", op.State, op.Error)
		}
		if run = s.Rest(run.ID); run.State != control.Superseded {
			t.Fatalf("the run is %s", run.State)
		}
	})
}

func TestWhatWasNotProvedOrPublishedDoesNotCount(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := scheduledScene(t, nil)
		s.write("east", "b", 2)
		arrived, release := s.world.Block("run.prove")
		op := s.Begin(control.StartRequest{Verb: understudy.Replicate})
		<-arrived
		s.world.Flip("east", 3)
		release()
		if op = s.Rest(op.ID); op.State != control.PausedByStep || op.Error.Code != "US276" || len(s.world.IDs("west")) != 3 {
			t.Fatalf("%s: %v", op.State, op.Error)
		}
	})
}
