package kafkasim

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func askStaleID(a *asker) {
	stale, name := a.id, a.topic
	a.delete()
	a.until(func() bool { return a.create(name, 2) == 0 })
	a.say("stale", a.produceTo(stale, "", craft{pid: -1, epoch: -1, seq: -1, n: 1}.bytes()))
	a.say("end", a.end())
}

// askStaleIDs sends records for two topics that are not there beside those for one that is.
func askStaleIDs(a *asker) {
	stale := [][16]byte{{1: 1, 15: 1}, {1: 1, 15: 2}}
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 10_000
	for _, id := range append(stale, a.id) {
		t := kmsg.NewProduceRequestTopic()
		t.Topic, t.TopicID = a.topic, id
		p := kmsg.NewProduceRequestTopicPartition()
		p.Records = craft{pid: -1, epoch: -1, seq: -1, n: 1}.bytes()
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
	}
	codes := map[[16]byte]int16{}
	for _, t := range a.request(req).(*kmsg.ProduceResponse).Topics {
		for _, p := range t.Partitions {
			codes[t.TopicID] = p.ErrorCode
		}
	}
	a.say("stale", codes[stale[0]])
	a.say("stale", codes[stale[1]])
	a.say("ours", codes[a.id])
	a.say("end", a.end())
}

func askNoACLs(a *asker) {
	a.say("describe", a.describeACLs("", 0))
	a.say("create", a.acl("writer", kmsg.ACLResourceTypeTopic, a.topic, kmsg.ACLOperationWrite, kmsg.ACLPermissionTypeDeny))
	a.say("delete", a.dropACL("writer", kmsg.ACLPermissionTypeDeny))
	a.say("authorizer", a.brokerConfig("authorizer.class.name"))
	a.say("super", a.brokerConfig("super.users"))
	a.say("rights", a.rights())
}

func askACLs(a *asker) {
	describe := func(pattern kmsg.ACLResourcePatternType) int { return a.describeACLs("User:stranger", pattern) }
	a.say("none", describe(kmsg.ACLResourcePatternTypeAny))
	a.say("create", a.acl("stranger", kmsg.ACLResourceTypeTopic, a.topic, kmsg.ACLOperationWrite, kmsg.ACLPermissionTypeDeny))
	a.until(func() bool { return describe(kmsg.ACLResourcePatternTypeAny) == 1 })
	a.say("one", describe(kmsg.ACLResourcePatternTypeLiteral))
	a.say("prefixed", describe(kmsg.ACLResourcePatternTypeMatch))
	a.say("delete", a.dropACL("stranger", kmsg.ACLPermissionTypeDeny))
	a.until(func() bool { return describe(kmsg.ACLResourcePatternTypeAny) == 0 })
	a.say("none", describe(kmsg.ACLResourcePatternTypeAny))
	a.say("super", a.brokerConfig("super.users"))
	a.say("rights", a.rights())
	w := a.alias("writer")
	defer w.close()
	a.say("writer", w.rights())
	a.say("writer-describe", w.describeACLs("", 0))
	a.say("authorizer", a.brokerConfig("authorizer.class.name"))
	a.fail(w.err)
}

// describeACLs counts the ACLs of a principal on the topic of the case, or gives the code; without a
// principal it asks for all.
func (a *asker) describeACLs(principal string, pattern kmsg.ACLResourcePatternType) int {
	req := kmsg.NewPtrDescribeACLsRequest()
	req.ResourceType, req.ResourcePatternType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny
	req.Operation, req.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	if principal != "" {
		req.ResourceType, req.ResourceName, req.ResourcePatternType, req.Principal = kmsg.ACLResourceTypeTopic, &a.topic, pattern, &principal
	}
	resp := a.request(req).(*kmsg.DescribeACLsResponse)
	if resp.ErrorCode != 0 {
		return int(resp.ErrorCode)
	}
	n := 0
	for _, r := range resp.Resources {
		n += len(r.ACLs)
	}
	return n
}

// rights gives the operations that the connection may do on the cluster, as bits.
func (a *asker) rights() string {
	req := kmsg.NewPtrDescribeClusterRequest()
	req.IncludeClusterAuthorizedOperations = true
	return fmt.Sprintf("%b", a.request(req).(*kmsg.DescribeClusterResponse).ClusterAuthorizedOperations)
}

// brokerConfig gives value and source of a configuration of the broker.
func (a *asker) brokerConfig(name string) string {
	req := kmsg.NewPtrDescribeConfigsRequest()
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeBroker, fmt.Sprint(a.node)
	req.Resources = append(req.Resources, r)
	for _, r := range a.request(req).(*kmsg.DescribeConfigsResponse).Resources {
		for _, c := range r.Configs {
			switch {
			case c.Name != name:
			case c.IsSensitive && c.Value == nil:
				return fmt.Sprintf("hidden/%s", c.Source)
			default:
				return fmt.Sprintf("%s/%s", text(c.Value), c.Source)
			}
		}
	}
	return "none"
}
