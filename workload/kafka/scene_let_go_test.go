package kafka_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/kafka"
)

func toUnprotect() []understudy.StageName {
	return []understudy.StageName{
		understudy.StageCheck, understudy.StageProvision, understudy.StageHalt, understudy.StageUnguard, understudy.StageRelease,
	}
}

// TestUnprotectWhileASiteIsDown keeps what is remembered of a site until it can be cleaned up, or is let go by name.
func TestUnprotectWhileASiteIsDown(t *testing.T) {
	th := simulatedDenied(t)
	h := newHouse(t, th.at, topics())
	h.protect()
	h.unlink()
	th.kill(west)
	for _, s := range toUnprotect() {
		err := h.stage(understudy.Unprotect, s, east, west)
		wants(t, err, "US132")
		for _, want := range []string{"west does not answer", "2 DENY rules", "2 topics"} {
			if !strings.Contains(err.Error(), want) {
				t.Fatalf("%v does not say %q", err, want)
			}
		}
	}
	th.restart(west)
	at := maps.Clone(th.at)
	at[west] = secured(th.saslWest)
	at[west].SASL.Secret = "wrong"
	locked := newHouse(t, at, topics())
	locked.kept = maps.Clone(h.kept)
	if err := locked.stage(understudy.Unprotect, understudy.StageRelease, east, west); err == nil || !strings.Contains(err.Error(), "west does not answer us: the brokers refuse the login; there stay") {
		t.Errorf("with a wrong password: %v", err)
	}
	h.walk(understudy.Unprotect, east, west, toUnprotect()...)
	if got := rules(t, th.west); len(got) > 0 || len(h.kept) > 0 {
		t.Fatalf("left behind: rules %v, memory %v", got, h.kept)
	}
}

func TestASiteIsLetGo(t *testing.T) {
	th := simulatedDenied(t)
	h := newHouse(t, th.at, topics())
	h.protect()
	h.unlink()
	th.kill(west)
	h.letGo = west
	h.walk(understudy.Unprotect, east, west, toUnprotect()...)
	if len(h.kept) > 0 {
		t.Fatalf("memory left: %v", h.kept)
	}
	var warned string
	for _, r := range h.receipts {
		warned += strings.Join(r.Warnings, "\n")
	}
	if !strings.Contains(warned, "2 DENY rules") || !strings.Contains(warned, "the stamp") {
		t.Fatalf("what stays is not said: %q", warned)
	}
}

// A cluster that was rebuilt answers under another id: it is let go like one that is lost, and nothing is changed there.
func TestARebuiltClusterIsLetGo(t *testing.T) {
	th := simulatedDenied(t)
	h := newHouse(t, th.at, topics())
	h.protect()
	h.unlink()
	before := rules(t, th.west)
	h.kept["site/west/cluster"] = []byte(`"the-one-before"`)
	wants(t, h.stage(understudy.Unprotect, understudy.StageCheck, east, west), "US101")
	h.letGo = west
	h.walk(understudy.Unprotect, east, west, toUnprotect()...)
	if got := rules(t, th.west); !slices.Equal(got, before) || len(h.kept) > 0 {
		t.Fatalf("rules on the other cluster %v, memory %v", got, h.kept)
	}
}

// TestAbortOfAProtectWithoutTheTarget ends, and forgets nothing of what stands there.
func TestAbortOfAProtectWithoutTheTarget(t *testing.T) {
	th := simulatedDenied(t)
	h := newHouse(t, th.at, topics())
	h.walk(understudy.Protect, east, west, understudy.StageCheck, understudy.StageCreate, understudy.StageGuard)
	th.kill(west)
	back := []understudy.StageName{understudy.StageHalt, understudy.StageUnguard, understudy.StageRelease}
	h.walk(understudy.Abort, east, west, back...)
	if h.kept["fence/west"] == nil {
		t.Fatalf("the rules on west are forgotten: %v", h.kept)
	}
	th.restart(west)
	h.walk(understudy.Unprotect, east, west, back...)
	if got := rules(t, th.west); len(got) > 0 || len(h.kept) > 0 {
		t.Fatalf("left behind: rules %v, memory %v", got, h.kept)
	}
}

