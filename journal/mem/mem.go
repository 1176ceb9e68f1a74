// Package mem keeps a journal in memory, with all guarantees of the contract except surviving the process, and lets
// tests stop a commit, depose or pause a leader and copy the whole state. It must not know what the entries mean,
// and the product never uses it outside tests and the demo.
//
// It reads time from package time only, so tests that need to wait for leases run in a testing/synctest bubble.
package mem

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/understudy-dr/understudy/journal"
)

// Store is the state that several handles share, as several processes share one etcd.
type Store struct {
	mu      sync.Mutex
	entries map[string]journal.Entry
	// keys are those of the entries, in order.
	keys []string
	// log holds the changes after the revision compacted, in order.
	log       []journal.Event
	rev       journal.Revision
	compacted journal.Revision
	leaders   map[string]*leadership
	// changed is closed and replaced at every change: what waits for the store waits for it.
	changed chan struct{}
}

// NewStore gives an empty store at revision 1, as etcd's.
func NewStore() *Store {
	return &Store{
		entries: map[string]journal.Entry{}, rev: 1,
		leaders: map[string]*leadership{}, changed: make(chan struct{}),
	}
}

// Options are what a test may hook into a handle.
type Options struct {
	// BeforeCommit is called before every valid Commit; its error is returned and nothing is written, as when the
	// process had died just before the append.
	BeforeCommit func(journal.Txn) error
	// AfterCommit is called after every Commit that was applied; its error is returned although the writes are
	// there, as when the process had died just after the append.
	AfterCommit func(journal.Txn) error
}

// Open gives a handle of the store. Handles are independent: closing one leaves the others as they are.
func (s *Store) Open(o Options) *Journal {
	return &Journal{store: s, options: o, closed: make(chan struct{})}
}

// Clone copies the state as it is now into a store of its own. Nobody leads in the copy: it is what a process finds
// that starts after the crash of all others. Leaderships of the original are deposed there.
func (s *Store) Clone() *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := NewStore()
	for key, e := range s.entries {
		e.Value = bytes.Clone(e.Value)
		c.entries[key] = e
	}
	c.keys = slices.Clone(s.keys)
	c.log = slices.Clone(s.log)
	c.rev, c.compacted = s.rev, s.compacted
	for name := range s.leaders {
		c.apply([]journal.Write{{Key: journal.LeaderKey(name)}})
	}
	return c
}

// Revision is the revision of the newest change.
func (s *Store) Revision() journal.Revision {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rev
}

// Compact forgets the changes up to and with the revision: a watch after an older one gets ErrCompacted.
func (s *Store) Compact(upTo journal.Revision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	upTo = min(upTo, s.rev)
	if upTo <= s.compacted {
		return
	}
	s.log = slices.DeleteFunc(slices.Clone(s.log), func(e journal.Event) bool { return e.Revision <= upTo })
	s.compacted = upTo
}

// Depose ends the leadership of a name at once, as when somebody revokes its lease: its commits are refused and
// another may lead, and the holder notices at its next refused commit or renewal. It reports whether anybody led.
func (s *Store) Depose(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.leaders[name]
	if l == nil {
		return false
	}
	now := time.Now()
	l.freeze(now)
	next := l.renewed.Add(journal.RenewEvery(l.lease))
	l.timers = append(l.timers, time.AfterFunc(next.Sub(now), l.lose))
	s.release(l)
	return true
}

// Pause stops the renewals of the leader of a name, as when its process is stopped: the lease runs out by itself,
// and the holder notices at its deadline. It reports whether anybody led.
func (s *Store) Pause(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.leaders[name]
	if l == nil {
		return false
	}
	s.pause(l)
	return true
}

func (s *Store) pause(l *leadership) {
	if !l.frozen.IsZero() {
		return
	}
	now := time.Now()
	l.freeze(now)
	l.timers = append(l.timers,
		time.AfterFunc(l.deadline().Sub(now), l.lose),
		time.AfterFunc(l.renewed.Add(l.lease).Sub(now), func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.release(l)
		}))
}

// release removes a leadership from the store, if it is still there. The caller holds mu.
func (s *Store) release(l *leadership) {
	if s.leaders[l.name] != l {
		return
	}
	delete(s.leaders, l.name)
	s.apply([]journal.Write{{Key: journal.LeaderKey(l.name)}})
}

