package topicconf_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/topicconf"
)

func own(v, inherited string) cluster.ConfigValue {
	return cluster.ConfigValue{Value: v, Inherited: &inherited, Source: kmsg.ConfigSourceDynamicTopicConfig}
}

func inherited(v string) cluster.ConfigValue {
	return cluster.ConfigValue{Value: v, Inherited: &v, Source: kmsg.ConfigSourceDefaultConfig}
}

func source() topicconf.Values {
	return topicconf.Values{
		"retention.ms":                            own("3600000", "604800000"),
		"retention.bytes":                         inherited("-1"),
		"cleanup.policy":                          own("compact", "delete"),
		"max.message.bytes":                       inherited("1048588"),
		"message.timestamp.type":                  inherited("CreateTime"),
		"message.timestamp.after.max.ms":          inherited("3600000"),
		"min.insync.replicas":                     own("2", "1"),
		"compression.type":                        inherited("producer"),
		"leader.replication.throttled.replicas":   own("0:1", ""),
		"follower.replication.throttled.replicas": inherited(""),
	}
}

func orders() cluster.Topic {
	return cluster.Topic{Name: "orders", Partitions: []cluster.Partition{{Replicas: []int32{1, 2}}}}
}

func TestIntendedIsEffectiveAndNeverOurs(t *testing.T) {
	in := topicconf.Read(orders(), source(), nil, topicconf.Intended{})
	if in.Values["retention.bytes"] != "-1" || in.Values["retention.ms"] != "3600000" {
		t.Fatalf("effective values, defaults included, are copied: %v", in.Values)
	}
	if _, ok := in.Values["leader.replication.throttled.replicas"]; ok {
		t.Fatal("a throttle must not be copied")
	}
	after := source()
	after["retention.ms"] = own("-1", "604800000")
	after["max.message.bytes"] = own("0", "1048588")
	again := topicconf.Read(orders(), after, topicconf.Ours{"retention.ms": "-1"}, in)
	if diff := cmp.Diff(in, again); diff != "" {
		t.Fatalf("our stand-ins and fences are not the owner's will (-kept +read):\n%s", diff)
	}
	after["retention.ms"] = own("7200000", "604800000")
	changed := topicconf.Read(orders(), after, topicconf.Ours{"retention.ms": "-1"}, in)
	if changed.Values["retention.ms"] != "7200000" {
		t.Fatalf("the owner's own change is taken: %v", changed.Values)
	}
}

func TestStandInsAndTheirEnd(t *testing.T) {
	in := topicconf.Read(orders(), source(), nil, topicconf.Intended{})
	target := topicconf.Values{}
	for name, v := range source() {
		target[name] = inherited(*v.Inherited)
	}
	mirror := topicconf.Mirroring(in)
	created := topicconf.Create(mirror, target, 1)
	want := map[string]string{
		"retention.ms": "-1", "cleanup.policy": "compact,delete", "max.message.bytes": "67108864",
		"message.timestamp.after.max.ms": "9223372036854775807",
	}
	if diff := cmp.Diff(want, created); diff != "" {
		t.Fatalf("created with (-want +got):\n%s", diff)
	}
	for name, v := range created {
		target[name] = own(v, *target[name].Inherited)
	}
	ours := topicconf.Set(mirror, in)
	change, foreign := topicconf.Restore(topicconf.Enabled(in), target, ours, 1)
	if len(foreign) > 0 || len(change) != 2 || change["max.message.bytes"] != nil || change["message.timestamp.after.max.ms"] != nil {
		t.Fatalf("enable restores what shapes new writes: %v, foreign %v", change, foreign)
	}
	target["retention.ms"] = own("60000", "604800000")
	change, foreign = topicconf.Restore(topicconf.Committed(in), target, ours, 1)
	if *change["cleanup.policy"] != "compact" || len(foreign) != 1 || foreign[0] != "retention.ms" {
		t.Fatalf("commit restores only what is still ours: %v, foreign %v", change, foreign)
	}
}

func TestNotCopiedSaysWhy(t *testing.T) {
	in := topicconf.Read(orders(), source(), nil, topicconf.Intended{})
	notes := topicconf.NotCopied(in, source(), source(), 1)
	if len(notes) != 2 || notes[0].Setting != "leader.replication.throttled.replicas" || notes[1].Setting != "min.insync.replicas" {
		t.Fatalf("notes: %v", notes)
	}
	if got := topicconf.OverRetained(in, topicconf.Values{"retention.ms": own("-1", "1"), "cleanup.policy": own("compact", "delete")}); len(got) != 1 {
		t.Fatalf("over-retained: %v", got)
	}
}

func TestReadKeepsWhatThisClusterCannotHave(t *testing.T) {
	three := orders()
	three.Partitions[0].Replicas = []int32{1, 2, 3}
	in := topicconf.Read(three, source(), nil, topicconf.Intended{})
	small := cluster.Topic{Name: "orders", Partitions: []cluster.Partition{{Replicas: []int32{1}}}}
	have := source()
	have["min.insync.replicas"] = inherited("1")
	delete(have, "compression.type")
	if diff := cmp.Diff(in, topicconf.Read(small, have, nil, in)); diff != "" {
		t.Fatalf("one broker less is not the owner's will (-kept +read):\n%s", diff)
	}
}

func TestRevertGivesBackWhatATopicHad(t *testing.T) {
	before := map[string]string{"retention.ms": "1000", "segment.bytes": "500"}
	in := topicconf.Intended{Values: map[string]string{"retention.ms": "3600000", "segment.bytes": "900", "max.message.bytes": "2000000"}}
	ours := topicconf.Set(topicconf.Mirroring(in), in)
	have := topicconf.Values{
		"retention.ms":        own("-1", "604800000"),
		"segment.bytes":       own("900", "1073741824"),
		"max.message.bytes":   own("67108864", "1048588"),
		"delete.retention.ms": own("77", "86400000"), // somebody else's since
		"cleanup.policy":      inherited("delete"),
	}
	change, foreign := topicconf.Revert(before, have, ours, in)
	if *change["retention.ms"] != "1000" || *change["segment.bytes"] != "500" {
		t.Errorf("its own values do not come back: %v", change)
	}
	if v, ok := change["max.message.bytes"]; !ok || v != nil {
		t.Errorf("what it did not have of its own is not dropped: %v", change)
	}
	if len(change) != 3 || len(foreign) != 1 || foreign[0] != "delete.retention.ms" {
		t.Errorf("change %v, foreign %v", change, foreign)
	}
}
