package kafka

import (
	"context"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/mirror"
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
	m, err := mirror.New(mirror.Options{
		Link: a.Link, Epoch: a.Epoch, Lease: a.Lease, Frozen: a.Frozen, Reverse: a.Reverse, Kept: a.Kept, Unsettled: a.Unsettled,
		Source: from.admin, Target: to.admin, SourceID: clusterOf(a.Kept, a.Link.From), TargetID: clusterOf(a.Kept, a.Link.To),
		Topic: w.match.topic, Group: w.match.group,
		Replication: w.cfg.Replication, Budget: w.opening.FetchBudget, Report: report,
	})
	if err != nil {
		return err
	}
	return m.Run(ctx)
}
