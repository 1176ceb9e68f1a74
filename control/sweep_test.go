package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/provision"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/workloadtest"
)

// sweptStory is one operation of the sweep: what comes before it, and how it is ordered.
type sweptStory struct {
	name    string
	verb    understudy.Verb
	prepare func(p *controltest.Plane, w *workloadtest.World)
	req     control.StartRequest
	// order replaces the start of an operation where the order is something else, and orderIn where it is something
	// that happens in the world.
	order   func(p *controltest.Plane) error
	orderIn func(p *controltest.Plane, w *workloadtest.World) error
	find    func(p *controltest.Plane) (control.Operation, bool)
	answer  func(p *controltest.Plane, op control.Operation) bool
	// hook runs behind the stage provision of an unprotect.
	hook func(w *workloadtest.World)
	// plan is another plan than the toy's own; on demand, its west is made when it is needed.
	plan func() workload.Plan
	// jobs says that hooks stop and start a customer's jobs at freeze and unfreeze.
	jobs bool
}

func write(w *workloadtest.World, site understudy.Site, ids ...string) {
	for _, id := range ids {
		if err := w.Write(site, id, "v"); err != nil {
			panic(err)
		}
	}
}

// run does an operation, and waits until what its links report is stored too: a crash comes after that, not before.
func run(p *controltest.Plane, v understudy.Verb, want control.State) control.Operation {
	op := p.Do(control.StartRequest{Verb: v}, want)
	synctest.Wait()
	return op
}

// protectedEstate is protected, with some records copied.
func protectedEstate(p *controltest.Plane, w *workloadtest.World) {
	write(w, "east", "a", "b", "c")
	run(p, understudy.Protect, control.Committed)
}

// takenOver is switched over and committed.
func switchedOver(p *controltest.Plane, w *workloadtest.World) {
	protectedEstate(p, w)
	run(p, understudy.Switchover, control.CommitWindow)
}

func committed(p *controltest.Plane, w *workloadtest.World) {
	switchedOver(p, w)
	run(p, understudy.Commit, control.Committed)
	healthy(p)
}

// healthy waits until the reverse link keeps up.
func healthy(p *controltest.Plane) {
	waitFor(p, func(s control.PlanStatus) bool { return s.Workloads[0].Protection == understudy.Protected })
	synctest.Wait()
}

func waitFor(p *controltest.Plane, ok func(control.PlanStatus) bool) {
	for range 3000 {
		s, err := p.Status(context.Background(), "contoso")
		if err != nil {
			panic(err)
		}
		if ok(s) {
			return
		}
		<-time.After(100 * time.Millisecond)
	}
	s, _ := p.Status(context.Background(), "contoso")
	j, _ := json.MarshalIndent(s, "", " ")
	panic("it never came: " + string(j))
}

// lostEast loses three records with the region.
func lostEast(p *controltest.Plane, w *workloadtest.World) {
	protectedEstate(p, w)
	w.SetDelay(time.Hour)
	write(w, "east", "lost1", "lost2", "lost3")
	w.SetUp("east", false)
	<-time.After(5 * time.Second)
	w.SetDelay(10 * time.Millisecond)
}

// failedOver is committed after a failover, and the old primary is back.
func failedOver(p *controltest.Plane, w *workloadtest.World) {
	lostEast(p, w)
	p.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{"east"}}, control.CommitWindow)
	write(w, "west", "new1", "new2")
	run(p, understudy.Commit, control.Committed)
	w.SetUp("east", true)
	fencedOld(p)
}

func fencedOld(p *controltest.Plane) {
	waitFor(p, func(s control.PlanStatus) bool {
		old := s.Workloads[0].Old
		return len(old) == 0 || len(old) == 1 && old[0].State == "fenced"
	})
}

// stuckAtCut is a switchover that pauses after the halt.
func stuckAtCut(p *controltest.Plane, w *workloadtest.World) {
	protectedEstate(p, w)
	w.Fail("cut", &understudy.Error{Code: "US999", Kind: understudy.KindBroken, Summary: "planned"})
	run(p, understudy.Switchover, control.PausedByStep)
}

// stuckAtDrain is a switchover that pauses behind freeze and fence.
func stuckAtDrain(p *controltest.Plane, w *workloadtest.World) {
	protectedEstate(p, w)
	w.Fail("drain", planned(understudy.KindBroken))
	run(p, understudy.Switchover, control.PausedByStep)
}

// refusedAtCheck is a switchover that was refused, because the addresses were exchanged.
func refusedAtCheck(p *controltest.Plane, w *workloadtest.World) {
	protectedEstate(p, w)
	w.Exchange("east", "west")
	run(p, understudy.Switchover, control.PausedByStep)
	w.Exchange("east", "west")
}

// refusedAtHalt is an unprotect that met another cluster when its links had ended.
func refusedAtHalt(p *controltest.Plane, w *workloadtest.World) {
	protectedEstate(p, w)
	run(p, understudy.Unprotect, control.PausedByStep)
	w.Exchange("east", "west")
}

