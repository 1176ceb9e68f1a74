package native

import (
	"context"
	"errors"
	"io"
	"slices"
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

// pieceReader gives what it reads in pieces of three bytes.
type pieceReader struct {
	*strings.Reader
	given []filecopy.Piece
}

type piece struct {
	data     []byte
	released bool
}

func (p *piece) Data() []byte { return p.data }
func (p *piece) Release()     { p.released = true }

func (r *pieceReader) Piece(most int64) (filecopy.Piece, error) {
	p := &piece{data: make([]byte, min(most, 3))}
	n, err := r.Read(p.data)
	if err != nil {
		return nil, err
	}
	p.data = p.data[:n]
	r.given = append(r.given, p)
	return p, nil
}

// TestMeteredPieces reads a part of ten bytes of a longer file in pieces, the last of them after the bandwidth has let it pass or not.
func TestMeteredPieces(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	from := &pieceReader{Reader: strings.NewReader("0123456789 and what belongs to the next part")}
	counted := 0
	bounded := &io.LimitedReader{R: from, N: 10}
	m := &meteredPieces{&metered{ctx: ctx, from: bounded, throttle: newThrottle(filecopy.Limits{}, time.Now), count: func(n int) { counted += n }}, from, bounded}
	var got []string
	for i := 0; ; i++ {
		if i == 1 {
			b := make([]byte, 2)
			if _, err := io.ReadFull(m, b); err != nil {
				t.Fatal(err)
			}
			got = append(got, string(b))
			continue
		}
		p, err := m.Piece(1 << 20)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if p != from.given[len(from.given)-1] {
			t.Error("it is another piece than the reader's")
		}
		got = append(got, string(p.Data()))
	}
	if want := []string{"012", "34", "567", "89"}; !slices.Equal(got, want) || counted != 10 || m.size != 10 || m.sum != filecopy.SumOf(0).Extend([]byte("0123456789")) {
		t.Errorf("pieces %q, want %q; %d counted, sum %v", got, want, counted, m.sum)
	}
	cancel()
	bounded.N = 3
	m.throttle = newThrottle(filecopy.Limits{Bandwidth: []filecopy.Window{{BytesPerSecond: 1}}}, time.Now)
	if p, err := m.Piece(3); err == nil || p != nil || !from.given[len(from.given)-1].(*piece).released {
		t.Errorf("a piece that must not pass is %v, %v", p, err)
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

// TestProgressOfManySmallFiles stages a hundred empty files a second, then some with bytes, and publishes fifty a second: each has a rate and a time left.
func TestProgressOfManySmallFiles(t *testing.T) {
	now := time.Unix(1000, 0)
	var last filecopy.Progress
	m := newMeter(func() time.Time { return now }, func(p filecopy.Progress) { last = p })
	pass := func(seconds int, each func(p *filecopy.Progress)) {
		for range seconds {
			now = now.Add(time.Second)
			m.change(each)
		}
	}
	m.change(func(p *filecopy.Progress) { p.Phase, p.TotalFiles = filecopy.PhaseStage, 10_000 })
	pass(10, func(p *filecopy.Progress) { p.Files += 100 })
	if last.Rate != 0 || last.EntryRate != 100 || last.Left != 90*time.Second {
		t.Errorf("empty files: %+v", last)
	}
	// A large file that is to come counts by its bytes, and the number of those before it does not make it take years.
	m.change(func(p *filecopy.Progress) { p.TotalBytes = 1000 * fileWork })
	pass(1, func(p *filecopy.Progress) { p.Files += 100 })
	if last.Left != 99*time.Second {
		t.Errorf("with a large file to come: %+v", last)
	}
	pass(40, func(p *filecopy.Progress) { p.Bytes += fileWork })
	if last.Rate != fileWork || last.EntryRate != 0 {
		t.Errorf("within a large file: %+v", last)
	}
	m.change(func(p *filecopy.Progress) { p.Phase, p.TotalEntries = filecopy.PhasePublish, 10_100 })
	if last.Left != 0 || last.Rate != 0 {
		t.Errorf("nothing is published yet: %+v", last)
	}
	pass(2, func(p *filecopy.Progress) { p.Published += 50 })
	if last.Rate != 0 || last.EntryRate != 50 || last.Left != 200*time.Second {
		t.Errorf("publishing: %+v", last)
	}
	m.change(func(p *filecopy.Progress) { p.Phase = filecopy.PhaseDelete })
	if last.EntryRate != 0 || last.Left != 0 {
		t.Errorf("deleting: %+v", last)
	}
}

// TestPublishedEntriesAreCountedToTheirTotal counts what a run shows, also one that goes on after it was cut off while it did.
func TestPublishedEntriesAreCountedToTheirTotal(t *testing.T) {
	p := newPair(t)
	p.mover.segment = 2
	p.write(t, "a", "1", "b", "", "c", "3", "d/e", "4", "f", "5")
	cut := errors.New("cut off")
	p.mover.hook = func(point string) error {
		if point == "head" {
			return cut
		}
		return nil
	}
	var last filecopy.Progress
	report := func(p filecopy.Progress) { last = p }
	if _, err := p.mover.Run(t.Context(), p.job, report); !errors.Is(err, cut) {
		t.Fatal(err)
	}
	p.mover.hook = nil
	// The root is one of them.
	if _, err := p.mover.Run(t.Context(), p.job, report); err != nil || last.Published != 7 || last.TotalEntries != 7 {
		t.Errorf("%d of %d entries were published: %v", last.Published, last.TotalEntries, err)
	}
}
