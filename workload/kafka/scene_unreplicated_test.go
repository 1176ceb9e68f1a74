package kafka_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka"
	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/mirror"
	"github.com/understudy-dr/understudy/workload/kafka/kafkasim"
)

// pinned has the first broker of the east lead idle, and be the one that is to lead it.
func (th theatre) pinned(t *testing.T) {
	t.Helper()
	adm := kadm.NewClient(client(t, th.east))
	var order kadm.AlterPartitionAssignmentsReq
	order.Assign("idle", 0, []int32{1, 2})
	_, err := adm.AlterPartitionAssignments(t.Context(), order)
	mustLoad(t, err)
	eventually(t, "the first broker leads idle", func() bool {
		_, err := adm.ElectLeaders(t.Context(), kadm.ElectPreferredReplica, nil)
		return err == nil && th.leaders(t, east, "idle")[0] == 1
	})
}

// halve lets the second broker of the east stand still, until the first one has given it up. What it gives lets the broker
// go on.
func (h *house) halve(th theatre) func() {
	h.t.Helper()
	second := th.nodes[east].Node(2)
	mustLoad(h.t, second.Pause())
	h.t.Cleanup(func() { mustLoad(h.t, second.Resume()) }) // the next scene wants it
	h.insync(th, 1)
	return func() { mustLoad(h.t, second.Resume()); h.insync(th, 2) }
}

// insync waits until so many brokers of the east are in sync.
func (h *house) insync(th theatre, brokers int) {
	h.t.Helper()
	adm := kadm.NewClient(client(h.t, th.east))
	h.awaitEvery(300*time.Millisecond, "in sync", func() bool {
		topics, err := adm.ListTopics(h.t.Context())
		all := err == nil
		topics.EachPartition(func(d kadm.PartitionDetail) { all = all && d.Leader > 0 && len(d.ISR) == brokers })
		return all
	})
}

// unreplicatedIsWaitedFor plans a switchover while a broker stands still, and a record waits for it on the other one's log:
// its writer has been told that it is written, and it becomes visible when the broker goes on. On the way home the broker
// stands still again, in the middle of the halt: a marker that it does not have is waited for.
func unreplicatedIsWaitedFor(t *testing.T, th theatre) {
	h := newHouse(t, th.at, &kafka.Config{Topics: []string{"idle"}}) // one partition: brokers write one marker after the other
	th.pinned(t)
	mustLoad(t, load(t, client(t, th.east), "idle", 1, 10, "a"))
	h.protect()
	h.followed(east)
	// The topics want two of two replicas, as their owner has it, and understudy's own is content with one, as brokers have it.
	one := "1"
	if _, err := kadm.NewClient(client(t, th.east)).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "min.insync.replicas", Value: &one}}, cluster.OwnTopic); err != nil {
		t.Fatal(err)
	}
	h.tries, h.patience = 600, time.Second
	h.answersAlone(th, func() {
		mustLoad(t, th.hasty(t, "idle", "acknowledged"))
		th.probedAlone(t)
		h.begin(understudy.Switchover, understudy.StageCheck, east, west)
		h.mustFail(understudy.Switchover, understudy.StageFence, east, west, "US120", understudy.KindRefused, "1 offsets of idle-0")
	})
	h.patience = 0
	h.walk(understudy.Switchover, east, west, understudy.StageFence, understudy.StageDrain)
	h.unlink()
	h.walk(understudy.Switchover, east, west, understudy.StageHalt, understudy.StageCut, understudy.StagePromote)
	h.finish(understudy.Switchover, east, west)
	h.followed(west)
	if n := len(identical(t, th.east, th.west, "idle")); n != 11 {
		t.Fatalf("%d records, not 11", n)
	}
	h.walk(understudy.Commit, east, west, understudy.StageRelease)
	h.homeOverAHiddenMarker(t, th)
}

// answersAlone puts what the table asks of replicas to the east, and does more while the first broker is alone.
func (h *house) answersAlone(th theatre, more func()) {
	h.t.Helper()
	asked := false
	to := kafkasim.Target{Addr: th.east, Replicas: []int32{1, 2}, Stall: func(string) (func(), error) {
		resume := h.halve(th)
		return func() { more(); resume() }, nil
	}}
	for _, c := range kafkasim.Answers() {
		if !c.Stall {
			continue
		}
		asked = true
		if got, err := c.Run(h.t.Context(), to); err != nil || got != c.Want {
			h.t.Errorf("%s: %v\n got %s\nwant %s", c.Name, err, got, c.Want)
		}
	}
	if !asked {
		h.t.Error("the table asks nothing of replicas")
	}
}

