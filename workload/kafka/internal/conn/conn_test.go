package conn

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func fake(t *testing.T, opts ...kfake.Opt) string {
	t.Helper()
	c, err := kfake.NewCluster(append(opts, kfake.NumBrokers(1))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c.ListenAddrs()[0]
}

func dial(t *testing.T, o Options) *Conn {
	t.Helper()
	c, err := Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestManyInFlightAnswerInOrder(t *testing.T) {
	c := dial(t, Options{Addr: fake(t, kfake.SeedTopics(3, "a"))})
	var calls []*Call
	for range 50 {
		call, err := c.Send(t.Context(), kmsg.NewPtrMetadataRequest())
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, call)
	}
	var wg sync.WaitGroup
	for i := range calls {
		wg.Add(1)
		go func() { // the newest waits first as often as not: whoever holds the turn reads for all before it
			defer wg.Done()
			resp, err := calls[len(calls)-1-i].Wait(t.Context())
			if err != nil || len(resp.(*kmsg.MetadataResponse).Brokers) != 1 {
				t.Errorf("call %d: %v %v", i, resp, err)
			}
		}()
	}
	wg.Wait()
}

func TestSASL(t *testing.T) {
	addr := fake(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "u", "p"), kfake.Superuser("SCRAM-SHA-256", "s", "q"))
	good := dial(t, Options{Addr: addr, SASL: plain.Auth{User: "u", Pass: "p"}.AsMechanism()})
	if _, err := good.Do(t.Context(), kmsg.NewPtrMetadataRequest()); err != nil {
		t.Fatal(err)
	}
	dial(t, Options{Addr: addr, SASL: scram.Auth{User: "s", Pass: "q"}.AsSha256Mechanism()})
	if _, err := Dial(t.Context(), Options{Addr: addr, SASL: plain.Auth{User: "u", Pass: "no"}.AsMechanism()}); err == nil {
		t.Fatal("a wrong password was accepted")
	}
}

func TestVersionCaps(t *testing.T) {
	c := dial(t, Options{Addr: fake(t), MaxVersions: map[int16]int16{3: 5}})
	if v, ok := c.Version(3); !ok || v != 5 {
		t.Fatalf("metadata leaves in version %d, %v", v, ok)
	}
	if _, ok := c.Version(999); ok {
		t.Fatal("an unknown key has a version")
	}
}

// counting counts what is written to a socket, and notes that it is to be dropped.
type counting struct {
	net.Conn
	mu      sync.Mutex
	written int
	dropped bool
}

func (c *counting) SetLinger(sec int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped = sec == 0
	return nil
}

// TestWhatHasNoAnswerIsDropped closes with and without a call in flight: only then nothing may be sent after.
func TestWhatHasNoAnswerIsDropped(t *testing.T) {
	for _, asked := range []bool{false, true} {
		var sock *counting
		c := dial(t, Options{Addr: fake(t), Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			sock = &counting{Conn: nc}
			return sock, err
		}})
		if asked {
			if _, err := c.Send(t.Context(), kmsg.NewPtrMetadataRequest()); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if sock.dropped != asked {
			t.Errorf("with a call in flight: %v, dropped: %v", asked, sock.dropped)
		}
	}
}

func (c *counting) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.written += len(b)
	c.mu.Unlock()
	return c.Conn.Write(b)
}

func (c *counting) total() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written
}

func TestNothingIsSentAfterTheLease(t *testing.T) {
	var mu sync.Mutex
	deadline := time.Now().Add(time.Hour)
	var sock *counting
	c := dial(t, Options{
		Addr: fake(t),
		Deadline: func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return deadline
		},
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			sock = &counting{Conn: nc}
			return sock, err
		},
	})
	before := sock.total()
	mu.Lock()
	deadline = time.Now().Add(-time.Nanosecond)
	mu.Unlock()
	if _, err := c.Send(t.Context(), kmsg.NewPtrMetadataRequest()); !errors.Is(err, ErrLease) {
		t.Fatalf("got %v", err)
	}
	if sock.total() != before {
		t.Fatal("bytes left after the lease")
	}
	mu.Lock()
	deadline = time.Now().Add(time.Hour)
	mu.Unlock()
	if _, err := c.Do(t.Context(), kmsg.NewPtrMetadataRequest()); err != nil {
		t.Fatalf("a renewed lease does not open the connection again: %v", err)
	}
}

