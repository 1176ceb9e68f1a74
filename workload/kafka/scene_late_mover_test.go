package kafka_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/google/go-cmp/cmp"
	"github.com/understudy-dr/understudy"
	lab "github.com/understudy-dr/understudy/lab/kafka"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/kafka"
)

// lateKinds are the requests by which a mover changes its target, and what a broker that takes them after a takeover
// answers.
func lateKinds() map[int16]string {
	return map[int16]string{
		int16(kmsg.Produce): "47", int16(kmsg.WriteTxnMarkers): "47", int16(kmsg.OffsetCommit): "0",
		int16(kmsg.DeleteRecords): "0", int16(kmsg.IncrementalAlterConfigs): "0",
	}
}

// oldMover is a mover of the house's link in another member, whose requests take another way. It stops when its lease is
// over.
type oldMover struct {
	lease atomic.Int64 // its deadline, in milliseconds since 1970
	ended chan error
}

func (h *house) oldMover(at *kafka.Endpoint) *oldMover {
	h.t.Helper()
	spec := h.spec
	spec.Clusters = maps.Clone(spec.Clusters)
	spec.Clusters[west] = at
	w, err := kafka.Kind().Open(h.ctx, spec, workload.Opening{FetchBudget: 32 << 20, ControlPlane: h.plane})
	if err != nil {
		h.t.Fatal(err)
	}
	o := &oldMover{ended: make(chan error, 1)}
	o.lease.Store(time.Now().Add(time.Hour).UnixMilli())
	h.mu.Lock()
	a := understudy.Assignment{
		Link:  understudy.Link{Plan: h.spec.Plan, Workload: h.spec.Name, From: east, To: west},
		Epoch: h.role.Epoch, Kept: maps.Clone(h.kept), Frozen: func() bool { return false },
		Lease: understudy.Lease{Term: 1, Deadline: func() time.Time { return time.UnixMilli(o.lease.Load()) }},
	}
	h.progress = understudy.Progress{}
	h.mu.Unlock()
	ctx, cancel := context.WithCancel(h.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.ended <- w.Replicate(ctx, a, func(p understudy.Progress) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.progress = p
			h.keep(p.Keep)
		})
	}()
	h.t.Cleanup(func() {
		cancel()
		<-done
		if err := w.Close(); err != nil {
			h.t.Error(err)
		}
	})
	return o
}

// standing is where a group stands on partition 0 of orders, with the text beside it.
func standing(t *testing.T, addr, group string) string {
	t.Helper()
	at, err := kadm.NewClient(client(t, addr)).FetchOffsets(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	o, ok := at.Lookup("orders", 0)
	if !ok {
		return "nowhere"
	}
	return fmt.Sprintf("%d %q", o.At, o.Metadata)
}

func setPosition(t *testing.T, addr, group string, at int64) {
	t.Helper()
	var o kadm.Offsets
	o.AddOffset("orders", 0, at, -1)
	if err := kadm.NewClient(client(t, addr)).CommitAllOffsets(t.Context(), group, o); err != nil {
		t.Fatal(err)
	}
}

// starts are the log starts of orders.
func starts(t *testing.T, addr string) map[int32]int64 {
	t.Helper()
	at, err := kadm.NewClient(client(t, addr)).ListStartOffsets(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	out := map[int32]int64{}
	at.Each(func(o kadm.ListedOffset) { out[o.Partition] = o.Offset })
	return out
}

// stir gives the mover one of each to do: markers for an aborted transaction, a batch, a group's position, a trimmed
// head and a setting.
func stir(t *testing.T, addr string) {
	t.Helper()
	txn := client(t, addr, kgo.TransactionalID("stir"))
	if err := txn.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	mustLoad(t, txn.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Partition: 1, Value: []byte("aborted")}).FirstErr())
	if err := txn.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	mustLoad(t, load(t, client(t, addr), "orders", 1, 5, "pending"))
	setPosition(t, addr, "readers", 15)
	adm := kadm.NewClient(client(t, addr))
	var to kadm.Offsets
	to.AddOffset("orders", 0, 3, -1)
	if _, err := adm.DeleteRecords(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	if _, err := adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "segment.ms", Value: kadm.StringPtr("7200000")}}, "orders"); err != nil {
		t.Fatal(err)
	}
}

