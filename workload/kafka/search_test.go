package kafka_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka"
	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/kafkasim"
)

// searched is a log that markers are looked for in: who appended what, in order.
type searched struct {
	t     *testing.T
	c     *cluster.Cluster
	p     cluster.Partition
	coder *batch.Coder
	seq   map[int16]int32
}

const searchedPID = int64(0x4D52)<<48 + 77

// append adds "F" for a record of somebody else, "D3" for one of ours in epoch 3, "M3" for a marker of that
// epoch, each as often as the number before it says, such as "40F".
func (s *searched) append(what string) {
	s.t.Helper()
	n, kind, epoch := 1, byte(0), int16(0)
	if _, err := fmt.Sscanf(what, "%d", &n); err == nil {
		what = strings.TrimLeft(what, "0123456789")
	}
	kind = what[0]
	if len(what) > 1 {
		epoch = int16(what[1] - '0')
	}
	for range n {
		switch kind {
		case 'F':
			s.produce(batch.NoProducer())
		case 'D':
			s.produce(batch.Producer{ID: searchedPID, Epoch: epoch, Sequence: s.seq[epoch]})
			s.seq[epoch]++
		case 'M':
			code, err := s.c.WriteMarker(s.t.Context(), lease(), s.p, cluster.Marker{ProducerID: searchedPID, Epoch: epoch})
			if err != nil || code != 0 {
				s.t.Fatalf("marker: %d, %v", code, err)
			}
		default:
			s.t.Fatalf("what is %q?", what)
		}
	}
}

func (s *searched) produce(by batch.Producer) {
	s.t.Helper()
	b, err := s.coder.Encode(batch.None, by, []batch.Record{{Timestamp: time.Now().UnixMilli(), Value: []byte("v")}})
	if err != nil {
		s.t.Fatal(err)
	}
	if got, err := s.c.Produce(s.t.Context(), lease(), s.p, b); err != nil || got.Code != 0 {
		s.t.Fatalf("produce: %+v, %v", got, err)
	}
}

// searchCase is a log and where the search finds the marker of epoch 3 in it: -1 for nowhere.
type searchCase struct {
	name, log string
	at        int64
	// lowest is the lowest offset that may be asked for.
	lowest int64
}

func searchCases() []searchCase {
	return []searchCase{
		{"nothing at all", "", -1, 0},
		{"nothing but others", "9F", -1, 0},
		{"the marker alone", "M3", 0, 0},
		{"the marker at the end", "500D2 M3", 500, 496},
		{"others after the marker", "500D2 M3 30F", 500, 440},
		{"two markers side by side", "500D2 M3 M3", 500, 490},
		{"a marker as the first of its window", "500D2 M3 M3 2F", 500, 497},
		{"two markers with others between", "500D2 M3 F M3", 500, 490},
		{"a marker of an epoch before", "300F M2 200D2", -1, 499},
		{"the epoch's marker below a forgotten one", "300F M2 100F M3 100F", 401, 375},
		{"a marker right at the log's start", "M3 200F", 0, 0},
	}
}

// TestTheMarkerIsSearchedFromTheEnd shows what the search finds, and how far down it reads for it.
func TestTheMarkerIsSearchedFromTheEnd(t *testing.T) {
	cases := searchCases()
	topics := map[string]int32{}
	for i := range cases {
		topics[fmt.Sprint("log-", i)] = 1
	}
	sim, err := kafkasim.Start(kafkasim.Options{Topics: topics})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	c := cluster.Open(cluster.Config{Brokers: []string{sim.Addr()}})
	t.Cleanup(func() { _ = c.Close() })
	md, err := c.Metadata(t.Context(), lease())
	if err != nil {
		t.Fatal(err)
	}
	coder, err := batch.NewCoder(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var asked []int64
	sim.Watch(func(r kmsg.Request) {
		if f, ok := r.(*kmsg.FetchRequest); ok {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, f.Topics[0].Partitions[0].FetchOffset)
		}
	})
	for i, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			s := &searched{t, c, md.Topics[fmt.Sprint("log-", i)].Partitions[0], coder, map[int16]int32{}}
			for what := range strings.FieldsSeq(x.log) {
				s.append(what)
			}
			mu.Lock()
			asked = nil
			mu.Unlock()
			at, found, err := kafka.LastMarker(t.Context(), lease(), c, s.p, searchedPID, 3)
			if err != nil || found != (x.at >= 0) || at != x.at {
				t.Fatalf("found %v at %d, %v", found, at, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if len(asked) > 0 && slices.Min(asked) < x.lowest {
				t.Errorf("it asked for %v, below %d", asked, x.lowest)
			}
		})
	}
}

// secondHaltReadsLittle lets the halt be planned anew after somebody wrote above its marker on a log of
// many batches: the marker stays the one that it was, and the log is not read again for it.
func secondHaltReadsLittle(t *testing.T, th theatre) {
	th.west = th.way.Addr()
	th.at[west] = &kafka.Endpoint{Brokers: []string{th.west}}
	const batches, size = 400, 32 << 10
	app := client(t, th.east, kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(size+1<<10), kgo.RecordDeliveryTimeout(time.Minute))
	var rs []*kgo.Record
	for range batches {
		rs = append(rs, &kgo.Record{Topic: "orders", Partition: 0, Value: make([]byte, size)})
	}
	mustLoad(t, app.ProduceSync(t.Context(), rs...).FirstErr())
	h := newHouse(t, th.at, topics())
	h.protect()
	h.followed(east)
	h.setRole(h.role.Fenced())
	h.unlink()
	h.walk(understudy.Switchover, east, west, understudy.StageHalt)
	mustLoad(t, load(t, client(t, th.west), "orders", 1, 50, "above the marker"))
	ends := func() map[cluster.TP]int64 {
		c := cluster.Open(cluster.Config{Brokers: []string{th.west}})
		defer func() { _ = c.Close() }()
		md, err := c.Metadata(t.Context(), lease())
		if err != nil {
			t.Fatal(err)
		}
		all, err := c.ListOffsets(t.Context(), lease(), cluster.End, md.Partitions("orders", "idle"))
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	before, read := ends(), th.way.Counts()
	h.walk(understudy.Switchover, east, west, understudy.StageHalt)
	after := th.way.Counts()
	t.Logf("the second halt read %d bytes of a log of %d", after.Back-read.Back, batches*size)
	if n := after.Back - read.Back; n > batches*size/8 { // done twice, as every step of a house is
		t.Errorf("the second halt read %d bytes", n)
	}
	first, second := h.receipts[0].Detail, h.receipts[1].Detail
	if string(first) != string(second) {
		t.Errorf("the halt was at %s, and then at %s", first, second)
	}
	if now := ends(); now[cluster.TP{Topic: "orders"}] != before[cluster.TP{Topic: "orders"}] {
		t.Errorf("the second halt wrote: %v became %v", before, now)
	}
}
