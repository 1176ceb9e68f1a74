package control_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/provision"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/workloadtest"
)

// lake makes and removes the toy's servers: making brings one up, with what it stored before.
type lake struct {
	world *workloadtest.World

	mu     sync.Mutex
	there  map[understudy.Site]bool
	did    []string
	errs   []error
	silent bool // what is made does not come up
}

func newLake(w *workloadtest.World) *lake {
	w.SetUp("west", false)
	return &lake{world: w, there: map[understudy.Site]bool{}}
}

func (l *lake) Find(_ context.Context, t provision.Target) (provision.Status, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status(t), nil
}

func (l *lake) status(t provision.Target) provision.Status {
	if l.there[t.Site] {
		return provision.Status{State: provision.Present, Note: "for " + t.String()}
	}
	return provision.Status{State: provision.Absent}
}

// act notes what was asked for; a repetition that changes nothing is not noted.
func (l *lake) act(t provision.Target, action string, there bool) (provision.Status, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		return provision.Status{}, err
	}
	text := action + " " + string(t.Site)
	if l.there[t.Site] != there || action == "service" {
		l.did = append(l.did, text)
	}
	l.there[t.Site] = there
	l.world.SetUp(t.Site, there && !l.silent)
	return l.status(t), nil
}

func (l *lake) Make(_ context.Context, t provision.Target, size provision.Size) (provision.Status, error) {
	return l.act(t, "make for "+string(size), true)
}

func (l *lake) Resize(_ context.Context, t provision.Target, size provision.Size) (provision.Status, error) {
	return l.act(t, "resize for "+string(size), true)
}

func (l *lake) Remove(_ context.Context, t provision.Target) (provision.Status, error) {
	return l.act(t, "remove", false)
}

func (l *lake) history() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.did, ", ")
}

// onDemand is a plan whose west is made when it is needed.
func onDemand(workloads ...workload.Planned) workload.Plan {
	p := scheduledPlan(understudy.OnDemandSecondary)
	if len(workloads) > 0 {
		p.Workloads = workloads
	}
	for i := range p.Workloads {
		p.Workloads[i].Provisioners = map[understudy.Site]understudy.ProvisionerName{"west": "start-lake", "east": provision.Static}
	}
	return p
}

// onDemandScene has a west that is absent by plan.
func onDemandScene(t *testing.T, change func(*controltest.Setup)) (*scene, *lake) {
	t.Helper()
	var l *lake
	world := workloadtest.NewWorld("east", "west")
	l = newLake(world)
	s := newScene(t, func(c *controltest.Setup) {
		c.Plan = onDemand()
		c.Registry = workload.NewRegistry(workloadtest.Toy(world))
		c.Options = func(o *control.Options) {
			o.Provisioners = provision.Registry{"start-lake": l}
			o.ProbeEvery = 10 * time.Second // hours pass here too
		}
		if change != nil {
			change(c)
		}
	})
	s.world = world
	return s, l
}

// cluster gives the state of the only cluster that is made when it is needed.
func (s *scene) cluster() string {
	s.t.Helper()
	w := s.status()
	if len(w.Clusters) != 1 {
		s.t.Fatalf("%+v", w.Clusters)
	}
	return w.Clusters[0].State
}

func TestOnDemandTheClusterIsThereForRunsOnly(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s, l := onDemandScene(t, nil)
		if s.cluster() != "absent by plan" {
			t.Fatalf("before protect it is %s", s.cluster())
		}
		s.write("east", "a", 3)
		s.do(understudy.Protect, control.Committed)
		if s.cluster() != "absent by plan" || s.status().Protection != understudy.Protected {
			t.Fatalf("after protect: %+v", s.status())
		}
		s.write("east", "b", 1)
		<-time.After(4*time.Hour + time.Minute)
		if got := l.history(); got != "make for run west, remove west, make for run west, remove west" {
			t.Fatalf("it did %s", got)
		}
		if len(s.world.IDs("west")) != 4 || s.status().Exposure.Bound > time.Hour {
			t.Fatalf("%+v", s.status())
		}
		f, err := s.Doctor(t.Context(), "contoso")
		if err != nil || f.Workloads[0].Sites["west"].Presence != workload.Absent || f.Workloads[0].Sites["west"].Error != nil {
			t.Fatalf("doctor says %+v, %v", f, err)
		}
	})
}

