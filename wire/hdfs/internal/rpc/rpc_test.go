package rpc

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/sasl"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server speaks the server's side over one connection, byte by byte as a test wants it.
type server struct {
	testing.TB
	nc net.Conn
	in *bufio.Reader
}

// start gives a connection and the server at its other end. hello is what the server does before the client is ready.
func start(t *testing.T, cfg Config, hello func(*server)) (*Conn, *server) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan *server, 1)
	go func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		s := &server{TB: t, nc: nc, in: bufio.NewReader(nc)}
		hello(s)
		accepted <- s
	}()
	cfg.Address = l.Addr().String()
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{}).DialContext
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Minute
	}
	if cfg.PingAfter == 0 {
		cfg.PingAfter = time.Hour
	}
	c, err := Connect(t.Context(), cfg)
	if err != nil {
		(<-accepted).nc.Close()
		t.Fatal(err)
	}
	s := <-accepted
	t.Cleanup(func() { s.nc.Close(); c.Close() })
	return c, s
}

// simple reads what a client says without authentication: the hello and its context.
func simple(s *server) {
	hello := make([]byte, 7)
	if _, err := io.ReadFull(s.in, hello); err != nil || string(hello) != "hrpc\x09\x00\x00" {
		s.Errorf("hello %q, %v", hello, err)
	}
	if id, _ := s.next(); id != callContext {
		s.Errorf("first call is %d", id)
	}
}

// frame reads one frame.
func (s *server) frame() []byte {
	var n [4]byte
	if _, err := io.ReadFull(s.in, n[:]); err != nil {
		return nil
	}
	b := make([]byte, binary.BigEndian.Uint32(n[:]))
	if _, err := io.ReadFull(s.in, b); err != nil {
		return nil
	}
	return b
}

// next reads one call: its number, and what follows its header.
func (s *server) next() (int32, []byte) { return parseCall(s.frame()) }

func parseCall(b []byte) (int32, []byte) {
	head, rest, err := proto.SplitDelimited(b)
	if err != nil {
		return 0, nil
	}
	id, _ := proto.Parse(head, func(d *proto.Decoder) int32 {
		var id int32
		for d.Next() {
			if d.Number() == 3 {
				id = int32(d.Sint())
			}
		}
		return id
	})
	return id, rest
}

// answerFrame is an answer to a call; with a class it is a refusal.
func answerFrame(id int32, status uint64, class, message string, body proto.Message) []byte {
	h := proto.Message(nil).Uint(1, uint64(uint32(id))).Uint(2, status)
	if class != "" {
		h = h.String(4, class).String(5, message).Uint(6, 15)
	}
	b := h.Delimited([]byte{0, 0, 0, 0})
	if class == "" {
		b = body.Delimited(b)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

func (s *server) send(b []byte) { _, _ = s.nc.Write(b) }

func TestAnswersComeInAnyOrder(t *testing.T) {
	c, s := start(t, Config{}, simple)
	const calls = 64
	go func() {
		var ids []int32
		for range calls {
			id, _ := s.next()
			ids = append(ids, id)
		}
		for i := range ids {
			id := ids[len(ids)-1-i]
			s.send(answerFrame(id, 0, "", "", proto.Message(fmt.Sprint(id))))
		}
	}()
	var group sync.WaitGroup
	for i := range int32(calls) {
		group.Go(func() {
			body, err := c.Call(t.Context(), Request{ID: i, Method: "m"})
			if err != nil || string(body) != fmt.Sprint(i) {
				t.Errorf("call %d: %q, %v", i, body, err)
			}
		})
	}
	group.Wait()
}

func TestACallGivenUpHarmsNoOther(t *testing.T) {
	c, s := start(t, Config{}, simple)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := c.Call(ctx, Request{ID: 1, Method: "slow"})
		first <- err
	}()
	s.next()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the call ends with %v", err)
	}
	go func() {
		s.next()
		s.send(answerFrame(1, 0, "", "", proto.Message("late")))
		s.send(answerFrame(2, 0, "", "", proto.Message("ok")))
	}()
	if body, err := c.Call(t.Context(), Request{ID: 2, Method: "m"}); err != nil || string(body) != "ok" {
		t.Errorf("the next call: %q, %v", body, err)
	}
}

