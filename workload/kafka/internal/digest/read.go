package digest

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"sort"

	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
)

// Aborted is an aborted transaction: the producer's records from First on, up to its next ABORT marker.
type Aborted struct {
	Producer int64
	First    int64
}

// Page is a piece of a log, below its last stable offset.
type Page struct {
	// Records holds whole and possibly one partial record batch.
	Records []byte
	Aborted []Aborted
	// From is where the log begins, when that is above the offset that was asked for: a batch may still hold
	// records below it, which nobody can read.
	From int64
}

// Side reads one log.
type Side struct {
	// Name is what the differences call it, such as a site's.
	Name string
	// Read gives the batches from an offset on, at least one; none when only holes follow.
	Read func(ctx context.Context, from int64) (Page, error)
}

// entry is a visible record, reduced to what is compared.
type entry struct {
	offset int64
	// sum covers timestamp, key, value and headers, and not the offset.
	sum uint64
	key uint64
	// keyed and dead are false for a null key, and true for a null value.
	keyed, dead bool
	bytes       int64
}

// reader turns a side's pages into entries.
type reader struct {
	side  Side
	coder *batch.Coder
	hash  maphash.Hash
	next  int64
	buf   []byte
}

func newReader(side Side, coder *batch.Coder, seed maphash.Seed, from int64) *reader {
	r := &reader{side: side, coder: coder, next: from}
	r.hash.SetSeed(seed)
	return r
}

// page reads on and gives the visible records up to an offset; false when there is nothing more below it.
func (r *reader) page(ctx context.Context, to int64) ([]entry, bool, error) {
	if r.next >= to {
		return nil, false, nil
	}
	p, err := r.side.Read(ctx, r.next)
	if err != nil {
		return nil, false, err
	}
	var out []entry
	v := newVisible(r.coder, p.Aborted)
	from, any := max(r.next, p.From), false
	for b, err := range batch.Batches(p.Records) {
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", r.side.Name, err)
		}
		any = true
		r.next = max(r.next, b.NextOffset())
		see, err := v.see(b)
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", r.side.Name, err)
		}
		if !see {
			continue
		}
		for rec, err := range r.coder.Records(b) {
			if err != nil {
				return nil, false, fmt.Errorf("%s: %w", r.side.Name, err)
			}
			if rec.Offset >= from && rec.Offset < to {
				out = append(out, r.entry(rec))
			}
		}
	}
	if !any {
		r.next = to
	}
	return out, true, nil
}

func (r *reader) entry(rec batch.Record) entry {
	e := entry{offset: rec.Offset, keyed: rec.Key != nil, dead: rec.Value == nil, bytes: int64(len(rec.Key) + len(rec.Value))}
	if e.keyed {
		r.hash.Reset()
		_, _ = r.hash.Write(rec.Key)
		e.key = r.hash.Sum64()
	}
	b := binary.BigEndian.AppendUint64(r.buf[:0], uint64(rec.Timestamp))
	b = appendField(b, rec.Key)
	b = appendField(b, rec.Value)
	for _, h := range rec.Headers {
		b = appendField(b, []byte(h.Key))
		b = appendField(b, h.Value)
	}
	r.buf = b
	r.hash.Reset()
	_, _ = r.hash.Write(b)
	e.sum = r.hash.Sum64()
	return e
}

func appendField(dst, v []byte) []byte {
	if v == nil {
		return binary.AppendVarint(dst, -1)
	}
	return append(binary.AppendVarint(dst, int64(len(v))), v...)
}

// visible tells the batches that a reader of committed records sees.
type visible struct {
	coder   *batch.Coder
	aborted []Aborted
	open    map[int64]bool
}

func newVisible(coder *batch.Coder, aborted []Aborted) *visible {
	list := append([]Aborted(nil), aborted...)
	sort.Slice(list, func(i, j int) bool { return list[i].First < list[j].First })
	return &visible{coder: coder, aborted: list, open: map[int64]bool{}}
}

func (v *visible) see(b batch.Batch) (bool, error) {
	for len(v.aborted) > 0 && v.aborted[0].First < b.NextOffset() {
		v.open[v.aborted[0].Producer] = true
		v.aborted = v.aborted[1:]
	}
	id := b.Producer().ID
	if !b.Control() {
		return b.Count() > 0 && !(b.Transactional() && v.open[id]), nil
	}
	if !v.open[id] || b.Count() == 0 {
		return false, nil
	}
	c, err := v.coder.ReadControl(b)
	if err == nil && c.Marker && !c.Commit {
		delete(v.open, id)
	}
	return false, err
}
