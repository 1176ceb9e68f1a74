package proxy_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/understudy-dr/understudy/lab/proxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// path opens a proxy that leads to a server which sends back what it gets.
func path(t *testing.T) *proxy.Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			serving.Go(func() {
				_, _ = io.Copy(c, c)
				c.Close()
			})
		}
	})
	p, err := proxy.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.Forward(l.Addr().String())
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		l.Close()
		serving.Wait()
	})
	return p
}

func dial(t *testing.T, p *proxy.Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// refused dials and reads; the error says how that failed, nil that something was served.
func refused(p *proxy.Proxy) error {
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Read(make([]byte, 1))
	return err
}

// echo sends n bytes, wants them back, and returns how long it took.
func echo(t *testing.T, c net.Conn, n int) time.Duration {
	t.Helper()
	sent, got := bytes.Repeat([]byte("k"), n), make([]byte, n)
	start := time.Now()
	var writing sync.WaitGroup
	writing.Go(func() { _, _ = c.Write(sent) })
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatalf("read back %d bytes: %v", n, err)
	}
	writing.Wait()
	if !bytes.Equal(sent, got) {
		t.Fatal("the bytes changed on the way")
	}
	return time.Since(start)
}

func TestPassesAndCounts(t *testing.T) {
	p := path(t)
	echo(t, dial(t, p), 1<<20)
	got := p.Counts()
	if got.Out != 1<<20 || got.Back != 1<<20 || got.Accepted != 1 || got.Refused != 0 {
		t.Errorf("counts are %+v", got)
	}
}

func TestDelay(t *testing.T) {
	p := path(t)
	c := dial(t, p)
	if d := echo(t, c, 10); d > 50*time.Millisecond {
		t.Errorf("an undelayed echo took %v", d)
	}
	p.Delay(100 * time.Millisecond)
	for range 3 {
		if d := echo(t, c, 10); d < 100*time.Millisecond || d > 400*time.Millisecond {
			t.Errorf("an echo over 100 ms took %v", d)
		}
	}
	p.Set(proxy.Shape{Out: 80 * time.Millisecond})
	if d := echo(t, c, 10); d < 80*time.Millisecond {
		t.Errorf("an echo over 80 ms one way took %v", d)
	}
}

// TestDelayKeepsThroughput shows that a delay is not a pause after each chunk.
func TestDelayKeepsThroughput(t *testing.T) {
	p := path(t)
	p.Delay(100 * time.Millisecond)
	if d := echo(t, dial(t, p), 8<<20); d > 2*time.Second {
		t.Errorf("8 MiB over 100 ms took %v", d)
	}
}

func TestRate(t *testing.T) {
	p := path(t)
	p.Set(proxy.Shape{Rate: 1 << 20})
	if d := echo(t, dial(t, p), 512<<10); d < 480*time.Millisecond {
		t.Errorf("512 KiB at 1 MiB/s took %v", d)
	}
}

func TestCut(t *testing.T) {
	p := path(t)
	c := dial(t, p)
	echo(t, c, 10)
	p.Cut()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("an open connection ended with %v, not with a reset", err)
	}
	if refused(p) == nil {
		t.Error("a new connection was served while the path was cut")
	}
	if p.Counts().Refused == 0 {
		t.Error("no refused connection was counted")
	}
	p.Heal()
	echo(t, dial(t, p), 10)
}

// TestCutAfter cuts once that many bytes have gone by, in the direction that is asked for and not before.
func TestCutAfter(t *testing.T) {
	p := path(t)
	for _, back := range []bool{false, true} {
		cut := p.CutAfter(back, 20)
		c := dial(t, p)
		echo(t, c, 10)
		select {
		case <-cut:
			t.Error("it was cut too early")
		default:
		}
		if _, err := c.Write(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		<-cut
		if refused(p) == nil {
			t.Error("a new connection was served while the path was cut")
		}
		p.Heal()
		echo(t, dial(t, p), 100)
	}
	<-p.CutAfter(false, 0)
	if !p.Shape().Cut {
		t.Error("it was not cut at once")
	}
}

func TestFreeze(t *testing.T) {
	p := path(t)
	c := dial(t, p)
	echo(t, c, 10)
	p.Freeze()
	if _, err := c.Write([]byte("late")); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := c.Read(make([]byte, 4)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a frozen path ended a read with %v", err)
	}
	p.Heal()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	got := make([]byte, 4)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "late" {
		t.Fatalf("after the thaw: %q, %v", got, err)
	}
}

// TestFreezeAfter freezes once that many bytes have gone by, and what comes later arrives after the thaw.
func TestFreezeAfter(t *testing.T) {
	p := path(t)
	c := dial(t, p)
	frozen := p.FreezeAfter(true, 20)
	echo(t, c, 10)
	if p.Shape().Frozen {
		t.Fatal("it was frozen too early")
	}
	echo(t, c, 10)
	<-frozen
	if _, err := c.Write([]byte("late")); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := c.Read(make([]byte, 4)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a frozen path ended a read with %v", err)
	}
	p.Heal()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	got := make([]byte, 4)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "late" {
		t.Errorf("after the thaw: %q, %v", got, err)
	}
	<-p.FreezeAfter(false, 0)
	if !p.Shape().Frozen {
		t.Error("it was not frozen at once")
	}
}

func TestEndOfStreamArrives(t *testing.T) {
	p := path(t)
	c := dial(t, p)
	if _, err := c.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil || string(got) != "last words" {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestLeadsNowhere(t *testing.T) {
	p, err := proxy.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if refused(p) == nil {
		t.Error("a path without an end answered")
	}
}

// TestFlip damages words that come in two pieces, once and each time, in the direction that is asked for.
func TestFlip(t *testing.T) {
	p := path(t)
	c := dial(t, p)
	says := func(want string, pieces ...string) {
		t.Helper()
		got := make([]byte, len(want))
		for at, piece := 0, 0; piece < len(pieces); piece++ {
			if _, err := c.Write([]byte(pieces[piece])); err != nil {
				t.Fatal(err)
			}
			n, err := io.ReadFull(c, got[at:at+len(pieces[piece])])
			if err != nil {
				t.Fatal(err)
			}
			at += n
		}
		if string(got) != want {
			t.Errorf("%q came back as %q, want %q", pieces, got, want)
		}
	}
	p.Flip(false, "words", 1)
	says("some wordS, and words", "some wo", "rds, and", " words")
	p.Flip(true, "words", -1)
	says("wordS and wordSwordS", "w", "ord", "s and wordswords")
	p.Flip(true, "words", 0)
	says("some words", "some words")
	if n := p.Counts().Flipped; n != 4 {
		t.Errorf("%d bytes were flipped", n)
	}
}
