package mirror

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

func TestTrackerIsSafeUpToThePollItHolds(t *testing.T) {
	var k tracker
	at := func(s int) time.Time { return time.Unix(int64(1000+s), 0) }
	k.polled(at(1), 10)
	k.polled(at(2), 20)
	if s := k.state(); !s.safe.IsZero() || s.caught {
		t.Fatal("nothing is known of the target, and it counts as safe")
	}
	k.align(9)
	if s := k.state(); !s.safe.IsZero() {
		t.Fatal("safe before the first poll's end")
	}
	k.hold(10)
	if s := k.state(); !s.safe.Equal(at(1)) || !s.caught {
		t.Fatalf("%+v", s)
	}
	k.polled(at(3), 20)
	k.hold(20)
	if s := k.state(); !s.safe.Equal(at(3)) {
		t.Fatalf("%+v", s)
	}
	k.polled(at(9), 20) // idle topics are not stale
	if s := k.state(); !s.safe.Equal(at(9)) {
		t.Fatalf("%+v", s)
	}
}

// TestTrackerNeverClaimsTooMuch compares with a tracker that forgets nothing.
func TestTrackerNeverClaimsTooMuch(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var k tracker
		k.align(0)
		var all []poll
		end, acked := int64(0), int64(0)
		for i := range rapid.IntRange(1, 2000).Draw(rt, "events") {
			if rapid.Bool().Draw(rt, "polled") {
				end += rapid.Int64Range(0, 3).Draw(rt, "written")
				p := poll{time.Unix(int64(i), 0), end}
				all = append(all, p)
				k.polled(p.sent, p.end)
			} else if acked < end {
				acked = rapid.Int64Range(acked, end).Draw(rt, "acked")
				k.hold(acked)
			}
		}
		var best time.Time
		for _, p := range all {
			if p.end <= acked {
				best = p.sent
			}
		}
		if s := k.state(); s.safe.After(best) {
			rt.Fatalf("claims %v, right is %v", s.safe, best)
		}
	})
}

func TestBudgetBoundsAndReuses(t *testing.T) {
	b := newBudget(1 << 20)
	ctx := t.Context()
	big, err := b.get(ctx, 5<<20) // larger than all of it: alone
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := b.get(short, 10); err == nil {
		t.Fatal("memory beyond the budget")
	}
	big.release()
	a, err := b.get(ctx, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	a.hold()
	first := &a.buf[0]
	a.release()
	a.release()
	c, err := b.get(ctx, 100_001)
	if err != nil || &c.buf[0] != first || len(c.buf) != 100_001 {
		t.Fatal("the memory was not used again", err)
	}
	c.release()
	if !b.sem.TryAcquire(1 << 20) {
		t.Fatal("something was not given back")
	}
}

func TestClassHoldsAndWastesLittle(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 200<<20).Draw(rt, "bytes")
		if size := class(n); size < n || n > 8<<10 && size > n+n/3 {
			rt.Fatalf("%d bytes take %d", n, size)
		}
	})
}

func TestChooseKeepsOrderAndStopsAfterAFailure(t *testing.T) {
	tp := func(p int32) cluster.Partition { return cluster.Partition{TP: cluster.TP{Topic: "t", Partition: p}} }
	good, bad := &atomic.Bool{}, &atomic.Bool{}
	acks := make(chan ack, 9)
	it := func(p int32, size int, spoiled *atomic.Bool) *item {
		return &item{part: tp(p), batch: make([]byte, size), spoiled: spoiled, acks: acks}
	}
	a1, a2, b1, c1 := it(0, 10, good), it(0, 10, good), it(1, requestBytes, good), it(2, 10, bad)
	bad.Store(true)
	now, rest := choose([]*item{a1, a2, c1, b1})
	if !slices.Equal(now, []*item{a1}) || !slices.Equal(rest, []*item{a2, b1}) {
		t.Fatalf("%d now, %d later", len(now), len(rest))
	}
	if a := <-acks; a.it != c1 || !a.unsent || a.err == nil {
		t.Fatalf("%+v", a)
	}
	now, rest = choose(rest)
	if len(now) != 1 || now[0] != a2 || len(rest) != 1 {
		t.Fatal("a batch overtook another, or the size of a request was passed")
	}
}

