package journaltest

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/journal"
)

// under gives a transaction that writes one key under a leadership.
func under(l journal.Leadership, key, value string) journal.Txn {
	t := txn(key, value)
	t.Leader = l
	return t
}

// oneLeader lets many campaign: never two at once, and terms grow.
func oneLeader(s *stage) {
	const campaigns = 6
	var leading atomic.Int32
	var term atomic.Int64
	var group errgroup.Group
	for i := range campaigns {
		j := []journal.Journal{s.A, s.B}[i%2]
		group.Go(func() error {
			l, err := j.Lead(s.ctx, "crown", "somebody", s.Lease)
			if err != nil {
				return err
			}
			if leading.Add(1) != 1 {
				return errors.New("two lead at once")
			}
			if before := term.Swap(l.Term()); before >= l.Term() {
				return errors.New("the term did not grow")
			}
			if _, err := j.Commit(s.ctx, under(l, "/crowned", "yes")); err != nil {
				return err
			}
			leading.Add(-1)
			return l.Resign(s.ctx)
		})
	}
	other := s.lead(s.B, "another crown", "b")
	if err := group.Wait(); err != nil {
		s.Fatal(err)
	}
	s.commit(s.A, under(other, "/from another handle", "yes"))
	if err := other.Resign(s.ctx); err != nil {
		s.Fatal(err)
	}
}

// renewal holds a leadership for longer than two leases.
func renewal(s *stage) {
	l := s.lead(s.A, "crown", "a")
	begun := time.Now()
	if d := l.Deadline(); !d.After(begun) || d.After(begun.Add(s.Lease)) {
		s.Fatalf("the deadline is %v away, the lease %v", d.Sub(begun), s.Lease)
	}
	held := time.NewTimer(2*s.Lease + s.Lease/2)
	defer held.Stop()
	select {
	case <-held.C:
	case <-l.Lost():
		s.Fatal("lost although it was renewed")
	}
	if d := l.Deadline(); !d.After(time.Now()) {
		s.Fatalf("the deadline is %v past", time.Since(d))
	}
	s.commit(s.A, under(l, "/still", "leading"))
	s.open("lost although it was renewed", l.Lost())
	if err := l.Resign(s.ctx); err != nil {
		s.Fatal(err)
	}
}

// deposed pauses a leader past its lease: another leads, no sooner than the first one's deadline, and what the first
// one sends when it wakes is refused.
func deposed(s *stage) {
	first := s.lead(s.A, "crown", "a")
	s.commit(s.A, under(first, "/ruler", "a"))
	s.Pause("crown")
	second := s.lead(s.B, "crown", "b")
	if d := first.Deadline(); !d.Before(time.Now()) {
		s.Fatalf("another was elected %v before the deadline of the first", time.Until(d))
	}
	if second.Term() <= first.Term() {
		s.Fatalf("term %d after %d", second.Term(), first.Term())
	}
	for _, j := range []journal.Journal{s.A, s.B} {
		_, err := j.Commit(s.ctx, under(first, "/ruler", "a, still"))
		s.fails(err, journal.ErrDeposed)
	}
	s.has("/ruler", "a")
	s.commit(s.B, under(second, "/ruler", "b"))
	_, err := s.A.Commit(s.ctx, journal.Txn{Leader: first, Guards: []journal.Guard{{Key: "/ruler", Version: 1}}})
	s.fails(err, journal.ErrDeposed)
	s.wait("the first leader to notice", first.Lost())
	s.open("the second leader lost", second.Lost())
	if err := first.Resign(s.ctx); err != nil {
		s.Fatalf("resigning after the loss: %v", err)
	}
	s.commit(s.B, under(second, "/ruler", "b, still"))
	if err := second.Resign(s.ctx); err != nil {
		s.Fatal(err)
	}
}

// resign lets the next lead without waiting for the lease.
func resign(s *stage) {
	const long = time.Hour
	first, err := s.A.Lead(s.ctx, "crown", "a", long)
	if err != nil {
		s.Fatal(err)
	}
	next := make(chan journal.Leadership, 1)
	var waiting errgroup.Group
	waiting.Go(func() error {
		l, err := s.B.Lead(s.ctx, "crown", "b", long)
		next <- l
		return err
	})
	if err := first.Resign(s.ctx); err != nil {
		s.Fatal(err)
	}
	s.wait("the resigned leader to be told", first.Lost())
	if err := waiting.Wait(); err != nil {
		s.Fatal(err)
	}
	second := <-next
	_, err = s.A.Commit(s.ctx, under(first, "/ruler", "a"))
	s.fails(err, journal.ErrDeposed)
	if err := first.Resign(s.ctx); err != nil {
		s.Fatalf("resigning twice: %v", err)
	}
	s.commit(s.B, under(second, "/ruler", "b"))
	if err := second.Resign(s.ctx); err != nil {
		s.Fatal(err)
	}
}

