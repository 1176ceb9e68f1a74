package controltest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/journal"
)

// Estate is a fresh world and what is done to it. A sweep makes one for every run.
type Estate struct {
	Setup Setup
	// Prepare brings it, under a healthy control plane, to where the sweep begins.
	Prepare func(p *Plane)
	// Order gives the order that is swept. It is given again after a crash that came before it was journaled.
	Order func(p *Plane) error
	// Find gives the operation that the order is about; false when the order was not taken yet.
	Find func(p *Plane) (control.Operation, bool)
	// Answer reacts to an operation that rests, as a person would, and says whether it did; nil never does.
	Answer func(p *Plane, op control.Operation) bool
	// Fingerprint gives what every run must have in common, once the world is at rest: roles, configuration,
	// data, effects.
	Fingerprint func(p *Plane) string
}

// Ordering is the Order and Find of an operation that is started.
func Ordering(req control.StartRequest) (order func(*Plane) error, found func(*Plane) (control.Operation, bool)) {
	order = func(p *Plane) error {
		r := req
		r.Plan, r.Confirm, r.By = p.plan.Name, string(p.plan.Name), "ada"
		_, err := p.Controller.Start(p.t.Context(), r)
		return err
	}
	found = func(p *Plane) (control.Operation, bool) { return p.Newest(req.Verb) }
	return order, found
}

// Newest gives the newest operation of a verb.
func (p *Plane) Newest(v understudy.Verb) (control.Operation, bool) {
	p.t.Helper()
	ops, err := p.Operations(p.t.Context(), control.OperationsRequest{})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, op := range ops {
		if op.Verb == v {
			return op, true
		}
	}
	return control.Operation{}, false
}

// Bubble runs a test in virtual time.
func Bubble(t *testing.T, f func(*testing.T)) { synctest.Test(t, f) }

// Plain runs a test in real time.
func Plain(t *testing.T, f func(*testing.T)) { t.Run("run", f) }

// errCrash is what a dead process's journal answers.
var errCrash = errors.New("controltest: the process is dead")

// Course says at which appends a sweep stops the control plane, and how its runs go.
type Course struct {
	// Around runs each of them: Bubble or Plain.
	Around func(*testing.T, func(*testing.T))
	// Stride is how many appends lie between two crashes, and Offset how many are left out at first. With stride 0 there
	// is one place only, in the middle.
	Stride, Offset int
	// Turn, unless it is 0, says where the crashes are in place of Offset and of the middle: as many turns in a row as
	// there are appends between two crashes stop at every one.
	Turn int
	// Width is how many appends are tried at the same time; 0 is one. Runs in a bubble go one by one.
	Width int
}

// Sweep runs an order unbroken, and then again and again with the control plane killed just before, and just
// after, its nth append to the journal, for every nth (or every stride-th, starting with the offset; or the one in the
// middle), each time resumed on a copy of the journal. All runs must end alike. It returns how many crashes there were.
func Sweep(t *testing.T, c Course, estate func(t *testing.T) Estate) int {
	t.Helper()
	var want string
	var appends int
	c.Around(t, func(t *testing.T) {
		want, appends, _ = once(t, estate(t), 0, false)
	})
	c = c.among(appends)
	var crashes atomic.Int64
	for n := 1 + c.Offset; !t.Failed(); {
		if c.Stride > 1 && n > appends {
			break // nothing would crash any more
		}
		var all sync.WaitGroup
		var over atomic.Bool
		// With every append, one at a time is tried beyond the unbroken run's: movers append too, now and then one more.
		for range max(min(c.Width, (appends-n)/c.Stride+1), 1) {
			at := n
			all.Go(func() {
				if crashAt(t, c, at, want, estate) {
					crashes.Add(2)
				} else {
					over.Store(true)
				}
			})
			n += c.Stride
		}
		all.Wait()
		if over.Load() {
			break
		}
	}
	if c.Stride > 1 && crashes.Load() == 0 && !t.Failed() { // movers append too, and this time there were fewer
		if crashAt(t, c, max(appends/2, 1), want, estate) {
			crashes.Add(2)
		}
	}
	return int(crashes.Load())
}

