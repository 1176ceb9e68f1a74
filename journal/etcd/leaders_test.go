package etcd

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/journal"
	lab "github.com/understudy-dr/understudy/lab/etcd"
)

// remoteLease is the lease at an etcd in a process of its own.
const remoteLease = 2 * time.Second

// TestStaleLeaderIsRefused stops a process that leads at a real etcd past its lease, lets another lead and write, and
// wakes the first: what it writes is refused.
func TestStaleLeaderIsRefused(t *testing.T) {
	server := lab.Boot(t)
	p := play(t, "remote", server.Endpoint())
	expect(t, p, "committed 20")
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	j := openEndpoints(t, server.Endpoint(), "")
	begun := time.Now()
	l, err := j.Lead(t.Context(), "crown", "parent", remoteLease)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("led %v after the pause of the first leader, whose lease is %v", time.Since(begun).Round(time.Millisecond), remoteLease)
	before, err := j.Get(t.Context(), "/count")
	if err != nil {
		t.Fatal(err)
	}
	write := journal.Txn{Leader: l, Guards: []journal.Guard{{Key: "/count", Version: before.Version}}, Writes: []journal.Write{{Key: "/count", Value: []byte("parent")}}}
	if _, err := j.Commit(t.Context(), write); err != nil {
		t.Fatal(err)
	}
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	expect(t, p, "refused US303")
	expect(t, p, "noticed")
	after, err := j.Get(t.Context(), "/count")
	if err != nil || string(after.Value) != "parent" {
		t.Errorf("the stale leader wrote %q (%v)", after.Value, err)
	}
	if n := lastAcknowledged(t, p); strconv.Itoa(n) != string(before.Value) {
		t.Errorf("the stale leader was told of %d commits, %s are there", n, before.Value)
	}
	if err := l.Resign(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestKilledServerComesBack kills etcd under a leader, a watcher and a candidate: the leader keeps its term when etcd
// is back in time, and the watch has no gap.
func TestKilledServerComesBack(t *testing.T) {
	server := lab.Boot(t)
	a, b := openEndpoints(t, server.Endpoint(), "/p"), openEndpoints(t, server.Endpoint(), "/p")
	l, err := a.Lead(t.Context(), "crown", "a", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	var watching errgroup.Group
	seen := make(chan string, 10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watching.Go(func() error {
		return b.Watch(ctx, "/w", 1, func(e journal.Event) error { seen <- string(e.Value); return nil })
	})
	write(t, a, l, "1")
	if got := <-seen; got != "1" {
		t.Fatalf("watched %q", got)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	a.timeout = time.Second
	_, err = a.Commit(t.Context(), journal.Txn{Leader: l, Writes: []journal.Write{{Key: "/lost", Value: []byte("?")}}})
	a.timeout = time.Minute
	if e := understudy.AsError(err); e == nil || e.Code != "US307" || e.Kind != understudy.KindUnreachable {
		t.Errorf("commit without etcd: %v, want US307", err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Get(t.Context(), "/w"); err != nil {
		t.Fatal(err)
	}
	write(t, a, l, "2")
	if got := <-seen; got != "2" {
		t.Errorf("watched %q", got)
	}
	cancel()
	if err := watching.Wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("the watch ended with %v", err)
	}
	if err := l.Resign(t.Context()); err != nil {
		t.Error(err)
	}
}

func write(t *testing.T, j *Journal, l journal.Leadership, value string) {
	t.Helper()
	if _, err := j.Commit(t.Context(), journal.Txn{Leader: l, Writes: []journal.Write{{Key: "/w", Value: []byte(value)}}}); err != nil {
		t.Fatal(err)
	}
}

// TestPausedServerEndsALeadershipByTheClock stops etcd itself: nobody can tell the leader anything, and it knows by
// its deadline.
func TestPausedServerEndsALeadershipByTheClock(t *testing.T) {
	server := lab.Boot(t)
	j := openEndpoints(t, server.Endpoint(), "")
	begun := time.Now()
	l, err := j.Lead(t.Context(), "crown", "a", remoteLease)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	deadline := l.Deadline()
	if latest := time.Now().Add(remoteLease); deadline.After(latest) || deadline.Before(begun) {
		t.Errorf("the deadline is %v after the lease was asked for", deadline.Sub(begun))
	}
	<-l.Lost()
	if late := time.Since(deadline); late < 0 {
		t.Errorf("lost %v before the deadline", -late)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := j.Get(ctx, "/w"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a read from a stopped etcd: %v", err)
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	next, err := j.Lead(t.Context(), "crown", "b", remoteLease)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Commit(t.Context(), journal.Txn{Leader: l}); !errors.Is(err, journal.ErrDeposed) {
		t.Errorf("the first leader: %v, want ErrDeposed", err)
	}
	if err := next.Resign(t.Context()); err != nil {
		t.Error(err)
	}
}
