package line

import (
	"context"
	"net"
	"net/http"
	"syscall"
	"time"
)

// WatchOver watches connections that a test opens.
func (l Limits) WatchOver(t *http.Transport, dial func(ctx context.Context, network, address string, within time.Duration) (net.Conn, error)) http.RoundTripper {
	return (&watch{limits: l, next: t, dial: dial}).over(t)
}

// AbandonAfter has a kernel give up what nobody acknowledges.
func AbandonAfter(limit time.Duration) func(network, address string, raw syscall.RawConn) error {
	return abandonAfter(limit)
}
