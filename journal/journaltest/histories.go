package journaltest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/anishathalye/porcupine"
	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/journal"
)

// register is one operation on one key: a read, or a write guarded by the version that was seen before.
type register struct {
	key     string
	write   bool
	guard   journal.Revision
	version journal.Revision
	refused bool
}

// history records operations with the order in which they were called and returned.
type history struct {
	clock atomic.Int64
	mu    sync.Mutex
	done  []porcupine.Operation
}

func (h *history) add(client int, called int64, r register) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.done = append(h.done, porcupine.Operation{ClientId: client, Input: r, Call: called, Output: r, Return: h.clock.Add(1)})
}

// registers is the model: each key has a version; a guarded write changes it, or is refused because it differs.
func registers() porcupine.Model {
	return porcupine.Model{
		Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
			byKey := map[string][]porcupine.Operation{}
			for _, o := range all {
				key := o.Input.(register).key
				byKey[key] = append(byKey[key], o)
			}
			var parts [][]porcupine.Operation
			for _, p := range byKey {
				parts = append(parts, p)
			}
			return parts
		},
		Init: func() any { return journal.Revision(0) },
		Step: func(state, _, output any) (bool, any) {
			now, r := state.(journal.Revision), output.(register)
			switch {
			case !r.write:
				return r.version == now, now
			case r.refused:
				return r.guard != now, now
			default:
				return r.guard == now && r.version > now, r.version
			}
		},
		DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", input) },
	}
}

// linearizable lets clients on both handles read and write a few keys at once, and asks porcupine whether one order
// explains all answers.
func linearizable(s *stage) {
	const clients, rounds = 6, 60
	var h history
	var group errgroup.Group
	for c := range clients {
		j := []journal.Journal{s.A, s.B}[c%2]
		random := rand.New(rand.NewPCG(uint64(c), 1))
		group.Go(func() error {
			seen := map[string]journal.Revision{}
			for range rounds {
				r := register{key: fmt.Sprintf("/r/%d", random.IntN(2)), write: random.IntN(2) == 0}
				called := h.clock.Add(1)
				if err := perform(s, j, seen, &r); err != nil {
					return err
				}
				h.add(c, called, r)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		s.Fatal(err)
	}
	if !porcupine.CheckOperations(registers(), h.done) {
		s.Fatalf("no order explains the %d answers", len(h.done))
	}
}

// perform does one operation and fills in its answer.
func perform(s *stage, j journal.Journal, seen map[string]journal.Revision, r *register) error {
	if !r.write {
		e, err := j.Get(s.ctx, r.key)
		r.version, seen[r.key] = e.Version, e.Version
		return err
	}
	r.guard = seen[r.key]
	t := txn(r.key, "v")
	t.Guards = []journal.Guard{{Key: r.key, Version: r.guard}}
	rev, err := j.Commit(s.ctx, t)
	if errors.Is(err, journal.ErrConflict) {
		r.refused = true
		return nil
	}
	r.version, seen[r.key] = rev, rev
	return err
}

// model compares random transactions with a map.
func model(s *stage) {
	seed := rand.Uint64()
	s.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	entries := map[string]journal.Entry{}
	for range 300 {
		t := randomTxn(random, entries)
		rev, err := []journal.Journal{s.A, s.B}[random.IntN(2)].Commit(s.ctx, t)
		if !holds(t, entries) {
			s.fails(err, journal.ErrConflict)
			continue
		}
		if err != nil {
			s.Fatal(err)
		}
		for _, w := range t.Writes {
			entries[w.Key] = journal.Entry{Key: w.Key, Value: w.Value, Version: rev}
			if w.Value == nil {
				delete(entries, w.Key)
			}
		}
	}
	found, _ := s.list(s.B, "/m/")
	if len(found) != len(entries) {
		s.Fatalf("%d entries, want %d", len(found), len(entries))
	}
	for _, e := range found {
		if want := entries[e.Key]; e.Version != want.Version || string(e.Value) != string(want.Value) {
			s.Fatalf("%v, want %v", e, want)
		}
	}
}

func holds(t journal.Txn, entries map[string]journal.Entry) bool {
	for _, g := range t.Guards {
		if entries[g.Key].Version != g.Version {
			return false
		}
	}
	return true
}

func randomTxn(random *rand.Rand, entries map[string]journal.Entry) journal.Txn {
	var t journal.Txn
	for k := range 6 {
		key := fmt.Sprintf("/m/%d", k)
		switch random.IntN(8) {
		case 0:
			t.Guards = append(t.Guards, journal.Guard{Key: key, Version: entries[key].Version})
		case 1:
			t.Guards = append(t.Guards, journal.Guard{Key: key, Version: entries[key].Version + journal.Revision(random.IntN(2))})
		}
		switch random.IntN(6) {
		case 0:
			t.Writes = append(t.Writes, journal.Write{Key: key})
		case 1, 2:
			t.Writes = append(t.Writes, journal.Write{Key: key, Value: fmt.Appendf(nil, "%d", random.IntN(100))})
		}
	}
	return t
}
