// Package journaltest is the conformance suite of the journal: every guarantee of the contract is a case, and every
// implementation runs all of them. It must not know any implementation; a test hands it two handles of one store.
package journaltest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-dr/understudy/journal"
)

// Pair is a fresh, empty store, seen by two processes.
type Pair struct {
	// A and B are independent handles: closing one leaves the other open.
	A, B journal.Journal
	// Pause stops the renewals of A's leadership of a name for good, as when A's process were stopped.
	Pause func(name string)
	// Compact makes the store forget the changes before the revision.
	Compact func(before journal.Revision)
	// Lease is a lease short enough to wait for and long enough to be renewed on a busy machine.
	Lease time.Duration
}

// Open makes a Pair and registers its cleanup.
type Open func(t *testing.T) Pair

// patience bounds every case; a case that waits longer is stuck.
const patience = 2 * time.Minute

// Run shows all guarantees in real time.
func Run(t *testing.T, open Open) {
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) { c.start(t, open) })
	}
}

// Simulate shows all guarantees in a testing/synctest bubble each, where waiting for a lease costs nothing and a
// case that hangs is found at once. The store may use nothing but package time and channels.
func Simulate(t *testing.T, open Open) {
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.start(t, open) })
		})
	}
}

type testCase struct {
	name string
	run  func(s *stage)
}

func cases() []testCase {
	return []testCase{
		{"read what was written", readWritten},
		{"guards", guards},
		{"all or nothing", allOrNothing},
		{"largest and oddest values", values},
		{"odd keys", oddKeys},
		{"limits", limits},
		{"list by prefix at one revision", list},
		{"a list never shows half a commit", wholeCommits},
		{"linearizable", linearizable},
		{"any commits match the model", model},
		{"watch from an old revision", watchOld},
		{"watch ends as told", watchEnds},
		{"watch misses nothing", watchAll},
		{"watch of what is not kept", watchCompacted},
		{"one leader", oneLeader},
		{"a lease is renewed", renewal},
		{"a paused leader is deposed and refused", deposed},
		{"resign", resign},
		{"a leader shows itself", leaderShows},
		{"lead gives up with its context", leadCancelled},
		{"not valid to lead", leadInvalid},
		{"close", closing},
		{"close loses leaderships", closeLoses},
		{"contexts", contexts},
	}
}

func (c testCase) start(t *testing.T, open Open) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c.run(&stage{T: t, ctx: ctx, Pair: open(t)})
}

// stage is one case under way.
type stage struct {
	*testing.T
	Pair
	ctx context.Context
}

// commit writes and must succeed.
func (s *stage) commit(j journal.Journal, t journal.Txn) journal.Revision {
	s.Helper()
	rev, err := j.Commit(s.ctx, t)
	if err != nil {
		s.Fatalf("commit: %v", err)
	}
	return rev
}

// put writes one key.
func (s *stage) put(key, value string) journal.Revision {
	s.Helper()
	return s.commit(s.A, journal.Txn{Writes: []journal.Write{{Key: key, Value: []byte(value)}}})
}

// remove deletes one key.
func (s *stage) remove(key string) journal.Revision {
	s.Helper()
	return s.commit(s.A, journal.Txn{Writes: []journal.Write{{Key: key}}})
}

// get reads one key.
func (s *stage) get(j journal.Journal, key string) journal.Entry {
	s.Helper()
	e, err := j.Get(s.ctx, key)
	if err != nil {
		s.Fatalf("get %q: %v", key, err)
	}
	if e.Key != key {
		s.Fatalf("get %q answered key %q", key, e.Key)
	}
	return e
}

// has checks one key's value, read through both handles.
func (s *stage) has(key, value string) {
	s.Helper()
	for _, j := range []journal.Journal{s.A, s.B} {
		if e := s.get(j, key); e.Version == 0 || e.Value == nil || string(e.Value) != value {
			s.Fatalf("%q is %q at version %d, want %q", key, e.Value, e.Version, value)
		}
	}
}

// absent checks that there is no such key.
func (s *stage) absent(key string) {
	s.Helper()
	if e := s.get(s.B, key); e.Version != 0 || e.Value != nil {
		s.Fatalf("%q is %q at version %d, want it absent", key, e.Value, e.Version)
	}
}

// list reads a prefix through a handle.
func (s *stage) list(j journal.Journal, prefix string) ([]journal.Entry, journal.Revision) {
	s.Helper()
	entries, rev, err := j.List(s.ctx, prefix)
	if err != nil {
		s.Fatalf("list %q: %v", prefix, err)
	}
	return entries, rev
}

// lead becomes the leader and must succeed.
func (s *stage) lead(j journal.Journal, name, holder string) journal.Leadership {
	s.Helper()
	l, err := j.Lead(s.ctx, name, holder, s.Lease)
	if err != nil {
		s.Fatalf("lead %s as %s: %v", name, holder, err)
	}
	return l
}

// wait fails the case when the channel stays open.
func (s *stage) wait(what string, c <-chan struct{}) {
	s.Helper()
	select {
	case <-c:
	case <-s.ctx.Done():
		s.Fatalf("%s: %v", what, s.ctx.Err())
	}
}

// open fails the case when the channel is closed already.
func (s *stage) open(what string, c <-chan struct{}) {
	s.Helper()
	select {
	case <-c:
		s.Fatal(what)
	default:
	}
}

func txn(writes ...string) journal.Txn {
	var t journal.Txn
	for i := 0; i+1 < len(writes); i += 2 {
		t.Writes = append(t.Writes, journal.Write{Key: writes[i], Value: []byte(writes[i+1])})
	}
	return t
}
