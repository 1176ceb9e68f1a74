package workloadtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// World is the toy engine: one in-memory server per site, with the faults that real ones have. Writes, fences,
// halts and stamps work as in a real engine; only the wire is missing.
type World struct {
	mu      sync.Mutex
	servers map[understudy.Site]*server
	// changed is closed and replaced at every change.
	changed chan struct{}
	// failing are errors to give to the next steps of a kind.
	failing map[understudy.StepKind][]error
	// stalled are kinds of steps of which the next one waits until it is cut off; its channel is closed when it does.
	stalled map[understudy.StepKind]chan struct{}
	// held are writes of movers that wait to arrive late; holding says that the next ones join them.
	held    []func() error
	holding bool
	arrived chan struct{}
	// silence is how long a look waits for a server that is not up.
	silence time.Duration
	// delay is how long a mover waits before it copies what it has seen.
	delay time.Duration
	// hastened is closed and replaced when the delay changes.
	hastened chan struct{}
	// blocks are steps that are to wait in their middle.
	blocks map[understudy.StepKind]*block
}

// Record is one record of the toy engine; its position is its place in the log.
type Record struct {
	ID    string
	Value string
	At    time.Time
}

// size is what a record counts for, in bytes.
func (r Record) size() int64 { return int64(len(r.ID) + len(r.Value)) }

// server is one site's engine. What control may change is configuration and stays visible to tests.
type server struct {
	identity string
	up       bool
	records  []Record
	start    int // the first position that is still there
	limit    string
	settings map[string]string
	stamp    *understudy.Stamp
	token    understudy.RoleEpoch
	refusing bool // it answers, and refuses our login
	own      int  // acknowledged probe writes in our own place
	effects  map[string]int
	denied   int // late mover writes that were refused
	staging
}

// The values of the setting that opens a server to ordinary writers.
const (
	limitOpen   = "open"
	limitClosed = "closed"
)

// NewWorld makes the sites' servers, up, empty and open.
func NewWorld(sites ...understudy.Site) *World {
	w := &World{
		servers: map[understudy.Site]*server{}, changed: make(chan struct{}),
		failing: map[understudy.StepKind][]error{}, stalled: map[understudy.StepKind]chan struct{}{}, delay: 10 * time.Millisecond, hastened: make(chan struct{}),
		blocks: map[understudy.StepKind]*block{},
	}
	for _, s := range sites {
		w.servers[s] = &server{identity: "toy-" + string(s), up: true, limit: limitOpen, settings: map[string]string{"retention": "7d"}, effects: map[string]int{}}
	}
	return w
}

// touch wakes all who wait for a change. The caller holds mu.
func (w *World) touch() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// Write is an ordinary client's write; nil means acknowledged.
func (w *World) Write(site understudy.Site, id, value string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.servers[site]
	if !s.up {
		return unreachable("write", site)
	}
	if s.limit != limitOpen {
		return &understudy.Error{Code: "US999", Kind: understudy.KindDenied, Op: "toy.write", Summary: "closed to ordinary writers"}
	}
	s.records = append(s.records, Record{ID: id, Value: value, At: time.Now()})
	w.touch()
	return nil
}

// Force puts a record on a server past every fence, as somebody with all rights could.
func (w *World) Force(site understudy.Site, id, value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.servers[site].records = append(w.servers[site].records, Record{ID: id, Value: value, At: time.Now()})
	w.touch()
}

// Flip changes the value of one record, as a broken disk could.
func (w *World) Flip(site understudy.Site, position int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.servers[site].records[position].Value += "?"
	w.touch()
}

// Drop takes the newest record away.
func (w *World) Drop(site understudy.Site) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.servers[site]
	s.records = s.records[:len(s.records)-1]
	w.touch()
}

// Trim lets the server forget all records below the position, copied or not.
func (w *World) Trim(site understudy.Site, below int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.servers[site].start = below
	w.touch()
}

// SetUp says whether the site answers.
func (w *World) SetUp(site understudy.Site, up bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.servers[site].up = up
	w.touch()
}

// Refuse says whether the site answers and refuses our login.
func (w *World) Refuse(site understudy.Site, refuses bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.servers[site].refusing = refuses
	w.touch()
}

// Exchange lets the address of each of two sites lead to the other one's server.
func (w *World) Exchange(a, b understudy.Site) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.servers[a], w.servers[b] = w.servers[b], w.servers[a]
	w.touch()
}

// SetDelay says how long movers wait before they copy what they have seen.
func (w *World) SetDelay(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delay = d
	close(w.hastened)
	w.hastened = make(chan struct{})
}

// Hold keeps the movers' next writes on their way, until Release; the channel is closed when there is one.
func (w *World) Hold() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holding, w.arrived = true, make(chan struct{})
	return w.arrived
}

