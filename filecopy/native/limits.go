package native

import (
	"context"
	"errors"
	"io"
	"time"

	"golang.org/x/time/rate"

	"github.com/understudy-dr/understudy/filecopy"
)

// chunk is the largest number of bytes that is read, counted and let pass at once.
const chunk = 256 << 10

// throttle holds a job to its bandwidth at the time of day. It is safe for concurrent use.
type throttle struct {
	windows []filecopy.Window
	clock   func() time.Time
	limiter *rate.Limiter
}

func newThrottle(l filecopy.Limits, clock func() time.Time) *throttle {
	return &throttle{windows: l.Bandwidth, clock: clock, limiter: rate.NewLimiter(rate.Inf, chunk)}
}

// wait lets n bytes pass; n is at most chunk. No throttle lets everything pass.
func (t *throttle) wait(ctx context.Context, n int) error {
	if t == nil || len(t.windows) == 0 {
		return nil
	}
	limit := rate.Inf
	if b := bandwidth(t.windows, t.clock()); b > 0 {
		limit = rate.Limit(b)
	}
	if t.limiter.Limit() != limit {
		t.limiter.SetLimit(limit)
	}
	return t.limiter.WaitN(ctx, n)
}

// bandwidth gives the bytes per second at a moment; zero for no limit.
func bandwidth(windows []filecopy.Window, now time.Time) int64 {
	for _, w := range windows {
		at := now.UTC()
		if w.Location != nil {
			at = now.In(w.Location)
		}
		h, m, s := at.Clock()
		since := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second
		inside := w.From <= since && since < w.To
		if w.To <= w.From {
			inside = since >= w.From || since < w.To
		}
		if inside {
			return w.BytesPerSecond
		}
	}
	return 0
}

// metered reads through the throttle, sums what passes and counts it.
type metered struct {
	ctx      context.Context
	from     io.Reader
	throttle *throttle
	sum      filecopy.Checksum
	size     int64
	count    func(n int)
}

// drain reads to the end.
func (m *metered) drain() error {
	buffer := make([]byte, chunk)
	for {
		_, err := m.Read(buffer)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Pace holds what is read to compare trees to a job's bandwidth, as a run is. It is safe for concurrent use.
type Pace struct{ throttle *throttle }

// NewPace gives a pace; no clock is the time of day.
func NewPace(l filecopy.Limits, clock func() time.Time) *Pace {
	if clock == nil {
		clock = time.Now
	}
	return &Pace{newThrottle(l, clock)}
}

// Sum reads to the end, and gives the sum of what it read and how many bytes that was. Errors are those of the reader, and of ctx.
func (p *Pace) Sum(ctx context.Context, r io.Reader) (filecopy.Checksum, int64, error) {
	m := &metered{ctx: ctx, from: r, throttle: p.throttle, sum: filecopy.SumOf(0), count: func(int) {}}
	err := m.drain()
	return m.sum, m.size, err
}

// Read reads at most a chunk.
func (m *metered) Read(p []byte) (int, error) {
	n, err := m.from.Read(p[:min(len(p), chunk)])
	if n > 0 {
		m.sum = m.sum.Extend(p[:n])
		if werr := m.passed(n); werr != nil {
			return n, werr
		}
	}
	return n, err
}

// passed counts n bytes, and waits until they may pass.
func (m *metered) passed(n int) error {
	m.size += int64(n)
	m.count(n)
	return m.throttle.wait(m.ctx, n)
}

// meteredPieces is metered for a reader that gives pieces too, bounded as its reads are.
type meteredPieces struct {
	*metered
	pieces  filecopy.Piecewise
	bounded *io.LimitedReader
}

// Piece gives at most a chunk.
func (m *meteredPieces) Piece(most int64) (filecopy.Piece, error) {
	most = min(most, m.bounded.N, chunk)
	if most <= 0 {
		return nil, io.EOF
	}
	piece, err := m.pieces.Piece(most)
	if err != nil {
		return nil, err
	}
	n := len(piece.Data())
	m.bounded.N -= int64(n)
	m.sum = m.sum.Extend(piece.Data())
	if err := m.passed(n); err != nil {
		piece.Release()
		return nil, err
	}
	return piece, nil
}
