// Package controltest runs a control plane on a journal in memory for tests, and stops it at every entry of its
// journal. It must not know any kind: tests of kinds give it a registry, a plan and a way to look at their world.
package controltest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/journal"
	"github.com/understudy-dr/understudy/journal/mem"
	"github.com/understudy-dr/understudy/workload"
)

// Setup is what a Plane runs on.
type Setup struct {
	Registry workload.Registry
	Plan     workload.Plan
	// Store is the journal; nil means a new one.
	Store *mem.Store
	// DataDir is where ledgers go.
	DataDir string
	// Options changes the controller's options before it is made; nil changes nothing.
	Options func(*control.Options)
	// Hooks are called around every commit.
	Hooks mem.Options
}

// Plane is a running control plane with one member.
type Plane struct {
	*control.Controller
	Store *mem.Store
	t     testing.TB
	plan  workload.Plan

	journal journal.Journal
	drain   context.CancelFunc
	kill    context.CancelFunc
	// dying ends when the plane is killed.
	dying context.Context
	ended chan struct{}
}

// Start runs a control plane until the test ends, and waits until it leads. A killed one may be started on the
// clone of its store.
func Start(t testing.TB, s Setup) *Plane {
	t.Helper()
	p := Launch(t, s)
	if err := p.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// Launch runs a control plane until the test ends, without waiting.
func Launch(t testing.TB, s Setup) *Plane {
	t.Helper()
	if s.Store == nil {
		s.Store = mem.NewStore()
	}
	p := &Plane{Store: s.Store, t: t, plan: s.Plan, ended: make(chan struct{})}
	var drain, stop context.Context
	drain, p.drain = context.WithCancel(context.WithoutCancel(t.Context()))
	stop, p.kill = context.WithCancel(context.WithoutCancel(t.Context()))
	p.dying = stop
	p.journal = s.Store.Open(s.Hooks)
	opt := control.Options{
		Journal: p.journal, Registry: s.Registry, DataDir: s.DataDir, Site: "west", Holder: "west/test/1",
		Compile:   func(string) (control.Plans, error) { return control.Plans{s.Plan}, nil },
		Secret:    func(context.Context, string) ([]byte, error) { return nil, errors.New("no secrets in tests") },
		Exclusive: true, Lease: 10 * time.Second, RequestTimeout: 2 * time.Second,
		ProbeEvery: 500 * time.Millisecond, ProgressEvery: time.Second, StepBudget: 5 * time.Second,
	}
	if s.Options != nil {
		s.Options(&opt)
	}
	p.Controller = control.New(opt)
	go func() {
		defer close(p.ended)
		if err := p.Run(drain, stop); err != nil && !errors.Is(err, journal.ErrClosed) {
			t.Errorf("control: %v", err)
		}
	}()
	t.Cleanup(p.Kill)
	return p
}

// Kill stops the control plane at once, as a crash would, and waits until nothing of it runs.
func (p *Plane) Kill() {
	p.kill()
	p.Ended()
}

// Stop drains it.
func (p *Plane) Stop() {
	p.drain()
	p.Ended()
}

// Dead says whether the control plane was killed.
func (p *Plane) Dead() bool { return p.dying.Err() != nil }

// Ended waits until the control plane has stopped, whoever stopped it.
func (p *Plane) Ended() {
	<-p.ended
	p.drain()
	p.kill()
	if err := p.journal.Close(); err != nil {
		p.t.Errorf("closing the journal: %v", err)
	}
}

// Apply applies the plan's documents.
func (p *Plane) Apply() {
	p.t.Helper()
	if _, err := p.Controller.Apply(p.t.Context(), control.ApplyRequest{Text: "plan", By: "ada"}); err != nil {
		p.t.Fatal(err)
	}
}

// Begin starts an operation of the plan, confirmed.
func (p *Plane) Begin(req control.StartRequest) control.Operation {
	p.t.Helper()
	req.Plan, req.Confirm = p.plan.Name, string(p.plan.Name)
	if req.By == "" {
		req.By = "ada"
	}
	started, err := p.Controller.Start(p.t.Context(), req)
	if err != nil {
		p.t.Fatalf("%s: %v", req.Verb, err)
	}
	return *started.Operation
}

// Rest waits until the operation rests.
func (p *Plane) Rest(id understudy.OperationID) control.Operation {
	p.t.Helper()
	op, err := p.Wait(p.t.Context(), id)
	if err != nil {
		p.t.Fatalf("waiting for %s: %v", id, err)
	}
	return op
}

// Do runs an operation and wants it to end in the state.
func (p *Plane) Do(req control.StartRequest, want control.State) control.Operation {
	p.t.Helper()
	op := p.Rest(p.Begin(req).ID)
	if op.State != want {
		p.t.Fatalf("%s is %s at %s, want %s: %v", req.Verb, op.State, op.Stage, want, op.Error)
	}
	return op
}

// Act applies a person's decision and waits until the operation rests again.
func (p *Plane) Act(act func(context.Context, control.ActRequest) (control.Operation, error), req control.ActRequest) control.Operation {
	p.t.Helper()
	if req.By == "" {
		req.By = "ada"
	}
	if _, err := act(p.t.Context(), req); err != nil {
		p.t.Fatal(err)
	}
	return p.Rest(req.Operation)
}

// Role gives a workload's role as status shows it.
func (p *Plane) Role(n understudy.WorkloadName) understudy.Role {
	p.t.Helper()
	s, err := p.Status(p.t.Context(), p.plan.Name)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, w := range s.Workloads {
		if w.Workload == n && w.Role != nil {
			return *w.Role
		}
	}
	return understudy.Role{}
}