func TestRefusals(t *testing.T) {
	c, s := start(t, Config{}, simple)
	go func() {
		id, _ := s.next()
		s.send(answerFrame(id, 1, "java.io.FileNotFoundException", "no such file\n\tat org.apache.X\n\tat Y", nil))
	}()
	_, err := c.Call(t.Context(), Request{ID: 1, Method: "m"})
	var refused *ServerError
	if !errors.As(err, &refused) || refused.Class != "java.io.FileNotFoundException" || refused.Message != "no such file" || refused.Fatal {
		t.Errorf("refusal %+v", err)
	}
	if c.Broken() != nil {
		t.Error("a refusal broke the connection")
	}
	// What a server says under a number below zero is why it closes the connection, whatever call it was.
	go func() {
		s.next()
		s.send(answerFrame(-1, statusFatal, "AccessControlException", "SIMPLE authentication is not enabled", nil))
	}()
	_, err = c.Call(t.Context(), Request{ID: 2, Method: "m"})
	if !errors.As(err, &refused) || !strings.Contains(refused.Message, "SIMPLE") || refused.Code != 15 {
		t.Errorf("refusal %+v", err)
	}
	if _, err = c.Call(t.Context(), Request{ID: 3, Method: "m"}); !errors.As(err, &refused) {
		t.Errorf("after it: %v", err)
	}
}

func TestALostConnectionIsSaid(t *testing.T) {
	c, s := start(t, Config{}, simple)
	go func() {
		s.next()
		s.nc.Close()
	}()
	if _, err := c.Call(t.Context(), Request{ID: 1, Method: "m"}); !errors.Is(err, ErrLost) {
		t.Errorf("lost: %v", err)
	}
	c.Close()
	if _, err := c.Call(t.Context(), Request{ID: 2, Method: "m"}); !errors.Is(err, ErrLost) {
		t.Errorf("afterwards: %v", err)
	}
}

// breaking is a transport of which the second write fails, and that gives nothing to read until the client has seen
// that: it looks for more, or closes.
type breaking struct {
	net.Conn
	writes atomic.Int32
	seen   chan struct{}
	once   sync.Once
}

func (b *breaking) Write(p []byte) (int, error) {
	if b.writes.Add(1) > 1 {
		return 0, syscall.EPIPE
	}
	return b.Conn.Write(p)
}

func (b *breaking) Read(p []byte) (int, error) {
	<-b.seen
	return b.Conn.Read(p)
}

func (b *breaking) SetReadDeadline(t time.Time) error {
	defer b.once.Do(func() { close(b.seen) })
	return b.Conn.SetReadDeadline(t)
}

func (b *breaking) Close() error {
	defer b.once.Do(func() { close(b.seen) })
	return b.Conn.Close()
}

// A server that refuses says so and closes, while the client still writes: its word counts, not the broken pipe. Where
// it said nothing, the failed write is the cause.
func TestARefusalComesBeforeAFailedWrite(t *testing.T) {
	broken := Config{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return &breaking{Conn: nc, seen: make(chan struct{})}, err
	}}
	said := func(word []byte) error {
		c, _ := start(t, broken, func(s *server) {
			simple(s)
			s.send(word)
			s.nc.Close()
		})
		_, err := c.Call(t.Context(), Request{ID: 1, Method: "m"})
		return err
	}
	var refused *ServerError
	err := said(answerFrame(-1, statusFatal, "AccessControlException", "SIMPLE authentication is not enabled", nil))
	if !errors.As(err, &refused) || refused.Code != 15 {
		t.Errorf("refused and closed: %v", err)
	}
	if err = said(nil); !errors.Is(err, ErrLost) || !errors.Is(err, syscall.EPIPE) {
		t.Errorf("closed without a word: %v", err)
	}
}

func TestASilentServerIsPinged(t *testing.T) {
	c, s := start(t, Config{PingAfter: time.Millisecond}, simple)
	go func() {
		first, _ := s.next()
		for id := first; id != callPing; id, _ = s.next() {
			continue
		}
		s.send(answerFrame(first, 0, "", "", proto.Message("ok")))
		_, _ = io.Copy(io.Discard, s.in)
	}()
	if _, err := c.Call(t.Context(), Request{ID: 1, Method: "m"}); err != nil {
		t.Error(err)
	}
}

