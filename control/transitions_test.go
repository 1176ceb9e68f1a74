package control_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
)

// The table has no dead ends and no edge from a state that is over; every state can be reached, and can be left as the
// design says: an operation that has not arrived by an abort and by a failover in its place, a running one also by a
// failure and by a pause.
func TestTransitionsAreWhole(t *testing.T) {
	t.Parallel()
	reached := []control.State{control.Validated}
	for i := 0; i < len(reached); i++ {
		for _, e := range control.Transitions() {
			if e.From == reached[i] && !slices.Contains(reached, e.To) {
				reached = append(reached, e.To)
			}
		}
	}
	for _, s := range control.States() {
		if !slices.Contains(reached, s) {
			t.Errorf("no way leads to %s", s)
		}
		var ways []control.Trigger
		for _, e := range control.Transitions() {
			if e.From != s {
				continue
			}
			if slices.Contains(ways, e.On) {
				t.Errorf("%s has two edges on %s", s, e.On)
			}
			ways = append(ways, e.On)
		}
		want := []control.Trigger{control.Turn, control.Supersede}
		switch {
		case s.Final():
			want = nil
			if len(ways) > 0 {
				t.Errorf("%s is final and has edges: %v", s, ways)
			}
		case s == control.Running:
			want = append(want, control.Fail, control.Pause)
		case s == control.CommitWindow:
			want = []control.Trigger{control.Settle, control.Undo, control.Supersede}
		}
		for _, on := range want {
			if !slices.Contains(ways, on) {
				t.Errorf("%s has no way out by %s", s, on)
			}
		}
	}
	if len(reached) != len(control.States()) {
		t.Errorf("the table leads to %v, and the states are %v", reached, control.States())
	}
}

// followed goes along the edges that an operation's entries tell of. It gives those edges, and what is wrong with them:
// one that the table does not have, or an operation that is not where they lead.
func followed(state control.State, events []control.Event) (taken []control.Transition, wrong string) {
	at := control.Validated
	for _, e := range events {
		if e.Kind == control.EventBegan {
			at = control.Validated // a standing duty that comes again begins anew
		}
		if e.Kind != control.EventState {
			continue
		}
		if to, ok := control.Next(at, e.On); !ok || to != e.State {
			return taken, fmt.Sprintf("the table does not lead from %s to %s on %q", at, e.State, e.On)
		}
		taken = append(taken, control.Transition{From: at, On: e.On, To: e.State})
		at = e.State
	}
	if at != state {
		wrong = fmt.Sprintf("it is %s, and its entries lead to %s", state, at)
	}
	return taken, wrong
}

func TestAnEdgeBesideTheTableIsSeen(t *testing.T) {
	t.Parallel()
	begun := control.Event{Kind: control.EventState, On: control.Begin, State: control.Running}
	skipped := control.Event{Kind: control.EventState, On: control.Skip, State: control.Running}
	settled := control.Event{Kind: control.EventState, On: control.Finish, State: control.CommitWindow}
	for _, events := range [][]control.Event{{begun, skipped}, {begun, settled}, {begun}, {skipped}} {
		if _, wrong := followed(control.CommitWindow, events); wrong == "" {
			t.Errorf("nothing is wrong with %+v", events)
		}
	}
	if _, wrong := followed(control.Running, []control.Event{begun}); wrong != "" {
		t.Error(wrong)
	}
}