// TestATopicOfAnotherWorkload refuses what another protected workload mirrors, and takes it when that one is gone.
func TestATopicOfAnotherWorkload(t *testing.T) {
	th := simulated(t)
	mustLoad(t, load(t, client(t, th.east), "orders", 2, 5, "a"))
	first := newHouse(t, th.at, topics())
	first.protect()
	first.followed(east)
	first.unlink()
	second := renamed(t, th.at, "billing")
	err := second.stage(understudy.Protect, understudy.StageCheck, east, west)
	wants(t, err, "US133")
	if !strings.Contains(err.Error(), "contoso/orders") {
		t.Fatalf("%v does not name the owner", err)
	}
	first.walk(understudy.Unprotect, east, west, toUnprotect()...)
	if err := second.stage(understudy.Protect, understudy.StageCheck, east, west); err != nil {
		t.Fatalf("after the other was unprotected: %v", err)
	}
}

func renamed(t *testing.T, at endpoints, name understudy.WorkloadName) *house {
	t.Helper()
	return newHouseOf(t, at, name, topics())
}

func TestOverlap(t *testing.T) {
	spec := func(cluster string, topics, exclude []string) workload.Spec {
		return workload.Spec{
			Plan: "contoso", Name: "first", Sites: []understudy.Site{east, west},
			Config:   &kafka.Config{Topics: topics, Exclude: exclude},
			Clusters: map[understudy.Site]any{east: &kafka.Endpoint{Brokers: []string{cluster}}},
		}
	}
	list := func(s ...string) []string { return s }
	for name, c := range map[string]struct {
		a, b workload.Spec
		want string
	}{
		"equal patterns":           {spec("e:1", list("x", "orders.*"), nil), spec("e:1", list("orders.*"), nil), "topics[1]"},
		"a name the other matches": {spec("e:1", list("orders.eu"), nil), spec("e:1", list("orders.*"), nil), "topics[0]"},
		"a name in the other":      {spec("e:1", list("x", "orders.*"), nil), spec("e:1", list("orders.eu"), nil), "topics[1]"},
		"excluded":                 {spec("e:1", list("orders.*"), list("orders.eu")), spec("e:1", list("orders.eu"), nil), ""},
		"another cluster":          {spec("e:1", list("orders"), nil), spec("e:2", list("orders"), nil), ""},
		"others":                   {spec("e:1", list("orders"), nil), spec("e:1", list("bills"), nil), ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := kafka.Kind().Overlap(c.a, c.b)
			switch {
			case c.want == "" && e != nil:
				t.Fatalf("refused: %v", e.Err)
			case c.want != "" && (e == nil || e.Path != c.want):
				t.Fatalf("%+v, not %s", e, c.want)
			case e != nil:
				wants(t, e.Err, "US133")
			}
		})
	}
}

func TestUnprotectGivesATopicItsOwnSettingsBack(t *testing.T) { ownSettings(t, simulated(t)) }

// ownSettings protects onto an empty topic that was there before, with settings of its own.
func ownSettings(t *testing.T, th theatre) {
	admin := kadm.NewClient(client(t, th.west))
	own := map[string]*string{"retention.ms": kadm.StringPtr("12345678"), "segment.bytes": kadm.StringPtr("10485760")}
	if _, err := admin.CreateTopic(t.Context(), 2, 1, own, "orders"); err != nil {
		t.Fatal(err)
	}
	before := settings(t, th.west, "orders")
	h := newHouse(t, th.at, topics())
	if _, err := kadm.NewClient(client(t, th.east)).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "segment.bytes", Value: kadm.StringPtr("20971520")}}, "orders"); err != nil {
		t.Fatal(err)
	}
	mustLoad(t, load(t, client(t, th.east), "orders", 2, 5, "a"))
	h.protect()
	h.followed(east)
	h.unlink()
	if got := settings(t, th.west, "orders")["segment.bytes"]; got != "20971520" {
		t.Fatalf("while mirrored, segment.bytes is %s", got)
	}
	h.walk(understudy.Unprotect, east, west, toUnprotect()...)
	after := settings(t, th.west, "orders")
	for name, v := range before {
		if after[name] != v {
			t.Errorf("%s is %s, and was %s", name, after[name], v)
		}
	}
}

