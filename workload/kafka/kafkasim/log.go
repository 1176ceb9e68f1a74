package kafkasim

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// errSilent means that kfake answered less than it was asked.
var errSilent = errors.New("kfake left a topic out of its answer")

// topicName gives the name for a topic named by either; empty when there is no such topic.
func (c *Cluster) topicName(name string, id [16]byte) (string, error) {
	if name != "" || id == ([16]byte{}) {
		return name, nil
	}
	if name, ok := c.names[id]; ok {
		return name, nil
	}
	req := kmsg.NewPtrMetadataRequest()
	answer, err := c.ask(req)
	if err != nil {
		return "", err
	}
	clear(c.names)
	for _, t := range answer.(*kmsg.MetadataResponse).Topics {
		if t.Topic != nil {
			c.names[t.TopicID] = *t.Topic
		}
	}
	return c.names[id], nil
}

// partition gives what is known about a partition's producers, read up to the end of its log the first
// time; nil when there is no such partition.
func (c *Cluster) partition(at shard) (*partition, error) {
	if p, ok := c.parts[at]; ok {
		return p, nil
	}
	start, ok, err := c.offset(at, -2)
	if err != nil || !ok {
		return nil, err
	}
	p := newPartition()
	p.next = start
	if err := c.catchUp(at, p); err != nil {
		return nil, err
	}
	c.parts[at] = p
	return p, nil
}

// offset asks for the log's start (−2) or end (−1); ok is false when there is no such partition.
func (c *Cluster) offset(at shard, which int64) (offset int64, ok bool, err error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = at.topic
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp = at.partition, which
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	answer, err := c.ask(req)
	if err != nil {
		return 0, false, err
	}
	for _, t := range answer.(*kmsg.ListOffsetsResponse).Topics {
		for _, p := range t.Partitions {
			return p.Offset, p.ErrorCode == 0, nil
		}
	}
	return 0, false, errSilent
}

// catchUp folds what stands in the log from next on.
func (c *Cluster) catchUp(at shard, p *partition) error {
	for {
		end, ok, err := c.offset(at, -1)
		if err != nil || !ok || p.next >= end {
			return err
		}
		raw, err := c.read(at, p.next)
		if err != nil {
			return err
		}
		before := p.next
		for b, rest, ok := cutBatch(raw); ok; b, rest, ok = cutBatch(rest) {
			if v := view(b); v.base >= before {
				p.fold(v)
			}
		}
		if p.next == before {
			p.next = end // compaction removed the rest
		}
	}
}

// read fetches a piece of the log, as stored. A start that was deleted meanwhile moves on by itself, as
// nothing of it can be read any more.
func (c *Cluster) read(at shard, from int64) ([]byte, error) {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MinBytes, req.MaxBytes, req.SessionEpoch = -1, 1, 16<<20, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = at.topic, c.topicID(at.topic)
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = at.partition, from, 16<<20
	p.CurrentLeaderEpoch, p.LastFetchedEpoch, p.LogStartOffset = -1, -1, -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	answer, err := c.ask(req)
	if err != nil {
		return nil, err
	}
	for _, t := range answer.(*kmsg.FetchResponse).Topics {
		if len(t.Partitions) > 0 {
			p := t.Partitions[0]
			if p.ErrorCode == kerr.OffsetOutOfRange.Code {
				return nil, nil
			}
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, fmt.Errorf("reading %s/%d from %d: %w", at.topic, at.partition, from, err)
			}
			return p.RecordBatches, nil
		}
	}
	return nil, errSilent
}

// topicID gives the id of a topic; zero when it is unknown.
func (c *Cluster) topicID(name string) [16]byte {
	for range 2 {
		for id, n := range c.names {
			if n == name {
				return id
			}
		}
		if _, err := c.topicName("", [16]byte{0: 1}); err != nil { // no such id: reads all names again
			return [16]byte{}
		}
	}
	return [16]byte{}
}

// topicConfig gives the effective value of a topic's configuration; empty when there is none.
func (c *Cluster) topicConfig(topic, name string) (string, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	req.Resources = append(req.Resources, r)
	answer, err := c.ask(req)
	if err != nil {
		return "", err
	}
	value, broker := topicDefaults()[name], brokerNames()
	for _, r := range answer.(*kmsg.DescribeConfigsResponse).Resources {
		for _, got := range r.Configs {
			switch {
			case got.Value == nil:
			case got.Source == kmsg.ConfigSourceDynamicTopicConfig && got.Name == name:
				return *got.Value, nil
			case got.Source == kmsg.ConfigSourceDynamicBrokerConfig && broker[got.Name] == name:
				value = *got.Value
			}
		}
	}
	return value, nil
}

// forget drops what is known about topics whose logs are gone: of one topic, or of all when it was named by
// its id only.
func (c *Cluster) forget(topic string) {
	clear(c.names)
	for at := range c.parts {
		if topic == "" || at.topic == topic {
			delete(c.parts, at)
		}
	}
}

func int64At(b []byte, at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }
