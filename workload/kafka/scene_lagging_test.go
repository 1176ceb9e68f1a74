package kafka_test

import (
	"context"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
)

// TestALeaderThatLagsIsNotFenced proves a fence where a leader has not heard yet that the limit of one marker became one of
// nothing: it would still take a small record. The proof waits for it.
func TestALeaderThatLagsIsNotFenced(t *testing.T) {
	th := simulated(t)
	h := newHouse(t, th.at, topics())
	mustLoad(t, load(t, client(t, th.east), "orders", 2, 5, "a"))
	h.protect()
	h.walk(understudy.Switchover, east, west, understudy.StageCheck)
	h.setRole(h.role.Fenced())
	h.walk(understudy.Switchover, east, west, understudy.StageFence)
	prove := h.steps[slices.IndexFunc(h.steps, func(s understudy.Step) bool { return s.Kind == "fence.prove" })]
	run := understudy.Run{
		Operation: "op-1", Verb: understudy.Switchover, Attempt: 1, ControlPlane: h.plane, Now: h.role, Lease: lease(),
		Role: func(context.Context) (understudy.Role, error) { return h.role, nil }, Report: func(understudy.StepProgress) {},
	}
	limit := func(value string) {
		t.Helper()
		change := []kadm.AlterConfig{{Name: "max.message.bytes", Value: &value}}
		if _, err := kadm.NewClient(client(t, th.east)).AlterTopicConfigs(t.Context(), change, "orders"); err != nil {
			t.Fatal(err)
		}
	}
	limit("78")
	probes := func() int { return th.sims[east].Count(kmsg.Produce) }
	before, proven := probes(), make(chan error, 1)
	go func() {
		_, err := h.w.Do(h.ctx, prove, run)
		proven <- err
	}()
	eventually(t, "the partitions were probed again", func() bool { return probes() >= before+7 || len(proven) > 0 })
	if len(proven) > 0 {
		t.Fatalf("a fence was proven over a limit of one marker (%v)", <-proven)
	}
	limit("0")
	if err := <-proven; err != nil {
		t.Fatal(err)
	}
}
