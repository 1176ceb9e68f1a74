package kafka_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy"
	lab "github.com/understudy-dr/understudy/lab/kafka"
	"github.com/understudy-dr/understudy/workload/kafka"
)

// estate is two real clusters of several brokers, as users have them: two in the east, of which the first alone is a
// controller, and three in the west. Topics have a replica on each, and two must have a record.
type estate struct {
	sites map[understudy.Site]*lab.Cluster
}

func newEstate(t *testing.T) *estate {
	t.Helper()
	options := func(name understudy.Site, brokers int) lab.Options {
		return lab.Options{
			Version: lab.V44, Name: string(name), Brokers: brokers, Replication: brokers, MinInsync: 2,
			Authorizer: true, Users: map[string]string{"mover": "m", "app": "a"},
		}
	}
	all := lab.BootClusters(t, options(east, 2), options(west, 3))
	return &estate{sites: map[understudy.Site]*lab.Cluster{east: all[0], west: all[1]}}
}

// theatre gives both clusters with all brokers, the topics of the scenes and nothing else. An authorizer is there in any
// case; secure says that understudy and the application log in, and are no super users.
func (e *estate) theatre(t *testing.T, secure bool) theatre {
	t.Helper()
	th := theatre{at: endpoints{}, authorizer: secure, nodes: e.sites}
	first := func(s understudy.Site) *lab.Broker { return e.sites[s].Brokers[0] }
	th.east, th.west, th.saslEast, th.saslWest = first(east).Addr(), first(west).Addr(), first(east).SASLAddr(), first(west).SASLAddr()
	th.kill = func(s understudy.Site) {
		for _, b := range e.sites[s].Brokers {
			mustLoad(t, b.Kill())
		}
	}
	th.restart = func(s understudy.Site) { th.back(t, s) }
	for s, c := range e.sites {
		th.back(t, s)
		sweepOut(t, first(s).Addr(), true)
		th.at[s] = &kafka.Endpoint{Brokers: c.Addrs()}
		if secure {
			th.at[s] = secured(first(s).SASLAddr())
			grant(t, first(s).Addr())
		}
	}
	th.make(t)
	return th
}

// back starts the brokers of a site that do not run, and waits until all replicas are there again.
func (th theatre) back(t *testing.T, s understudy.Site) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var group errgroup.Group
	for _, b := range th.nodes[s].Brokers {
		if !b.Running() {
			group.Go(func() error { return b.Restart(ctx) })
		}
	}
	mustLoad(t, group.Wait())
	adm := kadm.NewClient(client(t, th.nodes[s].Brokers[0].Addr()))
	eventually(t, "all replicas are in sync", func() bool {
		topics, err := adm.ListTopicsWithInternal(ctx)
		if err != nil {
			return false
		}
		whole := true
		topics.EachPartition(func(d kadm.PartitionDetail) { whole = whole && d.Leader > 0 && len(d.ISR) == len(d.Replicas) })
		return whole
	})
}

// leaders are the node ids that lead a topic's partitions now.
func (th theatre) leaders(t *testing.T, s understudy.Site, topic string) []int32 {
	t.Helper()
	topics, err := kadm.NewClient(client(t, th.nodes[s].Brokers[0].Addr())).ListTopics(t.Context(), topic)
	mustLoad(t, err)
	var out []int32
	for _, d := range topics[topic].Partitions.Sorted() {
		out = append(out, d.Leader)
	}
	return out
}

// killLeader kills a broker of a site that leads a partition of orders, but not the first one, which clients dial.
func (th theatre) killLeader(t *testing.T, s understudy.Site) *lab.Broker {
	t.Helper()
	adm := kadm.NewClient(client(t, th.nodes[s].Brokers[0].Addr()))
	var led []int32
	var i int
	// A broker whose heartbeat was late has lost what it led; the replicas that come first lie on several brokers.
	eventually(t, "another broker than the first leads a partition of orders", func() bool {
		led = th.leaders(t, s, "orders")
		if i = slices.IndexFunc(led, func(id int32) bool { return id > 1 }); i >= 0 {
			return true
		}
		_, err := adm.ElectLeaders(t.Context(), kadm.ElectPreferredReplica, nil)
		return err != nil && t.Context().Err() != nil
	})
	b := th.nodes[s].Node(led[i])
	mustLoad(t, b.Kill())
	return b
}

// TestRealBrokers plays scenes where each site has several brokers, and leaders that move.
func TestRealBrokers(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	for _, s := range []struct {
		name   string
		secure bool
		play   func(*testing.T, theatre)
	}{
		{"switchover and home", false, switchoverAndHome},
		{"denied switchover", true, deniedSwitchover},
		{"zombie after takeover", false, zombieAfterTakeover},
		{"leaders move in a switchover", false, leadersMoveInASwitchover},
		{"leaders move in a failover", false, leadersMoveInAFailover},
		{"what is not replicated is waited for", true, unreplicatedIsWaitedFor},
	} {
		t.Run(s.name, func(t *testing.T) { s.play(t, e.theatre(t, s.secure)) })
	}
}

// onThree has topics with a replica on each broker of the west.
func onThree() *kafka.Config {
	return &kafka.Config{Topics: []string{"orders", "idle"}, Replication: 3}
}

