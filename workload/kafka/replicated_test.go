package kafka_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/kafka"
)

// stall lets the replicas of orders at a site no longer follow.
func (th theatre) stall(t *testing.T, s understudy.Site, back int64) func() {
	t.Helper()
	end, err := th.sims[s].Stall("orders", back)
	mustLoad(t, err)
	t.Cleanup(end)
	return end
}

// hasty writes a record onto the first partition of a topic in the east, as who is content with the leader.
func (th theatre) hasty(t *testing.T, topic, value string) error {
	t.Helper()
	cl := client(t, th.east, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	defer cl.Close()
	return cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr()
}

// mustFail demands that a stage fails with a code and a kind, and says something.
func (h *house) mustFail(verb understudy.Verb, name understudy.StageName, old, to understudy.Site, code understudy.Code, kind understudy.ErrorKind, says string) {
	h.t.Helper()
	err := h.stage(verb, name, old, to)
	e := (*understudy.Error)(nil)
	if !errors.As(err, &e) || e.Code != code || e.Kind != kind || !strings.Contains(e.Error(), says) {
		h.t.Fatalf("%s/%s: not %s (%s) with %q: %v", verb, name, code, kind, says, err)
	}
}

// warned says whether a receipt has a warning.
func (h *house) warned(text string) bool {
	return slices.ContainsFunc(h.receipts, func(r understudy.Receipt) bool { return strings.Contains(fmt.Sprint(r.Warnings), text) })
}

// quick is a clock that runs ten thousand times too fast: it goes on by twenty seconds whenever somebody looks.
func quick() func() time.Time {
	at := time.Now()
	return func() time.Time { at = at.Add(20 * time.Second); return at }
}

// TestASwitchoverWaitsForReplicas stops at the fence, and at the drain, for as long as a leader holds a record that its
// replicas do not have.
func TestASwitchoverWaitsForReplicas(t *testing.T) {
	th := simulated(t)
	h := newHouse(t, th.at, topics())
	mustLoad(t, load(t, client(t, th.east), "orders", 2, 10, "a"))
	h.protect()
	h.followed(east)
	end := th.stall(t, east, 0)
	mustLoad(t, th.hasty(t, "orders", "acknowledged"))
	h.begin(understudy.Switchover, understudy.StageCheck, east, west)
	kafka.SetClock(h.w, quick())
	h.mustFail(understudy.Switchover, understudy.StageFence, east, west, "US120", understudy.KindRefused, "1 offsets of orders-0")
	kafka.SetClock(h.w, time.Now)
	waits := make(chan error)
	go func() { waits <- h.stage(understudy.Switchover, understudy.StageFence, east, west) }()
	end()
	mustLoad(t, <-waits)
	end = th.stall(t, east, 1)
	kafka.SetClock(h.w, quick())
	h.mustFail(understudy.Switchover, understudy.StageDrain, east, west, "US120", understudy.KindRefused, "not replicated yet")
	kafka.SetClock(h.w, time.Now)
	end()
	h.walk(understudy.Switchover, east, west, understudy.StageDrain)
	h.unlink()
	h.walk(understudy.Switchover, east, west, understudy.StageHalt, understudy.StageCut, understudy.StagePromote)
	h.finish(understudy.Switchover, east, west)
	h.followed(west)
	if n := len(identical(t, th.east, th.west, "orders")); n != 21 {
		t.Errorf("%d records, not 21", n)
	}
}

// TestAFailoverSaysWhatIsNotReplicated goes on over such a record, and names it. A reprotect waits for the replicas, and saves
// the record to the ledger.
func TestAFailoverSaysWhatIsNotReplicated(t *testing.T) {
	th := simulated(t)
	h := newHouse(t, th.at, topics())
	mustLoad(t, load(t, client(t, th.east), "orders", 2, 10, "a"))
	h.protect()
	h.followed(east)
	end := th.stall(t, east, 0)
	mustLoad(t, th.hasty(t, "orders", "left behind"))
	h.takeover(understudy.Failover, east, west)
	if !h.warned("1 offsets of orders-0 among them on east: they may become visible there") {
		t.Error("the failover does not name the record")
	}
	mustLoad(t, load(t, client(t, th.west), "orders", 2, 5, "new"))
	h.walk(understudy.Commit, east, west, understudy.StageRelease)
	h.receipts = nil
	h.walk(understudy.Duty, east, west, understudy.StageFence)
	if !h.warned("not replicated yet") {
		t.Error("the standing duty does not name the record")
	}
	h.receipts = nil
	kafka.SetClock(h.w, quick())
	h.mustFail(understudy.Reprotect, understudy.StageFence, west, east, "US120", understudy.KindRefused, "not replicated yet")
	kafka.SetClock(h.w, time.Now)
	end()
	h.walk(understudy.Reprotect, west, east, understudy.StageFence, understudy.StageScan, understudy.StageLedger, understudy.StageGuard, understudy.StageResolve, understudy.StageReverse)
	if got := h.exported(); !slices.Equal(got, []string{"left behind"}) {
		t.Errorf("the ledger has %q", got)
	}
	h.link(west, east, true)
	h.followed(west)
	if n := len(identical(t, th.east, th.west, "orders")); n != 30 {
		t.Errorf("%d records, not 30", n)
	}
}

// TestAMarkerThatReplicasLackDoesNotCount has the leaders of the target hold halt markers that nobody else has yet, and those
// of the source the markers of an abort: what wants to see them waits, and no second one is written.
func TestAMarkerThatReplicasLackDoesNotCount(t *testing.T) {
	th := simulated(t)
	h := newHouse(t, th.at, topics())
	mustLoad(t, load(t, client(t, th.east), "orders", 2, 10, "a"))
	h.protect()
	h.begin(understudy.Switchover, understudy.StageCheck, east, west)
	h.walk(understudy.Switchover, east, west, understudy.StageFence, understudy.StageDrain)
	h.unlink()
	h.walk(understudy.Switchover, east, west, understudy.StageHalt)
	end := th.stall(t, west, 1)
	for _, s := range []understudy.StageName{understudy.StageHalt, understudy.StageCut, understudy.StagePromote} {
		h.mustFail(understudy.Switchover, s, east, west, "US114", understudy.KindRetry, "not replicated yet")
	}
	// It gets there between the look for it and the look at what is not replicated.
	th.sims[west].Watch(func(r kmsg.Request) {
		if r.Key() == int16(kmsg.OffsetForLeaderEpoch) {
			end()
		}
	})
	h.walk(understudy.Switchover, east, west, understudy.StageHalt, understudy.StageCut)
	h.walk(understudy.Abort, east, west, understudy.StageLevel)
	end = th.stall(t, east, 1)
	h.mustFail(understudy.Abort, understudy.StageLevel, east, west, "US114", understudy.KindRetry, "not replicated yet")
	end()
	h.walk(understudy.Abort, east, west, understudy.StageLevel)
	for _, addr := range []string{th.east, th.west} {
		ends, err := kadm.NewClient(client(t, addr)).ListEndOffsets(t.Context(), "orders")
		mustLoad(t, err)
		ends.Each(func(o kadm.ListedOffset) {
			if o.Offset != 11 {
				t.Errorf("%s: partition %d ends at %d, not one marker above ten records", addr, o.Partition, o.Offset)
			}
		})
	}
	h.setRole(h.role.Promoted(east))
	h.walk(understudy.Abort, east, west, understudy.StageUnfence, understudy.StageFollow)
	h.link(east, west, false)
	mustLoad(t, load(t, client(t, th.east), "orders", 2, 1, "after"))
	h.followed(east)
	identical(t, th.east, th.west, "orders")
}

// TestAFailoverIsNotHeldUpByAStamp stamps an old primary that takes no acknowledged write. A switchover stops there, and says
// what to do; a failover and the standing duty go on.
func TestAFailoverIsNotHeldUpByAStamp(t *testing.T) {
	th := simulated(t)
	h := newHouse(t, th.at, topics())
	h.protect()
	end, err := th.sims[east].Stall("__understudy", 0)
	mustLoad(t, err)
	defer end()
	h.begin(understudy.Failover, understudy.StageProvision, east, west)
	h.mustFail(understudy.Switchover, understudy.StageFence, east, west, "US121", understudy.KindRetry, "__understudy-0: fewer replicas are in sync")
	h.walk(understudy.Failover, east, west, understudy.StageFence)
	if !h.warned("east keeps the stamp that it has") {
		t.Error("the failover does not say that the stamp was not written")
	}
	h.receipts = nil
	h.walk(understudy.Duty, east, west, understudy.StageFence)
	if !h.warned("east keeps the stamp that it has") {
		t.Error("the duty does not say that the stamp was not written")
	}
}

// TestAPartitionWithoutALeaderIsNamed looks at a site of which one partition has no leader.
func TestAPartitionWithoutALeaderIsNamed(t *testing.T) {
	th := simulated(t)
	h := newHouse(t, th.at, topics())
	h.protect()
	adopt := th.sims[east].Orphan("orders", 1)
	at := h.observe().Sites[east]
	if at.Presence != workload.Unreachable || at.Error == nil || at.Error.Code != "US122" || at.Error.Object.Shard != "orders-1" {
		t.Errorf("the site is %s, with %v", at.Presence, at.Error)
	}
	h.mustFail(understudy.Switchover, understudy.StageCheck, east, west, "US122", understudy.KindRetry, "orders-1: the partition has no leader")
	adopt()
	h.walk(understudy.Switchover, east, west, understudy.StageCheck)
}