// apply does the writes as one change and wakes all who wait. The caller holds mu.
func (s *Store) apply(writes []journal.Write) journal.Revision {
	next := s.rev + 1
	for _, w := range writes {
		e := journal.Entry{Key: w.Key, Value: bytes.Clone(w.Value), Version: next}
		if w.Value == nil {
			if _, ok := s.entries[w.Key]; !ok {
				continue
			}
			s.remove(w.Key)
		} else {
			s.put(e)
		}
		s.log = append(s.log, journal.Event{Entry: e, Revision: next})
		s.rev = next
	}
	if s.rev == next {
		close(s.changed)
		s.changed = make(chan struct{})
	}
	return s.rev
}

// put writes one entry.
func (s *Store) put(e journal.Entry) {
	if _, ok := s.entries[e.Key]; !ok {
		at, _ := slices.BinarySearch(s.keys, e.Key)
		s.keys = slices.Insert(s.keys, at, e.Key)
	}
	s.entries[e.Key] = e
}

// remove deletes an entry that is there.
func (s *Store) remove(key string) {
	at, _ := slices.BinarySearch(s.keys, key)
	s.keys = slices.Delete(s.keys, at, at+1)
	delete(s.entries, key)
}

// commit checks and applies a valid transaction.
func (s *Store) commit(t journal.Txn) (journal.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.Leader != nil {
		l, ok := t.Leader.(*leadership)
		if !ok || l.store != s || s.leaders[l.name] != l {
			if ok {
				l.lose()
			}
			return 0, journal.Deposed(nameOf(t.Leader), t.Leader.Term())
		}
	}
	for _, g := range t.Guards {
		if s.entries[g.Key].Version != g.Version {
			return 0, journal.Conflict(g.Key)
		}
	}
	return s.apply(t.Writes), nil
}

// since gives the changes under the prefix after the revision, the revision they reach, and what to wait on for more.
func (s *Store) since(prefix string, after journal.Revision) ([]journal.Event, journal.Revision, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if after < s.compacted || after > s.rev {
		return nil, 0, nil, journal.Compacted(after, s.compacted+1, s.rev)
	}
	first, _ := slices.BinarySearchFunc(s.log, after+1, func(e journal.Event, r journal.Revision) int { return int(e.Revision - r) })
	var events []journal.Event
	for _, e := range s.log[first:] {
		if strings.HasPrefix(e.Key, prefix) {
			e.Value = bytes.Clone(e.Value)
			events = append(events, e)
		}
	}
	return events, s.rev, s.changed, nil
}

// elect makes the caller the leader of name, or gives what to wait on.
func (s *Store) elect(owner *Journal, name, holder string, lease time.Duration) (*leadership, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaders[name] != nil {
		return nil, s.changed
	}
	l := &leadership{store: s, owner: owner, name: name, lease: lease, renewed: time.Now(), lost: make(chan struct{})}
	l.term = int64(s.apply([]journal.Write{{Key: journal.LeaderKey(name), Value: []byte(holder)}}))
	s.leaders[name] = l
	return l, nil
}

// abandon stops the renewals of all leaderships of a handle that is closed.
func (s *Store) abandon(owner *Journal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.leaders {
		if l.owner == owner {
			s.pause(l)
			l.lose()
		}
	}
}

// get reads one entry.
func (s *Store) get(key string) journal.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[key]
	if !ok {
		return journal.Entry{Key: key}
	}
	e.Value = bytes.Clone(e.Value)
	return e
}

// list reads all entries with the prefix.
func (s *Store) list(prefix string) ([]journal.Entry, journal.Revision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []journal.Entry
	first, _ := slices.BinarySearch(s.keys, prefix)
	for _, key := range s.keys[first:] {
		if !strings.HasPrefix(key, prefix) {
			break
		}
		e := s.entries[key]
		e.Value = bytes.Clone(e.Value)
		found = append(found, e)
	}
	return found, s.rev
}

// wait returns when woken, or with the reason not to go on.
func (j *Journal) wait(ctx context.Context, op string, woken <-chan struct{}) error {
	select {
	case <-woken:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-j.closed:
		return journal.Closed(op)
	}
}
