package kafka_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/understudy-dr/understudy"
	lab "github.com/understudy-dr/understudy/lab/kafka"
	"github.com/understudy-dr/understudy/lab/proxy"
	"github.com/understudy-dr/understudy/workload/kafka"
)

// pair is two real clusters of one version, which play one scene after another: a boot costs more than most scenes.
type pair struct {
	brokers    map[understudy.Site]*lab.Broker
	authorizer bool
	// way is another path to the western one.
	way way
}

// way is a path to a broker on which bytes are counted and requests can be held back.
type way struct {
	*proxy.Proxy
	gate *lab.Gate
}

// Forward makes it a lab.Link.
func (w way) Forward(addr string) {
	w.gate.Forward(addr)
	w.Proxy.Forward(w.gate.Addr())
}

func newWay(t *testing.T) way {
	t.Helper()
	gate, err := lab.OpenGate()
	mustLoad(t, err)
	t.Cleanup(func() { mustClose(t, gate) })
	path, err := proxy.Listen("127.0.0.1:0")
	mustLoad(t, err)
	t.Cleanup(func() { mustClose(t, path) })
	return way{path, gate}
}

func mustClose(t *testing.T, c io.Closer) {
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// newPair boots both, with topics made when they are asked for, as Kafka has it where nobody says otherwise. With
// authorizer, understudy is User:mover, and the application User:app; neither is a super user.
func newPair(t *testing.T, version string, authorizer bool) *pair {
	t.Helper()
	p := &pair{authorizer: authorizer, way: newWay(t)}
	options := func(name string) lab.Options {
		o := lab.Options{Version: version, Name: name}
		if authorizer {
			o.Authorizer, o.Users = true, map[string]string{"mover": "m", "app": "a"}
			return o
		}
		o.Properties = map[string]string{"auto.create.topics.enable": "true"}
		if name == string(west) {
			o.WAN = p.way
		}
		return o
	}
	all := lab.BootAll(t, options(string(east)), options(string(west)))
	p.brokers = map[understudy.Site]*lab.Broker{east: all[0], west: all[1]}
	return p
}

// theatre gives both clusters with the topics of the scenes on the first primary, and without anything that an earlier scene
// left.
func (p *pair) theatre(t *testing.T) theatre {
	t.Helper()
	th := theatre{at: endpoints{}, east: p.brokers[east].Addr(), west: p.brokers[west].Addr(), saslEast: p.brokers[east].SASLAddr(), saslWest: p.brokers[west].SASLAddr()}
	th.authorizer, th.way, th.anew = p.authorizer, p.way, p.theatre
	th.kill = func(s understudy.Site) {
		if err := p.brokers[s].Kill(); err != nil {
			t.Fatal(err)
		}
	}
	th.restart = func(s understudy.Site) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.brokers[s].Restart(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for s, b := range p.brokers {
		if !b.Running() {
			th.restart(s)
		}
		sweepOut(t, b.Addr(), p.authorizer)
		th.at[s] = &kafka.Endpoint{Brokers: []string{b.Addr()}}
		if p.authorizer {
			th.at[s] = secured(b.SASLAddr())
			grant(t, b.Addr())
		}
	}
	th.make(t)
	return th
}

// sweepOut removes everybody's topics, groups and rules from a cluster.
func sweepOut(t *testing.T, addr string, authorizer bool) {
	t.Helper()
	adm := kadm.NewClient(client(t, addr))
	topics, err := adm.ListTopics(t.Context())
	if err == nil && len(topics) > 0 {
		_, err = adm.DeleteTopics(t.Context(), topics.Names()...)
	}
	mustLoad(t, err)
	groups, err := adm.ListGroups(t.Context())
	if err == nil && len(groups) > 0 {
		_, err = adm.DeleteGroups(t.Context(), groups.Groups()...)
	}
	mustLoad(t, err)
	if authorizer {
		_, err := adm.DeleteACLs(t.Context(), kadm.NewACLs().AnyResource().ResourcePatternType(kadm.ACLPatternAny).Operations().
			Allow().AllowHosts().Deny().DenyHosts())
		mustLoad(t, err)
	}
	eventually(t, "nothing is left", func() bool {
		topics, err := adm.ListTopics(t.Context())
		return err == nil && len(topics) == 0
	})
}

// scene is a story on two clusters; only names the version that it is about, where it is not about all.
type scene struct {
	name string
	play func(*testing.T, theatre)
	only string
}

// play plays scenes on a pair of each pinned version, both versions side by side: they wait most of the time.
func play(t *testing.T, authorizer bool, scenes []scene) {
	t.Helper()
	t.Parallel()
	for _, v := range lab.Versions() {
		t.Run(v, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, v, authorizer)
			for _, s := range scenes {
				if s.only == "" || s.only == v {
					t.Run(s.name, func(t *testing.T) { s.play(t, p.theatre(t)) })
				}
			}
		})
	}
}

// TestReal plays the scenes of the simulated clusters on real ones, and some that only these can show. Those that leave
// transactional ids come last, and then the one that lets a broker forget producers.
func TestReal(t *testing.T) {
	play(t, false, []scene{
		{name: "switchover and home", play: switchoverAndHome},
		{name: "failover, ledger and reprotect", play: failoverLedgerAndReprotect},
		{name: "abort after halt", play: abortAfterHalt},
		{name: "abort of a failover", play: abortOfFailover},
		{name: "groups take over", play: groupsTakeOver},
		{name: "groups survive the primary", play: groupsSurviveThePrimary},
		{name: "strays below the cut", play: straysBelowTheCut},
		{name: "stray after the link", play: strayAfterTheLink},
		{name: "reprotect without a takeover", play: reprotectWithoutATakeover},
		{name: "unprotect gives a topic its own settings back", play: ownSettings},
		{name: "zombie after takeover", play: zombieAfterTakeover},
		{name: "clocks are compared", play: clocksAreCompared},
		{name: "verify", play: verify},
		{name: "a retrying producer", play: retryingProducer},
		{name: "a second halt reads little", play: secondHaltReadsLittle, only: lab.V44},
		{name: "crashes of a failover", play: crashesOfFailover, only: lab.V44},
		{name: "verify of transactions and compaction", play: verifyOfTransactionsAndCompaction},
		{name: "fence waits for transactions", play: fenceWaitsForTransactions},
		{name: "fence waits for a held partition", play: fenceWaitsForAHeldPartition},
		{name: "fence names a hanging transaction", play: fenceNamesAHangingTransaction},
		{name: "a late mover", play: lateMover},
	})
}

// TestRealAuthorizer does the same where clusters have an authorizer.
func TestRealAuthorizer(t *testing.T) {
	play(t, true, []scene{
		{name: "missing rights are named", play: missingRightsAreNamed},
		{name: "the wrong listener is named", play: wrongListenerIsNamed},
		{name: "denied switchover", play: deniedSwitchover},
		{name: "denied return", play: deniedReturn},
		{name: "rules of the new primary", play: newRules},
		{name: "a lost control plane", play: lostControlPlane, only: lab.V44},
	})
}
