package storage_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage"
	"github.com/understudy-dr/understudy/workload/workloadtest"
)

// stride says how many appends of the journal lie between two crashes of a sweep; 1 stops at every one.
var (
	stride = flag.Int("stride", 40, "appends between two crashes of a sweep")
	width  = flag.Int("width", 4, "crashes of a sweep that are tried at once")
)

// story is one operation of the sweep, on a pair of stores.
type story struct {
	name    string
	req     control.StartRequest
	prepare func(*stagehand)
	// order and find stand in for the start of an operation, and hooked has the plan's hook behind the cut fail once.
	order  func(*stagehand) error
	find   func(*controltest.Plane) (control.Operation, bool)
	hooked bool
	// alike looks at both sides in the end.
	alike func(*stagehand) error
}

// stagehand is what a story needs while it prepares.
type stagehand struct {
	*pair
	p    *controltest.Plane
	back func() error
}

func (s *stagehand) do(verb understudy.Verb, want control.State) {
	s.t.Helper()
	s.p.Do(control.StartRequest{Verb: verb}, want)
}

func (s *stagehand) writes(site understudy.Site, n int) {
	s.t.Helper()
	must(s.t, s.write(context.Background(), site, n))
}

// protected is protected, with changes that no run has taken yet.
func (s *stagehand) protected() {
	s.writes(east, 6)
	s.do(understudy.Protect, control.Committed)
	s.writes(east, 4)
}

// lost is protected, and then east is gone.
func (s *stagehand) lost() {
	s.protected()
	back, err := s.lose(context.Background(), east)
	must(s.t, err)
	s.back = back
}

// staged has a run whose set is ready and not shown, and then east is gone.
func (s *stagehand) staged() {
	s.protected()
	w := s.opened(s.t)
	for _, stage := range []understudy.StageName{understudy.StageCapture, understudy.StageCopy, understudy.StageProve} {
		must(s.t, s.does(w, understudy.Replicate, stage))
	}
	back, err := s.lose(context.Background(), east)
	must(s.t, err)
	s.back = back
}

// rolledForward wants west to show what east had when it was lost.
func (s *stagehand) rolledForward() error {
	for _, tree := range trees() {
		if a, b := content(s.root[east]+".away"+tree), content(s.root[west]+tree); a != b {
			return fmt.Errorf("%s: east had\n%swest has\n%s", tree, a, b)
		}
	}
	return nil
}

// takenOver has failed over, and has the old side back, fenced.
func (s *stagehand) takenOver() {
	s.lost()
	s.p.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{east}}, control.CommitWindow)
	s.writes(west, 3)
	s.do(understudy.Commit, control.Committed)
	must(s.t, s.back())
	s.rest()
}

// switched has switched over, and the reverse link has published.
func (s *stagehand) switched() {
	s.protected()
	s.do(understudy.Switchover, control.CommitWindow)
	s.writes(west, 3)
	s.rest()
}

// rest waits until links have published, and old sites are dealt with.
func (s *stagehand) rest() {
	s.t.Helper()
	s.p.Until(func(w control.WorkloadStatus) bool {
		return controltest.Linked(w) && controltest.Dealt(w) && !s.replicating()
	})
}

// replicating says whether a run is open.
func (s *stagehand) replicating() bool {
	op, ok := s.p.Newest(understudy.Replicate)
	return ok && !op.State.Final() && op.State != control.PausedByStep
}

func stories() []story {
	word := control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{east}}
	return []story{
		{name: "protect", req: control.StartRequest{Verb: understudy.Protect}, prepare: func(s *stagehand) { s.writes(east, 6) }},
		{name: "replicate", req: control.StartRequest{Verb: understudy.Replicate}, prepare: (*stagehand).protected},
		{name: "switchover", req: control.StartRequest{Verb: understudy.Switchover}, prepare: (*stagehand).protected},
		{name: "failover", req: word, prepare: (*stagehand).lost},
		{name: "failover that rolls forward", req: word, prepare: (*stagehand).staged, alike: (*stagehand).rolledForward},
		{name: "failover of a primary that answers", req: control.StartRequest{Verb: understudy.Failover}, prepare: (*stagehand).protected},
		{name: "reprotect", req: control.StartRequest{Verb: understudy.Reprotect}, prepare: (*stagehand).takenOver},
		{name: "reprotect of a secondary that took writes", req: control.StartRequest{Verb: understudy.Reprotect}, prepare: func(s *stagehand) {
			s.protected()
			s.do(understudy.Replicate, control.Committed)
			s.writes(west, 2)
			must(s.t, s.damage(context.Background(), west, workloadtest.Flip))
		}, alike: func(s *stagehand) error { return s.same(context.Background()) }},
		{name: "failback", req: control.StartRequest{Verb: understudy.Failback}, prepare: func(s *stagehand) {
			s.switched()
			s.do(understudy.Commit, control.Committed)
		}},
		{name: "rollback", req: control.StartRequest{Verb: understudy.Rollback}, prepare: (*stagehand).switched},
		{name: "verify", req: control.StartRequest{Verb: understudy.Verify}, prepare: (*stagehand).protected},
		{name: "unprotect", req: control.StartRequest{Verb: understudy.Unprotect}, prepare: (*stagehand).protected},
		{name: "abort after the halt", req: control.StartRequest{Verb: understudy.Switchover}, hooked: true,
			prepare: func(s *stagehand) { s.protected(); s.do(understudy.Switchover, control.PausedByStep) },
			order:   func(s *stagehand) error { return s.p.AbortNewest(understudy.Switchover) }, find: controltest.Aborting(understudy.Switchover)},
		{name: "standing duty", req: control.StartRequest{Verb: understudy.Duty}, prepare: func(s *stagehand) {
			s.lost()
			s.p.Do(word, control.CommitWindow)
			s.do(understudy.Commit, control.Committed)
		}, order: (*stagehand).returns},
	}
}

