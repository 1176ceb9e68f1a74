package line_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/filecopy/internal/line"
	"github.com/understudy-dr/understudy/lab/proxy"
)

// short are limits for a way on this machine.
func short(answer time.Duration) line.Limits {
	return line.Limits{Open: 10 * time.Second, Brief: 10 * time.Second, Silence: 300 * time.Millisecond, Answer: answer}
}

// endless is a body, or an answer.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestAFrozenWay freezes the way to a server, which swallows everything and closes nothing, in each phase of a request. It ends, and the next one works
// on a new connection.
func TestAFrozenWay(t *testing.T) {
	const amid = 1 << 20
	for name, secure := range map[string]bool{"HTTP": false, "HTTPS": true} {
		t.Run(name, func(t *testing.T) {
			for name, c := range map[string]struct {
				path string
				body io.Reader
			}{
				"while it writes": {"/take", endless{}},
				"while it waits":  {"/wait", http.NoBody},
				"while it reads":  {"/give", http.NoBody},
			} {
				t.Run(name, func(t *testing.T) { frozen(t, secure, c.path, c.body, amid) })
			}
		})
	}
}

// frozen freezes the way once the server says that it is amid a request.
func frozen(t *testing.T, secure bool, path string, body io.Reader, amid int64) {
	begun, frozen := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/take", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyN(io.Discard, r.Body, amid)
		close(begun)
		_, _ = io.Copy(io.Discard, r.Body)
	})
	mux.HandleFunc("/wait", func(http.ResponseWriter, *http.Request) {
		close(begun)
		<-frozen
	})
	mux.HandleFunc("/give", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.CopyN(w, endless{}, amid)
		close(begun)
		_, _ = io.Copy(w, endless{})
	})
	mux.HandleFunc("/ok", func(http.ResponseWriter, *http.Request) {})
	transport, scheme, start := &http.Transport{}, "http://", httptest.NewServer
	if secure {
		scheme, start = "https://", httptest.NewTLSServer
	}
	server := start(mux)
	defer server.Close()
	if secure {
		transport.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig
	}
	way, err := proxy.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = way.Close() }()
	way.Forward(server.Listener.Addr().String())
	client := http.Client{Transport: short(time.Second).Watch(transport)}
	go func() {
		<-begun
		way.Freeze()
		close(frozen)
	}()
	// The kernel may find a body that is taken by nobody before us.
	if err := ask(t.Context(), &client, scheme+way.Addr()+path, body); !errors.Is(err, line.ErrSilent) && !errors.Is(err, syscall.ETIMEDOUT) {
		t.Errorf("the request ended with %v", err)
	}
	way.Heal()
	if err := ask(t.Context(), &client, scheme+way.Addr()+"/ok", http.NoBody); err != nil {
		t.Errorf("the next request: %v", err)
	}
	if n := way.Counts().Accepted; n != 2 {
		t.Errorf("%d connections were opened", n)
	}
}

// ask sends a body and reads the answer.
func ask(ctx context.Context, client *http.Client, url string, body io.Reader) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, body)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

// TestANarrowWayIsNotSilent moves some megabytes either way, at a rate that takes many times the silence that is allowed for. What is sent goes at once
// into what buffers it, and the answer waits for that.
func TestANarrowWayIsNotSilent(t *testing.T) {
	const size, rate = 2 << 20, 1 << 20
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err == nil && n == size {
			_, _ = io.CopyN(w, endless{}, size)
		}
	}))
	defer server.Close()
	way, err := proxy.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = way.Close() }()
	way.Forward(server.Listener.Addr().String())
	way.Set(proxy.Shape{Rate: rate})
	limits := short(10 * time.Second)
	client := http.Client{Transport: limits.Watch(&http.Transport{})}
	from := time.Now()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+way.Addr(), io.LimitReader(endless{}, size))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = size
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil || n != size || time.Since(from) < 4*limits.Silence {
		t.Errorf("%d bytes came back within %v: %v", n, time.Since(from), err)
	}
}
