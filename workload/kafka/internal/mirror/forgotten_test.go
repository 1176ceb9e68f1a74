package mirror_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/lab/kafka"
	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/mirror"
)

// forgetful is a target that looks every 200 ms whom it may forget: a producer whose newest record is a day old.
type forgetful struct {
	*end
	t     *testing.T
	topic string
	pid   int64
	coder *batch.Coder
}

// TestForgotten has a target of each version that forgets, with records of 2 days ago to be had in the source.
func TestForgotten(t *testing.T) {
	s := live.start(t)
	often := map[string]string{"producer.id.expiration.check.interval.ms": "200"}
	var options []kafka.Options
	for _, v := range kafka.Versions() {
		options = append(options, kafka.Options{Version: v, Name: "forgetful " + v, Properties: often})
	}
	for _, b := range kafka.BootAll(t, options...) {
		t.Run(b.Version(), func(t *testing.T) {
			from := side(t, s.old, "east")
			t.Run("a broker that forgot", func(t *testing.T) { aBrokerThatForgot(t, newForgetful(t, from, b)) })
			t.Run("a mover that was forgotten", func(t *testing.T) { aMoverThatWasForgotten(t, from, newForgetful(t, from, b)) })
			if b.Version() == kafka.V44 {
				t.Run("a producer that grew old", func(t *testing.T) { aProducerThatGrewOld(t, from, newForgetful(t, from, b)) })
			}
		})
	}
}

