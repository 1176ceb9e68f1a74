package mirror

import (
	"context"
	"time"

	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

const (
	// idleLong is how long nothing was appended before the leader's memory of us is no longer relied upon.
	idleLong = time.Minute
	// rememberedFor is the age of our newest record up to which the leader remembers us. It forgets a producer whose
	// newest record is older than producer.id.expiration.ms, a day by default, however short ago that was appended.
	rememberedFor = time.Hour
	// idleOld takes the place of idleLong where our newest record is older than rememberedFor.
	idleOld = 200 * time.Millisecond
)

// appended notes that the target's leader has something of us now, and the time of its newest record.
func (s *shard) appended(newest int64) { s.lastAck, s.newest = time.Now(), newest }

// forgettable says whether the leader may have forgotten our producer since its last answer.
func (s *shard) forgettable() bool {
	idle := time.Since(s.lastAck)
	return idle > idleLong || idle > idleOld && time.Since(time.UnixMilli(s.newest)) > rememberedFor
}

// recalled makes sure, when nothing is in flight, that the leader still remembers us where it was told to. Where it
// does not, the partition has to end where we left it, and data begins anew.
func (s *shard) recalled(ctx context.Context) error {
	if !s.forgettable() {
		return nil
	}
	at := alignment{target: s.target}
	if err := s.recall(ctx, &at); err != nil {
		return err
	}
	// The end is read after the memory: whoever appended in between shows in it.
	ends, err := s.m.target.c.ListOffsets(ctx, s.m.o.Lease, cluster.End, []cluster.Partition{s.target})
	if err != nil {
		return err
	}
	if ends[s.tp] != s.next || !at.fresh && at.seq != s.seq {
		return errMoved
	}
	s.appended(at.newest)
	if at.fresh {
		return s.begin(ctx)
	}
	return nil
}

// begin starts at sequence 0 of the same epoch, since the leader knows nothing of our producer. It then takes any
// sequence, so that until its first answer only one batch is under way. What an earlier run sent must have arrived
// by then or never will: it counted its sequences from another offset, and might fit where it does not belong. Only
// at the very beginning of a log all runs count alike.
func (s *shard) begin(ctx context.Context) error {
	if s.next > 0 {
		if err := s.undoubted(ctx); err != nil {
			return err
		}
	}
	s.seq, s.width = 0, 1
	return nil
}

// undoubted returns nil when nothing that was sent without an answer can arrive any more. Otherwise it waits until
// then, and wants another look at the target.
func (s *shard) undoubted(ctx context.Context) error {
	wait := time.Until(s.unsure)
	if wait <= 0 {
		return nil
	}
	sleep(ctx, wait)
	return errMoved
}
