package kafka

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/topicconf"
)

// createTopics makes topics on a target. One that is there gets the settings, and more partitions where it has
// too few; both are harmless to repeat.
func createTopics(ctx context.Context, j *job) (understudy.Receipt, error) {
	a, err := args[createArgs](j.step)
	if err != nil {
		return understudy.Receipt{}, err
	}
	wanted, names := map[string]cluster.NewTopic{}, []string{}
	for _, t := range a.Topics {
		wanted[t.Name], names = t, append(names, t.Name)
	}
	var made, done atomic.Int64
	err = j.eachTopic(ctx, names, func(ctx context.Context, name string) error {
		created, err := j.site.admin.CreateTopic(ctx, j.run.Lease, wanted[name])
		if err == nil && created {
			made.Add(1)
		} else if err == nil {
			err = j.fit(ctx, wanted[name])
		}
		j.count("topics", done.Add(1), int64(len(names)), "topics")
		return err
	})
	if err != nil {
		return understudy.Receipt{}, err
	}
	if err := j.awaitTopics(ctx, wanted); err != nil {
		return understudy.Receipt{}, err
	}
	return understudy.Receipt{Summary: fmt.Sprintf("%d topics made on %s, %d were there", made.Load(), j.step.Site, int64(len(names))-made.Load())}, nil
}

// eachTopic does something for every topic, several at a time.
func (j *job) eachTopic(ctx context.Context, names []string, do func(ctx context.Context, name string) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(probeParallel)
	for _, name := range names {
		g.Go(func() error { return do(ctx, name) })
	}
	return g.Wait()
}

