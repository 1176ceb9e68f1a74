package control

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/journal"
)

// memory is a workload's memory, or a change of it, as an entry holds it: documents as text, so that people can read
// them and they compress well, and what is no text as it is. Every change is written in full to one small entry,
// until that is full: then everything is written anew, in parts where it must be, and the small one begins empty.
type memory struct {
	Text map[string]string `json:"text,omitempty"`
	Raw  map[string][]byte `json:"raw,omitempty"`
	// Gone are the names that the change removes.
	Gone []string `json:"gone,omitempty"`
}

// sinceMost is the size of the entry of changes, in bytes, from which on everything is written anew.
const sinceMost = inlineMost / 2

// written gives a change as an entry holds it.
func written(k understudy.Keep) memory {
	m := memory{Text: map[string]string{}, Raw: map[string][]byte{}}
	for _, name := range slices.Sorted(maps.Keys(k)) {
		switch v := k[name]; {
		case v == nil:
			m.Gone = append(m.Gone, name)
		case utf8.Valid(v):
			m.Text[name] = string(v)
		default:
			m.Raw[name] = v
		}
	}
	return m
}

// change gives what an entry holds as a change: names that are gone have a nil value.
func (m memory) change() understudy.Keep {
	k := understudy.Keep{}
	for name, v := range m.Text {
		k[name] = []byte(v)
	}
	for name, v := range m.Raw {
		k[name] = append([]byte{}, v...)
	}
	for _, name := range m.Gone {
		k[name] = nil
	}
	return k
}

// size is about what an entry with the memory has, in bytes.
func (m memory) size() int {
	n := 0
	for name, v := range m.Text {
		n += len(name) + len(v) + len(v)/8
	}
	for name, v := range m.Raw {
		n += len(name) + len(v) + len(v)/3
	}
	for _, name := range m.Gone {
		n += len(name)
	}
	return n
}

// applied gives a memory after a change of it.
func applied(k, change understudy.Keep) understudy.Keep {
	next := maps.Clone(k)
	maps.Copy(next, change)
	maps.DeleteFunc(next, func(_ string, v []byte) bool { return v == nil })
	return next
}

// kept gives a workload's memory, as it was at one revision.
func kept(ctx context.Context, j journal.Journal, o understudy.Object) (understudy.Keep, error) {
	entries, err := list(ctx, j, prefixKeep(o)) // "all" comes before "since"
	if err != nil {
		return nil, err
	}
	return remembered(entries)
}

// remembered gives the memory that its entries hold.
func remembered(entries []journal.Entry) (understudy.Keep, error) {
	k := understudy.Keep{}
	for _, e := range entries {
		var m memory
		if err := json.Unmarshal(e.Value, &m); err != nil {
			return nil, unreadable(e.Key, err)
		}
		k = applied(k, m.change())
	}
	return k, nil
}

// memories hold the memories that a term has read: every stage asks for all of a workload's, which has megabytes where
// there are thousands of shards, and hardly any stage finds it changed. The zero value is ready.
type memories struct {
	mu   sync.Mutex
	read map[understudy.Object]recollection
}

// recollection is a memory, and of which entries it was made. An entry of the same version has the same value.
type recollection struct {
	entries []journal.Entry // without their values
	keep    understudy.Keep
}

// recollected gives a copy of a memory if it was made of these entries.
func (m *memories) recollected(o understudy.Object, entries []journal.Entry) (understudy.Keep, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.read[o]
	if !ok || !slices.EqualFunc(r.entries, entries, func(a, b journal.Entry) bool { return a.Key == b.Key && a.Version == b.Version }) {
		return nil, false
	}
	return copied(r.keep), true
}

// put holds a memory, and of which entries it was made.
func (m *memories) put(o understudy.Object, entries []journal.Entry, k understudy.Keep) {
	r := recollection{keep: copied(k)}
	for _, e := range entries {
		r.entries = append(r.entries, journal.Entry{Key: e.Key, Version: e.Version})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.read == nil {
		m.read = map[understudy.Object]recollection{}
	}
	m.read[o] = r
}

// copied gives a memory that shares nothing with k: it goes to workloads.
func copied(k understudy.Keep) understudy.Keep {
	c := make(understudy.Keep, len(k))
	for name, v := range k {
		c[name] = bytes.Clone(v)
	}
	return c
}

// kept gives a workload's memory as the journal has it now; its parts are read only where they changed.
func (s *session) kept(ctx context.Context, o understudy.Object) (understudy.Keep, error) {
	entries, _, err := s.opt.Journal.List(ctx, prefixKeep(o))
	if err != nil {
		return nil, err
	}
	if k, ok := s.memories.recollected(o, entries); ok {
		return k, nil
	}
	if entries, err = list(ctx, s.opt.Journal, prefixKeep(o)); err != nil {
		return nil, err
	}
	k, err := remembered(entries)
	if err == nil {
		s.memories.put(o, entries, k)
	}
	return k, err
}

// keep changes a workload's memory in a transaction. The caller holds the plan's lock.
func (s *session) keep(t *change, o understudy.Object, k understudy.Keep) error {
	if len(k) == 0 {
		return nil
	}
	since, version, err := read[memory](s.hard, s.opt.Journal, keyKeepSince(o))
	if err != nil {
		return err
	}
	changes := since.change()
	maps.Copy(changes, k)
	if next := written(changes); next.size() <= sinceMost {
		t.put(keyKeepSince(o), version, next)
		return nil
	}
	all, allVersion, err := read[memory](s.hard, s.opt.Journal, keyKeepAll(o))
	if err != nil {
		return err
	}
	t.put(keyKeepAll(o), allVersion, written(applied(all.change(), changes)))
	t.put(keyKeepSince(o), version, memory{})
	return nil
}
