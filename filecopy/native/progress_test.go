package native

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
)

// TestThrottleHoldsBack lets one burst pass, and has the next wait longer than its context lasts.
func TestThrottleHoldsBack(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	limits := filecopy.Limits{Bandwidth: []filecopy.Window{{From: 8 * time.Hour, To: 18 * time.Hour, BytesPerSecond: 1}}}
	p := newThrottle(limits, func() time.Time { return now })
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if err := p.wait(ctx, chunk); err != nil {
		t.Fatal(err)
	}
	if err := p.wait(ctx, chunk); err == nil {
		t.Error("a chunk passed that should take days")
	}
	now = now.Add(8 * time.Hour)
	for range 100 {
		if err := p.wait(ctx, chunk); err != nil {
			t.Fatalf("in the evening: %v", err)
		}
	}
}

// TestCompareKeepsToTheBandwidth reads two chunks where a byte a second may pass after the first: the second would have to wait longer than the context lasts. What
// reads nothing, and what no window holds, is not held back.
func TestCompareKeepsToTheBandwidth(t *testing.T) {
	p := newPair(t)
	p.write(t, "a", strings.Repeat("a", chunk), "b", strings.Repeat("b", chunk))
	p.run(t)
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	p.job.Clock = func() time.Time { return now }
	p.job.Limits = filecopy.Limits{Bandwidth: []filecopy.Window{{From: 8 * time.Hour, To: 18 * time.Hour, BytesPerSecond: 1}}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	compare := func(deep bool) (int64, error) {
		c, err := p.mover.Compare(ctx, p.job, deep, func(d filecopy.Difference) error {
			t.Errorf("difference: %+v", d)
			return nil
		})
		return c.Read, err
	}
	if read, err := compare(true); err == nil || ctx.Err() != nil {
		t.Errorf("%d bytes were compared that should take days: %v", read, err)
	}
	if read, err := compare(false); err != nil || read != 0 {
		t.Errorf("quick: %d bytes, %v", read, err)
	}
	now = now.Add(8 * time.Hour)
	if read, err := compare(true); err != nil || read != 2*chunk {
		t.Errorf("in the evening: %d bytes, %v", read, err)
	}
}

func TestMeteredSumsAndCounts(t *testing.T) {
	content := strings.Repeat("0123456789", 100_000)
	counted := 0
	m := &metered{ctx: t.Context(), from: strings.NewReader(content), throttle: newThrottle(filecopy.Limits{}, time.Now), count: func(n int) { counted += n }}
	n, err := io.Copy(io.Discard, m)
	if err != nil || n != int64(len(content)) || counted != len(content) || m.size != n || m.sum != (filecopy.Checksum{}).Extend([]byte(content)) {
		t.Errorf("%d bytes, %d counted, sum %v, %v", n, counted, m.sum, err)
	}
}

// TestProgressTellsRateAndTimeLeft stages 100 bytes a second for a minute, then 300.
func TestProgressTellsRateAndTimeLeft(t *testing.T) {
	now := time.Unix(1000, 0)
	var last filecopy.Progress
	m := newMeter(func() time.Time { return now }, func(p filecopy.Progress) { last = p })
	m.change(func(p *filecopy.Progress) { p.Phase, p.TotalBytes = filecopy.PhaseStage, 60_000 })
	pass := func(seconds int, bytes int64) {
		for range seconds {
			now = now.Add(time.Second)
			m.change(func(p *filecopy.Progress) { p.Bytes += bytes })
		}
	}
	pass(60, 100)
	if last.Rate != 100 || last.Left != 540*time.Second {
		t.Errorf("after a minute: %+v", last)
	}
	pass(31, 300)
	if last.Rate != 300 || last.Left != time.Duration(60_000-6_000-9_300)*time.Second/300 {
		t.Errorf("half a minute later: %+v", last)
	}
	told := 0
	m.report = func(filecopy.Progress) { told++ }
	for range 1000 {
		m.change(func(p *filecopy.Progress) { p.Bytes++ })
	}
	if told != 0 {
		t.Errorf("told %d times at one moment", told)
	}
}

// TestProgressOfACarrier has a carrier bring 100 bytes a second, and then the same files proven from the beginning.
func TestProgressOfACarrier(t *testing.T) {
	now := time.Unix(1000, 0)
	var last filecopy.Progress
	m := newMeter(func() time.Time { return now }, func(p filecopy.Progress) { last = p })
	m.change(func(p *filecopy.Progress) { p.Phase, p.TotalBytes, p.Carrying = filecopy.PhaseStage, 2000, true })
	for range 10 {
		now = now.Add(time.Second)
		m.change(func(p *filecopy.Progress) { p.Carried.Bytes += 100 })
	}
	if last.Rate != 100 || last.Left != 10*time.Second || last.Bytes != 0 {
		t.Errorf("carried for ten seconds: %+v", last)
	}
	m.change(func(p *filecopy.Progress) { p.Carrying = false })
	for range 4 {
		now = now.Add(time.Second)
		m.change(func(p *filecopy.Progress) { p.Bytes += 500 })
	}
	if last.Rate != 500 || last.Left != 0 || last.Carried.Bytes != 1000 {
		t.Errorf("proven: %+v", last)
	}
	if m.last() != last {
		t.Errorf("the last is %+v", m.last())
	}
}
