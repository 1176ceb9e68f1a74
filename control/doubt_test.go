package control_test

import (
	"context"
	"errors"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/journal"
	"github.com/understudy-dr/understudy/workload"
)

// hesitant makes of the toy's closing of a site a step that nobody may repeat without a person's decision.
type hesitant struct{ workload.Workload }

// Decide implements workload.Workload.
func (h hesitant) Decide(stage understudy.Stage, seen workload.Observation) ([]understudy.Step, error) {
	steps, err := h.Workload.Decide(stage, seen)
	for i := range steps {
		if steps[i].Kind == "fence.close" {
			steps[i].Class = understudy.AskHuman
		}
	}
	return steps, err
}

// hesitating makes the kinds of a setup hesitant.
func hesitating(c *controltest.Setup) {
	var kinds []workload.Kind
	for _, k := range c.Registry.Kinds() {
		open := k.Open
		k.Open = func(ctx context.Context, s workload.Spec, o workload.Opening) (workload.Workload, error) {
			w, err := open(ctx, s, o)
			return hesitant{w}, err
		}
		kinds = append(kinds, k)
	}
	c.Registry = workload.NewRegistry(kinds...)
}

// A crash in the middle of a step that cannot be repeated leaves a doubt that only a person can end. Without a crash the
// same step is done like any other.
func TestAStepThatMayHaveHappenedAsksAPerson(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, hesitating)
		waits := s.world.Stall("fence.close")
		op := s.Begin(control.StartRequest{Verb: understudy.Switchover})
		<-waits
		s.Kill()
		s.setup.Store = s.Store.Clone()
		s.Plane = controltest.Start(t, s.setup)
		op = s.Rest(op.ID)
		if op.State != control.PausedByStep || op.Stage != understudy.StageFence {
			t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
		}
		refusedWith(t, op.Error, "US240")
		if !s.world.Open("east") {
			t.Fatal("the step was repeated without asking")
		}
		if op = s.Act(s.Retry, control.ActRequest{Operation: op.ID}); op.State != control.CommitWindow || s.world.Open("east") {
			t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
		}
		s.do(understudy.Commit, control.Committed)
		s.protected()
		s.do(understudy.Failback, control.CommitWindow)
	})
}

// A link that needs a higher role epoch waits for the operation that has the role in hand, says so, and goes on by itself
// when that has ended.
func TestALinkWaitsForTheRoleThatAnOperationHasInHand(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, func(c *controltest.Setup) {
			c.Options = func(o *control.Options) { o.StepBudget = 10 * time.Minute }
		})
		waits := s.world.Stall("fence.close")
		op := s.Begin(control.StartRequest{Verb: understudy.Switchover})
		<-waits
		s.world.SeeToken("west", 9)
		s.until("waiting for the role", func(st control.PlanStatus) bool {
			l := st.Workloads[0].Links
			return len(l) == 1 && l[0].Error != nil && l[0].Error.Code == "US256" && l[0].Error.Fix != ""
		})
		if r := s.Role("orders"); !r.None() || r.Epoch > 9 {
			t.Fatalf("the role was taken out of the operation's hand: %v", r)
		}
		if op = s.Act(s.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted {
			t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
		}
		s.write("east", "b", 2)
		s.protected()
		s.until("alike", func(control.PlanStatus) bool { return len(s.world.IDs("west")) == 5 })
		if r := s.Role("orders"); !r.IsActive("east") || r.Epoch <= 9 {
			t.Fatalf("role %v", r)
		}
	})
}

// slow is a journal that, once it is armed, keeps what a step has read of a link until the link is written again: a
// step that writes by what it read without a lock meets that write. Only the stack tells who reads under a lock: to wait
// there would stand in the way of the write.
type slow struct {
	journal.Journal
	armed, held atomic.Bool
}

// Get implements journal.Journal.
func (j *slow) Get(ctx context.Context, key string) (journal.Entry, error) {
	e, err := j.Journal.Get(ctx, key)
	stack := string(debug.Stack())
	if err != nil || !j.armed.Load() || !strings.HasPrefix(key, "/link/") ||
		!strings.Contains(stack, ").startLinks(") || strings.Contains(stack, ").amend(") {
		return e, err
	}
	waits, enough := context.WithTimeout(ctx, 15*time.Second)
	defer enough()
	err = j.Watch(waits, key, e.Version, func(journal.Event) error { return errWritten })
	if errors.Is(err, errWritten) {
		j.held.Store(true)
	}
	return e, nil
}

var errWritten = errors.New("written")

// An operation that assigns a link while the link lifts its epoch by itself assigns it above that epoch: it does not
// fall over the link's write.
func TestALinkThatLiftsItsEpochDoesNotStopAnOperation(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		j := &slow{}
		s := protectedScene(t, func(c *controltest.Setup) {
			c.Options = func(o *control.Options) {
				o.StepBudget = 10 * time.Minute
				j.Journal, o.Journal = o.Journal, j
			}
		})
		waits := s.world.Stall("fence.close")
		op := s.Begin(control.StartRequest{Verb: understudy.Switchover})
		<-waits
		s.world.SeeToken("west", 9)
		s.until("waiting for the role", func(st control.PlanStatus) bool {
			l := st.Workloads[0].Links
			return len(l) == 1 && l[0].Error != nil && l[0].Error.Code == "US256"
		})
		j.armed.Store(true)
		if op = s.Act(s.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted {
			t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
		}
		if j.armed.Store(false); !j.held.Load() {
			t.Fatal("the link was not written meanwhile")
		}
		s.protected()
		if r := s.Role("orders"); !r.IsActive("east") || r.Epoch <= 9 {
			t.Fatalf("role %v", r)
		}
	})
}
