package hdfs

import (
	"context"
	"io"
	"net"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/sasl"
)

// login is who we are, proved by Kerberos.
type login struct{ cfg Kerberos }

func newLogin(k Kerberos) (*login, error) { return &login{cfg: k}, nil }

func (l *login) close() {}

func (l *login) nameNode(ctx context.Context, address string) (sasl.Mechanism, error) {
	return nil, ErrUnauthenticated
}

// encryptionKey encrypts what flows to and from DataNodes.
type encryptionKey struct{}

// protect agrees with a DataNode on protection.
func (n *dataNodes) protect(ctx context.Context, nc net.Conn, t token) (io.Reader, io.Writer, error) {
	return nc, nc, nil
}
