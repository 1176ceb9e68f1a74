package kafkasim

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const maxLong = "9223372036854775807"

// topicDefaults are the configurations that a topic of Apache Kafka 4.4 has, with their defaults.
func topicDefaults() map[string]string {
	return map[string]string{
		"cleanup.policy": "delete", "compression.gzip.level": "-1", "compression.lz4.level": "9", "compression.type": "producer",
		"compression.zstd.level": "3", "delete.retention.ms": "86400000", "errors.deadletterqueue.group.enable": "false", "file.delete.delay.ms": "60000",
		"flush.messages": maxLong, "flush.ms": maxLong, "follower.replication.throttled.replicas": "",
		"index.interval.bytes": "4096", "leader.replication.throttled.replicas": "", "local.retention.bytes": "-2",
		"local.retention.ms": "-2", "max.compaction.lag.ms": maxLong, "max.decompressed.message.bytes": "2147483639", "max.message.bytes": "1048588",
		"message.timestamp.after.max.ms": "3600000", "message.timestamp.before.max.ms": maxLong,
		"message.timestamp.type": "CreateTime", "min.cleanable.dirty.ratio": "0.5", "min.compaction.lag.ms": "0",
		"min.insync.replicas": "1", "preallocate": "false", "remote.copy.lag.bytes": "-1", "remote.copy.lag.ms": "0", "remote.log.copy.disable": "false",
		"remote.log.delete.on.disable": "false", "remote.storage.enable": "false", "retention.bytes": "-1",
		"retention.ms": "604800000", "segment.bytes": "1073741824", "segment.index.bytes": "10485760",
		"segment.jitter.ms": "0", "segment.ms": "604800000", "unclean.leader.election.enable": "false",
	}
}

// brokerNames gives the topic configuration that each broker configuration is the default of.
func brokerNames() map[string]string {
	return map[string]string{
		"compression.type": "compression.type", "log.cleanup.policy": "cleanup.policy", "log.message.timestamp.type": "message.timestamp.type",
		"log.retention.bytes": "retention.bytes", "log.retention.ms": "retention.ms", "log.roll.ms": "segment.ms",
		"log.segment.bytes": "segment.bytes", "message.max.bytes": "max.message.bytes", "min.insync.replicas": "min.insync.replicas",
	}
}

// validConfig says whether a broker would take a topic configuration; a nil value removes one.
func validConfig(defaults map[string]string, name string, value *string) bool {
	standard, ok := defaults[name]
	if !ok {
		return false
	}
	if value == nil {
		return true
	}
	least := map[string]int64{
		"retention.ms": -1, "retention.bytes": -1, "local.retention.ms": -2, "local.retention.bytes": -2, "compression.gzip.level": -1,
		"remote.copy.lag.bytes": -1,
	}
	if _, err := strconv.ParseInt(standard, 10, 64); err == nil {
		n, err := strconv.ParseInt(*value, 10, 64)
		return err == nil && n >= least[name]
	}
	return true
}

// configs carries out what reads or sets configurations of topics; kfake knows few names and takes all.
func (cl *client) configs(in inbound) ([]byte, error) {
	switch req := in.req.(type) {
	case *kmsg.DescribeConfigsRequest:
		return cl.describeConfigs(in, req)
	case *kmsg.CreateTopicsRequest:
		return cl.createTopics(in, req)
	case *kmsg.IncrementalAlterConfigsRequest:
		return cl.incrementalAlter(in, req)
	case *kmsg.AlterConfigsRequest:
		return cl.alter(in, req)
	}
	return cl.up.relay(in.frame)
}

func (cl *client) describeConfigs(in inbound, req *kmsg.DescribeConfigsRequest) ([]byte, error) {
	asked := map[string][]string{}
	for i := range req.Resources {
		r := &req.Resources[i]
		asked[r.ResourceName], r.ConfigNames = r.ConfigNames, nil
	}
	answer, err := cl.exchange(in)
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.DescribeConfigsResponse)
	table := newConfigTable()
	for i := range resp.Resources {
		r := &resp.Resources[i]
		if r.ErrorCode != 0 {
			continue
		}
		switch r.ResourceType {
		case kmsg.ConfigResourceTypeBroker:
			r.Configs = cl.cluster.brokerConfigs(r.Configs)
		case kmsg.ConfigResourceTypeTopic:
			r.Configs = table.of(r.Configs)
		default:
			continue
		}
		if names := asked[r.ResourceName]; names != nil {
			r.Configs = slices.DeleteFunc(r.Configs, func(c kmsg.DescribeConfigsResponseResourceConfig) bool {
				return !slices.Contains(names, c.Name)
			})
		}
	}
	return encode(resp, in.corr), nil
}

