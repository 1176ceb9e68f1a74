package kafka

import (
	"slices"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/topicconf"
)

// Facts is what Kafka's Decide knows besides the common observation.
type Facts struct {
	Sites map[understudy.Site]*SiteFacts `json:"sites"`
}

// SiteFacts is what was seen of one cluster. Sites that did not answer have none.
type SiteFacts struct {
	ClusterID string `json:"clusterID"`
	Version   string `json:"version"`
	Brokers   int    `json:"brokers"`
	// Authorizer says whether the cluster has one; without it anybody who connects may write.
	Authorizer bool `json:"authorizer"`
	// Writers are the principals that may write one of the topics, by ACL or by the plan, in order. The
	// mover's own is never among those found in ACLs.
	Writers []string `json:"writers,omitempty"`
	// Everyone says that an ACL lets every principal write one of the topics.
	Everyone bool `json:"everyone,omitempty"`
	// Bare are the topics on which no ACL allows anybody anything, in order.
	Bare []string `json:"bare,omitempty"`
	// Denies are the DENY rules on writing that exist for the topics.
	Denies []cluster.ACL `json:"denies,omitempty"`
	// Rules are the literal rules of the topics, whatever they allow or deny.
	Rules []cluster.ACL `json:"rules,omitempty"`
	// Broad are the rules that cover some of the topics by prefix, or all topics.
	Broad []cluster.ACL `json:"broad,omitempty"`
	// Others are the stamps of other workloads.
	Others []understudy.Stamp `json:"others,omitempty"`
	// OwnTopic says whether understudy's own topic is there.
	OwnTopic bool `json:"ownTopic"`
	// Defaults are the settings that a new topic has.
	Defaults topicconf.Values       `json:"defaults,omitempty"`
	Topics   map[string]*TopicFacts `json:"topics"`
	// ActiveGroups are the matched groups that have members.
	ActiveGroups []string `json:"activeGroups,omitempty"`
	// MaxTransaction is the longest that a transaction may stay open (transaction.max.timeout.ms).
	MaxTransaction time.Duration `json:"maxTransaction"`
	AutoCreate     bool          `json:"autoCreate"`
	// Usable is the least free disk space in bytes of any broker; -1 when unknown.
	Usable int64 `json:"usable"`
	// Capable is false when the brokers lack a request that the proofs need.
	Capable bool `json:"capable"`
	// MayMark is false when we lack the right to write transaction markers.
	MayMark bool `json:"mayMark"`
	// MayAlter is false when we lack ALTER on the cluster, which changing ACLs needs.
	MayAlter bool `json:"mayAlter"`
	// Skipped names topics that match but are not protected, and why.
	Skipped []string `json:"skipped,omitempty"`

	// mayCreate is false when we lack CREATE on the cluster; single topics may be allowed even so.
	mayCreate bool
	// groups are the matched groups, and broker is one that answers.
	groups []string
	broker int32
}

// TopicFacts is what was seen of one protected topic.
type TopicFacts struct {
	// ID is the topic's id in hex.
	ID          string           `json:"id"`
	Replication int16            `json:"replication"`
	Partitions  []PartitionFacts `json:"partitions"`
	Values      topicconf.Values `json:"values,omitempty"`
	Bytes       int64            `json:"bytes"`
}

// PartitionFacts is what was seen of one partition, in offsets.
type PartitionFacts struct {
	Start  int64 `json:"start"`
	End    int64 `json:"end"`
	Stable int64 `json:"stable"`
	// Epochs are the producer epochs of understudy's own producers there, by producer id.
	Epochs map[int64]int32 `json:"epochs,omitempty"`
	// Foreign is the number of other producers that the leader remembers.
	Foreign int `json:"foreign,omitempty"`
}

// own gives the topic's own settings, as far as their values are told.
func (t *TopicFacts) own() beforeMemory {
	out := beforeMemory{}
	for setting, v := range t.Values {
		if v.Own() && !v.Sensitive {
			out[setting] = v.Value
		}
	}
	return out
}

// names lists the site's protected topics in order; none for a site that did not answer.
func (s *SiteFacts) names() []string {
	if s == nil {
		return nil
	}
	var out []string
	for n := range s.Topics {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// ends gives the end offset of every partition.
func (s *SiteFacts) ends() map[cluster.TP]int64 {
	out := map[cluster.TP]int64{}
	for name, t := range s.Topics {
		for i, p := range t.Partitions {
			out[cluster.TP{Topic: name, Partition: int32(i)}] = p.End
		}
	}
	return out
}

// highestEpoch is the highest fencing token of ours on the site.
func (s *SiteFacts) highestEpoch() understudy.RoleEpoch {
	var out understudy.RoleEpoch
	for _, t := range s.Topics {
		for _, p := range t.Partitions {
			for _, e := range p.Epochs {
				out = max(out, understudy.RoleEpoch(e))
			}
		}
	}
	return out
}

// covered lists the topics on which some ACL allows something.
func (s *SiteFacts) covered() []string {
	return slices.DeleteFunc(s.names(), func(t string) bool { return slices.Contains(s.Bare, t) })
}

// limited counts the topics closed by an append limit, and denied those on which every writer is denied.
func (s *SiteFacts) limited() int {
	n := 0
	for _, t := range s.Topics {
		if topicconf.IsFence(t.Values[topicconf.AppendLimit].Value) {
			n++
		}
	}
	return n
}

func (s *SiteFacts) allDenied() bool {
	if !s.Authorizer || s.Everyone || len(s.Writers) == 0 {
		return false
	}
	for _, topic := range s.names() {
		for _, w := range s.Writers {
			if !slices.Contains(s.Denies, denyWrite(topic, w)) {
				return false
			}
		}
	}
	return true
}

// writable is the common word for what is known about ordinary writes. An inactive site that nothing keeps
// ordinary writers out of is unguarded while a link of the present role writes there, and open before.
func (s *SiteFacts) writable(name understudy.Site, stamp *understudy.Stamp) string {
	switch {
	case len(s.Topics) > 0 && s.limited() == len(s.Topics):
		return "fenced"
	case s.allDenied():
		return "guarded"
	case stamp != nil && !stamp.Role.IsActive(name) && s.highestEpoch() >= stamp.Role.Epoch:
		return "unguarded"
	}
	return "open"
}

// factsOf gives Kafka's facts of an observation.
func factsOf(seen workload.Observation) (*Facts, error) {
	f, ok := seen.Facts.(*Facts)
	if !ok || f == nil {
		return nil, bug("kafka.decide", "the observation carries no Kafka facts")
	}
	return f, nil
}
