package conn

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// abandonAfter is how long the kernel goes on sending bytes that the peer does not acknowledge: no longer than a request
// may take, also when this process is paused meanwhile. On systems other than Linux the kernel decides.
const abandonAfter = 10 * time.Second

// TCP dials plain TCP and gives up after the limit. What the peer does not acknowledge within ten seconds ends the
// connection: without that the kernel would go on for a quarter of an hour, and a request could arrive long after its
// sender had lost its lease.
func TCP(limit time.Duration) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return (&net.Dialer{Timeout: limit, Control: abandonUnacknowledged}).DialContext
}

// TLS dials as TCP does and shakes hands within the same limit. ServerName is taken from the address when empty.
func TLS(limit time.Duration, conf *tls.Config) func(ctx context.Context, network, addr string) (net.Conn, error) {
	dial := TCP(limit)
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		nc, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return secure(ctx, nc, addr, conf)
	}
}

// secure shakes hands on a connection, and closes it where that fails.
func secure(ctx context.Context, nc net.Conn, addr string, conf *tls.Config) (net.Conn, error) {
	conf = conf.Clone()
	if conf.ServerName == "" {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			_ = nc.Close()
			return nil, err
		}
		conf.ServerName = host
	}
	tc := tls.Client(nc, conf)
	if err := tc.HandshakeContext(ctx); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return tc, nil
}

// abandon makes the closing of a connection drop what the kernel has not sent yet, instead of sending it after.
func abandon(nc net.Conn) {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	if l, ok := nc.(interface{ SetLinger(sec int) error }); ok {
		_ = l.SetLinger(0)
	}
}
