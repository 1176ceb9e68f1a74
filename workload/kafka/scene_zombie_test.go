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
	p := md.Topics["orders"].Partitions[0]
	known, err := c.DescribeProducers(t.Context(), lease(), []cluster.Partition{p})
	if err != nil {
		t.Fatal(err)
	}
	next := batch.AddSequence(known[p.TP][0].LastSequence, 1)
	h.takeover(understudy.Failover, east, west)
	mustLoad(t, load(t, client(t, th.west), "orders", 2, 5, "new"))
	before := rows(t, th.west, "orders")
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
			t.Fatalf("a zombie's batch at sequence %d: %+v, %v", seq, answer, err)
		}
	}
	code, err := c.WriteMarker(t.Context(), lease(), p, cluster.Marker{ProducerID: pid, Epoch: 1, CoordinatorEpoch: 1})
	if err != nil || code != cluster.CodeInvalidEpoch {
		t.Fatalf("a zombie's marker: code %d, %v", code, err)
	}
	if after := rows(t, th.west, "orders"); len(after) != len(before) {
		t.Fatalf("%d records became %d", len(before), len(after))
	}
}