func TestMarkersNeverNameAPartitionTwice(t *testing.T) {
	m := &Mirror{pid: 1 << 62, epoch: 3, o: Options{Lease: understudy.Lease{Term: 9}, Topic: func(n string) bool { return n != "other" }}}
	f := newFiller(m, 1)
	rapid.Check(t, func(rt *rapid.T) {
		left := map[*filling]int64{}
		for p := range rapid.Int32Range(1, 5).Draw(rt, "partitions") {
			left[&filling{part: cluster.Partition{TP: cluster.TP{Topic: "t", Partition: p}}}] = rapid.Int64Range(0, 1500).Draw(rt, "markers")
		}
		req, wrote := f.request(left)
		count := map[int32]int64{}
		for _, e := range req.Markers {
			if e.ProducerID != m.pid || e.ProducerEpoch != 3 || e.CoordinatorEpoch != 9 || !e.Committed || len(e.Topics) != 1 {
				rt.Fatalf("%+v", e)
			}
			seen := map[int32]bool{}
			for _, p := range e.Topics[0].Partitions {
				if seen[p] {
					rt.Fatalf("partition %d twice in an entry", p)
				}
				seen[p] = true
				count[p]++
			}
		}
		if len(req.Markers) > markersPerRequest {
			rt.Fatalf("%d entries", len(req.Markers))
		}
		for j, n := range left {
			if got := count[j.part.Partition]; got != wrote[j] || got != min(n, markersPerRequest) {
				rt.Fatalf("%d of %d markers, %d said", got, n, wrote[j])
			}
		}
	})
	if e := m.marker(map[string][]int32{"__consumer_offsets": {0}, "other": {0}}); len(e.Topics) != 0 {
		t.Fatal("a marker for a topic that is not ours")
	}
}

func TestPositions(t *testing.T) {
	tp := cluster.TP{Topic: "t"}
	at := func(v int64) map[cluster.TP]cluster.Committed {
		if v < 0 {
			return nil
		}
		return map[cluster.TP]cluster.Committed{tp: {At: v}}
	}
	for name, c := range map[string]struct {
		from, there, last, end int64
		exact                  bool
		want                   int64
		capped                 bool
	}{
		"new":                            {5, -1, -1, 10, false, 5, false},
		"forward":                        {5, 3, 3, 10, false, 5, false},
		"even":                           {5, 5, 5, 10, false, 5, false},
		"ahead on the target":            {5, 8, -1, 10, false, 8, false},
		"ahead, and seen the same":       {5, 8, 5, 10, false, 8, false},
		"moved back on the source":       {5, 8, 8, 10, false, 5, false},
		"moved back, the target further": {5, 9, 8, 10, false, 5, false},
		"exactly back":                   {5, 8, -1, 10, true, 5, false},
		"beyond the end":                 {50, 3, 3, 10, false, 10, true},
		"beyond the end again":           {50, 10, -1, 10, false, 10, true},
		"not there yet":                  {5, -1, -1, -1, false, -1, true},
	} {
		ends := map[cluster.TP]int64{tp: c.end}
		if c.end < 0 {
			ends = nil
		}
		want, capped := positions(at(c.from), at(c.there), at(c.last), ends, c.exact)
		got, ok := want[tp]
		if !ok {
			got.At = c.there
		}
		if got.At != c.want || (len(capped) > 0) != c.capped {
			t.Errorf("%s: sets %v, capped %v", name, got, capped)
		}
	}
}

