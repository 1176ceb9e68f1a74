package mirror_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
)

func codecs() map[string]kgo.CompressionCodec {
	return map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
}

// transact writes n records to each partition in one transaction of its own producer.
func (e *end) transact(t *testing.T, topic string, parts int32, n int, commit kgo.TransactionEndTry, tag string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(e.at()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.TransactionalID("tx-"+topic+tag), kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for round := range 3 {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for p := range parts {
			for i := range n {
				cl.Produce(t.Context(), &kgo.Record{Topic: topic, Partition: p, Key: []byte(fmt.Sprint("x", i)), Value: []byte(fmt.Sprint(tag, round, i))}, nil)
			}
		}
		if err := cl.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := cl.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
}

// odd writes what a careful reader must keep apart: nulls, empties and headers.
func (e *end) odd(t *testing.T, topic string) {
	t.Helper()
	recs := []*kgo.Record{
		{Key: nil, Value: nil}, {Key: []byte{}, Value: []byte{}}, {Key: []byte("k"), Value: nil}, {Key: nil, Value: []byte("v")},
		{Value: []byte("h"), Headers: []kgo.RecordHeader{{Key: "", Value: []byte{}}, {Key: "a", Value: nil}, {Key: "a", Value: []byte("2")}}},
		{Value: []byte("old"), Timestamp: time.UnixMilli(1)}, {Value: []byte("past"), Timestamp: time.Now().Add(-100 * 24 * time.Hour)},
		{Value: []byte("soon"), Timestamp: time.Now().Add(50 * time.Minute)},
	}
	for _, r := range recs {
		r.Topic = topic
		if err := e.cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// mixed fills a topic with everything that passes: each codec, transactions of both endings, odd records.
func (e *end) mixed(t *testing.T, topic string, parts int32) {
	t.Helper()
	for name, c := range codecs() {
		e.write(t, topic, parts, 40, kgo.ProducerBatchCompression(c))
		e.transact(t, topic, parts, 7, kgo.TryCommit, "c"+name)
		e.transact(t, topic, parts, 5, kgo.TryAbort, "a"+name)
	}
	e.odd(t, topic)
}

// interleave leaves one transaction open over the records of others, then ends it.
func (e *end) interleave(t *testing.T, topic string, end kgo.TransactionEndTry) func() {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(e.at()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID("long-"+topic))
	if err != nil {
		t.Fatal(err)
	}
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	put := func() {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("long")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	put()
	e.transact(t, topic, 1, 3, kgo.TryCommit, "inner")
	e.transact(t, topic, 1, 3, kgo.TryAbort, "other")
	put()
	return func() {
		defer cl.Close()
		if err := cl.EndTransaction(context.Background(), end); err != nil {
			t.Error(err)
		}
	}
}

func (e *end) trim(t *testing.T, topic string, parts int32, at int64) {
	t.Helper()
	o := kadm.Offsets{}
	for p := range parts {
		o.Add(kadm.Offset{Topic: topic, Partition: p, At: at, LeaderEpoch: -1})
	}
	got, err := e.a.DeleteRecords(t.Context(), o)
	if err == nil {
		err = got.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestEverythingPasses(t *testing.T) {
	s := live.start(t)
	for name, brokers := range map[string][2]int{"3.9 to 4.4": {0, 1}, "4.4 to 3.9": {1, 0}} {
		t.Run(name, func(t *testing.T) {
			all := []*end{side(t, s.old, "east"), side(t, s.new, "west")}
			from, to := all[brokers[0]], all[brokers[1]]
			topic := from.topic(t, 2, nil)
			from.mixed(t, topic, 2)
			from.trim(t, topic, 2, 57) // in the middle of a batch
			r := run(t, options(from, to, 3, topic))
			r.caughtUp(from, to, topic)
			first := len(same(t, s.java, from, to, topic).Records)
			finish := from.interleave(t, topic, kgo.TryAbort)
			from.mixed(t, topic, 2)
			finish()
			from.interleave(t, topic, kgo.TryCommit)()
			r.caughtUp(from, to, topic)
			from.trim(t, topic, 2, 333) // while mirroring
			until(t, func() (bool, string) {
				got, err := to.a.ListStartOffsets(t.Context(), topic)
				at, _ := got.Lookup(topic, 1)
				return err == nil && at.Offset == 333, fmt.Sprint(at, err, r.progress())
			})
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			if n := len(same(t, s.java, from, to, topic).Records); n == 0 || first == 0 {
				t.Fatalf("%d and %d records", first, n)
			}
		})
	}
}

func TestOpenTransactionHoldsBackAndIsNotLost(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.new, s.old)
	topic := from.topic(t, 1, nil)
	finish := from.interleave(t, topic, kgo.TryCommit)
	r := run(t, options(from, to, 1, topic))
	until(t, func() (bool, string) {
		p := r.progress()
		return len(p.Shards) == 1 && p.Shards[0].Source > 10, fmt.Sprint(p)
	})
	if e := to.ends(t, topic); e[0] != 0 {
		t.Fatalf("the target ends at %d, beyond the last stable offset", e[0])
	}
	if p := r.progress(); !p.Safe.IsZero() || p.State != understudy.Bootstrapping {
		t.Errorf("open records count as safe: %+v", p)
	}
	finish()
	r.caughtUp(from, to, topic)
	same(t, s.java, from, to, topic)
}

func TestCompactedTopic(t *testing.T) {
	s := live.start(t)
	for name, swap := range map[string]bool{"3.9 to 4.4": false, "4.4 to 3.9": true} {
		t.Run(name, func(t *testing.T) {
			a, b := s.old, s.new
			if swap {
				a, b = b, a
			}
			from, to := pair(t, a, b)
			topic := from.topic(t, 1, map[string]string{
				"cleanup.policy": "compact", "segment.ms": "200", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "0",
				"min.compaction.lag.ms": "0", "max.compaction.lag.ms": "300",
			})
			compact(t, from, topic)
			r := run(t, options(from, to, 5, topic))
			r.caughtUp(from, to, topic)
			from.write(t, topic, 1, 60)
			r.caughtUp(from, to, topic)
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			// Both sides' cleaners go on by themselves, so only what is left on both must agree.
			sameWhereBoth(t, from, to, topic)
		})
	}
}

// compact writes until the cleaner has made holes, transactions and tombstones among them.
func compact(t *testing.T, e *end, topic string) {
	t.Helper()
	round := 0
	until(t, func() (bool, string) {
		round++
		e.write(t, topic, 1, 80, kgo.ProducerBatchCompression(kgo.SnappyCompression()))
		e.transact(t, topic, 1, 5, kgo.TryCommit, fmt.Sprint("c", round))
		e.transact(t, topic, 1, 5, kgo.TryAbort, fmt.Sprint("a", round))
		if err := e.cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Key: []byte("k7")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		n, last := 0, int64(0)
		for _, r := range e.read(t, topic) {
			n, last = n+1, r.Offset
		}
		return round > 3 && n > 0 && int64(n) < last/2, fmt.Sprintf("%d records up to offset %d", n, last)
	})
}

// read gives the committed records of partition 0 up to its end now.
func (e *end) read(t *testing.T, topic string) map[int64]*kgo.Record {
	t.Helper()
	stable, err := e.a.ListCommittedOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	goal, _ := stable.Lookup(topic, 0)
	cl, err := kgo.NewClient(kgo.SeedBrokers(e.at()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.FetchMaxWait(100*time.Millisecond),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	out := map[int64]*kgo.Record{}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for at := int64(0); at < goal.Offset && ctx.Err() == nil; {
		short, stop := context.WithTimeout(ctx, time.Second)
		f := cl.PollFetches(short)
		stop()
		if f.NumRecords() == 0 {
			break // nothing but holes up to the end
		}
		f.EachRecord(func(r *kgo.Record) {
			at = r.Offset + 1
			if !r.Attrs.IsControl() {
				out[r.Offset] = r
			}
		})
	}
	return out
}

func sameWhereBoth(t *testing.T, from, to *end, topic string) {
	t.Helper()
	a, b := from.read(t, topic), to.read(t, topic)
	both := 0
	for o, x := range a {
		y, ok := b[o]
		if !ok {
			continue
		}
		both++
		if string(x.Key) != string(y.Key) || string(x.Value) != string(y.Value) || !x.Timestamp.Equal(y.Timestamp) || len(x.Headers) != len(y.Headers) {
			t.Errorf("offset %d: %s=%s and %s=%s", o, x.Key, x.Value, y.Key, y.Value)
		}
	}
	newest := func(m map[int64]*kgo.Record) map[string]int64 {
		out := map[string]int64{}
		for o, r := range m {
			if r.Value != nil {
				out[string(r.Key)] = max(out[string(r.Key)], o)
			}
		}
		return out
	}
	x, y := newest(a), newest(b)
	for k, o := range x {
		if y[k] != o {
			t.Errorf("the newest of key %s is at %d and %d", k, o, y[k])
		}
	}
	if both == 0 || len(x) < 50 {
		t.Fatalf("%d records on both sides, %d keys", both, len(x))
	}
}

func TestAppendTimeIsFrozen(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.old, s.new)
	topic := from.topic(t, 1, map[string]string{"message.timestamp.type": "LogAppendTime"})
	for _, c := range codecs() {
		from.write(t, topic, 1, 20, kgo.ProducerBatchCompression(c))
	}
	r := run(t, options(from, to, 2, topic))
	r.caughtUp(from, to, topic)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	a, b := from.read(t, topic), to.read(t, topic)
	for o, x := range a {
		if y := b[o]; y == nil || !x.Timestamp.Equal(y.Timestamp) || string(x.Value) != string(y.Value) {
			t.Fatalf("offset %d: %v and %v", o, x, y)
		}
	}
	if len(a) != 100 || len(b) != 100 {
		t.Fatalf("%d and %d records", len(a), len(b))
	}
}

// millions writes a million records in one batch.
func (e *end) millions(t *testing.T, topic string) {
	t.Helper()
	c, err := batch.NewCoder(64 << 20)
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Filler(1_000_000, batch.NoProducer(), 5)
	if err != nil {
		t.Fatal(err)
	}
	meta, err := e.c.Metadata(t.Context(), understudy.Lease{}, topic)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := e.c.Produce(t.Context(), understudy.Lease{}, meta.Topics[topic].Partitions[0], b); err != nil || a.Code != 0 {
		t.Fatal(a, err)
	}
}

func TestHeadBeyondOneFillerOfACompactTopic(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.new, s.old)
	topic := from.topic(t, 1, map[string]string{"cleanup.policy": "delete"})
	from.millions(t, topic)
	from.write(t, topic, 1, 500)
	from.trim(t, topic, 1, 1_000_123)
	if _, err := from.a.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "cleanup.policy", Value: kadm.StringPtr("compact")}}, topic); err != nil {
		t.Fatal(err)
	}
	r := run(t, options(from, to, 2, topic))
	r.caughtUp(from, to, topic)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	same(t, s.java, from, to, topic)
}
