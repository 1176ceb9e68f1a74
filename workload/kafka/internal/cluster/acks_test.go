package cluster_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy/workload/kafka/kafkasim"
)

// TestAcksAreWhatTheyAreCalled looks at what brokers are sent: the client library puts acks of its own into each request. A
// broker that dies in between is found again.
func TestAcksAreWhatTheyAreCalled(t *testing.T) {
	sim, c := start(t, kafkasim.Options{Topics: map[string]int32{"orders": 1}})
	var mu sync.Mutex
	var acks []int16
	sim.Watch(func(r kmsg.Request) {
		if p, ok := r.(*kmsg.ProduceRequest); ok {
			mu.Lock()
			defer mu.Unlock()
			acks = append(acks, p.Acks)
		}
	})
	p, b := orders(t, c), encoded(t, "a")
	if a, err := c.ProduceToLeader(t.Context(), lease(), p, b); err != nil || a.Code != 0 || a.Base != 0 {
		t.Errorf("to the leader: %+v, %v", a, err)
	}
	if a, err := c.Produce(t.Context(), lease(), p, b); err != nil || a.Code != 0 || a.Base != 1 {
		t.Errorf("to all: %+v, %v", a, err)
	}
	sim.Kill()
	if _, err := c.ProduceToLeader(t.Context(), lease(), p, b); err == nil {
		t.Error("a dead broker answered")
	}
	if err := sim.Restart(); err != nil {
		t.Fatal(err)
	}
	if a, err := c.ProduceToLeader(t.Context(), lease(), p, b); err != nil || a.Code != 0 || a.Base != 2 {
		t.Errorf("after its return: %+v, %v", a, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(acks, []int16{1, -1, 1}) {
		t.Errorf("acks were %v", acks)
	}
}
