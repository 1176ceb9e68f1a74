package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/user"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The document is the contract with clients in other languages: a change of it is a decision, not an accident.
func TestOpenAPIGolden(t *testing.T) {
	got, err := OpenAPI("test")
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "openapi.yaml")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Fatalf("the API changed; if that is meant, UPDATE=1 go test ./api:\n%s", d)
	}
}

// serveHandler answers on a socket in a directory of the test, and gives a client for it.
func serveHandler(t *testing.T, h http.Handler) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, h) }()
	c := NewClient(path)
	t.Cleanup(func() {
		c.Close()
		cancel()
		if err := <-done; err != nil && !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return c
}

func TestErrorsKeepCodeKindAndFix(t *testing.T) {
	for _, kind := range []understudy.ErrorKind{understudy.KindInvalid, understudy.KindDenied, understudy.KindRefused, understudy.KindConflict,
		understudy.KindFenced, understudy.KindNotFound, understudy.KindUnreachable, understudy.KindTimeout, understudy.KindBroken, understudy.KindBug} {
		t.Run(string(kind), func(t *testing.T) {
			sent := &understudy.Error{Code: "US142", Kind: kind, Op: "x", Object: understudy.Object{Plan: "p", Shard: "t-0"},
				Summary: "s", Fix: "f", Err: errors.New("cause")}
			c := serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				p := problem(sent).(*Problem)
				w.WriteHeader(p.Status)
				_ = json.NewEncoder(w).Encode(p)
			}))
			_, err := c.Leader(t.Context())
			var got *understudy.Error
			if !errors.As(err, &got) {
				t.Fatalf("got %v, want a typed error", err)
			}
			if got.Code != sent.Code || got.Kind != kind || got.Fix != "f" || got.Why != "cause" || got.Object != sent.Object {
				t.Fatalf("got %+v", got)
			}
		})
	}
}

// TestAnAnswerThatIsCutOffIsNoFault stops serve while somebody waits for its answer: that is no error to report.
func TestAnAnswerThatIsCutOffIsNoFault(t *testing.T) {
	p := problem(fmt.Errorf("waiting: %w", context.Canceled)).(*Problem)
	if p.Fault.Code != "US502" || p.Fault.Kind != understudy.KindUnreachable || p.Fault.Fix == "" {
		t.Errorf("it is %+v", p.Fault)
	}
	refused := &understudy.Error{Code: "US142", Kind: understudy.KindRefused, Err: context.Canceled}
	if p := problem(refused).(*Problem); p.Fault.Code != "US142" {
		t.Errorf("an error that has a meaning became %+v", p.Fault)
	}
}

func TestCallerIsThePeerOfTheSocket(t *testing.T) {
	var seen string
	c := serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = caller(r.Context())
		_, _ = w.Write([]byte("{}"))
	}))
	if _, err := c.Leader(t.Context()); err != nil {
		t.Fatal(err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if seen != me.Username {
		t.Fatalf("caller %q, want %q", seen, me.Username)
	}
}

func TestUnnamedCallerIsRefused(t *testing.T) {
	w := httptest.NewRecorder()
	named(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/plans", nil))
	if w.Code != http.StatusForbidden {
		t.Fatalf("status %d", w.Code)
	}
	var e *understudy.Error
	if !errors.As(fault(w.Code, w.Body.Bytes()), &e) || e.Code != "US503" {
		t.Fatalf("got %v", e)
	}
}

func TestSocketOfALivingProcessIsRefusedAndADeadOneReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	dead, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(path)
	if err != nil {
		t.Fatalf("a dead socket was in the way: %v", err)
	}
	defer func() { _ = l.Close() }()
	if _, err = Listen(path); understudy.AsError(err).Code != "US510" {
		t.Fatalf("got %v, want US510", err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode().Perm()&0o007 != 0 {
		t.Fatalf("others may use the socket: %v", st.Mode())
	}
}

func TestNobodyAnswers(t *testing.T) {
	c := NewClient(filepath.Join(t.TempDir(), "none"))
	defer c.Close()
	_, err := c.Plans(t.Context())
	e := understudy.AsError(err)
	if e.Code != "US502" || e.Kind != understudy.KindUnreachable {
		t.Fatalf("got %v", err)
	}
}

// A body with a field that the API does not know is refused: a misspelt safety limit must not be ignored.
func TestUnknownFieldIsRefused(t *testing.T) {
	c := serveHandler(t, New(control.New(control.Options{}), "test"))
	_, err := call[control.Started](t.Context(), c, http.MethodPost, "/v1/operations", nil,
		map[string]any{"verb": "failover", "plan": "p", "max-loss": 1})
	e := understudy.AsError(err)
	if e.Code != "US505" || e.Kind != understudy.KindInvalid {
		t.Fatalf("got %v", err)
	}
}

func TestStreamBreaksWithTheTypedError(t *testing.T) {
	c := serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("{\"a\":1}\n"))
		_ = json.NewEncoder(w).Encode(problem(&understudy.Error{Code: "US201", Kind: understudy.KindFenced, Summary: "gone"}))
	}))
	n := 0
	err := c.ExportLedger(t.Context(), "p", "w", "o", func([]byte) error { n++; return nil })
	if n != 1 || understudy.AsError(err).Code != "US201" {
		t.Fatalf("%d lines, then %v", n, err)
	}
}
