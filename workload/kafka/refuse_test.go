package kafka_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/kafka"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/mirror"
	"github.com/understudy-dr/understudy/workload/kafka/kafkasim"
)

// wants demands an error with a code, whose explanation exists.
func wants(t *testing.T, err error, code understudy.Code) {
	t.Helper()
	var e *understudy.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("not %s, but %v", code, err)
	}
	if _, ok := understudy.Explain(code); !ok {
		t.Fatalf("%s has no explanation", code)
	}
}

func TestRefusesAnotherControlPlane(t *testing.T) {
	th := simulated(t)
	newHouse(t, th.at, topics()).protect()
	other := newHouse(t, th.at, topics())
	other.plane = "cp-2"
	wants(t, other.stage(understudy.Protect, understudy.StageCreate, east, west), "US104")
}

func TestRefusesWithoutTopics(t *testing.T) {
	th := simulated(t)
	h := newHouse(t, th.at, &kafka.Config{Topics: []string{"none.*"}})
	wants(t, h.stage(understudy.Protect, understudy.StageCheck, east, west), "US105")
}

func TestRefusesOldBrokers(t *testing.T) {
	at := endpoints{}
	for _, s := range []understudy.Site{east, west} {
		c, err := kafkasim.Start(kafkasim.Options{ClusterID: string(s), Topics: map[string]int32{"orders": 1}, MaxVersions: kversion.V2_4_0()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		at[s] = &kafka.Endpoint{Brokers: []string{c.Addr()}}
	}
	h := newHouse(t, at, topics())
	wants(t, h.stage(understudy.Protect, understudy.StageCheck, east, west), "US106")
}

func TestValidate(t *testing.T) {
	spec := workload.Spec{
		Sites: []understudy.Site{east, west},
		Config: &kafka.Config{
			Topics: []string{"("}, Writers: []string{"User:*", "app"}, Groups: []string{"["}, Replication: -1,
		},
		Clusters: map[understudy.Site]any{east: &kafka.Endpoint{}, west: &kafka.Endpoint{
			Brokers: []string{"w:1"}, SASL: &kafka.SASL{Mechanism: "GSSAPI"}, Writer: &kafka.Writer{Brokers: []string{"w:1", "w"}},
		}},
	}
	var got []string
	for _, f := range kafka.Kind().Validate(spec) {
		got = append(got, strings.TrimSpace(string(f.Site)+" "+f.Path)+" "+string(f.Err.Code))
	}
	want := []string{"topics[0] US105", "groups[0] US105", "writers[0] US105", "writers[1] US105", "replication US105", "east brokers US109", "west sasl.mechanism US109", "west writer.brokers[1] US109"}
	if !slices.Equal(got, want) {
		t.Fatalf("%q, not %q", got, want)
	}
}

// only does the steps of one kind of a stage, as if the others had been forgotten.
func (h *house) only(verb understudy.Verb, name understudy.StageName, kind understudy.StepKind) error {
	h.t.Helper()
	at := understudy.Stage{Name: name, Verb: verb, Plan: "contoso", Workload: "orders", Now: h.role, Old: east, To: west, Receipts: h.receipts, Kept: h.kept}
	steps, err := h.w.Decide(at, h.observe())
	if err != nil {
		return err
	}
	for _, s := range steps {
		if s.Kind != kind {
			continue
		}
		if err := h.do(at, s); err != nil {
			return err
		}
	}
	return nil
}

func TestAnOpenSiteIsNotFenced(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulated(t).at, topics())
	h.protect()
	h.setRole(h.role.Fenced())
	wants(t, h.only(understudy.Switchover, understudy.StageFence, "fence.prove"), "US112")
}

func TestAFencedSiteIsNotOpen(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulated(t).at, topics())
	h.protect()
	h.walk(understudy.Duty, west, east, understudy.StageFence)
	wants(t, h.only(understudy.Switchover, understudy.StageProve, "open.prove"), "US116")
}

func TestTheTargetMustNotBeAhead(t *testing.T) {
	th := simulated(t)
	h := newHouse(t, th.at, topics())
	h.protect()
	h.unlink()
	mustLoad(t, load(t, client(t, th.west), "orders", 1, 1, "foreign"))
	h.setRole(h.role.Fenced())
	h.walk(understudy.Switchover, east, west, understudy.StageFence)
	wants(t, h.stage(understudy.Switchover, understudy.StageDrain, east, west), "US113")
	wants(t, h.stage(understudy.Abort, understudy.StageLevel, east, west), "US125")
}

