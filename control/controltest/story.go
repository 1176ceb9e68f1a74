package controltest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

const (
	// untilTries is how often a state that should come is asked for, untilEvery how long that rests in between.
	untilTries = 600
	untilEvery = 50 * time.Millisecond
)

// FailingOnce is a hook that fails the first time.
type FailingOnce struct{ failed atomic.Bool }

// Has says that every hook is there.
func (f *FailingOnce) Has(understudy.HookName) bool { return true }

// RunHook fails with US248 once.
func (f *FailingOnce) RunHook(context.Context, understudy.HookName, []string) (string, error) {
	if f.failed.CompareAndSwap(false, true) {
		return "", &understudy.Error{Code: "US248", Kind: understudy.KindBroken, Summary: "planned"}
	}
	return "", nil
}

// Retrying is an Answer that retries a paused operation up to three times, each when first has returned; nil waits for nothing.
func Retrying(first func(p *Plane)) func(*Plane, control.Operation) bool {
	retries := 0
	return func(p *Plane, op control.Operation) bool {
		if op.State != control.PausedByStep || retries == 3 {
			return false
		}
		retries++
		p.t.Logf("%s paused at %s: %v", op.Verb, op.Stage, op.Error)
		if first != nil {
			first(p)
		}
		p.Act(p.Retry, control.ActRequest{Operation: op.ID, By: "ada"})
		return true
	}
}

// AbortNewest is an Order that aborts the newest operation of a verb.
func (p *Plane) AbortNewest(v understudy.Verb) error {
	op, _ := p.Newest(v)
	_, err := p.Abort(context.Background(), control.ActRequest{Operation: op.ID, By: "ada"})
	return err
}

// Aborting is the Find that goes with it.
func Aborting(v understudy.Verb) func(*Plane) (control.Operation, bool) {
	return func(p *Plane) (control.Operation, bool) {
		op, _ := p.Newest(v)
		return op, op.Aborting
	}
}

// Until waits until the plan's first workload is as wanted.
func (p *Plane) Until(ok func(control.WorkloadStatus) bool) {
	p.t.Helper()
	var w control.WorkloadStatus
	for range untilTries {
		st, err := p.Status(context.Background(), p.plan.Name)
		if err != nil {
			p.t.Fatal(err)
		}
		if w = st.Workloads[0]; ok(w) {
			return
		}
		<-time.After(untilEvery)
	}
	doc, err := json.Marshal(w)
	p.t.Fatalf("it never came: %s, %v", doc, err)
}

// Linked says whether the links of a workload, if it has any, keep up.
func Linked(w control.WorkloadStatus) bool {
	return len(w.Links) == 0 || w.Protection == understudy.Protected
}

// Dealt says whether an old site, if there is one, has been dealt with.
func Dealt(w control.WorkloadStatus) bool { return len(w.Old) == 0 || w.Old[0].State != "unfenced" }

// Meets waits until there is an operation of a verb, or the control plane is killed.
func (p *Plane) Meets(v understudy.Verb) error {
	for range untilTries {
		if _, met := p.Newest(v); met {
			return nil
		}
		if p.Dead() {
			break
		}
		<-time.After(untilEvery)
	}
	return fmt.Errorf("there was never a %s", v)
}

// Outcome says in a line how the newest operation of a verb ended, and which role the workload has.
func (p *Plane) Outcome(v understudy.Verb, n understudy.WorkloadName) string {
	op, _ := p.Newest(v)
	return fmt.Sprintf("%s %s promoted=%v role=%s\n", op.Verb, op.State, op.Promoted, p.Role(n))
}
