// Package proxy is a TCP path between two sites, inside the test's own process, that can be delayed,
// narrowed, frozen and cut while connections run through it, and on which bytes can be damaged. It must not know what travels on it.
package proxy

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Shape is the condition of a path. The zero value passes everything at once.
type Shape struct {
	// Out delays what clients send, Back what the server answers: one way each, so that a round trip takes
	// the sum longer.
	Out, Back time.Duration
	// Rate caps each direction, over all connections, in bytes per second; 0 is no cap.
	Rate int
	// Cut resets the open connections and refuses new ones at once.
	Cut bool
	// Frozen keeps connections open, and accepts new ones, but nothing moves: as a lost link looks.
	Frozen bool
}

// Counts are bytes and connections since the path was opened.
type Counts struct {
	// Out went from clients to the server, Back the other way.
	Out, Back int64
	// Accepted connections, and those Refused by a cut or by the server.
	Accepted, Refused int64
	// Flipped bytes, of both directions.
	Flipped int64
}

// Proxy is a listening path. Its methods may be called at any time from anywhere.
type Proxy struct {
	listener net.Listener
	stop     context.CancelFunc
	running  sync.WaitGroup

	out, back         *lane
	accepted, refused atomic.Int64

	mu     sync.Mutex
	target string
	shape  Shape
	// changed is closed, and made anew, when the shape changes.
	changed chan struct{}
	conns   map[*net.TCPConn]bool
}

// Listen opens a path on the loopback address, such as "127.0.0.1:0", that leads nowhere until Forward.
// Close ends it with all that runs on it.
func Listen(addr string) (*Proxy, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Proxy{listener: l, stop: cancel, changed: make(chan struct{}), conns: make(map[*net.TCPConn]bool)}
	p.out, p.back = &lane{path: p}, &lane{path: p, toClient: true}
	p.running.Go(func() { p.serve(ctx) })
	return p, nil
}

// Addr is the host:port that clients dial.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Forward says which host:port new connections lead to.
func (p *Proxy) Forward(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = addr
}

// Set changes the shape, for open connections too.
func (p *Proxy) Set(s Shape) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shape = s
	close(p.changed)
	p.changed = make(chan struct{})
	if s.Cut {
		p.resetAll()
	}
}

// Delay is a path of the round-trip time, half each way.
func (p *Proxy) Delay(rtt time.Duration) { p.Set(Shape{Out: rtt / 2, Back: rtt / 2}) }

// Cut resets and refuses everything until the next Set or Heal.
func (p *Proxy) Cut() { p.Set(Shape{Cut: true}) }

// Freeze lets nothing through until the next Set or Heal, without closing anything.
func (p *Proxy) Freeze() {
	s := p.Shape()
	s.Frozen = true
	p.Set(s)
}

// Heal gives the path its first shape again.
func (p *Proxy) Heal() { p.Set(Shape{}) }

// Flip flips a bit of the last byte of some words when they go by, on any connection, so many times; negative is each time, and zero ends it.
// Back is from the server to its clients. The words themselves have more than one byte, all sent after the call.
func (p *Proxy) Flip(back bool, words string, times int) {
	l := p.lane(back)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noise = noise{words: []byte(words), left: times}
}

func (p *Proxy) lane(back bool) *lane {
	if back {
		return p.back
	}
	return p.out
}

// CutAfter cuts the path once so many more bytes have gone by in one direction, over all connections, as Cut does; at once for none. It closes the
// channel that it gives when it has. Back is from the server to its clients. A later call takes the place of one that has not cut yet.
func (p *Proxy) CutAfter(back bool, bytes int64) <-chan struct{} { return p.after(back, bytes, p.Cut) }

// FreezeAfter freezes the path then, as Freeze does, and takes the place of CutAfter, as that does of it.
func (p *Proxy) FreezeAfter(back bool, bytes int64) <-chan struct{} {
	return p.after(back, bytes, p.Freeze)
}

func (p *Proxy) after(back bool, bytes int64, do func()) <-chan struct{} {
	done := make(chan struct{})
	l := p.lane(back)
	l.mu.Lock()
	l.trip = trip{}
	if bytes > 0 {
		l.trip = trip{l.bytes.Load() + bytes, do, done}
	}
	l.mu.Unlock()
	if bytes <= 0 {
		do()
		close(done)
	}
	return done
}

// Shape is the present condition.
func (p *Proxy) Shape() Shape {
	s, _, _ := p.look()
	return s
}

// Counts are what went through so far.
func (p *Proxy) Counts() Counts {
	return Counts{
		Out: p.out.bytes.Load(), Back: p.back.bytes.Load(), Accepted: p.accepted.Load(), Refused: p.refused.Load(),
		Flipped: p.out.flips.Load() + p.back.flips.Load(),
	}
}

// Close stops listening, resets all connections and waits until nothing of the path runs. It ends as cut.
func (p *Proxy) Close() error {
	p.stop()
	err := p.listener.Close()
	p.Cut()
	p.running.Wait()
	return err
}

func (p *Proxy) look() (Shape, string, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shape, p.target, p.changed
}

// serve accepts until the listener is closed.
func (p *Proxy) serve(ctx context.Context) {
	for {
		c, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		p.running.Go(func() { p.connect(ctx, c.(*net.TCPConn)) })
	}
}

// connect joins one client with the server and returns when both directions have ended.
func (p *Proxy) connect(ctx context.Context, client *net.TCPConn) {
	shape, target, _ := p.look()
	if shape.Cut || target == "" || !p.enter(client) {
		p.refused.Add(1)
		reset(client)
		return
	}
	defer p.leave(client)
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp", target)
	if err != nil {
		p.refused.Add(1)
		reset(client)
		return
	}
	server := c.(*net.TCPConn)
	if !p.enter(server) {
		reset(server)
		return
	}
	defer p.leave(server)
	p.accepted.Add(1)
	var both sync.WaitGroup
	both.Go(func() { p.out.carry(ctx, client, server) })
	both.Go(func() { p.back.carry(ctx, server, client) })
	both.Wait()
}

// enter lists an open connection, so that a cut finds it; false when the path was cut in the meantime.
func (p *Proxy) enter(c *net.TCPConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shape.Cut {
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Proxy) leave(c *net.TCPConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	_ = c.Close()
}

// resetAll drops every open connection; the lock is held.
func (p *Proxy) resetAll() {
	for c := range p.conns {
		reset(c)
	}
}

// reset closes with RST instead of FIN, as a failed path does.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}
