// Package rpc speaks Hadoop's remote procedure calls over one connection, with any number of calls in flight.
// It knows frames, headers and handshakes, and nothing of files; which server to ask, and whether to ask again, is its caller's matter.
package rpc

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/sasl"
)

// Sentinels of this package.
var (
	// ErrClosed is what calls get after Close.
	ErrClosed = errors.New("connection closed")
	// ErrLost is what calls get when the connection ended before their answer came: the server may or may not have done the work.
	ErrLost = errors.New("connection lost")
	// ErrTimeout is what a call gets when no answer came in time.
	ErrTimeout = errors.New("no answer in time")
)

// Numbers of calls with a meaning of their own (ipc.RpcConstants, SaslRpcServer).
const (
	callContext = -3
	callPing    = -4
	callSasl    = -33
)

// maxFrame is the longest answer taken; the server's own default limit (ipc.maximum.response.length) is the same.
const maxFrame = 128 << 20

// Config says how to reach a server, and as whom.
type Config struct {
	// Address is host:port.
	Address string
	// Dial opens the transport.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Protocol is the Java name of the protocol.
	Protocol string
	// ClientID names this client at the server's retry cache; it stays the same over all connections.
	ClientID [16]byte
	// User is the user of simple authentication, and the one to act as otherwise; empty with Kerberos.
	User string
	// Login makes the authentication exchange; nil for simple authentication.
	Login func(ctx context.Context) (sasl.Mechanism, error)
	// Timeout bounds the handshake and each write.
	Timeout time.Duration
	// PingAfter is how long a connection with calls in flight may be silent before it is pinged.
	PingAfter time.Duration
}

// Conn is one connection. All methods may be called from many goroutines.
type Conn struct {
	cfg    Config
	nc     net.Conn
	in     *bufio.Reader
	secure sasl.Security
	// plain holds what an unwrapped message left over.
	plain []byte

	mu      sync.Mutex
	pending map[int32]*call
	out     []byte
	err     error
	// unsent is why a write failed; what the server said before is why the connection ended.
	unsent error

	wake chan struct{}
	dead chan struct{}
	// heard is when the last byte came, in Unix nanoseconds.
	heard   atomic.Int64
	running sync.WaitGroup
}

// call is one request in flight.
type call struct {
	done chan struct{}
	body []byte
	err  error
}

// Request is one call.
type Request struct {
	// ID is the number of the call, unique in the client and never negative. A repeat after a lost connection carries the same number.
	ID int32
	// Retry counts the repeats.
	Retry int
	// Method is the name of the procedure, Body its encoded argument.
	Method string
	Body   proto.Message
}

// Connect opens a connection and says who is calling. Close ends it and waits for what it started.
func Connect(ctx context.Context, cfg Config) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	nc, err := cfg.Dial(ctx, "tcp", cfg.Address)
	if err != nil {
		return nil, err
	}
	c := &Conn{
		cfg: cfg, nc: nc, in: bufio.NewReaderSize(nc, 64<<10),
		pending: map[int32]*call{}, wake: make(chan struct{}, 1), dead: make(chan struct{}),
	}
	c.heard.Store(time.Now().UnixNano())
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	err = c.handshake(ctx)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = nc.Close()
		if ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
			err = errors.Join(ErrTimeout, err)
		}
		return nil, err
	}
	c.running.Add(2)
	go c.read()
	go c.write()
	return c, nil
}

// isTimeout says whether an error of the network is a passed deadline.
func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// Close ends the connection. Calls in flight get ErrClosed.
func (c *Conn) Close() {
	c.fail(ErrClosed)
	c.running.Wait()
}

// Broken gives why the connection can take no more calls, or nil.
func (c *Conn) Broken() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Call sends a request and waits for its answer. When ctx ends first the call is given up and the connection lives on.
// Errors are a *ServerError when the server refused, ErrLost when the connection broke, and the error of ctx.
func (c *Conn) Call(ctx context.Context, r Request) ([]byte, error) {
	one := &call{done: make(chan struct{})}
	if err := c.enqueue(r, one); err != nil {
		return nil, err
	}
	select {
	case <-one.done:
		return one.body, one.err
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.pending, r.ID)
		c.mu.Unlock()
		return nil, context.Cause(ctx)
	}
}

// Silent gives how long nothing came from the server.
func (c *Conn) Silent() time.Duration {
	return time.Since(time.Unix(0, c.heard.Load()))
}

// Fail breaks the connection with an error of the caller, who holds it for dead.
func (c *Conn) Fail(err error) { c.fail(err) }

// enqueue frames a request for the writer.
func (c *Conn) enqueue(r Request, one *call) error {
	header := proto.Message(nil).String(1, r.Method).String(2, c.cfg.Protocol).Uint(3, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	c.pending[r.ID] = one
	c.out = c.frame(c.out, r.ID, r.Retry, header, r.Body)
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return nil
}

// frame appends a request: its length, the header of the call, and what follows, each with its own length.
func (c *Conn) frame(b []byte, id int32, retry int, messages ...proto.Message) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	header := proto.Message(make([]byte, 0, 64)).Uint(1, 2).Uint(2, 0).Sint(3, int64(id)).Bytes(4, c.cfg.ClientID[:]).Sint(5, int64(retry))
	b = header.Delimited(b)
	for _, m := range messages {
		b = m.Delimited(b)
	}
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-4))
	return b
}

