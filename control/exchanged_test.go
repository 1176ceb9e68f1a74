package control_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/workload"
)

// A switchover between clusters that are each other's is refused before it begins, by doctor too; its abort has nothing
// to undo and asks no workload for anything; the link refuses, and what goes on afterwards is as if nothing had been.
func TestExchangedClustersAreRefusedAndAbortGetsPast(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		s.protected()
		s.world.Exchange("east", "west")
		if refusals(t, s) == 0 {
			t.Error("doctor refuses nothing")
		}
		s.until("refused by the link", func(st control.PlanStatus) bool {
			l := st.Workloads[0].Links
			return len(l) == 1 && l[0].Error != nil && strings.Contains(l[0].Error.Error(), "answers where")
		})
		before := s.world.Fingerprint()
		op := s.do(understudy.Switchover, control.PausedByStep)
		if op.Stage != understudy.StageCheck || op.Error.Kind != understudy.KindRefused {
			t.Fatalf("paused at %s: %v", op.Stage, op.Error)
		}
		if op = s.Act(s.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted {
			t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
		}
		if now := s.world.Fingerprint(); now != before {
			t.Fatalf("before:\n%s\nnow:\n%s", before, now)
		}
		s.world.Exchange("east", "west")
		if n := refusals(t, s); n != 0 {
			t.Errorf("%d refusals with the right addresses", n)
		}
		s.write("east", "b", 2)
		s.until("followed again", func(st control.PlanStatus) bool {
			return st.Workloads[0].Protection == understudy.Protected && slices.Equal(s.world.IDs("east"), s.world.IDs("west"))
		})
		s.do(understudy.Switchover, control.CommitWindow)
	})
}

// A verification compares nothing with a cluster that is not the one that was protected, and says so.
func TestVerifyRefusesAnotherCluster(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		s.protected()
		s.world.Exchange("east", "west")
		op := s.do(understudy.Verify, control.PausedByStep)
		if op.Error.Kind != understudy.KindRefused || op.Parts[0].Verdict != nil {
			t.Fatalf("%v, verdict %+v", op.Error, op.Parts[0].Verdict)
		}
		s.world.Exchange("east", "west")
		if op = s.Act(s.Retry, control.ActRequest{Operation: op.ID}); op.State != control.Committed || op.Parts[0].Verdict.Outcome != understudy.Match {
			t.Fatalf("%s: %v", op.State, op.Error)
		}
	})
}

// refusals counts what doctor would refuse.
func refusals(t *testing.T, s *scene) int {
	t.Helper()
	d, err := s.Doctor(t.Context(), "contoso")
	if err != nil || len(d.Workloads) != 1 || d.Workloads[0].Error != nil {
		t.Fatalf("doctor: %+v, %v", d, err)
	}
	return len(slices.DeleteFunc(d.Workloads[0].Findings, func(f workload.Finding) bool { return f.Level != "refuse" }))
}
