package kafka_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/understudy-dr/understudy"
)

// TestAbortBeforeHalt shows that a fence alone leaves nothing to level, also when the link lags.
func TestAbortBeforeHalt(t *testing.T) {
	th := simulated(t)
	h := newHouse(t, th.at, topics())
	app := client(t, th.east)
	mustLoad(t, load(t, app, "orders", 2, 10, "a"))
	h.protect()
	h.followed(east)
	h.unlink()
	mustLoad(t, load(t, app, "orders", 2, 10, "late"))
	h.setRole(h.role.Fenced())
	h.walk(understudy.Switchover, east, west, understudy.StageFence)
	h.walk(understudy.Abort, east, west, understudy.StageLevel, understudy.StageRestore)
	h.setRole(h.role.Promoted(east))
	h.walk(understudy.Abort, east, west, understudy.StageUnfence, understudy.StageFollow)
	h.link(east, west, false)
	mustLoad(t, load(t, app, "orders", 2, 10, "after"))
	h.followed(east)
	if n := len(identical(t, th.east, th.west, "orders")); n != 60 {
		t.Fatalf("%d records, not 60", n)
	}
	h.remade(t, 0)
}

func TestAbortOfFailover(t *testing.T) { abortOfFailover(t, simulated(t)) }

// abortOfFailover shows that a topic of which the target was cut short is copied anew.
func abortOfFailover(t *testing.T, th theatre) {
	h := newHouse(t, th.at, topics())
	app := client(t, th.east)
	mustLoad(t, load(t, app, "orders", 2, 10, "a"))
	h.protect()
	h.followed(east)
	h.unlink()
	mustLoad(t, load(t, app, "orders", 1, 1, "not copied"))
	th.kill(east)
	h.walk(understudy.Failover, east, west, understudy.StageProvision)
	h.setRole(h.role.Fenced())
	h.walk(understudy.Failover, east, west, understudy.StageFence, understudy.StageSalvage, understudy.StageHalt, understudy.StageCut)
	th.restart(east)
	h.walk(understudy.Abort, east, west, understudy.StageLevel, understudy.StageRestore)
	h.setRole(h.role.Promoted(east))
	h.walk(understudy.Abort, east, west, understudy.StageUnfence, understudy.StageFollow)
	h.link(east, west, false)
	h.followed(east)
	if n := len(identical(t, th.east, th.west, "orders")); n != 21 {
		t.Fatalf("%d records, not 21", n)
	}
	h.remade(t, 1)
}

// remade demands that so many topics were made anew.
func (h *house) remade(t *testing.T, want int) {
	t.Helper()
	n := 0
	for _, s := range h.steps {
		if s.Kind == "topic.remake" {
			n++
		}
	}
	if n != want {
		t.Fatalf("%d topics were made anew, not %d", n, want)
	}
}

// TestFailoverSupersedesAHaltedSwitchover shows that the cut stays where the mover was halted first.
func TestFailoverSupersedesAHaltedSwitchover(t *testing.T) {
	th := simulated(t)
	h := newHouse(t, th.at, topics())
	mustLoad(t, load(t, client(t, th.east), "orders", 2, 10, "a"))
	h.protect()
	h.followed(east)
	h.setRole(h.role.Fenced())
	h.walk(understudy.Switchover, east, west, understudy.StageFence, understudy.StageDrain)
	h.unlink()
	h.walk(understudy.Switchover, east, west, understudy.StageHalt)
	h.setRole(h.role.Fenced())
	h.walk(understudy.Failover, east, west, understudy.StageFence, understudy.StageSalvage, understudy.StageHalt, understudy.StageCut, understudy.StagePromote)
	var cut struct{ Offsets map[string][]int64 }
	if err := json.Unmarshal(h.kept["cut"], &cut); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string][]int64{"orders": {10, 10}, "idle": {0}}, cut.Offsets); diff != "" {
		t.Fatalf("cut (-want +got):\n%s", diff)
	}
}
