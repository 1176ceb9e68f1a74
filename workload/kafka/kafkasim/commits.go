package kafkasim

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// metadataMax is offset.metadata.max.bytes, which kfake does not know.
const metadataMax = 4096

// commit relays the commit of a group's positions without those whose text is too long, and refuses these.
func (cl *client) commit(in inbound, req *kmsg.OffsetCommitRequest) ([]byte, error) {
	var refused []kmsg.OffsetCommitResponseTopic
	for i := range req.Topics {
		t := &req.Topics[i]
		bad := kmsg.NewOffsetCommitResponseTopic()
		bad.Topic, bad.TopicID = t.Topic, t.TopicID
		var kept []kmsg.OffsetCommitRequestTopicPartition
		for _, p := range t.Partitions {
			if len(text(p.Metadata)) <= metadataMax {
				kept = append(kept, p)
				continue
			}
			bp := kmsg.NewOffsetCommitResponseTopicPartition()
			bp.Partition, bp.ErrorCode = p.Partition, kerr.OffsetMetadataTooLarge.Code
			bad.Partitions = append(bad.Partitions, bp)
		}
		t.Partitions = kept
		if len(bad.Partitions) > 0 {
			refused = append(refused, bad)
		}
	}
	if len(refused) == 0 {
		return cl.up.relay(in.frame)
	}
	answer, err := cl.exchange(in)
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.OffsetCommitResponse)
	resp.Topics = append(resp.Topics, refused...)
	return encode(resp, in.corr), nil
}
