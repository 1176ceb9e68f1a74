package kafka_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/kafka"
)

// missingRightsAreNamed takes rights from the mover and wants to be told which.
func missingRightsAreNamed(t *testing.T, th theatre) {
	h := newHouse(t, th.at, topics())
	if f := refusals(h.observe()); len(f) > 0 {
		t.Fatalf("nothing is missing, but %q", f)
	}
	adm := kadm.NewClient(client(t, th.west))
	for _, b := range []*kadm.ACLBuilder{
		kadm.NewACLs().Clusters().ResourcePatternType(kmsg.ACLResourcePatternTypeLiteral).Deny("User:mover").DenyHosts("*").Operations(kadm.OpClusterAction, kadm.OpAlter),
		kadm.NewACLs().Topics("orders").ResourcePatternType(kmsg.ACLResourcePatternTypeLiteral).Deny("User:mover").DenyHosts("*").Operations(kadm.OpAlterConfigs),
	} {
		if _, err := adm.CreateACLs(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := adm.CreateTopic(t.Context(), 1, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	var got []string
	h.await("told what is missing", func() bool { // ACLs take effect a moment later
		seen, err := h.w.Observe(h.ctx)
		got = refusals(seen)
		return err == nil && len(got) >= 3
	})
	for _, right := range []string{"CLUSTER_ACTION", "ALTER on the cluster", "ALTER_CONFIGS"} {
		if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, right) }) {
			t.Fatalf("%s is missing, but only %q is said", right, got)
		}
	}
	if err := h.stage(understudy.Protect, understudy.StageCheck, east, west); understudy.KindOf(err) != understudy.KindDenied {
		t.Fatalf("protect was not refused: %v", err)
	}
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

// clocksAreCompared wants the clocks of one machine to be told apart by nothing.
func clocksAreCompared(t *testing.T, th theatre) {
	h := newHouse(t, th.at, topics())
	h.walk(understudy.Protect, east, west, understudy.StageCreate)
	for site, s := range h.observe().Sites {
		if s.ClockSkew <= -time.Second || s.ClockSkew >= time.Second {
			t.Errorf("%s: the same machine's clocks are %s apart", site, s.ClockSkew)
		}
		t.Logf("%s: %s", site, s.ClockSkew)
	}
}
