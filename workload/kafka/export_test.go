package kafka

import (
	"context"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

// LastMarker is lastMarker, for tests.
func LastMarker(ctx context.Context, lease understudy.Lease, c *cluster.Cluster, p cluster.Partition, pid int64, epoch int16) (int64, bool, error) {
	return lastMarker(ctx, lease, c, p, pid, epoch)
}

// SetClock gives a workload another clock for waits that have an end.
func SetClock(w workload.Workload, now func() time.Time) { w.(*Workload).now = now }