// probedAlone sends the write probe to a leader that is alone: only who is content with the leader is told that it is open.
func (th theatre) probedAlone(t *testing.T) {
	t.Helper()
	c := cluster.Open(cluster.Config{Brokers: []string{th.east}})
	defer mustClose(t, c)
	md, err := c.Metadata(t.Context(), lease(), "idle")
	mustLoad(t, err)
	p, probe := md.Partitions("idle")[0], batch.Probe(256, time.Now().UnixMilli())
	hasty, err := c.ProduceToLeader(t.Context(), lease(), p, probe)
	mustLoad(t, err)
	all, err := c.Produce(t.Context(), lease(), p, probe)
	mustLoad(t, err)
	if hasty.Code != cluster.CodeCorruptMessage || all.Code != 19 {
		t.Errorf("with acks=1 the probe is answered %d, not 2, and with acks=all %d, not 19", hasty.Code, all.Code)
	}
}

// homeOverAHiddenMarker plans the way home, and lets the second broker of the target stand still just before an earlier pass
// of the halt writes its marker.
func (h *house) homeOverAHiddenMarker(t *testing.T, th theatre) {
	h.begin(understudy.Switchover, understudy.StageCheck, west, east)
	h.walk(understudy.Switchover, west, east, understudy.StageFence, understudy.StageDrain)
	h.unlink()
	epoch, err := mirror.ProducerEpoch(h.role.Epoch)
	mustLoad(t, err)
	m := cluster.Marker{Epoch: epoch, ProducerID: mirror.PID(th.nodes[west].Brokers[0].ClusterID(), understudy.Link{Plan: "contoso", Workload: "orders", From: west, To: east})}
	c, other := cluster.Open(cluster.Config{Brokers: []string{th.east}}), cluster.Open(cluster.Config{Brokers: []string{th.east}})
	defer mustClose(t, c)
	defer mustClose(t, other)
	md, err := c.Metadata(t.Context(), lease(), "idle")
	mustLoad(t, err)
	_, err = other.Metadata(t.Context(), lease(), "idle")
	mustLoad(t, err)
	parts, second, hidden, written := md.Partitions("idle"), th.nodes[east].Node(2), 0, make(chan struct{})
	known, err := other.DescribeProducers(t.Context(), lease(), parts)
	mustLoad(t, err)
	for _, k := range known[parts[0].TP] {
		if k.ID == m.ProducerID {
			m.CoordinatorEpoch = k.CoordinatorEpoch
		}
	}
	h.during(func() {
		mustLoad(t, second.Pause())
		go func() {
			defer close(written)
			_, _ = c.WriteMarker(t.Context(), lease(), parts[0], m) // whatever it is told: replicas have it when they go on
		}()
		eventually(t, "the leader has the marker", func() bool {
			known, err := other.DescribeProducers(t.Context(), lease(), parts)
			return err == nil && slices.ContainsFunc(known[parts[0].TP], func(k cluster.Producer) bool { return k.ID == m.ProducerID && k.Epoch == int32(epoch) })
		})
	})
	h.onRetry = func(err error) {
		t.Logf("   tried again: %v", err)
		if strings.Contains(err.Error(), "the marker is not replicated yet") {
			hidden++
			mustLoad(t, second.Resume())
			h.insync(th, 2)
		}
	}
	h.walk(understudy.Switchover, west, east, understudy.StageHalt)
	<-written
	if hidden == 0 {
		t.Error("the halt did not wait for the replicas")
	}
	h.onRetry = nil
	h.walk(understudy.Switchover, west, east, understudy.StageCut, understudy.StagePromote)
	h.finish(understudy.Switchover, west, east)
	mustLoad(t, load(t, client(t, th.east), "idle", 1, 1, "home"))
	h.followed(east)
	if n := len(identical(t, th.east, th.west, "idle")); n != 12 {
		t.Fatalf("%d records, not 12", n)
	}
}