// lateMover lets one of each request of a mover whose lease is over arrive after the takeover and after new writes.
// Nothing of it stays.
func lateMover(t *testing.T, th theatre) {
	gate := th.way.gate
	h := newHouse(t, th.at, topics())
	mustLoad(t, load(t, client(t, th.east), "orders", 2, 20, "a"))
	h.protect()
	h.followed(east)
	h.unlink()
	old := h.oldMover(&kafka.Endpoint{Brokers: []string{th.way.Addr()}})
	h.followed(east)
	h.holdOneOfEach(t, th.east, gate)
	old.lease.Store(0)
	if err := <-old.ended; err == nil || understudy.AsError(err).Code != "US003" {
		t.Fatalf("the old mover ended with %v", err)
	}
	h.link(east, west, false)
	h.followed(east)
	h.takeover(understudy.Switchover, east, west)
	mustLoad(t, load(t, client(t, th.west), "orders", 2, 25, "new"))
	setPosition(t, th.west, "readers", 40)
	owner := []kadm.AlterConfig{{Name: "segment.ms", Value: kadm.StringPtr("3600000")}}
	if _, err := kadm.NewClient(client(t, th.west)).AlterTopicConfigs(t.Context(), owner, "orders"); err != nil {
		t.Fatal(err)
	}
	h.followed(west)
	h.await("the way home has seen it all", func() bool {
		return settings(t, th.east, "orders")["segment.ms"] == "3600000" && strings.HasPrefix(standing(t, th.east, "readers"), "40 ")
	})
	before, was, began, stood := rows(t, th.west, "orders"), settings(t, th.west, "orders"), starts(t, th.west), standing(t, th.west, "readers")
	answers := letIn(t, gate)
	for key, want := range lateKinds() {
		if got := slices.Compact(answers[key]); len(got) != 1 || got[0] != want {
			t.Errorf("late %s was answered %v, not %s", kmsg.NameForKey(key), answers[key], want)
		}
	}
	h.await("it was seen", func() bool {
		return slices.ContainsFunc(h.progress.Notes, func(n string) bool { return strings.Contains(n, "as the halted mover kept it") })
	})
	h.await("all is as it was", func() bool {
		return cmp.Equal(settings(t, th.west, "orders"), was) && standing(t, th.west, "readers") == stood
	})
	if after := rows(t, th.west, "orders"); !slices.Equal(after, before) {
		t.Errorf("%d records became %d", len(before), len(after))
	}
	if now := starts(t, th.west); !maps.Equal(now, began) {
		t.Errorf("the logs began at %v, and begin at %v", began, now)
	}
	h.followed(west)
	aborted := func(r row) bool { return r.value == "aborted" } // it is read in the east by who reads what is not committed
	if home := slices.DeleteFunc(rows(t, th.east, "orders"), aborted); !slices.Equal(home, before) {
		t.Errorf("%d records in the west, and %d in the east", len(before), len(home))
	}
	h.haltGrowsOld(t, th.west)
}

// holdOneOfEach gives the mover one of each to do, and waits until the gate has them.
func (h *house) holdOneOfEach(t *testing.T, source string, gate *lab.Gate) {
	t.Helper()
	for key := range lateKinds() {
		gate.Hold(key)
	}
	stir(t, source)
	h.await("one of each is under way", func() bool {
		for key := range lateKinds() {
			if gate.Count(key) == 0 {
				return false
			}
		}
		return true
	})
}

// haltGrowsOld makes the brokers of the west forget producers soon: then the halt is not proven any more, and no probe is
// sent that they could take for a record.
func (h *house) haltGrowsOld(t *testing.T, addr string) {
	t.Helper()
	adm := kadm.NewClient(client(t, addr))
	if _, err := adm.AlterBrokerConfigs(t.Context(), []kadm.AlterConfig{{Name: "producer.id.expiration.ms", Value: kadm.StringPtr("10000")}}); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(h.steps, func(s understudy.Step) bool { return s.Kind == "halt.prove" })
	run := understudy.Run{
		Operation: "op-1", Attempt: 1, ControlPlane: h.plane, Now: h.role, Lease: lease(),
		Role: func(context.Context) (understudy.Role, error) { return h.role, nil }, Report: func(understudy.StepProgress) {},
	}
	before := rows(t, addr, "orders")
	h.await("too old", func() bool {
		run.Lease = lease()
		_, err := h.w.Do(h.ctx, h.steps[i], run)
		return err != nil && strings.Contains(understudy.AsError(err).Why, "forgets it after 10s")
	})
	if after := rows(t, addr, "orders"); !slices.Equal(after, before) {
		t.Errorf("the halt probe left a record")
	}
}

// letIn lets the late requests in, and gives the codes that each kind was answered with.
func letIn(t *testing.T, gate *lab.Gate) map[int16][]string {
	t.Helper()
	out := map[int16][]string{}
	err := gate.Release(func(h *lab.Held, answer []byte) {
		req := kmsg.RequestForKey(h.Key)
		req.SetVersion(h.Version)
		resp := req.ResponseKind()
		resp.SetVersion(h.Version)
		if req.IsFlexible() {
			answer = answer[1:] // no tags in the header
		}
		if err := resp.ReadFrom(answer); err != nil {
			t.Errorf("%s: %v", kmsg.NameForKey(h.Key), err)
		}
		out[h.Key] = append(out[h.Key], lateCodes(resp)...)
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// lateCodes are the error codes of an answer's partitions or topics.
func lateCodes(resp kmsg.Response) []string {
	var out []string
	say := func(code int16) { out = append(out, fmt.Sprint(code)) }
	switch r := resp.(type) {
	case *kmsg.ProduceResponse:
		for _, x := range r.Topics {
			for _, p := range x.Partitions {
				say(p.ErrorCode)
			}
		}
	case *kmsg.WriteTxnMarkersResponse:
		for _, m := range r.Markers {
			out = append(out, markerCodes(m)...)
		}
	case *kmsg.OffsetCommitResponse:
		for _, x := range r.Topics {
			for _, p := range x.Partitions {
				say(p.ErrorCode)
			}
		}
	case *kmsg.DeleteRecordsResponse:
		for _, x := range r.Topics {
			for _, p := range x.Partitions {
				say(p.ErrorCode)
			}
		}
	case *kmsg.IncrementalAlterConfigsResponse:
		for _, x := range r.Resources {
			say(x.ErrorCode)
		}
	}
	return out
}

func markerCodes(m kmsg.WriteTxnMarkersResponseMarker) []string {
	var out []string
	for _, x := range m.Topics {
		for _, p := range x.Partitions {
			out = append(out, fmt.Sprint(p.ErrorCode))
		}
	}
	return out
}
