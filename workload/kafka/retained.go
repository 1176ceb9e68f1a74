package kafka

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/topicconf"
)

// overRetained names the topics that a new primary keeps longer than their owner wants until commit, by what was seen of
// them last. Where nothing was seen since this member began, it goes by what enable leaves.
func overRetained(kept understudy.Keep, role understudy.Role, seen workload.Observation) []string {
	facts, _ := seen.Facts.(*Facts)
	var out []string
	for _, s := range role.Active {
		over := map[string][]string{}
		for _, name := range slices.Sorted(maps.Keys(kept)) {
			topic, ok := topicconf.IntendedTopic(name)
			if !ok {
				continue
			}
			in, _ := intendedOf(kept, topic)
			if list := topicconf.OverRetained(in, lastSeen(facts, s, in)); len(list) > 0 {
				over[strings.Join(list, ", ")] = append(over[strings.Join(list, ", ")], topic)
			}
		}
		for _, settings := range slices.Sorted(maps.Keys(over)) {
			out = append(out, fmt.Sprintf("%s: %s keeps more than intended until the takeover is committed: %s", s, some(over[settings]), settings))
		}
	}
	return out
}

// lastSeen gives a topic's settings at a site.
func lastSeen(facts *Facts, s understudy.Site, in topicconf.Intended) topicconf.Values {
	if facts != nil && facts.Sites[s] != nil && facts.Sites[s].Topics[in.Topic] != nil {
		return facts.Sites[s].Topics[in.Topic].Values
	}
	out := topicconf.Values{}
	for name, v := range topicconf.Enabled(in) {
		out[name] = cluster.ConfigValue{Value: v}
	}
	return out
}