// lawful wants every operation of the journal to have gone along edges of the table only. It gives those.
func lawful(t *testing.T, p *controltest.Plane) map[control.Transition]bool {
	t.Helper()
	ops, err := p.Operations(context.Background(), control.OperationsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	all := map[control.Transition]bool{}
	for _, op := range ops {
		var events []control.Event
		err := p.Watch(context.Background(), op.ID, 0, func(e control.Event) error {
			events = append(events, e)
			if e.Seq >= op.Seq {
				return errTold
			}
			return nil
		})
		if err != nil && !errors.Is(err, errTold) {
			t.Fatal(err)
		}
		taken, wrong := followed(op.State, events)
		if wrong != "" {
			t.Errorf("%s %s: %s", op.Verb, op.ID, wrong)
		}
		for _, e := range taken {
			all[e] = true
		}
	}
	return all
}

// edges drives a plan over the edges of the table, on one plane after the other way round.
type edges struct{ *scene }

// protected waits until what the link reports is stored too: a failover that begins looks there.
func (s edges) protected() {
	s.t.Helper()
	s.scene.protected()
	<-time.After(3 * time.Second)
}

// draining begins a switchover that cannot drain.
func (s edges) draining() control.Operation {
	s.t.Helper()
	s.protected()
	active := s.Role("orders").Active[0]
	s.world.SetDelay(time.Hour)
	s.write(active, "late"+time.Now().Format("150405.000"), 1)
	op := s.Begin(control.StartRequest{Verb: understudy.Switchover})
	s.until("draining", func(st control.PlanStatus) bool {
		return st.Current != nil && st.Current.Stage == understudy.StageDrain
	})
	return op
}

// paused is one that a person paused, behind its drain.
func (s edges) paused() control.Operation {
	s.t.Helper()
	op := s.draining()
	if _, err := s.Pause(s.t.Context(), control.ActRequest{Operation: op.ID, By: "ada"}); err != nil {
		s.t.Fatal(err)
	}
	s.world.SetDelay(10 * time.Millisecond)
	if op = s.Rest(op.ID); op.State != control.PausedByOperator {
		s.t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
	}
	return op
}

// stuck is one whose step failed.
func (s edges) stuck(step understudy.StepKind) control.Operation {
	s.t.Helper()
	s.protected()
	s.world.Fail(step, planned(understudy.KindBroken))
	return s.do(understudy.Switchover, control.PausedByStep)
}

// instead has a failover, which waits for a second person if it comes that far, take the place of an operation.
func (s edges) instead(old control.Operation) control.Operation {
	s.t.Helper()
	op := s.Rest(s.Begin(control.StartRequest{Verb: understudy.Failover, Supersede: old.ID}).ID)
	s.world.SetDelay(10 * time.Millisecond)
	return op
}

func (s edges) arrives(op control.Operation) {
	s.t.Helper()
	if op.State != control.CommitWindow {
		s.t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
	}
	s.do(understudy.Commit, control.Committed)
}

// The engine takes every edge of the table, and none beside it: a state that nobody enters would be a promise.
func TestTheEngineTakesEveryEdge(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := edges{protectedScene(t, func(c *controltest.Setup) { c.Plan.Approvals = []understudy.Verb{understudy.Failover} })}
		act := func(do func(context.Context, control.ActRequest) (control.Operation, error), op control.Operation) control.Operation {
			return s.Act(do, control.ActRequest{Operation: op.ID, By: "grace", Reason: "planned"})
		}
		s.home(s.do(understudy.Failover, control.AwaitingApproval))
		s.home(s.stuck("drain"))
		s.home(s.paused())
		late := s.draining()
		s.home(late)
		s.world.SetDelay(10 * time.Millisecond)
		s.protected()
		s.home(s.instead(s.do(understudy.Failover, control.AwaitingApproval)))
		s.home(s.instead(s.stuck("drain")))
		s.home(s.instead(s.paused()))
		s.home(s.instead(s.draining()))
		s.arrives(act(s.Resume, s.paused()))
		s.arrives(act(s.Skip, s.stuck("route")))
		s.arrives(act(s.Retry, s.stuck("fence.close")))
		s.protected()
		s.do(understudy.Switchover, control.CommitWindow)
		s.protected()
		s.arrives(s.do(understudy.Rollback, control.CommitWindow))
		s.protected()
		over := act(s.Approve, s.do(understudy.Failover, control.AwaitingApproval))
		s.home(s.instead(over)) // nothing was copied back yet

		taken := lawful(t, s.Plane)
		for _, e := range control.Transitions() {
			// The engine begins a validated operation at once; TestAQuarantinedWorkloadIsLetGo aborts one, and its place can
			// be taken only by an order that comes in between.
			between := e.From == control.Validated && e.On != control.Begin
			if !taken[e] && !between {
				t.Errorf("nobody went from %s to %s on %q", e.From, e.To, e.On)
			}
		}
	})
}
