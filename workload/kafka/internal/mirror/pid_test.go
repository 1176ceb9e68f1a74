package mirror

import (
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

func TestPID(t *testing.T) {
	link := understudy.Link{Plan: "p", Workload: "w", From: "east", To: "west"}
	back := understudy.Link{Plan: "p", Workload: "w", From: "west", To: "east"}
	a, b := PID("cluster", link), PID("cluster", back)
	if a == b || a == PID("other", link) || a != PID("cluster", link) {
		t.Fatal("the id must name the source cluster and the link, and nothing else")
	}
	for _, p := range []int64{a, b} {
		if p < 1<<62 || !cluster.Ours(p) {
			t.Errorf("%x is not in our range", p)
		}
	}
	if cluster.Ours(0) || cluster.Ours(-1) || cluster.Ours(1<<48) {
		t.Error("an application's id passes for ours")
	}
}

func TestProducerEpoch(t *testing.T) {
	for _, e := range []understudy.RoleEpoch{0, 1, MaxEpoch} {
		if got, err := ProducerEpoch(e); err != nil || understudy.RoleEpoch(got) != e {
			t.Errorf("epoch %d: %d %v", e, got, err)
		}
	}
	for _, e := range []understudy.RoleEpoch{-1, MaxEpoch + 1, 1 << 16} {
		if _, err := ProducerEpoch(e); err == nil || understudy.AsError(err).Code != "US147" {
			t.Errorf("epoch %d was accepted", e)
		}
	}
}
