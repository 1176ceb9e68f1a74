package kafka_test

import (
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka"
	"github.com/understudy-dr/understudy/workload/kafka/kafkasim"
)

// sims starts two simulated clusters without authorizer.
func sims(t *testing.T) (e, w *kafkasim.Cluster) {
	t.Helper()
	start := func(id string, topics map[string]int32) *kafkasim.Cluster {
		c, err := kafkasim.Start(kafkasim.Options{ClusterID: id, Topics: topics})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	return start("east-id", map[string]int32{"orders": 2, "other": 1}), start("west-id", nil)
}

func TestSwitchoverAndHome(t *testing.T) {
	e, w := sims(t)
	h := newHouse(t, endpoints{
		east: {Brokers: []string{e.Addr()}}, west: {Brokers: []string{w.Addr()}},
	}, &kafka.Config{Topics: []string{"orders"}})
	switchoverAndHome(t, h, e.Addr(), w.Addr())
}

func switchoverAndHome(t *testing.T, h *house, eastAddr, westAddr string) {
	app := client(t, eastAddr)
	if err := load(t, app, "orders", 2, 100, "a"); err != nil {
		t.Fatal(err)
	}
	h.protect()
	h.takeover(understudy.Switchover, east, west)
	if len(h.proofs(understudy.ProofFence)) == 0 || len(h.proofs(understudy.ProofHalt)) == 0 || len(h.proofs(understudy.ProofDrain)) == 0 || len(h.proofs(understudy.ProofOpen)) == 0 {
		t.Fatal("a proof is missing")
	}
	moved := client(t, westAddr)
	if err := load(t, moved, "orders", 2, 50, "b"); err != nil {
		t.Fatal(err)
	}
	h.await("followed back", func() bool { return h.progress.State == understudy.Protected && h.progress.Link.From == west })
	h.walk(understudy.Commit, east, west, understudy.StageRelease)
	h.takeover(understudy.Switchover, west, east)
	if err := load(t, app, "orders", 2, 10, "c"); err != nil {
		t.Fatal(err)
	}
	h.await("followed again", func() bool { return h.progress.State == understudy.Protected && h.progress.Link.From == east })
}
