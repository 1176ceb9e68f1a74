package journaltest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/journal"
)

var errEnough = errors.New("enough")

func ignore(journal.Event) error { return nil }

func contextWithCancel(s *stage) (context.Context, context.CancelFunc) {
	return context.WithCancel(s.ctx)
}

// changes watches until so many changes have come.
func (s *stage) changes(j journal.Journal, prefix string, after journal.Revision, count int) []journal.Event {
	s.Helper()
	var got []journal.Event
	err := j.Watch(s.ctx, prefix, after, func(e journal.Event) error {
		got = append(got, e)
		if len(got) == count {
			return errEnough
		}
		return nil
	})
	if err != errEnough {
		s.Fatalf("watch %q after %d: %v with %d of %d changes", prefix, after, err, len(got), count)
	}
	return got
}

func describe(events []journal.Event) []string {
	var out []string
	for _, e := range events {
		text := fmt.Sprintf("%d %s=%s", e.Revision, e.Key, e.Value)
		if e.Value == nil {
			text = fmt.Sprintf("%d %s deleted", e.Revision, e.Key)
		}
		if e.Version != e.Revision {
			text += fmt.Sprintf(" with version %d", e.Version)
		}
		out = append(out, text)
	}
	return out
}

func watchOld(s *stage) {
	r1 := s.put("/w/a", "1")
	r2 := s.put("/other", "1")
	r3 := s.commit(s.A, txn("/w/z", "", "/w/b", "2", "/w/a", "3"))
	r4 := s.remove("/w/a")
	r5 := s.put("/w/a", "5")
	want := []string{
		fmt.Sprintf("%d /w/a=1", r1),
		fmt.Sprintf("%d /w/z=", r3), fmt.Sprintf("%d /w/b=2", r3), fmt.Sprintf("%d /w/a=3", r3),
		fmt.Sprintf("%d /w/a deleted", r4),
		fmt.Sprintf("%d /w/a=5", r5),
	}
	for after, skip := range map[journal.Revision]int{0: 0, r1 - 1: 0, r1: 1, r2: 1, r3: 4, r4: 5} {
		got := describe(s.changes(s.B, "/w/", after, len(want)-skip))
		if !slices.Equal(got, want[skip:]) {
			s.Fatalf("after %d: %q, want %q", after, got, want[skip:])
		}
	}
	all := s.changes(s.B, "", 0, len(want)+1)
	if all[1].Key != "/other" {
		s.Fatalf("the empty prefix gave %q", describe(all))
	}
}

// watchEnds: the watcher's own error, and the end of its context.
func watchEnds(s *stage) {
	rev := s.put("/w", "1")
	if err := s.B.Watch(s.ctx, "/w", 0, func(journal.Event) error { return errEnough }); err != errEnough {
		s.Fatalf("got %v, want the watcher's own error", err)
	}
	ctx, cancel := contextWithCancel(s)
	var watching errgroup.Group
	seen := make(chan struct{})
	watching.Go(func() error {
		return s.B.Watch(ctx, "/w", rev, func(journal.Event) error { close(seen); return nil })
	})
	s.put("/w", "2")
	s.wait("the change to come", seen)
	cancel()
	if err := watching.Wait(); !errors.Is(err, context.Canceled) {
		s.Fatalf("got %v, want the context's error", err)
	}
}

