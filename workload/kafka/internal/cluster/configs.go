package cluster

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
)

// ConfigValue is one setting as it is in effect.
type ConfigValue struct {
	Value string
	// Source says where the value comes from (KIP-226).
	Source kmsg.ConfigSource
	// Sensitive values are not told by the broker.
	Sensitive bool
}

// Dynamic says whether the value was set on the topic or broker itself, rather than being a default.
func (v ConfigValue) Dynamic() bool { return v.Source == kmsg.ConfigSourceDynamicTopicConfig }

// DescribeTopicConfigs gives every setting in effect of each topic, broker defaults included.
func (c *Cluster) DescribeTopicConfigs(ctx context.Context, lease understudy.Lease, topics []string) (map[string]map[string]ConfigValue, error) {
	if len(topics) == 0 {
		return map[string]map[string]ConfigValue{}, nil
	}
	return c.describeConfigs(ctx, lease, kmsg.ConfigResourceTypeTopic, topics, "DESCRIBE_CONFIGS on topic ")
}

// DescribeBrokerConfigs gives every setting of one broker.
func (c *Cluster) DescribeBrokerConfigs(ctx context.Context, lease understudy.Lease, broker int32) (map[string]ConfigValue, error) {
	name := strconv.Itoa(int(broker))
	all, err := c.describeConfigs(ctx, lease, kmsg.ConfigResourceTypeBroker, []string{name}, "DESCRIBE_CONFIGS on the cluster, broker ")
	return all[name], err
}

func (c *Cluster) describeConfigs(ctx context.Context, lease understudy.Lease, kind kmsg.ConfigResourceType, names []string, right string) (map[string]map[string]ConfigValue, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	for _, n := range names {
		rr := kmsg.NewDescribeConfigsRequestResource()
		rr.ResourceType, rr.ResourceName = kind, n
		req.Resources = append(req.Resources, rr)
	}
	resp, err := c.Do(ctx, lease, req)
	if err != nil {
		return nil, err
	}
	out := map[string]map[string]ConfigValue{}
	for _, r := range resp.(*kmsg.DescribeConfigsResponse).Resources {
		if err := c.Refused("kafka.describeconfigs", r.ResourceName, r.ErrorCode, right+r.ResourceName); err != nil {
			return nil, err
		}
		values := map[string]ConfigValue{}
		for _, v := range r.Configs {
			value := ConfigValue{Source: v.Source, Sensitive: v.IsSensitive}
			if v.Value != nil {
				value.Value = *v.Value
			}
			values[v.Name] = value
		}
		out[r.ResourceName] = values
	}
	return out, nil
}

// AlterTopicConfigs sets the given values of a topic and removes those that are nil, and leaves all others as
// they are (KIP-339).
func (c *Cluster) AlterTopicConfigs(ctx context.Context, lease understudy.Lease, topic string, change map[string]*string) error {
	if len(change) == 0 {
		return nil
	}
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	rr := kmsg.NewIncrementalAlterConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	for _, k := range slices.Sorted(maps.Keys(change)) {
		rc := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		rc.Name, rc.Value, rc.Op = k, change[k], kmsg.IncrementalAlterConfigOpSet
		if change[k] == nil {
			rc.Op = kmsg.IncrementalAlterConfigOpDelete
		}
		rr.Configs = append(rr.Configs, rc)
	}
	req.Resources = append(req.Resources, rr)
	resp, err := c.Do(ctx, lease, req)
	if err != nil {
		return err
	}
	for _, a := range resp.(*kmsg.IncrementalAlterConfigsResponse).Resources {
		return because(c.Refused("kafka.alterconfigs", topic, a.ErrorCode, "ALTER_CONFIGS on topic "+topic), a.ErrorMessage)
	}
	return c.Refused("kafka.alterconfigs", topic, -1, "")
}
