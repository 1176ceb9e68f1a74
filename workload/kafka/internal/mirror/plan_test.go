package mirror

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
)

func coder(t testing.TB) *batch.Coder {
	t.Helper()
	c, err := batch.NewCoder(1 << 24)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// stored makes a batch as a log holds it, with records at the given offsets.
func stored(t testing.TB, attributes byte, pid int64, offsets ...int64) batch.Batch {
	t.Helper()
	var recs []batch.Record
	for _, o := range offsets {
		recs = append(recs, batch.Record{Offset: o, Timestamp: o, Key: []byte("k"), Value: fmt.Append(nil, "v", o)})
	}
	b, err := coder(t).Encode(batch.None, batch.Producer{ID: pid, Epoch: 1, Sequence: 0}, recs)
	if err != nil {
		t.Fatal(err)
	}
	b[22] |= attributes
	place(b, offsets[0])
	return b
}

func place(b batch.Batch, base int64) {
	for i := range 8 {
		b[i] = byte(base >> (56 - 8*i))
	}
}

const transactional, appendTime = 0x10, 0x08

func marker(pid, at int64, commit bool) batch.Batch {
	b := batch.Marker(batch.Producer{ID: pid, Epoch: 1}, commit, 0, 1)
	place(b, at)
	return b
}

// story tells a plan in words.
func story(t *testing.T, next int64, aborted map[int64]int64, batches ...batch.Batch) string {
	t.Helper()
	var list []kmsg.FetchResponseTopicPartitionAbortedTransaction
	for pid, first := range aborted {
		list = append(list, kmsg.FetchResponseTopicPartitionAbortedTransaction{ProducerID: pid, FirstOffset: first})
	}
	p := newPlanner(coder(t), next, list)
	var out []string
	for _, b := range batches {
		actions, err := p.add(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range actions {
			switch {
			case a.raw != nil:
				out = append(out, fmt.Sprint("raw to ", a.to))
			case a.decode != nil:
				out = append(out, fmt.Sprint("decode to ", a.to))
			default:
				out = append(out, fmt.Sprint("fill to ", a.to))
			}
		}
	}
	return strings.Join(out, ", ")
}

func TestPlan(t *testing.T) {
	for name, c := range map[string]struct {
		next    int64
		aborted map[int64]int64
		batches []batch.Batch
		want    string
	}{
		"dense batches pass":          {0, nil, []batch.Batch{stored(t, 0, -1, 0, 1), stored(t, 0, 7, 2)}, "raw to 2, raw to 3"},
		"what is there is left out":   {3, nil, []batch.Batch{stored(t, 0, -1, 0, 1), stored(t, 0, 7, 2), stored(t, 0, 7, 3)}, "raw to 4"},
		"a batch that begins before":  {1, nil, []batch.Batch{stored(t, 0, -1, 0, 1, 2)}, "decode to 3"},
		"holes between":               {0, nil, []batch.Batch{stored(t, 0, -1, 4), stored(t, 0, -1, 9)}, "fill to 4, raw to 5, fill to 9, raw to 10"},
		"holes within":                {0, nil, []batch.Batch{stored(t, 0, -1, 0, 3)}, "decode to 4"},
		"append time":                 {0, nil, []batch.Batch{stored(t, appendTime, -1, 0, 1)}, "decode to 2"},
		"a committed transaction":     {0, nil, []batch.Batch{stored(t, transactional, 7, 0, 1), marker(7, 2, true)}, "raw to 2, fill to 3"},
		"an aborted one":              {0, map[int64]int64{7: 0}, []batch.Batch{stored(t, transactional, 7, 0, 1), marker(7, 2, false), stored(t, transactional, 7, 3)}, "fill to 2, fill to 3, raw to 4"},
		"only the aborted producer":   {0, map[int64]int64{7: 0}, []batch.Batch{stored(t, transactional, 7, 0), stored(t, transactional, 8, 1), stored(t, 0, -1, 2), marker(8, 3, true), marker(7, 4, false)}, "fill to 1, raw to 2, raw to 3, fill to 4, fill to 5"},
		"aborted before the fetch":    {5, map[int64]int64{7: 1}, []batch.Batch{stored(t, transactional, 7, 5), marker(7, 6, false), stored(t, transactional, 7, 7)}, "fill to 6, fill to 7, raw to 8"},
		"ended below the start":       {4, map[int64]int64{7: 1}, []batch.Batch{marker(7, 3, false), stored(t, transactional, 7, 4)}, "raw to 5"},
		"plain data of that producer": {0, map[int64]int64{7: 0}, []batch.Batch{stored(t, 0, 7, 0)}, "raw to 1"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := story(t, c.next, c.aborted, c.batches...); got != c.want {
				t.Fatalf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestPlanCoversEveryOffsetOnce draws logs with holes and any start, and looks that the plan is without gaps.
func TestPlanCoversEveryOffsetOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		at := rapid.Int64Range(0, 5).Draw(rt, "first")
		var batches []batch.Batch
		visible := map[int64]bool{}
		for range rapid.IntRange(1, 12).Draw(rt, "batches") {
			at += rapid.Int64Range(0, 3).Draw(rt, "hole")
			offsets := []int64{at}
			for range rapid.IntRange(0, 4).Draw(rt, "more") {
				at += rapid.Int64Range(1, 3).Draw(rt, "step")
				offsets = append(offsets, at)
			}
			at++
			for _, o := range offsets {
				visible[o] = true
			}
			batches = append(batches, stored(t, 0, -1, offsets...))
		}
		next := rapid.Int64Range(0, at-1).Draw(rt, "next")
		p, c := newPlanner(coder(t), next, nil), coder(t)
		seen := map[int64]bool{}
		for _, b := range batches {
			actions, err := p.add(b)
			if err != nil {
				rt.Fatal(err)
			}
			for _, a := range actions {
				note(rt, c, a, next, seen)
				if a.to <= next {
					rt.Fatalf("an action goes back to %d from %d", a.to, next)
				}
				next = a.to
			}
		}
		if next != at {
			rt.Fatalf("the plan ends at %d, the log at %d", next, at)
		}
		for o := range seen {
			if !visible[o] {
				rt.Fatalf("offset %d is not in the log", o)
			}
		}
	})
}

func note(rt *rapid.T, c *batch.Coder, a action, next int64, seen map[int64]bool) {
	src := a.raw
	if src == nil {
		src = a.decode
	}
	if src == nil {
		return
	}
	recs, err := c.Decode(src)
	if err != nil {
		rt.Fatal(err)
	}
	for _, r := range recs {
		if r.Offset < next {
			continue
		}
		if seen[r.Offset] || r.Offset >= a.to {
			rt.Fatalf("offset %d is out of place", r.Offset)
		}
		seen[r.Offset] = true
	}
}

func TestLastWhole(t *testing.T) {
	raw := slices.Concat(stored(t, 0, -1, 0, 1), stored(t, 0, -1, 5))
	if next, _, ok := lastWhole(raw); !ok || next != 6 {
		t.Fatal(next, ok)
	}
	if next, _, ok := lastWhole(raw[:len(raw)-1]); !ok || next != 2 {
		t.Fatal(next, ok)
	}
	for n := range 70 {
		if _, _, ok := lastWhole(raw[:n]); ok {
			t.Fatalf("%d bytes hold no batch", n)
		}
	}
}
