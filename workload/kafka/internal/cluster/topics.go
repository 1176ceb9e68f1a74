package cluster

import (
	"context"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
)

// NewTopic is a topic to be made.
type NewTopic struct {
	Name        string            `json:"name"`
	Partitions  int32             `json:"partitions"`
	Replication int16             `json:"replication"`
	Configs     map[string]string `json:"configs,omitempty"`
}

// CreateTopic makes a topic. It says whether it made it: false means that one of that name was there.
func (c *Cluster) CreateTopic(ctx context.Context, lease understudy.Lease, t NewTopic) (bool, error) {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = int32(RequestTimeout.Milliseconds())
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = t.Name, t.Partitions, t.Replication
	for _, k := range slices.Sorted(maps.Keys(t.Configs)) {
		rc := kmsg.NewCreateTopicsRequestTopicConfig()
		rc.Name, rc.Value = k, kmsg.StringPtr(t.Configs[k])
		rt.Configs = append(rt.Configs, rc)
	}
	req.Topics = append(req.Topics, rt)
	resp, err := c.Do(ctx, lease, req)
	if err != nil {
		return false, err
	}
	if all := resp.(*kmsg.CreateTopicsResponse).Topics; len(all) > 0 {
		a := all[0]
		if a.ErrorCode == CodeTopicExists {
			return false, nil
		}
		err := c.Refused("kafka.createtopics", t.Name, a.ErrorCode, "CREATE on topic "+t.Name)
		return err == nil, because(err, a.ErrorMessage)
	}
	return false, c.Refused("kafka.createtopics", t.Name, -1, "")
}

// because adds the broker's own words to an error.
func because(err error, message *string) error {
	if e := understudy.AsError(err); e != nil && message != nil {
		e.Why = *message
		return e
	}
	return err
}

// CreatePartitions grows a topic to the given number of partitions; a topic that has as many is left as it is.
func (c *Cluster) CreatePartitions(ctx context.Context, lease understudy.Lease, topic string, total int32) error {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = int32(RequestTimeout.Milliseconds())
	rt := kmsg.NewCreatePartitionsRequestTopic()
	rt.Topic, rt.Count = topic, total
	req.Topics = append(req.Topics, rt)
	resp, err := c.Do(ctx, lease, req)
	if err != nil {
		return err
	}
	if all := resp.(*kmsg.CreatePartitionsResponse).Topics; len(all) > 0 {
		a := all[0]
		if a.ErrorCode == 37 { // INVALID_PARTITIONS: it has as many, or more
			m, err := c.Metadata(ctx, lease, topic)
			if err == nil && len(m.Topics[topic].Partitions) == int(total) {
				return nil
			}
		}
		return because(c.Refused("kafka.createpartitions", topic, a.ErrorCode, "ALTER on topic "+topic), a.ErrorMessage)
	}
	return c.Refused("kafka.createpartitions", topic, -1, "")
}

// DeleteTopic removes a topic and all its records. One that does not exist is fine.
func (c *Cluster) DeleteTopic(ctx context.Context, lease understudy.Lease, topic string) error {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = int32(RequestTimeout.Milliseconds())
	req.TopicNames = []string{topic}
	rt := kmsg.NewDeleteTopicsRequestTopic()
	rt.Topic = kmsg.StringPtr(topic)
	req.Topics = append(req.Topics, rt)
	resp, err := c.Do(ctx, lease, req)
	if err != nil {
		return err
	}
	if all := resp.(*kmsg.DeleteTopicsResponse).Topics; len(all) > 0 {
		a := all[0]
		if a.ErrorCode == CodeUnknownTopic {
			return nil
		}
		return because(c.Refused("kafka.deletetopics", topic, a.ErrorCode, "DELETE on topic "+topic), a.ErrorMessage)
	}
	return c.Refused("kafka.deletetopics", topic, -1, "")
}
