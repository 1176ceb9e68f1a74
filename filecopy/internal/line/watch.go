package line

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// Keepalive probes are acknowledged by the system at the other end, whatever the store does. So they find a way that swallows everything also while an
// answer is waited for, where the request had arrived; on Linux at the end of the silence that we bound, elsewhere after a minute.
const (
	keepAliveIdle     = 15 * time.Second
	keepAliveInterval = 15 * time.Second
	keepAliveCount    = 3
)

// Watch gives the round trips of a transport on connections that it opens and watches. Each carries one request at a time: of those that HTTP/2 has on
// one connection, none could be told to be silent.
func (l Limits) Watch(t *http.Transport) http.RoundTripper {
	w := &watch{limits: l, next: t}
	w.dial = func(ctx context.Context, network, address string, within time.Duration) (net.Conn, error) {
		return (&net.Dialer{Timeout: within, Control: abandonAfter(l.Silence), KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: keepAliveIdle, Interval: keepAliveInterval, Count: keepAliveCount,
		}}).DialContext(ctx, network, address)
	}
	return w.over(t)
}

// watch is what the connections of one transport share.
type watch struct {
	limits Limits
	next   *http.Transport
	dial   func(ctx context.Context, network, address string, within time.Duration) (net.Conn, error)
	// doubted is when the way was last found lost and nothing had been opened since, in nanoseconds; 0 is never.
	doubted atomic.Int64
}

// over takes a transport's connections.
func (w *watch) over(t *http.Transport) http.RoundTripper {
	t.DialContext, t.ForceAttemptHTTP2, t.ResponseHeaderTimeout = w.open, false, 0
	return w
}

// open opens a connection.
func (w *watch) open(ctx context.Context, network, address string) (net.Conn, error) {
	within := w.limits.Open
	if w.doubts() {
		within = min(within, w.limits.Brief)
	}
	c, err := w.dial(ctx, network, address, within)
	if err == nil {
		w.doubted.Store(0)
		return &conn{Conn: c, watch: w}, nil
	}
	if ctx.Err() == nil && late(err) {
		w.doubt()
	}
	return nil, err
}

// late says whether it was time that ended something.
func late(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// RoundTrip has the connection that carries a request know of it.
func (w *watch) RoundTrip(req *http.Request) (*http.Response, error) {
	r := &ride{limits: w.limits}
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn:      func(got httptrace.GotConnInfo) { r.begin(got.Conn) },
		WroteRequest: func(done httptrace.WroteRequestInfo) { r.sent(done.Err) },
		PutIdleConn:  func(error) { r.end() },
	})
	resp, err := w.next.RoundTrip(req.WithContext(ctx))
	if err == nil {
		r.answered()
	}
	return resp, err
}

// CloseIdleConnections closes them.
func (w *watch) CloseIdleConnections() { w.next.CloseIdleConnections() }

// doubt notes that the way was found lost. Connections that wait for their next request may have been lost with the one that was found so. A doubt that
// is there does not grow: to be opened by way of a slow resolver may take longer than it grants.
func (w *watch) doubt() {
	if !w.doubts() {
		w.doubted.Store(time.Now().UnixNano())
	}
	w.next.CloseIdleConnections()
}

// doubts says whether the way is doubted.
func (w *watch) doubts() bool {
	at := w.doubted.Load()
	return at != 0 && time.Since(time.Unix(0, at)) < 2*w.limits.Silence
}
