package kafka_test

import (
	"context"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/lab"
	"github.com/understudy-dr/understudy/lab/kafka"
)

// mirrorMakerCopies shows that the recipe of the benchmarks' other side works.
func mirrorMakerCopies(t *testing.T, s *stage) {
	c := s.newClient
	fill(t, c, s.old.Access(), "copied", 50)
	start := time.Now()
	mirror, err := kafka.StartMirror(t.Context(), kafka.MirrorOptions{
		Dir: t.TempDir(), Source: s.old.Addr(), Target: s.new.Addr(), Topics: "copied",
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
	m, err := c.Join(ctx, s.new.Access(), kafka.Membership{
		Group: "watch", Topics: []string{"primary.copied"}, Properties: map[string]string{"metadata.max.age.ms": "300"},
	})
	must(t, err)
	if err := m.WaitRecords(ctx, 50); err != nil {
		t.Fatalf("%d records after %v: %v", len(m.Records()), time.Since(start), err)
	}
	t.Logf("50 records after %v", time.Since(start))
	must(t, m.Stop(ctx))
}
