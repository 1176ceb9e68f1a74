package cluster

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
)

// May says whether a bit field of authorised operations (KIP-430) holds one of them.
func May(ops int32, op kmsg.ACLOperation) bool {
	return ops&(1<<uint(op)) != 0 || ops&(1<<uint(kmsg.ACLOperationAll)) != 0
}

// GroupOps gives, of groups that the cluster has, the bit field of operations that we are authorised for (KIP-430). It
// is 0 where not even DESCRIBE is allowed. Groups of which their coordinator does not tell are left out.
func (c *Cluster) GroupOps(ctx context.Context, lease understudy.Lease, groups []string) (map[string]int32, error) {
	const op = "kafka.describegroups"
	out := make(map[string]int32, len(groups))
	if len(groups) == 0 {
		return out, nil
	}
	bounded, cancel, cl, err := c.bounded(ctx, lease, op)
	if err != nil {
		return nil, err
	}
	defer cancel()
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups, req.IncludeAuthorizedOperations = groups, true
	for _, shard := range cl.RequestSharded(bounded, req) {
		if asked, ok := shard.Req.(*kmsg.DescribeGroupsRequest); ok && errors.Is(shard.Err, kerr.GroupAuthorizationFailed) {
			for _, g := range asked.Groups { // nobody may know where its coordinator is
				out[g] = 0
			}
			continue
		}
		if shard.Err != nil {
			return nil, c.failed(ctx, lease, op, shard.Err)
		}
		for _, g := range shard.Resp.(*kmsg.DescribeGroupsResponse).Groups {
			if g.ErrorCode == CodeGroupDenied {
				out[g.Group] = 0
			} else if g.ErrorCode == 0 && g.AuthorizedOperations > 0 {
				out[g.Group] = g.AuthorizedOperations
			}
		}
	}
	return out, nil
}

// MayCommit says whether we may set a group's positions, whether it exists or not. A broker is asked to set one in a topic
// that nobody has: it looks at the right on the group first, and then finds nothing to set. It is not the coordinator
// that is asked: the question for that would make a broker without groups create a topic.
func (c *Cluster) MayCommit(ctx context.Context, lease understudy.Lease, broker int32, group string) (bool, error) {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation, req.RetentionTimeMillis = group, -1, -1
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic = "understudy-" + rand.Text()
	copy(t.TopicID[:], t.Topic[len(t.Topic)-len(t.TopicID):])
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.LeaderEpoch = -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp, err := c.ask(ctx, lease, broker, req)
	if err != nil {
		return false, err
	}
	for _, t := range resp.(*kmsg.OffsetCommitResponse).Topics {
		for _, p := range t.Partitions {
			return p.ErrorCode != CodeGroupDenied, nil
		}
	}
	return true, nil
}

// MayNotCreate gives those of the named topics that we may not create. The cluster is asked to validate only, so
// nothing comes into being.
func (c *Cluster) MayNotCreate(ctx context.Context, lease understudy.Lease, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis, req.ValidateOnly = int32(RequestTimeout.Milliseconds()), true
	for _, n := range names {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = n, 1, 1
		req.Topics = append(req.Topics, t)
	}
	resp, err := c.Do(ctx, lease, req)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, t := range resp.(*kmsg.CreateTopicsResponse).Topics {
		if t.ErrorCode == CodeTopicDenied || t.ErrorCode == CodeClusterDenied {
			out = append(out, t.Topic)
		}
	}
	return out, nil
}
