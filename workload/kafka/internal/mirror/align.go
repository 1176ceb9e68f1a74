package mirror

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

// tailBytes is how much is read to look at a log's last batch. A broker gives a batch whole however large it is.
const tailBytes = 16 << 10

// alignment is where and how a partition goes on.
type alignment struct {
	target cluster.Partition
	// end is the target's end: the next offset to copy.
	end int64
	// head is above end when the source's log start is, before anything was copied: a head to fill.
	head int64
	seq  int32
	// fresh says that the target's leader knows nothing of our producer, so that it takes any sequence.
	fresh bool
	// newest is the time of the newest thing it remembers of us, in milliseconds since 1970; now where it is fresh.
	newest int64
	// leader is the source's leader epoch of the offset before end; −1 when unknown.
	leader int32
}

// ends are both sides as they are now.
type ends struct {
	source, target         cluster.Partition
	sourceStart, sourceEnd int64
	targetStart, targetEnd int64
}

// align reads where the target ends and what its leader remembers of us, and proves that what it holds came
// from the source. Nothing of the partition is in flight meanwhile.
func (s *shard) align(ctx context.Context) (alignment, error) {
	if err := s.m.aligning.Acquire(ctx, 1); err != nil {
		return alignment{}, err
	}
	defer s.m.aligning.Release(1)
	e, err := s.ends(ctx)
	if err != nil {
		return alignment{}, err
	}
	at := alignment{target: e.target, end: e.targetEnd, leader: -1}
	if err := s.recall(ctx, &at); err != nil {
		return at, err
	}
	// The end must still be the one the leader's memory belongs to.
	if again, err := s.ends(ctx); err != nil || again.targetEnd != e.targetEnd {
		return at, orMoved(err)
	}
	s.track.trimmed(e.sourceStart)
	if e.targetEnd > e.sourceEnd {
		return at, s.ahead(ctx, e)
	}
	s.aheadSeen = 0
	return at, s.m.workshop.within(ctx, lookMemory, func(r *room) error { return s.look(ctx, r, e, &at) })
}

// look proves by the target's last batch that what it holds came from the source, or finds that only a head was filled.
func (s *shard) look(ctx context.Context, r *room, e ends, at *alignment) error {
	tail, err := s.tail(ctx, r, s.m.target, e.target, e.targetStart, e.targetEnd)
	if err != nil {
		return err
	}
	if end := s.newer(tail); end != nil {
		return end
	}
	if e.targetEnd >= e.sourceStart {
		at.leader, err = s.same(ctx, r, e, tail)
		return err
	}
	filled := s.boot || e.targetEnd == 0
	if !filled {
		if filled, err = s.m.isFiller(r, tail); err != nil {
			return err
		}
	}
	if !filled {
		return s.gap(e.targetEnd, e.sourceStart)
	}
	at.head = e.sourceStart
	return nil
}

func orMoved(err error) error {
	if err != nil {
		return err
	}
	return errMoved
}

// ends reads both logs' limits. The target's leader must end at its high watermark, because what lies above
// may yet be lost, or become visible.
func (s *shard) ends(ctx context.Context) (ends, error) {
	var e ends
	var err error
	if e.source, err = s.m.source.partition(s.tp); err != nil {
		return e, err
	}
	if e.source.ID != s.id {
		return e, s.remade()
	}
	if e.target, err = s.m.target.partition(s.tp); err != nil {
		return e, err
	}
	for _, q := range []struct {
		side *side
		at   cluster.Position
		part cluster.Partition
		out  *int64
	}{
		{s.m.target, cluster.Start, e.target, &e.targetStart}, {s.m.target, cluster.End, e.target, &e.targetEnd},
		{s.m.source, cluster.Start, e.source, &e.sourceStart}, {s.m.source, cluster.End, e.source, &e.sourceEnd},
	} {
		got, err := q.side.c.ListOffsets(ctx, s.m.o.Lease, q.at, []cluster.Partition{q.part})
		if err != nil {
			return e, err
		}
		*q.out = got[s.tp]
	}
	log, err := s.m.target.c.EndOffsets(ctx, s.m.o.Lease, []cluster.Partition{e.target})
	if err != nil {
		return e, err
	}
	if at, ok := log[s.tp]; e.target.LeaderEpoch >= 0 && (!ok || at != e.targetEnd) {
		return e, errMoved // one that is left out has another leader than we know: it is looked up again
	}
	return e, nil
}

// recall asks the target's leader what it remembers of our producer.
func (s *shard) recall(ctx context.Context, at *alignment) error {
	known, err := s.m.target.c.DescribeProducers(ctx, s.m.o.Lease, []cluster.Partition{at.target})
	if err != nil {
		return err
	}
	at.seq, at.fresh, at.newest = 0, true, time.Now().UnixMilli()
	for _, p := range known[s.tp] {
		if p.ID != s.m.pid {
			continue
		}
		at.fresh, at.newest = false, p.LastMillis
		switch {
		case p.Epoch > int32(s.m.epoch):
			return s.fenced(understudy.RoleEpoch(p.Epoch), "the target has seen a higher role epoch")
		case p.Epoch == int32(s.m.epoch) && p.LastSequence >= 0:
			at.seq = batch.AddSequence(p.LastSequence, 1)
		default: // another epoch, or markers only: data begins at 0
		}
	}
	return nil
}

// newer refuses to go on below an epoch that the log itself shows, where the leader has forgotten it.
func (s *shard) newer(tail batch.Batch) *stop {
	if tail == nil {
		return nil
	}
	if p := tail.Producer(); p.ID == s.m.pid && p.Epoch > s.m.epoch {
		return s.fenced(understudy.RoleEpoch(p.Epoch), "the target's log holds a higher role epoch")
	}
	return nil
}

