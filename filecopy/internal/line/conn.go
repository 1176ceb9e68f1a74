package line

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// ErrSilent means that no byte moved on a connection for as long as that may be. It comes as a net.Error that is a timeout.
var ErrSilent = errors.New("nothing moves on the connection")

// silent says where, and for how long.
type silent struct {
	to     net.Addr
	within time.Duration
}

func (s *silent) Error() string   { return fmt.Sprintf("%v to %v for %v", ErrSilent, s.to, s.within) }
func (s *silent) Unwrap() error   { return ErrSilent }
func (s *silent) Timeout() bool   { return true }
func (s *silent) Temporary() bool { return false }

// conn is one connection. While a request is being sent each write is bounded, and reads are not: an answer is due when all was sent. One that waits
// for its next request may be silent for ever.
type conn struct {
	net.Conn
	watch *watch
	// lost is set once it was found silent.
	lost atomic.Bool

	mu sync.Mutex
	// by is the request that it carries.
	by *ride
	// due is how long a read may take; 0 has no limit.
	due time.Duration
	// until is where its user ends writes, as TLS does with its farewell; zero does not.
	until time.Time
}

// NetConn gives the connection that is watched.
func (c *conn) NetConn() net.Conn { return c.Conn }

// Read gives the next bytes, which need not be an answer's: a greeting goes on after it. The deadline of one that is blocked already is moved from where
// the request is known.
func (c *conn) Read(p []byte) (int, error) {
	if due := c.put(); c.lost.Load() {
		return 0, &silent{c.RemoteAddr(), due}
	}
	n, err := c.Conn.Read(p)
	return n, c.ended(err, c.put())
}

// put gives what is due its whole time, from now on, and says how long that is.
func (c *conn) put() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.due > 0 {
		c.bound(c.due)
	}
	return c.due
}

// looks is how often a write that is blocked is looked after until it is lost.
const looks = 5

// Write sends bytes. It is lost only when none of them moved for a while: what is slow moves on. The end of a request is still being sent when its
// answer is due.
func (c *conn) Write(p []byte) (int, error) {
	within := c.watch.limits.Silence
	for sent, quiet := 0, 0; ; {
		if c.lost.Load() {
			return sent, &silent{c.RemoteAddr(), within}
		}
		c.look(within / looks)
		n, err := c.Conn.Write(p[sent:])
		quiet++
		if sent += n; n > 0 {
			quiet = 0
			c.put()
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && c.over() {
			return sent, err
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || quiet >= looks {
			return sent, c.ended(err, within)
		}
	}
}

// SetWriteDeadline ends writes at a time of the user's.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = t
	return c.Conn.SetWriteDeadline(t)
}

// look has a write be looked after in a while, or when the user wants it to end.
func (c *conn) look(after time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := time.Now().Add(after)
	if !c.until.IsZero() && c.until.Before(at) {
		at = c.until
	}
	_ = c.Conn.SetWriteDeadline(at)
}

// over says whether the user wants writes to have ended.
func (c *conn) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.until.IsZero() && !time.Now().Before(c.until)
}

// ended gives the end of a deadline its meaning; the kernel may have found the same before us, also while nothing is due. What was not sent yet is
// dropped then: the kernel would send it when the way is there again, after others have done what was asked for here.
func (c *conn) ended(err error, within time.Duration) error {
	if !late(err) {
		return err
	}
	c.lost.Store(true)
	if l, ok := c.Conn.(interface{ SetLinger(sec int) error }); ok {
		_ = l.SetLinger(0)
	}
	c.watch.doubt()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = &silent{c.RemoteAddr(), within}
	}
	return err
}

// bound sets how long reads may take from now on; 0 has no limit. The lock is held.
func (c *conn) bound(due time.Duration) {
	c.due = due
	var until time.Time
	if due > 0 {
		until = time.Now().Add(due)
	}
	_ = c.Conn.SetReadDeadline(until)
}

// ride is one request on its way.
type ride struct {
	limits Limits
	on     atomic.Pointer[conn]
}

// begin has a connection carry it.
func (r *ride) begin(on net.Conn) {
	for {
		if c, ours := on.(*conn); ours {
			r.on.Store(c)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.by = r
			c.bound(0)
			return
		}
		under, wrapped := on.(interface{ NetConn() net.Conn })
		if !wrapped {
			return
		}
		on = under.NetConn()
	}
}

// sent has its answer be due, unless that has begun already.
func (r *ride) sent(err error) {
	if err != nil {
		return
	}
	r.carried(func(c *conn) {
		if c.due == 0 {
			c.bound(r.limits.Answer)
		}
	})
}

// answered has the rest of its answer be due. Without one the connection waits for its next request already.
func (r *ride) answered() {
	r.carried(func(c *conn) { c.bound(r.limits.Silence) })
}

// end has its connection wait for the next one.
func (r *ride) end() {
	r.carried(func(c *conn) {
		c.bound(0)
		c.by = nil
	})
}

// carried does something with the connection that carries it, unless that carries another by now, or none.
func (r *ride) carried(do func(*conn)) {
	c := r.on.Load()
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == r {
		do(c)
	}
}