func newForgetful(t *testing.T, from *end, b *kafka.Broker) *forgetful {
	t.Helper()
	md, err := from.c.Metadata(t.Context(), understudy.Lease{})
	if err != nil {
		t.Fatal(err)
	}
	coder, err := batch.NewCoder(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	link := understudy.Link{Plan: "p", Workload: "w", From: "east", To: "west"}
	return &forgetful{side(t, b, "west"), t, from.topic(t, 1, nil), mirror.PID(md.ClusterID, link), coder}
}

// writeOld produces records of the day before yesterday to partition 0.
func (e *end) writeOld(t *testing.T, topic string, n int) {
	t.Helper()
	var recs []*kgo.Record
	for i := range n {
		recs = append(recs, &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "old %d", i), Timestamp: time.Now().Add(-48 * time.Hour)})
	}
	if err := e.cl.ProduceSync(t.Context(), recs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func (f *forgetful) partition() cluster.Partition {
	f.t.Helper()
	md, err := f.c.Metadata(f.t.Context(), understudy.Lease{}, f.topic)
	if err != nil {
		f.t.Fatal(err)
	}
	return md.Topics[f.topic].Partitions[0]
}

// forgets waits until the leader knows no producer of the partition, and has not for a while.
func (f *forgetful) forgets() {
	f.t.Helper()
	p, times := f.partition(), 0
	until(f.t, func() (bool, string) {
		got, err := f.c.DescribeProducers(f.t.Context(), understudy.Lease{}, []cluster.Partition{p})
		if times++; err != nil || len(got[p.TP]) > 0 {
			times = 0
		}
		return times > 20, fmt.Sprint(got, err)
	})
}

// wroteAt is the producer of the batch at an offset.
func (f *forgetful) wroteAt(offset int64) batch.Producer {
	f.t.Helper()
	p := f.partition()
	got, err := f.c.Fetch(f.t.Context(), understudy.Lease{}, p, offset, 1<<20)
	if err != nil || got.Code != 0 {
		f.t.Fatal(got.Code, err)
	}
	b, _, err := batch.Next(got.Records)
	if err != nil {
		f.t.Fatal(err)
	}
	return b.Producer()
}

// put sends one record, and gives the broker's answer.
func (f *forgetful) put(epoch int16, seq int32, at time.Time) cluster.Produced {
	f.t.Helper()
	b, err := f.coder.Encode(batch.None, batch.Producer{ID: f.pid, Epoch: epoch, Sequence: seq}, []batch.Record{{Timestamp: at.UnixMilli(), Value: []byte("x")}})
	if err != nil {
		f.t.Fatal(err)
	}
	a, err := f.c.Produce(f.t.Context(), understudy.Lease{}, f.partition(), b)
	if err != nil {
		f.t.Fatal(err)
	}
	return a
}

func (f *forgetful) marker(epoch int16) int16 {
	f.t.Helper()
	code, err := f.c.WriteMarker(f.t.Context(), understudy.Lease{}, f.partition(), cluster.Marker{ProducerID: f.pid, Epoch: epoch, CoordinatorEpoch: int32(epoch)})
	if err != nil {
		f.t.Fatal(err)
	}
	return code
}

// aBrokerThatForgot holds the facts that the mover and the halt stand on: a leader that has forgotten a producer
// takes any sequence and any epoch, so that neither refuses what is late; a marker makes it remember again.
func aBrokerThatForgot(t *testing.T, to *forgetful) {
	to.create(t, to.topic, 1, map[string]string{"retention.ms": "-1"})
	until(t, func() (bool, string) {
		md, err := to.c.Metadata(t.Context(), understudy.Lease{}, to.topic)
		ps := md.Topics[to.topic].Partitions
		return err == nil && len(ps) == 1 && ps[0].Leader >= 0, fmt.Sprint(md, err)
	})
	now := time.Now()
	old := now.Add(-48 * time.Hour)
	var said []string
	say := func(what string, a any) { said = append(said, fmt.Sprintf("%s=%v", what, a)) }
	code := func(a cluster.Produced) int16 { return a.Code }
	say("first", code(to.put(4, 0, now)))
	say("old", code(to.put(4, 1, old)))
	to.forgets() // although it was just written
	say("running", code(to.put(4, 2, now)))
	say("next", code(to.put(4, 3, old)))
	to.forgets()
	say("anew", code(to.put(4, 0, now)))
	say("again", to.put(4, 0, now))
	say("late", code(to.put(4, 4, now)))
	say("next", code(to.put(4, 1, old)))
	to.forgets()
	say("lower", code(to.put(3, 77, old)))
	to.forgets()
	say("marker", to.marker(5))
	say("halted", code(to.put(4, 2, old)))
	say("absurd", code(to.put(4, 1<<30, now)))
	say("markers", to.marker(4))
	want := "[first=0 old=0 running=0 next=0 anew=0 again={0 4} late=45 next=0 lower=0 marker=0 halted=47 absurd=47 markers=47]"
	if got := fmt.Sprint(said); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// aMoverThatWasForgotten copies records that are older than what a leader remembers: a running mover and the next
// one of the same assignment begin at sequence 0 of the same epoch, and a halt still holds.
func aMoverThatWasForgotten(t *testing.T, from *end, to *forgetful) {
	topic := to.topic
	from.writeOld(t, topic, 20)
	o := options(from, to.end, 4, topic)
	r := run(t, o)
	again := func() {
		t.Helper()
		r.caughtUp(from, to.end, topic)
		to.forgets()
		end := to.ends(t, topic)[0]
		from.writeOld(t, topic, 20)
		r.caughtUp(from, to.end, topic)
		if p := to.wroteAt(end); p.Epoch != 4 || p.Sequence != 0 {
			t.Fatalf("after it was forgotten, it went on as %+v", p)
		}
	}
	again()
	from.writeOld(t, topic, 20)
	again()
	r.caughtUp(from, to.end, topic)
	to.forgets()
	end := from.ends(t, topic)[0]
	from.transact(t, topic, 1, 5, kgo.TryAbort, "a") // a marker is the first thing after
	until(t, func() (bool, string) { now := from.ends(t, topic)[0]; return now == end+18, fmt.Sprint(now) })
	from.writeOld(t, topic, 20)
	r.caughtUp(from, to.end, topic)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = run(t, o)
	again()
	same(t, live.start(t).java, from, to.end, topic)
	to.forgets()
	if code := to.marker(5); code != 0 {
		t.Fatalf("the halt marker was answered %d", code)
	}
	if a := to.put(4, 1<<30, time.Now()); a.Code != 47 {
		t.Fatalf("the halt probe was answered %+v", a)
	}
	end = to.ends(t, topic)[0]
	from.writeOld(t, topic, 20)
	until(t, func() (bool, string) { p := r.progress(); return p.NeedEpoch == 5, fmt.Sprintf("%+v", p) })
	if got := to.ends(t, topic)[0]; got != end {
		t.Fatalf("a halted mover wrote up to %d, from %d", got, end)
	}
}

// aProducerThatGrewOld waits until the target's leader has forgotten the mover, as it does after a day.
func aProducerThatGrewOld(t *testing.T, from *end, to *forgetful) {
	soon := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "producer.id.expiration.ms", Value: kadm.StringPtr("2000")}}
	if got, err := to.a.AlterBrokerConfigs(t.Context(), soon); err != nil || got[0].Err != nil {
		t.Fatal(got, err)
	}
	topic := to.topic
	from.write(t, topic, 1, 50)
	forgotten := func() {
		until(t, func() (bool, string) {
			meta, err := to.c.Metadata(t.Context(), understudy.Lease{}, topic)
			if err != nil {
				return false, err.Error()
			}
			got, err := to.c.DescribeProducers(t.Context(), understudy.Lease{}, meta.Topics[topic].Partitions)
			return err == nil && len(got[cluster.TP{Topic: topic}]) == 0, fmt.Sprint(got, err)
		})
	}
	r := run(t, options(from, to.end, 4, topic))
	r.caughtUp(from, to.end, topic)
	forgotten()
	from.write(t, topic, 1, 50) // the running mover goes on
	from.transact(t, topic, 1, 5, kgo.TryAbort, "a")
	r.caughtUp(from, to.end, topic)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	forgotten()
	from.write(t, topic, 1, 50)
	r = run(t, options(from, to.end, 3, topic)) // an older one is known by the log alone
	until(t, func() (bool, string) { p := r.progress(); return p.NeedEpoch == 4, fmt.Sprintf("%+v", p) })
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = run(t, options(from, to.end, 4, topic)) // the next one of the same assignment begins at sequence 0
	r.caughtUp(from, to.end, topic)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	same(t, live.start(t).java, from, to.end, topic)
}
