package kafkasim

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// Link is a way to a cluster that can be slow and can be cut: clients that dial its address are told to go
// on dialling it, as over a WAN with its own listener. It outlives Kill and Restart of its cluster; while that
// is dead, dialling is refused.
type Link struct {
	cluster *Cluster
	addr    net.Addr
	serving sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil while nothing listens
	release  func()       // gives the port back that is held meanwhile
	delay    time.Duration
	cut      bool
	conns    []net.Conn
	ended    bool
}

// Link opens a way to the cluster on which each direction takes delay, beyond the time of the loopback.
// Close ends it, and so does the cluster's Close.
func (c *Cluster) Link(delay time.Duration) (*Link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("link to %s: %w", c.opts.ClusterID, err)
	}
	l := &Link{cluster: c, addr: listener.Addr(), delay: delay}
	l.listen(listener)
	c.net.Lock()
	defer c.net.Unlock()
	c.links = append(c.links, l)
	if c.listener == nil {
		l.sever()
	}
	return l, nil
}

// listen accepts connections in the background until the listener is closed.
func (l *Link) listen(listener net.Listener) {
	l.listener = listener
	l.serving.Go(func() { l.accept(listener) })
}

// sever stops listening and resets what there is.
func (l *Link) sever() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listener != nil {
		l.listener.Close()
		l.listener, l.release = nil, hold(l.addr)
	}
	l.resetAll()
}

// reopen listens again on the same port, unless the link is closed or listens.
func (l *Link) reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || l.listener != nil {
		return nil
	}
	l.release()
	listener, err := net.Listen("tcp", l.Addr())
	if err != nil {
		return fmt.Errorf("link to %s: %w", l.cluster.opts.ClusterID, err)
	}
	l.listen(listener)
	return nil
}

// Addr is the host:port that clients dial.
func (l *Link) Addr() string { return l.addr.String() }

// SetDelay changes the time that each direction takes, for bytes sent from now on.
func (l *Link) SetDelay(delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = delay
}

// Cut resets all connections and every new one, until Mend.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	l.resetAll()
}

// Mend lets connections pass again.
func (l *Link) Mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = false
}

// Close ends the link and all its connections.
func (l *Link) Close() {
	l.mu.Lock()
	l.cut, l.ended = true, true
	l.mu.Unlock()
	l.sever()
	l.release()
	l.serving.Wait()
}

func (l *Link) resetAll() {
	for _, conn := range l.conns {
		reset(conn)
	}
	l.conns = nil
}

func (l *Link) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		ours, theirs := net.Pipe()
		if !l.keep(conn, ours) {
			reset(conn)
			continue
		}
		l.cluster.admit(addressed{theirs, conn.RemoteAddr()}, l.Addr())
		l.serving.Go(func() {
			var both sync.WaitGroup
			both.Go(func() { l.carry(ours, conn) })
			both.Go(func() { l.carry(conn, ours) })
			both.Wait()
			l.drop(conn, ours)
		})
	}
}

func (l *Link) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		return false
	}
	l.conns = append(l.conns, conns...)
	return true
}

func (l *Link) drop(conns ...net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = slices.DeleteFunc(l.conns, func(c net.Conn) bool { return slices.Contains(conns, c) })
}

// parcel is bytes on their way.
type parcel struct {
	bytes []byte
	due   time.Time
}

// carry moves bytes from one end to the other, each piece so long after it came in as the delay was then. It
// returns when either end is closed, having closed both.
func (l *Link) carry(to, from net.Conn) {
	way := make(chan parcel, 4096)
	var reading sync.WaitGroup
	gone := make(chan struct{})
	reading.Go(func() { l.load(way, from, gone) })
	deliver(to, way)
	close(gone)
	reset(from)
	reset(to)
	reading.Wait()
}

func (l *Link) load(way chan<- parcel, from net.Conn, gone <-chan struct{}) {
	defer close(way)
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		l.mu.Lock()
		due := time.Now().Add(l.delay)
		l.mu.Unlock()
		select {
		case way <- parcel{slices.Clone(buf[:n]), due}:
		case <-gone:
			return
		}
	}
}

func deliver(to net.Conn, way <-chan parcel) {
	for p := range way {
		if wait := time.Until(p.due); wait > 0 {
			<-time.After(wait)
		}
		if _, err := to.Write(p.bytes); err != nil {
			return
		}
	}
}
