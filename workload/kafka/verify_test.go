package kafka_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka"
)

// compare verifies east against west.
func (h *house) compare(quick bool, shards ...string) understudy.Verdict {
	h.t.Helper()
	v, err := h.w.Verify(h.ctx, understudy.Scope{
		From: east, To: west, Shards: shards, Quick: quick, Kept: h.kept, Lease: lease(), Report: func(understudy.StepProgress) {},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

func (h *house) mustCompare(want understudy.Outcome, differences ...string) understudy.Verdict {
	h.t.Helper()
	v := h.compare(false)
	var got []string
	for _, d := range v.Differences {
		got = append(got, fmt.Sprintf("%s %s %d-%d", d.Outcome, d.Shard, d.First, d.Last))
	}
	if v.Outcome != want || strings.Join(got, "; ") != strings.Join(differences, "; ") {
		h.t.Fatalf("%s with %q instead of %s with %q: %+v", v.Outcome, got, want, differences, v)
	}
	return v
}

// say writes one record with a fixed time.
func say(t *testing.T, cl *kgo.Client, topic string, partition int32, value string) {
	t.Helper()
	r := &kgo.Record{Topic: topic, Partition: partition, Value: []byte(value), Timestamp: time.UnixMilli(1_700_000_000_000)}
	if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func TestVerify(t *testing.T) { verify(t, simulated(t)) }

// verify walks through every outcome on a link that really copied.
func verify(t *testing.T, th theatre) {
	h := newHouse(t, th.at, &kafka.Config{Topics: []string{"orders.*", "idle"}})
	// These records are old by their own time.
	app, intruder := client(t, th.east, kgo.RecordDeliveryTimeout(0)), client(t, th.west, kgo.RecordDeliveryTimeout(0))
	mustLoad(t, load(t, app, "orders", 2, 100, "a"))
	h.link(east, west, false)
	h.followed(east)
	if v := h.mustCompare(understudy.Match); v.Compared != 200 || v.Shards != 3 || v.Bytes == 0 || !strings.Contains(v.Coverage, "3 partitions") {
		t.Fatalf("%+v", v)
	}
	if v := h.compare(true, "orders-1"); v.Outcome != understudy.Match || v.Shards != 1 || v.Compared != 100 {
		t.Fatalf("%+v", v)
	}
	h.unlink()
	for range 5 {
		say(t, app, "orders", 0, "late")
	}
	h.mustCompare(understudy.Lagging, "LAGGING orders-0 100-104")
	say(t, intruder, "orders", 0, "late")
	h.mustCompare(understudy.Lagging, "LAGGING orders-0 101-104") // the same content is no difference
	say(t, intruder, "orders", 0, "Late")
	h.mustCompare(understudy.Different, "DIVERGED orders-0 101-101", "LAGGING orders-0 102-104")
	for range 5 {
		say(t, intruder, "orders", 0, "late")
	}
	h.mustCompare(understudy.Different, "DIVERGED orders-0 101-101", "DIVERGED orders-0 105-106")
	missing(t, h, th)
	onlyThere(t, h, th)
	th.kill(west)
	if v := h.compare(false); v.Outcome != understudy.Unknown {
		t.Fatalf("%+v", v)
	}
}

// missing trims the target's head, so that the source has what the target lacks, and grows its topic.
func missing(t *testing.T, h *house, th theatre) {
	t.Helper()
	admin := kadm.NewClient(client(t, th.west))
	o := kadm.Offsets{}
	o.Add(kadm.Offset{Topic: "orders", Partition: 1, At: 40, LeaderEpoch: -1})
	if got, err := admin.DeleteRecords(t.Context(), o); err != nil || got.Error() != nil {
		t.Fatal(err, got.Error())
	}
	h.mustCompare(understudy.Different, "DIVERGED orders-0 101-101", "DIVERGED orders-0 105-106", "DIVERGED orders-1 0-39")
	if _, err := admin.CreatePartitions(t.Context(), 1, "idle"); err != nil {
		t.Fatal(err)
	}
	h.mustCompare(understudy.Different, "SCHEMA_MISMATCH idle 0-0", "DIVERGED orders-0 101-101", "DIVERGED orders-0 105-106", "DIVERGED orders-1 0-39")
}

// onlyThere makes topics that the source has not. Of one that was followed the copy is kept on purpose; one of another origin is
// no copy of anything.
func onlyThere(t *testing.T, h *house, th theatre) {
	t.Helper()
	if _, err := kadm.NewClient(client(t, th.east)).DeleteTopics(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	_, err := kadm.NewClient(client(t, th.west)).CreateTopics(t.Context(), 1, 1, nil, "orders-strange", "orders-empty")
	mustLoad(t, err)
	h.await("the topics are as they should", func() bool {
		v := h.compare(false)
		return strings.Contains(v.Coverage, "deleted on east, and its copy kept on west: orders") && strings.Contains(v.Coverage, "orders-empty")
	})
	stranger := client(t, th.west, kgo.RecordDeliveryTimeout(0))
	say(t, stranger, "orders-strange", 0, "nobody copied this")
	v := h.mustCompare(understudy.SchemaMismatch, "SCHEMA_MISMATCH idle 0-0", "SCHEMA_MISMATCH orders-strange 0-0")
	if !strings.Contains(v.Differences[1].Text, "1 offsets on west") || !strings.HasSuffix(v.Coverage, "only on west, and empty: orders-empty") {
		t.Errorf("%+v", v)
	}
}