// during kills a broker between a stage's decision and its first step, once.
func (h *house) during(kill func()) {
	h.afterDecide = func() {
		h.afterDecide = nil
		kill()
	}
}

// leadersMoveInASwitchover kills a leader of the secondary while it is mirrored, and another in the middle of the halt: the
// rest goes on by itself. On the way home a leader of the fenced side dies in the middle of the fence, and at home, where two
// of two must have a record, one in the middle of the halt: that waits for its return.
func leadersMoveInASwitchover(t *testing.T, th theatre) {
	h := newHouse(t, th.at, onThree())
	h.tries = 600
	seen := h.causes()
	app := client(t, th.east)
	mustLoad(t, load(t, app, "orders", 2, 100, "a"))
	h.protect()
	th.killLeader(t, west)
	mustLoad(t, load(t, app, "orders", 2, 100, "b"))
	h.followed(east)
	th.back(t, west)

	h.begin(understudy.Switchover, understudy.StageCheck, east, west)
	h.walk(understudy.Switchover, east, west, understudy.StageFence, understudy.StageDrain)
	h.unlink()
	h.during(func() { th.killLeader(t, west) })
	h.walk(understudy.Switchover, east, west, understudy.StageHalt, understudy.StageCut, understudy.StagePromote)
	h.finish(understudy.Switchover, east, west)
	mustLoad(t, load(t, client(t, th.west), "orders", 2, 50, "c"))
	h.followed(west)
	h.mustCompare(understudy.Match)
	h.walk(understudy.Commit, east, west, understudy.StageRelease)
	th.back(t, west)

	h.begin(understudy.Switchover, understudy.StageCheck, west, east)
	h.during(func() { th.killLeader(t, west) })
	h.walk(understudy.Switchover, west, east, understudy.StageFence, understudy.StageDrain)
	h.unlink()
	var dead *lab.Broker
	h.during(func() { dead = th.killLeader(t, east) })
	waits := make(chan error)
	go func() { waits <- h.stage(understudy.Switchover, understudy.StageHalt, west, east) }()
	eventually(t, "the halt waits for the second replica", func() bool { return seen("NOT_ENOUGH_REPLICAS") })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	mustLoad(t, dead.Restart(ctx))
	mustLoad(t, <-waits)
	h.walk(understudy.Switchover, west, east, understudy.StageCut, understudy.StagePromote)
	h.finish(understudy.Switchover, west, east)
	mustLoad(t, load(t, client(t, th.east), "orders", 2, 10, "d"))
	h.followed(east)
	if n := len(identical(t, th.east, th.west, "orders")); n != 520 {
		t.Fatalf("%d records, not 520", n)
	}
	h.mustCompare(understudy.Match)
}

// causes says whether a step was tried again for a cause.
func (h *house) causes() func(string) bool {
	h.t.Helper()
	all := map[string]bool{}
	h.onRetry = func(err error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if e := understudy.AsError(err); !all[e.Error()] {
			h.t.Logf("   tried again: %v", e)
			all[e.Error()] = true
		}
	}
	return func(text string) bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		for said := range all {
			if strings.Contains(said, text) {
				return true
			}
		}
		return false
	}
}

// leadersMoveInAFailover loses the primary, and a leader of the secondary in the middle of the halt. When the primary is
// back, what it lost is saved, and its topic is made anew with all replicas.
func leadersMoveInAFailover(t *testing.T, th theatre) {
	h := newHouse(t, th.at, onThree())
	h.tries = 600
	h.causes()
	app := client(t, th.east)
	mustLoad(t, load(t, app, "orders", 2, 50, "a"))
	h.protect()
	h.followed(east)
	h.unlink()
	mustLoad(t, load(t, app, "orders", 2, 3, "lost"))
	th.kill(east)
	h.begin(understudy.Failover, understudy.StageProvision, east, west)
	h.walk(understudy.Failover, east, west, understudy.StageFence, understudy.StageSalvage)
	h.during(func() { th.killLeader(t, west) })
	h.walk(understudy.Failover, east, west, understudy.StageHalt, understudy.StageCut, understudy.StagePromote)
	h.finish(understudy.Failover, east, west)
	mustLoad(t, load(t, client(t, th.west), "orders", 2, 5, "new"))
	h.walk(understudy.Commit, east, west, understudy.StageRelease)
	th.restart(east)
	h.walk(understudy.Duty, east, west, understudy.StageFence)
	if err := load(t, client(t, th.east), "orders", 1, 1, "stray"); err == nil {
		t.Fatal("the old primary still takes writes")
	}
	h.receipts = nil
	h.walk(understudy.Reprotect, west, east, understudy.StageFence, understudy.StageScan, understudy.StageLedger, understudy.StageGuard, understudy.StageResolve, understudy.StageReverse)
	if n := len(h.exported()); n != 6 {
		t.Fatalf("the ledger has %d records, not 6", n)
	}
	h.link(west, east, true)
	h.followed(west)
	if n := len(identical(t, th.east, th.west, "orders")); n != 110 {
		t.Fatalf("%d records, not 110", n)
	}
	h.mustCompare(understudy.Match)
}
