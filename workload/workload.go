// Package workload is the contract between control and the engines: what a workload must answer, how a
// kind of workload describes itself, and the registry of kinds. It must not know any particular engine,
// nor when or in what order things are done; control does.
package workload

import (
	"context"
	"slices"
	"time"

	"github.com/understudy-dr/understudy"
)

// Workload is one protected thing, opened on the clusters that exist now.
//
// All methods may be called concurrently, except that at most one Do runs at a time. They return when ctx
// ends. Errors are *understudy.Error; their kind decides what control does.
type Workload interface {
	// Observe reads all sites and changes nothing. A cluster that cannot be reached, or is absent by plan, is
	// a fact in the answer, not an error. A site that is Silent in ctx is still tried, but may get a short time
	// only to say its first word.
	Observe(ctx context.Context) (Observation, error)
	// Decide turns one stage of an operation and what was seen into steps. It is pure: no clock, no network,
	// no log. An error means that the stage must not begin, and says why.
	Decide(stage understudy.Stage, seen Observation) ([]understudy.Step, error)
	// Do performs one step. It may be called again with the same step after a crash, and then finishes or
	// repeats it harmlessly. It sends nothing after run.Lease's deadline.
	Do(ctx context.Context, step understudy.Step, run understudy.Run) (understudy.Receipt, error)
	// Replicate follows one link until ctx ends, and returns only when nothing of it is in flight. Whatever
	// report is given is stored when report returns. It returns nil only when ctx ended; shards that stopped
	// are reported, and do not end it.
	Replicate(ctx context.Context, a understudy.Assignment, report func(understudy.Progress)) error
	// Verify compares the sites by content and says what matches, lags, diverged or cannot be known. It is an error if
	// what answers at a site is not what the scope's Kept remembers of it.
	Verify(ctx context.Context, scope understudy.Scope) (understudy.Verdict, error)
	// Close releases connections. Nothing of the workload runs when it returns.
	Close() error
}

// LedgerHolder is a workload that keeps what its ledgers list at the sites too.
type LedgerHolder interface {
	// DiscardLedger removes, for good, what an operation's ledger keeps at the sites. It may be repeated.
	DiscardLedger(ctx context.Context, op understudy.OperationID, sites []understudy.Site, lease understudy.Lease) error
}

// doctorKey is the context's key of a look that a person asked for.
type doctorKey struct{}

// WithDoctor marks a look at the clusters that a person asked for, and that may cost the servers more than one that is made all the time.
func WithDoctor(ctx context.Context) context.Context {
	return context.WithValue(ctx, doctorKey{}, true)
}

// ForDoctor says whether a person asked for the look.
func ForDoctor(ctx context.Context) bool {
	asked, _ := ctx.Value(doctorKey{}).(bool)
	return asked
}

// silentKey is the context's key of the sites that have just been silent.
type silentKey struct{}

// WithSilent tells Observe that the sites left everything unanswered moments ago, when they were given their full time.
// Whoever decides upon a silence asks without it.
func WithSilent(ctx context.Context, sites ...understudy.Site) context.Context {
	return context.WithValue(ctx, silentKey{}, sites)
}

// Silent says whether the site left everything unanswered moments ago.
func Silent(ctx context.Context, site understudy.Site) bool {
	sites, _ := ctx.Value(silentKey{}).([]understudy.Site)
	return slices.Contains(sites, site)
}

// Presence says whether a site's cluster is there.
type Presence string

// The presences.
const (
	// Present means that the cluster answered; with an error beside it that it is there, or may well be.
	Present Presence = "present"
	// Absent means that the plan says it does not exist now.
	Absent Presence = "absent"
	// Unreachable means that it did not answer; nothing is known about it.
	Unreachable Presence = "unreachable"
)

// Observation is what a workload saw at all its sites. It can be kept as JSON, so that scenario goldens and
// dry runs show exactly what was decided upon.
type Observation struct {
	At    time.Time                             `json:"at"`
	Sites map[understudy.Site]SiteFacts         `json:"sites"`
	Stamp map[understudy.Site]*understudy.Stamp `json:"stamp,omitempty"`
	// HighestEpoch is the highest fencing token of ours that the engine has seen anywhere: the next role
	// epoch must be above it.
	HighestEpoch understudy.RoleEpoch `json:"highestEpoch"`
	// Findings are what doctor, validate and status tell people. A finding that refuses makes Decide refuse.
	Findings []Finding `json:"findings,omitempty"`
	// Facts are the kind's own, known to its Decide only; a pointer to a JSON-serialisable struct.
	Facts any `json:"facts,omitempty"`
}

