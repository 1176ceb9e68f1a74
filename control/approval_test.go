package control_test

import (
	"context"
	"slices"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload/workloadtest"
)

// approvable is a verb that a plan may name in approvals, with what comes before it and how it ends.
type approvable struct {
	verb    understudy.Verb
	prepare func(p *controltest.Plane, w *workloadtest.World)
	end     control.State
}

func approvables() []approvable {
	return []approvable{
		{understudy.Switchover, protectedEstate, control.CommitWindow},
		{understudy.Failover, lostEast, control.CommitWindow},
		{understudy.Rollback, switchedOver, control.CommitWindow},
		{understudy.Reprotect, failedOver, control.Committed},
		{understudy.Failback, committed, control.CommitWindow},
		{understudy.Unprotect, protectedEstate, control.Committed},
	}
}

// Every verb that a plan may name waits for a second person before its first effect: no site is changed, no role is
// moved and no link is ended until then. The approval lets it go on, and an abort leaves everything as it was.
func TestEveryApprovableVerbWaitsBeforeItsFirstEffect(t *testing.T) {
	t.Parallel()
	for _, a := range approvables() {
		t.Run(string(a.verb), func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T) {
				s := newScene(t, func(c *controltest.Setup) { c.Plan.Approvals = []understudy.Verb{a.verb} })
				a.prepare(s.Plane, s.world)
				s.waits(a.verb, control.Aborted, s.Abort)
				s.waits(a.verb, a.end, s.Approve)
			})
		})
	}
}

// waits orders a verb, sees that nothing is done before somebody decides, and has grace decide.
func (s *scene) waits(v understudy.Verb, want control.State, decide func(context.Context, control.ActRequest) (control.Operation, error)) {
	s.t.Helper()
	role, sites := s.Role("orders"), s.world.Fingerprint()
	req := control.StartRequest{Verb: v}
	if v == understudy.Failover {
		req.AcceptFence = []understudy.Site{"east"}
	}
	op := s.Do(req, control.AwaitingApproval)
	if op.Stage != understudy.StageApprove || op.Next != "understudy approve "+string(op.ID) {
		s.t.Fatalf("%s waits at %s, next %q", v, op.Stage, op.Next)
	}
	began := slices.ContainsFunc(s.events(op), func(e control.Event) bool { return e.Kind == control.EventIntent || e.Kind == control.EventRole })
	if now := s.Role("orders"); !now.Equal(role) || s.world.Fingerprint() != sites || began || s.noted(op, "links into the new side have ended") {
		s.t.Fatalf("%s began before anybody approved it: %v, was %v\n%s\nwas\n%s", v, now, role, s.world.Fingerprint(), sites)
	}
	_, err := s.Approve(s.t.Context(), control.ActRequest{Operation: op.ID, By: op.By})
	refusedWith(s.t, err, "US246")
	if op = s.Act(decide, control.ActRequest{Operation: op.ID, By: "grace"}); op.State != want {
		s.t.Fatalf("%s is %s at %s: %v", v, op.State, op.Stage, op.Error)
	}
	if want == control.Aborted && (!s.Role("orders").Equal(role) || s.world.Fingerprint() != sites) {
		s.t.Fatalf("the abort of %s changed something: %v\n%s\nwas\n%s", v, s.Role("orders"), s.world.Fingerprint(), sites)
	}
}
