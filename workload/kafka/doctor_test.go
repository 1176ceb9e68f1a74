package kafka_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/kafka"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

// missingRightsAreNamed takes rights from the mover and wants to be told which.
func missingRightsAreNamed(t *testing.T, th theatre) {
	h := newHouse(t, th.at, topics())
	if f := refusals(h.observe()); len(f) > 0 {
		t.Fatalf("nothing is missing, but %q", f)
	}
	commit(t, th.east, "billing", 0, 0)
	commit(t, th.east, "secret", 0, 0)
	commit(t, th.east, "reports", 0, 0)
	deny := func() *kadm.ACLBuilder {
		return kadm.NewACLs().ResourcePatternType(kmsg.ACLResourcePatternTypeLiteral).Deny("User:mover").DenyHosts("*")
	}
	forbid := func(addr string, rules ...*kadm.ACLBuilder) {
		for _, b := range rules {
			_, err := kadm.NewClient(client(t, addr)).CreateACLs(t.Context(), b)
			mustLoad(t, err)
		}
	}
	there := kadm.NewClient(client(t, th.west))
	_, err := there.CreateTopic(t.Context(), 1, 1, nil, "orders")
	mustLoad(t, err)
	h.await("a group in the west", func() bool { // where the broker knows the topic only a moment later
		at := kadm.Offsets{}
		at.Add(kadm.Offset{Topic: "orders", LeaderEpoch: -1})
		return there.CommitAllOffsets(t.Context(), "reports", at) == nil
	})
	forbid(th.east, deny().Groups("secret").Operations(kadm.OpDescribe))
	forbid(th.west,
		deny().Clusters().Operations(kadm.OpClusterAction, kadm.OpAlter, kadm.OpCreate),
		deny().Topics("orders").Operations(kadm.OpAlterConfigs, kadm.OpCreate),
		deny().Topics("idle").Operations(kadm.OpCreate),
		deny().Groups("billing", "reports").Operations(kadm.OpRead))
	want := []string{
		"CLUSTER_ACTION", "ALTER on the cluster", "ALTER_CONFIGS on topic orders is",
		"CREATE on topic orders is", "CREATE on topic idle is", "READ on group billing, reports is", "DESCRIBE on group secret is",
	}
	var got []string
	h.await("told what is missing", func() bool { // ACLs take effect a moment later
		seen, err := h.w.Observe(h.ctx)
		got = refusals(seen)
		return err == nil && len(got) >= len(want)
	})
	for _, right := range want {
		if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, right) }) {
			t.Fatalf("%s is missing, but only %q is said", right, got)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("more is said to be missing than is: %q", got)
	}
	if err := h.stage(understudy.Protect, understudy.StageCheck, east, west); understudy.KindOf(err) != understudy.KindDenied {
		t.Fatalf("protect was not refused: %v", err)
	}
}

// wrongListenerIsNamed asks listeners for what they do not do, and wants to be told what to set. Only real brokers show how
// they refuse.
func wrongListenerIsNamed(t *testing.T, th theatre) {
	login := func(mechanism string) *cluster.SASL {
		return &cluster.SASL{Mechanism: mechanism, User: "mover", Secret: "m"}
	}
	for _, c := range []struct {
		addr      string
		sasl      *cluster.SASL
		tls       *cluster.TLS
		code      understudy.Code
		kind      understudy.ErrorKind
		what, fix string
	}{
		{th.saslEast, nil, nil, "US100", understudy.KindUnreachable, "SASL", "set sasl in the site file"},
		{th.east, nil, &cluster.TLS{}, "US100", understudy.KindUnreachable, "TLS", "remove tls"},
		{th.east, login("PLAIN"), nil, "US102", understudy.KindDenied, "takes no login", "remove sasl"},
		{th.saslEast, login("SCRAM-SHA-512"), nil, "US102", understudy.KindDenied, "this sort of login", "sasl.mechanism"},
		{th.saslEast, &cluster.SASL{Mechanism: "PLAIN", User: "mover", Secret: "wrong"}, nil, "US102", understudy.KindDenied, "refuse the login", "the secret"},
	} {
		at := cluster.Open(cluster.Config{Brokers: []string{c.addr}, SASL: c.sasl, TLS: c.tls, Secret: func(_ context.Context, name string) ([]byte, error) { return []byte(name), nil }})
		_, err := at.Metadata(t.Context(), understudy.Lease{})
		mustClose(t, at)
		e := understudy.AsError(err)
		if e == nil || e.Code != c.code || e.Kind != c.kind || !strings.Contains(e.Summary+e.Why, c.what) || !strings.Contains(e.Fix, c.fix) {
			t.Errorf("login %+v, TLS %t at %s: %+v", c.sasl, c.tls != nil, c.addr, e)
		}
	}
	refusedLoginIsNoSilence(t, th.at, th.saslEast)
}