// refusedAtFence is a reprotect that has ended its link and reached its target no more.
func refusedAtFence(p *controltest.Plane, w *workloadtest.World) {
	protectedEstate(p, w)
	w.SetUp("west", false)
	run(p, understudy.Reprotect, control.PausedByStep)
	w.SetUp("west", true)
}

// stuckAtResolve is a reprotect that has closed its target, and saved what only that had.
func stuckAtResolve(p *controltest.Plane, w *workloadtest.World) {
	protectedEstate(p, w)
	w.Force("west", "stray", "v")
	w.Fail("resolve", planned(understudy.KindBroken))
	run(p, understudy.Reprotect, control.PausedByStep)
}

// halfProtected is a protect that waits for its first copy.
func halfProtected(p *controltest.Plane, w *workloadtest.World) {
	w.SetDelay(time.Hour)
	write(w, "east", "a", "b", "c")
	op := p.Begin(control.StartRequest{Verb: understudy.Protect})
	waitFor(p, func(s control.PlanStatus) bool { return len(s.Workloads[0].Links) == 1 })
	p.Act(p.Pause, control.ActRequest{Operation: op.ID})
}

// silentEast is a committed failover whose old primary has not come back.
func silentEast(p *controltest.Plane, w *workloadtest.World) {
	takenFromEast(p, w)
	run(p, understudy.Commit, control.Committed)
}

func takenFromEast(p *controltest.Plane, w *workloadtest.World) {
	lostEast(p, w)
	p.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{"east"}}, control.CommitWindow)
}

// returning is a failover whose old primary came back: a step of the standing duty does not come to an end.
func returning(p *controltest.Plane, w *workloadtest.World) {
	takenFromEast(p, w)
	stalled := w.Stall("fence.close")
	w.SetUp("east", true)
	<-stalled
}

// onReturn lets the old primary come back, and is about the standing duty that meets it.
func (s sweptStory) onReturn() sweptStory {
	s.verb = understudy.Duty
	s.find = func(p *controltest.Plane) (control.Operation, bool) { return p.Newest(understudy.Duty) }
	s.orderIn = func(p *controltest.Plane, w *workloadtest.World) error {
		w.SetUp("east", true)
		for range 600 {
			if _, met := s.find(p); met {
				return nil
			}
			<-time.After(100 * time.Millisecond)
		}
		return errors.New("nobody met the old primary")
	}
	return s
}

// aborting aborts the newest operation of a verb.
func (s sweptStory) aborting(v understudy.Verb) sweptStory {
	s.verb = v
	s.order = func(p *controltest.Plane) error {
		op, _ := p.Newest(v)
		_, err := p.Abort(context.Background(), control.ActRequest{Operation: op.ID, By: "ada"})
		return err
	}
	s.find = func(p *controltest.Plane) (control.Operation, bool) {
		op, _ := p.Newest(v)
		return op, op.Aborting
	}
	return s
}

func sweptStories() []sweptStory {
	return append(sweptRuns(), []sweptStory{
		{name: "protect", verb: understudy.Protect, prepare: func(_ *controltest.Plane, w *workloadtest.World) { write(w, "east", "a", "b") }},
		{name: "switchover", verb: understudy.Switchover, prepare: protectedEstate},
		{name: "failover of a silent region", verb: understudy.Failover, prepare: lostEast,
			req: control.StartRequest{AcceptFence: []understudy.Site{"east"}}},
		{name: "failover of a region that answers", verb: understudy.Failover, prepare: protectedEstate},
		{name: "commit", verb: understudy.Commit, prepare: switchedOver},
		{name: "rollback", verb: understudy.Rollback, prepare: func(p *controltest.Plane, w *workloadtest.World) { switchedOver(p, w); healthy(p) }},
		{name: "reprotect", verb: understudy.Reprotect, prepare: failedOver},
		{name: "failback", verb: understudy.Failback, prepare: committed},
		{name: "verify", verb: understudy.Verify, prepare: protectedEstate},
		{name: "unprotect", verb: understudy.Unprotect, prepare: protectedEstate},
		sweptStory{name: "abort after the halt", prepare: stuckAtCut}.aborting(understudy.Switchover),
		sweptStory{name: "abort after a hook of freeze", prepare: stuckAtDrain, jobs: true}.aborting(understudy.Switchover),
		sweptStory{name: "abort of what was refused", prepare: refusedAtCheck}.aborting(understudy.Switchover),
		sweptStory{name: "abort of protect", prepare: halfProtected}.aborting(understudy.Protect),
		sweptStory{name: "abort of unprotect", prepare: refusedAtHalt, hook: func(w *workloadtest.World) { w.Exchange("east", "west") }}.aborting(understudy.Unprotect),
		sweptStory{name: "abort of reprotect", prepare: refusedAtFence}.aborting(understudy.Reprotect),
		sweptStory{name: "abort of a half-done reprotect", prepare: stuckAtResolve}.aborting(understudy.Reprotect),
		sweptStory{name: "standing duty", prepare: silentEast}.onReturn(),
		{name: "commit while the standing duty fences", verb: understudy.Commit, prepare: returning},
		{name: "failover that supersedes a stuck switchover", verb: understudy.Failover, prepare: stuckAtCut},
	}...)
}

