package cluster

import (
	"context"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy"
)

// Position is what ListOffsets is asked for.
type Position int

// The positions of a log.
const (
	// Start is the log start offset.
	Start Position = iota
	// End is the high watermark.
	End
	// Stable is the last stable offset: below it no transaction is open.
	Stable
	// Local is the first offset that is on the brokers' own disks: what is below lies in remote storage, and may
	// take its time (KIP-405). Brokers before 3.6 do not know the question.
	Local
)

// leaders groups partitions by leader; a partition without one is an error to retry.
func (c *Cluster) leaders(op string, parts []Partition) (map[int32]map[string][]Partition, error) {
	out := map[int32]map[string][]Partition{}
	for _, p := range parts {
		if p.Leader < 0 {
			return nil, c.Refused(op, p.TP.String(), 5, "")
		}
		if out[p.Leader] == nil {
			out[p.Leader] = map[string][]Partition{}
		}
		out[p.Leader][p.Topic] = append(out[p.Leader][p.Topic], p)
	}
	return out, nil
}

// ListOffsets gives one position of each partition, asked of its leader. It fails when any of them fails.
func (c *Cluster) ListOffsets(ctx context.Context, lease understudy.Lease, at Position, parts []Partition) (map[TP]int64, error) {
	groups, err := c.leaders("kafka.listoffsets", parts)
	if err != nil {
		return nil, err
	}
	out := map[TP]int64{}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	for leader, topics := range groups {
		g.Go(func() error {
			resp, err := c.ask(ctx, lease, leader, listOffsets(at, topics))
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			return c.readOffsets(resp.(*kmsg.ListOffsetsResponse), out)
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return out, nil
}

func listOffsets(at Position, topics map[string][]Partition) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	ts := int64(-1)
	switch at {
	case Start:
		ts = -2
	case Stable:
		req.IsolationLevel = 1
	case Local:
		ts = -4
	case End:
	}
	for name, parts := range topics {
		rt := kmsg.NewListOffsetsRequestTopic()
		rt.Topic = name
		for _, p := range parts {
			rp := kmsg.NewListOffsetsRequestTopicPartition()
			rp.Partition, rp.Timestamp, rp.CurrentLeaderEpoch = p.Partition, ts, -1
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
	}
	return req
}

func (c *Cluster) readOffsets(r *kmsg.ListOffsetsResponse, out map[TP]int64) error {
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			tp := TP{t.Topic, p.Partition}
			if err := c.Refused("kafka.listoffsets", tp.String(), p.ErrorCode, "DESCRIBE on topic "+t.Topic); err != nil {
				return err
			}
			out[tp] = p.Offset
		}
	}
	return nil
}

// DeleteRecords trims the partition's head to the offset; what is below cannot be read any more. It gives
// the new log start. Trimming to an offset that is already gone is harmless.
func (c *Cluster) DeleteRecords(ctx context.Context, lease understudy.Lease, p Partition, to int64) (int64, error) {
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = int32(RequestTimeout.Milliseconds())
	rt := kmsg.NewDeleteRecordsRequestTopic()
	rt.Topic = p.Topic
	rp := kmsg.NewDeleteRecordsRequestTopicPartition()
	rp.Partition, rp.Offset = p.Partition, to
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := c.ask(ctx, lease, p.Leader, req)
	if err != nil {
		return 0, err
	}
	for _, t := range resp.(*kmsg.DeleteRecordsResponse).Topics {
		for _, a := range t.Partitions {
			return a.LowWatermark, c.Refused("kafka.deleterecords", p.TP.String(), a.ErrorCode, "DELETE on topic "+p.Topic)
		}
	}
	return 0, c.Refused("kafka.deleterecords", p.TP.String(), -1, "")
}

func (c *Cluster) endOffsets(ctx context.Context, lease understudy.Lease, leader int32, topics map[string][]Partition, out map[TP]int64) error {
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	req.ReplicaID = -1
	for name, parts := range topics {
		rt := kmsg.NewOffsetForLeaderEpochRequestTopic()
		rt.Topic = name
		for _, p := range parts {
			rp := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
			// A leader of another epoch refuses (74, 75): asked for one that is over, it would tell where that one ended.
			rp.Partition, rp.CurrentLeaderEpoch, rp.LeaderEpoch = p.Partition, p.LeaderEpoch, p.LeaderEpoch
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
	}
	resp, err := c.ask(ctx, lease, leader, req)
	if err != nil {
		return err
	}
	for _, t := range resp.(*kmsg.OffsetForLeaderEpochResponse).Topics {
		for _, p := range t.Partitions {
			tp := TP{t.Topic, p.Partition}
			if p.ErrorCode == CodeTopicDenied {
				return c.Refused("kafka.offsetforleaderepoch", tp.String(), p.ErrorCode, "DESCRIBE on topic "+t.Topic)
			}
			if p.ErrorCode == 0 && p.EndOffset >= 0 {
				out[tp] = p.EndOffset
			}
		}
	}
	return nil
}
