package line_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-dr/understudy/filecopy/internal/line"
)

// window is how many bytes a store takes at once, which the least buffer holds.
const window = 16

// store is the other end of connections in memory, which hold no byte back: what is sent was taken. It goes by a clock that passes when all wait.
type store struct {
	*testing.T
	// serve is what it does with a connection, until it ends; nil never lets one be opened.
	serve  func(s *store, c *bufio.ReadWriter)
	opened atomic.Int64
	// within is how long the last connection had to be opened.
	within    atomic.Int64
	url       string
	transport *http.Transport
	client    http.Client
	// greet has it speak TLS.
	greet func(net.Conn) net.Conn
	// after is when the kernel gives each connection up; 0 is never.
	after time.Duration
}

// over gives a store behind a line of the usual limits.
func over(t *testing.T, serve func(s *store, c *bufio.ReadWriter)) *store {
	s := &store{T: t, serve: serve, url: "http://store/", transport: &http.Transport{}, greet: func(c net.Conn) net.Conn { return c }}
	s.client.Transport = line.Usual().WatchOver(s.transport, s.dial)
	t.Cleanup(s.transport.CloseIdleConnections)
	return s
}

// secure has the store speak TLS, and what it sends take a time, beginning by its first bytes.
func (s *store) secure(lag time.Duration) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		s.Fatal(err)
	}
	s.url, s.transport.TLSClientConfig = "https://store/", &tls.Config{InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	s.greet = func(c net.Conn) net.Conn {
		return tls.Server(lagging{c, s.Context(), lag}, &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}},
			// Only then Go's server sends its tickets after the client's last word, as others do.
			ClientAuth: tls.RequestClientCert,
		})
	}
}

// lagging is a connection that sends late.
type lagging struct {
	net.Conn
	ctx context.Context
	lag time.Duration
}

func (l lagging) Write(p []byte) (int, error) {
	wait(l.ctx, l.lag)
	return l.Conn.Write(p)
}

func (s *store) dial(ctx context.Context, _, _ string, within time.Duration) (net.Conn, error) {
	s.opened.Add(1)
	s.within.Store(int64(within))
	if s.serve == nil {
		wait(ctx, within)
		return nil, &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}
	}
	near, under := net.Pipe()
	far := s.greet(under)
	go func() {
		s.serve(s, bufio.NewReadWriter(bufio.NewReaderSize(far, window), bufio.NewWriter(far)))
		_, _ = io.Copy(io.Discard, far)
		_ = far.Close()
	}()
	if s.after > 0 {
		return givenUp{near, s.Context(), s.after}, nil
	}
	return near, nil
}

// givenUp is a connection that the kernel gives up.
type givenUp struct {
	net.Conn
	ctx   context.Context
	after time.Duration
}

func (g givenUp) Read([]byte) (int, error) {
	wait(g.ctx, g.after)
	return 0, &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ETIMEDOUT)}
}

// wait lets time pass.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// head takes the head of a request.
func (s *store) head(c *bufio.ReadWriter) *http.Request {
	req, err := http.ReadRequest(c.Reader)
	if err != nil {
		return nil
	}
	return req
}

// whole takes a request with its body.
func (s *store) whole(c *bufio.ReadWriter) bool {
	req := s.head(c)
	if req == nil {
		return false
	}
	_, err := io.Copy(io.Discard, req.Body)
	return err == nil
}

// say sends text.
func (s *store) say(c *bufio.ReadWriter, text string) {
	_, _ = c.WriteString(text)
	_ = c.Flush()
}

// answer is a whole one.
const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// ask sends a body of a size and reads the answer; it says how long that took.
func (s *store) ask(size int) (time.Duration, error) {
	from := time.Now()
	req, err := http.NewRequestWithContext(s.Context(), http.MethodPut, s.url, bytes.NewReader(make([]byte, size)))
	if err != nil {
		return 0, err
	}
	resp, err := s.client.Do(req)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		err = errors.Join(err, resp.Body.Close())
	}
	return time.Since(from), err
}