func TestRulesOfTheNewPrimary(t *testing.T) { newRules(t, simulatedDenied(t)) }

// newRules grants two applications rights on the new primary only. The topic made anew on the old one has them too,
// but nobody may write it by them while it is a secondary, and foreign rules there stay.
func newRules(t *testing.T, th theatre) {
	h := newHouse(t, th.at, topics())
	app := client(t, th.saslEast, asApp())
	mustLoad(t, load(t, app, "orders", 2, 20, "a"))
	h.protect()
	h.followed(east)
	h.unlink()
	mustLoad(t, load(t, app, "orders", 2, 3, "lost"))
	th.kill(east)
	h.takeover(understudy.Failover, east, west)
	h.walk(understudy.Commit, east, west, understudy.StageRelease)
	allow(t, th.west, "User:reader", kadm.OpRead)
	allow(t, th.west, "User:newcomer", kadm.OpWrite)
	prefixed := kadm.NewACLs().Topics("ord").ResourcePatternType(kadm.ACLPatternPrefixed).Allow("User:many").AllowHosts("*").Operations(kadm.OpRead)
	_, err := kadm.NewClient(client(t, th.west)).CreateACLs(t.Context(), prefixed)
	mustLoad(t, err)
	th.restart(east)
	allow(t, th.east, "User:local", kadm.OpRead)
	h.walk(understudy.Duty, east, west, understudy.StageFence)
	h.reprotect(toReverse()...)
	if !slices.ContainsFunc(h.receipts, func(r understudy.Receipt) bool {
		return slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "one lets User:many READ on topics from ord") })
	}) {
		t.Errorf("nobody said that a rule by prefix is not copied: %+v", h.receipts)
	}
	got := allowed(t, th.east)
	for _, want := range []string{"User:reader READ orders", "User:newcomer WRITE orders", "User:local READ orders", "User:app WRITE orders"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not on the old primary: %s", want, got)
		}
	}
	if got := strings.Join(rules(t, th.east), ", "); !strings.Contains(got, "User:newcomer WRITE orders") || !strings.Contains(got, "User:app WRITE orders") {
		t.Errorf("a writer of the new primary is not denied on the secondary: %s", got)
	}
	h.link(west, east, true)
	h.followed(west)
	h.takeover(understudy.Switchover, west, east)
	if got := rules(t, th.east); len(got) > 0 {
		t.Errorf("rules left at home: %v", got)
	}
}

func allow(t *testing.T, addr, principal string, op kadm.ACLOperation) {
	t.Helper()
	b := kadm.NewACLs().Topics("orders").ResourcePatternType(kadm.ACLPatternLiteral).Allow(principal).AllowHosts("*").Operations(op)
	rs, err := kadm.NewClient(client(t, addr)).CreateACLs(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
}

// allowed tells the ALLOW rules on orders of a site.
func allowed(t *testing.T, addr string) string {
	t.Helper()
	all, err := kadm.NewClient(client(t, addr)).DescribeACLs(t.Context(), kadm.NewACLs().Topics("orders").Allow().AllowHosts().Operations().ResourcePatternType(kadm.ACLPatternLiteral))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range all {
		for _, d := range r.Described {
			out = append(out, d.Principal+" "+d.Operation.String()+" "+d.Name)
		}
	}
	return strings.Join(out, ", ")
}
