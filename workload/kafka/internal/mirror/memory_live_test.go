package mirror_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/mirror"
)

// heap is the memory that is held after a collection, in bytes.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// sendEach produces the same value n times to each partition, a batch each.
func (e *end) sendEach(t *testing.T, topic string, parts int32, n int, value []byte, codec kgo.CompressionCodec) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(e.at()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(codec), kgo.ProducerBatchMaxBytes(int32(len(value))+1000))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	var all []*kgo.Record
	for i := range n * int(parts) {
		all = append(all, &kgo.Record{Topic: topic, Partition: int32(i) % parts, Value: value})
	}
	if err := cl.ProduceSync(t.Context(), all...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// first reads n records of the first partition, however long that takes.
func (e *end) first(t *testing.T, topic string, n int) map[int64]*kgo.Record {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(e.at()), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out := map[int64]*kgo.Record{}
	for len(out) < n && ctx.Err() == nil {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) { out[r.Offset] = r })
	}
	return out
}

// alike wants both sides to have the same n records in the first partition.
func alike(t *testing.T, from, to *end, topic string, n int) {
	t.Helper()
	a, b := from.first(t, topic, n), to.first(t, topic, n)
	if len(a) != n || len(b) != n {
		t.Errorf("%d and %d records, not %d", len(a), len(b), n)
	}
	for o, x := range a {
		if y := b[o]; y == nil || !bytes.Equal(x.Key, y.Key) || !bytes.Equal(x.Value, y.Value) || !x.Timestamp.Equal(y.Timestamp) {
			t.Errorf("offset %d differs", o)
		}
	}
}

// pending is sendEach in a transaction, of which nothing is seen before it is committed.
func (e *end) pending(t *testing.T, topic string, parts int32, n int, value []byte) (commit func()) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(e.at()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID("tx-"+topic),
		kgo.ProducerBatchCompression(kgo.ZstdCompression()), kgo.ProducerBatchMaxBytes(int32(len(value))+1000))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	var all []*kgo.Record
	for i := range n * int(parts) {
		all = append(all, &kgo.Record{Topic: topic, Partition: int32(i) % parts, Value: value})
	}
	if err := cl.ProduceSync(t.Context(), all...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMemoryIsBounded has batches of half a MiB, which are tiny while they are compressed and must be taken apart, come to eight
// partitions whose target does not answer: the sixth of each partition waits in memory. What the mover then holds, by the heap
// itself, stays within its budget; without the workshop's bound it does not.
func TestMemoryIsBounded(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	bounded := held(t, func(m *mirror.Mirror, _ int64) bool { return m.Full() }, func(*mirror.Mirror) {})
	if bounded > memoryBudget {
		t.Errorf("the mover held %d bytes more than its budget of %d", bounded-memoryBudget, memoryBudget)
	}
	// On a machine that is busy with other things the requests may be given up before all partitions wait.
	unbounded := int64(0)
	for try := 0; try < 5 && unbounded <= memoryBudget; try++ {
		unbounded = held(t, func(_ *mirror.Mirror, peak int64) bool { return peak > memoryBudget }, (*mirror.Mirror).Unbounded)
	}
	t.Logf("%d bytes at most of a budget of %d; %d without the bound", bounded, memoryBudget, unbounded)
	if unbounded <= memoryBudget {
		t.Errorf("without the bound the mover held no more than %d bytes", unbounded)
	}
}

// memoryBudget is what the mover may hold, in bytes.
const memoryBudget = 8 << 20

// held gives the most that a mover held while its target stood still, until that was enough or its requests are given up, and
// then while it caught up.
func held(t *testing.T, enough func(*mirror.Mirror, int64) bool, change func(*mirror.Mirror)) int64 {
	t.Helper()
	const parts = 8
	s := live.start(t)
	from, to := pair(t, s.old, s.new)
	topic := from.topic(t, parts, map[string]string{"message.timestamp.type": "LogAppendTime"})
	o := options(from, far(t, to, s.newPath), 3, topic)
	o.Budget = memoryBudget
	r := runAs(t, o, change)
	from.write(t, topic, parts, 1)
	r.caughtUp(from, to, topic)
	commit := from.pending(t, topic, parts, 7, bytes.Repeat([]byte{'x'}, 512<<10))
	before, peak := heap(), int64(0)
	s.newPath.Freeze()
	defer s.newPath.Heal()
	commit()
	given := time.Now().Add(8 * time.Second)
	until(t, func() (bool, string) {
		peak = max(peak, heap()-before)
		return enough(r.m, peak) || time.Now().After(given), ""
	})
	s.newPath.Heal()
	until(t, func() (bool, string) {
		peak = max(peak, heap()-before)
		at := to.ends(t, topic)
		for p := range int32(parts) {
			if at[p] != 9 { // the end of the transaction counts
				return false, fmt.Sprint(at)
			}
		}
		return true, ""
	})
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	return peak
}

// TestBatchesLargerThanTheBudgetPass has some that are so as they come, and some only when they are taken apart.
func TestBatchesLargerThanTheBudgetPass(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.new, s.old)
	large := map[string]string{"max.message.bytes": "8388608"}
	plain := from.topic(t, 2, large)
	large["message.timestamp.type"] = "LogAppendTime"
	apart := from.topic(t, 2, large)
	noise := make([]byte, 5<<20)
	_, _ = rand.Read(noise)
	from.sendEach(t, plain, 2, 2, noise, kgo.NoCompression())
	from.sendEach(t, apart, 2, 2, noise, kgo.NoCompression())
	from.sendEach(t, apart, 2, 2, noise[:3<<20], kgo.GzipCompression())
	from.sendEach(t, apart, 2, 2, bytes.Repeat([]byte{'x'}, 6<<20), kgo.Lz4Compression())
	for range 2 { // the second looks at the last batches first
		from.sendEach(t, apart, 2, 1, noise, kgo.SnappyCompression())
		o := options(from, to, 3, plain, apart)
		o.Budget = 1 << 20
		r := run(t, o)
		r.caughtUp(from, to, plain)
		r.caughtUp(from, to, apart)
		until(t, func() (bool, string) {
			p := r.progress()
			return p.State == understudy.Protected && time.Since(p.Safe) < patience, fmt.Sprintf("%+v", p)
		})
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	}
	alike(t, from, to, plain, 2)
	alike(t, from, to, apart, 8)
}
