package etcd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/goleak"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/understudy-dr/understudy/journal"
	"github.com/understudy-dr/understudy/journal/journaltest"
)

func TestMain(m *testing.M) {
	if child() {
		return
	}
	goleak.VerifyTestMain(m)
}

// lease is the shortest that etcd grants here.
const lease = time.Second

// stuckLeases holds back every renewal while it is stuck, as a process does that is stopped.
type stuckLeases struct {
	clientv3.Lease
	mu    sync.Mutex
	stuck bool
}

// KeepAliveOnce waits for its context while the leases are stuck.
func (s *stuckLeases) KeepAliveOnce(ctx context.Context, id clientv3.LeaseID) (*clientv3.LeaseKeepAliveResponse, error) {
	s.mu.Lock()
	stuck := s.stuck
	s.mu.Unlock()
	if stuck {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Lease.KeepAliveOnce(ctx, id)
}

func (s *stuckLeases) stick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stuck = true
}

// pair makes the conformance suite's pair of two handles.
func pair(t *testing.T, a, b *Journal) journaltest.Pair {
	leases := &stuckLeases{Lease: a.leases}
	a.leases = leases
	return journaltest.Pair{
		A: a, B: b, Lease: lease,
		Pause: func(string) { leases.stick() },
		Compact: func(before journal.Revision) {
			if _, err := b.client.Compact(t.Context(), int64(before)); err != nil {
				t.Error(err)
			}
		},
	}
}

func closeAll(t *testing.T, journals ...*Journal) {
	t.Cleanup(func() {
		for _, j := range journals {
			if err := j.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func openEmbedded(t *testing.T, dir string) *Journal {
	t.Helper()
	j, err := OpenEmbedded(t.Context(), Options{Dir: dir, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestConformanceEmbedded(t *testing.T) {
	journaltest.Run(t, func(t *testing.T) journaltest.Pair {
		m, err := openMember(t.Context(), Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.stop)
		a := newJournal(v3client.New(m.server.Server), "", func() {})
		b := newJournal(v3client.New(m.server.Server), "", func() {})
		closeAll(t, a, b)
		return pair(t, a, b)
	})
}

func TestConformanceEndpoints(t *testing.T) {
	journaltest.Run(t, func(t *testing.T) journaltest.Pair {
		address, prefix := startServer(t), "/customer/1"
		a, b := openEndpoints(t, address, prefix), openEndpoints(t, address, prefix)
		return pair(t, a, b)
	})
}

func openEndpoints(t *testing.T, address, prefix string) *Journal {
	t.Helper()
	j, err := OpenEndpoints(t.Context(), Options{Endpoints: []string{address}, Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	closeAll(t, j)
	return j
}

// startServer runs an etcd with a listener on the loopback, as a customer's own, and gives its address.
func startServer(t *testing.T, change ...func(*embed.Config)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := url.URL{Scheme: "http", Host: l.Addr().String()}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	m := &member{failed: make(chan struct{})}
	c := configure(Options{Dir: t.TempDir()}, m)
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{address}, []url.URL{address}
	for _, f := range change {
		f(c)
	}
	e, err := embed.StartEtcd(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	select {
	case <-e.Server.ReadyNotify():
	case <-t.Context().Done():
		t.Fatal(errors.Join(t.Context().Err(), errors.New("etcd was not ready")))
	}
	return address.String()
}
