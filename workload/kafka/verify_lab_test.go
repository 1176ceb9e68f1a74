package kafka_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/understudy-dr/understudy"
)

// verifyOfTransactionsAndCompaction compares while the cleaners of both sides work.
func verifyOfTransactionsAndCompaction(t *testing.T, th theatre) {
	h := newHouse(t, th.at, topics())
	app := client(t, th.east)
	compacting := map[string]string{
		"cleanup.policy": "compact", "segment.ms": "300", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "100", "max.compaction.lag.ms": "500",
	}
	var change []kadm.AlterConfig
	for k, v := range compacting {
		change = append(change, kadm.AlterConfig{Op: kadm.SetConfig, Name: k, Value: &v})
	}
	if _, err := kadm.NewClient(app).AlterTopicConfigs(t.Context(), change, "idle"); err != nil {
		t.Fatal(err)
	}
	h.link(east, west, false)
	for i, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		cl := client(t, th.east, kgo.ProducerBatchCompression(codec), kgo.TransactionalID(fmt.Sprint("app-", i)))
		for round, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort, kgo.TryCommit} {
			if err := cl.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			mustLoad(t, load(t, cl, "orders", 2, 30, fmt.Sprint("x", i, round)))
			mustLoad(t, load(t, cl, "idle", 1, 30, fmt.Sprint("y", i, round)))
			if err := cl.EndTransaction(t.Context(), end); err != nil {
				t.Fatal(err)
			}
		}
		mustLoad(t, cl.BeginTransaction())
		mustLoad(t, cl.ProduceSync(t.Context(), &kgo.Record{Topic: "idle", Key: fmt.Appendf(nil, "k%d", i)}).FirstErr()) // a tombstone
		mustLoad(t, cl.EndTransaction(t.Context(), kgo.TryCommit))
	}
	h.followed(east)
	if v := h.mustCompare(understudy.Match); v.Compared < 600 {
		t.Fatalf("%+v", v)
	}
	// The cleaners of both sides go on by themselves, at their own pace: no moment may look like a difference.
	removed := false
	h.await("compacted", func() bool {
		mustLoad(t, load(t, app, "idle", 1, 20, "again"))
		v := h.compare(false, "idle")
		if v.Outcome != understudy.Match && v.Outcome != understudy.Lagging {
			t.Fatalf("%+v", v)
		}
		removed = removed || strings.Contains(v.Coverage, "compacted away")
		return removed
	})
	h.followed(east)
	h.mustCompare(understudy.Match)
}