// write sends what has gathered, as one piece, and pings a silent server that owes answers.
func (c *Conn) write() {
	defer c.running.Done()
	ticker := time.NewTicker(c.cfg.PingAfter)
	defer ticker.Stop()
	var spare []byte
	for {
		select {
		case <-c.dead:
			return
		case <-ticker.C:
			c.ping()
		case <-c.wake:
		}
		c.mu.Lock()
		b := c.out
		c.out = spare[:0]
		c.mu.Unlock()
		if err := c.send(b); err != nil {
			c.hearOut(err)
			return
		}
		if spare = b; cap(spare) > 1<<20 {
			spare = nil
		}
	}
}

// lastWords is how long the reader looks for what a server said before it stopped taking what we write.
const lastWords = time.Second

// hearOut leaves it to the reader to end the connection after a failed write: a server that refuses says so and closes,
// while we may still be writing, and its word is then in our buffers.
func (c *Conn) hearOut(err error) {
	c.mu.Lock()
	c.unsent = err
	c.mu.Unlock()
	if err := c.nc.SetReadDeadline(time.Now().Add(lastWords)); err != nil {
		c.fail(c.lost(err))
	}
}

// lost is ErrLost with its cause; a write that failed comes before the read that ended for it.
func (c *Conn) lost(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unsent != nil {
		err = c.unsent
	}
	return fmt.Errorf("%w: %w", ErrLost, err)
}

// ping adds a ping to what is to be sent, when answers are owed and nothing came for a while.
func (c *Conn) ping() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) > 0 && c.Silent() >= c.cfg.PingAfter {
		c.out = c.frame(c.out, callPing, 0)
	}
}

// send writes bytes, protected where that was agreed.
func (c *Conn) send(b []byte) error {
	if c.secure != nil {
		var err error
		if b, err = c.wrapped(b); err != nil {
			return err
		}
	}
	if len(b) == 0 {
		return nil
	}
	if err := c.nc.SetWriteDeadline(time.Now().Add(c.cfg.Timeout)); err != nil {
		return err
	}
	_, err := c.nc.Write(b)
	return err
}

// wrapPiece is how much is protected at a time; the least that servers say to take is 64 KiB.
const wrapPiece = 32 << 10

// wrapped gives bytes as protected messages.
func (c *Conn) wrapped(b []byte) ([]byte, error) {
	var out []byte
	for len(b) > 0 {
		piece := b[:min(wrapPiece, len(b))]
		b = b[len(piece):]
		token, err := c.secure.Wrap(piece)
		if err != nil {
			return nil, err
		}
		out = c.frame(out, callSasl, 0, saslMessage{state: stateWrap, token: token}.encode())
	}
	return out, nil
}

// read hands answers to their callers until the connection ends.
func (c *Conn) read() {
	defer c.running.Done()
	for {
		frame, err := c.next()
		if err == nil {
			err = c.deliver(frame)
		}
		if err == nil {
			continue
		}
		var refused *ServerError
		if !errors.As(err, &refused) {
			err = c.lost(err)
		}
		c.fail(err)
		return
	}
}

// deliver gives one answer to the call that waits for it. An answer that nobody waits for is dropped: its call was given up.
func (c *Conn) deliver(frame []byte) error {
	h, body, err := parseAnswer(frame)
	if err != nil {
		return err
	}
	if h.id < 0 {
		// The server speaks about the connection, not about a call: what it says is why it will close.
		if refused := h.refusal(); refused != nil {
			return refused
		}
		return fmt.Errorf("server answered a call numbered %d", h.id)
	}
	c.mu.Lock()
	one := c.pending[h.id]
	delete(c.pending, h.id)
	c.mu.Unlock()
	refused := h.refusal()
	if one != nil {
		one.body = body
		if refused != nil {
			one.err = refused
		}
		close(one.done)
	}
	if h.status == statusFatal {
		return refused
	}
	return nil
}

// fail breaks the connection once and tells every caller why.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	close(c.dead)
	_ = c.nc.Close()
	for id, one := range c.pending {
		one.err = err
		close(one.done)
		delete(c.pending, id)
	}
}

// next reads one frame, out of protected messages where that was agreed.
func (c *Conn) next() ([]byte, error) {
	if c.secure == nil {
		return c.nextRaw()
	}
	for {
		if len(c.plain) >= 4 {
			n := binary.BigEndian.Uint32(c.plain)
			if n > maxFrame {
				return nil, fmt.Errorf("answer of %d bytes is too long", n)
			}
			if uint32(len(c.plain)-4) >= n {
				frame := c.plain[4 : 4+n]
				c.plain = c.plain[4+n:]
				return frame, nil
			}
		}
		more, err := c.nextWrapped()
		if err != nil {
			return nil, err
		}
		c.plain = append(c.plain[:len(c.plain):len(c.plain)], more...)
	}
}

// nextRaw reads one frame from the transport.
func (c *Conn) nextRaw() ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(c.in, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxFrame {
		return nil, fmt.Errorf("answer of %d bytes is too long", n)
	}
	frame := make([]byte, n)
	if _, err := io.ReadFull(c.in, frame); err != nil {
		return nil, err
	}
	c.heard.Store(time.Now().UnixNano())
	return frame, nil
}
