package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/topicconf"
)

// defaults sets what the brokers of a side give topics that say nothing, and takes it back at the end of the test.
func (e *end) defaults(t *testing.T, values map[string]string) {
	t.Helper()
	alter := func(values map[string]string, op kadm.IncrementalOp) error {
		var all []kadm.AlterConfig
		for name, v := range values {
			all = append(all, kadm.AlterConfig{Op: op, Name: name, Value: kadm.StringPtr(v)})
		}
		got, err := e.a.AlterBrokerConfigs(context.Background(), all)
		for _, r := range got {
			if err == nil && r.Err != nil {
				err = fmt.Errorf("%w: %s", r.Err, r.ErrMessage)
			}
		}
		return err
	}
	t.Cleanup(func() {
		// A cluster with eligible leader replicas (KIP-966) always keeps a value of this one.
		err := alter(map[string]string{"min.insync.replicas": "1"}, kadm.SetConfig)
		delete(values, "min.insync.replicas")
		if err := errors.Join(err, alter(values, kadm.DeleteConfig)); err != nil {
			t.Error(err)
		}
	})
	if err := alter(values, kadm.SetConfig); err != nil {
		t.Fatal(err)
	}
}

// settings gives what is in effect on a topic.
func (e *end) settings(t *testing.T, topic string) topicconf.Values {
	t.Helper()
	got, err := e.c.DescribeTopicConfigs(t.Context(), understudy.Lease{}, []string{topic})
	if err != nil {
		return nil // it is not known there yet
	}
	return got[topic]
}

// TestDefaultsOfTheTargetCountForNothing gives the brokers of the target other defaults than those of the source, for one topic
// before it is made there, and for one that is mirrored already and so far had the same default. All that is copied has the
// source's value in effect, also where that is Kafka's own default: set on the topic itself (min.insync.replicas), or by nobody.
func TestDefaultsOfTheTargetCountForNothing(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.old, s.new)
	early := from.topic(t, 1, map[string]string{"min.insync.replicas": "1"})
	later, plain := early+"-later", early+"-plain"
	r := run(t, options(from, to, 3, early, later, plain))
	from.write(t, early, 1, 5)
	r.caughtUp(from, to, early)
	to.defaults(t, map[string]string{
		"min.insync.replicas": "2", "log.segment.bytes": "16777216", "log.retention.ms": "3600000", "log.index.interval.bytes": "8192",
		"compression.type": "gzip", "message.max.bytes": "500000", "log.cleaner.delete.retention.ms": "1000", "log.cleaner.min.cleanable.ratio": "0.9",
		"log.cleaner.min.compaction.lag.ms": "5", "log.roll.ms": "7000000", "unclean.leader.election.enable": "true", "log.preallocate": "true",
		"log.message.timestamp.type": "LogAppendTime", "log.flush.interval.ms": "70000", "log.cleanup.policy": "compact",
	})
	other := to.topic(t, 1, nil)
	config(t, to, other, "min.insync.replicas", "2")
	from.create(t, later, 1, map[string]string{"min.insync.replicas": "1", "cleanup.policy": "delete"})
	from.create(t, plain, 1, nil)
	for _, topic := range []string{early, later, plain} {
		until(t, func() (bool, string) { return asTheSource(from.settings(t, topic), to.settings(t, topic)) })
		from.write(t, topic, 1, 5)
		r.caughtUp(from, to, topic)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// asTheSource says whether a topic has on the target what it has on the source, but for what stands in while it is mirrored.
func asTheSource(have, there topicconf.Values) (bool, string) {
	if len(there) == 0 {
		return false, "the topic is not there"
	}
	in := topicconf.Read(cluster.Topic{Partitions: []cluster.Partition{{Replicas: []int32{1}}}}, have, nil, topicconf.Intended{})
	for name, want := range topicconf.Mirroring(in) {
		if v, known := there[name]; known && v.Value != want {
			return false, fmt.Sprintf("%s is %s, not %s", name, v.Value, want)
		}
	}
	return true, ""
}
