package kafka

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

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
	made := 0
	for i, t := range a.Topics {
		j.count("topics", int64(i), int64(len(a.Topics)), "topics")
		created, err := j.site.admin.CreateTopic(ctx, j.run.Lease, t)
		if err != nil {
			return understudy.Receipt{}, err
		}
		if created {
			made++
			continue
		}
		if err := j.fit(ctx, t); err != nil {
			return understudy.Receipt{}, err
		}
	}
	for _, t := range a.Topics {
		if _, err := j.awaitTopic(ctx, t.Name, int(t.Partitions)); err != nil {
			return understudy.Receipt{}, err
		}
	}
	return understudy.Receipt{Summary: fmt.Sprintf("%d topics made on %s, %d were there", made, j.step.Site, len(a.Topics)-made)}, nil
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
	have, err := j.site.admin.DescribeTopicConfigs(ctx, j.run.Lease, []string{t.Name})
	if err != nil {
		return err
	}
	return j.site.admin.AlterTopicConfigs(ctx, j.run.Lease, t.Name, topicconf.Change(t.Configs, have[t.Name], t.Replication))
}

// awaitTopic waits until a topic is listed with at least so many partitions, each with a leader.
func (j *job) awaitTopic(ctx context.Context, name string, partitions int) (cluster.Topic, error) {
	for try := 0; ; try++ {
		md, err := j.site.admin.Metadata(ctx, j.run.Lease, name)
		if err != nil {
			return cluster.Topic{}, err
		}
		t, ok := md.Topics[name]
		led := !slices.ContainsFunc(t.Partitions, func(p cluster.Partition) bool { return p.Leader < 0 })
		if ok && led && len(t.Partitions) >= max(partitions, 1) {
			return t, nil
		}
		if try == 100 {
			return t, j.site.admin.Refused("kafka.metadata", name, 5, "")
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
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
	for _, name := range names {
		in, want := a.Topics[name], moment(a.Topics[name])
		change, foreign := topicconf.Restore(want, have[name], a.Ours[name], md.Topics[name].Replication())
		if before, had := a.Before[name]; had {
			change, foreign = topicconf.Revert(before, have[name], a.Ours[name], in)
		}
		for _, f := range foreign {
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s on %s: %s is %q, changed by somebody else, and stays", name, j.step.Site, f, have[name][f].Value))
		}
		if len(change) > 0 {
			if err := j.still(ctx); err != nil {
				return r, err
			}
			if err := j.site.admin.AlterTopicConfigs(ctx, j.run.Lease, name, change); err != nil {
				return r, err
			}
		}
		j.keepOurs(r.Keep, name, topicconf.Set(want, in))
	}
	return r, nil
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
	for _, name := range names {
		change := topicconf.Change(topicconf.Mirroring(a.Topics[name]), have[name], md.Topics[name].Replication())
		if err := j.site.admin.AlterTopicConfigs(ctx, j.run.Lease, name, change); err != nil {
			return understudy.Receipt{}, err
		}
	}
	return understudy.Receipt{}, nil
}

// topicID gives a topic's id in hex.
func topicID(t cluster.Topic) string { return hex.EncodeToString(t.ID[:]) }
