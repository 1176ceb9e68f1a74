package mirror_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/kafkasim"
)

// simulated gives both ends of a link between simulated clusters: fast, without Java, and proving nothing
// about brokers.
func simulated(t *testing.T) (*end, *end) {
	t.Helper()
	open := func(id string, site understudy.Site) *end {
		s, err := kafkasim.Start(kafkasim.Options{ClusterID: id})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		c := cluster.Open(cluster.Config{Object: understudy.Object{Plan: "p", Workload: "w", Site: site}, Brokers: []string{s.Addr()}})
		t.Cleanup(func() { _ = c.Close() })
		cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(50*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cl.Close)
		return &end{addr: s.Addr(), c: c, cl: cl, a: kadm.NewClient(cl)}
	}
	return open("east-id", "east"), open("west-id", "west")
}

func TestSimulatedMirror(t *testing.T) {
	from, to := simulated(t)
	topic := from.topic(t, 2, nil)
	from.write(t, topic, 2, 100)
	for epoch := range understudy.RoleEpoch(3) {
		r := run(t, options(from, to, epoch+1, topic))
		from.write(t, topic, 2, 30)
		from.transact(t, topic, 2, 4, kgo.TryCommit, fmt.Sprint("c", epoch))
		from.transact(t, topic, 2, 4, kgo.TryAbort, fmt.Sprint("a", epoch))
		r.caughtUp(from, to, topic)
		until(t, func() (bool, string) {
			p := r.progress()
			return p.State == understudy.Protected && len(p.Shards) == 2 && p.Shards[1].Source == p.Shards[1].Target, fmt.Sprintf("%+v", p)
		})
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	}
	sameWhereBoth(t, from, to, topic)
	a, b := from.read(t, topic), to.read(t, topic)
	if len(a) != len(b) || len(a) != 190+36 {
		t.Fatalf("%d and %d records", len(a), len(b))
	}
	nothingRuns(t)
}

// nothingRuns looks that no goroutine of a mover is left. The simulated servers have many of their own.
func nothingRuns(t *testing.T) {
	t.Helper()
	buf := make([]byte, 4<<20)
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, "internal/mirror.(") || strings.Contains(g, "internal/conn.(") {
			t.Errorf("left running:\n%s", g)
		}
	}
}

// TestLeadersMoveOnTheSource has three source brokers whose leaders change while records are written.
func TestLeadersMoveOnTheSource(t *testing.T) {
	_, to := simulated(t)
	fake, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.ClusterID("many"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	c := cluster.Open(cluster.Config{Brokers: fake.ListenAddrs()})
	t.Cleanup(func() { _ = c.Close() })
	cl, err := kgo.NewClient(kgo.SeedBrokers(fake.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	from := &end{addr: fake.ListenAddrs()[0], c: c, cl: cl, a: kadm.NewClient(cl)}
	topic := from.topic(t, 6, nil)
	r := run(t, options(from, to, 1, topic))
	for round := range int32(6) {
		for p := range int32(6) {
			if err := fake.MoveTopicPartition(topic, p, (round+p)%3); err != nil {
				t.Fatal(err)
			}
		}
		from.write(t, topic, 6, 40)
	}
	r.caughtUp(from, to, topic)
	a, b := from.read(t, topic), to.read(t, topic)
	for o, x := range a {
		if y := b[o]; y == nil || string(x.Value) != string(y.Value) {
			t.Fatalf("offset %d: %v and %v", o, x, y)
		}
	}
	if len(a) != 240 || len(b) != 240 {
		t.Fatalf("%d and %d records", len(a), len(b))
	}
	until(t, func() (bool, string) {
		p := r.progress()
		return p.State == understudy.Protected, fmt.Sprintf("%+v", p)
	})
	// Where the leader that we know is one that is over, nothing is said of its end.
	stale := from.leader(t, topic)
	for _, known := range []bool{true, false} {
		ends, err := c.EndOffsets(t.Context(), understudy.Lease{}, []cluster.Partition{stale})
		if _, ok := ends[stale.TP]; err != nil || ok != known {
			t.Errorf("the leader of epoch %d ends at %v, %v", stale.LeaderEpoch, ends, err)
		}
		if err := fake.MoveTopicPartition(topic, stale.Partition, stale.Leader); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSimulatedEpochs(t *testing.T) {
	from, to := simulated(t)
	topic := from.topic(t, 1, nil)
	from.write(t, topic, 1, 10)
	r := run(t, options(from, to, 7, topic))
	r.caughtUp(from, to, topic)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	from.write(t, topic, 1, 10)
	r = run(t, options(from, to, 6, topic)) // an older assignment that somebody woke up
	r.stopped("US140")
	if p := r.progress(); p.NeedEpoch != 7 || to.ends(t, topic)[0] != 10 {
		t.Fatalf("%+v", p)
	}
}