func TestOnDemandTheClusterStaysAfterAFailoverUntilFailback(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s, l := onDemandScene(t, nil)
		s.write("east", "a", 3)
		s.do(understudy.Protect, control.Committed)
		s.world.SetUp("east", false)
		op := s.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{"east"}}, control.CommitWindow)
		if s.cluster() != "present" || !strings.HasSuffix(l.history(), "remove west, make for service west") {
			t.Fatalf("%s, %s", s.cluster(), l.history())
		}
		if p := op.Parts[0]; p.Bound == nil || !p.Bound.Known {
			t.Fatalf("the bound is %+v", p.Bound)
		}
		s.do(understudy.Commit, control.Committed)
		s.write("west", "b", 2)
		s.world.SetUp("east", true)
		s.until("fenced", func(st control.PlanStatus) bool {
			return len(st.Workloads[0].Old) == 1 && st.Workloads[0].Old[0].State == "fenced"
		})
		s.do(understudy.Reprotect, control.Committed)
		if s.cluster() != "present" || len(s.world.IDs("east")) != 5 {
			t.Fatalf("%s, east %v", s.cluster(), s.world.IDs("east"))
		}
		s.do(understudy.Failback, control.CommitWindow)
		if s.cluster() != "present" {
			t.Fatal("what a rollback needs was removed")
		}
		s.protected()
		s.do(understudy.Commit, control.Committed)
		if s.cluster() != "absent by plan" {
			t.Fatalf("after the failback it is %s", s.cluster())
		}
		s.do(understudy.Unprotect, control.Committed)
		if s.cluster() != "absent by plan" || !s.world.Open("east") {
			t.Fatalf("after unprotect: %s", s.cluster())
		}
	})
}

func TestAnAbortedFailoverRemovesTheClusterAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s, l := onDemandScene(t, nil)
		s.write("east", "a", 3)
		s.do(understudy.Protect, control.Committed)
		s.world.Fail("cut", planned(understudy.KindBroken))
		op := s.do(understudy.Switchover, control.PausedByStep)
		if s.cluster() != "present" {
			t.Fatalf("%s", s.cluster())
		}
		if op = s.Act(s.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted || s.cluster() != "absent by plan" {
			t.Fatalf("%s: %v; %s", op.State, op.Error, l.history())
		}
	})
}

func TestAProvisionerThatFailsIsShownAndTriedAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s, l := onDemandScene(t, nil)
		s.write("east", "a", 3)
		l.errs = []error{planned(understudy.KindRetry), planned(understudy.KindBroken)}
		op := s.do(understudy.Protect, control.PausedByStep)
		if op.Stage != understudy.StageProvision || s.cluster() != "making" {
			t.Fatalf("%s at %s", s.cluster(), op.Stage)
		}
		if op = s.Act(s.Retry, control.ActRequest{Operation: op.ID}); op.State != control.Committed {
			t.Fatalf("%s: %v", op.State, op.Error)
		}
		l.silent = true
		op = s.Do(control.StartRequest{Verb: understudy.Replicate}, control.PausedByStep)
		if op.Error.Code != "US284" || s.status().Links[0].Schedule.Error == nil {
			t.Fatalf("%v", op.Error)
		}
		if op = s.Act(s.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted || s.cluster() != "absent by plan" {
			t.Fatalf("%s: %v; %s", op.State, op.Error, s.cluster())
		}
		l.silent = false
		s.world.Refuse("west", true) // nobody can work with a cluster that is up and does not let us in
		op = s.Do(control.StartRequest{Verb: understudy.Replicate}, control.PausedByStep)
		if op.Error.Code != "US284" || !strings.Contains(op.Error.Why, "refuses the login") {
			t.Fatalf("%+v", op.Error)
		}
	})
}

func TestAProvisionerThatServeDoesNotKnowIsRefused(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s, _ := onDemandScene(t, func(c *controltest.Setup) { c.Options = nil })
		op := s.do(understudy.Protect, control.PausedByStep)
		if op.Error.Code != "US280" {
			t.Fatalf("%v", op.Error)
		}
	})
}

// A cluster that two workloads share stays while one of them needs it.
func TestASharedClusterIsRemovedByTheLast(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s, l := onDemandScene(t, func(c *controltest.Setup) {
			one := onDemand().Workloads[0]
			two := one
			two.Name = "raw"
			c.Plan = onDemand(one, two)
		})
		s.do(understudy.Protect, control.Committed)
		if got := l.history(); strings.Count(got, "remove") != 1 || !strings.HasSuffix(got, "remove west") {
			t.Fatalf("it did %s", got)
		}
		st, err := s.Status(t.Context(), "contoso")
		if err != nil || fmt.Sprint(st.Workloads[0].Clusters[0].Note) == "" {
			t.Fatalf("%+v, %v", st, err)
		}
	})
}
