package control_test

import (
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
)

// A reprotect that is refused before it did anything has ended nothing: the link that it met goes on, while it is paused
// and after its abort.
func TestARefusedReprotectHasEndedNoLink(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		s.protected()
		s.world.Exchange("east", "west")
		op := s.do(understudy.Reprotect, control.PausedByStep)
		s.world.Exchange("east", "west")
		if op.Stage != understudy.StageCheck || op.Error.Kind != understudy.KindRefused {
			t.Fatalf("paused at %s: %v", op.Stage, op.Error)
		}
		s.follows("while it is paused")
		if op = s.Act(s.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted {
			t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
		}
		s.follows("after the abort")
	})
}

// A reprotect that waits for its approval has done nothing: its abort ends no run that copies meanwhile.
func TestAbortOfAWaitingReprotectEndsNoRun(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := scheduledScene(t, func(c *controltest.Setup) { c.Plan.Approvals = []understudy.Verb{understudy.Reprotect} })
		op := s.do(understudy.Reprotect, control.AwaitingApproval)
		s.write("east", "b", 1)
		arrived, release := s.world.Block("run.capture")
		run := s.Begin(control.StartRequest{Verb: understudy.Replicate})
		<-arrived
		if op = s.Act(s.Abort, control.ActRequest{Operation: op.ID, By: "bob"}); op.State != control.Aborted {
			t.Fatalf("%s: %v", op.State, op.Error)
		}
		release()
		if run = s.Rest(run.ID); run.State != control.Committed || len(s.world.IDs("west")) != 4 {
			t.Fatalf("the run is %s: %v", run.State, run.Error)
		}
	})
}

// A reprotect that has ended its link, and touched nothing yet, starts it again on its way back.
func TestAbortOfAReprotectStartsItsLinkAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		s.protected()
		s.world.SetUp("west", false)
		op := s.do(understudy.Reprotect, control.PausedByStep)
		if op.Stage != understudy.StageFence || !s.noted(op, "the links into the new side have ended") {
			t.Fatalf("paused at %s: %v", op.Stage, op.Error)
		}
		s.world.SetUp("west", true)
		if op = s.Act(s.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted {
			t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
		}
		s.follows("after the abort")
		s.do(understudy.Switchover, control.CommitWindow)
	})
}

// A target that may have been closed or changed gets no mover back. The way back says so, and reprotect goes on from
// there.
func TestAbortOfAHalfDoneReprotectStartsNoLink(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		s.protected()
		s.world.Fail("resolve", planned(understudy.KindBroken))
		op := s.do(understudy.Reprotect, control.PausedByStep)
		if op.Stage != understudy.StageResolve {
			t.Fatalf("paused at %s: %v", op.Stage, op.Error)
		}
		if op = s.Act(s.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted {
			t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
		}
		if !s.noted(op, "`understudy reprotect contoso` goes on from there") {
			t.Error("nobody was told that the links stay ended")
		}
		st, err := s.Status(t.Context(), "contoso")
		if err != nil || st.Next != "understudy reprotect contoso" || st.Workloads[0].Protection != understudy.Unprotected {
			t.Fatalf("next %q, %+v, %v", st.Next, st.Workloads, err)
		}
		s.do(understudy.Reprotect, control.Committed)
		s.follows("after reprotect")
	})
}
