package kafka_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

// began is the time of every first record that a sweep writes, so that all its runs have the same times.
var began = time.Now().Truncate(time.Millisecond)

// timed makes the records of a sweep, with times that every run gives them.
func timed(partition int32, n int, name string) []*kgo.Record {
	var rs []*kgo.Record
	for i := range n {
		rs = append(rs, &kgo.Record{
			Topic: "orders", Partition: partition, Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, "%s-%d-%d", name, partition, i),
			Timestamp: began.Add(time.Duration(i) * time.Millisecond),
		})
	}
	return rs
}

// late lets a client write records that are older than it waits for an answer.
func late() kgo.Opt { return kgo.RecordDeliveryTimeout(24 * time.Hour) }

// site says all of a cluster that must be alike: topics with every setting and where it comes from, records with their
// times, the positions of all groups, all rules, and the role in the stamp.
func (s *stagehand) site(site understudy.Site) string {
	s.t.Helper()
	addr := s.th.plain(site)
	adm := kadm.NewClient(s.client(site))
	var lines []string
	topics, err := adm.ListTopics(context.Background())
	mustLoad(s.t, err)
	for _, topic := range topics.Sorted() {
		lines = append(lines, fmt.Sprintf("%s has %d partitions", topic.Topic, len(topic.Partitions)))
		if topic.Topic == cluster.OwnTopic {
			lines = append(lines, s.stamps(addr)...)
			continue
		}
		sum := sha256.New()
		all := rows(s.t, addr, topic.Topic)
		for _, r := range all {
			fmt.Fprintln(sum, r)
		}
		lines = append(lines, fmt.Sprintf("%s: %d records %x", topic.Topic, len(all), sum.Sum(nil)[:8]))
	}
	lines = append(lines, s.allSettings(adm, topics.Names())...)
	lines = append(lines, s.groups(adm)...)
	if s.th.authorizer {
		lines = append(lines, s.allRules(adm)...)
	}
	slices.Sort(lines)
	return "  " + strings.Join(lines, "\n  ") + "\n"
}

// allSettings gives all settings of topics and where they come from: those that are a topic's own one by one, the others as a sum.
func (s *stagehand) allSettings(adm *kadm.Client, topics []string) []string {
	configs, err := adm.DescribeTopicConfigs(context.Background(), topics...)
	mustLoad(s.t, err)
	var out []string
	for _, rc := range configs {
		mustLoad(s.t, rc.Err)
		var rest []string
		for _, c := range rc.Configs {
			line := fmt.Sprintf("%s %s=%s from %s", rc.Name, c.Key, c.MaybeValue(), c.Source)
			if c.Source == kmsg.ConfigSourceDynamicTopicConfig {
				out = append(out, line)
			} else {
				rest = append(rest, line)
			}
		}
		slices.Sort(rest)
		sum := sha256.Sum256([]byte(strings.Join(rest, "\n")))
		out = append(out, fmt.Sprintf("%s: %d settings of the cluster %x", rc.Name, len(rest), sum[:8]))
	}
	return out
}

// stamps gives what the newest records of understudy's own topic say, as far as it does not hold the time.
func (s *stagehand) stamps(addr string) []string {
	newest := map[string]string{}
	for _, r := range rows(s.t, addr, cluster.OwnTopic) {
		var stamp understudy.Stamp
		if json.Unmarshal([]byte(r.value), &stamp) == nil {
			newest[r.key] = fmt.Sprintf("%s/%s %s, by a control plane: %t", stamp.Plan, stamp.Workload, stamp.Role, stamp.ControlPlane != "")
		} else {
			newest[r.key] = fmt.Sprintf("cleared or a probe: %t", r.value == "")
		}
	}
	var out []string
	for key, v := range newest {
		out = append(out, key+" says "+v)
	}
	return out
}

// groups gives the positions of all groups. The notes beside them tell which mover came last, and may differ.
func (s *stagehand) groups(adm *kadm.Client) []string {
	groups, err := adm.ListGroups(context.Background())
	mustLoad(s.t, err)
	var out []string
	for name, got := range adm.FetchManyOffsets(context.Background(), groups.Groups()...) {
		mustLoad(s.t, got.Err)
		got.Fetched.Each(func(o kadm.OffsetResponse) {
			out = append(out, fmt.Sprintf("group %s: %s-%d at %d", name, o.Topic, o.Partition, o.At))
		})
	}
	return out
}

