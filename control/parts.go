package control

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/understudy-dr/understudy/journal"
)

// A transaction of the journal takes little (journal.MaxValue), and what a workload of thousands of shards has to
// say is more: lists of steps with their before-images, receipts, ledgers, the memory. So a value above inlineMost is
// compressed, cut into parts that are written first, each in a transaction of its own, and its entry only points at
// them. The entry is written in the same transaction as ever: nobody sees a part before the whole is decided, and
// parts are never changed, so whoever has the entry reads one value.
const (
	// inlineMost is the size of the largest value that stands in its own entry, in bytes. Transactions write a
	// handful of values each.
	inlineMost = 48 << 10
	// inlineLeast is the size down to which values are moved out where a transaction has too many large ones.
	inlineLeast = 1 << 10
	// partSize is the size of a part in bytes.
	partSize = journal.MaxValue / 2
	// dropsAtOnce is how many parts one transaction deletes.
	dropsAtOnce = journal.MaxOps - 10
)

const (
	// prefixParts begins the keys of parts, which are followed by the name of the value and a number.
	prefixParts = "/part/"
	// prefixStaged begins the keys of marks for parts that no entry points at: not yet, or no longer.
	prefixStaged = "/staged/"
	// prefixSplit begins the keys of marks that say where the parts of an entry stand.
	prefixSplit = "/split"
)

// pointerMark begins the value of an entry that points at parts; no JSON begins so.
const pointerMark = "parts:"

// pointer says where the parts of a value stand, and of what they are made.
type pointer struct {
	ID    string `json:"id"`
	Count int    `json:"count"`
	// Size is that of the whole in bytes, and Sum its SHA-256 in hex.
	Size int    `json:"size"`
	Sum  string `json:"sum"`
}

func (p pointer) key(i int) string { return fmt.Sprintf("%s%s/%06d", prefixParts, p.ID, i) }

func (p pointer) mark() string { return prefixStaged + p.ID }

// errMoved says that parts are gone because their entry was changed after it was read.
var errMoved = errors.New("control: the value was changed while it was read")

// assembled gives a value as it was written, from its parts where it has some.
func assembled(ctx context.Context, j journal.Journal, e journal.Entry) ([]byte, error) {
	doc, split := bytes.CutPrefix(e.Value, []byte(pointerMark))
	if !split {
		return e.Value, nil
	}
	var p pointer
	if err := json.Unmarshal(doc, &p); err != nil {
		return nil, unreadable(e.Key, err)
	}
	var packed bytes.Buffer
	for i := range p.Count {
		part, err := j.Get(ctx, p.key(i))
		if err != nil {
			return nil, err
		}
		if part.Version == 0 {
			return nil, errMoved
		}
		packed.Write(part.Value)
	}
	value, err := unpacked(&packed, p.Size)
	if err != nil {
		return nil, unreadable(e.Key, err)
	}
	if sum := sha256.Sum256(value); hex.EncodeToString(sum[:]) != p.Sum {
		return nil, unreadable(e.Key, errors.New("its parts do not make up what was written"))
	}
	return value, nil
}

// flateMost is how many times larger than itself a deflated stream can be, with something to spare.
const flateMost = 1100

// unpacked inflates a value, of which size bytes were written.
func unpacked(packed *bytes.Buffer, size int) ([]byte, error) {
	if size < 0 || size > packed.Len()*flateMost {
		return nil, fmt.Errorf("%d bytes cannot be %d inflated", packed.Len(), size)
	}
	value := make([]byte, size)
	_, err := io.ReadFull(flate.NewReader(packed), value)
	return value, err
}

// get reads one entry whole.
func get(ctx context.Context, j journal.Journal, key string) (journal.Entry, error) {
	var before journal.Revision
	for {
		e, err := j.Get(ctx, key)
		if err != nil || e.Version == 0 {
			return e, err
		}
		e.Value, err = assembled(ctx, j, e)
		if !errors.Is(err, errMoved) {
			return e, err
		}
		if e.Version == before {
			return e, unreadable(key, errors.New("a part of it is missing"))
		}
		before = e.Version
	}
}

// list reads all entries with the prefix whole, as they were at one revision.
func list(ctx context.Context, j journal.Journal, prefix string) ([]journal.Entry, error) {
	missing := journal.Entry{}
	for {
		entries, _, err := j.List(ctx, prefix)
		if err != nil {
			return nil, err
		}
		moved := false
		for i := range entries {
			e := &entries[i]
			e.Value, err = assembled(ctx, j, *e)
			if errors.Is(err, errMoved) && (e.Key != missing.Key || e.Version != missing.Version) {
				missing, moved = *e, true
				break
			}
			if errors.Is(err, errMoved) {
				err = unreadable(e.Key, errors.New("a part of it is missing"))
			}
			if err != nil {
				return nil, err
			}
		}
		if !moved {
			return entries, nil
		}
	}
}

// parts writes the values of one term that are too large for their entries. The zero value is ready for a journal
// without any.
type parts struct {
	mu sync.Mutex
	// split gives, by key, where the parts of the entries that have some stand. Only the leader writes, so what it
	// read when its term began and wrote since is what is there.
	split map[string]pointer
}

