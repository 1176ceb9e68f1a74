package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/understudy-dr/understudy/journal"
)

// maxPrefix keeps the largest transaction below etcd's limit for one request, 1.5 MiB, when every key carries it.
const maxPrefix = 128

// OpenEndpoints uses an etcd of the customer's own. It fails when none of the endpoints answers a linearizable read
// in time. The context bounds the opening only.
func OpenEndpoints(ctx context.Context, o Options) (*Journal, error) {
	const op = "journal.open"
	if len(o.Endpoints) == 0 {
		return nil, unusable(errors.New("no endpoint is given"), "it needs endpoints")
	}
	if o.Prefix != "" && !strings.HasSuffix(o.Prefix, "/") {
		// So that "/a" is not the beginning of "/ab".
		o.Prefix += "/"
	}
	if len(o.Prefix) > maxPrefix {
		return nil, unusable(fmt.Errorf("the prefix has %d bytes, the limit is %d", len(o.Prefix), maxPrefix), "its prefix is too long")
	}
	failed := func(string, error) {}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: o.Endpoints, TLS: o.TLS, Username: o.Username, Password: o.Password,
		DialTimeout: o.timeout(), DialKeepAliveTime: 5 * time.Second, DialKeepAliveTimeout: 5 * time.Second,
		PermitWithoutStream: true,
		Logger:              quiet(o.logger(), failed),
	})
	if err != nil {
		return nil, classify(op, err, true)
	}
	j := newJournal(client, o.Prefix, func() {})
	j.remote, j.timeout = true, o.timeout()
	asking, cancel := context.WithTimeout(ctx, o.timeout())
	defer cancel()
	if _, err := client.Get(asking, o.Prefix+journal.LeaderPrefix, clientv3.WithCountOnly()); err != nil {
		// The client's only error here is that its context has ended.
		_ = j.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, classify(op, err, true)
	}
	return j, nil
}
