package cluster

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
)

// ConfigValue is one setting as it is in effect.
type ConfigValue struct {
	Value string
	// Source says where the value comes from (KIP-226).
	Source kmsg.ConfigSource
	// Inherited is the value in effect if the topic had none of its own; nil when the broker does not say.
	Inherited *string
	// Sensitive values are not told by the broker.
	Sensitive bool
}

// Own says whether the value was set on the topic itself, rather than being a default.
func (v ConfigValue) Own() bool { return v.Source == kmsg.ConfigSourceDynamicTopicConfig }

// A topic that was made is known to all brokers soon: it is asked for so often, with such pauses between.
const (
	NewTries = 100
	NewPause = 100 * time.Millisecond
)

// DescribeNewTopicConfigs describes a topic that may have been made this moment. The broker that is asked need not be the one that has listed it, and may
// not know it yet.
func (c *Cluster) DescribeNewTopicConfigs(ctx context.Context, lease understudy.Lease, topic string) (map[string]ConfigValue, error) {
	for try := 0; ; try++ {
		all, err := c.DescribeTopicConfigs(ctx, lease, []string{topic})
		if understudy.KindOf(err) != understudy.KindNotFound || try == NewTries {
			return all[topic], err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(NewPause):
		}
	}
}

// DescribeTopicConfigs gives every setting in effect of each topic, broker defaults included.
func (c *Cluster) DescribeTopicConfigs(ctx context.Context, lease understudy.Lease, topics []string) (map[string]map[string]ConfigValue, error) {
	if len(topics) == 0 {
		return map[string]map[string]ConfigValue{}, nil
	}
	out := map[string]map[string]ConfigValue{}
	for some := range slices.Chunk(topics, describeMost) {
		got, err := c.describeConfigs(ctx, lease, kmsg.ConfigResourceTypeTopic, some, "DESCRIBE_CONFIGS on topic ")
		if err != nil {
			return nil, err
		}
		maps.Copy(out, got)
	}
	return out, nil
}

// describeMost is how many topics are asked about at once. A topic has some 5 kB to tell, and an answer must not
// exceed what a client takes, 100 MiB.
const describeMost = 2000

// DescribeBrokerConfigs gives every setting of one broker.
func (c *Cluster) DescribeBrokerConfigs(ctx context.Context, lease understudy.Lease, broker int32) (map[string]ConfigValue, error) {
	name := strconv.Itoa(int(broker))
	all, err := c.describeConfigs(ctx, lease, kmsg.ConfigResourceTypeBroker, []string{name}, "DESCRIBE_CONFIGS on the cluster, broker ")
	return all[name], err
}

func (c *Cluster) describeConfigs(ctx context.Context, lease understudy.Lease, kind kmsg.ConfigResourceType, names []string, right string) (map[string]map[string]ConfigValue, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms = true
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
			values[v.Name] = readConfig(v)
		}
		out[r.ResourceName] = values
	}
	return out, nil
}

func readConfig(v kmsg.DescribeConfigsResponseResourceConfig) ConfigValue {
	out := ConfigValue{Source: v.Source, Sensitive: v.IsSensitive}
	if v.Value != nil {
		out.Value = *v.Value
	}
	if !out.Own() {
		out.Inherited = v.Value
		return out
	}
	for _, s := range v.ConfigSynonyms {
		if s.Source != kmsg.ConfigSourceDynamicTopicConfig {
			out.Inherited = inUnits(v.Name, s.Name, s.Value)
			break
		}
	}
	return out
}

// inUnits gives a broker's setting in the units of the topic's: brokers may state times in hours or minutes,
// where topics state milliseconds.
func inUnits(topic, broker string, value *string) *string {
	if value == nil || !strings.HasSuffix(topic, ".ms") {
		return value
	}
	factor := int64(1)
	switch {
	case strings.HasSuffix(broker, ".hours"):
		factor = time.Hour.Milliseconds()
	case strings.HasSuffix(broker, ".minutes"):
		factor = time.Minute.Milliseconds()
	default:
		return value
	}
	n, err := strconv.ParseInt(*value, 10, 64)
	if err != nil {
		return nil
	}
	if n > 0 {
		n *= factor
	}
	out := strconv.FormatInt(n, 10)
	return &out
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
