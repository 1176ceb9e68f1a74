package kafka_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/understudy-dr/understudy"
	lab "github.com/understudy-dr/understudy/lab/kafka"
	"github.com/understudy-dr/understudy/workload/kafka"
)

// pair is two real clusters of one version, which play one scene after another.
type pair struct {
	brokers    map[understudy.Site]*lab.Broker
	authorizer bool
}

// newPair boots both. With authorizer, understudy is User:mover, and the application User:app; neither is a super user.
func newPair(t *testing.T, version string, authorizer bool, properties map[string]string) *pair {
	t.Helper()
	options := func(name string) lab.Options {
		o := lab.Options{Version: version, Name: name, Properties: properties}
		if authorizer {
			o.Authorizer, o.Users = true, map[string]string{"mover": "m", "app": "a"}
		}
		return o
	}
	all := lab.BootAll(t, options("east"), options("west"))
	return &pair{brokers: map[understudy.Site]*lab.Broker{east: all[0], west: all[1]}, authorizer: authorizer}
}

// theatre gives both clusters with the topics of the scenes on the first primary, and without anything that an earlier scene
// left.
func (p *pair) theatre(t *testing.T) theatre {
	t.Helper()
	th := theatre{at: endpoints{}, east: p.brokers[east].Addr(), west: p.brokers[west].Addr(), saslEast: p.brokers[east].SASLAddr(), saslWest: p.brokers[west].SASLAddr()}
	th.authorizer = p.authorizer
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

// scene is a story on two clusters.
type scene struct {
	name string
	play func(*testing.T, theatre)
}

// play plays scenes on a pair of each pinned version, both versions side by side: they wait most of the time.
func play(t *testing.T, authorizer bool, scenes []scene) {
	t.Helper()
	t.Parallel()
	for _, v := range lab.Versions() {
		t.Run(v, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, v, authorizer, nil)
			for _, s := range scenes {
				t.Run(s.name, func(t *testing.T) { s.play(t, p.theatre(t)) })
			}
		})
	}
}

// TestReal plays the scenes of the simulated clusters on real ones, and some that only these can show. Those that leave
// transactional ids come last.
func TestReal(t *testing.T) {
	play(t, false, []scene{
		{"switchover and home", switchoverAndHome},
		{"failover, ledger and reprotect", failoverLedgerAndReprotect},
		{"abort after halt", abortAfterHalt},
		{"groups take over", groupsTakeOver},
		{"groups survive the primary", groupsSurviveThePrimary},
		{"strays below the cut", straysBelowTheCut},
		{"stray after the link", strayAfterTheLink},
		{"reprotect without a takeover", reprotectWithoutATakeover},
		{"unprotect gives a topic its own settings back", ownSettings},
		{"zombie after takeover", zombieAfterTakeover},
		{"clocks are compared", clocksAreCompared},
		{"verify", verify},
		{"verify of transactions and compaction", verifyOfTransactionsAndCompaction},
		{"fence waits for transactions", fenceWaitsForTransactions},
		{"fence waits for a held partition", fenceWaitsForAHeldPartition},
	})
}

// TestRealAuthorizer does the same where clusters have an authorizer.
func TestRealAuthorizer(t *testing.T) {
	play(t, true, []scene{
		{"missing rights are named", missingRightsAreNamed},
		{"denied switchover", deniedSwitchover},
		{"denied return", deniedReturn},
		{"rules of the new primary", newRules},
	})
}

func TestRealARetryingProducer(t *testing.T) {
	t.Parallel()
	for _, v := range lab.Versions() {
		t.Run(v, func(t *testing.T) {
			t.Parallel()
			retryingProducer(t, newPair(t, v, false, map[string]string{"auto.create.topics.enable": "true"}).theatre(t))
		})
	}
}