// configTable is what a topic has that sets nothing itself, in order of names.
type configTable struct {
	standard []kmsg.DescribeConfigsResponseResourceConfig
	at       map[string]int
	broker   map[string]string
}

func newConfigTable() configTable {
	t := configTable{at: map[string]int{}, broker: brokerNames()}
	defaults := topicDefaults()
	for _, name := range slices.Sorted(maps.Keys(defaults)) {
		c := kmsg.NewDescribeConfigsResponseResourceConfig()
		c.Name, c.Value, c.Source, c.IsDefault = name, kmsg.StringPtr(defaults[name]), kmsg.ConfigSourceDefaultConfig, true
		t.at[name] = len(t.standard)
		t.standard = append(t.standard, c)
	}
	return t
}

// of makes what kfake knows about a topic what a broker answers: every name, with the value in force and where
// it comes from.
func (t configTable) of(known []kmsg.DescribeConfigsResponseResourceConfig) []kmsg.DescribeConfigsResponseResourceConfig {
	out := slices.Clone(t.standard)
	for _, source := range []kmsg.ConfigSource{kmsg.ConfigSourceDynamicBrokerConfig, kmsg.ConfigSourceDynamicTopicConfig} {
		for _, c := range known {
			if c.Source != source {
				continue
			}
			if source == kmsg.ConfigSourceDynamicBrokerConfig {
				c.Name = t.broker[c.Name]
			}
			if i, ok := t.at[c.Name]; ok {
				c.ConfigSynonyms, c.IsDefault = nil, false
				out[i] = c
			}
		}
	}
	return out
}

// brokerConfigs puts right what kfake says about itself: no authorizer or super users where there are none,
// and the names of super users kept secret where there are, as Kafka does with names it does not know.
func (c *Cluster) brokerConfigs(known []kmsg.DescribeConfigsResponseResourceConfig) []kmsg.DescribeConfigsResponseResourceConfig {
	known = slices.DeleteFunc(known, func(k kmsg.DescribeConfigsResponseResourceConfig) bool { return k.Name == "super.users" })
	add := func(name string, value *string, source kmsg.ConfigSource) {
		k := kmsg.NewDescribeConfigsResponseResourceConfig()
		k.Name, k.Value, k.Source, k.ReadOnly, k.IsSensitive = name, value, source, true, value == nil
		known = append(known, k)
	}
	add("auto.create.topics.enable", kmsg.StringPtr(strconv.FormatBool(c.opts.AutoCreate)), kmsg.ConfigSourceStaticBrokerConfig)
	if !c.opts.Authorizer {
		add("authorizer.class.name", kmsg.StringPtr(""), kmsg.ConfigSourceDefaultConfig)
		return known
	}
	add("authorizer.class.name", kmsg.StringPtr("org.apache.kafka.metadata.authorizer.StandardAuthorizer"), kmsg.ConfigSourceStaticBrokerConfig)
	add("super.users", nil, kmsg.ConfigSourceStaticBrokerConfig)
	return known
}

func (cl *client) createTopics(in inbound, req *kmsg.CreateTopicsRequest) ([]byte, error) {
	var refused []kmsg.CreateTopicsResponseTopic
	defaults := topicDefaults()
	req.Topics = slices.DeleteFunc(req.Topics, func(t kmsg.CreateTopicsRequestTopic) bool {
		for _, c := range t.Configs {
			if !validConfig(defaults, c.Name, c.Value) {
				rt := kmsg.NewCreateTopicsResponseTopic()
				rt.Topic, rt.ErrorCode, rt.ErrorMessage = t.Topic, kerr.InvalidConfig.Code, unknownConfig(c.Name)
				refused = append(refused, rt)
				return true
			}
		}
		return false
	})
	answer, err := cl.exchange(in)
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.CreateTopicsResponse)
	resp.Topics = append(resp.Topics, refused...)
	return encode(resp, in.corr), nil
}

