package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/topicconf"
)

// closeTopics closes topics by their append limit, in the order that leaves no transaction hanging: first to
// one marker, so that open transactions can end; when none has a partition of them any more, to nothing. Were it
// set to nothing before, the coordinator's own marker would be refused and never sent again, also on a partition
// to which the transaction wrote nothing. It looks at the limits and the transactions first, so that a second run
// goes on where the first stopped.
func closeTopics(ctx context.Context, j *job) (understudy.Receipt, error) {
	a, err := args[closeArgs](j.step)
	if err != nil {
		return understudy.Receipt{}, err
	}
	blind, err := j.unseen(ctx)
	if err != nil {
		return understudy.Receipt{}, err
	}
	until := time.Now().Add(a.Patience)
	for {
		topics, parts, err := j.matched(ctx, j.site)
		if err != nil {
			return understudy.Receipt{}, err
		}
		// The limit of a topic that appeared since is not remembered yet: nothing of it is changed.
		if err := j.known(a.Topics, topics); err != nil {
			return understudy.Receipt{}, err
		}
		closed, err := j.closeOnce(ctx, topics, parts, until)
		if err != nil {
			return understudy.Receipt{}, err
		}
		if closed {
			return understudy.Receipt{Summary: fmt.Sprintf("%d topics on %s are closed to appends", len(topics), j.step.Site), Warnings: blind}, nil
		}
	}
}

// unseen says which transactions the fence cannot know of. A missing right is refused, since it can be granted.
func (j *job) unseen(ctx context.Context) ([]string, error) {
	md, err := j.metadata(ctx, j.site)
	if err != nil {
		return nil, err
	}
	sees, known, err := j.site.seesTransactions(ctx, j.run.Lease, md)
	switch {
	case err != nil || sees:
		return nil, err
	case !known:
		return []string{fmt.Sprintf("the brokers of %s are older than Kafka 3.0 and do not list transactions: one that added a partition of these topics and wrote nothing there is not seen, and hangs if it ends after the topics were closed", j.step.Site)}, nil
	}
	return nil, &understudy.Error{
		Code: "US102", Kind: understudy.KindDenied, Op: "kafka.fence", Object: j.object(""),
		Summary: "the right " + cluster.DescribeTransactional + " is missing",
		Why:     "a transaction that is not seen would hang for good once the topics are closed",
		Fix:     "grant it to the principal that understudy uses there, and retry",
	}
}

// seesTransactions says whether every broker shows us all transactions, and whether it can.
func (s *site) seesTransactions(ctx context.Context, lease understudy.Lease, md cluster.Metadata) (sees, known bool, err error) {
	for id := range md.Brokers {
		sees, known, err = s.admin.SeesTransactions(ctx, lease, id)
		if err != nil || !sees {
			return sees, known, err
		}
	}
	return sees, known, nil
}

// closeOnce closes the topics, and says whether they stayed closed: where a transaction slipped in between, they
// are open for its marker again.
func (j *job) closeOnce(ctx context.Context, topics []string, parts []cluster.Partition, until time.Time) (bool, error) {
	if err := j.limitTo(ctx, topics, topicconf.OneMarker, topicconf.NoBatch); err != nil {
		return false, err
	}
	if err := j.awaitRefused(ctx, j.site.admin, parts, large); err != nil {
		return false, err
	}
	// An earlier run may have closed them over a transaction.
	if err := j.openFor(ctx, topics, parts); err != nil {
		return false, err
	}
	if err := j.awaitEnded(ctx, parts, until); err != nil {
		return false, err
	}
	if err := j.limitTo(ctx, topics, topicconf.NoBatch); err != nil {
		return false, err
	}
	if err := j.awaitRefused(ctx, j.site.admin, parts, small); err != nil {
		return false, err
	}
	open, err := j.openOn(ctx, parts)
	if err != nil || open.none() {
		return err == nil, err
	}
	return false, j.limitTo(ctx, topics, topicconf.OneMarker)
}

// openFor lets markers pass again where a transaction is open.
func (j *job) openFor(ctx context.Context, topics []string, parts []cluster.Partition) error {
	open, err := j.openOn(ctx, parts)
	if err != nil || open.none() {
		return err
	}
	return j.limitTo(ctx, topics, topicconf.OneMarker)
}

