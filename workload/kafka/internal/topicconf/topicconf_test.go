package topicconf_test

import (
	"maps"
	"slices"
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

// conf is a topic's settings, each its own, as NAME, VALUE, NAME, VALUE.
func conf(pairs ...string) topicconf.Values {
	out := topicconf.Values{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = own(pairs[i+1], "default of "+pairs[i])
	}
	return out
}

func intends(pairs ...string) topicconf.Intended {
	in := topicconf.Intended{Topic: "orders", Partitions: 1, Replication: 3, Values: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		in.Values[pairs[i]] = pairs[i+1]
	}
	return in
}

// TestTheThreeSets shows what each setting is while mirroring, after enable and after commit, for what its owner
// intends.
func TestTheThreeSets(t *testing.T) {
	for _, c := range []struct{ setting, intended, mirroring, enabled, committed string }{
		{"retention.ms", "3600000", "-1", "-1", "3600000"},
		{"retention.bytes", "1000000", "-1", "-1", "1000000"},
		{"retention.bytes", "-1", "-1", "-1", "-1"},
		{"cleanup.policy", "delete", "delete", "delete", "delete"},
		{"cleanup.policy", "compact", "compact,delete", "compact,delete", "compact"},
		{"cleanup.policy", "delete,compact", "delete,compact", "delete,compact", "delete,compact"},
		{"message.timestamp.type", "LogAppendTime", "CreateTime", "LogAppendTime", "LogAppendTime"},
		{"message.timestamp.after.max.ms", "3600000", "9223372036854775807", "3600000", "3600000"},
		{"message.timestamp.before.max.ms", "3600000", "9223372036854775807", "3600000", "3600000"},
		{"message.timestamp.difference.max.ms", "3600000", "9223372036854775807", "3600000", "3600000"},
		{"compression.type", "zstd", "producer", "zstd", "zstd"},
		{"max.message.bytes", "1048588", "67108864", "1048588", "1048588"},
		{"max.message.bytes", "100000000", "100000000", "100000000", "100000000"},
		{"min.insync.replicas", "2", "2", "2", "2"},
		{"segment.bytes", "12345678", "12345678", "12345678", "12345678"},
	} {
		in := intends(c.setting, c.intended)
		got := []string{topicconf.Mirroring(in)[c.setting], topicconf.Enabled(in)[c.setting], topicconf.Committed(in)[c.setting]}
		if want := []string{c.mirroring, c.enabled, c.committed}; !slices.Equal(got, want) {
			t.Errorf("%s=%s: %q, not %q", c.setting, c.intended, got, want)
		}
		if in.Values[c.setting] != c.intended || len(in.Values) != 1 {
			t.Errorf("what is intended was changed to %v", in.Values)
		}
	}
	if got := topicconf.Enabled(topicconf.Intended{}); len(got) == 0 || got["retention.ms"] != "-1" {
		t.Errorf("a topic of which nothing is known is enabled with %v", got)
	}
}

// TestChange shows what is altered for a wanted value: "-" for nothing, "drop" for the topic's own to go.
func TestChange(t *testing.T) {
	unset := "drop"
	for name, c := range map[string]struct {
		setting, want string
		have          topicconf.Values
		replication   int16
		change        string
	}{
		"as wanted":                         {"retention.ms", "5", topicconf.Values{"retention.ms": own("5", "7")}, 3, "-"},
		"another":                           {"retention.ms", "5", topicconf.Values{"retention.ms": own("6", "7")}, 3, "5"},
		"the cluster's own value":           {"retention.ms", "7", topicconf.Values{"retention.ms": own("6", "7")}, 3, unset},
		"inherited, and wanted":             {"retention.ms", "7", topicconf.Values{"retention.ms": inherited("7")}, 3, "-"},
		"unknown to the cluster":            {"message.timestamp.after.max.ms", "7", topicconf.Values{}, 3, "-"},
		"the same list in another order":    {"cleanup.policy", "compact,delete", topicconf.Values{"cleanup.policy": own("delete,compact", "delete")}, 3, "-"},
		"one of a list":                     {"cleanup.policy", "compact", topicconf.Values{"cleanup.policy": own("delete,compact", "delete")}, 3, "compact"},
		"as many in sync as there are":      {"min.insync.replicas", "3", topicconf.Values{"min.insync.replicas": inherited("1")}, 3, "3"},
		"more in sync than there can be":    {"min.insync.replicas", "3", topicconf.Values{"min.insync.replicas": inherited("1")}, 2, "-"},
		"own where nothing can be taken up": {"retention.ms", "5", topicconf.Values{"retention.ms": {Value: "6", Source: kmsg.ConfigSourceDynamicTopicConfig}}, 3, "5"},
	} {
		got := "-"
		if v, ok := topicconf.Change(map[string]string{c.setting: c.want}, c.have, c.replication)[c.setting]; ok && v == nil {
			got = unset
		} else if ok {
			got = *v
		}
		if got != c.change {
			t.Errorf("%s: %s, not %s", name, got, c.change)
		}
	}
}

// TestForeignValuesStay shows that a value which somebody else set is neither changed nor taken for ours.
func TestForeignValuesStay(t *testing.T) {
	in := intends("retention.ms", "5", "cleanup.policy", "compact", "max.message.bytes", "1000")
	ours := topicconf.Set(topicconf.Mirroring(in), in)
	for name, c := range map[string]struct {
		have    topicconf.Values
		changed []string
		foreign []string
	}{
		"all ours":                  {conf("retention.ms", "-1", "cleanup.policy", "compact,delete"), []string{"cleanup.policy", "retention.ms"}, nil},
		"ours in another order":     {conf("cleanup.policy", "delete,compact"), []string{"cleanup.policy"}, nil},
		"one changed since":         {conf("retention.ms", "9", "cleanup.policy", "compact,delete"), []string{"cleanup.policy"}, []string{"retention.ms"}},
		"restored by hand":          {conf("retention.ms", "5"), nil, nil},
		"closed by a fence":         {conf("max.message.bytes", "0"), []string{"max.message.bytes"}, nil},
		"open for one marker":       {conf("max.message.bytes", "78"), []string{"max.message.bytes"}, nil},
		"a small limit of somebody": {conf("max.message.bytes", "79"), nil, []string{"max.message.bytes"}},
	} {
		change, foreign := topicconf.Restore(topicconf.Committed(in), c.have, ours, 3)
		if got := slices.Sorted(maps.Keys(change)); !slices.Equal(got, c.changed) || !slices.Equal(foreign, c.foreign) {
			t.Errorf("%s: changes %v, foreign %v", name, got, foreign)
		}
	}
}

// TestReadAgain shows what is taken for the owner's will, when something was kept before.
func TestReadAgain(t *testing.T) {
	const setting = "min.insync.replicas"
	sensitive := own("9", "1")
	sensitive.Sensitive = true
	for name, c := range map[string]struct {
		have   topicconf.Values
		ours   topicconf.Ours
		before string
		want   string
	}{
		"first seen":                       {conf(setting, "1"), nil, "", "1"},
		"changed by the owner":             {conf(setting, "1"), nil, "2", "1"},
		"ours":                             {conf(setting, "1"), topicconf.Ours{setting: "1"}, "2", "2"},
		"ours, and nothing kept":           {conf(setting, "1"), topicconf.Ours{setting: "1"}, "", ""},
		"impossible there, so another one": {conf(setting, "1"), nil, "3", "3"},
		"not told":                         {topicconf.Values{}, nil, "2", "2"},
		"a secret":                         {topicconf.Values{setting: sensitive}, nil, "2", "2"},
	} {
		before := intends()
		if c.before != "" {
			before = intends(setting, c.before)
		}
		if got := topicconf.Read(orders(), c.have, c.ours, before); got.Values[setting] != c.want || got.Replication != 3 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestKeptDocuments shows that what is kept in the journal comes back, and that nothing is an empty document.
func TestKeptDocuments(t *testing.T) {
	in := intends("retention.ms", "5")
	again, err := topicconf.Decode[topicconf.Intended](topicconf.Encode(in))
	if diff := cmp.Diff(in, again); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if none, err := topicconf.Decode[topicconf.Intended](nil); err != nil || none.Topic != "" {
		t.Errorf("nothing is %+v, %v", none, err)
	}
	if _, err := topicconf.Decode[topicconf.Intended]([]byte("{")); err == nil {
		t.Error("half a document was taken")
	}
	if a, b := topicconf.KeepIntended("orders"), topicconf.KeepOurs("orders", "west"); a != "topic/orders/intended" || b != "topic/orders/ours/west" {
		t.Errorf("kept as %s and %s", a, b)
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
