package cluster

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
)

// Committed is a group's position in a partition.
type Committed struct {
	At int64
	// Metadata is the text that the group's members committed with it; empty for none.
	Metadata string
}

// FetchGroupOffsets gives the committed positions of many groups with as few requests as there are
// coordinators. Partitions without a position are left out; groups without any have an empty entry.
func (c *Cluster) FetchGroupOffsets(ctx context.Context, lease understudy.Lease, groups []string) (map[string]map[TP]Committed, error) {
	const op = "kafka.offsetfetch"
	out := make(map[string]map[TP]Committed, len(groups))
	if len(groups) == 0 {
		return out, nil
	}
	bounded, cancel, cl, err := c.bounded(ctx, lease, op)
	if err != nil {
		return nil, err
	}
	defer cancel()
	req := kmsg.NewPtrOffsetFetchRequest()
	for _, g := range groups {
		rg := kmsg.NewOffsetFetchRequestGroup()
		rg.Group = g
		req.Groups = append(req.Groups, rg)
		out[g] = map[TP]Committed{}
	}
	for _, shard := range cl.RequestSharded(bounded, req) {
		if shard.Err != nil {
			return nil, c.failed(ctx, lease, op, shard.Err)
		}
		for _, g := range shard.Resp.(*kmsg.OffsetFetchResponse).Groups {
			if err := c.readGroup(g, out); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func (c *Cluster) readGroup(g kmsg.OffsetFetchResponseGroup, out map[string]map[TP]Committed) error {
	if g.ErrorCode == codeUnknownGroup {
		return nil
	}
	if err := c.Refused("kafka.offsetfetch", g.Group, g.ErrorCode, "DESCRIBE on group "+g.Group); err != nil {
		return err
	}
	at := out[g.Group]
	if at == nil {
		return nil
	}
	for _, t := range g.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode == 0 && p.Offset >= 0 && t.Topic != "" {
				at[TP{t.Topic, p.Partition}] = Committed{p.Offset, textOf(p.Metadata)}
			}
		}
	}
	return nil
}

func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