// TestNotes shows what stands beside a position, and what a mover makes of it that remembers nothing.
func TestNotes(t *testing.T) {
	type text = cluster.Committed
	is := func(at int64, own string) text { return text{At: at, Metadata: own} }
	long := strings.Repeat("x", 4096)
	for name, c := range map[string]struct{ from, there, want text }{
		"the text goes along":               {is(5, "app"), is(3, "understudy:3;old"), is(5, "understudy:5;app")},
		"nothing to do":                     {is(5, "app"), is(5, "understudy:5;app"), text{}},
		"only the text changed":             {is(5, "app"), is(5, "understudy:5;old"), is(5, "understudy:5;app")},
		"no note yet":                       {is(5, ""), is(5, ""), is(5, "understudy:5;")},
		"moved back":                        {is(5, "app"), is(8, "understudy:8;old"), is(5, "understudy:5;app")},
		"moved back from beyond the end":    {is(7, "app"), is(10, "understudy:50;old"), is(7, "understudy:7;app")},
		"beyond the end":                    {is(50, "app"), is(10, "understudy:10;app"), is(10, "understudy:50;app")},
		"ahead by a life of its own":        {is(5, "app"), is(8, "mine"), is(8, "understudy:5;mine")},
		"still ahead":                       {is(6, "app"), is(8, "understudy:5;mine"), is(8, "understudy:6;mine")},
		"a note of a source that was taken": {is(6, "understudy:6;app"), is(3, ""), is(6, "understudy:6;app")},
		"text that looks like a note":       {is(5, "understudy:me"), is(3, "understudy:-1;x"), is(5, "understudy:5;understudy:me")},
		"no room for a note":                {is(5, long), is(5, long), text{}},
	} {
		tp := cluster.TP{Topic: "t"}
		want, _ := positions(map[cluster.TP]text{tp: c.from}, map[cluster.TP]text{tp: c.there}, nil, map[cluster.TP]int64{tp: 10}, false)
		if want[tp] != c.want {
			t.Errorf("%s: sets %v, not %v", name, want[tp], c.want)
		}
	}
}

func TestFetcherGivesEachWishOneTurn(t *testing.T) {
	f := newFetcher(nil, 1)
	here, left := newDesk(), newDesk()
	left.close()
	a, b, c, d := &want{desk: here}, &want{desk: here, alone: true}, &want{desk: left}, &want{desk: here}
	for _, w := range []*want{a, b, c, d} {
		f.ask(w)
	}
	if got := f.take(t.Context()); !slices.Equal(got, []*want{a, d}) {
		t.Fatalf("%d wishes", len(got))
	}
	if got := f.take(t.Context()); !slices.Equal(got, []*want{b}) {
		t.Fatalf("%d wishes", len(got))
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if f.take(ctx) != nil {
			t.Error("a wish from nowhere")
		}
	})
	cancel()
	wg.Wait()
}

func TestALeftDeskGivesMemoryBack(t *testing.T) {
	b := newBudget(1 << 20)
	for name, use := range map[string]func(*desk, fetched){
		"answered before it was left": func(d *desk, f fetched) { d.put(f); d.close() },
		"answered after it was left":  func(d *desk, f fetched) { d.close(); d.put(f) },
	} {
		c, err := b.get(t.Context(), 1000)
		if err != nil {
			t.Fatal(err)
		}
		use(newDesk(), fetched{chunk: c.hold()})
		c.release()
		if !b.sem.TryAcquire(1 << 20) {
			t.Fatalf("%s: memory was kept", name)
		}
		b.sem.Release(1 << 20)
	}
}

func TestFillerIsKnownAgain(t *testing.T) {
	m := &Mirror{pid: PID("c", understudy.Link{}), coder: coder(t)}
	r := &room{w: shop(t, 1<<20), size: 1 << 20}
	is := func(b batch.Batch) bool {
		r.used = 0
		filler, err := m.isFiller(r, b)
		return filler && err == nil
	}
	p := batch.Producer{ID: m.pid}
	b, err := m.coder.Filler(100, p, fillerTime)
	if err != nil || !is(b) {
		t.Fatal("a filler is not known", err)
	}
	for name, recs := range map[string][]batch.Record{
		"a key":         {{Timestamp: fillerTime, Key: []byte("k")}},
		"a null key":    {{Timestamp: fillerTime}},
		"a value":       {{Timestamp: fillerTime, Key: []byte{}, Value: []byte{}}},
		"another time":  {{Timestamp: fillerTime + 1, Key: []byte{}}},
		"with a header": {{Timestamp: fillerTime, Key: []byte{}, Headers: []batch.Header{{Key: "h"}}}},
	} {
		data, err := m.coder.Encode(batch.Zstd, p, recs)
		if err != nil || is(data) {
			t.Errorf("%s passes for a filler: %v", name, err)
		}
	}
}
