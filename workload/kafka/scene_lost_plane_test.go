package kafka_test

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
)

// TestALostControlPlane does what docs/running.md tells a person to do when the data directory of the control plane is
// gone for good: a new one is refused, takes nothing over by itself, and protects again once the leftovers are removed
// by Kafka's own means.
func TestALostControlPlane(t *testing.T) {
	t.Parallel()
	for name, simulate := range map[string]func(*testing.T) theatre{"open": simulated, "denied": simulatedDenied} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lostControlPlane(t, simulate(t))
		})
	}
}

func lostControlPlane(t *testing.T, th theatre) {
	s := lostPlane(t, th)
	op := s.p.Do(control.StartRequest{Verb: understudy.Protect}, control.PausedByStep)
	if op.Error.Code != "US252" || op.Stage != understudy.StageCheck {
		t.Fatalf("a new control plane is paused at %s: %v", op.Stage, op.Error)
	}
	s.cleared()
	if op = s.p.Act(s.p.Retry, control.ActRequest{Operation: op.ID}); op.State != control.Committed {
		t.Fatalf("protect is %s at %s: %v", op.State, op.Stage, op.Error)
	}
	s.write(east, "b", 5)
	s.rest()
	verified := s.p.Do(control.StartRequest{Verb: understudy.Verify}, control.Committed)
	if v := verified.Parts[0].Verdict; v == nil || v.Outcome != understudy.Match {
		t.Fatalf("after protecting again: %+v", v)
	}
	s.do(understudy.Switchover, control.CommitWindow)
	s.do(understudy.Commit, control.Committed)
	if got := settings(t, th.west, "orders")["retention.ms"]; got == "-1" {
		t.Errorf("the new primary keeps a stand-in: retention.ms is %s", got)
	}
}

// lostPlane protects, loses the control plane with its journal, and gives a new one with the same files.
func lostPlane(t *testing.T, th theatre) *stagehand {
	t.Helper()
	old := controltest.Start(t, story{}.estate(t, th).Setup)
	old.Apply()
	s := &stagehand{t: t, p: old, th: th}
	s.protected()
	old.Kill()
	anew := controltest.Start(t, story{}.estate(t, th).Setup)
	t.Cleanup(anew.Stop)
	anew.Apply()
	s.p = anew
	return s
}

// cleared removes by hand what the lost control plane has left: the denials on both sides, the copies on the secondary,
// and the topic with the stamps.
func (s *stagehand) cleared() {
	s.t.Helper()
	ctx := context.Background()
	for addr, topics := range map[string][]string{s.th.east: {"__understudy"}, s.th.west: {"orders", "idle", "__understudy"}} {
		adm := kadm.NewClient(client(s.t, addr))
		if s.th.authorizer {
			deny := kadm.NewACLs().Topics("orders", "idle").ResourcePatternType(kmsg.ACLResourcePatternTypeLiteral).
				Deny("User:app").DenyHosts("*").Operations(kadm.OpWrite)
			if _, err := adm.DeleteACLs(ctx, deny); err != nil {
				s.t.Fatal(err)
			}
		}
		gone, err := adm.DeleteTopics(ctx, topics...)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, g := range gone {
			if g.Err != nil {
				s.t.Fatal(g.Topic, g.Err)
			}
		}
	}
}
