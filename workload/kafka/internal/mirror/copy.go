package mirror

import (
	"context"
	"errors"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

// apply sends the batches of one answer, and markers for what is not visible.
func (s *shard) apply(ctx context.Context, f fetched) error {
	p := newPlanner(s.m.coder, s.next, f.aborted)
	to := s.next // how far the markers that are due reach
	for b, err := range batch.Batches(f.records) {
		if err != nil {
			return s.unusable(s.m.source, p.next, err)
		}
		actions, err := p.add(b)
		if err != nil {
			return s.unusable(s.m.source, b.BaseOffset(), err)
		}
		for _, a := range actions {
			if a.leader >= 0 {
				s.leader = a.leader
			}
			if a.filled() {
				to = a.to
				continue
			}
			if err := s.fill(ctx, to); err != nil {
				return err
			}
			if err := s.send(ctx, a, f.chunk); err != nil {
				return err
			}
			to = s.next
		}
	}
	return s.fill(ctx, to)
}

// send passes one batch on, or what is left of it.
func (s *shard) send(ctx context.Context, a action, c *chunk) error {
	if a.raw != nil {
		return s.put(ctx, a.raw, c)
	}
	shop := s.m.workshop
	return shop.within(ctx, shop.roomFor(a.decode), func(r *room) error {
		body, err := r.open(a.decode)
		if err != nil {
			return s.unread(s.m.source, a.decode, err)
		}
		r.fit()
		return s.rebuild(ctx, a, body, r.chunk)
	})
}

// rebuild sends what a batch has from the next offset on: each run of records without a hole as a batch, and markers between.
func (s *shard) rebuild(ctx context.Context, a action, body batch.Body, memory *chunk) error {
	run, from := s.m.coder.Builder(body.Len()), s.next
	var made int64
	send := func() error {
		n, err := s.sendRun(ctx, a.decode.Codec(), run, memory)
		made += n
		return err
	}
	for r := range body.Records() {
		if r.Offset < from {
			continue
		}
		if run.Count() > 0 && r.Offset != run.Last()+1 {
			if err := send(); err != nil {
				return err
			}
		}
		if err := run.Add(r); err != nil {
			return s.unusable(s.m.source, r.Offset, err)
		}
	}
	if run.Count() > 0 {
		if err := send(); err != nil {
			return err
		}
	}
	memory.shrink(made)
	return s.fill(ctx, a.to)
}

// sendRun sends what was added, after markers up to it, and says how large it has become.
func (s *shard) sendRun(ctx context.Context, codec batch.Codec, run *batch.Builder, memory *chunk) (int64, error) {
	first := run.First()
	if err := s.fill(ctx, first); err != nil {
		return 0, err
	}
	b, err := run.Batch(codec, s.producer())
	if err != nil {
		return 0, s.unusable(s.m.source, first, err)
	}
	return int64(len(b)), s.put(ctx, b, memory)
}

func (s *shard) producer() batch.Producer {
	return batch.Producer{ID: s.m.pid, Epoch: s.m.epoch, Sequence: s.seq}
}

// put hands one dense batch to the writer of the partition's leader.
func (s *shard) put(ctx context.Context, b batch.Batch, c *chunk) error {
	if s.inFlight == 0 {
		if err := s.recalled(ctx); err != nil {
			return err
		}
	}
	for s.inFlight >= s.width {
		if err := s.takeOne(ctx); err != nil {
			return err
		}
	}
	n := int64(b.LastOffsetDelta()) + 1
	if err := batch.Rewrite(b, s.producer()); err != nil {
		return s.unusable(s.m.source, s.next, err)
	}
	it := &item{part: s.target, batch: b, base: s.next, next: s.next + n, newest: b.MaxTimestamp(), spoiled: s.spoiled, acks: s.acks}
	if c != nil {
		it.chunk = c.hold()
	}
	s.track.sending(it.next)
	select {
	case <-ctx.Done():
		it.chunk.release()
		return ctx.Err()
	case s.m.writers.at(s.target.Leader).in <- it:
	}
	s.inFlight++
	s.next, s.seq = it.next, batch.AddSequence(s.seq, n)
	return nil
}

// fill writes markers up to an offset, when nothing else is in flight.
func (s *shard) fill(ctx context.Context, to int64) error {
	if to <= s.next {
		return nil
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	if err := s.undoubted(ctx); err != nil {
		return err
	}
	if err := s.recalled(ctx); err != nil {
		return err
	}
	job := &filling{part: s.target, from: s.next, to: to, answer: make(chan error, 1)}
	s.track.sending(to)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case s.m.fillers.at(s.target.Leader).in <- job:
	}
	err := <-job.answer // within the longest time of three requests, also when ctx ends
	var refused *markerRefused
	if errors.As(err, &refused) {
		return s.judgeMarker(refused.code)
	}
	if err != nil {
		return err
	}
	s.next, s.boot = to, false
	s.appended(time.Now().UnixMilli())
	s.track.hold(to)
	s.m.filled.Add(to - job.from)
	return nil
}

func (s *shard) judgeMarker(code int16) error {
	switch code {
	case cluster.CodeInvalidEpoch, cluster.CodeCoordinatorFenced:
		return s.fenced(s.m.o.Epoch+1, "the target refuses our markers")
	}
	err := understudy.AsError(s.m.target.c.Refused("kafka.writetxnmarkers", s.tp.String(), code, "ALTER on the cluster (CLUSTER_ACTION before Kafka 3.9)"))
	err.Code = "US146"
	return err
}

// fillerTime is the time of the records that stand for a source's trimmed head. No clock shows it, so that a
// head whose filling was interrupted is known again.
const fillerTime = 0x4D52

// fillHead puts records that stand for nothing in the place of a head that the source no longer has, and
// removes them: a log can begin above zero in no other way.
func (s *shard) fillHead(ctx context.Context, to int64) error {
	for s.next < to {
		if err := s.putFiller(ctx, int32(min(to-s.next, batch.MaxFiller))); err != nil {
			return err
		}
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	s.boot = true
	_, err := s.m.target.c.DeleteRecords(ctx, s.m.o.Lease, s.target, to)
	return err
}

func (s *shard) putFiller(ctx context.Context, n int32) error {
	return s.m.workshop.within(ctx, fillerMemory*int64(n)+besides, func(r *room) error {
		b, err := s.m.coder.Filler(n, s.producer(), fillerTime)
		if err != nil {
			return err
		}
		r.chunk.shrink(int64(len(b)))
		return s.put(ctx, b, r.chunk)
	})
}

// isFiller recognises a batch that fillHead wrote. The error is *crowded.
func (m *Mirror) isFiller(r *room, b batch.Batch) (bool, error) {
	if b == nil || b.Producer().ID != m.pid || b.Codec() != batch.Zstd || b.BaseTimestamp() != fillerTime || b.MaxTimestamp() != fillerTime {
		return false, nil
	}
	body, err := r.open(b)
	if err != nil {
		return false, onlyCrowded(err)
	}
	for x := range body.Records() {
		return x.Key != nil && len(x.Key) == 0 && x.Value == nil && len(x.Headers) == 0, nil
	}
	return false, nil
}