// The engine is stopped just before and just after every append to its journal, in every operation, and must come
// to the same end: roles, configuration, data, and how often each effect happened.
func TestCrashSweep(t *testing.T) {
	t.Parallel()
	for i, story := range sweptStories() {
		t.Run(story.name, func(t *testing.T) {
			course := controltest.Course{Around: controltest.Bubble, Stride: 1}
			if raced || testing.Short() {
				course.Stride, course.Offset = 18, i%2 // it runs once more without the detector, whole
			}
			n := controltest.Sweep(t, course, story.estate)
			if n == 0 || n < 4 && course.Stride == 1 {
				t.Fatalf("only %d crashes", n)
			}
			t.Logf("%d crashes", n)
		})
	}
}

func (s sweptStory) estate(t *testing.T) controltest.Estate {
	w := workloadtest.NewWorld("east", "west")
	req := s.req
	req.Verb = s.verb
	plan, options := toyPlan(), (func(*control.Options))(nil)
	if s.plan != nil {
		plan = s.plan()
	}
	if len(plan.Workloads[0].Provisioners) > 0 {
		made := newLake(w)
		options = func(o *control.Options) { o.Provisioners = provision.Registry{"start-lake": made} }
	}
	if s.hook != nil {
		plan.Hooks = map[understudy.StageName]understudy.HookName{understudy.StageProvision: "then"}
		options = func(o *control.Options) { o.Hooks = unprotectHook(func() { s.hook(w) }) }
	}
	beside := &jobs{at: "east"}
	if s.jobs {
		options = beside.beside(&plan)
	}
	e := controltest.Estate{
		Setup: controltest.Setup{
			Registry: workload.NewRegistry(workloadtest.Toy(w)), Plan: plan, DataDir: t.TempDir(), Options: options,
		},
		Prepare: func(p *controltest.Plane) { s.prepare(p, w) },
		Answer:  s.answer,
		Fingerprint: func(p *controltest.Plane) string {
			op, _ := p.Newest(s.verb)
			if s.find != nil {
				op, _ = s.find(p)
			}
			settled(p, op)
			lawful(t, p)
			status, err := p.Status(context.Background(), "contoso")
			if err != nil {
				t.Fatal(err)
			}
			return fingerprint(op, status, w) + "jobs at " + string(beside.at)
		},
	}
	e.Order, e.Find = controltest.Ordering(req)
	if s.order != nil {
		e.Order, e.Find = s.order, s.find
	}
	if s.orderIn != nil {
		e.Order, e.Find = func(p *controltest.Plane) error { return s.orderIn(p, w) }, s.find
	}
	if s.verb == understudy.Failover && s.name == "failover that supersedes a stuck switchover" {
		e.Order = func(p *controltest.Plane) error {
			old, _ := p.Newest(understudy.Switchover)
			_, err := p.Controller.Start(context.Background(), control.StartRequest{
				Verb: understudy.Failover, Plan: "contoso", Confirm: "contoso", By: "ada", Supersede: old.ID,
			})
			return err
		}
	}
	return e
}

// settled waits until links and the standing duty have come to rest behind the operation.
func settled(p *controltest.Plane, op control.Operation) {
	waitFor(p, func(s control.PlanStatus) bool {
		w := s.Workloads[0]
		if len(w.Links) > 0 && w.Protection != understudy.Protected {
			return false
		}
		return len(w.Old) == 0 || w.Old[0].State != "unfenced"
	})
	<-time.After(5 * time.Second)
	_ = op
}

func fingerprint(op control.Operation, s control.PlanStatus, w *workloadtest.World) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s stages=%v promoted=%v\n", op.Verb, op.State, op.Stages, op.Promoted)
	for _, x := range s.Workloads {
		fmt.Fprintf(&b, "%s role=%v protection=%s", x.Workload, x.Role, x.Protection)
		for _, l := range x.Links {
			fmt.Fprintf(&b, " link=%s epoch=%d", l.Link, l.Epoch)
		}
		for _, c := range x.Clusters {
			fmt.Fprintf(&b, " cluster=%s:%s", c.Site, c.State)
		}
		for _, o := range x.Old {
			fmt.Fprintf(&b, " old=%s:%s", o.Site, o.State)
		}
		fmt.Fprintf(&b, " ledgers=%d\n", x.Ledgers)
	}
	b.WriteString(w.Fingerprint())
	return b.String()
}
