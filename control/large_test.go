package control_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/journal"
	"github.com/understudy-dr/understudy/journal/mem"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/workloadtest"
)

// parts tells what of values in parts is in a journal: whether every part belongs to an entry, and every entry that
// points at parts has them all.
func parts(p *controltest.Plane) string {
	entries, _, err := p.Store.Open(mem.Options{}).List(context.Background(), "")
	if err != nil {
		return err.Error()
	}
	there, marks := map[string]int{}, map[string]int{}
	var wrong []string
	for _, e := range entries {
		switch {
		case strings.HasPrefix(e.Key, "/part/"):
			there[strings.Split(e.Key, "/")[2]]++
		case strings.HasPrefix(e.Key, "/staged/"):
			wrong = append(wrong, "parts without an entry")
		case strings.HasPrefix(e.Key, "/split/"):
			var pointer struct {
				ID    string
				Count int
			}
			if err := json.Unmarshal(e.Value, &pointer); err != nil {
				return err.Error()
			}
			marks[pointer.ID] = pointer.Count
		}
		if len(e.Value) > journal.MaxValue {
			wrong = append(wrong, "too large: "+e.Key)
		}
	}
	if fmt.Sprint(there) != fmt.Sprint(marks) {
		wrong = append(wrong, fmt.Sprintf("%v parts, but %v pointers", there, marks))
	}
	if len(there) == 0 {
		wrong = append(wrong, "no parts at all")
	}
	return strings.Join(wrong, "; ")
}

// settledParts waits until what was replaced is removed.
func settledParts(p *controltest.Plane) string {
	for range 600 {
		if parts(p) == "" {
			return ""
		}
		<-time.After(50 * time.Millisecond)
	}
	return parts(p)
}

func wordySetup(t *testing.T) (controltest.Setup, *workloadtest.World) {
	world := workloadtest.NewWorld("east", "west")
	registry, plan := workloadtest.WordyEstate(world, "east", "west")
	return controltest.Setup{Registry: registry, Plan: plan, DataDir: t.TempDir()}, world
}

// TestValuesLargerThanATransaction takes a workload over and home again whose lists of steps, receipts and memory are
// larger than any transaction, and lets people read all the while. At last parts of values are removed behind the control
// plane's back: what is damaged is not read as if it were whole.
func TestValuesLargerThanATransaction(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		setup, world := wordySetup(t)
		p := controltest.Start(t, setup)
		p.Apply()
		write(world, "east", "a", "b", "c")
		verbs := []understudy.Verb{understudy.Protect, understudy.Switchover, understudy.Commit, understudy.Failback, understudy.Commit}
		if raced || testing.Short() {
			verbs = verbs[:2]
		}
		var large understudy.OperationID
		for _, verb := range verbs {
			want := control.Committed
			if verb == understudy.Switchover || verb == understudy.Failback {
				want = control.CommitWindow
			}
			op := run(p, verb, want)
			seen := 0
			if err := p.Watch(t.Context(), op.ID, 0, func(e control.Event) error {
				if seen++; e.Kind == control.EventState && e.State.Resting() {
					return errSeen
				}
				return nil
			}); err != nil && err != errSeen || seen == 0 {
				t.Errorf("watching %s: %d entries, %v", verb, seen, err)
			}
			if verb == understudy.Commit {
				healthy(p)
			}
			if verb == understudy.Switchover {
				large = op.ID
			}
		}
		if r := p.Role("orders"); r.IsActive("east") != (len(verbs) > 2) {
			t.Errorf("the role is %s", r)
		}
		if wrong := settledParts(p); wrong != "" {
			t.Error(wrong)
		}
		damage(t, p)
		_, err := p.Report(t.Context(), large)
		refusedWith(t, err, "US201")
	})
}

// damage removes the parts of all values.
func damage(t *testing.T, p *controltest.Plane) {
	t.Helper()
	j := p.Store.Open(mem.Options{})
	entries, _, err := j.List(t.Context(), "/part/")
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d parts, %v", len(entries), err)
	}
	for _, e := range entries {
		if _, err := j.Commit(t.Context(), journal.Txn{Writes: []journal.Write{{Key: e.Key}}}); err != nil {
			t.Fatal(err)
		}
	}
}

// errSeen ends a watch.
var errSeen = fmt.Errorf("seen")

// TestCrashSweepOfLargeValues stops the engine around the writes of parts as well: nothing is half there, nothing is
// left behind, and what was decided, received and kept is what is found.
func TestCrashSweepOfLargeValues(t *testing.T) {
	t.Parallel()
	stride := 29
	if raced || testing.Short() {
		stride = 0 // it runs once more without the race detector
	}
	req := control.StartRequest{Verb: understudy.Switchover}
	n := controltest.Sweep(t, controltest.Course{Around: controltest.Bubble, Stride: stride}, func(t *testing.T) controltest.Estate {
		setup, world := wordySetup(t)
		e := controltest.Estate{
			Setup: setup, Prepare: func(p *controltest.Plane) { protectedEstate(p, world); healthy(p) },
			Fingerprint: func(p *controltest.Plane) string {
				op, _ := p.Newest(understudy.Switchover)
				return fmt.Sprint(op.State, op.Error, p.Role("orders"), world.IDs("east"), world.IDs("west"), settledParts(p))
			},
		}
		e.Order, e.Find = controltest.Ordering(req)
		return e
	})
	if n == 0 {
		t.Error("nothing was swept")
	}
}

// TestAsManyWorkloadsAsOneTransactionMoves holds the limit of a plan's workloads: what is let in can be taken over.
func TestAsManyWorkloadsAsOneTransactionMoves(t *testing.T) {
	t.Parallel()
	crowd := func(n int) func(*controltest.Setup) {
		return func(s *controltest.Setup) {
			s.Plan.Workloads = nil
			for i := range n {
				name := understudy.WorkloadName(fmt.Sprintf("w%03d", i))
				s.Plan.Workloads = append(s.Plan.Workloads, workload.Planned{Spec: workloadtest.ToySpec("contoso", name, "east", "west"), OnFailure: understudy.Stop})
			}
		}
	}
	inBubble(t, func(t *testing.T) {
		n := control.MostWorkloads
		if raced || testing.Short() {
			n /= 3
		}
		s := newScene(t, crowd(n))
		s.do(understudy.Protect, control.Committed)
		s.protected()
		s.do(understudy.Switchover, control.CommitWindow)
		if n < control.MostWorkloads {
			return // it runs once more without the race detector
		}
		s.do(understudy.Commit, control.Committed)
		s.do(understudy.Unprotect, control.Committed)
	})
	inBubble(t, func(t *testing.T) {
		world := workloadtest.NewWorld("east", "west")
		setup := controltest.Setup{Registry: workload.NewRegistry(workloadtest.Toy(world)), Plan: toyPlan(), DataDir: t.TempDir()}
		crowd(control.MostWorkloads + 1)(&setup)
		p := controltest.Start(t, setup)
		_, err := p.Controller.Apply(t.Context(), control.ApplyRequest{Text: "plan", By: "ada"})
		refusedWith(t, err, "US259")
	})
}
