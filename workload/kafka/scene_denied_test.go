package kafka_test

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka"
	"github.com/understudy-dr/understudy/workload/kafka/kafkasim"
)

// secured is a site at which understudy and the application log in. The secrets' names are their values here.
func secured(addr string) *kafka.Endpoint {
	return &kafka.Endpoint{
		Brokers: []string{addr},
		SASL:    &kafka.SASL{Mechanism: "PLAIN", User: "mover", Secret: "m"},
		Writer:  &kafka.Writer{SASL: &kafka.SASL{Mechanism: "PLAIN", User: "app", Secret: "a"}},
	}
}

// grant gives the mover the rights that docs/running.md lists and no other, and the application the right to write and
// to read. On real brokers of these tests ALTER on the cluster is enough for markers; more is what others need, such as
// simulated ones, which look like no release from 3.9 on.
func grant(t *testing.T, addr string, more ...kadm.ACLOperation) {
	t.Helper()
	adm := kadm.NewClient(client(t, addr))
	for _, b := range []*kadm.ACLBuilder{
		mover().Topics("*").Operations(kadm.OpRead, kadm.OpWrite, kadm.OpDescribe, kadm.OpCreate, kadm.OpDelete, kadm.OpAlter, kadm.OpDescribeConfigs, kadm.OpAlterConfigs),
		mover().Groups("*").Operations(kadm.OpRead, kadm.OpDescribe),
		mover().Clusters().Operations(append(more, kadm.OpDescribe, kadm.OpAlter, kadm.OpDescribeConfigs)...),
		seesTransactions(),
		kadm.NewACLs().Topics("orders", "idle").ResourcePatternType(kmsg.ACLResourcePatternTypeLiteral).
			Allow("User:app").AllowHosts("*").Operations(kadm.OpWrite, kadm.OpRead, kadm.OpDescribe),
	} {
		rs, err := adm.CreateACLs(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
	}
}

// mover begins a rule that allows understudy something.
func mover() *kadm.ACLBuilder {
	return kadm.NewACLs().ResourcePatternType(kmsg.ACLResourcePatternTypeLiteral).Allow("User:mover").AllowHosts("*")
}

func seesTransactions() *kadm.ACLBuilder {
	return mover().TransactionalIDs("*").Operations(kadm.OpDescribe)
}

func asApp() kgo.Opt { return kgo.SASL(plain.Auth{User: "app", Pass: "a"}.AsMechanism()) }

// simulatedDenied is two simulated clusters with an authorizer.
func simulatedDenied(t *testing.T) theatre {
	t.Helper()
	th := theatre{at: endpoints{}, authorizer: true}
	all := map[understudy.Site]*kafkasim.Cluster{}
	for _, s := range []understudy.Site{east, west} {
		c, err := kafkasim.Start(kafkasim.Options{ClusterID: string(s) + "-id", Authorizer: true, Users: map[string]string{"mover": "m", "app": "a"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		grant(t, c.Addr(), kadm.OpClusterAction)
		th.at[s], all[s] = secured(c.Addr()), c
	}
	th.east, th.west, th.saslEast, th.saslWest = all[east].Addr(), all[west].Addr(), all[east].Addr(), all[west].Addr()
	th.kill = func(s understudy.Site) { all[s].Kill() }
	th.restart = func(s understudy.Site) {
		if err := all[s].Restart(); err != nil {
			t.Fatal(err)
		}
	}
	th.make(t)
	return th
}

// rules lists the DENY rules of a site.
func rules(t *testing.T, addr string) []string {
	t.Helper()
	all, err := kadm.NewClient(client(t, addr)).DescribeACLs(t.Context(), kadm.NewACLs().Topics().Deny().DenyHosts().Operations().ResourcePatternType(kadm.ACLPatternAny))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range all {
		for _, d := range r.Described {
			out = append(out, d.Principal+" "+d.Operation.String()+" "+d.Name)
		}
	}
	slices.Sort(out)
	return out
}

func TestDeniedSwitchover(t *testing.T) { deniedSwitchover(t, simulatedDenied(t)) }

func deniedSwitchover(t *testing.T, th theatre) {
	h := newHouse(t, th.at, topics())
	app, moved := client(t, th.saslEast, asApp()), client(t, th.saslWest, asApp())
	mustLoad(t, load(t, app, "orders", 2, 100, "a"))
	h.protect()
	if err := load(t, moved, "orders", 1, 1, "stray"); err == nil {
		t.Fatal("the secondary is not guarded")
	}
	h.takeover(understudy.Switchover, east, west)
	proof := h.proofs(understudy.ProofFence)[0]
	if proof.Level != understudy.F2 || len(proof.CouldPass) == 0 {
		t.Fatalf("fence proof %+v: an ACL is level F2, and super users are named", proof)
	}
	if err := load(t, app, "orders", 1, 1, "stray"); err == nil {
		t.Fatal("the old primary is not guarded")
	}
	// A producer that asked for its id while it was denied has been refused for good: applications start anew.
	mustLoad(t, load(t, client(t, th.saslWest, asApp()), "orders", 2, 50, "b"))
	h.followed(west)
	identical(t, th.east, th.west, "orders")
	h.walk(understudy.Commit, east, west, understudy.StageRelease)
	h.takeover(understudy.Switchover, west, east)
	mustLoad(t, load(t, client(t, th.saslEast, asApp()), "orders", 2, 10, "c"))
	h.followed(east)
	if n := len(identical(t, th.east, th.west, "orders")); n != 320 {
		t.Fatalf("%d records, not 320", n)
	}
	if got := rules(t, th.east); len(got) > 0 {
		t.Fatalf("rules left at home: %v", got)
	}
	h.walk(understudy.Commit, west, east, understudy.StageRelease)
	h.unlink()
	h.walk(understudy.Unprotect, east, west, toUnprotect()...)
	if got := rules(t, th.west); len(got) > 0 || len(h.kept) > 0 {
		t.Fatalf("left behind: rules %v, memory %v", got, h.kept)
	}
}

func TestDeniedReturn(t *testing.T) { deniedReturn(t, simulatedDenied(t)) }

// deniedReturn is a failover, and the return of the old primary while its producers still retry.
func deniedReturn(t *testing.T, th theatre) {
	h := newHouse(t, th.at, topics())
	app := client(t, th.saslEast, asApp())
	mustLoad(t, load(t, app, "orders", 2, 20, "a"))
	h.protect()
	h.followed(east)
	h.unlink()
	mustLoad(t, load(t, app, "orders", 2, 3, "lost"))
	th.kill(east)
	h.takeover(understudy.Failover, east, west)
	moved := client(t, th.saslWest, asApp())
	mustLoad(t, load(t, moved, "orders", 2, 5, "new"))
	h.walk(understudy.Commit, east, west, understudy.StageRelease)
	th.restart(east)
	app = client(t, th.saslEast, asApp())
	mustLoad(t, load(t, app, "orders", 1, 2, "before contact"))
	h.walk(understudy.Duty, east, west, understudy.StageFence)
	if err := load(t, app, "orders", 1, 1, "stray"); err == nil {
		t.Fatal("the old primary still takes writes")
	}
	h.receipts = nil
	h.walk(understudy.Reprotect, west, east, understudy.StageFence, understudy.StageScan, understudy.StageLedger, understudy.StageGuard, understudy.StageResolve, understudy.StageReverse)
	if n := len(h.exported()); n != 8 {
		t.Fatalf("the ledger has %d records, not 8", n)
	}
	h.link(west, east, true)
	h.followed(west)
	if n := len(identical(t, th.east, th.west, "orders")); n != 50 {
		t.Fatalf("%d records, not 50", n)
	}
	if err := load(t, app, "orders", 1, 1, "stray"); err == nil {
		t.Fatal("the topic made anew is not guarded")
	}
}
