package cluster

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
)

// Space is what the brokers say about their disks.
type Space struct {
	// Usable is the least number of free bytes on any broker's directories together; -1 when unknown.
	Usable int64
	// Size is the size in bytes of each partition's largest replica.
	Size map[TP]int64
}

// Space asks every broker about its log directories (KIP-827 for free space, from 3.3 on).
func (c *Cluster) Space(ctx context.Context, lease understudy.Lease) (Space, error) {
	out := Space{Usable: -1, Size: map[TP]int64{}}
	bounded, cancel, cl, err := c.bounded(ctx, lease, "kafka.describelogdirs")
	if err != nil {
		return out, err
	}
	defer cancel()
	for _, shard := range cl.RequestSharded(bounded, kmsg.NewPtrDescribeLogDirsRequest()) {
		if shard.Err != nil {
			return out, c.failed(ctx, lease, "kafka.describelogdirs", shard.Err)
		}
		r := shard.Resp.(*kmsg.DescribeLogDirsResponse)
		if err := c.Refused("kafka.describelogdirs", "", r.ErrorCode, "DESCRIBE on the cluster"); err != nil {
			return out, err
		}
		out.add(r)
	}
	return out, nil
}

func (s *Space) add(r *kmsg.DescribeLogDirsResponse) {
	usable := int64(-1)
	for _, d := range r.Dirs {
		if d.UsableBytes >= 0 {
			usable = max(usable, 0) + d.UsableBytes
		}
		for _, t := range d.Topics {
			for _, p := range t.Partitions {
				tp := TP{t.Topic, p.Partition}
				s.Size[tp] = max(s.Size[tp], p.Size)
			}
		}
	}
	if usable >= 0 && (s.Usable < 0 || usable < s.Usable) {
		s.Usable = usable
	}
}
