package kafka_test

import (
	"context"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/lab"
	"github.com/understudy-dr/understudy/lab/kafka"
)

// TestMirrorMakerCopies shows that the recipe of the benchmarks' other side works.
func TestMirrorMakerCopies(t *testing.T) {
	brokers := kafka.BootAll(t, kafka.Options{Version: kafka.V44}, kafka.Options{Version: kafka.V44})
	c := kafka.OpenClient(t, kafka.V44)
	fill(t, c, brokers[0].Access(), "copied", 50)
	start := time.Now()
	mirror, err := kafka.StartMirror(t.Context(), kafka.MirrorOptions{
		Dir: t.TempDir(), Source: brokers[0].Addr(), Target: brokers[1].Addr(), Topics: "copied",
		Properties: map[string]string{"tasks.max": "1"},
	})
	lab.Check(t, err)
	t.Cleanup(func() {
		if err := mirror.Close(); err != nil {
			t.Log(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	m, err := c.Join(ctx, brokers[1].Access(), kafka.Membership{
		Group: "watch", Topics: []string{"primary.copied"}, Properties: map[string]string{"metadata.max.age.ms": "300"},
	})
	must(t, err)
	if err := m.WaitRecords(ctx, 50); err != nil {
		t.Fatalf("%d records after %v: %v", len(m.Records()), time.Since(start), err)
	}
	t.Logf("50 records after %v", time.Since(start))
	must(t, m.Stop(ctx))
}
