// Package control decides when things are done and in what order: operations as tables of stages, assignments
// of links, exposure, and the standing duty towards a returning old primary. It must not know any particular
// engine; workloads answer its questions and perform their own steps.
package control

import (
	"context"
	"log/slog"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/journal"
	"github.com/understudy-dr/understudy/workload"
)

// Options is everything a Controller needs. Fields without a word on their zero value are required.
type Options struct {
	Journal  journal.Journal
	Registry workload.Registry
	// Compile turns documents into plans; its errors are shown to whoever applies.
	Compile func(documents string) (Plans, error)
	// DataDir is where ledgers are saved.
	DataDir string
	// Site is where this member stands, and Holder its name in the journal, such as "west/host/4711".
	Site   understudy.Site
	Holder string
	// Secret reads a named secret.
	Secret func(ctx context.Context, name string) ([]byte, error)
	// Hooks runs hooks by name; nil refuses plans that name one.
	Hooks HookRunner
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
}

// New makes a controller, and starts nothing.
func New(opt Options) *Controller { return &Controller{opt: opt} }

// Run takes part until drain ends. It waits for the leadership, recovers what a former leader left, and then
// runs assignments, operations and the standing duty. When drain ends, running steps are finished, links come
// to rest and the leadership is given up; when stop ends too, everything is cut off at once, which the journal
// survives. It returns nil after either.
func (c *Controller) Run(drain, stop context.Context) error { return errUnbuilt("run") }
