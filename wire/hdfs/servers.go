package hdfs

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/rpc"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/sasl"
)

// Waits between two rounds of asking.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = 2 * time.Second
	pingAfter  = 20 * time.Second
)

// servers finds the NameNode that answers, and stays with it until it no longer does.
// A call that is repeated keeps its number: NameNodes remember recent calls that must not be done twice (their retry cache), also over a failover.
type servers struct {
	client *Client
	sent   atomic.Int64
	// patience is how long a call looks for a NameNode that answers.
	patience time.Duration

	mu      sync.Mutex
	current int
	conn    *rpc.Conn
	// opening is closed when the connection being made is there or has failed.
	opening chan struct{}
	closed  bool
}

func newServers(c *Client) *servers { return &servers{client: c, patience: c.opts.RetryFor} }

// attempt is one try of a call: the server asked, and what came of it.
type attempt struct {
	index  int
	server string
	body   []byte
	err    error
}

// call asks until a NameNode answers, one refuses for good, or patience ends.
func (s *servers) call(ctx context.Context, path string, r rpc.Request) ([]byte, error) {
	return s.ask(ctx, r.Method, path, s.patience, func() attempt {
		a := s.try(ctx, r)
		r.Retry++
		return a
	})
}

// ask makes tries of a call until a NameNode answers, one refuses for good, or patience ends; each is tried once whatever that is.
func (s *servers) ask(ctx context.Context, method, path string, patience time.Duration, try func() attempt) ([]byte, error) {
	began := time.Now()
	for round := 0; ; round++ {
		if err := context.Cause(ctx); err != nil {
			return nil, &Error{Op: method, Path: path, Err: err}
		}
		a := try()
		if a.err == nil {
			return a.body, nil
		}
		err := wrap(method, path, a.server, a.err)
		if ctx.Err() != nil || !s.worthRepeating(err, a) {
			return nil, err
		}
		if round+1 >= len(s.client.opts.NameNodes) && time.Since(began) >= patience {
			return nil, err
		}
		if sleep(ctx, s.pause(round)) != nil {
			return nil, err
		}
	}
}

// pause is how long to wait after the given number of tries: nothing before the other NameNodes were asked once, then longer and longer.
// A part of it is random, so that many callers do not come back as one.
func (s *servers) pause(round int) time.Duration {
	turns := round + 1 - (len(s.client.opts.NameNodes) - 1)
	if turns <= 0 {
		return 0
	}
	d := min(firstPause<<min(turns, 10), lastPause)
	return d/2 + rand.N(d/2)
}

// worthRepeating judges a failure, and turns to the next NameNode where another one may answer.
func (s *servers) worthRepeating(err error, a attempt) bool {
	if errors.Is(err, ErrClosed) {
		return false
	}
	if errors.Is(err, ErrStandby) || errors.Is(err, ErrUnavailable) || errors.Is(err, rpc.ErrLost) || errors.Is(err, ErrTimeout) {
		s.turn(a.index)
		return true
	}
	return errors.Is(err, ErrRetriable)
}

// try asks the current NameNode once.
func (s *servers) try(ctx context.Context, r rpc.Request) attempt {
	conn, a := s.connection(ctx)
	if a.err != nil {
		return a
	}
	s.sent.Add(1)
	bounded, cancel := context.WithTimeoutCause(ctx, s.client.opts.CallTimeout, ErrTimeout)
	defer cancel()
	a.body, a.err = conn.Call(bounded, r)
	if errors.Is(a.err, rpc.ErrClosed) {
		a.err = s.whyClosed()
	}
	if ctx.Err() == nil && errors.Is(a.err, ErrTimeout) && conn.Silent() >= s.client.opts.CallTimeout {
		// Nothing at all came while we waited: the server or the way to it is gone, and others must not wait for it too.
		conn.Fail(rpc.ErrLost)
	}
	return a
}

