package kafka_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/kafka"
	"github.com/understudy-dr/understudy/workload/kafka/kafkasim"
)

// TestASilentSiteIsUnreachable shows that a site which accepts connections but never answers is given up after a
// few seconds, while the other one is seen.
func TestASilentSiteIsUnreachable(t *testing.T) {
	all := map[understudy.Site]*kafkasim.Cluster{}
	at := endpoints{}
	for _, s := range []understudy.Site{east, west} {
		c, err := kafkasim.Start(kafkasim.Options{ClusterID: string(s), Topics: map[string]int32{"orders": 2}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		all[s], at[s] = c, &kafka.Endpoint{Brokers: []string{c.Addr()}}
	}
	h := newHouse(t, at, topics())
	gate := all[east].Pause(func(kmsg.Request) bool { return true })
	defer gate.Release()
	began := time.Now()
	seen := h.observe()
	if took := time.Since(began); took > 6*time.Second {
		t.Fatalf("it took %s", took)
	}
	if s := seen.Sites[east]; s.Presence != workload.Unreachable || s.Error == nil || s.Writable != "unknown" {
		t.Fatalf("east: %+v", s)
	}
	if s := seen.Sites[west]; s.Presence != workload.Present || s.Identity != "west" || s.Writable != "open" {
		t.Fatalf("west: %+v", s)
	}
}

func TestObserveChangesNothing(t *testing.T) {
	th := simulated(t)
	h := newHouse(t, th.at, topics())
	h.protect()
	h.unlink()
	before := map[string]map[string]string{th.east: settings(t, th.east, "orders"), th.west: settings(t, th.west, "orders")}
	first := h.observe()
	second := h.observe()
	if first.HighestEpoch != second.HighestEpoch || first.Stamp[west] == nil || !first.Stamp[west].Role.Equal(h.role) {
		t.Fatalf("stamps %+v, epochs %d and %d", first.Stamp, first.HighestEpoch, second.HighestEpoch)
	}
	for addr, was := range before {
		if now := settings(t, addr, "orders"); len(now) != len(was) || now["max.message.bytes"] != was["max.message.bytes"] {
			t.Fatalf("settings changed: %v, now %v", was, now)
		}
	}
}
