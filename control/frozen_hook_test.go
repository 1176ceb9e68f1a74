package control_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload"
)

// jobs are a customer's jobs beside a plan, which its hook of freeze stops and its hook of unfreeze starts where it is told.
type jobs struct {
	mu sync.Mutex
	// at is the site where they run; empty while they are stopped.
	at understudy.Site
	// told is what each hook learned: verb, stage and sites.
	told []string
	// failing are the stages whose hook fails once, after it did its work.
	failing []string
}

func (j *jobs) Has(understudy.HookName) bool { return true }

func (j *jobs) RunHook(_ context.Context, name understudy.HookName, env []string) (string, error) {
	of := func(key string) string {
		i := slices.IndexFunc(env, func(v string) bool { return strings.HasPrefix(v, "UNDERSTUDY_"+key+"=") })
		return strings.TrimPrefix(env[i], "UNDERSTUDY_"+key+"=")
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.told = append(j.told, fmt.Sprintf("%s %s %s>%s", of("VERB"), of("STAGE"), of("FROM"), of("TO")))
	j.at = ""
	if name == "start-jobs" {
		j.at = understudy.Site(of("TO"))
	}
	if i := slices.Index(j.failing, of("STAGE")); i >= 0 {
		j.failing = slices.Delete(j.failing, i, i+1)
		return "", planned(understudy.KindBroken)
	}
	return "", nil
}

// beside has the plan stop and start the jobs.
func (j *jobs) beside(p *workload.Plan) func(*control.Options) {
	p.Hooks = map[understudy.StageName]understudy.HookName{understudy.StageFreeze: "stop-jobs", understudy.StageUnfreeze: "start-jobs"}
	return func(o *control.Options) { o.Hooks = j }
}

func (j *jobs) wantAt(t *testing.T, site understudy.Site, told ...string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.at != site || !slices.Equal(j.told, told) {
		t.Fatalf("the jobs run at %q, want %q; hooks were told %q, want %q", j.at, site, j.told, told)
	}
}

// besideJobs is a protected scene whose jobs run at east. A failover waits for a second person, and so can be aborted
// before it does anything.
func besideJobs(t *testing.T, failing ...string) (*scene, *jobs) {
	j := &jobs{at: "east", failing: failing}
	s := protectedScene(t, func(c *controltest.Setup) {
		c.Options = j.beside(&c.Plan)
		c.Plan.Approvals = []understudy.Verb{understudy.Failover}
	})
	s.protected()
	return s, j
}

// home aborts an operation and wants it to come to its end.
func (s *scene) home(op control.Operation) {
	s.t.Helper()
	if op = s.Act(s.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted {
		s.t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
	}
}

const (
	stopped = "switchover freeze east>west"
	started = "abort unfreeze west>east"
)

// What the hook of freeze stopped goes on after an abort, by the hook of unfreeze, at the side that is active then.
func TestAnAbortLetsFrozenJobsGoOn(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s, j := besideJobs(t)
		s.world.Fail("drain", planned(understudy.KindBroken))
		s.home(s.do(understudy.Switchover, control.PausedByStep))
		j.wantAt(t, "east", stopped, started)
		s.do(understudy.Switchover, control.CommitWindow)
		j.wantAt(t, "west", stopped, started, stopped, "switchover unfreeze east>west")
	})
}

// Before freeze there is nothing to make up for: the jobs were never stopped, and are not started a second time.
func TestAnAbortBeforeFreezeStartsNoJobs(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s, j := besideJobs(t)
		s.world.Exchange("east", "west")
		op := s.do(understudy.Switchover, control.PausedByStep)
		s.world.Exchange("east", "west")
		if op.Stage != understudy.StageCheck {
			t.Fatalf("paused at %s: %v", op.Stage, op.Error)
		}
		s.home(op)
		j.wantAt(t, "east")
	})
}

// A hook that failed may have done its work. One that fails on the way back stops it: nothing is left out in silence.
func TestHooksThatFailAroundAnAbort(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s, j := besideJobs(t, "freeze", "unfreeze")
		op := s.do(understudy.Switchover, control.PausedByStep)
		if op.Stage != understudy.StageFreeze {
			t.Fatalf("paused at %s: %v", op.Stage, op.Error)
		}
		op = s.Act(s.Abort, control.ActRequest{Operation: op.ID})
		if op.State != control.PausedByStep || op.Stage != understudy.StageUnfreeze {
			t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
		}
		if op = s.Act(s.Retry, control.ActRequest{Operation: op.ID}); op.State != control.Aborted {
			t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
		}
		j.wantAt(t, "east", stopped, started, started)
	})
}

// A failover that takes the place of an operation inherits its stopped jobs too, and lets them go on when it is aborted
// itself: before PROMOTE at the old side, and after it at the side that was promoted, where it began.
func TestAFailoverInheritsFrozenJobs(t *testing.T) {
	t.Parallel()
	for step, want := range map[understudy.StepKind]struct {
		at   understudy.Site
		told string
	}{"drain": {"east", started}, "enable": {"west", "abort unfreeze east>west"}} {
		t.Run("stuck at "+string(step), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s, j := besideJobs(t)
				s.world.Fail(step, planned(understudy.KindBroken))
				stuck := s.do(understudy.Switchover, control.PausedByStep)
				op := s.Rest(s.Begin(control.StartRequest{Verb: understudy.Failover, Supersede: stuck.ID}).ID)
				if op.State != control.AwaitingApproval && op.State != control.PausedByStep {
					t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
				}
				s.home(op)
				j.wantAt(t, want.at, stopped, want.told)
			})
		})
	}
}

// When one workload is let go by a takeover that stands, the jobs go on where the takeover went.
func TestJobsStayWithATakeoverThatStands(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		plan, registry, worlds := twoWorkloads(understudy.Quarantine)
		j := &jobs{at: "east"}
		s := newScene(t, func(c *controltest.Setup) {
			c.Plan, c.Registry = plan, registry
			c.Options = j.beside(&c.Plan)
		})
		s.do(understudy.Protect, control.Committed)
		worlds["curated"].Fail("fence.close", planned(understudy.KindBroken))
		op := s.do(understudy.Switchover, control.CommitWindow)
		worlds["curated"].Fail("drain", planned(understudy.KindBroken))
		join, err := s.Retry(t.Context(), control.ActRequest{Operation: op.ID, Workload: "curated", By: "ada"})
		if err != nil {
			t.Fatal(err)
		}
		if join = s.Rest(join.ID); join.State != control.PausedByStep {
			t.Fatalf("%s at %s: %v", join.State, join.Stage, join.Error)
		}
		s.home(join)
		moved := "switchover unfreeze east>west"
		j.wantAt(t, "west", stopped, moved, stopped, "abort unfreeze east>west")
	})
}
