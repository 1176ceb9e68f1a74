package control_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload/workloadtest"
)

// full is how long a look waits for the first word of a site in these tests.
const full = 3 * time.Second

// A side that accepts connections and answers nothing gets its full time when it is confirmed and at the two dials, and
// a short one at every other look of the failover.
func TestABlackHoleCostsItsFullTimeAtTheDialsOnly(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		s.protected()
		s.world.SetSilence(full)
		s.world.SetUp("east", false)
		op := s.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{"east"}}, control.CommitWindow)
		took := op.Marks.Verified.Sub(op.Marks.Started)
		t.Logf("%s until the first verified write", took)
		if took < 3*full || took >= 3*full+20*full/10 {
			t.Errorf("%s until the first verified write: that is not three looks in full", took)
		}
	})
}

// comeback is a hook during which the east answers again, once there is a world.
type comeback struct {
	world atomic.Pointer[workloadtest.World]
}

func (*comeback) Has(understudy.HookName) bool { return true }

func (c *comeback) RunHook(context.Context, understudy.HookName, []string) (string, error) {
	if w := c.world.Load(); w != nil {
		w.SetUp("east", true)
	}
	return "", nil
}

// A side that answers again is met at the next dial, however short the looks before it were: before the halt it is
// fenced, and behind it too.
func TestASideThatAnswersAgainIsMetAtTheDials(t *testing.T) {
	t.Parallel()
	for stage, told := range map[understudy.StageName]string{
		understudy.StageProvision: "answers again: it is fenced instead of accepted",
		understudy.StageCut:       "the old side answered after the halt",
	} {
		t.Run(string(stage), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				var hook comeback
				s := protectedScene(t, func(c *controltest.Setup) {
					c.Plan.Hooks = map[understudy.StageName]understudy.HookName{stage: "it-is-back"}
					c.Options = func(o *control.Options) { o.Hooks = &hook }
				})
				s.protected()
				hook.world.Store(s.world)
				s.world.SetSilence(full)
				s.world.SetUp("east", false)
				op := s.Rest(s.Begin(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{"east"}}).ID)
				if op.State == control.PausedByStep && op.Error.Code == "US262" {
					op = s.Act(s.Retry, control.ActRequest{Operation: op.ID})
				}
				said := slices.ContainsFunc(s.events(op), func(e control.Event) bool { return strings.Contains(e.Text, told) })
				if op.State != control.CommitWindow || !said || s.world.Open("east") {
					t.Fatalf("%s at %s (%v), told %v, east open %v", op.State, op.Stage, op.Error, said, s.world.Open("east"))
				}
			})
		})
	}
}