func TestGarbageEndsTheConnection(t *testing.T) {
	for name, b := range map[string][]byte{
		"too long": {0xff, 0xff, 0xff, 0xff}, "no header": {0, 0, 0, 2, 0x7f, 0}, "bad header": {0, 0, 0, 3, 2, 0x0a, 0x7f},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := start(t, Config{}, simple)
			go func() {
				s.next()
				s.send(b)
			}()
			if _, err := c.Call(t.Context(), Request{ID: 1, Method: "m"}); !errors.Is(err, ErrLost) {
				t.Errorf("garbage: %v", err)
			}
		})
	}
}

// masked protects by turning all bits around, and proves itself by one step.
type masked struct{ done bool }

func (m *masked) Start() ([]byte, error) { return []byte("ticket"), nil }
func (m *masked) Step(b []byte) ([]byte, error) {
	m.done = string(b) == "proof"
	return nil, nil
}
func (m *masked) Done() bool                      { return m.done }
func (m *masked) Security() sasl.Security         { return m }
func (m *masked) Wrap(b []byte) ([]byte, error)   { return mask(b), nil }
func (m *masked) Unwrap(b []byte) ([]byte, error) { return mask(b), nil }

func mask(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = ^b[i]
	}
	return out
}

// wrap gives an answer as a protected message.
func wrap(b []byte) []byte {
	return answerFrame(callSasl, 0, "", "", saslMessage{state: stateWrap, token: mask(b)}.encode())
}

// guarded is the server's side of the exchange.
func guarded(s *server) {
	hello := make([]byte, 7)
	if _, err := io.ReadFull(s.in, hello); err != nil || hello[6] != authSasl {
		s.Errorf("hello %q, %v", hello, err)
	}
	steps := []saslMessage{
		{state: stateNegotiate, auths: []saslAuth{{method: "TOKEN", mechanism: "DIGEST-MD5"}, {method: "KERBEROS", mechanism: "GSSAPI", protocol: "hdfs", server: "nn"}}},
		{state: stateSuccess, token: []byte("proof")},
	}
	for _, m := range steps {
		if id, _ := s.next(); id != callSasl {
			s.Errorf("call %d in the exchange", id)
		}
		s.send(answerFrame(callSasl, 0, "", "", m.encode()))
	}
}

func TestProtectedCalls(t *testing.T) {
	c, s := start(t, Config{Login: func(context.Context) (sasl.Mechanism, error) { return &masked{}, nil }}, guarded)
	go func() {
		s.frame() // the context
		s.frame() // the call
		long := answerFrame(1, 0, "", "", proto.Message(strings.Repeat("x", 100000)))
		both := append(long, answerFrame(2, 0, "", "", proto.Message("y"))...)
		// Protected messages begin and end anywhere in the frames that they carry.
		for len(both) > 0 {
			n := min(30001, len(both))
			s.send(wrap(both[:n]))
			both = both[n:]
		}
	}()
	second := make(chan error, 1)
	one := &call{done: make(chan struct{})}
	c.mu.Lock()
	c.pending[2] = one
	c.mu.Unlock()
	go func() { <-one.done; second <- one.err }()
	body, err := c.Call(t.Context(), Request{ID: 1, Method: "m"})
	if err != nil || len(body) != 100000 {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	if err := <-second; err != nil || string(one.body) != "y" {
		t.Errorf("the second: %q, %v", one.body, err)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(answerFrame(1, 0, "", "", proto.Message("body"))[4:])
	f.Add(answerFrame(-1, 2, "class", "message\n\tat x", nil)[4:])
	f.Add(answerFrame(callSasl, 0, "", "", saslMessage{state: 1, auths: []saslAuth{{method: "SIMPLE"}}}.encode())[4:])
	f.Fuzz(func(t *testing.T, b []byte) {
		h, body, err := parseAnswer(b)
		if err != nil {
			return
		}
		if h.refusal() != nil && body != nil {
			t.Error("a refusal with a body")
		}
		_, _ = proto.Parse(body, readSasl)
	})
}
