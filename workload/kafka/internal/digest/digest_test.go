package digest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
)

// log is a side in memory: batches in order.
type log struct {
	t       testing.TB
	coder   *batch.Coder
	batches []batch.Batch
	aborted []Aborted
	end     int64
}

func newLog(t testing.TB) *log {
	c, err := batch.NewCoder(1 << 24)
	if err != nil {
		t.Fatal(err)
	}
	return &log{t: t, coder: c}
}

// put appends one batch of records at their offsets.
func (l *log) put(codec batch.Codec, recs ...batch.Record) *log {
	b, err := l.coder.Encode(codec, batch.NoProducer(), recs)
	if err != nil {
		l.t.Fatal(err)
	}
	l.place(b, recs[0].Offset)
	return l
}

func (l *log) place(b batch.Batch, at int64) {
	for i := range 8 {
		b[i] = byte(at >> (56 - 8*i))
	}
	l.batches = append(l.batches, b)
	l.end = max(l.end, b.NextOffset())
}

// page is small, so that tests cross pages all the time.
func (l *log) side(name string) Side {
	return Side{Name: name, Read: func(_ context.Context, from int64) (Page, error) {
		p := Page{Aborted: l.aborted}
		for _, b := range l.batches {
			if b.NextOffset() > from && len(p.Records) < 200 {
				p.Records = append(p.Records, b...)
			}
		}
		return p, nil
	}}
}

func rec(at int64, key, value string) batch.Record {
	r := batch.Record{Offset: at, Timestamp: 1000 + at, Key: []byte(key), Value: []byte(value)}
	if value == "null" {
		r.Value = nil
	}
	return r
}

