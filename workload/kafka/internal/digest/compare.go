package digest

import (
	"context"
	"fmt"
	"hash/maphash"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
)

const (
	// maxDifferences bounds what is listed of one pair of logs; the rest is counted.
	maxDifferences = 100
	// maxPending bounds the one-sided records of a compacted topic that are remembered.
	maxPending = 2 << 20
	// decodedMax bounds the records of one batch, decompressed, in bytes.
	decodedMax = 256 << 20
)

// Input is a pair of logs and what of them is compared.
type Input struct {
	Source, Target Side
	// From and To bound the comparison: To is where the shorter log ends.
	From, To int64
	// SourceEnd and TargetEnd are where the logs end now: on compacted topics, records up to there may be why
	// an earlier one was removed.
	SourceEnd, TargetEnd int64
	// Compacted says that a record may be missing where a later one has its key.
	Compacted bool
	// Seen is told how many offsets are done; it may be nil.
	Seen func(offsets int64)
}

// Range is a run of offsets that differ in the same way.
type Range struct {
	First, Last int64
	// Records counts them.
	Records int64
	Text    string
}

// Result is what a comparison found.
type Result struct {
	// Compared counts the records that were found on both sides, and Bytes the size of their keys and values.
	Compared, Bytes int64
	// Removed counts records of a compacted topic that one side lacks, and rightly.
	Removed     int64
	Differences []Range
	// More counts the ranges beyond those listed.
	More int
}

// Compare reads both logs and lists where they differ.
func Compare(ctx context.Context, in Input) (Result, error) {
	coder, err := batch.NewCoder(decodedMax)
	if err != nil {
		return Result{}, err
	}
	c := &comparison{in: in, coder: coder, seed: maphash.MakeSeed()}
	c.sides[source] = newReader(in.Source, coder, c.seed, in.From)
	c.sides[target] = newReader(in.Target, coder, c.seed, in.From)
	if err := c.merge(ctx); err != nil {
		return c.res, err
	}
	if err := c.resolve(ctx); err != nil {
		return c.res, err
	}
	c.finish()
	return c.res, nil
}

const (
	source = 0
	target = 1
)

// pending is a record that one side of a compacted topic lacks.
type pending struct {
	offset int64
	dead   bool
}

type comparison struct {
	in    Input
	coder *batch.Coder
	seed  maphash.Seed
	sides [2]*reader
	// lacks holds, for each side, the newest record of each key that the side does not have and the other
	// has; an older one of the same key is excused or not together with it.
	lacks [2]map[uint64][]pending
	held  int
	found []Range
	res   Result
}

// merge walks both logs in step.
func (c *comparison) merge(ctx context.Context) error {
	var have [2][]entry
	var more [2]bool
	more[source], more[target] = true, true
	c.lacks[source], c.lacks[target] = map[uint64][]pending{}, map[uint64][]pending{}
	for {
		if err := c.refill(ctx, &have, &more); err != nil {
			return err
		}
		a, b := have[source], have[target]
		// Beyond where a side has been read nothing can be said about it yet.
		limit := min(c.sides[source].next, c.sides[target].next)
		i, j := 0, 0
		for i < len(a) && a[i].offset < limit || j < len(b) && b[j].offset < limit {
			switch {
			case j == len(b) || i < len(a) && a[i].offset < b[j].offset:
				c.onlyOn(source, a[i])
				i++
			case i == len(a) || b[j].offset < a[i].offset:
				c.onlyOn(target, b[j])
				j++
			default:
				c.both(a[i], b[j])
				i, j = i+1, j+1
			}
		}
		have[source], have[target] = a[i:], b[j:]
		if c.in.Seen != nil {
			c.in.Seen(limit - c.in.From)
		}
		if c.held > maxPending {
			return fmt.Errorf("more than %d records are on one side only", maxPending)
		}
		if !more[source] && !more[target] && len(have[source]) == 0 && len(have[target]) == 0 {
			return nil
		}
	}
}

// refill reads a page of each side that has none in hand, both at the same time.
func (c *comparison) refill(ctx context.Context, have *[2][]entry, more *[2]bool) error {
	var read []int
	for s := range c.sides {
		// The side that is behind is read, so that neither runs away.
		if more[s] && (len(have[s]) == 0 || c.sides[s].next <= c.sides[1-s].next) {
			read = append(read, s)
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, s := range read {
		g.Go(func() error {
			page, ok, err := c.sides[s].page(ctx, c.in.To)
			have[s] = append(have[s], page...)
			more[s] = ok
			return err
		})
	}
	return g.Wait()
}

func (c *comparison) both(a, b entry) {
	c.res.Compared++
	c.res.Bytes += a.bytes
	if a.sum != b.sum {
		c.differ(a.offset, "the content differs")
	}
	c.excuse(source, a)
	c.excuse(target, b)
}

// onlyOn notes a record that only one side has.
func (c *comparison) onlyOn(s int, e entry) {
	c.excuse(s, e)
	if !c.in.Compacted || !e.keyed {
		c.differ(e.offset, "only on "+c.sides[s].side.Name)
		return
	}
	c.lacks[1-s][e.key] = append(c.lacks[1-s][e.key], pending{e.offset, e.dead})
	c.held++
}

// excuse drops the earlier records of the same key that this side lacks: this one came after.
func (c *comparison) excuse(s int, e entry) {
	if !e.keyed || len(c.lacks[s]) == 0 {
		return
	}
	list := c.lacks[s][e.key]
	n := 0
	for n < len(list) && list[n].offset < e.offset {
		n++
	}
	if n == 0 {
		return
	}
	c.res.Removed += int64(n)
	c.held -= n
	if n == len(list) {
		delete(c.lacks[s], e.key)
		return
	}
	c.lacks[s][e.key] = list[n:]
}

// resolve looks further for what may excuse the records that are still missing: later records of their keys
// beyond the compared range, and for a tombstone, that there is nothing left for it to hide.
func (c *comparison) resolve(ctx context.Context) error {
	ends := [2]int64{c.in.SourceEnd, c.in.TargetEnd}
	for s := range c.sides {
		if len(c.lacks[s]) == 0 {
			continue
		}
		r := newReader(c.sides[s].side, c.coder, c.seed, c.in.To)
		if err := each(ctx, r, ends[s], func(e entry) { c.excuse(s, e) }); err != nil {
			return err
		}
		if err := c.tombstones(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func each(ctx context.Context, r *reader, to int64, do func(entry)) error {
	for {
		page, more, err := r.page(ctx, to)
		if err != nil || !more {
			return err
		}
		for _, e := range page {
			do(e)
		}
	}
}

// tombstones excuses those that a side lacks together with everything before them: its cleaner has dropped
// them after their time.
func (c *comparison) tombstones(ctx context.Context, s int) error {
	hides := map[uint64]int64{}
	for key, list := range c.lacks[s] {
		if last := list[len(list)-1]; last.dead {
			hides[key] = last.offset
		}
	}
	if len(hides) == 0 {
		return nil
	}
	r := newReader(c.sides[s].side, c.coder, c.seed, c.in.From)
	err := each(ctx, r, c.in.To, func(e entry) {
		if at, ok := hides[e.key]; ok && e.keyed && e.offset < at {
			delete(hides, e.key)
		}
	})
	for key := range hides {
		c.res.Removed += int64(len(c.lacks[s][key]))
		delete(c.lacks[s], key)
	}
	return err
}