// allRules gives all rules, whatever they allow or deny.
func (s *stagehand) allRules(adm *kadm.Client) []string {
	all, err := adm.DescribeACLs(context.Background(), kadm.NewACLs().AnyResource().ResourcePatternType(kadm.ACLPatternAny).Operations().
		Allow().AllowHosts().Deny().DenyHosts())
	mustLoad(s.t, err)
	var out []string
	for _, r := range all {
		mustLoad(s.t, r.Err)
		for _, d := range r.Described {
			out = append(out, fmt.Sprintf("rule: %s %s from %s: %s on %s %s %s", d.Permission, d.Principal, d.Host, d.Operation, d.Pattern, d.Type, d.Name))
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(out)))
}

// ledgers says what every ledger of the plan counts.
func (s *stagehand) ledgers() string {
	all, err := s.p.Ledgers(context.Background(), "contoso")
	mustLoad(s.t, err)
	var out strings.Builder
	fmt.Fprintf(&out, "%d ledgers\n", len(all))
	for _, l := range all {
		fmt.Fprintf(&out, "  %d records of %d shards, proven: %t, discarded: %t\n", l.Records, len(l.Entries), l.Proof != nil && l.Proof.Complete, !l.Discarded.IsZero())
	}
	return out.String()
}

// difference is one thing that is not alike any more.
type difference struct {
	what string
	make func() error
}

// TestFingerprintSeesEveryDifference changes one thing after another, of which each must show.
func TestFingerprintSeesEveryDifference(t *testing.T) {
	t.Parallel()
	s := &stagehand{t: t, th: simulatedDenied(t)}
	s.write(east, "a", 3)
	last := s.site(east)
	if again := s.site(east); again != last {
		t.Fatalf("nothing was changed:\n%s\n%s", last, again)
	}
	for _, d := range append(settledDifferences(t, kadm.NewClient(s.client(east))), writtenDifferences(t, s.th.east)...) {
		mustLoad(t, d.make())
		now := s.site(east)
		if now == last {
			t.Errorf("%s makes no difference", d.what)
		}
		last = now
	}
}

// settledDifferences are those of rules, settings and groups.
func settledDifferences(t *testing.T, adm *kadm.Client) []difference {
	set := func(value string) error {
		_, err := adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "segment.ms", Value: kadm.StringPtr(value)}}, "orders")
		return err
	}
	return []difference{
		{"another rule that allows", func() error {
			_, err := adm.CreateACLs(t.Context(), kadm.NewACLs().Topics("orders").ResourcePatternType(kadm.ACLPatternLiteral).Allow("User:other").AllowHosts("*").Operations(kadm.OpRead))
			return err
		}},
		{"a setting", func() error { return set("3600000") }},
		{"a setting with the value of its default", func() error { return set("604800000") }},
		{"a group", func() error {
			at := kadm.Offsets{}
			at.Add(kadm.Offset{Topic: "orders", Partition: 1, At: 2, LeaderEpoch: -1})
			return adm.CommitAllOffsets(t.Context(), "others", at)
		}},
	}
}

// writtenDifferences are those of records and stamps.
func writtenDifferences(t *testing.T, addr string) []difference {
	adm := kadm.NewClient(client(t, addr))
	produce := func(topic, key, value string, at time.Time) error {
		// Each record has its own client: one that knows a topic does not find another of its name.
		return client(t, addr, late()).ProduceSync(t.Context(), &kgo.Record{Topic: topic, Key: []byte(key), Value: []byte(value), Timestamp: at}).FirstErr()
	}
	create := func(topic string) {
		_, err := adm.CreateTopic(t.Context(), 1, 1, nil, topic)
		mustLoad(t, err)
	}
	stamp := func(epoch understudy.RoleEpoch) error {
		doc, err := json.Marshal(understudy.Stamp{ControlPlane: "cp", Plan: "contoso", Workload: "orders", Role: understudy.Role{Active: []understudy.Site{east}, Epoch: epoch}})
		mustLoad(t, err)
		return produce(cluster.OwnTopic, "stamp/contoso/orders", string(doc), began)
	}
	return []difference{
		{"a record", func() error { return produce("idle", "k", "v", began) }},
		{"its time", func() error {
			_, err := adm.DeleteTopics(t.Context(), "idle")
			mustLoad(t, err)
			create("idle")
			return produce("idle", "k", "v", began.Add(time.Millisecond))
		}},
		{"a stamp", func() error {
			create(cluster.OwnTopic)
			return stamp(1)
		}},
		{"its role", func() error { return stamp(2) }},
	}
}
