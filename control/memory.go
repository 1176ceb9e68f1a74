package control

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
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
	k := understudy.Keep{}
	entries, err := list(ctx, j, prefixKeep(o)) // "all" comes before "since"
	for _, e := range entries {
		var m memory
		if err := json.Unmarshal(e.Value, &m); err != nil {
			return nil, unreadable(e.Key, err)
		}
		k = applied(k, m.change())
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