func compare(t testing.TB, a, b *log, compacted bool) Result {
	t.Helper()
	res, err := Compare(t.Context(), Input{
		Source: a.side("east"), Target: b.side("west"), To: min(a.end, b.end), SourceEnd: a.end, TargetEnd: b.end, Compacted: compacted,
	})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func plain(t testing.TB, n int64, per int64, codec batch.Codec, change func(*batch.Record) bool) *log {
	l := newLog(t)
	var recs []batch.Record
	for i := range n {
		r := rec(i, fmt.Sprint("k", i%7), fmt.Sprint("value ", i))
		r.Headers = []batch.Header{{Key: "h", Value: []byte{1}}, {Key: "n"}}
		if change != nil && !change(&r) {
			continue
		}
		recs = append(recs, r)
	}
	for c := range slices.Chunk(recs, int(per)) {
		l.put(codec, c...)
	}
	return l
}

func TestSameContentInOtherBatches(t *testing.T) {
	res := compare(t, plain(t, 100, 10, batch.LZ4, nil), plain(t, 100, 7, batch.Zstd, nil), false)
	if len(res.Differences) != 0 || res.Compared != 100 || res.Bytes == 0 {
		t.Fatalf("%+v", res)
	}
}

func TestEachChangeTurnsItRed(t *testing.T) {
	at := func(o int64, change func(*batch.Record)) func(*batch.Record) bool {
		return func(r *batch.Record) bool {
			if r.Offset == o {
				change(r)
			}
			return true
		}
	}
	for name, change := range map[string]func(*batch.Record) bool{
		"a flipped byte of a value":  at(42, func(r *batch.Record) { r.Value[3] ^= 1 }),
		"a flipped byte of a key":    at(42, func(r *batch.Record) { r.Key[0] ^= 1 }),
		"another time":               at(42, func(r *batch.Record) { r.Timestamp++ }),
		"another header":             at(42, func(r *batch.Record) { r.Headers[0].Value[0] = 2 }),
		"an empty header for a null": at(42, func(r *batch.Record) { r.Headers[1].Value = []byte{} }),
		"an empty value for a null":  at(42, func(r *batch.Record) { r.Value = nil }),
		"one header less":            at(42, func(r *batch.Record) { r.Headers = r.Headers[:1] }),
		"a missing record":           func(r *batch.Record) bool { return r.Offset != 42 },
	} {
		t.Run(name, func(t *testing.T) {
			for _, turn := range []bool{false, true} {
				a, b := plain(t, 100, 10, batch.None, nil), plain(t, 100, 9, batch.Snappy, change)
				if turn {
					a, b = b, a // what is missing on one side is extra on the other
				}
				res := compare(t, a, b, false)
				if len(res.Differences) != 1 || res.Differences[0].First != 42 || res.Differences[0].Last != 42 {
					t.Fatalf("%+v", res)
				}
			}
		})
	}
}

func TestRangesAreExact(t *testing.T) {
	res := compare(t, plain(t, 100, 10, batch.None, nil), plain(t, 100, 10, batch.None, func(r *batch.Record) bool { return r.Offset < 20 || r.Offset >= 55 }), false)
	if len(res.Differences) != 1 || res.Differences[0].First != 20 || res.Differences[0].Last != 54 || res.Differences[0].Records != 35 {
		t.Fatalf("%+v", res)
	}
}

func TestShiftedContentIsADifference(t *testing.T) {
	shifted := plain(t, 100, 10, batch.None, func(r *batch.Record) bool {
		if r.Offset > 50 {
			*r = rec(r.Offset, fmt.Sprint("k", (r.Offset-1)%7), fmt.Sprint("value ", r.Offset-1))
		}
		return true
	})
	if res := compare(t, plain(t, 100, 10, batch.None, nil), shifted, false); len(res.Differences) == 0 {
		t.Fatal("records at other offsets pass for the same")
	}
}

func TestCompaction(t *testing.T) {
	type side = []batch.Record
	null := "null"
	for name, c := range map[string]struct {
		a, b side
		bad  []int64
	}{
		"older removed on one side":            {side{rec(0, "a", "1"), rec(5, "a", "2")}, side{rec(5, "a", "2")}, nil},
		"older removed on the source":          {side{rec(5, "a", "2")}, side{rec(0, "a", "1"), rec(5, "a", "2")}, nil},
		"newest missing":                       {side{rec(0, "a", "1"), rec(5, "a", "2"), rec(6, "b", "1")}, side{rec(0, "a", "1"), rec(6, "b", "1")}, []int64{5}},
		"only one missing":                     {side{rec(0, "a", "1"), rec(6, "b", "1")}, side{rec(6, "b", "1")}, []int64{0}},
		"a tombstone gone with all it hid":     {side{rec(0, "a", "1"), rec(3, "a", null), rec(6, "b", "1")}, side{rec(6, "b", "1")}, nil},
		"a tombstone missing over what it hid": {side{rec(0, "a", "1"), rec(3, "a", null), rec(6, "b", "1")}, side{rec(0, "a", "1"), rec(6, "b", "1")}, []int64{3}},
		"superseded by what is only there":     {side{rec(0, "a", "1"), rec(6, "b", "1")}, side{rec(4, "a", "x"), rec(6, "b", "1")}, []int64{4}},
		"the content differs":                  {side{rec(0, "a", "1"), rec(6, "b", "1")}, side{rec(0, "a", "2"), rec(6, "b", "1")}, []int64{0}},
		"another key does not excuse":          {side{rec(0, "a", "1"), rec(6, "b", "1")}, side{rec(5, "c", "1"), rec(6, "b", "1")}, []int64{0, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			build := func(s side) *log {
				l := newLog(t)
				for _, r := range s {
					l.put(batch.None, r)
				}
				return l
			}
			res := compare(t, build(c.a), build(c.b), true)
			var got []int64
			for _, d := range res.Differences {
				got = append(got, d.First)
			}
			if !slices.Equal(got, c.bad) {
				t.Fatalf("differences at %v instead of %v: %+v", got, c.bad, res)
			}
		})
	}
}

func TestSupersededBeyondTheComparedRange(t *testing.T) {
	a, b := newLog(t), newLog(t)
	a.put(batch.None, rec(3, "b", "1")).put(batch.None, rec(9, "a", "2"))
	b.put(batch.None, rec(0, "a", "1")).put(batch.None, rec(3, "b", "1"))
	if res := compare(t, a, b, true); len(res.Differences) != 0 {
		t.Fatalf("%+v", res)
	}
	a.batches = a.batches[:1] // without the later record it is missing
	if res := compare(t, a, b, true); len(res.Differences) != 1 {
		t.Fatalf("%+v", res)
	}
}

func TestMarkersAndAbortedRecordsDoNotCount(t *testing.T) {
	p := batch.Producer{ID: 77, Epoch: 1}
	a, b := newLog(t), newLog(t)
	lost, err := a.coder.Encode(batch.None, p, []batch.Record{rec(0, "x", "aborted"), rec(1, "x", "aborted")})
	if err != nil {
		t.Fatal(err)
	}
	asTransaction(lost)
	a.aborted = []Aborted{{77, 0}}
	a.place(lost, 0)
	a.place(batch.Marker(p, false, 0, 1), 2)
	kept, _ := a.coder.Encode(batch.None, p, []batch.Record{rec(3, "k", "committed")})
	asTransaction(kept)
	a.place(kept, 3)
	a.place(batch.Marker(p, true, 0, 1), 4)
	for i := range int64(3) {
		b.place(batch.Marker(batch.Producer{ID: 1 << 62}, true, 0, 9), i)
	}
	b.put(batch.Gzip, rec(3, "k", "committed"))
	b.place(batch.Marker(batch.Producer{ID: 1 << 62}, true, 0, 9), 4)
	if res := compare(t, a, b, false); len(res.Differences) != 0 || res.Compared != 1 {
		t.Fatalf("%+v", res)
	}
	a.aborted = nil // as if the transaction had been committed
	if res := compare(t, a, b, false); len(res.Differences) != 1 || res.Differences[0].Records != 2 {
		t.Fatalf("%+v", res)
	}
}

// asTransaction sets a batch's transactional bit.
func asTransaction(b batch.Batch) {
	b[22] |= 0x10
	crc := crcOf(b)
	for i := range 4 {
		b[17+i] = byte(crc >> (24 - 8*i))
	}
}

func TestAnyLogEqualsItselfAndNoChangedOne(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.Int64Range(1, 60).Draw(rt, "records")
		drop := rapid.Int64Range(0, n-1).Draw(rt, "dropped")
		per := rapid.Int64Range(1, 9).Draw(rt, "per batch")
		codec := batch.Codec(rapid.IntRange(0, 4).Draw(rt, "codec"))
		whole := plain(t, n, per, codec, nil)
		if res := compare(t, whole, plain(t, n, 5, batch.None, nil), rapid.Bool().Draw(rt, "compacted")); len(res.Differences) != 0 {
			rt.Fatalf("%+v", res)
		}
		less := plain(t, n, per, batch.None, func(r *batch.Record) bool { return r.Offset != drop })
		less.end = n
		if res := compare(t, whole, less, false); len(res.Differences) != 1 || res.Differences[0].First != drop {
			rt.Fatalf("dropped %d: %+v", drop, res)
		}
	})
}