// aheadLimit is how many looks a target that ends beyond its source gets: a source that has just changed its
// leader may for a moment not know its own high watermark.
const aheadLimit = 6

func (s *shard) ahead(ctx context.Context, e ends) error {
	s.aheadSeen++
	if s.aheadSeen < aheadLimit {
		return s.m.source.c.Refused("kafka.mirror", s.tp.String(), 78, "")
	}
	tail, err := s.tailHeader(ctx, e.target, e.targetStart, e.targetEnd)
	if err != nil {
		return err
	}
	if tail != nil && tail.Producer().ID == s.m.pid {
		return s.history("the source ends at %d, and %d was copied from it", e.sourceEnd, e.targetEnd)
	}
	return s.foreign("the target ends at %d, the source at %d", e.targetEnd, e.sourceEnd)
}

// tailHeader reads the last batch of the target's log and keeps nothing but its header; nil when there is none.
func (s *shard) tailHeader(ctx context.Context, p cluster.Partition, start, end int64) (batch.Batch, error) {
	var header batch.Batch
	err := s.m.workshop.within(ctx, lookMemory, func(r *room) error {
		tail, err := s.tail(ctx, r, s.m.target, p, start, end)
		if tail != nil {
			header = slices.Clone(tail[:batch.HeaderSize])
		}
		return err
	})
	return header, err
}

// tail reads the last batch of a log into a room, or gives nil when there is none.
func (s *shard) tail(ctx context.Context, r *room, side *side, p cluster.Partition, start, end int64) (batch.Batch, error) {
	if end <= start || end == 0 {
		return nil, nil
	}
	f, err := side.c.Fetch(ctx, s.m.o.Lease, p, end-1, tailBytes)
	if err != nil {
		return nil, err
	}
	if f.Code == cluster.CodeOffsetOutOfRange {
		return nil, errMoved
	}
	if err := side.c.Refused("kafka.fetch", s.tp.String(), f.Code, "READ on topic "+s.tp.Topic); err != nil {
		return nil, err
	}
	if err := r.take(int64(len(f.Records))); err != nil {
		return nil, err
	}
	b, _, err := batch.Next(f.Records)
	if err != nil {
		return nil, s.unusable(side, end-1, err)
	}
	if b == nil || b.BaseOffset() >= end {
		return nil, nil
	}
	return b, nil
}

// same compares the target's last batch with what the source has at those offsets. It gives the source's
// leader epoch there.
func (s *shard) same(ctx context.Context, r *room, e ends, tail batch.Batch) (int32, error) {
	if e.sourceStart >= e.targetEnd {
		return -1, nil
	}
	from, err := s.tail(ctx, r, s.m.source, e.source, e.sourceStart, e.targetEnd)
	if err != nil || from == nil {
		return -1, err
	}
	leader := from.LeaderEpoch()
	if filler, err := s.m.isFiller(r, tail); filler || err != nil || tail == nil {
		return leader, err
	}
	if !tail.Control() && !from.Control() {
		return leader, s.sameRecords(r, tail, from)
	}
	if tail.Control() {
		if from.Control() || from.Transactional() {
			return leader, nil
		}
		held, err := s.holds(r, from, e.targetEnd-1)
		if held {
			err = s.foreign("offset %d holds a marker, and a record on the source", e.targetEnd-1)
		}
		return leader, err
	}
	if tail.Transactional() {
		return leader, nil
	}
	held, err := s.holds(r, tail, e.targetEnd-1)
	if held {
		err = s.foreign("offset %d holds a record, and none on the source", e.targetEnd-1)
	}
	return leader, err
}

// holds says whether a batch has a record at an offset. The error is *crowded: what cannot be read holds nothing.
func (s *shard) holds(r *room, b batch.Batch, at int64) (bool, error) {
	body, err := r.open(b)
	if err != nil {
		return false, onlyCrowded(err)
	}
	for x := range body.Records() {
		if x.Offset == at {
			return true, nil
		}
	}
	return false, nil
}

func (s *shard) sameRecords(r *room, ours, theirs batch.Batch) error {
	have, err := r.open(ours)
	if err != nil {
		return s.unread(s.m.target, ours, err)
	}
	want, err := r.open(theirs)
	if err != nil {
		return s.unread(s.m.source, theirs, err)
	}
	next, stop := iter.Pull(want.Records())
	defer stop()
	w, ok := next()
	for h := range have.Records() {
		for ok && w.Offset < h.Offset {
			w, ok = next()
		}
		if ok && w.Offset == h.Offset && !equal(h, w) {
			return s.foreign("the record at offset %d is not the source's", h.Offset)
		}
	}
	return nil
}

// unread is why a batch could not be read: its own fault, unless the room was too small.
func (s *shard) unread(side *side, b batch.Batch, err error) error {
	if tight := onlyCrowded(err); tight != nil {
		return tight
	}
	return s.unusable(side, b.BaseOffset(), err)
}

// onlyCrowded is err where it says that the room was too small, and nil otherwise.
func onlyCrowded(err error) error {
	var tight *crowded
	if errors.As(err, &tight) {
		return tight
	}
	return nil
}

// equal compares two records with all a consumer sees; null and empty are not the same.
func equal(a, b batch.Record) bool {
	return a.Offset == b.Offset && a.Timestamp == b.Timestamp && sameBytes(a.Key, b.Key) && sameBytes(a.Value, b.Value) &&
		slices.EqualFunc(a.Headers, b.Headers, func(x, y batch.Header) bool { return x.Key == y.Key && sameBytes(x.Value, y.Value) })
}

func sameBytes(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }
