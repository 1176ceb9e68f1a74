package mirror

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

const (
	// window is how many batches of one partition may be unanswered: as many as a broker remembers, to tell
	// a batch that it has already from one that is out of order.
	window = 5
	// retryMin and retryMax bound the pause before a partition is tried again.
	retryMin = 100 * time.Millisecond
	retryMax = 3 * time.Second
)

// shard follows one partition. Its fields belong to its own goroutine, but for those behind mu and track.
type shard struct {
	m     *Mirror
	tp    cluster.TP
	id    [16]byte // the topic's id at the source, as first seen
	track tracker

	mu      sync.Mutex
	err     *understudy.Error
	stopped *stop

	// the run between two alignments
	target   cluster.Partition
	next     int64 // the next offset to send
	seq      int32
	width    int // how many batches may be unanswered now
	inFlight int
	spoiled  *atomic.Bool
	acks     chan ack
	lastAck  time.Time
	newest   int64 // the time of the newest thing the leader has of us, in milliseconds since 1970
	leader   int32 // the source's leader epoch of the offset before next
	boot     bool  // nothing but a filled head has been copied
	empties  int
	unsure   time.Time // until when data without an answer may still arrive

	aheadSeen int   // how often the target was seen to end beyond the source
	unknown   int64 // the offset of the last batch that was refused with −1, plus one

	gone     chan struct{} // closed when the partition is to be left
	goneOnce sync.Once
}

func newShard(m *Mirror, tp cluster.TP, id [16]byte) *shard {
	return &shard{m: m, tp: tp, id: id, unsure: m.o.Unsettled, acks: make(chan ack, window+1), gone: make(chan struct{})}
}

// leave ends the partition without an error; what is in flight is waited for.
func (s *shard) leave() { s.goneOnce.Do(func() { close(s.gone) }) }

// run follows the partition until ctx ends or nothing but a person or a new assignment can help. Nothing of
// it is in flight when it returns.
func (s *shard) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stopped := make(chan struct{})
	defer func() { <-stopped }()
	go func() {
		defer close(stopped)
		select {
		case <-s.gone:
			cancel()
		case <-ctx.Done():
		}
	}()
	defer cancel()
	pause := retryMin
	for ctx.Err() == nil {
		before := s.track.state().acked
		err := s.follow(ctx)
		s.drain()
		if ctx.Err() != nil {
			return
		}
		if isLease(err) {
			s.m.abandon(leaseOver(s.m.target.c.Object()))
			return
		}
		var end *stop
		if errors.As(err, &end) {
			s.halt(end)
			return
		}
		if s.track.state().acked > before {
			pause = retryMin
		}
		s.m.o.Log.Debug("partition is tried again", "partition", s.tp.String(), "pause", pause, "error", err)
		wait := pause
		switch {
		case errors.Is(err, errUnsure):
			// The markers may still be waiting on the broker, for as long as a request may.
			wait = s.m.o.Settle
		case errors.Is(err, errMoved), errors.Is(err, errOutOfRange):
			if pause < retryMax {
				break // as after any change of leader
			}
			s.note(s.restless(err))
		default:
			s.note(err)
		}
		s.m.reroute(ctx)
		pause = min(pause*2, retryMax)
		sleep(ctx, wait+rand.N(wait/4+1))
	}
}

// sleep waits for the time or the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (s *shard) halt(end *stop) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped, s.err = end, end.err
	s.m.o.Log.Warn("partition stopped", "partition", s.tp.String(), "error", end.err)
}

func (s *shard) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = understudy.AsError(err)
}

// status gives the error and whether the partition has stopped for good.
func (s *shard) status() (*understudy.Error, *stop) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err, s.stopped
}

func (s *shard) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = nil
}

// follow aligns with the target's end and copies from there until something goes wrong.
func (s *shard) follow(ctx context.Context) error {
	at, err := s.align(ctx)
	if err != nil {
		return err
	}
	s.target, s.next, s.seq, s.leader = at.target, at.end, at.seq, at.leader
	s.spoiled, s.empties, s.width = &atomic.Bool{}, 0, window
	s.appended(at.newest)
	s.track.align(at.end)
	if at.fresh {
		if err := s.begin(ctx); err != nil {
			return err
		}
	}
	if at.head > at.end {
		s.boot = true
		if err := s.fillHead(ctx, at.head); err != nil {
			return err
		}
	}
	s.clear()
	return s.copy(ctx)
}

// copy moves what the source answers, one fetch ahead of what is being written.
func (s *shard) copy(ctx context.Context) error {
	d := newDesk()
	defer d.close()
	if err := s.ask(d, s.next, s.leader, false); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case a := <-s.acks:
			if err := s.take(a); err != nil {
				return err
			}
		case f := <-d.answers:
			if err := s.answer(ctx, f, d); err != nil {
				return err
			}
		}
	}
}

func (s *shard) ask(d *desk, from int64, leader int32, alone bool) error {
	p, err := s.m.source.partition(s.tp)
	if err != nil {
		return err
	}
	if p.ID != s.id {
		return s.remade()
	}
	s.m.fetchers.at(p.Leader).ask(&want{part: p, offset: from, epoch: leader, alone: alone, desk: d})
	return nil
}

// answer works through one fetch, with the next one already on its way.
func (s *shard) answer(ctx context.Context, f fetched, d *desk) error {
	defer f.chunk.release()
	if err := s.check(f); err != nil {
		return err
	}
	next, leader, ok := lastWhole(f.records)
	if !ok {
		return s.nothing(ctx, f, d)
	}
	s.empties = 0
	if leader < 0 {
		leader = s.leader
	}
	if err := s.ask(d, max(next, s.next), leader, false); err != nil {
		return err
	}
	return s.apply(ctx, f)
}

// nothing handles an answer without a whole batch. Among other partitions that may be for want of room, so
// it is asked for again, alone; below the last stable offset, two empty answers to that mean that the cleaner
// removed the rest.
func (s *shard) nothing(ctx context.Context, f fetched, d *desk) error {
	if len(f.records) > 0 && f.alone {
		return s.unusable(s.m.source, s.next, errTooSmall)
	}
	if f.alone && f.stable > s.next {
		s.empties++
		if s.empties > 1 {
			s.empties = 0
			if err := s.local(ctx); err != nil {
				return err
			}
			if err := s.fill(ctx, f.stable); err != nil {
				return err
			}
		}
	}
	return s.ask(d, s.next, s.leader, f.stable > s.next)
}

// local makes sure that an empty answer is not one of remote storage that is slow.
func (s *shard) local(ctx context.Context) error {
	p, err := s.m.source.partition(s.tp)
	if err != nil {
		return err
	}
	got, err := s.m.source.c.ListOffsets(ctx, s.m.o.Lease, cluster.Local, []cluster.Partition{p})
	if err != nil {
		return err
	}
	if at := got[s.tp]; at > s.next {
		return &understudy.Error{
			Code: "US151", Kind: understudy.KindRetry, Op: "kafka.mirror", Object: s.object(s.m.source),
			Summary: fmt.Sprintf("remote storage does not answer for offset %d", s.next),
		}
	}
	return nil
}

// check sorts out the errors of a fetch.
func (s *shard) check(f fetched) error {
	switch {
	case f.err != nil:
		return f.err
	case f.diverged:
		return s.history("the source's log was cut below offset %d, which was copied from it", s.next)
	case f.code == cluster.CodeUnknownTopicID:
		return s.remade()
	case f.code == cluster.CodeOffsetOutOfRange:
		return errOutOfRange
	case f.code != 0:
		return s.m.source.c.Refused("kafka.fetch", s.tp.String(), f.code, "READ on topic "+s.tp.Topic)
	case f.start > s.next:
		return errOutOfRange
	}
	s.track.trimmed(f.start)
	return nil
}

// errOutOfRange means that the source no longer has the next offset: the alignment finds out why.
var errOutOfRange = errors.New("the source does not have the next offset")

// take handles one answer of the target.
func (s *shard) take(a ack) error {
	s.inFlight--
	if err := s.judge(a); err != nil {
		return err
	}
	s.width, s.boot = window, false
	s.appended(a.it.newest)
	s.track.hold(a.it.next)
	s.m.copied(a.it)
	return nil
}

func (s *shard) judge(a ack) error {
	if a.err != nil {
		// What was sent may still be waiting on the broker: until it cannot be any more, no marker is written.
		if !a.unsent {
			s.unsure = time.Now().Add(s.m.o.Settle)
		}
		return a.err
	}
	switch a.code {
	case 0:
		if a.base != a.it.base {
			return s.foreign("the batch for offset %d was stored at %d", a.it.base, a.base)
		}
		return nil
	case cluster.CodeOutOfOrderSequence, 46: // 46 DUPLICATE_SEQUENCE_NUMBER
		return errMoved
	case cluster.CodeInvalidEpoch, cluster.CodeCoordinatorFenced, cluster.CodeUnknownProducer:
		return s.fenced(s.m.o.Epoch+1, "the target refuses our role epoch")
	case cluster.CodeCorruptMessage, 87, 32, 42, 43, 76: // CORRUPT_MESSAGE, INVALID_RECORD, INVALID_TIMESTAMP, INVALID_REQUEST, UNSUPPORTED_FOR_MESSAGE_FORMAT, UNSUPPORTED_COMPRESSION_TYPE
		return s.unusable(s.m.target, a.it.base, s.refused(a.code))
	case -1: // UNKNOWN_SERVER_ERROR: the broker fails on the batch itself, and would for ever; once may be a mishap
		if s.unknown == a.it.base+1 {
			return s.unusable(s.m.target, a.it.base, s.refused(a.code))
		}
		s.unknown = a.it.base + 1
	}
	return s.refused(a.code)
}

// drain takes the answers of everything in flight; each comes within the longest time of a request.
func (s *shard) drain() {
	for s.inFlight > 0 {
		a := <-s.acks
		s.inFlight--
		if s.judge(a) == nil {
			s.track.hold(a.it.next)
			s.m.copied(a.it)
		}
	}
}

// settle waits until nothing is in flight.
func (s *shard) settle(ctx context.Context) error {
	for s.inFlight > 0 {
		if err := s.takeOne(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *shard) takeOne(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case a := <-s.acks:
		return s.take(a)
	}
}
