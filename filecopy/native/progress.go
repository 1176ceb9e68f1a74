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
	// reportEvery is the shortest time between two reports.
	reportEvery = 250 * time.Millisecond
)

// meter counts what a run does and reports it. It is safe for concurrent use.
type meter struct {
	mu      sync.Mutex
	clock   func() time.Time
	report  func(filecopy.Progress)
	now     filecopy.Progress
	told    time.Time
	marks   []mark
	allowed func() int
}

// mark is how many bytes were done at a moment.
type mark struct {
	at    time.Time
	bytes int64
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

// estimate sets rate and time left: of what a carrier brings while it is at work, and else of what is staged.
func (m *meter) estimate(at time.Time) {
	done := m.now.Bytes
	switch {
	case m.now.Phase == filecopy.PhaseProve:
		done = m.now.ReadBack
	case m.now.Carrying:
		done = m.now.Carried.Bytes
	}
	if n := len(m.marks); n > 0 && done < m.marks[n-1].bytes {
		m.marks = m.marks[:0]
	}
	if n := len(m.marks); n == 0 || at.Sub(m.marks[n-1].at) >= rateStep {
		m.marks = append(m.marks, mark{at, done})
	}
	for len(m.marks) > 1 && at.Sub(m.marks[0].at) > rateSpan {
		m.marks = m.marks[1:]
	}
	m.now.Rate, m.now.Left = 0, 0
	elapsed := at.Sub(m.marks[0].at)
	if elapsed <= 0 || m.now.Phase != filecopy.PhaseStage && m.now.Phase != filecopy.PhaseProve {
		return
	}
	m.now.Rate = float64(done-m.marks[0].bytes) / elapsed.Seconds()
	if m.now.Rate > 0 {
		m.now.Left = time.Duration(float64(m.now.TotalBytes-done) / m.now.Rate * float64(time.Second))
	}
}