// mute accepts connections, answers ApiVersions through a real fake, and nothing else.
func mute(t *testing.T) func(ctx context.Context, network, addr string) (net.Conn, error) {
	addr := fake(t)
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		nc, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		return &firstOnly{Conn: nc}, err
	}
}

// firstOnly swallows every write but the first.
type firstOnly struct {
	net.Conn
	n int
}

func (f *firstOnly) Write(b []byte) (int, error) {
	f.n++
	if f.n > 1 {
		return len(b), nil
	}
	return f.Conn.Write(b)
}

func TestSilenceBreaksTheConnection(t *testing.T) {
	c := dial(t, Options{Addr: "x:1", Dial: mute(t), Timeout: 300 * time.Millisecond})
	call, err := c.Send(t.Context(), kmsg.NewPtrMetadataRequest())
	if err != nil {
		t.Fatal(err)
	}
	if _, err = call.Wait(t.Context()); err == nil {
		t.Fatal("silence was taken for an answer")
	}
	if _, err := c.Send(t.Context(), kmsg.NewPtrMetadataRequest()); err == nil {
		t.Fatal("a broken connection takes requests")
	}
}

func TestCancelAndCloseReleaseEveryCaller(t *testing.T) {
	c := dial(t, Options{Addr: "x:1", Dial: mute(t)})
	var calls []*Call
	for range 3 {
		call, err := c.Send(t.Context(), kmsg.NewPtrMetadataRequest())
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, call)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range calls {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if _, err := calls[i].Wait(ctx); err == nil {
				t.Error("an answer came from nowhere")
			}
		}()
	}
	cancel()
	wg.Wait()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := calls[2].Wait(t.Context()); err == nil {
		t.Fatal("a closed connection answered")
	}
}

func TestBoundedAnswer(t *testing.T) {
	c := dial(t, Options{Addr: fake(t, kfake.SeedTopics(200, "wide")), MaxResponse: 2000})
	if _, err := c.Do(t.Context(), kmsg.NewPtrMetadataRequest()); err == nil {
		t.Fatal("an answer beyond the limit was read")
	}
}

func TestBufferMayRefuse(t *testing.T) {
	refuse := errors.New("no memory")
	var asked int
	c, err := Dial(t.Context(), Options{Addr: fake(t), Buffer: func(_ context.Context, n int) ([]byte, error) {
		if asked++; asked > 1 {
			return nil, refuse
		}
		return make([]byte, n), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Do(t.Context(), kmsg.NewPtrMetadataRequest()); !errors.Is(err, refuse) {
		t.Fatalf("got %v", err)
	}
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte{0, 0, 0, 5, 0, 0, 0, 1, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0x7f, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{0, 0, 0, 8, 0, 0, 0, 1, 2, 1, 200, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 1 << 16
		got := 0
		buf, err := readFrame(t.Context(), bytes.NewReader(in), limit, func(_ context.Context, n int) ([]byte, error) {
			got = n
			return make([]byte, n), nil
		})
		if got > limit {
			t.Fatalf("asked for %d bytes", got)
		}
		if err != nil {
			return
		}
		if int(binary.BigEndian.Uint32(in)) != len(buf) {
			t.Fatal("the frame is not what was announced")
		}
		for _, req := range []kmsg.Request{kmsg.NewPtrFetchRequest(), kmsg.NewPtrProduceRequest(), kmsg.NewPtrWriteTxnMarkersRequest()} {
			req.SetVersion(min(req.MaxVersion(), 12))
			k := &Call{req: req, id: 1}
			if _, err := k.parse(buf); err == nil && binary.BigEndian.Uint32(buf) != 1 {
				t.Fatal("an answer to somebody else was taken")
			}
		}
	})
}

func FuzzTags(f *testing.F) {
	f.Add([]byte{0, 7})
	f.Add([]byte{1, 1, 2, 3, 4, 9})
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := skipTags(in)
		if err == nil && !bytes.HasSuffix(in, out) {
			t.Fatal("the body is not the end of the answer")
		}
	})
}

func TestFrameCutShort(t *testing.T) {
	_, err := readFrame(t.Context(), bytes.NewReader([]byte{0, 0, 0, 9, 1, 2}), 100, nil)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("got %v", err)
	}
}
