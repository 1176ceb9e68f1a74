package native

import (
	"sync"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
)

const (
	// rateSpan is the time over which a rate is taken, in steps of rateStep.
	rateSpan = 30 * time.Second
	rateStep = time.Second
	// fileWork is how many bytes the mover copies, where it is not held back, in the time that a file takes of itself.
	fileWork = 1 << 20
	// reportEvery is the shortest time between two reports.
	reportEvery = 250 * time.Millisecond
)

// meter counts what a run does and reports it. It is safe for concurrent use.
type meter struct {
	mu     sync.Mutex
	clock  func() time.Time
	report func(filecopy.Progress)
	now    filecopy.Progress
	told   time.Time
	marks  []mark
	// of is what the marks are of.
	of      activity
	allowed func() int
}

// work is an amount of what a phase does: bytes, and files or entries.
type work struct{ bytes, entries int64 }

// minus gives what is left of an amount when another is taken away.
func (w work) minus(o work) work { return work{w.bytes - o.bytes, w.entries - o.entries} }

// weight is how long it takes, by no clock: small files take as long as their number, and large ones as their bytes.
func (w work) weight() float64 { return float64(w.bytes) + fileWork*float64(w.entries) }

// mark is how much was done at a moment.
type mark struct {
	at   time.Time
	done work
}

func newMeter(clock func() time.Time, report func(filecopy.Progress)) *meter {
	if report == nil {
		report = func(filecopy.Progress) {}
	}
	return &meter{clock: clock, report: report, allowed: func() int { return 0 }}
}

// change applies a change, and reports when the phase changed or some time has passed.
func (m *meter) change(apply func(*filecopy.Progress)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	phase := m.now.Phase
	apply(&m.now)
	at := m.clock()
	if phase == m.now.Phase && at.Sub(m.told) < reportEvery {
		return
	}
	m.told = at
	m.now.Parallel = m.allowed()
	m.estimate(at)
	m.report(m.now)
}

// last gives what was counted last.
func (m *meter) last() filecopy.Progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// activity is what a run is at. What is done of one says nothing about the next.
type activity struct {
	phase    filecopy.Phase
	carrying bool
}

// done gives what is done of the present activity, and all of it; false for those whose end nobody knows.
func (m *meter) done() (done, all work, ok bool) {
	p := &m.now
	staged := work{p.TotalBytes, p.TotalFiles}
	switch {
	case p.Phase == filecopy.PhaseProve:
		return work{bytes: p.ReadBack}, work{bytes: p.TotalBytes}, true
	case p.Phase == filecopy.PhasePublish:
		return work{entries: p.Published}, work{entries: p.TotalEntries}, true
	case p.Phase != filecopy.PhaseStage:
		return work{}, work{}, false
	case p.Carrying:
		return work{p.Carried.Bytes, p.Carried.Files}, staged, true
	}
	return work{p.Bytes, p.Files}, staged, true
}

// estimate sets rates and time left: of what a carrier brings while it is at work, else of what is staged, read back or published.
func (m *meter) estimate(at time.Time) {
	m.now.Rate, m.now.EntryRate, m.now.Left = 0, 0, 0
	done, all, ok := m.done()
	if is := (activity{m.now.Phase, m.now.Carrying}); is != m.of || !ok {
		m.of, m.marks = is, m.marks[:0]
	}
	if !ok {
		return
	}
	if n := len(m.marks); n > 0 && done.weight() < m.marks[n-1].done.weight() {
		m.marks = m.marks[:0]
	}
	if n := len(m.marks); n == 0 || at.Sub(m.marks[n-1].at) >= rateStep {
		m.marks = append(m.marks, mark{at, done})
	}
	for len(m.marks) > 1 && at.Sub(m.marks[0].at) > rateSpan {
		m.marks = m.marks[1:]
	}
	elapsed := at.Sub(m.marks[0].at).Seconds()
	if elapsed <= 0 {
		return
	}
	lately := done.minus(m.marks[0].done)
	m.now.Rate, m.now.EntryRate = max(0, float64(lately.bytes)/elapsed), max(0, float64(lately.entries)/elapsed)
	if w := lately.weight(); w > 0 {
		m.now.Left = time.Duration(max(0, all.minus(done).weight()) / w * elapsed * float64(time.Second))
	}
}
