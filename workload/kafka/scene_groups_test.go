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
	o := kadm.Offsets{}
	o.Add(kadm.Offset{Topic: "orders", Partition: partition, At: at, LeaderEpoch: -1})
	if err := kadm.NewClient(client(t, addr)).CommitAllOffsets(t.Context(), group, o); err != nil {
		t.Fatal(err)
	}
}

func committed(t *testing.T, addr, group string, partition int32) int64 {
	t.Helper()
	all, err := kadm.NewClient(client(t, addr)).FetchOffsets(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	o, ok := all.Lookup("orders", partition)
	if !ok {
		return -1
	}
	return o.At
}

func TestGroupsTakeOver(t *testing.T) { groupsTakeOver(t, simulated(t)) }

func TestRealGroupsTakeOver(t *testing.T) { versions(t, groupsTakeOver) }

// groupsTakeOver shows that positions are copied exactly at the cut, capped at the log's end, put right again
// where a late mover changed them, and that a group which still reads the old side is named.
func groupsTakeOver(t *testing.T, th theatre) {
	h := newHouse(t, th.at, topics())
	mustLoad(t, load(t, client(t, th.east), "orders", 2, 20, "a"))
	h.protect()
	h.followed(east)
	commit(t, th.east, "billing", 0, 5)
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
	commit(t, th.west, "billing", 0, 1) // as a mover would that woke up late
	h.setRole(h.role.Promoted(west))
	h.walk(understudy.Switchover, east, west, understudy.StageEnable)
	if at := committed(t, th.west, "billing", 0); at != 5 {
		t.Fatalf("billing is at %d, not at 5", at)
	}
	if at := committed(t, th.west, "billing", 1); at != 20 && at != 21 {
		t.Fatalf("billing is at %d, beyond the log's end", at)
	}
}
