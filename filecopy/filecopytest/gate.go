package filecopytest

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"sync/atomic"
	"testing"
)

// Gate is a way over HTTP to a server, on which the signatures of requests can be spoiled: then the server refuses them in its own words, as those of
// an account whose keys were changed.
type Gate struct {
	*httptest.Server
	spoils atomic.Pointer[func(*http.Request) bool]
}

// NewGate leads to the server at a host:port until the test ends.
func NewGate(t *testing.T, addr string) *Gate {
	t.Helper()
	g := &Gate{}
	g.Spoil(func(*http.Request) bool { return false })
	g.Server = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			// Some signatures cover the host that the client named.
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", addr, r.In.Host
			if (*g.spoils.Load())(r.In) {
				r.Out.Header.Set("Authorization", r.In.Header.Get("Authorization")[:len(r.In.Header.Get("Authorization"))-4]+"AAA=")
			}
		},
		ErrorLog: log.New(io.Discard, "", 0),
	})
	t.Cleanup(g.Close)
	return g
}

// Addr is the host:port of the gate.
func (g *Gate) Addr() string { return g.Listener.Addr().String() }

// Spoil says from now on which requests are spoiled.
func (g *Gate) Spoil(which func(*http.Request) bool) { g.spoils.Store(&which) }

// Revoke spoils all requests that change something, or really all.
func (g *Gate) Revoke(reading bool) error {
	g.Spoil(func(r *http.Request) bool {
		return reading || r.Method != http.MethodGet && r.Method != http.MethodHead
	})
	return nil
}

// Grant spoils none any more.
func (g *Gate) Grant() error {
	g.Spoil(func(*http.Request) bool { return false })
	return nil
}