// awaitTopics waits until all topics are listed, each with its partitions, and every partition with a leader.
func (j *job) awaitTopics(ctx context.Context, wanted map[string]cluster.NewTopic) error {
	md, err := j.metadata(ctx, j.site)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if n := int(wanted[name].Partitions); !isLed(md.Topics[name], n) {
			if _, err := j.awaitTopic(ctx, name, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// isLed says whether a topic has at least so many partitions, each with a leader.
func isLed(t cluster.Topic, partitions int) bool {
	led := !slices.ContainsFunc(t.Partitions, func(p cluster.Partition) bool { return p.Leader < 0 })
	return led && len(t.Partitions) >= max(partitions, 1)
}

// fit brings a topic that exists to the wanted partitions and settings.
func (j *job) fit(ctx context.Context, t cluster.NewTopic) error {
	there, err := j.awaitTopic(ctx, t.Name, 1)
	if err != nil {
		return err
	}
	if n := int32(len(there.Partitions)); n < t.Partitions {
		if err := j.site.admin.CreatePartitions(ctx, j.run.Lease, t.Name, t.Partitions); err != nil {
			return err
		}
	} else if n > t.Partitions {
		return &understudy.Error{
			Code: "US119", Kind: understudy.KindRefused, Op: "kafka.create", Object: j.object(t.Name),
			Summary: fmt.Sprintf("the topic has %d partitions there, and %d at the source", n, t.Partitions),
			Fix:     "delete the topic there, or exclude it from the workload",
		}
	}
	have, err := j.site.admin.DescribeNewTopicConfigs(ctx, j.run.Lease, t.Name)
	if err != nil {
		return err
	}
	return j.site.admin.AlterTopicConfigs(ctx, j.run.Lease, t.Name, topicconf.Change(t.Configs, have, t.Replication))
}

// awaitTopic waits until a topic is listed with at least so many partitions, each with a leader.
func (j *job) awaitTopic(ctx context.Context, name string, partitions int) (cluster.Topic, error) {
	for try := 0; ; try++ {
		md, err := j.site.admin.Metadata(ctx, j.run.Lease, name)
		if err != nil {
			return cluster.Topic{}, err
		}
		t := md.Topics[name]
		if isLed(t, partitions) {
			return t, nil
		}
		if try == cluster.NewTries {
			return t, j.site.admin.Refused("kafka.metadata", name, 5, "")
		}
		if err := pause(ctx, cluster.NewPause); err != nil {
			return t, err
		}
	}
}

// enableConfigs restores everything that shapes new writes, where the value is still ours. It looks at the
// values in effect first, so that a second run changes nothing, and what a late mover set is put right.
func enableConfigs(ctx context.Context, j *job) (understudy.Receipt, error) {
	return j.restoreConfigs(ctx, topicconf.Enabled)
}

// restoreConfigs restores all settings, retention and cleanup included, where the value is still ours.
func restoreConfigs(ctx context.Context, j *job) (understudy.Receipt, error) {
	return j.restoreConfigs(ctx, topicconf.Committed)
}

func (j *job) restoreConfigs(ctx context.Context, moment func(topicconf.Intended) map[string]string) (understudy.Receipt, error) {
	a, err := args[configArgs](j.step)
	if err != nil {
		return understudy.Receipt{}, err
	}
	names := slices.Sorted(maps.Keys(a.Topics))
	md, err := j.site.admin.Metadata(ctx, j.run.Lease, names...)
	if err != nil {
		return understudy.Receipt{}, err
	}
	names = slices.DeleteFunc(names, func(n string) bool { _, ok := md.Topics[n]; return !ok })
	have, err := j.site.admin.DescribeTopicConfigs(ctx, j.run.Lease, names)
	if err != nil {
		return understudy.Receipt{}, err
	}
	r := understudy.Receipt{Keep: understudy.Keep{}}
	changes := map[string]map[string]*string{}
	for _, name := range names {
		in, want := a.Topics[name], moment(a.Topics[name])
		change, foreign := topicconf.Restore(want, have[name], a.Ours[name], md.Topics[name].Replication())
		if before, had := a.Before[name]; had {
			change, foreign = topicconf.Revert(before, have[name], a.Ours[name], in)
		}
		for _, f := range foreign {
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s on %s: %s is %q, changed by somebody else, and stays", name, j.step.Site, f, have[name][f].Value))
		}
		changes[name] = change
		j.keepOurs(r.Keep, name, topicconf.Set(want, in))
	}
	return r, j.alter(ctx, changes)
}

// alter changes settings of topics, several topics at a time; of a late step only while the role is the stage's.
func (j *job) alter(ctx context.Context, changes map[string]map[string]*string) error {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(changes)), func(n string) bool { return len(changes[n]) == 0 })
	return j.eachTopic(ctx, names, func(ctx context.Context, name string) error {
		if err := j.still(ctx); err != nil {
			return err
		}
		return j.site.admin.AlterTopicConfigs(ctx, j.run.Lease, name, changes[name])
	})
}

// keepOurs remembers what is ours on a topic of the step's site from now on.
func (j *job) keepOurs(k understudy.Keep, topic string, ours topicconf.Ours) {
	name := topicconf.KeepOurs(topic, string(j.step.Site))
	k[name] = nil
	if len(ours) > 0 {
		k[name] = topicconf.Encode(ours)
	}
}

// setStandIns puts the stand-ins of mirroring onto topics. What is in place already is left alone.
func setStandIns(ctx context.Context, j *job) (understudy.Receipt, error) {
	a, err := args[configArgs](j.step)
	if err != nil {
		return understudy.Receipt{}, err
	}
	names := slices.Sorted(maps.Keys(a.Topics))
	have, err := j.site.admin.DescribeTopicConfigs(ctx, j.run.Lease, names)
	if err != nil {
		return understudy.Receipt{}, err
	}
	md, err := j.site.admin.Metadata(ctx, j.run.Lease, names...)
	if err != nil {
		return understudy.Receipt{}, err
	}
	changes := map[string]map[string]*string{}
	for _, name := range names {
		changes[name] = topicconf.Change(topicconf.Mirroring(a.Topics[name]), have[name], md.Topics[name].Replication())
	}
	return understudy.Receipt{}, j.alter(ctx, changes)
}

// topicID gives a topic's id in hex.
func topicID(t cluster.Topic) string { return hex.EncodeToString(t.ID[:]) }
