package kafka_test

import (
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/mirror"
)

func TestZombieAfterTakeover(t *testing.T) { zombieAfterTakeover(t, simulated(t)) }

// zombieAfterTakeover lets the halted mover's next requests arrive after the takeover: its next batch in the
// right sequence, one in a wrong sequence, and a marker. None of them may stay.
func zombieAfterTakeover(t *testing.T, th theatre) {
	h := newHouse(t, th.at, topics())
	mustLoad(t, load(t, client(t, th.east), "orders", 2, 20, "a"))
	h.protect()
	h.followed(east)
	c := cluster.Open(cluster.Config{Brokers: []string{th.west}})
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	here := cluster.Open(cluster.Config{Brokers: []string{th.east}})
	source, err := here.Metadata(t.Context(), lease())
	if err != nil {
		t.Fatal(err)
	}
	if err := here.Close(); err != nil {
		t.Fatal(err)
	}
	pid := mirror.PID(source.ClusterID, understudy.Link{Plan: "contoso", Workload: "orders", From: east, To: west})
	md, err := c.Metadata(t.Context(), lease())
	if err != nil {
		t.Fatal(err)
	}
	parts := md.Partitions("orders", "idle")
	known, err := c.DescribeProducers(t.Context(), lease(), parts)
	if err != nil {
		t.Fatal(err)
	}
	h.takeover(understudy.Failover, east, west)
	mustLoad(t, load(t, client(t, th.west), "orders", 2, 5, "new"))
	before := rows(t, th.west, "orders")
	if md, err = c.Metadata(t.Context(), lease()); err != nil {
		t.Fatal(err)
	}
	for _, p := range md.Partitions("orders", "idle") {
		next := int32(0) // of one that the mover never wrote to
		for _, k := range known[p.TP] {
			next = batch.AddSequence(k.LastSequence, 1)
		}
		zombie(t, c, p, pid, next)
	}
	if after := rows(t, th.west, "orders"); len(after) != len(before) {
		t.Fatalf("%d records became %d", len(before), len(after))
	}
}

// zombie sends a partition's leader what the halted mover may still send: all of it is refused.
func zombie(t *testing.T, c *cluster.Cluster, p cluster.Partition, pid int64, next int32) {
	t.Helper()
	coder, err := batch.NewCoder(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []int32{next, next + 100} {
		b, err := coder.Encode(batch.LZ4, batch.Producer{ID: pid, Epoch: 1, Sequence: seq}, []batch.Record{{Timestamp: time.Now().UnixMilli(), Value: []byte("zombie")}})
		if err != nil {
			t.Fatal(err)
		}
		answer, err := c.Produce(t.Context(), lease(), p, b)
		if err != nil || answer.Code != cluster.CodeInvalidEpoch {
			t.Fatalf("a zombie's batch at sequence %d of %s: %+v, %v", seq, p.TP, answer, err)
		}
	}
	code, err := c.WriteMarker(t.Context(), lease(), p, cluster.Marker{ProducerID: pid, Epoch: 1, CoordinatorEpoch: 1})
	if err != nil || code != cluster.CodeInvalidEpoch {
		t.Fatalf("a zombie's marker on %s: code %d, %v", p.TP, code, err)
	}
}
