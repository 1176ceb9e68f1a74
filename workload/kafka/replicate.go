package kafka

import (
	"context"
	"slices"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/mirror"
	"github.com/understudy-dr/understudy/workload/kafka/internal/topicconf"
)

// Replicate follows one link until ctx ends.
func (w *Workload) Replicate(ctx context.Context, a understudy.Assignment, report func(understudy.Progress)) error {
	from, err := w.at(a.Link.From)
	if err != nil {
		return err
	}
	to, err := w.at(a.Link.To)
	if err != nil {
		return err
	}
	cut, taken := cutOf(a.Kept)
	m, err := mirror.New(mirror.Options{
		Link: a.Link, Epoch: a.Epoch, Lease: a.Lease, Frozen: a.Frozen, Reverse: a.Reverse, Kept: a.Kept, Unsettled: a.Unsettled,
		Source: from.admin, Target: to.admin, SourceID: clusterOf(a.Kept, a.Link.From), TargetID: clusterOf(a.Kept, a.Link.To),
		Topic: w.match.topic, Group: w.match.group, Fence: keepFence(a.Link.To), Guard: w.guardNew(to, a.Lease),
		Replication: w.cfg.Replication, Budget: w.opening.FetchBudget, Report: report,
		Late: taken && cut.From == a.Link.To && cut.To == a.Link.From,
	})
	if err != nil {
		return err
	}
	return m.Run(ctx)
}

// guardNew denies the writers who are denied on the link's target already the topics that the mover is about to make
// there. It is about sites that are guarded by name only.
func (w *Workload) guardNew(s *site, lease understudy.Lease) func(context.Context, []string, []byte) ([]byte, func(context.Context) error, error) {
	return func(ctx context.Context, topics []string, fence []byte) ([]byte, func(context.Context) error, error) {
		mem, err := topicconf.Decode[fenceMemory](fence)
		if err != nil || len(mem.Denies) == 0 {
			return nil, nil, err
		}
		all, authorizer, err := s.admin.ListACLs(ctx, lease)
		if err != nil || !authorizer {
			return nil, nil, err
		}
		var writers []string
		for _, r := range mem.Denies {
			writers = append(writers, r.Principal)
		}
		slices.Sort(writers)
		uncovered := bare(all, topics)
		covered := slices.DeleteFunc(slices.Clone(topics), func(t string) bool { return slices.Contains(uncovered, t) })
		there := denialsOf(all, covered)
		rules := slices.DeleteFunc(denyRules(covered, slices.Compact(writers)), func(r cluster.ACL) bool {
			return slices.Contains(there, r) || slices.Contains(mem.Denies, r)
		})
		if len(rules) == 0 {
			return nil, nil, nil
		}
		mem.Denies = append(mem.Denies, rules...)
		return topicconf.Encode(mem), func(ctx context.Context) error { return s.admin.CreateACLs(ctx, lease, rules) }, nil
	}
}
