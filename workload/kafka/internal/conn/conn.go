package conn

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
)

// DefaultMaxResponse bounds one answer, in bytes: the largest fetch plus one oversized batch.
const DefaultMaxResponse = 128 << 20

// keepRequest is the largest memory of a request that a connection keeps for the next one, in bytes.
const keepRequest = 2 << 20

// DefaultTimeout bounds one request from its first byte sent to its last byte answered.
const DefaultTimeout = 30 * time.Second

// ErrLease means that the lease's deadline had passed: nothing of the request was sent.
var ErrLease = errors.New("the lease has expired")

// ErrClosed means that the connection was closed on our side.
var ErrClosed = errors.New("the connection is closed")

// Options say how to reach one broker. The zero value of each optional field has a meaning.
type Options struct {
	// Addr is host:port.
	Addr string
	// Dial opens the socket; nil means plain TCP.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// TLS is the configuration of the transport; nil means none. ServerName is taken from Addr when empty.
	TLS *tls.Config
	// SASL authenticates the connection; nil means no authentication.
	SASL sasl.Mechanism
	// ClientID is what the broker's logs and quotas see.
	ClientID string
	// Deadline is the lease: nothing is written after it, and no write lasts beyond it. Nil means no lease.
	Deadline func() time.Time
	// Timeout bounds a request without an earlier context deadline; zero means DefaultTimeout.
	Timeout time.Duration
	// MaxResponse bounds one answer in bytes; zero means DefaultMaxResponse.
	MaxResponse int
	// MaxVersions caps the version of a request key below what kmsg and the broker both know.
	MaxVersions map[int16]int16
	// Buffer provides the memory of an answer of n bytes, and may wait until there is some: the connection
	// reads nothing meanwhile. The buffer then belongs to the caller of the request. Nil means make.
	Buffer func(ctx context.Context, n int) ([]byte, error)
}

// Conn is one connection. Its methods may be called concurrently.
type Conn struct {
	o        Options
	nc       net.Conn
	r        *bufio.Reader
	format   *kmsg.RequestFormatter
	versions map[int16]int16

	// turn is held by the one caller that reads the socket.
	turn chan struct{}
	gone chan struct{}

	mu      sync.Mutex // guards what follows, and the order of writes
	corr    int32
	out     []byte
	waiting []*Call
	err     error
}

// Dial connects, negotiates versions and authenticates. It returns an error when ctx ends first.
func Dial(ctx context.Context, o Options) (*Conn, error) {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.MaxResponse == 0 {
		o.MaxResponse = DefaultMaxResponse
	}
	if o.ClientID == "" {
		o.ClientID = "understudy"
	}
	if o.Dial == nil {
		o.Dial = TCP(10 * time.Second)
	}
	ctx, stop := context.WithTimeout(ctx, o.Timeout)
	defer stop()
	nc, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", o.Addr, err)
	}
	c := &Conn{
		o: o, nc: nc, r: bufio.NewReaderSize(nc, 32<<10),
		format: kmsg.NewRequestFormatter(kmsg.FormatterClientID(o.ClientID)),
		turn:   make(chan struct{}, 1), gone: make(chan struct{}),
	}
	if err := c.greet(ctx); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("greet %s: %w", o.Addr, err)
	}
	return c, nil
}

func open(ctx context.Context, o Options) (net.Conn, error) {
	nc, err := o.Dial(ctx, "tcp", o.Addr)
	if err != nil || o.TLS == nil {
		return nc, err
	}
	return secure(ctx, nc, o.Addr, o.TLS)
}

// Version is the version in which requests of a key leave, and false when the broker does not know the key.
func (c *Conn) Version(key int16) (int16, bool) {
	v, ok := c.versions[key]
	return v, ok
}

// Send writes a request and returns without waiting for its answer. The context's deadline bounds the whole
// call, not only the writing. An error means that the answer will not come; the bytes may have left.
func (c *Conn) Send(ctx context.Context, req kmsg.Request) (*Call, error) {
	v, ok := c.versions[req.Key()]
	if !ok {
		return nil, fmt.Errorf("%s: the broker does not know %s", c.o.Addr, kmsg.NameForKey(req.Key()))
	}
	req.SetVersion(v)
	return c.send(ctx, req, nil)
}

// Do sends a request and waits for its answer.
func (c *Conn) Do(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	call, err := c.Send(ctx, req)
	if err != nil {
		return nil, err
	}
	return call.Wait(ctx)
}

// send writes a versioned request; an answer's body goes to raw instead of being parsed, if raw is given.
func (c *Conn) send(ctx context.Context, req kmsg.Request, raw func([]byte) error) (*Call, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	deadline := time.Now().Add(c.o.Timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, c.err
	}
	until := deadline
	if c.o.Deadline != nil {
		lease := c.o.Deadline()
		if !time.Now().Before(lease) {
			return nil, ErrLease
		}
		if lease.Before(until) {
			until = lease
		}
	}
	c.corr++
	c.out = c.format.AppendRequest(c.out[:0], req, c.corr)
	if err := c.nc.SetWriteDeadline(until); err != nil {
		return nil, c.failLocked(err)
	}
	if _, err := c.nc.Write(c.out); err != nil {
		return nil, c.failLocked(err)
	}
	if cap(c.out) > keepRequest {
		c.out = nil
	}
	k := &Call{c: c, req: req, raw: raw, id: c.corr, deadline: deadline, done: make(chan struct{})}
	c.waiting = append(c.waiting, k)
	return k, nil
}

// fail breaks the connection: every call in flight gets err.
func (c *Conn) fail(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failLocked(err)
}

func (c *Conn) failLocked(err error) error {
	if c.err == nil {
		c.err = fmt.Errorf("%s: %w", c.o.Addr, err)
		close(c.gone)
		if len(c.waiting) > 0 || !errors.Is(err, ErrClosed) {
			abandon(c.nc)
		}
		_ = c.nc.Close()
		for _, k := range c.waiting {
			k.finish(nil, c.err)
		}
		c.waiting = nil
	}
	return c.err
}

// Broken is closed when the connection can no longer be used.
func (c *Conn) Broken() <-chan struct{} { return c.gone }

// Close ends the connection and every call in flight, and returns when no caller reads from it any more.
func (c *Conn) Close() error {
	_ = c.fail(ErrClosed)
	c.turn <- struct{}{}
	<-c.turn
	return nil
}