// SiteFacts is what every kind can say about a site.
type SiteFacts struct {
	Presence Presence `json:"presence"`
	// Identity is the engine's own name of the cluster, such as a Kafka cluster id.
	Identity string `json:"identity,omitempty"`
	// Version is the server's version as far as it tells.
	Version string `json:"version,omitempty"`
	// Error says why it is unreachable, or why nothing could be learned of it though it answers, or may: a refused login, a secret that is none.
	Error *understudy.Error `json:"error,omitempty"`
	// ClockSkew is the server's clock minus ours, where the engine tells its time, and ClockAt when it told: zero where it has not.
	ClockSkew time.Duration `json:"clockSkew,omitempty"`
	ClockAt   time.Time     `json:"clockAt,omitzero"`
	// Writable says what is known about ordinary writes there: open, fenced, guarded, unguarded or unknown.
	Writable string `json:"writable,omitempty"`
}

// Finding is one thing a person should know about a workload.
type Finding struct {
	Code understudy.Code `json:"code,omitempty"`
	// Level is "ok", "warning" or "refuse".
	Level   string            `json:"level"`
	Object  understudy.Object `json:"object,omitzero"`
	Summary string            `json:"summary"`
	Fix     string            `json:"fix,omitempty"`
}

// Spec is one workload of a plan, checked, in the form in which a kind opens it.
type Spec struct {
	Plan         understudy.PlanName
	Name         understudy.WorkloadName
	Kind         understudy.KindName
	Architecture understudy.Architecture
	Engine       understudy.Engine
	// Home is the plan's home site, and Sites all of them, in the plan's order.
	Home  understudy.Site
	Sites []understudy.Site
	RPO   time.Duration
	RTO   time.Duration
	// Directions are the plan's explicit links, if it names any; only kinds with ExplicitLinks see them.
	Directions []Direction
	// Config is the kind's own configuration: the pointer that Kind.NewConfig made, filled.
	Config any
	// Clusters gives the endpoint configuration of the workload's cluster at each site: the pointer that
	// Kind.NewEndpoint made, filled. A site without an entry has no such cluster.
	Clusters map[understudy.Site]any
}

// Opening is what a kind needs to open a workload, besides its Spec.
type Opening struct {
	// Secret reads a named secret. The value must not reach a log, an error, a journal or a process list.
	Secret func(ctx context.Context, name string) ([]byte, error)
	// FetchBudget bounds the memory of data in flight of one link, in bytes.
	FetchBudget int64
	// ControlPlane is the identity that stamps carry.
	ControlPlane string
	// DataDir is a directory of this member for what may be lost at the cost of work, such as the journal of an unfinished copy. A workload
	// makes a directory of its own name below it.
	DataDir string
	// Absent says, whenever asked, whether the workload's cluster at the site is absent by plan now. Observe then
	// answers Absent for it and dials nothing there. Nil means that no cluster ever is.
	Absent func(understudy.Site) bool
}

// AbsentByPlan asks Absent, which may be nil.
func (o Opening) AbsentByPlan(s understudy.Site) bool { return o.Absent != nil && o.Absent(s) }

