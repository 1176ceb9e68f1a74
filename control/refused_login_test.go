package control_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

// A primary that answers and refuses our login is not a silent one: ordinary writers may be let in there, so nobody's word
// takes the place of the fence. Once the login is mended the failover goes on and fences it.
func TestNobodysWordStandsForASideThatRefusesOurLogin(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		s.protected()
		s.world.Refuse("east", true)
		op := s.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{"east"}}, control.PausedByStep)
		r, err := s.Report(t.Context(), op.ID)
		if text := fmt.Sprintf("%+v", r.Stages); err != nil || strings.Contains(text, "would lose nothing") || !strings.Contains(text, "nothing could be learned of the old side: the server refuses the login") {
			t.Errorf("what is said of the old side: %s, %v", text, err)
		}
		if op.Stage != understudy.StageFence || op.Error.Kind != understudy.KindDenied {
			t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
		}
		s.world.Refuse("east", false)
		if op = s.Act(s.Retry, control.ActRequest{Operation: op.ID}); op.State != control.CommitWindow || s.world.Open("east") {
			t.Fatalf("%s: %v", op.State, op.Error)
		}
	})
}

// Status says why an old primary that answers is not fenced, and no more so once it is.
func TestStatusSaysThatAnOldSiteRefusesOurLogin(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		s.protected()
		s.world.SetUp("east", false)
		<-time.After(5 * time.Second)
		s.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{"east"}}, control.CommitWindow)
		s.world.Refuse("east", true)
		s.world.SetUp("east", true)
		old := func(state, words string) {
			t.Helper()
			s.until(state, func(st control.PlanStatus) bool {
				o := st.Workloads[0].Old
				return len(o) == 1 && o[0].State == state && (words == "") == (o[0].Error == nil) && (words == "" || strings.Contains(o[0].Error.Error(), words))
			})
		}
		old("unfenced", "refuses the login")
		told := func() time.Time {
			t.Helper()
			st, err := s.Status(t.Context(), "contoso")
			if err != nil {
				t.Fatal(err)
			}
			return st.Workloads[0].Old[0].At
		}
		first := told()
		<-time.After(time.Minute)
		if at := told(); !at.Equal(first) {
			t.Errorf("the same refusal is kept again, %s later", at.Sub(first))
		}
		s.world.Refuse("east", false)
		old("fenced", "")
	})
}
