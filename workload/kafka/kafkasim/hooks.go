package kafkasim

import (
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Match says which requests a hook is about.
type Match func(kmsg.Request) bool

// Key matches the requests of an API key.
func Key(key kmsg.Key) Match {
	return func(r kmsg.Request) bool { return r.Key() == int16(key) }
}

// Failure says how a request fails. In both the connection is reset.
type Failure int

const (
	// Unheard loses the request: nothing of it is carried out.
	Unheard Failure = iota
	// Unanswered carries the request out and loses the answer.
	Unanswered
)

// Gate holds requests back.
type Gate struct {
	match Match
	held  chan struct{}
	open  chan struct{}
	first sync.Once
	once  sync.Once
}

// Held is closed when the first request waits at the gate.
func (g *Gate) Held() <-chan struct{} { return g.held }

// Release lets all waiting requests on, also those whose client has hung up meanwhile, and ends the gate.
func (g *Gate) Release() { g.once.Do(func() { close(g.open) }) }

func (g *Gate) released() bool {
	select {
	case <-g.open:
		return true
	default:
		return false
	}
}

type fate int

const (
	goOn fate = iota
	dropBefore
	dropAfter
)

// failure is a failure to come; left counts the matching requests until then.
type failure struct {
	match Match
	left  int
	how   Failure
}

// hooks are what tests attached to a cluster.
type hooks struct {
	mu       sync.Mutex
	counts   map[int16]int
	watchers []func(kmsg.Request)
	failures []*failure
	gates    []*Gate
}

// Count is the number of requests of a key that arrived so far.
func (c *Cluster) Count(key kmsg.Key) int {
	c.hooks.mu.Lock()
	defer c.hooks.mu.Unlock()
	return c.hooks.counts[int16(key)]
}

// Watch shows fn every request from now on, before it is carried out. fn must not change it, nor block, and
// runs for several connections at once.
func (c *Cluster) Watch(fn func(kmsg.Request)) {
	c.hooks.mu.Lock()
	defer c.hooks.mu.Unlock()
	c.hooks.watchers = append(c.hooks.watchers, fn)
}

// Fail lets the nth matching request from now, counted from 1, fail once.
func (c *Cluster) Fail(match Match, nth int, how Failure) {
	c.hooks.mu.Lock()
	defer c.hooks.mu.Unlock()
	c.hooks.failures = append(c.hooks.failures, &failure{match: match, left: nth, how: how})
}

// Pause holds every matching request back until the gate is released. Other requests of the same connection
// wait behind it, as behind a slow request on a broker.
func (c *Cluster) Pause(match Match) *Gate {
	g := &Gate{match: match, held: make(chan struct{}), open: make(chan struct{})}
	c.hooks.mu.Lock()
	defer c.hooks.mu.Unlock()
	c.hooks.gates = append(c.hooks.gates, g)
	return g
}

// meet lets the hooks see a request and waits at gates; gone ends the waiting.
func (h *hooks) meet(req kmsg.Request, gone <-chan struct{}) fate {
	watchers, gates, fate := h.note(req)
	for _, fn := range watchers {
		fn(req)
	}
	for _, g := range gates {
		g.first.Do(func() { close(g.held) })
		select {
		case <-g.open:
		case <-gone:
			return dropBefore
		}
	}
	return fate
}

func (h *hooks) note(req kmsg.Request) ([]func(kmsg.Request), []*Gate, fate) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.counts == nil {
		h.counts = map[int16]int{}
	}
	h.counts[req.Key()]++
	h.gates = slices.DeleteFunc(h.gates, (*Gate).released)
	var gates []*Gate
	for _, g := range h.gates {
		if g.match(req) {
			gates = append(gates, g)
		}
	}
	out := goOn
	h.failures = slices.DeleteFunc(h.failures, func(f *failure) bool {
		if !f.match(req) {
			return false
		}
		f.left--
		if f.left > 0 {
			return false
		}
		out = dropBefore
		if f.how == Unanswered {
			out = dropAfter
		}
		return true
	})
	return slices.Clone(h.watchers), gates, out
}

func (h *hooks) releaseAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, g := range h.gates {
		g.Release()
	}
}