// ends wants a request to end for silence after a time.
func (s *store) ends(size int, after time.Duration) {
	s.Helper()
	took, err := s.ask(size)
	var late net.Error
	if !errors.Is(err, line.ErrSilent) || !errors.As(err, &late) || !late.Timeout() || errors.Is(err, context.DeadlineExceeded) || took != after {
		s.Errorf("after %v: %v, want a silence after %v", took, err, after)
	}
}

// works wants a request to be answered after a time.
func (s *store) works(size int, after time.Duration) {
	s.Helper()
	if took, err := s.ask(size); err != nil || took != after {
		s.Errorf("after %v: %v, want an answer after %v", took, err, after)
	}
}

// TestSilenceEndsARequest has a store fall silent where it can, for good.
func TestSilenceEndsARequest(t *testing.T) {
	const mebibyte = 1 << 20
	for name, c := range map[string]struct {
		serve func(s *store, c *bufio.ReadWriter)
		size  int
		after time.Duration
	}{
		"while it takes the body": {func(s *store, c *bufio.ReadWriter) {
			req := s.head(c)
			wait(s.Context(), 10*time.Second)
			_, _ = io.CopyN(io.Discard, req.Body, 1000)
			wait(s.Context(), time.Hour)
		}, mebibyte, 144 * time.Second},
		"before it answers":           {func(s *store, c *bufio.ReadWriter) { s.whole(c) }, 0, 10 * time.Minute},
		"before it answers to a body": {func(s *store, c *bufio.ReadWriter) { s.whole(c) }, mebibyte, 10 * time.Minute},
		"amid its answer": {func(s *store, c *bufio.ReadWriter) {
			s.whole(c)
			s.say(c, answer[:len(answer)-1])
		}, 0, 2 * time.Minute},
		"amid an answer that came early": {func(s *store, c *bufio.ReadWriter) {
			req := s.head(c)
			s.say(c, answer[:len(answer)-1])
			_, _ = io.Copy(io.Discard, req.Body)
		}, mebibyte, 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { over(t, c.serve).ends(c.size, c.after) })
		})
	}
}

// TestSilenceAmidAHead has a store begin an answer, and fall silent: what reads it asks again after an error.
func TestSilenceAmidAHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := over(t, func(s *store, c *bufio.ReadWriter) {
			s.whole(c)
			s.say(c, answer[:17])
		})
		if took, err := s.ask(0); err == nil || took != 10*time.Minute {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

// TestSlowIsNotSilent has a store take or give some bytes a minute, for hours, and take long until it answers.
func TestSlowIsNotSilent(t *testing.T) {
	const pieces, minute = 200, time.Minute
	late := func(before string) func(s *store, c *bufio.ReadWriter) {
		return func(s *store, c *bufio.ReadWriter) {
			s.whole(c)
			s.say(c, before)
			wait(s.Context(), 9*minute)
			s.say(c, answer)
		}
	}
	for name, c := range map[string]struct {
		serve func(s *store, c *bufio.ReadWriter)
		size  int
		after time.Duration
	}{
		"sending": {func(s *store, c *bufio.ReadWriter) {
			req := s.head(c)
			for range pieces {
				wait(s.Context(), minute)
				_, _ = io.CopyN(io.Discard, req.Body, window)
			}
			s.say(c, answer)
		}, pieces * window, pieces * minute},
		"answering": {func(s *store, c *bufio.ReadWriter) {
			s.whole(c)
			s.say(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", pieces))
			for range pieces {
				wait(s.Context(), minute)
				s.say(c, ".")
			}
		}, 0, pieces * minute},
		"working":                {late(""), 0, 9 * minute},
		"working on a body":      {late(""), 1 << 20, 9 * minute},
		"working, and saying so": {late("HTTP/1.1 102 Processing\r\n\r\n"), 0, 9 * minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { over(t, c.serve).works(c.size, c.after) })
		})
	}
}

// TestAGreetingIsNoAnswer has a server's tickets of TLS, which come a round trip after its greeting, arrive when the request was sent.
func TestAGreetingIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := over(t, func(s *store, c *bufio.ReadWriter) {
			s.whole(c)
			wait(s.Context(), 9*time.Minute)
			s.say(c, answer)
		})
		const lag = time.Second
		s.secure(lag)
		s.works(0, 3*lag+9*time.Minute)
	})
}

