package kafka

import (
	"context"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

const (
	// searchChunk bounds one fetch of a search, in bytes: a window that is small in offsets must not be paid for
	// with all that comes after it.
	searchChunk = 256 << 10
	// searchGrowth is how much wider each window of a search is than the one before, in offsets.
	searchGrowth = 2
)

// markerSearch looks for a producer's marker of an epoch in one window of the log after the other, from the end
// downwards.
type markerSearch struct {
	pid   int64
	epoch int16
	// at is the first marker of the window; -1 for none.
	at int64
	// older says that the producer wrote in an earlier epoch there: no marker is below that.
	older bool
}

// lastMarker gives the offset of a producer's marker of an epoch that is nearest to the end of the log, and of
// several that stand close together the first one. It reads downwards from the end, and no further than to the
// marker or to the newest batch of an earlier epoch of the producer, whichever comes first: a broker takes nothing
// of an earlier epoch after the marker. Of the batches only the headers are looked at.
func lastMarker(ctx context.Context, lease understudy.Lease, c *cluster.Cluster, p cluster.Partition, pid int64, epoch int16) (int64, bool, error) {
	start, end, err := extent(ctx, lease, c, p)
	if err != nil {
		return 0, false, err
	}
	found := int64(-1)
	for hi, width := end, int64(1); hi > start; width *= searchGrowth {
		lo := max(start, hi-width)
		w := markerSearch{pid: pid, epoch: epoch, at: -1}
		if err := readChunks(ctx, lease, c, p, lo, hi, searchChunk, w.visit); err != nil {
			return 0, false, err
		}
		if w.at >= 0 {
			found = w.at
		}
		// One that is the first of its window may have another right before it.
		if w.older || found >= 0 && found != lo {
			break
		}
		hi = lo
	}
	return found, found >= 0, nil
}

func (w *markerSearch) visit(b batch.Batch) (bool, error) {
	switch {
	case b.Producer().ID != w.pid:
	case b.Producer().Epoch < w.epoch:
		w.at, w.older = -1, true
	case w.at < 0 && isMarker(b, w.pid, w.epoch):
		w.at = b.BaseOffset()
	}
	return true, nil
}

// extent gives where the log of one partition begins and ends.
func extent(ctx context.Context, lease understudy.Lease, c *cluster.Cluster, p cluster.Partition) (start, end int64, err error) {
	parts := []cluster.Partition{p}
	starts, err := c.ListOffsets(ctx, lease, cluster.Start, parts)
	if err != nil {
		return 0, 0, err
	}
	ends, err := c.ListOffsets(ctx, lease, cluster.End, parts)
	return starts[p.TP], ends[p.TP], err
}
