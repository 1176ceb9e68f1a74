package control_test

import (
	"slices"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

// lost is a failover after which the old primary is still away. With commit, the takeover was made final.
func lost(t *testing.T, commit bool) *scene {
	t.Helper()
	s := protectedScene(t, nil)
	s.protected()
	s.world.SetUp("east", false)
	<-time.After(5 * time.Second)
	s.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{"east"}}, control.CommitWindow)
	if commit {
		s.do(understudy.Commit, control.Committed)
	}
	return s
}

// returned is a failover after which the old primary came back: the standing duty has begun to fence it, and its first
// step does not come to an end. With commit, the takeover was made final before.
func returned(t *testing.T, commit bool) *scene {
	t.Helper()
	s := lost(t, commit)
	stalled := s.world.Stall("fence.close")
	s.world.SetUp("east", true)
	<-stalled
	return s
}

// duty gives the standing duty towards east and its journal.
func (s *scene) duty() (control.Operation, []control.Event) {
	s.t.Helper()
	op, ok := s.Newest(understudy.Duty)
	if !ok {
		s.t.Fatal("there is no duty")
	}
	return op, s.events(op)
}

func (s *scene) events(op control.Operation) []control.Event {
	s.t.Helper()
	var out []control.Event
	err := s.Watch(s.t.Context(), op.ID, 0, func(e control.Event) error {
		out = append(out, e)
		if e.Seq == op.Seq {
			return errTold
		}
		return nil
	})
	if err != nil && err != errTold {
		s.t.Fatal(err)
	}
	return out
}

func count(events []control.Event, kind control.EventKind, step string) int {
	n := 0
	for _, e := range events {
		if e.Kind == kind && e.Step != nil && e.Step.ID == step {
			n++
		}
	}
	return n
}

// An operation that starts does not wait for a step of the duty: that is cut off as a crash would, with its intent
// open, and goes on as it was journaled when nothing stands in its way.
func TestAnOperationCutsOffTheStandingDutyWhichGoesOnLater(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := returned(t, false)
		began := time.Now()
		s.do(understudy.Commit, control.Committed)
		if took := time.Since(began); took > time.Second {
			t.Errorf("the commit waited %s", took)
		}
		s.until("fenced", func(st control.PlanStatus) bool {
			op, _ := s.duty()
			return op.State == control.Committed && len(st.Workloads[0].Old) == 1 && st.Workloads[0].Old[0].State == "fenced"
		})
		op, events := s.duty()
		if n := count(events, control.EventIntent, "fence.close@east"); n != 1 {
			t.Errorf("%d intents of the step that was cut off", n)
		}
		if n := count(events, control.EventFailed, "fence.close@east"); n != 0 {
			t.Errorf("the step that was cut off failed %d times", n)
		}
		if n := count(events, control.EventResult, "fence.close@east"); n != 1 || op.Pass != 1 {
			t.Errorf("%d results in %d passes", n, op.Pass)
		}
	})
}

// A duty about a site that an operation has in hand does nothing more, and ends when the role has moved on.
func TestTheStandingDutyEndsWhenThereIsNothingToFenceAnyMore(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := returned(t, true)
		began := time.Now()
		rep := s.do(understudy.Reprotect, control.Committed)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("reprotect waited %s", took)
		}
		s.until("moot", func(control.PlanStatus) bool {
			op, _ := s.duty()
			return op.State == control.Superseded
		})
		_, events := s.duty()
		late := slices.ContainsFunc(events, func(e control.Event) bool {
			return e.Kind != control.EventState && e.At.After(rep.Created)
		})
		if late || count(events, control.EventResult, "fence.close@east") != 0 {
			t.Errorf("the duty went on beside the operation: %+v", events)
		}
		s.do(understudy.Failback, control.CommitWindow)
	})
}

// A reprotect that could not fence the old primary, since that was away, leaves it to the standing duty: it is fenced as soon as it answers, and not
// when somebody retries.
func TestAnOldPrimaryIsFencedWhileAReprotectWaitsForIt(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := lost(t, true)
		rep := s.Rest(s.Begin(control.StartRequest{Verb: understudy.Reprotect}).ID)
		if rep.Stage != understudy.StageFence || !rep.State.Resting() {
			t.Fatalf("reprotect is %s at %s: %v", rep.State, rep.Stage, rep.Error)
		}
		s.world.SetUp("east", true)
		s.until("fenced", func(st control.PlanStatus) bool {
			return len(st.Workloads[0].Old) == 1 && st.Workloads[0].Old[0].State == "fenced"
		})
		if s.world.Open("east") {
			t.Error("east is open")
		}
		if rep = s.Act(s.Retry, control.ActRequest{Operation: rep.ID}); rep.State != control.Committed {
			t.Fatalf("reprotect is %s at %s: %v", rep.State, rep.Stage, rep.Error)
		}
		s.do(understudy.Failback, control.CommitWindow)
	})
}

// A site that was fenced once, and was the primary again since, does not count as fenced when it is lost the next time.
func TestAFenceOfAnEarlierTakeoverDoesNotCount(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := returned(t, true)
		s.do(understudy.Reprotect, control.Committed)
		s.do(understudy.Failback, control.CommitWindow)
		s.do(understudy.Commit, control.Committed)
		s.world.SetUp("east", false)
		s.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{"east"}}, control.CommitWindow)
		st, err := s.Status(t.Context(), "contoso")
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range st.Workloads[0].Old {
			if o.State == "fenced" {
				t.Errorf("status says %s", o)
			}
		}
	})
}

// Documents are applied although a step of the duty does not come to an end.
func TestApplyCutsOffTheStandingDuty(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := returned(t, true)
		docs, err := s.Documents(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Controller.Apply(t.Context(), control.ApplyRequest{Text: "plan", Base: docs.Version, By: "ada"}); err != nil {
			t.Fatal(err)
		}
		s.until("fenced", func(st control.PlanStatus) bool {
			return len(st.Workloads[0].Old) == 1 && st.Workloads[0].Old[0].State == "fenced"
		})
	})
}

// A duty that fails is tried again, each time after a longer wait, and its journal does not grow without end.
func TestAFailingDutyIsTriedSeldom(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		s.protected()
		s.world.SetUp("east", false)
		<-time.After(5 * time.Second)
		s.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{"east"}}, control.CommitWindow)
		refusals := make([]error, 1000)
		for i := range refusals {
			refusals[i] = planned(understudy.KindBroken)
		}
		s.world.Fail("fence.close", refusals...)
		s.world.SetUp("east", true)
		<-time.After(10 * time.Minute)
		_, events := s.duty()
		tries := count(events, control.EventFailed, "fence.close@east")
		if tries < 5 || tries > 15 {
			t.Fatalf("%d tries in ten minutes", tries)
		}
		if raced {
			return // hours of looking at the site cost a minute there
		}
		<-time.After(8 * time.Hour)
		if _, events = s.duty(); len(events) > 300 {
			t.Fatalf("%d entries after eight hours", len(events))
		}
	})
}
