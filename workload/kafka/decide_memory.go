package kafka

import (
	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/topicconf"
)

// Vector is one offset for each partition of each topic.
type Vector map[string][]int64

// at gives one offset; false when the vector does not cover the partition.
func (v Vector) at(tp cluster.TP) (int64, bool) {
	list := v[tp.Topic]
	if int(tp.Partition) >= len(list) || list[tp.Partition] < 0 {
		return 0, false // vector puts -1 where it knows nothing
	}
	return list[tp.Partition], true
}

// vector makes a Vector of offsets by partition.
func vector(at map[cluster.TP]int64) Vector {
	out := Vector{}
	for tp, off := range at {
		for len(out[tp.Topic]) <= int(tp.Partition) {
			out[tp.Topic] = append(out[tp.Topic], -1)
		}
		out[tp.Topic][tp.Partition] = off
	}
	return out
}

// fenceMemory is what understudy changed at a site to keep ordinary writers out, and what was there before.
// It is kept under "fence/SITE" from before the first change until the last is undone.
type fenceMemory struct {
	// Denies are the rules that understudy added; rules that were there before are not among them.
	Denies []cluster.ACL `json:"denies,omitempty"`
	// Limits gives each closed topic's own append limit from before; nil where it had none of its own.
	Limits map[string]*string `json:"limits,omitempty"`
}

// cutMemory is the cut of the last takeover, kept under "cut" until the next one.
type cutMemory struct {
	From understudy.Site `json:"from"`
	To   understudy.Site `json:"to"`
	// Epoch is the role epoch of the halt markers, and PID their producer.
	Epoch understudy.RoleEpoch `json:"epoch"`
	PID   int64                `json:"pid"`
	// Offsets are those of the halt markers.
	Offsets Vector `json:"offsets"`
}

// madeMemory is a topic that understudy made anew, empty, as the copy at a site, kept under "made/SITE/TOPIC".
type madeMemory struct {
	// ID is the topic's id in hex.
	ID string `json:"id"`
	// Epoch is the role epoch under which it was made. The site that loses the role under a later one had it since.
	Epoch understudy.RoleEpoch `json:"epoch"`
}

// beforeMemory is what a topic had of its own at a site before understudy changed it, kept under
// "before/SITE/TOPIC" until the site takes over.
type beforeMemory map[string]string

const (
	keepCut          = "cut"
	keepBrokenPrefix = "broken/"
)

func keepMade(s understudy.Site, topic string) string   { return "made/" + string(s) + "/" + topic }
func keepBefore(s understudy.Site, topic string) string { return "before/" + string(s) + "/" + topic }

// madeOf gives the ids of the topics that were made anew at a site under a later role than the given one.
func madeOf(k understudy.Keep, s understudy.Site, topics []string, after understudy.RoleEpoch) map[string]string {
	out := map[string]string{}
	for _, t := range topics {
		if m, err := topicconf.Decode[madeMemory](k[keepMade(s, t)]); err == nil && m.ID != "" && m.Epoch > after {
			out[t] = m.ID
		}
	}
	return out
}

// beforeOf gives what a topic had at a site before understudy changed it; false when nothing is kept.
func beforeOf(k understudy.Keep, s understudy.Site, topic string) (beforeMemory, bool) {
	m, err := topicconf.Decode[beforeMemory](k[keepBefore(s, topic)])
	return m, err == nil && m != nil
}

func keepFence(s understudy.Site) string   { return "fence/" + string(s) }
func keepCluster(s understudy.Site) string { return "site/" + string(s) + "/cluster" }
func keepBroken(topic string) string       { return keepBrokenPrefix + topic }

func intendedOf(k understudy.Keep, topic string) (topicconf.Intended, bool) {
	in, err := topicconf.Decode[topicconf.Intended](k[topicconf.KeepIntended(topic)])
	return in, err == nil && in.Topic != ""
}

func oursOf(k understudy.Keep, topic string, s understudy.Site) topicconf.Ours {
	o, err := topicconf.Decode[topicconf.Ours](k[topicconf.KeepOurs(topic, string(s))])
	if err != nil {
		return nil
	}
	return o
}

func fenceOf(k understudy.Keep, s understudy.Site) fenceMemory {
	f, err := topicconf.Decode[fenceMemory](k[keepFence(s)])
	if err != nil {
		return fenceMemory{}
	}
	return f
}

func cutOf(k understudy.Keep) (cutMemory, bool) {
	c, err := topicconf.Decode[cutMemory](k[keepCut])
	return c, err == nil && c.Offsets != nil
}

// clusterOf gives the cluster id that the site had when it was protected.
func clusterOf(k understudy.Keep, s understudy.Site) string {
	id, err := topicconf.Decode[string](k[keepCluster(s)])
	if err != nil {
		return ""
	}
	return id
}
