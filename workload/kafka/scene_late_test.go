package kafka_test

import (
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka"
)

func withLater() *kafka.Config { return &kafka.Config{Topics: []string{"orders", "idle", "later"}} }

// makeLater makes the topic that was not there when the operation began, with a limit of its owner's.
func makeLater(t *testing.T, addr string) {
	t.Helper()
	limit := "123456"
	if _, err := kadm.NewClient(client(t, addr)).CreateTopic(t.Context(), 1, 1, map[string]*string{"max.message.bytes": &limit}, "later"); err != nil {
		t.Fatal(err)
	}
}

// fencedLate fences while a topic appears between the decision and its steps: the stage is planned anew, and what was
// there before is known for the new topic too. Then it goes all the way back.
func fencedLate(t *testing.T, th theatre) {
	t.Helper()
	h := newHouse(t, th.at, withLater())
	h.protect()
	h.walk(understudy.Switchover, east, west, understudy.StageCheck)
	h.setRole(h.role.Fenced())
	made := false
	h.afterDecide = func() {
		if !made {
			made = true
			makeLater(t, th.east)
		}
	}
	if err := h.stage(understudy.Switchover, understudy.StageFence, east, west); err == nil || understudy.AsError(err).Code != "US118" {
		t.Fatalf("a topic appeared: %v", err)
	}
	if err := h.stage(understudy.Switchover, understudy.StageFence, east, west); err != nil {
		t.Fatal(err)
	}
	h.walk(understudy.Abort, east, west, understudy.StageLevel)
	h.setRole(h.role.Promoted(east))
	h.walk(understudy.Abort, east, west, understudy.StageUnfence)
}

func TestATopicThatAppearsWhileWritersAreDenied(t *testing.T) {
	th := simulatedDenied(t)
	fencedLate(t, th)
	if got := rules(t, th.east); len(got) > 0 {
		t.Errorf("rules of ours are left: %v", got)
	}
}

func TestATopicThatAppearsWhileTopicsAreClosed(t *testing.T) {
	th := simulated(t)
	fencedLate(t, th)
	if got := settings(t, th.east, "later")["max.message.bytes"]; got != "123456" {
		t.Errorf("the owner's max.message.bytes is now %q", got)
	}
}

// A frozen mover makes no topics: the drain makes those that came into being since, and they are copied.
func TestATopicThatAppearsAfterTheFreezeIsDrained(t *testing.T) {
	th := simulated(t)
	h := newHouse(t, th.at, withLater())
	h.protect()
	h.followed(east)
	h.walk(understudy.Switchover, east, west, understudy.StageCheck)
	h.freeze()
	makeLater(t, th.east)
	mustLoad(t, load(t, client(t, th.east), "later", 1, 5, "late"))
	h.setRole(h.role.Fenced())
	h.walk(understudy.Switchover, east, west, understudy.StageFence, understudy.StageDrain)
	if got := rows(t, th.west, "later"); len(got) != 5 {
		t.Errorf("%d of 5 records of the late topic arrived", len(got))
	}
}

// The mover denies ordinary writers a topic before it makes it.
func TestANewTopicOfAGuardedSecondaryIsGuarded(t *testing.T) {
	th := simulatedDenied(t)
	h := newHouse(t, th.at, withLater())
	h.protect()
	h.followed(east)
	adm := kadm.NewClient(client(t, th.west))
	if _, err := adm.CreateACLs(t.Context(), kadm.NewACLs().Topics("later").ResourcePatternType(kmsg.ACLResourcePatternTypeLiteral).
		Allow("User:app").AllowHosts("*").Operations(kadm.OpWrite)); err != nil {
		t.Fatal(err)
	}
	makeLater(t, th.east)
	for !slices.Contains(settled(t, th.west), "later") {
		select {
		case <-t.Context().Done():
			t.Fatal("the topic was never made")
		case <-time.After(20 * time.Millisecond):
		}
	}
	want := "User:app WRITE later"
	if got := rules(t, th.west); !slices.Contains(got, want) {
		t.Fatalf("rules on the secondary: %v, want %q", got, want)
	}
	h.unlink()
	h.walk(understudy.Unprotect, east, west, toUnprotect()...)
	if got := rules(t, th.west); len(got) > 0 {
		t.Errorf("rules of ours are left: %v", got)
	}
}

// settled lists the topics of a cluster.
func settled(t *testing.T, addr string) []string {
	t.Helper()
	all, err := kadm.NewClient(client(t, addr)).ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all.Names()
}

// Where no ACL allows anybody anything on a topic, a denial could shut out everybody whom the broker lets in: the
// topic is closed by its limit instead.
func TestATopicWithoutAnyRuleIsClosedByItsLimit(t *testing.T) {
	th := simulatedDenied(t)
	adm := kadm.NewClient(client(t, th.east))
	if _, err := adm.DeleteACLs(t.Context(), kadm.NewACLs().AnyResource().Allow().AllowHosts().Operations().ResourcePatternType(kadm.ACLPatternAny)); err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, endpoints{east: {Brokers: []string{th.east}, Principal: "User:ANONYMOUS"}, west: th.at[west]},
		&kafka.Config{Topics: []string{"orders", "idle"}, Writers: []string{"User:app"}})
	h.protect()
	h.walk(understudy.Switchover, east, west, understudy.StageCheck)
	h.setRole(h.role.Fenced())
	h.walk(understudy.Switchover, east, west, understudy.StageFence)
	if got := rules(t, th.east); len(got) > 0 {
		t.Errorf("denied: %v", got)
	}
	if got := settings(t, th.east, "orders")["max.message.bytes"]; got != "0" {
		t.Errorf("the append limit is %q", got)
	}
}
