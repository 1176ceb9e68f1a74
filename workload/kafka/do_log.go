package kafka

import (
	"context"
	"fmt"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

const (
	readChunk    = 4 << 20
	readChunkMax = 128 << 20
)

// readLog walks the stored batches of a partition that reach into [from, to), in order. It ends early without
// error when visit says so. A partition that ends before to is read to its end.
func readLog(ctx context.Context, lease understudy.Lease, c *cluster.Cluster, p cluster.Partition, from, to int64, visit func(batch.Batch) (bool, error)) error {
	return readChunks(ctx, lease, c, p, from, to, readChunk, visit)
}

// readChunks is readLog with fetches of about so many bytes.
func readChunks(ctx context.Context, lease understudy.Lease, c *cluster.Cluster, p cluster.Partition, from, to int64, chunk int32, visit func(batch.Batch) (bool, error)) error {
	size := chunk
	for at := from; at < to; {
		f, err := c.Fetch(ctx, lease, p, at, size)
		if err != nil {
			return err
		}
		o := c.Object()
		o.Shard = p.TP.String()
		if f.Code == cluster.CodeOffsetOutOfRange {
			return &understudy.Error{
				Code: "US126", Kind: understudy.KindRetry, Op: "kafka.read", Object: o,
				Summary: fmt.Sprintf("offset %d is no longer in the log", at),
				Why:     "the log's start or end moved while it was read, by retention, DeleteRecords or a change of leader", Fix: "retry",
			}
		}
		if err := c.Refused("kafka.fetch", p.TP.String(), f.Code, "READ on topic "+p.Topic); err != nil {
			return err
		}
		next, more, err := visitAll(f.Records, at, to, visit)
		switch {
		case err != nil:
			return readError(o, at, err)
		case !more:
			return nil
		case next > at:
			at, size = next, chunk
		case at >= f.HW:
			return nil
		case len(f.Records) > 0 && size < readChunkMax: // one batch larger than the chunk
			size *= 4
		case len(f.Records) == 0:
			return nil // everything from here on was compacted away
		default:
			return readError(o, at, batch.ErrTooLarge)
		}
	}
	return nil
}

func visitAll(raw []byte, at, to int64, visit func(batch.Batch) (bool, error)) (next int64, more bool, err error) {
	next = at
	for b, err := range batch.Batches(raw) {
		if err != nil {
			return next, false, err
		}
		if b.NextOffset() <= next {
			continue
		}
		if b.BaseOffset() >= to {
			return to, true, nil
		}
		next = b.NextOffset()
		more, err := visit(b)
		if err != nil || !more {
			return next, false, err
		}
	}
	return next, true, nil
}

func readError(o understudy.Object, at int64, err error) error {
	if u := (*understudy.Error)(nil); understudy.KindOf(err) != understudy.KindBug {
		u = understudy.AsError(err)
		return u
	}
	return &understudy.Error{
		Code: "US126", Kind: understudy.KindBroken, Op: "kafka.read", Object: o,
		Summary: fmt.Sprintf("the log cannot be read at offset %d", at), Err: err,
	}
}

// ends gives start, stable and end offsets at once.
type ends struct{ start, stable, end map[cluster.TP]int64 }

func (j *job) ends(ctx context.Context, s *site, parts []cluster.Partition) (ends, error) {
	var e ends
	var err error
	if e.stable, err = s.admin.ListOffsets(ctx, j.run.Lease, cluster.Stable, parts); err != nil {
		return e, err
	}
	e.end, err = s.admin.ListOffsets(ctx, j.run.Lease, cluster.End, parts)
	return e, err
}
