package native

import (
	"context"
	"sync"
	"time"
)

const (
	// fileCost is what a file weighs beside its bytes: a small file costs round trips, not bandwidth.
	fileCost = 64 << 10
	// The rules of the climb: a step counts when the throughput moved by more than noise.
	minWorkers   = 1
	maxWorkers   = 64
	startWorkers = 8
	surge        = 1.2
	better       = 1.05
	worse        = 0.90
	shrink       = 0.75
)

// gate lets files pass, as many at once as pays: it adds an eighth while throughput grows, and gives a quarter back when it falls or
// when more did not help, since more workers than a store can serve make it slower. A store that asks for less halves it.
// It is safe for concurrent use.
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
	last     float64
	down     bool
	fast     bool
}

func newGate(low, high int, clock func() time.Time) *gate {
	if low <= 0 {
		low = minWorkers
	}
	if high <= 0 {
		high = maxWorkers
	}
	high = max(low, high)
	return &gate{clock: clock, low: low, high: high, limit: min(max(startWorkers, low), high), fast: true, since: clock()}
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
		g.fast = false
		g.limit = max(g.low, g.limit/2)
		g.restart(0)
	} else {
		g.judge()
	}
	g.admit()
}

// judge looks back over a time in which enough files passed to tell, and takes a step: on in its direction while that pays, back when
// it cost throughput, and down when more did not help.
func (g *gate) judge() {
	elapsed := g.clock().Sub(g.since)
	if elapsed < time.Second || g.finished < 2*g.limit {
		return
	}
	now := float64(g.weight) / elapsed.Seconds()
	if g.fast {
		g.double(now)
		return
	}
	switch {
	case g.last == 0:
		g.down = false
	case now > g.last*better:
	case now < g.last*worse:
		g.down = !g.down
	default:
		g.down = !g.down || g.limit > g.low
	}
	to := g.limit + max(1, g.limit/8)
	if g.down {
		to = min(g.limit-1, int(float64(g.limit)*shrink))
	}
	g.limit = min(max(to, g.low), g.high)
	g.restart(now)
}

// double takes the large steps of the beginning; the first that does not pay is taken back, and is the last.
func (g *gate) double(now float64) {
	if g.last == 0 || now > g.last*surge {
		g.fast = g.limit < g.high
		g.limit = min(2*g.limit, g.high)
		g.restart(now)
		return
	}
	g.fast = false
	g.limit = max(g.low, g.limit/2)
	g.restart(0)
}

func (g *gate) restart(last float64) {
	g.last, g.weight, g.finished, g.since = last, 0, 0, g.clock()
}

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
