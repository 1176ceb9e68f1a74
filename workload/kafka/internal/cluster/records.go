package cluster

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
)

// Produced is a leader's answer to one produce request.
type Produced struct {
	// Code is the broker's error code; 0 means acknowledged, by Produce by all in-sync replicas.
	Code int16
	// Base is the offset at which the batch was stored; -1 with an error.
	Base int64
}

// Produce sends one record batch, as it is, to the partition's leader, once, with acks=all. A broker's error
// code is an answer, not an error.
func (c *Cluster) Produce(ctx context.Context, lease understudy.Lease, p Partition, batch []byte) (Produced, error) {
	resp, err := c.DoBroker(ctx, lease, p.Leader, produceRequest(p, batch))
	if err != nil {
		return Produced{}, err
	}
	return c.readProduced(p, resp)
}

// ProduceToLeader is Produce with acks=1: how many replicas are in sync is nothing to it. With acks=all a leader looks at
// that first (NOT_ENOUGH_REPLICAS), before it looks at the batch.
func (c *Cluster) ProduceToLeader(ctx context.Context, lease understudy.Lease, p Partition, batch []byte) (Produced, error) {
	const op = "kafka.produce"
	within, cancel, err := bound(ctx, lease, op, c.cfg.Object)
	if err != nil {
		return Produced{}, err
	}
	defer cancel()
	cl, err := c.open(within, &c.hasty, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	if err != nil {
		return Produced{}, err
	}
	resp, err := c.askKnown(within, cl, p.Leader, produceRequest(p, batch))
	if err != nil {
		return Produced{}, c.failed(ctx, lease, op, err)
	}
	return c.readProduced(p, resp)
}

// askKnown sends one request to one broker by the hasty client, once. It looks the broker up before where it does not know
// it, and again for the next time where the broker did not answer.
func (c *Cluster) askKnown(ctx context.Context, cl *kgo.Client, broker int32, req kmsg.Request) (kmsg.Response, error) {
	c.mu.Lock()
	known := c.known[broker]
	c.mu.Unlock()
	if !known {
		brokers := kmsg.NewPtrMetadataRequest()
		brokers.Topics = []kmsg.MetadataRequestTopic{} // none, where nil would mean all
		resp, err := brokers.RequestWith(ctx, cl)
		if err != nil {
			return nil, err
		}
		c.mu.Lock()
		c.known = map[int32]bool{}
		for _, b := range resp.Brokers {
			c.known[b.NodeID] = true
		}
		c.mu.Unlock()
	}
	resp, err := cl.Broker(int(broker)).Request(ctx, req)
	if err != nil {
		c.mu.Lock()
		c.known = nil
		c.mu.Unlock()
	}
	return resp, err
}

func produceRequest(p Partition, batch []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest() // the client puts its own acks there
	req.TimeoutMillis = int32(RequestTimeout.Milliseconds())
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.TopicID = p.Topic, p.ID
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Partition, rp.Records = p.Partition, batch
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

func (c *Cluster) readProduced(p Partition, resp kmsg.Response) (Produced, error) {
	for _, t := range resp.(*kmsg.ProduceResponse).Topics {
		for _, a := range t.Partitions {
			return Produced{Code: a.ErrorCode, Base: a.BaseOffset}, nil
		}
	}
	return Produced{}, c.Refused("kafka.produce", p.TP.String(), -1, "")
}

// Fetched is a leader's answer to one fetch request.
type Fetched struct {
	Code     int16
	HW       int64
	Stable   int64
	LogStart int64
	// Records holds whole and possibly one partial record batch, as stored.
	Records []byte
	// Aborted lists the aborted transactions that reach into Records; only FetchStable tells.
	Aborted []Aborted
}

// Aborted is an aborted transaction: the producer's records from First on, up to its next ABORT marker.
type Aborted struct {
	Producer int64
	First    int64
}

// Fetch reads raw batches from the offset on, up to about max bytes and at least one batch, without waiting,
// also those of open and aborted transactions. A broker's error code is an answer, not an error.
func (c *Cluster) Fetch(ctx context.Context, lease understudy.Lease, p Partition, offset int64, maximum int32) (Fetched, error) {
	return c.fetch(ctx, lease, p, offset, maximum, 0)
}

// FetchStable is Fetch below the last stable offset, with the list of aborted transactions.
func (c *Cluster) FetchStable(ctx context.Context, lease understudy.Lease, p Partition, offset int64, maximum int32) (Fetched, error) {
	return c.fetch(ctx, lease, p, offset, maximum, 1)
}

func (c *Cluster) fetch(ctx context.Context, lease understudy.Lease, p Partition, offset int64, maximum int32, isolation int8) (Fetched, error) {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.IsolationLevel = -1, isolation
	req.MaxBytes = maximum
	req.MinBytes = 0
	req.MaxWaitMillis = 0
	req.SessionEpoch = -1
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = p.Topic, p.ID
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = p.Partition, offset, maximum
	rp.CurrentLeaderEpoch, rp.LastFetchedEpoch, rp.LogStartOffset = -1, -1, -1
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := c.ask(ctx, lease, p.Leader, req)
	if err != nil {
		return Fetched{}, err
	}
	r := resp.(*kmsg.FetchResponse)
	if r.ErrorCode != 0 {
		return Fetched{Code: r.ErrorCode}, nil
	}
	for _, t := range r.Topics {
		if len(t.Partitions) > 0 {
			a := t.Partitions[0]
			out := Fetched{Code: a.ErrorCode, HW: a.HighWatermark, Stable: a.LastStableOffset, LogStart: a.LogStartOffset, Records: a.RecordBatches}
			for _, x := range a.AbortedTransactions {
				out.Aborted = append(out.Aborted, Aborted{x.ProducerID, x.FirstOffset})
			}
			return out, nil
		}
	}
	return Fetched{}, c.Refused("kafka.fetch", p.TP.String(), -1, "")
}