// limitTo sets the append limit of every topic that does not have it, or one of the others given, yet.
func (j *job) limitTo(ctx context.Context, topics []string, limit string, others ...string) error {
	have, err := j.site.admin.DescribeTopicConfigs(ctx, j.run.Lease, topics)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(probeParallel)
	for _, name := range topics {
		v := have[name][topicconf.AppendLimit].Value
		if v == limit || slices.Contains(others, v) {
			continue
		}
		g.Go(func() error {
			return j.site.admin.AlterTopicConfigs(ctx, j.run.Lease, name, map[string]*string{topicconf.AppendLimit: &limit})
		})
	}
	return g.Wait()
}

// openTransactions are the transactions that wait for a marker on some of the partitions.
type openTransactions struct {
	// unstable are the partitions whose last stable offset is not their end.
	unstable []cluster.Partition
	// holders are those that the coordinators know to have one of the partitions, also without a record there.
	holders []cluster.Transaction
}

func (o openTransactions) none() bool { return len(o.unstable) == 0 && len(o.holders) == 0 }

// openOn looks for open transactions from both sides: in the logs, and at the coordinators.
func (j *job) openOn(ctx context.Context, parts []cluster.Partition) (openTransactions, error) {
	open, err := j.unstable(ctx, parts)
	if err != nil {
		return open, err
	}
	all, _, err := j.site.admin.OpenTransactions(ctx, j.run.Lease)
	if err != nil {
		return openTransactions{}, err
	}
	ours := map[cluster.TP]bool{}
	for _, p := range parts {
		ours[p.TP] = true
	}
	open.holders = slices.DeleteFunc(all, func(t cluster.Transaction) bool {
		return !slices.ContainsFunc(t.Partitions, func(tp cluster.TP) bool { return ours[tp] })
	})
	return open, nil
}

// unstable looks for open transactions in the logs alone.
func (j *job) unstable(ctx context.Context, parts []cluster.Partition) (openTransactions, error) {
	e, err := j.ends(ctx, j.site, parts)
	if err != nil {
		return openTransactions{}, err
	}
	open := slices.DeleteFunc(slices.Clone(parts), func(p cluster.Partition) bool { return e.stable[p.TP] >= e.end[p.TP] })
	return openTransactions{unstable: open}, nil
}

// awaitEnded waits until no transaction waits for a marker on any of the partitions. After its time it names who
// does.
func (j *job) awaitEnded(ctx context.Context, parts []cluster.Partition, until time.Time) error {
	open, err := j.awaitNone(ctx, until, func() (openTransactions, error) { return j.openOn(ctx, parts) })
	if err != nil || open.none() {
		return err
	}
	return j.hanging(ctx, open)
}

// awaitStable waits until no transaction has a record open on any of the partitions. After its time it names who
// has. A failover and a standing duty that fence by ACL wait for a moment only, and say where one is open: a side that is lost in
// part may have nobody left to end it.
func (j *job) awaitStable(ctx context.Context, parts []cluster.Partition, a fencedArgs) (warning string, err error) {
	patience, spare := a.Patience, a.Hasty && a.Level == understudy.F2
	if spare {
		patience = min(patience, hastyPatience)
	}
	open, err := j.awaitNone(ctx, time.Now().Add(patience), func() (openTransactions, error) { return j.unstable(ctx, parts) })
	switch {
	case err != nil || open.none():
		return "", err
	case spare:
		return fmt.Sprintf("transactions stay open on %d partitions of %s, %s among them: what is above their beginnings is not mirrored; a reprotect waits for them to end, and saves it to the ledger",
			len(open.unstable), j.step.Site, open.unstable[0].TP), nil
	}
	return "", j.hanging(ctx, open)
}

// awaitNone waits until no transaction is open. After its time it gives those that are.
func (j *job) awaitNone(ctx context.Context, until time.Time, look func() (openTransactions, error)) (openTransactions, error) {
	for {
		open, err := look()
		if err != nil || open.none() || time.Now().After(until) {
			return open, err
		}
		j.report("waiting for the transactions open on %d partitions to end, and for %d that may write there", len(open.unstable), len(open.holders))
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return open, err
		}
	}
}

