package line_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
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
	client http.Client
}

// over gives a store behind a line of the usual limits.
func over(t *testing.T, serve func(s *store, c *bufio.ReadWriter)) *store {
	s := &store{T: t, serve: serve}
	transport := &http.Transport{}
	s.client.Transport = line.Usual().WatchOver(transport, s.dial)
	t.Cleanup(transport.CloseIdleConnections)
	return s
}

func (s *store) dial(ctx context.Context, _, _ string, within time.Duration) (net.Conn, error) {
	s.opened.Add(1)
	if s.serve == nil {
		wait(ctx, within)
		return nil, &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}
	}
	near, far := net.Pipe()
	go func() {
		s.serve(s, bufio.NewReadWriter(bufio.NewReaderSize(far, window), bufio.NewWriter(far)))
		_, _ = io.Copy(io.Discard, far)
		_ = far.Close()
	}()
	return near, nil
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
func (s *store) ask(ctx context.Context, size int) (time.Duration, error) {
	from := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://store/", bytes.NewReader(make([]byte, size)))
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
func (s *store) ends(ctx context.Context, size int, after time.Duration) {
	s.Helper()
	took, err := s.ask(ctx, size)
	var late net.Error
	if !errors.Is(err, line.ErrSilent) || !errors.As(err, &late) || !late.Timeout() || errors.Is(err, context.DeadlineExceeded) || took != after {
		s.Errorf("after %v: %v, want a silence after %v", took, err, after)
	}
}

// works wants a request to be answered after a time.
func (s *store) works(ctx context.Context, size int, after time.Duration) {
	s.Helper()
	if took, err := s.ask(ctx, size); err != nil || took != after {
		s.Errorf("after %v: %v, want an answer after %v", took, err, after)
	}
}

// TestSilenceEndsARequest has a store fall silent where it can, for good.
func TestSilenceEndsARequest(t *testing.T) {
	const mebibyte = 1 << 20
	for name, c := range map[string]struct {
		serve func(s *store, c *bufio.ReadWriter)
		size  int
		moves int64
		after time.Duration
	}{
		"while it takes the body": {func(s *store, c *bufio.ReadWriter) {
			req := s.head(c)
			wait(s.Context(), 10*time.Second)
			_, _ = io.CopyN(io.Discard, req.Body, 1000)
			wait(s.Context(), time.Hour)
		}, mebibyte, 0, (15 + 75) * time.Second},
		"before it answers":                 {func(s *store, c *bufio.ReadWriter) { s.whole(c) }, 0, 0, 75 * time.Second},
		"before it answers to a body":       {func(s *store, c *bufio.ReadWriter) { s.whole(c) }, mebibyte, 0, 79 * time.Second},
		"before it answers to a copy":       {func(s *store, c *bufio.ReadWriter) { s.whole(c) }, 0, mebibyte, 79 * time.Second},
		"before it answers to a large copy": {func(s *store, c *bufio.ReadWriter) { s.whole(c) }, 0, 5 << 40, 10 * time.Minute},
		"amid its answer": {func(s *store, c *bufio.ReadWriter) {
			s.whole(c)
			s.say(c, answer[:len(answer)-1])
		}, 0, 5 << 40, 75 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := over(t, c.serve)
				s.ends(line.Bytes(t.Context(), c.moves), c.size, c.after)
			})
		})
	}
}

// TestSlowIsNotSilent has a store take or give some bytes a minute, for hours, and answer to a copy when that is done.
func TestSlowIsNotSilent(t *testing.T) {
	const pieces, minute = 200, time.Minute
	for name, c := range map[string]struct {
		serve func(s *store, c *bufio.ReadWriter)
		size  int
		moves int64
		after time.Duration
	}{
		"sending": {func(s *store, c *bufio.ReadWriter) {
			req := s.head(c)
			for range pieces {
				wait(s.Context(), minute)
				_, _ = io.CopyN(io.Discard, req.Body, window)
			}
			s.say(c, answer)
		}, pieces * window, 0, pieces * minute},
		"answering": {func(s *store, c *bufio.ReadWriter) {
			s.whole(c)
			s.say(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", pieces))
			for range pieces {
				wait(s.Context(), minute)
				s.say(c, ".")
			}
		}, 0, 0, pieces * minute},
		"copying": {func(s *store, c *bufio.ReadWriter) {
			s.whole(c)
			wait(s.Context(), 9*minute)
			s.say(c, answer)
		}, 0, 1 << 30, 9 * minute},
		"copying with spaces": {func(s *store, c *bufio.ReadWriter) {
			s.whole(c)
			s.say(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", pieces))
			for range pieces {
				s.say(c, " ")
				wait(s.Context(), minute)
			}
		}, 0, 0, (pieces - 1) * minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := over(t, c.serve)
				s.works(line.Bytes(t.Context(), c.moves), c.size, c.after)
			})
		})
	}
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
			s.works(t.Context(), 10, 0)
			wait(t.Context(), time.Hour)
		}
		if n := s.opened.Load(); n != 1 {
			t.Errorf("%d connections were opened", n)
		}
	})
}

// TestAStoreIsDoubted asks a store that was found silent again: it has little time, until it says something, or for a while.
func TestAStoreIsDoubted(t *testing.T) {
	const usual, brief = 75 * time.Second, 10 * time.Second
	t.Run("SaysNothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := over(t, func(s *store, c *bufio.ReadWriter) { s.whole(c) })
			s.ends(t.Context(), 0, usual)
			for range 11 {
				s.ends(t.Context(), 0, brief)
			}
			if n := s.opened.Load(); n != 12 {
				t.Errorf("%d connections were opened", n)
			}
			wait(t.Context(), time.Minute)
			s.ends(t.Context(), 0, usual)
		})
	})
	t.Run("SaysSomething", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			asked := atomic.Int64{}
			s := over(t, func(s *store, c *bufio.ReadWriter) {
				for s.whole(c) && asked.Add(1) == 2 {
					s.say(c, answer)
				}
			})
			s.ends(t.Context(), 0, usual)
			s.works(t.Context(), 0, 0)
			s.ends(t.Context(), 0, usual)
		})
	})
	t.Run("CannotBeOpened", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := over(t, nil)
			for i, want := range []time.Duration{30 * time.Second, brief, brief} {
				if took, err := s.ask(t.Context(), 0); err == nil || took != want {
					t.Errorf("try %d took %v: %v", i, took, err)
				}
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
			s.works(t.Context(), 0, 0)
		}()
		go func() {
			synctest.Wait()
			close(both)
		}()
		s.works(t.Context(), 0, 0)
		<-done
		frozen.Store(true)
		s.ends(t.Context(), 0, 75*time.Second)
		frozen.Store(false)
		// The other one is lost too.
		s.works(t.Context(), 0, 0)
		if n := s.opened.Load(); n != 3 {
			t.Errorf("%d connections were opened", n)
		}
	})
}