// Release lets held writes arrive, late, and gives their answers.
func (w *World) Release() []error {
	w.mu.Lock()
	held := w.held
	w.held, w.holding = nil, false
	w.mu.Unlock()
	var out []error
	for _, f := range held {
		out = append(out, f())
	}
	return out
}

// Fail makes the next steps of a kind fail with the errors, one each.
func (w *World) Fail(kind understudy.StepKind, errs ...error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failing[kind] = append(w.failing[kind], errs...)
}

// SetSilence makes servers that are not up black holes: a look waits for their first word so long, and a tenth of it
// for one that was just silent, which is too short even for one that is up again.
func (w *World) SetSilence(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silence = d
}

// hear says whether a look hears of a server, and waits for it first.
func (w *World) hear(ctx context.Context, site understudy.Site) bool {
	w.mu.Lock()
	up, wait := w.servers[site].up, w.silence
	w.mu.Unlock()
	short := workload.Silent(ctx, site)
	if wait == 0 || up && !short {
		return up
	}
	if short {
		wait /= 10
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return false
}

// Stall lets the next step of a kind wait until it is cut off, before it has any effect; the channel is closed when
// it waits.
func (w *World) Stall(kind understudy.StepKind) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stalled[kind] = make(chan struct{})
	return w.stalled[kind]
}

// stall waits, if the step is to.
func (w *World) stall(ctx context.Context, kind understudy.StepKind) error {
	w.mu.Lock()
	waits, ok := w.stalled[kind]
	delete(w.stalled, kind)
	w.mu.Unlock()
	if !ok {
		return nil
	}
	close(waits)
	<-ctx.Done()
	return context.Cause(ctx)
}

// failure takes the next planned error of a step kind.
func (w *World) failure(kind understudy.StepKind) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.failing[kind]) == 0 {
		return nil
	}
	err := w.failing[kind][0]
	w.failing[kind] = w.failing[kind][1:]
	return err
}

// Open says whether ordinary writers would be let in.
func (w *World) Open(site understudy.Site) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.servers[site].limit == limitOpen
}

// IDs lists the ids of all records of a site, in order.
func (w *World) IDs(site understudy.Site) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, r := range w.servers[site].records {
		out = append(out, r.ID)
	}
	return out
}

// Stamp gives a site's stamp; nil when it has none.
func (w *World) Stamp(site understudy.Site) *understudy.Stamp {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.servers[site].stamp
}

// SetStamp writes a stamp as somebody else would.
func (w *World) SetStamp(site understudy.Site, s *understudy.Stamp) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.servers[site].stamp = s
}

// SeeToken lets a server have seen a fencing token.
func (w *World) SeeToken(site understudy.Site, e understudy.RoleEpoch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.servers[site].token = e
	w.touch()
}

// Changed gives a channel that is closed at the next change.
func (w *World) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// Fingerprint tells everything that two runs of the same operation must have in common: configuration, data,
// tokens, stamps without the control plane's name, and how often each effect happened.
func (w *World) Fingerprint() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for _, site := range slices.Sorted(maps.Keys(w.servers)) {
		s := w.servers[site]
		fmt.Fprintf(&b, "%s up=%v limit=%s token=%d own=%d settings=%v", site, s.up, s.limit, s.token, s.own, s.settings)
		if s.stamp != nil {
			fmt.Fprintf(&b, " stamp=%s", s.stamp.Role)
		}
		fmt.Fprintf(&b, " effects=%v staged=%d records=", s.effects, len(s.staged))
		for _, r := range s.records {
			fmt.Fprintf(&b, " %s=%s", r.ID, r.Value)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func unreachable(op string, site understudy.Site) *understudy.Error {
	return &understudy.Error{
		Code: "US999", Kind: understudy.KindUnreachable, Op: "toy." + op,
		Object: understudy.Object{Site: site}, Summary: "the server does not answer",
	}
}

func loginRefused(op string, site understudy.Site) *understudy.Error {
	return &understudy.Error{
		Code: "US999", Kind: understudy.KindDenied, Op: "toy." + op,
		Object: understudy.Object{Site: site}, Summary: "the server refuses the login", Err: errors.New("wrong password"),
	}
}

// at runs fn on a server that answers.
func (w *World) at(op string, site understudy.Site, fn func(*server) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.servers[site]
	if s == nil || !s.up {
		return unreachable(op, site)
	}
	if s.refusing {
		return loginRefused(op, site)
	}
	if err := fn(s); err != nil {
		return err
	}
	w.touch()
	return nil
}

// set changes a value of a server and counts the effect, once however often it is asked for.
func set[T comparable](s *server, name string, at *T, v T) {
	if *at == v {
		return
	}
	*at = v
	s.effects[name]++
}
