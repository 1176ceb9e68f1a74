// Package topicconf decides which settings a mirrored topic has at which moment: copied ones, stand-ins
// while mirroring, and the intended ones after a takeover. It must not know clusters: it sees values and
// gives values, and never asks or changes anything.
package topicconf

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

// Values are a topic's settings in effect, broker defaults included, by name.
type Values map[string]cluster.ConfigValue

// Intended is a topic as its owner wants it. It is kept in the journal, so that a stand-in or a fence is
// never mistaken for the owner's will.
type Intended struct {
	Topic       string `json:"topic"`
	Partitions  int32  `json:"partitions"`
	Replication int16  `json:"replication"`
	// Values are the copied settings in effect at the primary.
	Values map[string]string `json:"values"`
}

// Ours are the values that understudy itself set on a topic at one site, by name.
type Ours map[string]string

// Note says that a setting is not copied, and why.
type Note struct {
	Setting string `json:"setting"`
	Why     string `json:"why"`
}

// KeepIntended is the name under which a topic's intended configuration is kept.
func KeepIntended(topic string) string { return "topic/" + topic + "/intended" }

// IntendedTopic gives the topic whose intended configuration is kept under a name; false for other names.
func IntendedTopic(name string) (string, bool) {
	rest, topic := strings.CutPrefix(name, "topic/")
	rest, intended := strings.CutSuffix(rest, "/intended")
	return rest, topic && intended
}

// KeepOurs is the name under which the values that understudy set on a topic at a site are kept.
func KeepOurs(topic, site string) string { return "topic/" + topic + "/ours/" + site }

// Decode reads a kept JSON document; the zero value when there is none.
func Decode[T any](doc []byte) (T, error) {
	var v T
	if len(doc) == 0 {
		return v, nil
	}
	err := json.Unmarshal(doc, &v)
	return v, err
}

// Encode makes the JSON document to be kept.
func Encode(v any) []byte {
	doc, err := json.Marshal(v)
	if err != nil {
		panic("topicconf: " + err.Error()) // strings and integers cannot fail
	}
	return doc
}

const (
	maxLong = "9223372036854775807"
	forever = "-1"
	// roomyBatch lets batches through that the source took under a higher limit than it has today.
	roomyBatch = 64 << 20
)

// AppendLimit is the setting that bounds a batch in bytes. Set to less than a batch, it closes a topic.
const AppendLimit = "max.message.bytes"

// The values of AppendLimit that only a fence sets: no batch at all, and one transaction marker.
const (
	NoBatch   = "0"
	OneMarker = "78"
)

// IsFence says whether a value of AppendLimit was set by a fence.
func IsFence(value string) bool { return value == NoBatch || value == OneMarker }

// copied lists the settings that follow the primary.
func copied() []string {
	return []string{
		"cleanup.policy", "compression.type", "compression.gzip.level", "compression.lz4.level", "compression.zstd.level",
		"delete.retention.ms", "file.delete.delay.ms", "flush.messages", "flush.ms", "index.interval.bytes",
		"max.compaction.lag.ms", AppendLimit, "message.downconversion.enable", "message.timestamp.type",
		"message.timestamp.before.max.ms", "message.timestamp.after.max.ms", "message.timestamp.difference.max.ms",
		"min.cleanable.dirty.ratio", "min.compaction.lag.ms", "min.insync.replicas", "preallocate",
		"retention.bytes", "retention.ms", "segment.bytes", "segment.index.bytes", "segment.jitter.ms", "segment.ms",
		"unclean.leader.election.enable",
	}
}

// never says why a setting that is not copied stays behind.
func never(name string) string {
	switch name {
	case "leader.replication.throttled.replicas", "follower.replication.throttled.replicas":
		return "it names replicas of this cluster, for a move that is under way"
	case "remote.storage.enable", "local.retention.ms", "local.retention.bytes", "remote.log.copy.disable", "remote.log.delete.on.disable":
		return "tiered storage is set up per cluster"
	case "message.format.version":
		return "it belongs to the cluster's own upgrade, and newer brokers do not know it"
	}
	return "it is not a setting of Apache Kafka that is known to mean the same on another cluster"
}

// Read gives what the owner of a topic intends, from its values in effect. A value that is one of ours is
// never taken for the owner's: the one kept before stays. So does what this cluster cannot have, because it has
// fewer brokers or another version than the one from which the topic came.
func Read(topic cluster.Topic, have Values, ours Ours, before Intended) Intended {
	in := Intended{
		Topic: topic.Name, Partitions: int32(len(topic.Partitions)), Replication: max(topic.Replication(), before.Replication),
		Values: map[string]string{},
	}
	for _, name := range copied() {
		v, known := have[name]
		kept, wasKept := before.Values[name]
		switch {
		case known && !v.Sensitive && !isOurs(name, v.Value, ours) && !impossible(name, kept, topic.Replication()):
			in.Values[name] = v.Value
		case wasKept:
			in.Values[name] = kept
		}
	}
	return in
}

func isOurs(name, value string, ours Ours) bool {
	if set, ok := ours[name]; ok && same(name, set, value) {
		return true
	}
	return name == AppendLimit && IsFence(value)
}

// NotCopied lists the settings of a source topic that stay behind, and why. Only settings that the topic
// itself has are listed, and those that the target cannot take.
func NotCopied(in Intended, source, target Values, replication int16) []Note {
	var out []Note
	known := copied()
	for _, name := range slices.Sorted(maps.Keys(source)) {
		if !source[name].Own() {
			continue
		}
		if !slices.Contains(known, name) {
			out = append(out, Note{name, never(name)})
			continue
		}
		if _, ok := target[name]; !ok && len(target) > 0 {
			out = append(out, Note{name, "the target's version does not know it"})
		}
	}
	if n, err := strconv.Atoi(in.Values["min.insync.replicas"]); err == nil && n > int(replication) {
		out = append(out, Note{"min.insync.replicas", "it is greater than the replication factor there, so no write would be taken"})
	}
	return out
}