func refusals(seen workload.Observation) []string {
	var out []string
	for _, f := range seen.Findings {
		if f.Level == "refuse" {
			out = append(out, f.Summary)
		}
	}
	return out
}

func TestOneClusterAtBothSitesIsRefused(t *testing.T) {
	th := simulated(t)
	th.at[west] = &kafka.Endpoint{Brokers: []string{th.east}}
	h := newHouse(t, th.at, topics())
	err := h.stage(understudy.Protect, understudy.StageCheck, east, west)
	if e := understudy.AsError(err); e == nil || e.Code != "US107" {
		t.Fatalf("a link from a cluster to itself was not refused: %v", err)
	}
}

// clocksAreCompared wants to be told that a clock is not measured yet, that the clocks of one machine are told apart by
// nothing, and that one which is five seconds off is named.
func clocksAreCompared(t *testing.T, th theatre) {
	h := newHouse(t, th.at, topics())
	seen := h.observe()
	for site, s := range seen.Sites {
		if !s.ClockAt.IsZero() || !says(seen, site, "ok", "the clock is not measured yet") {
			t.Errorf("%s: a clock that nobody measured is %s off since %s", site, s.ClockSkew, s.ClockAt)
		}
	}
	began := time.Now().Truncate(time.Millisecond)
	h.walk(understudy.Protect, east, west, understudy.StageCreate)
	seen = h.observe()
	for site, s := range seen.Sites {
		if s.ClockSkew <= -time.Second || s.ClockSkew >= time.Second || s.ClockAt.Before(began) {
			t.Errorf("%s: the same machine's clocks are %s apart, as of %s", site, s.ClockSkew, s.ClockAt)
		}
		if says(seen, site, "warning", "clock") || says(seen, site, "ok", "not measured") {
			t.Errorf("%s: %+v", site, seen.Findings)
		}
		t.Logf("%s: %s", site, s.ClockSkew)
	}
	// As if we had sent it by a clock that is five seconds behind the brokers'.
	sent := time.Now().Add(-5 * time.Second)
	r := &kgo.Record{Topic: cluster.OwnTopic, Key: []byte("probe/another/one"), Headers: []kgo.RecordHeader{{Key: "sent", Value: strconv.AppendInt(nil, sent.UnixMilli(), 10)}}}
	if err := client(t, th.west).ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
	seen = h.observe()
	if !says(seen, west, "warning", "as of "+sent.UTC().Format(time.RFC3339)) || says(seen, east, "warning", "clock and ours") {
		t.Errorf("a clock is five seconds off in the west, but the findings are %+v", seen.Findings)
	}
}

// says looks for a finding of a site.
func says(seen workload.Observation, site understudy.Site, level, words string) bool {
	return slices.ContainsFunc(seen.Findings, func(f workload.Finding) bool {
		return f.Object.Site == site && f.Level == level && strings.Contains(f.Summary, words)
	})
}