// hanging names the transactions that stay open.
func (j *job) hanging(ctx context.Context, open openTransactions) error {
	names, parts := []string{}, map[cluster.TP]bool{}
	for _, t := range open.holders {
		names = append(names, t.ID)
		for _, tp := range t.Partitions {
			parts[tp] = j.w.match.topic(tp.Topic)
		}
	}
	maps.DeleteFunc(parts, func(_ cluster.TP, ours bool) bool { return !ours })
	producers, err := j.site.admin.DescribeProducers(ctx, j.run.Lease, open.unstable)
	if err != nil {
		return err
	}
	all, _, err := j.site.admin.ListTransactions(ctx, j.run.Lease)
	if err != nil {
		return err
	}
	for _, p := range open.unstable {
		parts[p.TP] = true
		for _, a := range producers[p.TP] {
			if a.TxnStart < 0 {
				continue
			}
			name := fmt.Sprintf("producer id %d", a.ID)
			if i := slices.IndexFunc(all, func(t cluster.Transaction) bool { return t.Producer == a.ID }); i >= 0 {
				name = all[i].ID
			}
			names = append(names, name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	first := slices.MinFunc(slices.Collect(maps.Keys(parts)), func(a, b cluster.TP) int { return strings.Compare(a.String(), b.String()) })
	return &understudy.Error{
		Code: "US111", Kind: understudy.KindRefused, Op: "kafka.fence", Object: j.object(first.String()),
		Summary: fmt.Sprintf("transactions stay open on %d partitions: %s", len(parts), strings.Join(names, ", ")),
		Why:     "they are open for longer than the broker's transaction.max.timeout.ms; closing the topics now would leave them hanging for good",
		Fix:     "stop their producers or abort them (kafka-transactions.sh abort), and retry",
	}
}

// restoreLimits gives topics back the append limit they had before a fence. Limits that somebody set since stay.
func restoreLimits(ctx context.Context, j *job) (understudy.Receipt, error) {
	a, err := args[reopenArgs](j.step)
	if err != nil {
		return understudy.Receipt{}, err
	}
	md, err := j.metadata(ctx, j.site)
	if err != nil {
		return understudy.Receipt{}, err
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(a.Limits)), func(n string) bool { _, ok := md.Topics[n]; return !ok })
	have, err := j.site.admin.DescribeTopicConfigs(ctx, j.run.Lease, names)
	if err != nil {
		return understudy.Receipt{}, err
	}
	changes := map[string]map[string]*string{}
	for _, name := range names {
		if topicconf.IsFence(have[name][topicconf.AppendLimit].Value) {
			changes[name] = map[string]*string{topicconf.AppendLimit: a.Limits[name]}
		}
	}
	if err := j.alter(ctx, changes); err != nil {
		return understudy.Receipt{}, err
	}
	r := understudy.Receipt{Keep: j.keepFence(a.Forget)}
	if r.Warnings, err = j.stuck(ctx, names); err != nil {
		return understudy.Receipt{}, err
	}
	if a.Unguarded {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s is unguarded: nothing keeps ordinary writers out while it is a secondary; foreign writes are detected", j.step.Site))
	}
	return r, nil
}

// stuck names the transactions that began on topics while these were closed to nothing: their ends were refused,
// and their coordinators do not try again.
func (j *job) stuck(ctx context.Context, topics []string) ([]string, error) {
	all, _, err := j.site.admin.OpenTransactions(ctx, j.run.Lease)
	var out []string
	for _, t := range all {
		ours := slices.ContainsFunc(t.Partitions, func(tp cluster.TP) bool { return slices.Contains(topics, tp.Topic) })
		if ours && t.State != "Ongoing" {
			out = append(out, fmt.Sprintf("transactional id %s on %s is in state %s: if that lasts, it tried to end while the topics were closed, and goes on only when its coordinator is started again", t.ID, j.step.Site, t.State))
		}
	}
	return out, err
}