func (cl *client) incrementalAlter(in inbound, req *kmsg.IncrementalAlterConfigsRequest) ([]byte, error) {
	var refused []kmsg.IncrementalAlterConfigsResponseResource
	defaults := topicDefaults()
	req.Resources = slices.DeleteFunc(req.Resources, func(r kmsg.IncrementalAlterConfigsRequestResource) bool {
		for _, c := range r.Configs {
			if r.ResourceType == kmsg.ConfigResourceTypeTopic && c.Op == kmsg.IncrementalAlterConfigOpSet && !validConfig(defaults, c.Name, c.Value) {
				rr := kmsg.NewIncrementalAlterConfigsResponseResource()
				rr.ResourceType, rr.ResourceName = r.ResourceType, r.ResourceName
				rr.ErrorCode, rr.ErrorMessage = kerr.InvalidConfig.Code, unknownConfig(c.Name)
				refused = append(refused, rr)
				return true
			}
		}
		return false
	})
	answer, err := cl.exchange(in)
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.IncrementalAlterConfigsResponse)
	resp.Resources = append(resp.Resources, refused...)
	return encode(resp, in.corr), nil
}

func (cl *client) alter(in inbound, req *kmsg.AlterConfigsRequest) ([]byte, error) {
	var refused []kmsg.AlterConfigsResponseResource
	defaults := topicDefaults()
	req.Resources = slices.DeleteFunc(req.Resources, func(r kmsg.AlterConfigsRequestResource) bool {
		for _, c := range r.Configs {
			if r.ResourceType == kmsg.ConfigResourceTypeTopic && !validConfig(defaults, c.Name, c.Value) {
				rr := kmsg.NewAlterConfigsResponseResource()
				rr.ResourceType, rr.ResourceName = r.ResourceType, r.ResourceName
				rr.ErrorCode, rr.ErrorMessage = kerr.InvalidConfig.Code, unknownConfig(c.Name)
				refused = append(refused, rr)
				return true
			}
		}
		return false
	})
	answer, err := cl.exchange(in)
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.AlterConfigsResponse)
	resp.Resources = append(resp.Resources, refused...)
	return encode(resp, in.corr), nil
}

func unknownConfig(name string) *string {
	return kmsg.StringPtr("Unknown topic config name or bad value: " + name)
}

// deletion carries out deletions of topics, whose producers are forgotten, and of records, which brokers
// refuse on topics that are only compacted.
func (cl *client) deletion(in inbound) ([]byte, error) {
	c := cl.cluster
	c.log.Lock()
	defer c.log.Unlock()
	switch req := in.req.(type) {
	case *kmsg.DeleteTopicsRequest:
		answer, err := cl.up.relay(in.frame)
		for _, name := range req.TopicNames {
			c.forget(name)
		}
		for _, t := range req.Topics {
			c.forget(text(t.Topic))
		}
		return answer, err
	case *kmsg.DeleteRecordsRequest:
		return cl.deleteRecords(in, req)
	}
	return cl.up.relay(in.frame)
}

func (cl *client) deleteRecords(in inbound, req *kmsg.DeleteRecordsRequest) ([]byte, error) {
	var refused []kmsg.DeleteRecordsResponseTopic
	var kept []kmsg.DeleteRecordsRequestTopic
	for _, t := range req.Topics {
		policy, err := cl.cluster.topicConfig(t.Topic, "cleanup.policy")
		if err != nil {
			return nil, err
		}
		if policy == "" || strings.Contains(policy, "delete") {
			kept = append(kept, t)
			continue
		}
		rt := kmsg.NewDeleteRecordsResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewDeleteRecordsResponseTopicPartition()
			rp.Partition, rp.LowWatermark, rp.ErrorCode = p.Partition, -1, kerr.PolicyViolation.Code
			rt.Partitions = append(rt.Partitions, rp)
		}
		refused = append(refused, rt)
	}
	req.Topics = kept
	answer, err := cl.exchange(in)
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.DeleteRecordsResponse)
	resp.Topics = append(resp.Topics, refused...)
	return encode(resp, in.corr), nil
}
