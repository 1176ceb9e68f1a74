package mirror

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

const (
	latest   int64 = -1
	earliest int64 = -2
)

// offset is one partition's answer to ListOffsets.
type offset struct {
	at   int64
	code int16
}

// offsets asks one broker where partitions end or begin; each has an answer of its own.
func (l *line) offsets(ctx context.Context, parts []cluster.Partition, when int64) (map[cluster.TP]offset, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	at := map[string]int{}
	for _, p := range parts {
		i, ok := at[p.Topic]
		if !ok {
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = p.Topic
			req.Topics = append(req.Topics, t)
			i = len(req.Topics) - 1
			at[p.Topic] = i
		}
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Partition, rp.Timestamp, rp.CurrentLeaderEpoch = p.Partition, when, -1
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, rp)
	}
	resp, err := l.do(ctx, req)
	if err != nil {
		return nil, err
	}
	out := make(map[cluster.TP]offset, len(parts))
	for _, t := range resp.(*kmsg.ListOffsetsResponse).Topics {
		for _, p := range t.Partitions {
			out[cluster.TP{Topic: t.Topic, Partition: p.Partition}] = offset{p.Offset, p.ErrorCode}
		}
	}
	return out, nil
}
