package storage_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/native"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
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
	// shows is what west showed at some moment.
	shows string
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
	s.loses()
}

// shownInPart has a run whose set is ready in both trees, and shown in a part of one, and then east is gone. A failover says that it will roll both
// forward.
func (s *stagehand) shownInPart() {
	s.protected()
	s.lacks(trees()[0])
	w := s.opened(s.t)
	for _, stage := range []understudy.StageName{understudy.StageCapture, understudy.StageCopy, understudy.StageProve} {
		must(s.t, s.does(w, understudy.Replicate, stage))
	}
	was := content(s.root[west] + trees()[0])
	store, err := place.Local(s.root[west]).Tree(trees()[0]).Store(s.t.Context(), "e1", false)
	must(s.t, err)
	ctx, stop := context.WithCancel(s.t.Context())
	defer stop()
	_, err = native.New(s.t.TempDir()).Finish(ctx, filecopy.Job{Name: "contoso.curated.east.west", LeaveRoot: true, Target: filecopytest.Telling(store, func(call string) {
		if call == "retire" {
			stop()
		}
	})}, nil)
	if now := content(s.root[west] + trees()[0]); err == nil || now == was || now == content(s.root[east]+trees()[0]) {
		s.t.Fatalf("the set is not shown in part: %v\n%s", err, now)
	}
	s.loses()
	salvage, halt := foretold(s.t, s.p)
	for _, want := range []string{"roll /data/curated forward to the set that run op-1 captured at ", "roll /jars forward to the set that run op-1 captured at "} {
		if !strings.Contains(salvage, want) {
			s.t.Errorf("a failover would do:\n%s", salvage)
		}
	}
	if strings.Count(salvage, "part of it is shown already") != 1 || !strings.Contains(halt, "finish the set of /data/curated") {
		s.t.Errorf("a failover would do:\n%s%s", salvage, halt)
	}
}

// cutOff has a run that staged one tree and not the other, and then east is gone. A failover says that it will give up what is staged.
func (s *stagehand) cutOff() {
	s.protected()
	s.shows = s.text(s.root[west])
	if s.shows == s.text(s.root[east]) {
		s.t.Fatal("nothing tells the set that is given up from the one before")
	}
	w := s.opened(s.t)
	must(s.t, s.does(w, understudy.Replicate, understudy.StageCapture))
	steps, err := s.decided(w, s.stage(understudy.Replicate, understudy.StageCopy, nil))
	must(s.t, err)
	_, err = w.Do(s.t.Context(), steps[0], s.run())
	must(s.t, err)
	s.loses()
	salvage, halt := foretold(s.t, s.p)
	if salvage != "" || !strings.Contains(halt, "give up the set of /data/curated that is staged and not shown") {
		s.t.Errorf("a failover would do:\n%s%s", salvage, halt)
	}
}

// loses moves east away.
func (s *stagehand) loses() {
	s.t.Helper()
	back, err := s.lose(context.Background(), east)
	must(s.t, err)
	s.back = back
}

// lacks removes a file of a tree at east.
func (s *stagehand) lacks(tree string) {
	s.t.Helper()
	all, err := filepath.Glob(s.root[east] + tree + "/d*/f*")
	must(s.t, err)
	must(s.t, os.Remove(all[0]))
}

// text is what a site shows.
func (s *stagehand) text(root string) (out string) {
	for _, tree := range trees() {
		out += tree + "\n" + content(root+tree)
	}
	return out
}

// rolledForward wants west to show what east had when it was lost, and rolledBack what it showed before.
func (s *stagehand) rolledForward() error { return s.westShows(s.text(s.root[east] + ".away")) }
func (s *stagehand) rolledBack() error    { return s.westShows(s.shows) }

func (s *stagehand) westShows(want string) error {
	if now := s.text(s.root[west]); now != want {
		return fmt.Errorf("west shows\n%sand not\n%s", now, want)
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
		{name: "failover that rolls back", req: word, prepare: (*stagehand).cutOff, alike: (*stagehand).rolledBack},
		{name: "failover that rolls forward", req: word, prepare: (*stagehand).shownInPart, alike: (*stagehand).rolledForward},
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