// recall reads which entries have parts, and removes the parts that no entry points at: a former leader died between
// writing them and what points at them, or between that and removing the ones before.
func (s *session) recall() error {
	entries, _, err := s.opt.Journal.List(s.hard, prefixSplit)
	if err != nil {
		return err
	}
	s.parts.mu.Lock()
	s.parts.split = map[string]pointer{}
	for _, e := range entries {
		var p pointer
		if err := json.Unmarshal(e.Value, &p); err != nil {
			s.parts.mu.Unlock()
			return unreadable(e.Key, err)
		}
		s.parts.split[strings.TrimPrefix(e.Key, prefixSplit)] = p
	}
	s.parts.mu.Unlock()
	stale, err := readAll[pointer](s.hard, s.opt.Journal, prefixStaged)
	if err != nil {
		return err
	}
	for _, p := range stale {
		if err := s.sweep(p); err != nil {
			return err
		}
	}
	return nil
}

// staging is what one transaction moves out into parts.
type staging struct {
	// fresh are the new values by key, and stale the parts that the transaction leaves without an entry.
	fresh map[string]pointer
	stale []pointer
	// over are the keys whose entries have no parts any more.
	over []string
}

// stage writes the parts of a transaction's large values and lets the transaction point at them.
func (s *session) stage(t *change) (*staging, error) {
	st := &staging{fresh: map[string]pointer{}}
	most := inlineFor(t.writes)
	writes := slices.Clone(t.writes)
	for i, w := range t.writes {
		s.parts.mu.Lock()
		former, split := s.parts.split[w.Key]
		s.parts.mu.Unlock()
		if split {
			st.stale = append(st.stale, former)
			writes = append(writes, journal.Write{Key: former.mark(), Value: encode(former)})
		}
		switch {
		case len(w.Value) > most:
			p, err := s.writeParts(w.Value)
			if err != nil {
				return st, err
			}
			st.fresh[w.Key] = p
			writes[i].Value = append([]byte(pointerMark), encode(p)...)
			writes = append(writes, journal.Write{Key: p.mark()}, journal.Write{Key: prefixSplit + w.Key, Value: encode(p)})
		case split:
			st.over = append(st.over, w.Key)
			writes = append(writes, journal.Write{Key: prefixSplit + w.Key})
		}
	}
	t.writes = writes
	return st, nil
}

// inlineFor gives the size up to which the values of a transaction stay in their entries, so that all fit.
func inlineFor(writes []journal.Write) int {
	most := inlineMost
	for ; most > inlineLeast; most /= 2 {
		size := 0
		for _, w := range writes {
			if len(w.Value) <= most {
				size += len(w.Value)
			}
		}
		if size <= journal.MaxValue/2 {
			return most
		}
	}
	return most
}

// writeParts writes a value in parts, with a mark that says that nothing points at them yet.
func (s *session) writeParts(value []byte) (pointer, error) {
	var packed bytes.Buffer
	z, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err == nil {
		_, err = z.Write(value)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return pointer{}, bug("a value cannot be compressed: %v", err)
	}
	sum := sha256.Sum256(value)
	p := pointer{ID: randomName(16), Count: (packed.Len() + partSize - 1) / partSize, Size: len(value), Sum: hex.EncodeToString(sum[:])}
	i := 0
	for part := range slices.Chunk(packed.Bytes(), partSize) {
		writes := []journal.Write{{Key: p.key(i), Value: part}}
		if i == 0 {
			writes = append(writes, journal.Write{Key: p.mark(), Value: encode(p)})
		}
		if err := s.apply(nil, writes); err != nil {
			return p, err
		}
		i++
	}
	return p, nil
}

// sweep removes parts that nothing points at, and at last the mark that says so.
func (s *session) sweep(p pointer) error {
	var writes []journal.Write
	for i := range p.Count {
		writes = append(writes, journal.Write{Key: p.key(i)})
	}
	writes = append(writes, journal.Write{Key: p.mark()})
	for some := range slices.Chunk(writes, dropsAtOnce) {
		if err := s.apply(nil, some); err != nil {
			return err
		}
	}
	return nil
}

// settled remembers what a transaction that was applied has moved, and removes what it left behind. A transaction
// that was refused leaves its own parts behind. What cannot be removed now is removed when the next term begins.
func (s *session) settled(st *staging, done bool) {
	stale := slices.Collect(maps.Values(st.fresh))
	if done {
		stale = st.stale
		s.parts.mu.Lock()
		for _, key := range st.over {
			delete(s.parts.split, key)
		}
		if s.parts.split == nil {
			s.parts.split = map[string]pointer{}
		}
		maps.Copy(s.parts.split, st.fresh)
		s.parts.mu.Unlock()
	}
	for _, p := range stale {
		if err := s.sweep(p); err != nil {
			s.opt.Log.Warn("parts of an entry that was replaced stay for now", "parts", p.ID, "error", err)
			return
		}
	}
}

// encode gives a pointer as JSON.
func encode(p pointer) []byte {
	b, err := json.Marshal(p)
	if err != nil {
		panic("control: " + err.Error()) // plain data cannot fail
	}
	return b
}