// watchAll rebuilds the state from a list and the changes after it, while both handles write. The state could be
// right with changes missing that were overtaken later, so every write is also looked for by itself.
func watchAll(s *stage) {
	const writers, rounds = 4, 100
	var group errgroup.Group
	half, listed := make(chan struct{}), make(chan struct{})
	written := make([][]string, writers)
	for w := range writers {
		group.Go(func() error {
			var err error
			written[w], err = s.writeMany(w, rounds, func(i int) {
				// One writer waits for the list, so that much is written after it, whoever is faster.
				if w == 0 && i == rounds/2 {
					close(half)
					s.wait("the list", listed)
				}
			})
			return err
		})
	}
	s.wait("half of the writes", half)
	entries, rev := s.list(s.B, "/k/")
	close(listed)
	replica := map[string]string{}
	for _, e := range entries {
		replica[e.Key] = string(e.Value)
	}
	if err := group.Wait(); err != nil {
		s.Fatal(err)
	}
	seen := s.follow(replica, rev, s.put("/k/last", ""))
	for _, one := range slices.Concat(written...) {
		if at := revisionOf(one); at > rev && !seen[one] {
			s.Errorf("the watch after %d did not bring %q", rev, one)
		}
	}
	entries, _ = s.list(s.A, "/k/")
	now := map[string]string{}
	for _, e := range entries {
		now[e.Key] = string(e.Value)
	}
	if !maps.Equal(replica, now) {
		s.Fatalf("rebuilt %v, want %v", replica, now)
	}
}

// writeMany makes the commits of one writer and describes each value it put as a watch would.
func (s *stage) writeMany(writer, rounds int, before func(i int)) ([]string, error) {
	j := []journal.Journal{s.A, s.B}[writer%2]
	var put []string
	for i := range rounds {
		before(i)
		t := change(writer, i)
		rev, err := j.Commit(s.ctx, t)
		if err != nil {
			return nil, err
		}
		for _, w := range t.Writes {
			if w.Value != nil {
				e := journal.Entry{Key: w.Key, Value: w.Value, Version: rev}
				put = append(put, describe([]journal.Event{{Entry: e, Revision: rev}})...)
			}
		}
	}
	return put, nil
}

// follow applies all changes after a revision to the replica, up to and with the last, and says what it saw.
func (s *stage) follow(replica map[string]string, after, last journal.Revision) map[string]bool {
	s.Helper()
	seen := map[string]bool{}
	reached := after
	err := s.B.Watch(s.ctx, "/k/", after, func(e journal.Event) error {
		if e.Revision <= after || e.Revision < reached {
			return fmt.Errorf("revision %d came after %d", e.Revision, reached)
		}
		reached = e.Revision
		seen[describe([]journal.Event{e})[0]] = true
		replica[e.Key] = string(e.Value)
		if e.Value == nil {
			delete(replica, e.Key)
		}
		if e.Revision == last {
			return errEnough
		}
		return nil
	})
	if err != errEnough {
		s.Fatal(err)
	}
	return seen
}

// revisionOf reads the revision that describe wrote first.
func revisionOf(described string) journal.Revision {
	var rev journal.Revision
	if _, err := fmt.Sscan(described, &rev); err != nil {
		return 0
	}
	return rev
}

// change is the i-th commit of a writer: it writes one of a few keys and now and then deletes one.
func change(writer, i int) journal.Txn {
	t := txn(fmt.Sprintf("/k/%d", i%7), fmt.Sprintf("%d of writer %d", i, writer), fmt.Sprintf("/k/%d-%d", writer, i%3), "own")
	if i%5 == 0 {
		t.Writes[0].Value = nil
	}
	return t
}

func watchCompacted(s *stage) {
	s.put("/w", "1")
	s.put("/w", "2")
	third := s.put("/w", "3")
	fourth := s.put("/w", "4")
	s.Compact(third)
	s.fails(s.B.Watch(s.ctx, "/w", 0, ignore), journal.ErrCompacted)
	got := s.changes(s.B, "/w", third, 1)
	if got[0].Revision != fourth {
		s.Fatalf("got %q, want revision %d", describe(got), fourth)
	}
	s.has("/w", "4")
	s.fails(s.B.Watch(s.ctx, "/w", fourth+1, ignore), journal.ErrCompacted)
	s.fails(s.B.Watch(s.ctx, "/w", math.MaxInt64-1, ignore), journal.ErrCompacted)
}
