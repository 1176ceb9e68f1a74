package controltest

import (
	"context"
	"errors"
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

// Sweep runs an order unbroken, and then again and again with the control plane killed just before, and just
// after, its nth append to the journal, for every nth (or every stride-th, starting with the offset), each time
// resumed on a copy of the journal. All runs must end alike. It returns how many crashes there were.
func Sweep(t *testing.T, around func(*testing.T, func(*testing.T)), stride, offset int, estate func(t *testing.T) Estate) int {
	t.Helper()
	var want string
	around(t, func(t *testing.T) {
		e := estate(t)
		want, _ = once(t, e, 0, false)
	})
	crashes := 0
	for n := 1 + offset; !t.Failed(); n += stride {
		reached := false
		for _, after := range []bool{false, true} {
			around(t, func(t *testing.T) {
				got, crashed := once(t, estate(t), n, after)
				if got != want {
					t.Errorf("crash %s append %d: the world differs\nunbroken:\n%s\nresumed:\n%s", side(after), n, want, got)
				}
				reached = reached || crashed
			})
			if reached {
				crashes++
			}
		}
		if !reached {
			return crashes
		}
	}
	return crashes
}

func side(after bool) string {
	if after {
		return "after"
	}
	return "before"
}

// once runs the order with a crash around append n, or without one when n is zero.
func once(t *testing.T, e Estate, n int, after bool) (fingerprint string, crashed bool) {
	t.Helper()
	c := &crash{n: int64(n), after: after}
	e.Setup.Hooks.BeforeCommit = func(journal.Txn) error { return c.before() }
	e.Setup.Hooks.AfterCommit = func(journal.Txn) error { return c.behind() }
	p := Start(t, e.Setup)
	c.kill = p.kill
	p.Apply()
	e.Prepare(p)
	c.armed.Store(n > 0)
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
		return print, false
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
	return print, true
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
	if c.armed.Load() && c.after && !c.dead.Load() && c.count.Load() >= c.n {
		return c.die()
	}
	return nil
}

func (c *crash) die() error {
	c.dead.Store(true)
	c.kill()
	return errCrash
}