// leaderShows: the leader's key tells who leads, and its changes can be watched.
func leaderShows(s *stage) {
	key := journal.LeaderKey("crown")
	s.absent(key)
	l := s.lead(s.A, "crown", "ada")
	if e := s.get(s.B, key); string(e.Value) != "ada" || int64(e.Version) != l.Term() {
		s.Fatalf("the key says %q at %d, the term is %d", e.Value, e.Version, l.Term())
	}
	if err := l.Resign(s.ctx); err != nil {
		s.Fatal(err)
	}
	s.absent(key)
	events := s.changes(s.B, key, journal.Revision(l.Term())-1, 2)
	if string(events[0].Value) != "ada" || events[1].Value != nil {
		s.Fatalf("watched %q", describe(events))
	}
}

func leadCancelled(s *stage) {
	l := s.lead(s.A, "crown", "a")
	ctx, cancel := contextWithCancel(s)
	var waiting errgroup.Group
	waiting.Go(func() error {
		_, err := s.B.Lead(ctx, "crown", "b", s.Lease)
		return err
	})
	cancel()
	if err := waiting.Wait(); !errors.Is(err, context.Canceled) {
		s.Fatalf("got %v, want the context's error", err)
	}
	s.commit(s.A, under(l, "/ruler", "a"))
	if err := l.Resign(s.ctx); err != nil {
		s.Fatal(err)
	}
	third := s.lead(s.A, "crown", "a again")
	if err := third.Resign(s.ctx); err != nil {
		s.Fatal(err)
	}
}

func leadInvalid(s *stage) {
	long := strings.Repeat("n", journal.MaxKey)
	for _, bad := range []struct {
		name, holder string
		lease        time.Duration
	}{{"", "a", s.Lease}, {"x", "", s.Lease}, {long, "a", s.Lease}, {"x", long + "n", s.Lease}, {"x", "a", 0}, {"x", "a", journal.MinLease - 1}} {
		_, err := s.A.Lead(s.ctx, bad.name, bad.holder, bad.lease)
		s.fails(err, journal.ErrInvalid)
	}
}

// closing ends what waits, refuses what comes, and leaves the other handle alone.
func closing(s *stage) {
	holder := s.lead(s.B, "crown", "b")
	var waiting errgroup.Group
	watched := make(chan struct{})
	waiting.Go(func() error {
		return s.A.Watch(s.ctx, "/w", 0, func(journal.Event) error { close(watched); return nil })
	})
	candidate := make(chan error, 1)
	waiting.Go(func() error {
		_, err := s.A.Lead(s.ctx, "crown", "a", s.Lease)
		candidate <- err
		return nil
	})
	s.put("/w", "1")
	s.wait("the watch to run", watched)
	if err := s.A.Close(); err != nil {
		s.Fatal(err)
	}
	s.fails(waiting.Wait(), journal.ErrClosed)
	s.fails(<-candidate, journal.ErrClosed)
	_, err := s.A.Get(s.ctx, "/w")
	s.fails(err, journal.ErrClosed)
	_, _, err = s.A.List(s.ctx, "/w")
	s.fails(err, journal.ErrClosed)
	_, err = s.A.Commit(s.ctx, txn("/w", "2"))
	s.fails(err, journal.ErrClosed)
	s.fails(s.A.Watch(s.ctx, "/w", 0, ignore), journal.ErrClosed)
	_, err = s.A.Lead(s.ctx, "crown", "a", s.Lease)
	s.fails(err, journal.ErrClosed)
	if err := s.A.Close(); err != nil {
		s.Fatalf("closing twice: %v", err)
	}
	s.commit(s.B, under(holder, "/w", "3"))
	if err := holder.Resign(s.ctx); err != nil {
		s.Fatal(err)
	}
}

// closeLoses: the holder is told at once, the store waits for the lease.
func closeLoses(s *stage) {
	first := s.lead(s.A, "crown", "a")
	if err := s.A.Close(); err != nil {
		s.Fatal(err)
	}
	s.wait("the holder to be told", first.Lost())
	second := s.lead(s.B, "crown", "b")
	if d := first.Deadline(); !d.Before(time.Now()) {
		s.Fatalf("another was elected %v before the deadline of the first", time.Until(d))
	}
	_, err := s.B.Commit(s.ctx, under(first, "/ruler", "a"))
	s.fails(err, journal.ErrDeposed)
	if err := second.Resign(s.ctx); err != nil {
		s.Fatal(err)
	}
}
