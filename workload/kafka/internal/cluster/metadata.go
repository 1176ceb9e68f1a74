package cluster

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
)

// TP names one partition of a topic.
type TP struct {
	Topic     string
	Partition int32
}

// String gives the partition in Kafka's own way, such as "orders-0".
func (t TP) String() string { return fmt.Sprintf("%s-%d", t.Topic, t.Partition) }

// Less orders partitions by topic, then number.
func (t TP) Less(o TP) bool {
	if t.Topic != o.Topic {
		return t.Topic < o.Topic
	}
	return t.Partition < o.Partition
}

// Partition is a partition and where its leader is.
type Partition struct {
	TP
	// ID is the topic's id; zero where the cluster has none (before 2.8).
	ID     [16]byte
	Leader int32
	// LeaderEpoch counts the changes of leader; -1 when unknown.
	LeaderEpoch int32
	Replicas    []int32
	ISR         []int32
}

// Topic is a topic as a cluster lists it.
type Topic struct {
	Name       string
	ID         [16]byte
	Internal   bool
	Partitions []Partition
	// Ops is the bit field of operations on the topic that we are authorised for (KIP-430); not positive when the
	// broker did not say.
	Ops int32
}

// Replication is the topic's replication factor, as of its first partition.
func (t Topic) Replication() int16 {
	if len(t.Partitions) == 0 {
		return 0
	}
	return int16(len(t.Partitions[0].Replicas))
}

// Metadata is a cluster's own description.
type Metadata struct {
	ClusterID  string
	Controller int32
	Brokers    map[int32]string
	Topics     map[string]Topic
	// ClusterOps is the bit field of operations on the cluster that we are authorised for (KIP-430); negative
	// when the broker did not say.
	ClusterOps int32
}

// Names lists the topics that are not internal, in order.
func (m Metadata) Names() []string {
	var out []string
	for n, t := range m.Topics {
		if !t.Internal {
			out = append(out, n)
		}
	}
	sort.Strings(out)
	return out
}

// Partitions lists the partitions of the named topics, in order. Topics that do not exist are left out.
func (m Metadata) Partitions(topics ...string) []Partition {
	var out []Partition
	for _, n := range topics {
		out = append(out, m.Topics[n].Partitions...)
	}
	slices.SortFunc(out, func(a, b Partition) int {
		if a.TP.Less(b.TP) {
			return -1
		}
		return 1
	})
	return out
}

// Metadata lists the named topics, or all when none is named. A topic that does not exist is left out; one
// without a leader for a partition is listed with leader -1.
func (c *Cluster) Metadata(ctx context.Context, lease understudy.Lease, topics ...string) (Metadata, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = false
	req.IncludeClusterAuthorizedOperations = true
	req.IncludeTopicAuthorizedOperations = true
	for _, t := range topics {
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = kmsg.StringPtr(t)
		req.Topics = append(req.Topics, rt)
	}
	resp, err := c.Do(ctx, lease, req)
	if err != nil {
		return Metadata{}, err
	}
	return c.readMetadata(resp.(*kmsg.MetadataResponse))
}

// ID asks the cluster for its id and for nothing else: the lists of topics are long.
func (c *Cluster) ID(ctx context.Context, lease understudy.Lease) (string, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = false
	req.Topics = []kmsg.MetadataRequestTopic{} // none, where nil would mean all
	resp, err := c.Do(ctx, lease, req)
	if err != nil {
		return "", err
	}
	if id := resp.(*kmsg.MetadataResponse).ClusterID; id != nil {
		return *id, nil
	}
	return "", nil
}

func (c *Cluster) readMetadata(r *kmsg.MetadataResponse) (Metadata, error) {
	m := Metadata{Controller: r.ControllerID, Brokers: map[int32]string{}, Topics: map[string]Topic{}, ClusterOps: r.AuthorizedOperations}
	if r.ClusterID != nil {
		m.ClusterID = *r.ClusterID
	}
	for _, b := range r.Brokers {
		m.Brokers[b.NodeID] = fmt.Sprintf("%s:%d", b.Host, b.Port)
	}
	for i := range r.Topics {
		t := &r.Topics[i]
		if t.Topic == nil || t.ErrorCode == CodeUnknownTopic || t.ErrorCode == CodeUnknownTopicID {
			continue
		}
		// 5 LEADER_NOT_AVAILABLE says that a topic was made a moment ago; its partitions are listed below.
		if t.ErrorCode != 0 && t.ErrorCode != 5 {
			return m, c.Refused("kafka.metadata", *t.Topic, t.ErrorCode, "DESCRIBE on topic "+*t.Topic)
		}
		topic := Topic{Name: *t.Topic, ID: t.TopicID, Internal: t.IsInternal, Ops: t.AuthorizedOperations}
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, Partition{
				TP: TP{*t.Topic, p.Partition}, ID: t.TopicID, Leader: p.Leader, LeaderEpoch: p.LeaderEpoch,
				Replicas: p.Replicas, ISR: p.ISR,
			})
		}
		slices.SortFunc(topic.Partitions, func(a, b Partition) int { return int(a.Partition - b.Partition) })
		m.Topics[topic.Name] = topic
	}
	return m, nil
}

// DescribeCluster asks the brokers themselves what they are: cluster id, and the operations on the cluster
// that our principal is authorised for, as a bit field (KIP-700, KIP-430).
func (c *Cluster) DescribeCluster(ctx context.Context, lease understudy.Lease) (id string, ops int32, err error) {
	req := kmsg.NewPtrDescribeClusterRequest()
	req.IncludeClusterAuthorizedOperations = true
	resp, err := c.Do(ctx, lease, req)
	if err != nil {
		return "", 0, err
	}
	r := resp.(*kmsg.DescribeClusterResponse)
	return r.ClusterID, r.ClusterAuthorizedOperations, c.Refused("kafka.describecluster", "", r.ErrorCode, "DESCRIBE on the cluster")
}
