package cluster

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy"
)

// Group is a consumer group as a cluster lists it.
type Group struct {
	Name string
	// State is Kafka's word: Empty, Stable, PreparingRebalance, CompletingRebalance, Assigning, Dead; empty
	// when the broker does not say.
	State string
}

// Idle says whether nobody is in the group, so that its positions may be set from outside.
func (g Group) Idle() bool { return g.State == "Empty" || g.State == "Dead" }

// ListGroups lists the consumer groups of all brokers, with their states.
func (c *Cluster) ListGroups(ctx context.Context, lease understudy.Lease) ([]Group, error) {
	bounded, cancel, cl, err := c.bounded(ctx, lease, "kafka.listgroups")
	if err != nil {
		return nil, err
	}
	defer cancel()
	var out []Group
	for _, shard := range cl.RequestSharded(bounded, kmsg.NewPtrListGroupsRequest()) {
		if shard.Err != nil {
			return nil, c.failed(ctx, lease, "kafka.listgroups", shard.Err)
		}
		r := shard.Resp.(*kmsg.ListGroupsResponse)
		if err := c.Refused("kafka.listgroups", "", r.ErrorCode, "DESCRIBE on the groups"); err != nil {
			return nil, err
		}
		for _, g := range r.Groups {
			if g.ProtocolType == "consumer" || g.ProtocolType == "" {
				out = append(out, Group{g.Group, g.GroupState})
			}
		}
	}
	slices.SortFunc(out, func(a, b Group) int { return compareStrings(a.Name, b.Name) })
	return slices.CompactFunc(out, func(a, b Group) bool { return a.Name == b.Name }), nil
}

func compareStrings(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// GroupStates gives the state of each named group, asked of its coordinator. Groups of the newer protocol
// (KIP-848) are asked in their own way.
func (c *Cluster) GroupStates(ctx context.Context, lease understudy.Lease, groups []string) (map[string]string, error) {
	out := map[string]string{}
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for _, name := range groups {
		g.Go(func() error {
			s, err := c.groupState(gctx, lease, name)
			mu.Lock()
			defer mu.Unlock()
			out[name] = s
			return err
		})
	}
	return out, g.Wait()
}

func (c *Cluster) groupState(ctx context.Context, lease understudy.Lease, name string) (string, error) {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{name}
	resp, err := c.Do(ctx, lease, req)
	if err != nil {
		return "", err
	}
	if all := resp.(*kmsg.DescribeGroupsResponse).Groups; len(all) > 0 {
		a := all[0]
		if a.ErrorCode == codeUnknownGroup || (a.ErrorCode == 0 && a.State == "Dead") {
			return c.consumerState(ctx, lease, name)
		}
		return a.State, c.Refused("kafka.describegroups", name, a.ErrorCode, "DESCRIBE on group "+name)
	}
	return "Dead", nil
}

// consumerState asks for a group of the consumer protocol; clusters that do not know it have none.
func (c *Cluster) consumerState(ctx context.Context, lease understudy.Lease, name string) (string, error) {
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups = []string{name}
	if known, err := c.knows(ctx, lease, kmsg.ConsumerGroupDescribe); err != nil || !known {
		return "Dead", err
	}
	resp, err := c.Do(ctx, lease, req)
	if err != nil {
		return "", err
	}
	if all := resp.(*kmsg.ConsumerGroupDescribeResponse).Groups; len(all) > 0 {
		a := all[0]
		if a.ErrorCode == codeUnknownGroup || a.ErrorCode == 35 {
			return "Dead", nil
		}
		return a.State, c.Refused("kafka.describegroups", name, a.ErrorCode, "DESCRIBE on group "+name)
	}
	return "Dead", nil
}

// FetchOffsets gives the committed positions of one group; partitions without one are left out.
func (c *Cluster) FetchOffsets(ctx context.Context, lease understudy.Lease, group string) (map[TP]Committed, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = group
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group = group
	req.Groups = append(req.Groups, rg)
	resp, err := c.Do(ctx, lease, req)
	if err != nil {
		return nil, err
	}
	r := resp.(*kmsg.OffsetFetchResponse)
	out := map[TP]Committed{}
	right := "DESCRIBE on group " + group
	if r.ErrorCode == codeUnknownGroup {
		return out, nil
	}
	if err := c.Refused("kafka.offsetfetch", group, r.ErrorCode, right); err != nil {
		return nil, err
	}
	add := func(topic string, partition int32, code int16, offset int64, metadata *string) {
		if code == 0 && offset >= 0 {
			out[TP{topic, partition}] = Committed{offset, textOf(metadata)}
		}
	}
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			add(t.Topic, p.Partition, p.ErrorCode, p.Offset, p.Metadata)
		}
	}
	for _, g := range r.Groups {
		if g.ErrorCode == codeUnknownGroup {
			continue
		}
		if err := c.Refused("kafka.offsetfetch", group, g.ErrorCode, right); err != nil {
			return nil, err
		}
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				add(t.Topic, p.Partition, p.ErrorCode, p.Offset, p.Metadata)
			}
		}
	}
	return out, nil
}

// CommitOffsets sets positions of a group that has no members, without leader epoch. ids gives the topics'
// ids for brokers that want them. It gives the broker's code for each partition; 25 means that the group has
// members.
func (c *Cluster) CommitOffsets(ctx context.Context, lease understudy.Lease, group string, at map[TP]Committed, ids map[string][16]byte) (map[TP]int16, error) {
	out := map[TP]int16{}
	part, size := map[TP]Committed{}, 0
	commit := func() error {
		codes, err := c.commitOffsets(ctx, lease, group, part, ids)
		maps.Copy(out, codes)
		part, size = map[TP]Committed{}, 0
		return err
	}
	tps := slices.SortedFunc(maps.Keys(at), func(a, b TP) int { return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition)) })
	for _, tp := range tps {
		part[tp] = at[tp]
		if size += len(group) + len(tp.Topic) + len(at[tp].Metadata) + 100; size < commitMost {
			continue
		}
		if err := commit(); err != nil {
			return nil, err
		}
	}
	if len(part) == 0 {
		return out, nil
	}
	return out, commit()
}

// commitMost is how many bytes of positions are committed at once. A coordinator writes those of one request as one
// batch, which must fit its topic's max.message.bytes, by default 1 MiB.
const commitMost = 256 << 10

func (c *Cluster) commitOffsets(ctx context.Context, lease understudy.Lease, group string, at map[TP]Committed, ids map[string][16]byte) (map[TP]int16, error) {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation, req.RetentionTimeMillis = group, -1, -1
	byTopic := map[string][]kmsg.OffsetCommitRequestTopicPartition{}
	for tp, o := range at {
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = tp.Partition, o.At, -1, &o.Metadata
		byTopic[tp.Topic] = append(byTopic[tp.Topic], p)
	}
	for name, ps := range byTopic {
		rt := kmsg.NewOffsetCommitRequestTopic()
		rt.Topic, rt.TopicID, rt.Partitions = name, ids[name], ps
		req.Topics = append(req.Topics, rt)
	}
	resp, err := c.Do(ctx, lease, req)
	if err != nil {
		return nil, err
	}
	names := map[[16]byte]string{}
	for n, id := range ids {
		names[id] = n
	}
	out := map[TP]int16{}
	for _, t := range resp.(*kmsg.OffsetCommitResponse).Topics {
		name := t.Topic
		if name == "" {
			name = names[t.TopicID]
		}
		for _, p := range t.Partitions {
			out[TP{name, p.Partition}] = p.ErrorCode
		}
	}
	return out, nil
}
