package kafkasim

import (
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// stalls are the partitions whose high watermark stands still.
type stalls struct {
	mu sync.Mutex
	at map[shard]int64
	// over is closed when those of now end.
	over chan struct{}
	// orphans have no leader, as far as metadata tells.
	orphans map[shard]bool
}

// Orphan lets the cluster name no leader for a partition, until the function that it gives is called.
func (c *Cluster) Orphan(topic string, partition int32) (end func()) {
	set := func(orphan bool) {
		c.stalls.mu.Lock()
		defer c.stalls.mu.Unlock()
		c.stalls.orphans = map[shard]bool{{topic, partition}: orphan}
	}
	set(true)
	return func() { set(false) }
}

// disown takes the leaders out of metadata of partitions that have none.
func (s *stalls) disown(resp *kmsg.MetadataResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			if p := &t.Partitions[j]; t.Topic != nil && s.orphans[shard{*t.Topic, p.Partition}] {
				p.Leader, p.ErrorCode = -1, kerr.LeaderNotAvailable.Code
			}
		}
	}
}

// Stall leaves a topic with fewer replicas in sync than its min.insync.replicas, until the function that it gives is called:
// nobody reads what comes above the high watermarks, acks=1 is taken, and acks=all and markers are refused. The watermarks
// stand where each partition ends, less back offsets: what its leader has got already and its replicas have not. There is
// one stall at a time.
func (c *Cluster) Stall(topic string, back int64) (end func(), err error) {
	c.log.Lock()
	defer c.log.Unlock()
	held := map[shard]int64{}
	for p := int32(0); ; p++ {
		at, ok, err := c.offset(shard{topic, p}, -1)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		held[shard{topic, p}] = max(at-back, 0)
	}
	over := make(chan struct{})
	c.stalls.set(held, over)
	return sync.OnceFunc(func() { c.stalls.set(nil, nil); close(over) }), nil
}

func (s *stalls) set(held map[shard]int64, over chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at, s.over = held, over
}

// watermark is where a partition's high watermark stands still.
func (s *stalls) watermark(at shard) (int64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hw, ok := s.at[at]
	return hw, ok
}

// any says whether anything stands still, and gives what is closed when it ends.
func (s *stalls) any() (<-chan struct{}, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over, len(s.at) > 0
}

// listOffsets relays a question for offsets: of a partition that stands still, nobody is told an end above its watermark.
func (cl *client) listOffsets(in inbound) ([]byte, error) {
	answer, err := cl.up.relay(in.frame)
	if _, stalled := cl.cluster.stalls.any(); err != nil || !stalled {
		return answer, err
	}
	decoded, err := decode(in.req, answer)
	if err != nil {
		return nil, err
	}
	latest := map[shard]bool{}
	for _, t := range in.req.(*kmsg.ListOffsetsRequest).Topics {
		for _, p := range t.Partitions {
			latest[shard{t.Topic, p.Partition}] = p.Timestamp == -1
		}
	}
	resp := decoded.(*kmsg.ListOffsetsResponse)
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			p := &resp.Topics[i].Partitions[j]
			at := shard{resp.Topics[i].Topic, p.Partition}
			if hw, ok := cl.cluster.stalls.watermark(at); ok && latest[at] {
				p.Offset = min(p.Offset, hw)
			}
		}
	}
	return encode(resp, in.corr), nil
}

// hide takes out of a fetch what stands above the watermarks. Where nothing is left it waits, as the client asked for it.
func (cl *client) hide(in inbound, resp *kmsg.FetchResponse) ([]byte, error) {
	over, _ := cl.cluster.stalls.any()
	hidden, left := false, false
	for i := range resp.Topics {
		name, err := cl.cluster.nameOf(&resp.Topics[i])
		if err != nil {
			return nil, err
		}
		for j := range resp.Topics[i].Partitions {
			p := &resp.Topics[i].Partitions[j]
			if hw, ok := cl.cluster.stalls.watermark(shard{name, p.Partition}); ok {
				hidden = below(p, hw) || hidden
			}
			left = left || len(p.RecordBatches) > 0
		}
	}
	if hidden && !left {
		cl.wait(over, time.Duration(in.req.(*kmsg.FetchRequest).MaxWaitMillis)*time.Millisecond)
	}
	return encode(resp, in.corr), nil
}

func (c *Cluster) nameOf(t *kmsg.FetchResponseTopic) (string, error) {
	c.log.Lock()
	defer c.log.Unlock()
	return c.topicName(t.Topic, t.TopicID)
}

// below leaves of a fetched partition what stands below a watermark, and says whether that is less.
func below(p *kmsg.FetchResponseTopicPartition, hw int64) bool {
	p.HighWatermark, p.LastStableOffset = min(p.HighWatermark, hw), min(p.LastStableOffset, hw)
	size := 0
	for b, rest, ok := cutBatch(p.RecordBatches); ok; b, rest, ok = cutBatch(rest) {
		if v := view(b); v.base+int64(v.lastDelta) >= hw {
			break
		}
		size += len(b)
	}
	less := size < len(p.RecordBatches)
	p.RecordBatches = p.RecordBatches[:size]
	return less
}

// wait is a long poll that nothing ends but its time, the end of the stall, or the client.
func (cl *client) wait(over <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-over:
	case <-cl.gone:
	}
}

// forsake refuses a batch that wants all replicas where too few are in sync. A broker looks at that before it looks at the
// batch, and after the rights.
func (r *ruling) forsake(p *kmsg.ProduceRequestTopicPartition) {
	r.alone = true
	if b, _, ok := cutBatch(p.Records); ok && intact(b) {
		r.refuse(p, kerr.NotEnoughReplicas.Code)
	}
}

// forsaken says whether an answer to such a batch is that replicas are missing.
func (r *ruling) forsaken(code int16) bool {
	before := []int16{kerr.UnknownTopicOrPartition.Code, kerr.NotLeaderForPartition.Code, kerr.TopicAuthorizationFailed.Code, kerr.UnknownTopicID.Code}
	return r.alone && !slices.Contains(before, code)
}
