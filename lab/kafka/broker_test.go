package kafka_test

import (
	"context"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/lab/kafka"
)

// bootBoth starts a broker of each version side by side.
func bootBoth(t *testing.T) []*kafka.Broker {
	t.Helper()
	start := time.Now()
	brokers := kafka.BootAll(t, kafka.Options{Version: kafka.V39, Name: "east"}, kafka.Options{Version: kafka.V44, Name: "west"})
	t.Logf("both ready after %v", time.Since(start))
	return brokers
}

func TestBoot(t *testing.T) {
	for _, b := range bootBoth(t) {
		if err := b.Kill(); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := b.Restart(context.Background()); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s restarted after %v", b.Version(), time.Since(start))
		start = time.Now()
		if err := b.Restart(context.Background()); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s stopped and started after %v", b.Version(), time.Since(start))
	}
}
