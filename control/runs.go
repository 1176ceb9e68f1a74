package control

import (
	"context"
	"sync"
	"time"

	"github.com/understudy-dr/understudy"
)

// runs walks operations, each in a goroutine of its own, for the length of a term.
type runs struct {
	s  *session
	mu sync.Mutex
	// wanted are operations that should be walked, active those that are.
	wanted map[understudy.OperationID]bool
	active map[understudy.OperationID]*run
	wake   chan struct{}
}

// run is one walk, as others can reach it.
type run struct {
	cancel context.CancelCauseFunc
	// done is closed when nothing of the walk runs any more.
	done chan struct{}
	mu   sync.Mutex
	// duty is the plan for which this walk is a standing duty; empty for operations.
	duty understudy.PlanName
	// asked is what an operator wants at the next boundary: nil, errPaused or errTurned.
	asked    error
	by       string
	reason   string
	progress *understudy.StepProgress
	// retrying is set while a step is tried again, and causes are those that were told of it.
	retrying *Retrying
	causes   map[string]bool
}

func newRuns(s *session) *runs {
	return &runs{
		s: s, wanted: map[understudy.OperationID]bool{}, active: map[understudy.OperationID]*run{},
		wake: make(chan struct{}, 1),
	}
}

// kick has the operation walked as soon as it is not being walked.
func (r *runs) kick(id understudy.OperationID) {
	r.mu.Lock()
	r.wanted[id] = true
	r.mu.Unlock()
	r.rouse()
}

func (r *runs) rouse() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// serve walks until the term ends or drains, and returns when all walks have.
func (r *runs) serve() {
	var group sync.WaitGroup
	defer group.Wait()
	for {
		r.launch(&group)
		select {
		case <-r.wake:
		case <-r.s.drain.Done():
			return
		case <-r.s.hard.Done():
			return
		}
	}
}

func (r *runs) launch(group *sync.WaitGroup) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.wanted {
		if r.active[id] != nil {
			continue
		}
		delete(r.wanted, id)
		ctx, cancel := context.WithCancelCause(r.s.hard)
		one := &run{cancel: cancel, done: make(chan struct{})}
		r.active[id] = one
		group.Go(func() {
			defer cancel(nil)
			r.s.walk(ctx, id, one)
			r.mu.Lock()
			delete(r.active, id)
			r.mu.Unlock()
			close(one.done)
			r.rouse()
		})
	}
}

// find gives the walk of an operation; nil when it is not being walked.
func (r *runs) find(id understudy.OperationID) *run {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.active[id]
}

// yield cuts off the standing duties of a plan, or of all plans when none is named, and waits until nothing of them
// runs. Their journals are left as a crash would leave them; the next round of the duty takes them up again.
func (r *runs) yield(ctx context.Context, plan understudy.PlanName) {
	r.mu.Lock()
	var duties []*run
	for _, one := range r.active {
		if d := one.dutyFor(); d != "" && (plan == "" || d == plan) {
			duties = append(duties, one)
		}
	}
	r.mu.Unlock()
	for _, one := range duties {
		one.cancel(errYielded)
	}
	for _, one := range duties {
		select {
		case <-one.done:
		case <-ctx.Done():
			return
		}
	}
}

// dutyFor gives the plan for which the walk is a standing duty; empty when it is none.
func (r *run) dutyFor() understudy.PlanName {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.duty
}

func (r *run) isDuty(plan understudy.PlanName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.duty = plan
}

// ask leaves an operator's wish for the next boundary; a turn also interrupts the running step.
func (r *run) ask(what error, by, reason string) {
	r.mu.Lock()
	r.asked, r.by, r.reason = what, by, reason
	r.mu.Unlock()
	if what == errTurned {
		r.cancel(errTurned)
	}
}

func (r *run) wish() (by, reason string, what error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.by, r.reason, r.asked
}

func (r *run) report(p understudy.StepProgress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress = &p
}

func (r *run) now() *understudy.StepProgress {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.progress
}

// tried notes a failure after which the step is tried again, and says whether its cause is a new one for this step. The
// text of what lies below may differ at every try (ports, times), so it does not count.
func (r *run) tried(n understudy.WorkloadName, step understudy.Step, e *understudy.Error, at time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := Retrying{Workload: n, Step: step.ID, Error: e, At: at, Since: at, Times: 1}
	if old := r.retrying; old != nil {
		next.Since, next.Times = old.Since, old.Times+1
	}
	r.retrying = &next
	cause := string(e.Code) + "\x00" + e.Object.String() + "\x00" + e.Summary
	if r.causes[cause] {
		return false
	}
	if r.causes == nil {
		r.causes = map[string]bool{}
	}
	r.causes[cause] = true
	return true
}

// settled forgets the tries of a step that has ended, well or not.
func (r *run) settled() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.retrying, r.causes = nil, nil
}

// again gives what is being tried again; nil when nothing is.
func (r *run) again() *Retrying {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.retrying
}
