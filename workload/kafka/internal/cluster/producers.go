package cluster

import (
	"context"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy"
)

// Producer is a leader's memory of one idempotent or transactional producer of a partition (KIP-664).
type Producer struct {
	ID               int64
	Epoch            int32
	LastSequence     int32
	CoordinatorEpoch int32
	// TxnStart is the first offset of its open transaction; -1 when there is none.
	TxnStart int64
	// LastMillis is the time of its newest batch, in milliseconds since 1970.
	LastMillis int64
}

// DescribeProducers gives the producers each partition's leader remembers. It needs brokers from 2.8 on and
// READ on the topics.
func (c *Cluster) DescribeProducers(ctx context.Context, lease understudy.Lease, parts []Partition) (map[TP][]Producer, error) {
	groups, err := c.leaders("kafka.describeproducers", parts)
	if err != nil {
		return nil, err
	}
	out := map[TP][]Producer{}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	for leader, topics := range groups {
		g.Go(func() error {
			req := kmsg.NewPtrDescribeProducersRequest()
			for name, ps := range topics {
				rt := kmsg.NewDescribeProducersRequestTopic()
				rt.Topic = name
				for _, p := range ps {
					rt.Partitions = append(rt.Partitions, p.Partition)
				}
				req.Topics = append(req.Topics, rt)
			}
			resp, err := c.ask(ctx, lease, leader, req)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			return c.readProducers(resp.(*kmsg.DescribeProducersResponse), out)
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return out, nil
}

func (c *Cluster) readProducers(r *kmsg.DescribeProducersResponse, out map[TP][]Producer) error {
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			tp := TP{t.Topic, p.Partition}
			if err := c.Refused("kafka.describeproducers", tp.String(), p.ErrorCode, "READ on topic "+t.Topic); err != nil {
				return err
			}
			out[tp] = []Producer{}
			for _, a := range p.ActiveProducers {
				out[tp] = append(out[tp], Producer{
					ID: a.ProducerID, Epoch: a.ProducerEpoch, LastSequence: a.LastSequence, CoordinatorEpoch: a.CoordinatorEpoch,
					TxnStart: a.CurrentTxnStartOffset, LastMillis: a.LastTimestamp,
				})
			}
		}
	}
	return nil
}

// PIDTag marks producer ids of ours in the upper 16 bits ("MR"). Brokers hand out ids from 0 upward, in
// blocks of a thousand, so that no application ever has one of these.
const PIDTag = 0x4D52

// Ours says whether a producer id is one of understudy's, of whatever link.
func Ours(pid int64) bool { return pid>>48 == PIDTag }

// Marker is a transaction marker to be written. Only COMMIT markers exist here: ABORT markers without a
// transaction enter the abort index of old brokers.
type Marker struct {
	ProducerID int64
	Epoch      int16
	// CoordinatorEpoch is the term of the writer's lease; brokers refuse a lower one than they have seen.
	CoordinatorEpoch int32
}

// WriteMarker writes one COMMIT marker onto one partition, by its leader, once. A broker's error code is an
// answer, not an error. The answer to a lost connection is unknown: read the log before writing another.
// Topics that Kafka calls internal are refused here, and so are producers that are not ours.
func (c *Cluster) WriteMarker(ctx context.Context, lease understudy.Lease, p Partition, m Marker) (int16, error) {
	if Internal(p.Topic) {
		return 0, &understudy.Error{Code: "US001", Kind: understudy.KindBug, Op: "kafka.writetxnmarkers", Object: c.cfg.Object, Summary: "no marker may be written into " + p.Topic}
	}
	if !Ours(m.ProducerID) {
		return 0, &understudy.Error{Code: "US001", Kind: understudy.KindBug, Op: "kafka.writetxnmarkers", Object: c.cfg.Object, Summary: fmt.Sprintf("no marker may be written for producer id %d, which is not understudy's", m.ProducerID)}
	}
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	rm := kmsg.NewWriteTxnMarkersRequestMarker()
	rm.ProducerID, rm.ProducerEpoch, rm.Committed, rm.CoordinatorEpoch = m.ProducerID, m.Epoch, true, m.CoordinatorEpoch
	rt := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
	rt.Topic, rt.Partitions = p.Topic, []int32{p.Partition}
	rm.Topics = append(rm.Topics, rt)
	req.Markers = append(req.Markers, rm)
	resp, err := c.DoBroker(ctx, lease, p.Leader, req)
	if err != nil {
		return 0, err
	}
	for _, a := range resp.(*kmsg.WriteTxnMarkersResponse).Markers {
		for _, t := range a.Topics {
			for _, q := range t.Partitions {
				return q.ErrorCode, nil
			}
		}
	}
	return 0, c.Refused("kafka.writetxnmarkers", p.TP.String(), -1, "")
}

// Internal says whether a topic belongs to Kafka itself.
func Internal(topic string) bool { return len(topic) > 1 && topic[:2] == "__" && topic != OwnTopic }

// OwnTopic is understudy's one topic on each cluster: stamps and write probes.
const OwnTopic = "__understudy"
