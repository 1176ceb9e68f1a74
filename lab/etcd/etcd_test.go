package etcd_test

import (
	"context"
	"errors"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/understudy-dr/understudy/lab"
	"github.com/understudy-dr/understudy/lab/etcd"
)

func client(t *testing.T, endpoint string) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// get reads a key, waiting through restarts for as long as the test may take.
func get(t *testing.T, c *clientv3.Client, key string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := c.Get(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Kvs) == 0 {
		return ""
	}
	return string(r.Kvs[0].Value)
}

func put(t *testing.T, c *clientv3.Client, key, value string) {
	t.Helper()
	if _, err := c.Put(t.Context(), key, value); err != nil {
		t.Fatal(err)
	}
}

func TestServerKeepsDataThroughAKill(t *testing.T) {
	s := etcd.Boot(t)
	c := client(t, s.Endpoint())
	put(t, c, "k", "v")
	pid := s.PID()
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("ready again after %v", time.Since(start))
	if got := get(t, c, "k"); got != "v" || s.PID() == pid {
		t.Errorf("after the kill: %q, process %d then %d", got, pid, s.PID())
	}
}

func TestPausedServerAnswersLater(t *testing.T) {
	s := etcd.Boot(t)
	c := client(t, s.Endpoint())
	put(t, c, "k", "v")
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := c.Get(ctx, "k"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a paused server answered: %v", err)
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	if got := get(t, c, "k"); got != "v" {
		t.Errorf("after the pause: %q", got)
	}
}

func TestMemberInThisProcess(t *testing.T) {
	ports, err := lab.Reserve(2)
	if err != nil {
		t.Fatal(err)
	}
	defer ports.Release()
	config := etcd.Config{Dir: t.TempDir(), ClientPort: ports.Numbers[0], PeerPort: ports.Numbers[1]}
	for i, want := range []string{"", "v"} {
		m, err := etcd.Open(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		c := client(t, m.Endpoint())
		if got := get(t, c, "k"); got != want {
			t.Errorf("start %d: %q", i, got)
		}
		put(t, c, "k", "v")
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
