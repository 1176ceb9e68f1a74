package kafka

import (
	"testing"

	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

// The broker that is asked for what any of them knows is the same one at each look.
func TestTheSameBrokerIsAskedEachTime(t *testing.T) {
	md := cluster.Metadata{Brokers: map[int32]string{}}
	for id := int32(30); id > 2; id-- {
		md.Brokers[id] = "b"
	}
	for range 20 {
		if f := factsFrom(md); f.broker != 3 || f.Brokers != 28 {
			t.Fatalf("broker %d of %d", f.broker, f.Brokers)
		}
	}
}
