package topicconf

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Mirroring gives the wanted values of a topic while it is mirrored to: the intended ones, with stand-ins for
// those that would drop, refuse or change what the source sends.
func Mirroring(in Intended) map[string]string {
	want := maps.Clone(in.Values)
	if want == nil {
		want = map[string]string{}
	}
	maps.Copy(want, standIns(in))
	return want
}

// standIns are the values that hold while mirroring. Retention by record time would drop old records as they
// arrive, and the source's log start is followed anyway; timestamp limits would refuse them.
func standIns(in Intended) map[string]string {
	out := map[string]string{
		"retention.ms":                        forever,
		"retention.bytes":                     forever,
		"message.timestamp.before.max.ms":     maxLong,
		"message.timestamp.after.max.ms":      maxLong,
		"message.timestamp.difference.max.ms": maxLong,
		"message.timestamp.type":              "CreateTime",
		"compression.type":                    "producer",
		AppendLimit:                           strconv.Itoa(roomyBatch),
	}
	if n, err := strconv.Atoi(in.Values[AppendLimit]); err == nil && n > roomyBatch {
		out[AppendLimit] = in.Values[AppendLimit]
	}
	// A topic that is only compacted refuses DeleteRecords, by which the source's log start is followed.
	if p := in.Values["cleanup.policy"]; p == "compact" {
		out["cleanup.policy"] = "compact,delete"
	}
	return out
}

// Enabled gives the wanted values of a topic right after a takeover: everything that shapes new writes is as
// intended, and what would remove old ones still stands in until commit.
func Enabled(in Intended) map[string]string {
	want := maps.Clone(in.Values)
	if want == nil {
		want = map[string]string{}
	}
	for name, v := range standIns(in) {
		if removes(name) {
			want[name] = v
		}
	}
	return want
}

// removes says whether a setting makes brokers remove records.
func removes(name string) bool {
	return name == "retention.ms" || name == "retention.bytes" || name == "cleanup.policy"
}

// Committed gives the wanted values of a topic after commit: all as intended.
func Committed(in Intended) map[string]string { return maps.Clone(in.Values) }

// OverRetained names the settings that keep more than the owner intends, given what the topic has.
func OverRetained(in Intended, have Values) []string {
	var out []string
	for name := range standIns(in) {
		if v, ok := have[name]; removes(name) && ok && in.Values[name] != "" && v.Value != in.Values[name] {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Change gives what to alter so that a topic has the wanted values: a new value, or nil to drop the topic's
// own. Settings that the topic's cluster does not know, and a min.insync.replicas above the replication factor,
// are left out.
func Change(want map[string]string, have Values, replication int16) map[string]*string {
	out := map[string]*string{}
	for name, value := range want {
		v, known := have[name]
		if !known || same(name, v.Value, value) || impossible(name, value, replication) {
			continue
		}
		if v.Own() && v.Inherited != nil && same(name, *v.Inherited, value) {
			out[name] = nil
			continue
		}
		out[name] = &value
	}
	return out
}

// Restore is Change limited to settings whose value is still one of ours; the others, which somebody changed
// since, are named.
func Restore(want map[string]string, have Values, ours Ours, replication int16) (change map[string]*string, foreign []string) {
	change = Change(want, have, replication)
	for _, name := range slices.Sorted(maps.Keys(change)) {
		if !isOurs(name, have[name].Value, ours) {
			foreign = append(foreign, name)
			delete(change, name)
		}
	}
	return change, foreign
}

// Revert gives what to alter so that a topic has again what it had of its own before understudy changed it, limited
// to settings whose value is one of ours, stand-in or intended; the others are named.
func Revert(before map[string]string, have Values, ours Ours, in Intended) (change map[string]*string, foreign []string) {
	change = map[string]*string{}
	for _, name := range copied() {
		v, known := have[name]
		was, own := before[name]
		if !known || !v.Own() && !own || own && same(name, was, v.Value) {
			continue
		}
		if set, ok := in.Values[name]; !isOurs(name, v.Value, ours) && !(ok && same(name, set, v.Value)) {
			foreign = append(foreign, name)
			continue
		}
		change[name] = nil
		if own {
			change[name] = &was
		}
	}
	return change, foreign
}

// Defaults gives what a new topic would have, from the values of any topic of the same cluster.
func Defaults(sample Values) Values {
	out := Values{}
	for name, v := range sample {
		if v.Inherited == nil {
			v.Value = ""
		} else {
			v.Value = *v.Inherited
		}
		v.Source = kmsg.ConfigSourceDefaultConfig
		out[name] = v
	}
	return out
}

// Create gives the settings with which to make a topic that does not exist yet, given the cluster's defaults:
// those that differ.
func Create(want map[string]string, defaults Values, replication int16) map[string]string {
	out := map[string]string{}
	for name, value := range Change(want, defaults, replication) {
		if value != nil {
			out[name] = *value
		}
	}
	return out
}

// Set gives what is ours after the wanted values were put in place: every wanted value that differs from the
// intended one.
func Set(want map[string]string, in Intended) Ours {
	out := Ours{}
	for name, v := range want {
		if in.Values[name] != v {
			out[name] = v
		}
	}
	return out
}

func impossible(name, value string, replication int16) bool {
	n, err := strconv.Atoi(value)
	return name == "min.insync.replicas" && err == nil && n > int(replication)
}

// same compares two values; lists are compared without regard to order.
func same(name, a, b string) bool {
	if a == b {
		return true
	}
	if name != "cleanup.policy" {
		return false
	}
	x, y := strings.Split(a, ","), strings.Split(b, ",")
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}