// among says where the crashes of a run with so many appends are.
func (c Course) among(appends int) Course {
	if c.Stride == 0 {
		c.Stride, c.Offset = max(appends, 1), appends/2
	}
	if c.Turn != 0 {
		c.Offset = c.Turn % max(min(c.Stride, appends), 1)
	}
	return c
}

// crashAt runs the order twice with a crash, before and after the nth append; false when there were not so many.
func crashAt(t *testing.T, c Course, n int, want string, estate func(t *testing.T) Estate) bool {
	reached := false
	for _, after := range []bool{false, true} {
		c.Around(t, func(t *testing.T) {
			got, _, crashed := once(t, estate(t), n, after)
			if got != want {
				t.Errorf("crash %s append %d: the world differs\nunbroken:\n%s\nresumed:\n%s", side(after), n, want, got)
			}
			reached = reached || crashed
		})
	}
	return reached
}

func side(after bool) string {
	if after {
		return "after"
	}
	return "before"
}

// once runs the order with a crash around append n, or without one when n is zero, and counts the appends.
func once(t *testing.T, e Estate, n int, after bool) (fingerprint string, appends int, crashed bool) {
	t.Helper()
	c := &crash{n: int64(n), after: after}
	e.Setup.Hooks.BeforeCommit = func(journal.Txn) error { return c.before() }
	e.Setup.Hooks.AfterCommit = func(journal.Txn) error { return c.behind() }
	p := Start(t, e.Setup)
	c.kill = p.kill
	p.Apply()
	e.Prepare(p)
	c.armed.Store(true)
	err := e.Order(p)
	if err != nil && !c.dead.Load() {
		t.Fatalf("the order was refused: %v", err)
	}
	if !c.dead.Load() {
		settle(p, e, c)
	}
	c.armed.Store(false)
	if !c.dead.Load() {
		print := e.Fingerprint(p)
		p.Stop()
		return print, int(c.count.Load()), false
	}
	p.Ended()
	e.Setup.Hooks.BeforeCommit, e.Setup.Hooks.AfterCommit = nil, nil
	e.Setup.Store = p.Store.Clone()
	p = Start(t, e.Setup)
	if _, ok := e.Find(p); !ok {
		if err := e.Order(p); err != nil {
			t.Fatalf("crash %s append %d: the order was refused afterwards: %v", side(after), n, err)
		}
	}
	settle(p, e, c)
	print := e.Fingerprint(p)
	p.Stop()
	return print, int(c.count.Load()), true
}

// settle waits until the operation rests for good, answering it as a person would.
func settle(p *Plane, e Estate, c *crash) {
	p.t.Helper()
	for {
		op, ok := e.Find(p)
		if !ok {
			p.t.Fatal("there is no operation")
		}
		ctx, cancel := context.WithCancel(p.t.Context())
		stop := context.AfterFunc(p.dying, cancel)
		op, err := p.Wait(ctx, op.ID)
		stop()
		cancel()
		if c.dead.Load() && c.armed.Load() {
			return
		}
		if err != nil {
			p.t.Fatalf("waiting: %v", err)
		}
		if e.Answer == nil || !e.Answer(p, op) {
			return
		}
	}
}

// crash kills the control plane around one append.
type crash struct {
	n     int64
	after bool
	kill  context.CancelFunc
	armed atomic.Bool
	count atomic.Int64
	dead  atomic.Bool
}

func (c *crash) before() error {
	if !c.armed.Load() {
		return nil
	}
	if c.dead.Load() {
		return errCrash
	}
	n := c.count.Add(1)
	if n == c.n && !c.after {
		return c.die()
	}
	return nil
}

func (c *crash) behind() error {
	if c.armed.Load() && c.after && c.n > 0 && !c.dead.Load() && c.count.Load() >= c.n {
		return c.die()
	}
	return nil
}

func (c *crash) die() error {
	c.dead.Store(true)
	c.kill()
	return errCrash
}
