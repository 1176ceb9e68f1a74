package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

// replicateFor is how long a fence waits for replicas to get what their leader has. By then a broker has left out a replica
// that does not follow (replica.lag.time.max.ms, 30 s by default).
const replicateFor = time.Minute

// lag is how many offsets each leader holds above its high watermark, where it does; 0 where a leader does not say.
type lag map[cluster.TP]int64

// first is the first partition that lags, by name.
func (l lag) first() cluster.TP {
	return slices.MinFunc(slices.Collect(maps.Keys(l)), func(a, b cluster.TP) int {
		if a.Less(b) {
			return -1
		}
		return 1
	})
}

// String says how much is not replicated.
func (l lag) String() string {
	first := l.first()
	if l[first] == 0 {
		return fmt.Sprintf("%d partitions do not show that all they hold is replicated, %s among them", len(l), first)
	}
	return fmt.Sprintf("records at the ends of %d partitions are not replicated yet, %d offsets of %s among them", len(l), l[first], first)
}

// awaitReplicated waits until all that the leaders of a fenced site hold is on their replicas. What is not may become
// visible later, and its writer has been told that it is written, or is told so then: whatever means to lose nothing must not
// go on before. A failover and a standing duty do, since the site may be lost in part: hasty gives them what there is to say.
func (j *job) awaitReplicated(ctx context.Context, s *site, hasty bool, patience time.Duration) (warning string, err error) {
	for until := j.w.now().Add(min(patience, replicateFor)); ; {
		// A leader's end is asked for by its epoch, which must be the one of now.
		_, parts, err := j.matched(ctx, s)
		if err != nil {
			return "", err
		}
		ahead, err := j.ahead(ctx, s, parts)
		switch {
		case err != nil || len(ahead) == 0:
			return "", err
		case hasty:
			return fmt.Sprintf("%s on %s: they may become visible there after the takeover; a reprotect waits for them and saves them to the ledger", ahead, s.name), nil
		case j.w.now().After(until):
			return "", j.unreplicated(s, ahead)
		}
		j.report("waiting for replicas on %s: %s", s.name, ahead)
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return "", err
		}
	}
}

func (j *job) unreplicated(s *site, ahead lag) error {
	return &understudy.Error{
		Code: "US120", Kind: understudy.KindRefused, Op: "kafka." + string(j.step.Kind), Object: j.w.object(s.name, ahead.first().String()), Summary: ahead.String(),
		Why: "brokers that hold replicas do not follow, or fewer are in sync than min.insync.replicas; what only a leader holds cannot be mirrored, and may become visible after the takeover",
		Fix: "bring the brokers back that hold the replicas, and retry; or abort",
	}
}

// ahead gives how many offsets the leaders of partitions hold above their high watermarks. A partition whose leader has just
// moved counts; one whose leader epoch a cluster does not tell cannot be asked about.
func (j *job) ahead(ctx context.Context, s *site, parts []cluster.Partition) (lag, error) {
	// The log first: what is replicated in between counts for it.
	log, err := s.admin.EndOffsets(ctx, j.run.Lease, parts)
	if err != nil {
		return nil, err
	}
	visible, err := s.admin.ListOffsets(ctx, j.run.Lease, cluster.End, parts)
	if err != nil {
		return nil, err
	}
	out := lag{}
	for _, p := range parts {
		if end, known := log[p.TP]; p.LeaderEpoch >= 0 && (!known || end > visible[p.TP]) {
			out[p.TP] = max(end-visible[p.TP], 0)
		}
	}
	return out, nil
}

// hidden is the error of a partition whose leader holds something, such as a marker of ours that it remembers, that its log does
// not show: until replicas have it nobody may read it, and losing that leader loses it.
func (j *job) hidden(p cluster.Partition, what string) error {
	return &understudy.Error{
		Code: "US114", Kind: understudy.KindRetry, Op: "kafka." + string(j.step.Kind), Object: j.object(p.TP.String()),
		Summary: what + " is not replicated yet", Why: "brokers that hold replicas do not follow, or fewer are in sync than min.insync.replicas",
		Fix: "bring the brokers back that hold the replicas, and retry",
	}
}
