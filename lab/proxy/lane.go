package proxy

import (
	"bytes"
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// chunkSize is read at once; window bounds what is under way on one direction of a connection, like a
	// receive window that is wide enough for 100 ms at 1 Gbit/s.
	chunkSize = 64 << 10
	window    = 192
)

// lane is one direction of the path, shared by all connections because its rate is.
type lane struct {
	path     *Proxy
	toClient bool
	bytes    atomic.Int64
	flips    atomic.Int64

	mu sync.Mutex
	// free is when the last byte accepted so far will have left at the capped rate.
	free time.Time
	// noise is what damages bytes.
	noise noise
	// trip is where the path is cut or frozen.
	trip trip
}

// trip does something at a number of bytes, and closes a channel; without one there is none.
type trip struct {
	at   int64
	do   func()
	done chan struct{}
}

// noise flips a bit of the last byte of some words, so many times; negative is each time.
type noise struct {
	words []byte
	left  int
}

// chunk is a piece of a stream and the time at which it was read.
type chunk struct {
	data []byte
	read time.Time
}

// carry copies from one connection to the other until one of them ends. What was read before an orderly
// end still arrives; after it the receiver sees an end of stream, too.
func (l *lane) carry(ctx context.Context, from, to *net.TCPConn) {
	ctx, cancel := context.WithCancel(ctx)
	queue := make(chan chunk, window)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(queue)
		l.read(ctx, from, queue)
	})
	var tail []byte
	for c := range queue {
		if l.hold(ctx, c) != nil {
			break
		}
		tail = l.damage(tail, c.data)
		if _, err := to.Write(c.data); err != nil {
			reset(from)
			break
		}
		l.passed(l.bytes.Add(int64(len(c.data))))
	}
	cancel()
	// A cut resets one connection after the other: who comes second must not see an orderly end before.
	if s, _, _ := l.path.look(); !s.Cut {
		_ = to.CloseWrite()
	}
	reader.Wait()
}

// passed cuts or freezes the path where that is to be.
func (l *lane) passed(bytes int64) {
	l.mu.Lock()
	t := l.trip
	if t.done == nil || bytes < t.at {
		l.mu.Unlock()
		return
	}
	l.trip = trip{}
	l.mu.Unlock()
	t.do()
	close(t.done)
}

// read fills the queue until the connection or ctx ends. An abrupt end empties nothing: it is passed on by
// the closing of the other side.
func (l *lane) read(ctx context.Context, from *net.TCPConn, queue chan<- chunk) {
	// Most chunks are small: a buffer of the full size for each would keep the collector busy.
	buf := make([]byte, chunkSize)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			select {
			case queue <- chunk{data: append([]byte(nil), buf[:n]...), read: time.Now()}:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// hold waits until the chunk may arrive: not before its delay has passed, its turn at the capped rate has
// come, and the path is not frozen. A change of shape counts at once.
func (l *lane) hold(ctx context.Context, c chunk) error {
	turn, taken := time.Time{}, false
	for {
		s, _, changed := l.path.look()
		due := c.read.Add(s.delay(l.toClient))
		if s.Rate > 0 && !s.Frozen {
			if !taken {
				turn, taken = l.take(len(c.data), s.Rate), true
			}
			if turn.After(due) {
				due = turn
			}
		}
		wait := time.Until(due)
		if wait <= 0 && !s.Frozen {
			return ctx.Err()
		}
		if err := pause(ctx, wait, s.Frozen, changed); err != nil {
			return err
		}
	}
}

// pause waits for the time, or without limit on a frozen path; a change ends it early.
func pause(ctx context.Context, wait time.Duration, frozen bool, changed <-chan struct{}) error {
	var timer <-chan time.Time
	if !frozen {
		t := time.NewTimer(wait)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-timer:
	case <-changed:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// take books n bytes on the lane and returns when they will have passed.
func (l *lane) take(n, rate int) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(n) * time.Second / time.Duration(rate))
	return l.free
}

// damage flips what the noise asks for in a piece of a stream, whose words may have begun in the pieces before; it gives the end of what has gone by.
func (l *lane) damage(tail, data []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	words := l.noise.words
	if len(words) == 0 || l.noise.left == 0 {
		return nil
	}
	tail = tail[max(0, len(tail)-len(words)+1):]
	seen := slices.Concat(tail, data)
	for at := 0; l.noise.left != 0; {
		i := bytes.Index(seen[at:], words)
		if i < 0 {
			break
		}
		at += i + len(words)
		data[at-1-len(tail)] ^= 0x20
		l.noise.left--
		l.flips.Add(1)
	}
	return seen[max(0, len(seen)-len(words)+1):]
}

func (s Shape) delay(toClient bool) time.Duration {
	if toClient {
		return s.Back
	}
	return s.Out
}
