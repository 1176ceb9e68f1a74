package etcd

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/journal"
)

// hasCode checks the code of an error, and that the code is explained.
func hasCode(t *testing.T, err error, code understudy.Code) {
	t.Helper()
	var e *understudy.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("got %v, want %s", err, code)
	}
	if _, ok := understudy.Explain(code); !ok {
		t.Errorf("%s has no page", code)
	}
}

func TestOpenEndpointsRefusals(t *testing.T) {
	address := startServer(t)
	_, err := OpenEndpoints(t.Context(), Options{})
	hasCode(t, err, "US310")
	_, err = OpenEndpoints(t.Context(), Options{Endpoints: []string{address}, Prefix: strings.Repeat("p", maxPrefix+1)})
	hasCode(t, err, "US310")
	begun := time.Now()
	_, err = OpenEndpoints(t.Context(), Options{Endpoints: []string{"http://127.0.0.1:1"}, Timeout: 300 * time.Millisecond})
	hasCode(t, err, "US307")
	if waited := time.Since(begun); waited > 10*time.Second {
		t.Errorf("waited %v for an endpoint that does not answer", waited)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := OpenEndpoints(ended, Options{Endpoints: []string{address}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

// TestPrefixesAreApart: two control planes in one etcd neither see nor depose each other.
func TestPrefixesAreApart(t *testing.T) {
	address := startServer(t)
	a, b := openEndpoints(t, address, "/a"), openEndpoints(t, address, "/ab")
	for _, j := range []*Journal{a, b} {
		l, err := j.Lead(t.Context(), "crown", "me", lease)
		if err != nil {
			t.Fatal(err)
		}
		write(t, j, l, "v")
	}
	for _, j := range []*Journal{a, b} {
		found, _, err := j.List(t.Context(), "")
		if err != nil || len(found) != 2 || found[0].Key != journal.LeaderKey("crown") || found[1].Key != "/w" {
			t.Errorf("listed %v (%v)", found, err)
		}
	}
}

// TestLargestTransactionFitsUnderTheLongestPrefix holds the limits of the contract against etcd's own.
func TestLargestTransactionFitsUnderTheLongestPrefix(t *testing.T) {
	j := openEndpoints(t, startServer(t), "/"+strings.Repeat("p", maxPrefix-2))
	l, err := j.Lead(t.Context(), "crown", "me", lease)
	if err != nil {
		t.Fatal(err)
	}
	largest := journal.Txn{Leader: l}
	for i := range journal.MaxOps {
		tail := strings.Repeat("k", journal.MaxKey-1) + string(rune('0'+i))
		key := tail[len(tail)-journal.MaxKey:]
		largest.Guards = append(largest.Guards, journal.Guard{Key: key})
		largest.Writes = append(largest.Writes, journal.Write{Key: key, Value: make([]byte, journal.MaxValue/journal.MaxOps)})
	}
	if _, err := j.Commit(t.Context(), largest); err != nil {
		t.Error(err)
	}
	_, err = j.Commit(t.Context(), largest)
	hasCode(t, err, "US302")
}

func TestFullQuota(t *testing.T) {
	j := openEndpoints(t, startServer(t, func(c *embed.Config) { c.QuotaBackendBytes = 1 << 20 }), "")
	var err error
	for i := 0; err == nil && i < 100; i++ {
		_, err = j.Commit(t.Context(), journal.Txn{Writes: []journal.Write{{Key: "/filler", Value: make([]byte, 256<<10)}}})
	}
	hasCode(t, err, "US308")
	if _, err := j.Get(t.Context(), "/filler"); err != nil {
		t.Errorf("reading with a full quota: %v", err)
	}
}

func TestDeniedAccess(t *testing.T) {
	address := startServer(t)
	admin, err := clientv3.New(clientv3.Config{Endpoints: []string{address}})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	enableAuth(t, admin)
	_, err = OpenEndpoints(t.Context(), Options{Endpoints: []string{address}})
	hasCode(t, err, "US311")
	_, err = OpenEndpoints(t.Context(), Options{Endpoints: []string{address}, Username: "reader", Password: "wrong"})
	hasCode(t, err, "US311")
	j, err := OpenEndpoints(t.Context(), Options{Endpoints: []string{address}, Username: "reader", Password: "secret", Prefix: "/p/"})
	if err != nil {
		t.Fatal(err)
	}
	closeAll(t, j)
	_, err = j.Commit(t.Context(), journal.Txn{Writes: []journal.Write{{Key: "/w", Value: []byte("v")}}})
	hasCode(t, err, "US311")
}

// enableAuth makes a root, and a reader of one prefix, and turns authentication on.
func enableAuth(t *testing.T, admin *clientv3.Client) {
	t.Helper()
	ctx := t.Context()
	steps := []func() error{
		func() error { _, err := admin.UserAdd(ctx, "root", "root"); return err },
		func() error { _, err := admin.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := admin.UserAdd(ctx, "reader", "secret"); return err },
		func() error { _, err := admin.RoleAdd(ctx, "readers"); return err },
		func() error {
			_, err := admin.RoleGrantPermission(ctx, "readers", "/p", "/q", clientv3.PermissionType(clientv3.PermRead))
			return err
		},
		func() error { _, err := admin.UserGrantRole(ctx, "reader", "readers"); return err },
		func() error { _, err := admin.AuthEnable(ctx); return err },
	}
	for i, step := range steps {
		if err := step(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
}