// apart asks the current NameNode once in another protocol, over a connection of its own.
func (s *servers) apart(ctx context.Context, protocol string, r rpc.Request) attempt {
	s.mu.Lock()
	a, closed := attempt{index: s.current, server: s.client.opts.NameNodes[s.current]}, s.closed
	s.mu.Unlock()
	if closed {
		a.err = ErrClosed
		return a
	}
	bounded, cancel := context.WithTimeoutCause(ctx, s.client.opts.CallTimeout, ErrTimeout)
	defer cancel()
	conn, err := s.dialFor(bounded, a.server, protocol)
	if err != nil {
		a.err = err
		return a
	}
	defer conn.Close()
	s.sent.Add(1)
	a.body, a.err = conn.Call(bounded, r)
	return a
}

// whyClosed tells a connection given up for another server from a client that was closed.
func (s *servers) whyClosed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	return rpc.ErrLost
}

// connection gives the connection to the current NameNode, which one caller opens while others wait for it.
func (s *servers) connection(ctx context.Context) (*rpc.Conn, attempt) {
	for {
		s.mu.Lock()
		a := attempt{index: s.current, server: s.client.opts.NameNodes[s.current]}
		if s.closed {
			s.mu.Unlock()
			a.err = ErrClosed
			return nil, a
		}
		if s.conn != nil && s.conn.Broken() == nil {
			conn := s.conn
			s.mu.Unlock()
			return conn, a
		}
		if s.opening == nil {
			done := make(chan struct{})
			s.opening = done
			s.mu.Unlock()
			a.err = s.open(ctx, a, done)
			if a.err != nil {
				return nil, a
			}
			continue
		}
		opening := s.opening
		s.mu.Unlock()
		select {
		case <-opening:
		case <-ctx.Done():
			a.err = context.Cause(ctx)
			return nil, a
		}
	}
}

// open connects to a NameNode and puts the connection in place.
func (s *servers) open(ctx context.Context, a attempt, done chan struct{}) error {
	conn, err := s.dial(ctx, a.server)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opening = nil
	close(done)
	if err != nil {
		return err
	}
	if s.closed || s.current != a.index {
		// The client was closed, or went to another NameNode meanwhile.
		conn.Fail(rpc.ErrLost)
		return rpc.ErrLost
	}
	s.conn = conn
	return nil
}

// dial connects to one NameNode.
func (s *servers) dial(ctx context.Context, server string) (*rpc.Conn, error) {
	return s.dialFor(ctx, server, clientProtocol)
}

// dialFor connects to one NameNode, to speak the given protocol.
func (s *servers) dialFor(ctx context.Context, server, protocol string) (*rpc.Conn, error) {
	o := s.client.opts
	cfg := rpc.Config{
		Address: server, Dial: o.Dial, Protocol: protocol, ClientID: s.client.id, User: o.User,
		Timeout: o.CallTimeout, PingAfter: pingAfter,
	}
	if s.client.login != nil {
		cfg.User = ""
		cfg.Login = func(ctx context.Context) (sasl.Mechanism, error) { return s.client.login.nameNode(ctx, server) }
	}
	conn, err := rpc.Connect(ctx, cfg)
	var refused *rpc.ServerError
	if errors.As(err, &refused) && refused.Code == codeUnauthorized && s.client.login != nil {
		return nil, s.client.login.turnedAway(server, err)
	}
	if err == nil || ctx.Err() != nil || refused != nil || errors.Is(err, ErrUnauthenticated) {
		return conn, err
	}
	if errors.Is(err, rpc.ErrNoKerberos) {
		return nil, errors.Join(ErrUnauthenticated, err)
	}
	return nil, errors.Join(ErrUnavailable, err)
}

// turn goes on to the next NameNode, unless another caller did so since this one asked. What is in flight at the old one is asked again.
func (s *servers) turn(from int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.current != from || len(s.client.opts.NameNodes) == 1 {
		return
	}
	s.current = (from + 1) % len(s.client.opts.NameNodes)
	if old := s.conn; old != nil {
		s.conn = nil
		old.Fail(rpc.ErrLost)
		s.client.background.Go(old.Close)
	}
}

// active is the address of the NameNode that calls go to now.
func (s *servers) active() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client.opts.NameNodes[s.current]
}

// close ends the connection; later calls get ErrClosed.
func (s *servers) close() {
	s.mu.Lock()
	s.closed = true
	conn := s.conn
	s.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
}
