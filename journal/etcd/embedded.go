package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"

	"github.com/understudy-dr/understudy/journal"
)

// Options say where the journal is.
type Options struct {
	// Dir is the data directory of OpenEmbedded, made if it is missing. It holds the lock file "lock" and the
	// folder "etcd".
	Dir string
	// Endpoints are the addresses of OpenEndpoints, such as "https://etcd-1:2379".
	Endpoints []string
	// TLS, Username and Password are those of the endpoints; all may be empty.
	TLS                *tls.Config
	Username, Password string
	// Prefix is put before every key at the endpoints, so that one etcd serves several; a slash is added at its end
	// where there is none. At most 128 bytes, and no prefix may lie within another's.
	Prefix string
	// Timeout bounds every request to the endpoints, the opening too; 5 s when zero.
	Timeout time.Duration
	// Log takes what etcd itself has to say; nothing is logged when nil.
	Log *slog.Logger
	// quota is another quota for tests, in bytes.
	quota int64
}

func (o Options) quotaBytes() int64 {
	if o.quota > 0 {
		return o.quota
	}
	return quotaBytes
}

func (o Options) logger() *slog.Logger {
	if o.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Log.With("part", "journal")
}

func (o Options) timeout() time.Duration {
	if o.Timeout <= 0 {
		return 5 * time.Second
	}
	return o.Timeout
}

// OpenEmbedded runs etcd in this process, as the only member and without any network listener.
//
// It fails with journal.ErrLocked, naming the process, where another one uses the directory. Who led from this
// directory before is dead when the lock is free: its leases are revoked, so that the next Lead need not wait.
// The file of etcd has a quota of 8 GiB, and what is history is dropped in time. Where the quota is met all the same, room
// is made by itself, at the start or before the write is tried again; what is left is journal.open or the write failing
// with US308. The context bounds the opening only.
func OpenEmbedded(ctx context.Context, o Options) (*Journal, error) {
	m, err := openMember(ctx, o)
	if err != nil {
		return nil, err
	}
	j := newJournal(v3client.New(m.server.Server), "", m.stop)
	j.room = newRoom(m, j.client, o)
	j.background(func() { m.follow(j) })
	if err := j.room.reopen(ctx); err != nil {
		return nil, errors.Join(j.wrap(ctx, "journal.open", err), j.Close())
	}
	j.background(func() { j.room.keep(j) })
	if err := j.revokeDead(ctx); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return j, nil
}

// revokeDead revokes the leases of all leaderships. At a single member that nobody else can reach, all of them belong
// to processes of this directory that are dead.
func (j *Journal) revokeDead(ctx context.Context) error {
	const op = "journal.open"
	bound, done, err := j.begin(ctx, op)
	if err != nil {
		return err
	}
	defer done()
	r, err := j.kv.Get(bound, journal.LeaderPrefix, clientv3.WithPrefix())
	if err != nil {
		return j.wrap(ctx, op, err)
	}
	for _, kv := range r.Kvs {
		if _, err := j.leases.Revoke(bound, clientv3.LeaseID(kv.Lease)); err != nil {
			return j.wrap(ctx, op, err)
		}
	}
	return nil
}

// configure describes a member that talks to nobody. The addresses are only its name in its own member list.
func configure(o Options, m *member) *embed.Config {
	nowhere := url.URL{Scheme: "http", Host: "localhost:0"}
	c := embed.NewConfig()
	c.Name = "understudy"
	c.Dir = filepath.Join(o.Dir, "etcd")
	c.ListenPeerUrls, c.ListenClientUrls = nil, nil
	c.AdvertisePeerUrls, c.AdvertiseClientUrls = []url.URL{nowhere}, []url.URL{nowhere}
	c.InitialCluster = c.Name + "=" + nowhere.String()
	// Alone it elects itself: short intervals only make the start quick.
	c.TickMs, c.ElectionMs = 10, 100
	c.AutoCompactionMode, c.AutoCompactionRetention = embed.CompactorModeRevision, "10000"
	c.QuotaBackendBytes = o.quotaBytes()
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(quiet(o.logger(), m.fail))
	return c
}

// timeoutError says that etcd did not become ready.
func timeoutError(ctx context.Context) error {
	return fmt.Errorf("etcd was not ready in time: %w", ctx.Err())
}