// returns brings the old primary back, and waits until somebody meets it.
func (s *stagehand) returns() error {
	if _, err := os.Stat(s.root[east]); err != nil {
		must(s.t, s.back())
	}
	return s.p.Meets(understudy.Duty)
}

// TestCrashSweep stops the engine just before and just after appends to its journal, in every operation, and wants the same end.
func TestCrashSweep(t *testing.T) {
	for _, s := range stories() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			step := *stride
			if raced {
				// The race detector looks at the same code each time, and once is slow enough.
				step = 0
			}
			// The whole sweep begins with the first append.
			n := controltest.Sweep(t, controltest.Course{Around: controltest.Plain, Stride: step, Offset: min(7, step-1), Width: *width}, s.estate)
			t.Logf("%d crashes", n)
		})
	}
}

func (s story) estate(t *testing.T) controltest.Estate {
	hand := &stagehand{pair: newPair(t)}
	every, err := workload.ParseSchedule("every 4h")
	must(t, err)
	hook := &controltest.FailingOnce{}
	e := controltest.Estate{
		Setup: controltest.Setup{
			Registry: workload.NewRegistry(storage.Kind()), DataDir: hand.open.DataDir,
			Plan: workload.Plan{Name: "contoso", Home: east, Sites: hand.spec.Sites,
				Workloads: []workload.Planned{{Spec: hand.spec, OnFailure: understudy.Stop, Schedule: every}}},
			Options: func(o *control.Options) {
				// A successor waits as long as its forerunner may have requests in flight, and here nothing else takes time.
				o.Hooks, o.Lease, o.RequestTimeout = hook, 4*time.Second, time.Second
			},
		},
		Prepare: func(p *controltest.Plane) { hand.p = p; s.prepare(hand) },
		Fingerprint: func(p *controltest.Plane) string {
			hand.p = p
			hand.rest()
			if s.alike != nil {
				if err := s.alike(hand); err != nil {
					t.Error(err)
				}
			}
			return hand.fingerprint(s.req.Verb)
		},
	}
	e.Answer = controltest.Retrying(nil)
	e.Order, e.Find = controltest.Ordering(s.req)
	if s.order != nil {
		e.Order = func(p *controltest.Plane) error { hand.p = p; return s.order(hand) }
	}
	if s.find != nil {
		e.Find = s.find
	}
	if s.hooked {
		e.Setup.Plan.Hooks = map[understudy.StageName]understudy.HookName{understudy.StageCut: "fails-once"}
	}
	return e
}

// fingerprint is all that must be alike, however often the engine was stopped: the role, the trees with their roots, and what is beside them.
func (s *stagehand) fingerprint(verb understudy.Verb) string {
	var b strings.Builder
	b.WriteString(s.p.Outcome(verb, "curated"))
	for _, site := range []understudy.Site{east, west} {
		for _, tree := range trees() {
			info, err := os.Stat(s.root[site] + tree)
			if err != nil {
				fmt.Fprintf(&b, "%s%s is gone\n", site, tree)
				continue
			}
			fmt.Fprintf(&b, "%s%s %v\n%s", site, tree, info.Mode(), withoutTimes(content(s.root[site]+tree)))
		}
	}
	return b.String()
}

// withoutTimes leaves out what differs between two runs of a test.
func withoutTimes(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if i := strings.Index(line, `" 20`); i > 0 {
			line = line[:i+1] + "\n"
		}
		out.WriteString(line)
	}
	return out.String()
}
