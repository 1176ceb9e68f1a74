package storage_test

import (
	"os"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
)

// failsAt is staged, with a plan whose hook behind a stage fails once.
func failsAt(t *testing.T, at understudy.StageName) *stagehand {
	var hand *stagehand
	e := story{prepare: func(s *stagehand) { hand = s }}.estate(t)
	e.Setup.Plan.Hooks = map[understudy.StageName]understudy.HookName{at: "fails-once"}
	p := controltest.Start(t, e.Setup)
	t.Cleanup(p.Stop)
	p.Apply()
	e.Prepare(p)
	hand.writes(east, 6)
	return hand
}

// TestProtectIntoABarredFolder protects after an unprotect that barred the link's folder and came to no end at the target. The role is the same as before, so
// the link would work in that folder; nothing is done, and the refusal says the way out, which leads to a whole copy.
func TestProtectIntoABarredFolder(t *testing.T) {
	t.Parallel()
	aborted := func(s *stagehand, op control.Operation) {
		if op = s.p.Act(s.p.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted {
			s.t.Fatalf("the abort is %s at %s: %v", op.State, op.Stage, op.Error)
		}
	}
	letGo := func(s *stagehand, op control.Operation) {
		back, err := s.lose(s.t.Context(), west)
		must(s.t, err)
		if op = s.p.Act(s.p.Retry, control.ActRequest{Operation: op.ID}); op.State != control.Committed {
			s.t.Fatalf("unprotect is %s at %s: %v", op.State, op.Stage, op.Error)
		}
		must(s.t, back())
	}
	for name, c := range map[string]struct {
		at   understudy.StageName
		ends func(*stagehand, control.Operation)
	}{
		"aborted behind the halt":    {understudy.StageHalt, aborted},
		"aborted behind the opening": {understudy.StageUnguard, aborted},
		"let go behind the halt":     {understudy.StageHalt, letGo},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := failsAt(t, c.at)
			s.do(understudy.Protect, control.Committed)
			op := s.p.Do(control.StartRequest{Verb: understudy.Unprotect, AcceptFence: []understudy.Site{west}}, control.PausedByStep)
			if op.Stage != c.at {
				t.Fatalf("unprotect is paused at %s: %v", op.Stage, op.Error)
			}
			c.ends(s, op)
			must(t, os.WriteFile(s.root[west]+"/jars/foreign", []byte("theirs"), 0o600))
			s.writes(east, 2)
			op = s.refusesToProtect("US749")
			if op.Stage != understudy.StageCheck || op.Error.Object.Site != west || !strings.Contains(op.Error.Fix, "understudy unprotect contoso") {
				t.Errorf("at %s: %+v", op.Stage, op.Error)
			}
			s.do(understudy.Unprotect, control.Committed)
			s.do(understudy.Protect, control.Committed)
			must(t, s.same(t.Context()))
		})
	}
}
