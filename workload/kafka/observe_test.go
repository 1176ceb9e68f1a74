package kafka_test

import (
	"maps"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
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

// refusedLoginIsNoSilence gives a wrong password for the east, and wants it to be told so, and not that the east does not answer:
// it may let ordinary writers in, so a failover's fence wants the login mended, whoever gives their word.
func refusedLoginIsNoSilence(t *testing.T, at endpoints, addr string) {
	t.Helper()
	at = maps.Clone(at)
	at[east] = &kafka.Endpoint{Brokers: []string{addr}, SASL: &kafka.SASL{Mechanism: "PLAIN", User: "mover", Secret: "wrong"}}
	h := newHouse(t, at, topics())
	seen := h.observe()
	if s := seen.Sites[east]; s.Presence != workload.Present || s.Error == nil || s.Error.Code != "US102" || s.Writable != "unknown" {
		t.Errorf("east: %+v", s)
	}
	if !says(seen, east, "refuse", "the brokers refuse the login") || seen.Sites[west].Presence != workload.Present {
		t.Errorf("west: %+v; findings %+v", seen.Sites[west], seen.Findings)
	}
	if err := h.stage(understudy.Failover, understudy.StageFence, east, west); understudy.KindOf(err) != understudy.KindDenied {
		t.Errorf("the fence of a side that refuses us: %v", err)
	}
}

func TestARefusedLoginIsNoSilence(t *testing.T) {
	th := simulatedDenied(t)
	refusedLoginIsNoSilence(t, th.at, th.saslEast)
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

// TestDefaultsOfAnEmptyTarget protects into a cluster without a topic, whose brokers have other defaults: all that is copied has
// the source's value in effect there, also where that is Kafka's own default.
func TestDefaultsOfAnEmptyTarget(t *testing.T) {
	at := endpoints{}
	var addr string
	for s, o := range map[understudy.Site]kafkasim.Options{
		east: {ClusterID: "east"},
		west: {ClusterID: "west", BrokerConfigs: map[string]string{"min.insync.replicas": "2", "log.segment.bytes": "16777216", "log.index.interval.bytes": "8192"}},
	} {
		c, err := kafkasim.Start(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		at[s] = &kafka.Endpoint{Brokers: []string{c.Addr()}}
		if s == east {
			one := "1"
			_, err := kadm.NewClient(client(t, c.Addr())).CreateTopic(t.Context(), 1, 1, map[string]*string{"min.insync.replicas": &one}, "orders")
			mustLoad(t, err)
		} else {
			addr = c.Addr()
		}
	}
	h := newHouse(t, at, topics())
	h.walk(understudy.Protect, east, west, understudy.StageCreate)
	t.Logf("made with %v", settings(t, addr, "orders"))
	h.protect()
	got := settings(t, addr, "orders")
	for name, want := range map[string]string{"min.insync.replicas": "1", "segment.bytes": "1073741824", "index.interval.bytes": "4096"} {
		if got[name] != want {
			t.Errorf("%s is %q, not %s", name, got[name], want)
		}
	}
}
