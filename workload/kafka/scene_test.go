package kafka_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/understudy-dr/understudy"
	lab "github.com/understudy-dr/understudy/lab/kafka"
	"github.com/understudy-dr/understudy/workload/kafka"
	"github.com/understudy-dr/understudy/workload/kafka/kafkasim"
)

// theatre is two clusters and how to take one of them away.
type theatre struct {
	at         endpoints
	east, west string
	// authorizer says that the sites have one; then applications log in at the other two addresses.
	authorizer         bool
	saslEast, saslWest string
	kill               func(understudy.Site)
	restart            func(understudy.Site)
	// sims are the clusters, where they are simulated.
	sims map[understudy.Site]*kafkasim.Cluster
	// way is another path to the western cluster, and anew gives both without anything on them, where they are real.
	way  way
	anew func(*testing.T) theatre
	// nodes are the brokers of both, where each has several.
	nodes map[understudy.Site]*lab.Cluster
}

// simulated starts two simulated clusters without authorizer.
func simulated(t *testing.T) theatre {
	t.Helper()
	start := func(id string, topics map[string]int32) *kafkasim.Cluster {
		c, err := kafkasim.Start(kafkasim.Options{ClusterID: id, Topics: topics})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	all := map[understudy.Site]*kafkasim.Cluster{east: start("east-id", map[string]int32{"orders": 2, "idle": 1}), west: start("west-id", nil)}
	return theatre{
		at:   endpoints{east: {Brokers: []string{all[east].Addr()}}, west: {Brokers: []string{all[west].Addr()}}},
		east: all[east].Addr(), west: all[west].Addr(),
		kill: func(s understudy.Site) { all[s].Kill() },
		restart: func(s understudy.Site) {
			if err := all[s].Restart(); err != nil {
				t.Fatal(err)
			}
		},
		sims: all,
	}
}

func topics() *kafka.Config { return &kafka.Config{Topics: []string{"orders", "idle"}} }

func TestSwitchoverAndHome(t *testing.T) { switchoverAndHome(t, simulated(t)) }

func switchoverAndHome(t *testing.T, th theatre) {
	h := newHouse(t, th.at, topics())
	app := client(t, th.east)
	mustLoad(t, load(t, app, "orders", 2, 100, "a"))
	before := settings(t, th.east, "orders")
	h.protect()
	h.takeover(understudy.Switchover, east, west)
	for _, kind := range []understudy.ProofKind{understudy.ProofFence, understudy.ProofHalt, understudy.ProofDrain, understudy.ProofOpen} {
		if len(h.proofs(kind)) == 0 {
			t.Fatalf("no proof of %s", kind)
		}
	}
	moved := client(t, th.west)
	mustLoad(t, load(t, moved, "orders", 2, 50, "b"))
	h.followed(west)
	identical(t, th.east, th.west, "orders")
	h.walk(understudy.Commit, east, west, understudy.StageRelease)
	asBefore(t, th.west, before)
	h.takeover(understudy.Switchover, west, east)
	mustLoad(t, load(t, app, "orders", 2, 10, "c"))
	h.followed(east)
	if n := len(identical(t, th.east, th.west, "orders")); n != 320 {
		t.Fatalf("%d records, not 320", n)
	}
	h.walk(understudy.Commit, west, east, understudy.StageRelease)
	asBefore(t, th.east, before)
}

// asBefore waits until a broker has heard that the settings of orders are what they were before.
func asBefore(t *testing.T, addr string, before map[string]string) {
	t.Helper()
	eventually(t, "the settings are as before", func() bool {
		diff := cmp.Diff(before, settings(t, addr, "orders"))
		if diff != "" {
			t.Logf("settings (-before +now):\n%s", diff)
		}
		return diff == ""
	})
}

func mustLoad(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// followed waits until the link from a site holds everything that is there now.
func (h *house) followed(from understudy.Site) {
	h.t.Helper()
	to := east
	if from == east {
		to = west
	}
	h.await("followed from "+string(from), func() bool { return h.progress.State == understudy.Protected && h.progress.Link.From == from })
	h.awaitEvery(100*time.Millisecond, "even", func() bool { // a look at both sites is some forty requests
		seen, err := h.w.Observe(h.ctx)
		if err != nil {
			return false
		}
		f := seen.Facts.(*kafka.Facts)
		if f.Sites[from] == nil || f.Sites[to] == nil {
			return false
		}
		for name, topic := range f.Sites[from].Topics {
			there := f.Sites[to].Topics[name]
			if there == nil || len(there.Partitions) != len(topic.Partitions) {
				return false
			}
			for i := range topic.Partitions {
				if topic.Partitions[i].End != there.Partitions[i].End {
					return false
				}
			}
		}
		return true
	})
}

func TestFailoverLedgerAndReprotect(t *testing.T) { failoverLedgerAndReprotect(t, simulated(t)) }

func failoverLedgerAndReprotect(t *testing.T, th theatre) {
	h := newHouse(t, th.at, topics())
	app := client(t, th.east)
	mustLoad(t, load(t, app, "orders", 2, 100, "a"))
	h.protect()
	h.followed(east)
	h.unlink() // what comes now is not copied before the primary dies
	mustLoad(t, load(t, app, "orders", 1, 7, "lost"))
	th.kill(east)
	h.takeover(understudy.Failover, east, west)
	moved := client(t, th.west)
	mustLoad(t, load(t, moved, "orders", 2, 5, "new"))
	h.walk(understudy.Commit, east, west, understudy.StageRelease)

	th.restart(east)
	h.walk(understudy.Duty, east, west, understudy.StageFence)
	if err := load(t, client(t, th.east), "orders", 1, 1, "stray"); err == nil {
		t.Fatal("the old primary still takes writes")
	}
	h.receipts = nil
	most := h.atMost(west, east)
	h.walk(understudy.Reprotect, west, east, understudy.StageFence, understudy.StageScan, understudy.StageLedger)
	if p := h.proofs(understudy.ProofLedger); len(p) == 0 || p[0].Site != east {
		t.Fatalf("ledger proof: %v", p)
	}
	values := h.exported()
	if len(values) != 7 || values[0] != "lost-0-0" || values[6] != "lost-0-6" {
		t.Fatalf("the ledger has %q", values)
	}
	h.walk(understudy.Reprotect, west, east, understudy.StageGuard, understudy.StageResolve, understudy.StageReverse)
	h.link(west, east, true)
	h.followed(west)
	if n := len(identical(t, th.east, th.west, "orders")); n != 210 {
		t.Fatalf("%d records, not 210", n)
	}
	h.remade(t, 1) // only the one that diverged
	for _, s := range h.steps {
		var a struct{ Need int64 }
		if s.Kind != "topic.remake" {
			continue
		}
		if err := json.Unmarshal(s.Args, &a); err != nil || a.Need == 0 || a.Need > most {
			t.Fatalf("%d bytes were copied again, and at most %d were said before (%v)", a.Need, most, err)
		}
	}
}

// atMost gives the bytes that a reprotect says, in a dry run, it may have to copy again.
func (h *house) atMost(old, to understudy.Site) (bytes int64) {
	h.t.Helper()
	h.walk(understudy.Reprotect, old, to, understudy.StageResolve) // no ledger yet, as in a dry run
	_, said, _ := strings.Cut(h.steps[len(h.steps)-1].Summary, "at most 2 topics, ")
	if _, err := fmt.Sscanf(said, "%d bytes to be copied again", &bytes); err != nil {
		h.t.Fatalf("a dry run says %q", h.steps[len(h.steps)-1].Summary)
	}
	return bytes
}

// exported gives the values of the records in the ledger.
func (h *house) exported() []string {
	h.t.Helper()
	var out []string
	err := kafka.Kind().ExportLedger(h.ctx, h.ledger, func(line []byte) error {
		var r struct{ Value []byte }
		err := json.NewDecoder(bytes.NewReader(line)).Decode(&r)
		out = append(out, string(r.Value))
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func TestAbortAfterHalt(t *testing.T) { abortAfterHalt(t, simulated(t)) }

func abortAfterHalt(t *testing.T, th theatre) {
	h := newHouse(t, th.at, topics())
	app := client(t, th.east)
	mustLoad(t, load(t, app, "orders", 2, 100, "a"))
	h.protect()
	before := settings(t, th.east, "orders")
	h.walk(understudy.Switchover, east, west, understudy.StageCheck)
	h.setRole(h.role.Fenced())
	h.walk(understudy.Switchover, east, west, understudy.StageFence, understudy.StageDrain)
	h.unlink()
	h.walk(understudy.Switchover, east, west, understudy.StageHalt, understudy.StageCut)
	h.walk(understudy.Abort, east, west, understudy.StageLevel)
	if len(h.proofs(understudy.ProofLevel)) == 0 || len(h.proofs(understudy.ProofNeverEnabled)) == 0 {
		t.Fatal("a proof is missing")
	}
	h.setRole(h.role.Promoted(east))
	h.walk(understudy.Abort, east, west, understudy.StageUnfence, understudy.StageFollow)
	h.link(east, west, false)
	mustLoad(t, load(t, app, "orders", 2, 10, "after"))
	h.followed(east)
	if n := len(identical(t, th.east, th.west, "orders")); n != 220 {
		t.Fatalf("%d records, not 220", n)
	}
	if diff := cmp.Diff(before, settings(t, th.east, "orders")); diff != "" {
		t.Fatalf("settings after abort (-before +now):\n%s", diff)
	}
}

func TestLateStepsReadTheRole(t *testing.T) {
	th := simulated(t)
	h := newHouse(t, th.at, topics())
	h.protect()
	h.walk(understudy.Switchover, east, west, understudy.StageCheck)
	h.setRole(h.role.Fenced())
	h.walk(understudy.Switchover, east, west, understudy.StageFence, understudy.StageDrain)
	h.unlink()
	h.walk(understudy.Switchover, east, west, understudy.StageHalt, understudy.StageCut)
	promoted := h.role.Promoted(west)
	h.setRole(promoted)
	h.afterDecide = func() { h.setRole(promoted.Fenced()) }
	err := h.stage(understudy.Switchover, understudy.StageEnable, east, west)
	if e := (*understudy.Error)(nil); !errors.As(err, &e) || e.Code != "US115" {
		t.Fatalf("a late step did not see that the role had changed: %v", err)
	}
}

func TestLeaseOverSendsNothing(t *testing.T) {
	th := simulated(t)
	h := newHouse(t, th.at, topics())
	h.protect()
	h.lease = func() understudy.Lease {
		return understudy.Lease{Term: 1, Deadline: func() time.Time { return time.Now().Add(-time.Second) }}
	}
	h.setRole(h.role.Fenced())
	err := h.stage(understudy.Switchover, understudy.StageFence, east, west)
	if understudy.KindOf(err) != understudy.KindFenced {
		t.Fatalf("a step ran without a lease: %v", err)
	}
	if err := load(t, client(t, th.east), "orders", 1, 1, "still open"); err != nil {
		t.Fatalf("the site was fenced although the lease was over: %v", err)
	}
}