// TestIdleIsNotSilent has a connection wait for its next request for an hour.
func TestIdleIsNotSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := over(t, func(s *store, c *bufio.ReadWriter) {
			for s.whole(c) {
				s.say(c, answer)
			}
		})
		for range 3 {
			s.works(10, 0)
			wait(t.Context(), time.Hour)
		}
		if n := s.opened.Load(); n != 1 {
			t.Errorf("%d connections were opened", n)
		}
	})
}

// TestAWayIsDoubted tries a way again that was found lost: it has little time to be opened, until it is, or for a while. Where it can be opened, a
// request has all of its time.
func TestAWayIsDoubted(t *testing.T) {
	const usual, brief, silence, answers = 30 * time.Second, 10 * time.Second, 2 * time.Minute, 10 * time.Minute
	opened := func(s *store, want time.Duration) {
		t.Helper()
		if got := time.Duration(s.within.Load()); got != want {
			s.Errorf("there were %v to open a connection, want %v", got, want)
		}
	}
	t.Run("CannotBeOpened", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := over(t, nil)
			for i, want := range []time.Duration{usual, brief, brief} {
				if took, err := s.ask(0); err == nil || took != want {
					t.Errorf("try %d took %v: %v", i, took, err)
				}
			}
			wait(t.Context(), 2*silence)
			if took, err := s.ask(0); err == nil || took != usual {
				t.Errorf("a later try took %v: %v", took, err)
			}
		})
	})
	t.Run("SaysNothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			asked := atomic.Int64{}
			s := over(t, func(s *store, c *bufio.ReadWriter) {
				for s.whole(c) && asked.Add(1) > 2 {
					wait(s.Context(), answers-time.Second)
					s.say(c, answer)
				}
			})
			s.ends(0, answers)
			opened(s, usual)
			s.ends(0, answers)
			opened(s, brief)
			s.works(0, answers-time.Second)
			s.works(0, answers-time.Second)
			if n := s.opened.Load(); n != 3 {
				t.Errorf("%d connections were opened", n)
			}
		})
	})
	t.Run("TheKernelGaveItUp", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := over(t, func(s *store, c *bufio.ReadWriter) {
				s.head(c)
				wait(s.Context(), time.Hour)
			})
			s.after = time.Minute
			for _, want := range []time.Duration{usual, brief} {
				if took, err := s.ask(1 << 20); took != time.Minute || err == nil {
					t.Errorf("after %v: %v", took, err)
				}
				opened(s, want)
			}
		})
	})
}

// TestOthersWereLostToo finds one of two connections silent: the other, which waits for its next request, is not used again.
func TestOthersWereLostToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		frozen := atomic.Bool{}
		both := make(chan struct{})
		s := over(t, func(s *store, c *bufio.ReadWriter) {
			for s.whole(c) && !frozen.Load() {
				<-both
				s.say(c, answer)
			}
		})
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.works(0, 0)
		}()
		go func() {
			synctest.Wait()
			close(both)
		}()
		s.works(0, 0)
		<-done
		frozen.Store(true)
		s.ends(0, 10*time.Minute)
		frozen.Store(false)
		// The other one is lost too.
		s.works(0, 0)
		if n := s.opened.Load(); n != 3 {
			t.Errorf("%d connections were opened", n)
		}
	})
}

// TestAFarewellIsShort closes a connection to a store that takes nothing any more: TLS gives its farewell five seconds.
func TestAFarewellIsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := over(t, func(s *store, c *bufio.ReadWriter) {
			s.whole(c)
			s.say(c, answer)
			wait(s.Context(), time.Hour)
		})
		s.secure(0)
		s.works(0, 0)
		from := time.Now()
		s.transport.CloseIdleConnections()
		if took := time.Since(from); took != 5*time.Second {
			t.Errorf("to close it took %v", took)
		}
		s.works(0, 0)
		if got := time.Duration(s.within.Load()); got != line.Usual().Open {
			t.Errorf("the way is doubted: there were %v to open a connection", got)
		}
	})
}