// Kind describes an engine to control, the command line, the schema and the documentation.
type Kind struct {
	Name understudy.KindName
	// Doc is one paragraph for people.
	Doc string
	// Offers lists the architectures it implements, and the engines of each.
	Offers []Offer
	// Endpoint is the key of its endpoints in a site file, such as "kafka", and NewEndpoint makes a pointer to
	// their configuration, to be filled strictly from YAML.
	//
	// Both NewEndpoint and NewConfig give pointers to structs whose exported fields carry `yaml:"key"` tags. A key
	// is required unless its tag says omitempty or its field is a pointer. Fields may be strings, booleans,
	// integers, time.Duration ("30s"), understudy.Size, understudy.Pattern, understudy.SecretName, anything with
	// UnmarshalText, and structs, pointers, slices and string-keyed maps of these. The tag `doc:"..."` explains
	// a key in the schema, `enum:"a,b"` lists the values of a string, and `default:"..."` documents a default,
	// which NewConfig itself fills in.
	Endpoint    string
	NewEndpoint func() any
	// Endpoints are further kinds of endpoints by which it reaches a cluster; a cluster has one of them.
	Endpoints []EndpointKind
	// NewConfig makes a pointer to the kind's own keys of a plan's workload.
	NewConfig func() any
	// Starter is its part of the file that `understudy init` prints.
	Starter Starter
	// ExplicitLinks says that it honours Spec.Directions; plans with links are refused for other kinds.
	ExplicitLinks bool
	// Validate checks a filled Spec without any network. Errors name the YAML path relative to the workload, or
	// to the endpoint of a site. It must cope with values that are missing: those have errors of their own, and
	// what it says about them is dropped.
	Validate func(Spec) []FieldError
	// Advise says what is valid and hardly meant, in the same form as Validate and under its terms. It is told and refuses
	// nothing. It may be nil.
	Advise func(Spec) []FieldError
	// Overlap says why two workloads of the kind cannot be protected side by side, at a path of the first; nil when
	// they can. It needs no network, and copes with values that are missing. It may be nil.
	Overlap func(a, b Spec) *FieldError
	// Links lists the links that should run under a role. It is pure.
	Links func(Spec, understudy.Role) []understudy.Link
	// Open connects lazily: it must succeed while clusters are down.
	Open func(context.Context, Spec, Opening) (Workload, error)
	// Uncommitted says what of a takeover stands in for the owner's will until it is committed, such as a longer retention, from the
	// memory and what was seen last: that may be nothing. It is pure, and nil in kinds that leave nothing.
	Uncommitted func(understudy.Keep, understudy.Role, Observation) []string
	// Sweeps lists the sweeps that runs of a workload offer, each with its own schedule: the zero one comes on demand only. It is pure, and
	// nil in kinds that have none.
	Sweeps func(Spec) []Sweeping
	// ExportLedger writes the records saved under a ledger folder as JSON lines.
	ExportLedger func(ctx context.Context, dir string, write func(line []byte) error) error
}

// Sweeping is a sweep with its schedule.
type Sweeping struct {
	Sweep    understudy.Sweep
	Schedule Schedule
}

// EndpointKind is one way to reach a cluster of a kind: its key in a site file, and what makes a pointer to its configuration.
type EndpointKind struct {
	Key string
	New func() any
}

// EndpointKinds lists all ways to reach a cluster of the kind, the main one first.
func (k Kind) EndpointKinds() []EndpointKind {
	return append([]EndpointKind{{k.Endpoint, k.NewEndpoint}}, k.Endpoints...)
}

// Starter is what somebody begins with who protects something of a kind for the first time: texts in YAML with comments, each beginning at the left
// margin. Between two sites called east and west, home being east, they are a valid file.
type Starter struct {
	// East and West are the clusters of a site, Workload one workload of a plan.
	East, West, Workload string
}

// Offer is one architecture of a kind.
type Offer struct {
	Architecture understudy.Architecture
	Engines      []understudy.Engine
	Doc          string
	// Scheduled says that no mover follows its links: control runs the operation replicate by the plan's
	// schedule, and what a run publishes is the link's progress. Replicate is never called.
	Scheduled bool
}

// Scheduled says whether the architecture is one whose links are replicated by scheduled runs.
func (k Kind) Scheduled(a understudy.Architecture) bool {
	for _, o := range k.Offers {
		if o.Architecture == a {
			return o.Scheduled
		}
	}
	return false
}

// FieldError is a bad value at a YAML path, such as "topics[0]".
type FieldError struct {
	// Site says that Path is relative to the endpoint of the workload's cluster at that site, such as
	// "brokers[0]"; without it, to the workload.
	Site understudy.Site
	Path string
	Err  *understudy.Error
}

// Registry is the list of kinds, by name. It is a value: there is no global one.
type Registry struct{ kinds []Kind }

// NewRegistry makes a registry of the kinds, in the given order.
func NewRegistry(kinds ...Kind) Registry { return Registry{kinds: kinds} }

// Kinds lists the kinds in order.
func (r Registry) Kinds() []Kind { return r.kinds }

// Kind finds a kind by name.
func (r Registry) Kind(n understudy.KindName) (Kind, bool) {
	for _, k := range r.kinds {
		if k.Name == n {
			return k, true
		}
	}
	return Kind{}, false
}
