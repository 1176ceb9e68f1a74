package control_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
)

// An unprotect that is refused has changed nothing: the link goes on while it is paused, and after its abort.
func TestARefusedUnprotectHasEndedNoLink(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		s.protected()
		before := s.world.Fingerprint()
		s.world.Exchange("east", "west")
		op := s.do(understudy.Unprotect, control.PausedByStep)
		s.world.Exchange("east", "west")
		if op.Stage != understudy.StageCheck || op.Error.Kind != understudy.KindRefused || s.world.Fingerprint() != before {
			t.Fatalf("paused at %s: %v\n%s", op.Stage, op.Error, s.world.Fingerprint())
		}
		s.follows("while it is paused")
		if op = s.Act(s.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted {
			t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
		}
		s.follows("after the abort")
	})
}

// What turns up between the check and the halt is met when the links have ended: the abort starts them again.
func TestAbortOfAnUnprotectStartsItsLinksAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var s *scene
		s = protectedScene(t, func(c *controltest.Setup) {
			c.Plan.Hooks = map[understudy.StageName]understudy.HookName{understudy.StageProvision: "then"}
			c.Options = func(o *control.Options) {
				o.Hooks = unprotectHook(func() { s.world.Exchange("east", "west") })
			}
		})
		s.protected()
		op := s.do(understudy.Unprotect, control.PausedByStep)
		if op.Stage != understudy.StageHalt || !s.noted(op, "the links into the new side have ended") {
			t.Fatalf("paused at %s: %v", op.Stage, op.Error)
		}
		s.world.Exchange("east", "west")
		if op = s.Act(s.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted {
			t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
		}
		s.follows("after the abort")
		s.do(understudy.Switchover, control.CommitWindow)
	})
}

// A target that was opened to its owner gets no mover back: somebody may write there. Reprotect looks first.
func TestAbortOfAHalfDoneUnprotectStartsNoLink(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		s.protected()
		s.world.Fail("unstamp", &understudy.Error{Code: "US999", Kind: understudy.KindBroken, Summary: "planned"})
		op := s.do(understudy.Unprotect, control.PausedByStep)
		if op = s.Act(s.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted {
			t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
		}
		if !s.noted(op, "the links stay ended") {
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

// follows has the primary written, and waits until the secondary has it.
func (s *scene) follows(when string) {
	s.t.Helper()
	s.write("east", strings.ReplaceAll(when, " ", "-"), 2)
	s.until("followed "+when, func(st control.PlanStatus) bool {
		return st.Workloads[0].Protection == understudy.Protected && slices.Equal(s.world.IDs("east"), s.world.IDs("west"))
	})
}

// noted says whether the operation's journal has a note.
func (s *scene) noted(op control.Operation, text string) bool {
	return slices.ContainsFunc(s.events(op), func(e control.Event) bool {
		return e.Kind == control.EventNote && strings.Contains(e.Text, text)
	})
}

// unprotectHook runs behind a stage of an unprotect, and does nothing there in other operations.
type unprotectHook func()

func (unprotectHook) Has(understudy.HookName) bool { return true }

func (h unprotectHook) RunHook(_ context.Context, _ understudy.HookName, env []string) (string, error) {
	if slices.Contains(env, "UNDERSTUDY_VERB=unprotect") {
		h()
	}
	return "", nil
}
