// Package control decides when things are done and in what order: operations as tables of stages, assignments
// of links, exposure, and the standing duty towards a returning old primary. It must not know any particular
// engine; workloads answer its questions and perform their own steps.
package control

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/journal"
	"github.com/understudy-dr/understudy/provision"
	"github.com/understudy-dr/understudy/workload"
)

// Options is everything a Controller needs. Fields without a word on their zero value are required.
type Options struct {
	Journal  journal.Journal
	Registry workload.Registry
	// Compile turns documents into plans; its errors are shown to whoever applies.
	Compile func(documents string) (Plans, error)
	// Admit refuses documents that name what this member's configuration does not know, but for what the applied ones
	// name already. Its errors are shown to whoever applies or tries; nil admits everything.
	Admit func(applied, documents string) error
	// DataDir is where ledgers are saved.
	DataDir string
	// Site is where this member stands, and Holder its name in the journal, such as "west/host/4711".
	Site   understudy.Site
	Holder string
	// Secret reads a named secret.
	Secret func(ctx context.Context, name string) ([]byte, error)
	// Hooks runs hooks by name; nil refuses plans that name one.
	Hooks HookRunner
	// Provisioners make and remove clusters, by the names that site files use; nil has none.
	Provisioners provision.Registry
	// Exclusive says that no other process can have used this journal since it was opened, so that a former
	// leader is surely dead: an embedded journal under a lock file. Then nothing is waited out.
	Exclusive bool
	// Lease is the leader's lease; zero means 10 s. RequestTimeout is the longest that any request of a
	// workload may take; zero means 10 s. A successor waits for both.
	Lease          time.Duration
	RequestTimeout time.Duration
	// Margin lies between the last effect and the end of the lease; zero means a fifth of the lease.
	Margin time.Duration
	// FetchBudget bounds the memory of data in flight of one link; zero means 64 MiB.
	FetchBudget int64
	// ProbeEvery is how often the standing duty looks at old sites; zero means 5 s. ProgressEvery is how often
	// progress is stored; zero means 1 s.
	ProbeEvery    time.Duration
	ProgressEvery time.Duration
	// StepBudget bounds the retries of one step by itself, before the operation pauses; zero means 2 minutes.
	StepBudget time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	Log *slog.Logger
}

// HookRunner runs a named hook of serve's configuration.
type HookRunner interface {
	// Has says whether the name is configured.
	Has(name understudy.HookName) bool
	// RunHook runs it with the environment and returns what it printed, bounded; an error means that it could
	// not run, ran too long or ended with another status than zero.
	RunHook(ctx context.Context, name understudy.HookName, env []string) (output string, err error)
}

// Controller is one member of the control plane. Its methods may be called concurrently, before, while and
// after Run. Orders are taken by the leading member only; others answer reads, and say who leads.
type Controller struct {
	opt Options

	mu sync.Mutex
	// leading is set while this member leads and has settled.
	leading *session
	// settling is true while it waits out its predecessor.
	settling bool
	// compiled are the plans of the documents of that version.
	compiled Plans
	version  journal.Revision
	// turned wakes those who wait for this member to lead.
	turned signal
}

// New makes a controller, and starts nothing.
func New(opt Options) *Controller {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&opt.Lease, 10*time.Second)
	def(&opt.RequestTimeout, 10*time.Second)
	def(&opt.Margin, opt.Lease/5)
	def(&opt.ProbeEvery, 5*time.Second)
	def(&opt.ProgressEvery, time.Second)
	def(&opt.StepBudget, 2*time.Minute)
	if opt.FetchBudget == 0 {
		opt.FetchBudget = 64 << 20
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	return &Controller{opt: opt}
}

// leadership is the name under which members compete.
const leadership = "control"

// Run takes part until drain ends. It waits for the leadership, recovers what a former leader left, and then
// runs assignments, operations and the standing duty. When drain ends, running steps are finished, links come
// to rest and the leadership is given up; when stop ends too, everything is cut off at once, which the journal
// survives. It returns nil after either, and an error when the journal is closed or has stopped for good.
func (c *Controller) Run(drain, stop context.Context) error {
	for drain.Err() == nil && stop.Err() == nil {
		err := c.lead(drain, stop)
		switch {
		case drain.Err() != nil || stop.Err() != nil:
			return nil
		case errors.Is(err, journal.ErrClosed):
			return err
		case errors.Is(err, journal.ErrStopped):
			// Nobody could be answered from here on, and another process could not open the directory.
			return understudy.AsError(err)
		case err != nil:
			c.opt.Log.Warn("no longer leading", "error", err)
		}
		pause(drain, c.opt.Lease/10)
	}
	return nil
}

// lead runs one term.
func (c *Controller) lead(drain, stop context.Context) error {
	waiting, cancel := context.WithCancel(drain)
	defer cancel()
	defer context.AfterFunc(stop, cancel)()
	l, err := c.opt.Journal.Lead(waiting, leadership, c.opt.Holder, c.opt.Lease)
	if err != nil {
		return err
	}
	hard, fail := context.WithCancelCause(stop)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer fail(nil)
	watch.Go(func() {
		select {
		case <-l.Lost():
			fail(journal.ErrDeposed)
		case <-hard.Done():
		}
	})
	s := newSession(c, l, hard, fail, drain)
	clean, err := s.run()
	c.set(nil, false)
	if clean {
		s.leaveClean()
	}
	resign, done := context.WithTimeout(context.Background(), c.opt.RequestTimeout)
	defer done()
	return errors.Join(err, l.Resign(resign))
}

// set publishes whether this member takes orders.
func (c *Controller) set(s *session, settling bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leading, c.settling = s, settling
	c.turned.fire()
}

// Ready waits until this member takes orders.
func (c *Controller) Ready(ctx context.Context) error {
	for {
		woken := c.turned.wait()
		c.mu.Lock()
		leading := c.leading != nil
		c.mu.Unlock()
		if leading {
			return nil
		}
		select {
		case <-woken:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// pause waits, but not beyond the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// plans gives the applied plans, compiled, and the documents' version.
func (c *Controller) plans(ctx context.Context) (Plans, error) {
	docs, version, err := read[Documents](ctx, c.opt.Journal, keyDocuments)
	if err != nil || version == 0 {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.version == version {
		return c.compiled, nil
	}
	plans, err := c.opt.Compile(docs.Text)
	if err != nil {
		return nil, err
	}
	c.compiled, c.version = plans, version
	return plans, nil
}

// plan gives one applied plan.
func (c *Controller) plan(ctx context.Context, name understudy.PlanName) (workload.Plan, error) {
	plans, err := c.plans(ctx)
	if err != nil {
		return workload.Plan{}, err
	}
	p, ok := plans.Find(name)
	if !ok {
		return workload.Plan{}, notFound("plan", string(name))
	}
	return p, nil
}
