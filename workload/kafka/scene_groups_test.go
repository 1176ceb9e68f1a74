package kafka_test

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/understudy-dr/understudy"
)

func commit(t *testing.T, addr, group string, partition int32, at int64) {
	t.Helper()
	commitWith(t, addr, group, "", partition, at)
}

// commitWith commits a text with a position.
func commitWith(t *testing.T, addr, group, text string, partition int32, at int64) {
	t.Helper()
	o := kadm.Offsets{}
	o.Add(kadm.Offset{Topic: "orders", Partition: partition, At: at, LeaderEpoch: -1, Metadata: text})
	if err := kadm.NewClient(client(t, addr)).CommitAllOffsets(t.Context(), group, o); err != nil {
		t.Fatal(err)
	}
}

func committed(t *testing.T, addr, group string, partition int32) int64 {
	t.Helper()
	return position(t, addr, group, partition).At
}

func position(t *testing.T, addr, group string, partition int32) kadm.Offset {
	t.Helper()
	all, err := kadm.NewClient(client(t, addr)).FetchOffsets(t.Context(), group)
	if err != nil { // the group, or its coordinator, is not there yet
		return kadm.Offset{At: -1}
	}
	o, ok := all.Lookup("orders", partition)
	if !ok {
		return kadm.Offset{At: -1}
	}
	return o.Offset
}

func TestGroupsTakeOver(t *testing.T) { groupsTakeOver(t, simulated(t)) }

// groupsTakeOver shows that positions are copied exactly at the cut, capped at the log's end, put right again
// where a late mover changed them, and that a group which still reads the old side is named.
func groupsTakeOver(t *testing.T, th theatre) {
	h := newHouse(t, th.at, topics())
	mustLoad(t, load(t, client(t, th.east), "orders", 2, 20, "a"))
	h.protect()
	h.followed(east)
	commit(t, th.west, "local", 0, 1) // a cluster that never had a group makes its coordinator now, and asks for patience
	commitWith(t, th.east, "billing", "the app's own", 0, 5)
	commit(t, th.east, "billing", 1, 1000)
	reader := client(t, th.east, kgo.ConsumerGroup("reports"), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	reader.PollFetches(t.Context())
	h.setRole(h.role.Fenced())
	h.walk(understudy.Switchover, east, west, understudy.StageFence, understudy.StageDrain)
	named := false
	for _, r := range h.receipts {
		for _, w := range r.Warnings {
			named = named || strings.Contains(w, "reports")
		}
	}
	if !named {
		t.Fatal("nobody said that group reports still reads the old side")
	}
	h.unlink()
	h.walk(understudy.Switchover, east, west, understudy.StageHalt, understudy.StageCut, understudy.StagePromote)
	commitWith(t, th.west, "billing", "understudy:1;the app's own", 0, 1) // as a mover would that woke up late
	h.setRole(h.role.Promoted(west))
	h.walk(understudy.Switchover, east, west, understudy.StageEnable)
	if o := position(t, th.west, "billing", 0); o.At != 5 || o.Metadata != "the app's own" {
		t.Fatalf("billing is at %d with %q, not at 5", o.At, o.Metadata)
	}
	if at := committed(t, th.west, "billing", 1); at != 20 && at != 21 {
		t.Fatalf("billing is at %d, beyond the log's end", at)
	}
}

func TestGroupsSurviveThePrimary(t *testing.T) { groupsSurviveThePrimary(t, simulated(t)) }

// groupsSurviveThePrimary fails over while the primary is gone: nobody can ask it for positions, and yet members find
// on the new side what they committed, without the mover's notes.
func groupsSurviveThePrimary(t *testing.T, th theatre) {
	h := newHouse(t, th.at, topics())
	mustLoad(t, load(t, client(t, th.east), "orders", 2, 20, "a"))
	h.protect()
	h.followed(east)
	commitWith(t, th.east, "billing", "the app's own", 0, 5)
	h.await("the position follows", func() bool {
		return position(t, th.west, "billing", 0).Metadata == "understudy:5;the app's own"
	})
	commit(t, th.west, "local", 0, 3) // a group that lives on the secondary only
	th.kill(east)
	h.takeover(understudy.Failover, east, west)
	if o := position(t, th.west, "billing", 0); o.At != 5 || o.Metadata != "the app's own" {
		t.Fatalf("billing is at %d with %q, not at 5", o.At, o.Metadata)
	}
	if at := committed(t, th.west, "local", 0); at != 3 {
		t.Fatalf("a group of the secondary's own is at %d, not at 3", at)
	}
}