func TestAHigherEpochIsNotHalted(t *testing.T) {
	th := simulated(t)
	h := newHouse(t, th.at, topics())
	h.protect()
	h.unlink()
	c := cluster.Open(cluster.Config{Brokers: []string{th.west}})
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	md, err := c.Metadata(t.Context(), lease())
	if err != nil {
		t.Fatal(err)
	}
	pid := mirror.PID("east-id", understudy.Link{Plan: "contoso", Workload: "orders", From: east, To: west})
	if code, err := c.WriteMarker(t.Context(), lease(), md.Topics["orders"].Partitions[0], cluster.Marker{ProducerID: pid, Epoch: 9}); code != 0 || err != nil {
		t.Fatalf("%d, %v", code, err)
	}
	h.setRole(h.role.Fenced())
	wants(t, h.stage(understudy.Failover, understudy.StageHalt, east, west), "US114")
	if seen := h.observe(); seen.HighestEpoch != 9 {
		t.Fatalf("the highest epoch seen is %d, not 9", seen.HighestEpoch)
	}
}

func TestEpochsEnd(t *testing.T) {
	h := newHouse(t, simulated(t).at, topics())
	h.protect()
	h.setRole(understudy.Role{Active: []understudy.Site{east}, From: []understudy.Site{east}, Epoch: mirror.MaxEpoch})
	wants(t, h.stage(understudy.Switchover, understudy.StageCheck, east, west), "US117")
}

func TestATopicThatAppearsIsNotProven(t *testing.T) {
	th := simulated(t)
	h := newHouse(t, th.at, &kafka.Config{Topics: []string{"orders.*"}})
	h.protect()
	h.setRole(h.role.Fenced())
	h.afterDecide = func() {
		if _, err := kadm.NewClient(client(t, th.east)).CreateTopic(t.Context(), 1, 1, nil, "orders-new"); err != nil {
			t.Error(err)
		}
	}
	err := h.stage(understudy.Switchover, understudy.StageFence, east, west)
	wants(t, err, "US118")
	if understudy.KindOf(err) != understudy.KindConflict {
		t.Fatalf("%v would not be planned anew", err)
	}
	if got := settings(t, th.east, "orders-new")["max.message.bytes"]; got == "0" {
		t.Fatal("the new topic was closed before its own limit was remembered")
	}
	h.afterDecide = nil
	if err := h.stage(understudy.Switchover, understudy.StageFence, east, west); err != nil {
		t.Fatalf("planned anew: %v", err)
	}
	if got := settings(t, th.east, "orders-new")["max.message.bytes"]; got != "0" {
		t.Fatalf("the new topic's append limit is %s: it is open", got)
	}
}

func TestADamagedLedgerIsNotExported(t *testing.T) {
	th := simulated(t)
	h := newHouse(t, th.at, topics())
	mustLoad(t, load(t, client(t, th.east), "orders", 1, 3, "a"))
	h.protect()
	h.followed(east)
	h.unlink()
	mustLoad(t, load(t, client(t, th.east), "orders", 1, 2, "lost"))
	th.kill(east)
	h.takeover(understudy.Failover, east, west)
	th.restart(east)
	h.walk(understudy.Reprotect, west, east, understudy.StageFence, understudy.StageScan, understudy.StageLedger)
	if got := h.exported(); !slices.Equal(got, []string{"lost-0-0", "lost-0-1"}) {
		t.Fatalf("the ledger has %q", got)
	}
	files, err := filepath.Glob(filepath.Join(h.ledger, "*.batches"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-1] ^= 1
	if err := os.WriteFile(files[0], raw, 0o600); err != nil {
		t.Fatal(err)
	}
	wants(t, kafka.Kind().ExportLedger(t.Context(), h.ledger, func([]byte) error { return nil }), "US129")
}

// A super user passes the fence: what it writes after the ledger must not be deleted with the topic.
func TestARemakeIsRefusedWhenTheLedgerNoLongerCoversTheLog(t *testing.T) {
	th := simulated(t)
	h := newHouse(t, th.at, topics())
	mustLoad(t, load(t, client(t, th.east), "orders", 1, 3, "a"))
	h.protect()
	h.followed(east)
	h.unlink()
	mustLoad(t, load(t, client(t, th.east), "orders", 1, 2, "lost"))
	th.kill(east)
	h.takeover(understudy.Failover, east, west)
	th.restart(east)
	h.walk(understudy.Reprotect, west, east, understudy.StageFence, understudy.StageScan, understudy.StageLedger, understudy.StageGuard)
	admin := kadm.NewClient(client(t, th.east))
	if _, err := admin.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.DeleteConfig, Name: "max.message.bytes"}}, "orders"); err != nil {
		t.Fatal(err)
	}
	mustLoad(t, load(t, client(t, th.east), "orders", 1, 1, "late"))
	wants(t, h.stage(understudy.Reprotect, understudy.StageResolve, west, east), "US129")
}
