package native

import (
	"context"
	"sync"
	"time"
)

const (
	// fileCost is what a file weighs beside its bytes: a small file costs round trips, not bandwidth.
	fileCost     = 64 << 10
	minWorkers   = 1
	maxWorkers   = 64
	startWorkers = 16
	// look is how long a throughput is measured at least; half as long at the beginning.
	look = time.Second
	// A large step of the beginning pays when throughput grew by surge, and costs when it fell; later ones pay when it grew by better, and
	// fewer files pay when it did not fall. Below slump of what it was, something else has changed.
	surge  = 1.1
	better = 1.03
	slump  = 0.75
	// mostPause is how many looks there are between two trials, when many have failed.
	mostPause = 8
)

// gate lets files pass, as many at once as pays. It doubles at the beginning. Then it holds what was best, and tries fewer and more in turn, which
// it keeps to when that pays, and else comes back from: throughput is never the same twice, so what is not better must not be kept, or chance
// alone would wear it down. Fewer are kept when they are as fast, since more workers than a store can serve make it slower. A store that asks for
// less halves it. It is safe for concurrent use.
type gate struct {
	mu       sync.Mutex
	clock    func() time.Time
	low      int
	high     int
	limit    int
	inside   int
	waiting  []chan struct{}
	since    time.Time
	weight   int64
	finished int
	fast     bool
	// base is the throughput at home, which is the limit that is held; zero when it is not known.
	base float64
	home int
	// trial is where the present trial goes: 1 is more, -1 fewer, 0 none. next is where the next one goes, after left looks.
	trial, next, left, pause int
}

func newGate(low, high int, clock func() time.Time) *gate {
	if low <= 0 {
		low = minWorkers
	}
	if high <= 0 {
		high = maxWorkers
	}
	high = max(low, high)
	return &gate{clock: clock, low: low, high: high, limit: min(max(startWorkers, low), high), fast: low < high, next: -1, pause: 1, since: clock()}
}

// enter waits for a place.
func (g *gate) enter(ctx context.Context) error {
	g.mu.Lock()
	if g.inside < g.limit {
		g.inside++
		g.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	g.waiting = append(g.waiting, turn)
	g.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		g.giveUp(turn)
		return ctx.Err()
	}
}

// take takes a place even above the limit, for who has to leave later.
func (g *gate) take() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside++
}

// giveUp takes a waiter out; one whose turn came meanwhile leaves its place.
func (g *gate) giveUp(turn chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, w := range g.waiting {
		if w == turn {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			return
		}
	}
	g.inside--
	g.admit()
}

// leave gives the place back, and says what was moved in it.
func (g *gate) leave(bytes int64, busy bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	g.weight += bytes + fileCost
	g.finished++
	if busy {
		g.limit = max(g.low, g.limit/2)
		g.fast, g.trial, g.base = false, 0, 0
		g.rest(-1)
		g.restart()
	} else {
		g.judge()
	}
	g.admit()
}

// judge looks back over a time in which enough files passed to tell.
func (g *gate) judge() {
	elapsed := g.clock().Sub(g.since)
	if elapsed < look/2 || elapsed < look && !g.fast || g.finished < 2*g.limit {
		return
	}
	now := float64(g.weight) / elapsed.Seconds()
	switch {
	case g.fast:
		g.double(now)
	case g.trial != 0:
		g.decide(now)
	default:
		g.hold(now)
	}
	g.restart()
}

// double takes the large steps of the beginning; one that costs throughput is taken back, and one that does not pay is the last.
func (g *gate) double(now float64) {
	was := g.base
	g.base = max(now, was)
	if (was == 0 || now > was*surge) && g.limit < g.high {
		g.limit = min(2*g.limit, g.high)
		return
	}
	g.fast = false
	if now < was {
		g.limit = max(g.low, g.limit/2)
	}
	g.rest(-1)
}

// hold stays where it is, until it is time for a trial.
func (g *gate) hold(now float64) {
	switch {
	case g.base == 0:
		g.base = now
	case now < g.base*slump:
		g.base, g.pause, g.left, g.next = now, 1, 0, -1
	default:
		g.base += (now - g.base) / 4
	}
	if g.left--; g.left > 0 {
		return
	}
	g.home = g.limit
	to := g.limit + max(1, g.limit/4)
	if g.next < 0 {
		to = min(g.limit-1, g.limit*3/4)
	}
	g.limit = min(max(to, g.low), g.high)
	if g.trial = g.next; g.limit == g.home {
		g.trial = 0
		g.rest(-g.next)
	}
}

// decide ends a trial: it goes on in its direction after one that paid, and waits longer and longer when none does.
func (g *gate) decide(now float64) {
	way := g.trial
	g.trial = 0
	if way > 0 && now > g.base*better || way < 0 && now >= g.base {
		g.base, g.pause = now, 1
		g.rest(way)
		return
	}
	g.limit, g.pause = g.home, min(2*g.pause, mostPause)
	g.rest(-way)
}

// rest puts the next trial off.
func (g *gate) rest(next int) { g.next, g.left = next, g.pause }

func (g *gate) restart() { g.weight, g.finished, g.since = 0, 0, g.clock() }

// admit lets waiters in; the lock is held.
func (g *gate) admit() {
	for g.inside < g.limit && len(g.waiting) > 0 {
		g.inside++
		close(g.waiting[0])
		g.waiting = g.waiting[1:]
	}
}

// allowed gives the present limit.
func (g *gate) allowed() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limit
}
