package cluster

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
)

// FetchGroupOffsets gives the committed positions of many groups with as few requests as there are
// coordinators. Partitions without a position are left out; groups without any have an empty entry.
func (c *Cluster) FetchGroupOffsets(ctx context.Context, lease understudy.Lease, groups []string) (map[string]map[TP]int64, error) {
	const op = "kafka.offsetfetch"
	out := make(map[string]map[TP]int64, len(groups))
	if len(groups) == 0 {
		return out, nil
	}
	bounded, cancel, err := bound(ctx, lease, op, c.cfg.Object)
	if err != nil {
		return nil, err
	}
	defer cancel()
	cl, err := c.connect(bounded)
	if err != nil {
		return nil, err
	}
	req := kmsg.NewPtrOffsetFetchRequest()
	for _, g := range groups {
		rg := kmsg.NewOffsetFetchRequestGroup()
		rg.Group = g
		req.Groups = append(req.Groups, rg)
		out[g] = map[TP]int64{}
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

func (c *Cluster) readGroup(g kmsg.OffsetFetchResponseGroup, out map[string]map[TP]int64) error {
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
				at[TP{t.Topic, p.Partition}] = p.Offset
			}
		}
	}
	return nil
}
