package kafka_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka"
	"github.com/understudy-dr/understudy/workload/kafka/kafkasim"
)

// openTransaction begins a transaction on the topic and leaves it open.
func openTransaction(t *testing.T, addr, id string) *kgo.Client {
	t.Helper()
	cl := client(t, addr, kgo.TransactionalID(id), kgo.TransactionTimeout(20*time.Second))
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Partition: 0, Value: []byte("in a transaction")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	return cl
}

func TestFenceWaitsForTransactions(t *testing.T) { fenceWaitsForTransactions(t, simulated(t)) }

// fenceWaitsForTransactions closes a topic while a transaction is open: it ends in good order, and the commit
// is in the log that is drained.
func fenceWaitsForTransactions(t *testing.T, th theatre) {
	h := newHouse(t, th.at, topics())
	h.protect()
	cl := openTransaction(t, th.east, "payments")
	done := make(chan error, 1)
	h.setRole(h.role.Fenced())
	go func() { done <- h.stage(understudy.Switchover, understudy.StageFence, east, west) }()
	// The fence is under way as soon as an ordinary write is refused.
	app := client(t, th.east)
	for load(t, app, "orders", 1, 20, "until fenced") == nil {
		if t.Context().Err() != nil {
			t.Fatal("never fenced")
		}
	}
	select {
	case err := <-done:
		t.Fatalf("the fence did not wait for the transaction: %v", err)
	default:
	}
	if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(h.proofs(understudy.ProofFence)) == 0 {
		t.Fatal("no proof of the fence")
	}
	h.walk(understudy.Switchover, east, west, understudy.StageDrain)
	n := 0
	for _, r := range rows(t, th.west, "orders") {
		if r.value == "in a transaction" {
			n++
		}
	}
	if n != 1 {
		t.Fatalf("the committed record is %d times on the new side", n)
	}
}

// fenceNamesAHangingTransaction shows that a transaction which never ends stops the fence, by name, and
// that the topics are not closed over it.
func fenceNamesAHangingTransaction(t *testing.T, th theatre) {
	h := newHouse(t, th.at, topics())
	h.protect()
	cl := openTransaction(t, th.east, "payments")
	h.setRole(h.role.Fenced())
	h.patience = 2 * time.Second
	err := h.stage(understudy.Switchover, understudy.StageFence, east, west)
	if e := (*understudy.Error)(nil); !errors.As(err, &e) || e.Code != "US111" || !strings.Contains(e.Summary, "payments") {
		t.Fatalf("the fence ended with %v", err)
	}
	if got := settings(t, th.east, "orders")["max.message.bytes"]; got != "78" {
		t.Fatalf("the append limit is %s while a transaction is open", got)
	}
	mustLoad(t, cl.EndTransaction(t.Context(), kgo.TryAbort))
}

// TestAFailoverIsNotHeldUpByATransaction fences a side by ACL on which nobody ends a transaction. A switchover and a reprotect
// stop there; a failover and the standing duty say so, and go on.
func TestAFailoverIsNotHeldUpByATransaction(t *testing.T) {
	th := simulatedDenied(t)
	h := newHouse(t, th.at, topics())
	h.protect()
	cl := openTransaction(t, th.east, "payments")
	h.patience = 200 * time.Millisecond
	h.begin(understudy.Failover, understudy.StageProvision, east, west)
	h.mustFail(understudy.Switchover, understudy.StageFence, east, west, "US111", understudy.KindRefused, "payments")
	h.mustFail(understudy.Reprotect, understudy.StageFence, west, east, "US111", understudy.KindRefused, "payments")
	for _, verb := range []understudy.Verb{understudy.Failover, understudy.Duty} {
		h.receipts = nil
		h.walk(verb, east, west, understudy.StageFence)
		if !h.warned("transactions stay open on 1 partitions of east, orders-0 among them") || len(h.proofs(understudy.ProofFence)) == 0 {
			t.Errorf("the fence of a %s: %+v", verb, h.receipts)
		}
	}
	h.patience = 0
	mustLoad(t, cl.EndTransaction(t.Context(), kgo.TryAbort))
	h.walk(understudy.Reprotect, west, east, understudy.StageFence)
}

// heldTransaction is a transaction that has a partition of orders and writes nothing there.
type heldTransaction struct {
	t     *testing.T
	cl    *kgo.Client
	id    string
	pid   int64
	epoch int16
}

// holdTransaction begins one.
func holdTransaction(t *testing.T, addr, id string) *heldTransaction {
	t.Helper()
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.AddPartitionsToTxn), 3) // later versions are for brokers
	versions.SetMaxKeyVersion(int16(kmsg.EndTxn), 4)             // later ones change the epoch
	h := &heldTransaction{t: t, cl: client(t, addr, kgo.MaxVersions(versions)), id: id}
	init := kmsg.NewPtrInitProducerIDRequest()
	init.TransactionalID, init.TransactionTimeoutMillis = &id, 20_000
	init.ProducerID, init.ProducerEpoch = -1, -1
	h.until("the producer is known", func() bool {
		resp, err := init.RequestWith(t.Context(), h.cl)
		if err == nil {
			h.pid, h.epoch = resp.ProducerID, resp.ProducerEpoch
		}
		return err == nil && resp.ErrorCode == 0
	})
	add := kmsg.NewPtrAddPartitionsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch = id, h.pid, h.epoch
	topic := kmsg.NewAddPartitionsToTxnRequestTopic()
	topic.Topic, topic.Partitions = "orders", []int32{1}
	add.Topics = append(add.Topics, topic)
	h.until("the partition is added", func() bool {
		resp, err := add.RequestWith(t.Context(), h.cl)
		return err == nil && len(resp.Topics) == 1 && resp.Topics[0].Partitions[0].ErrorCode == 0
	})
	return h
}

// end commits it, and waits until the same id can begin another one: none of its markers is missing then.
func (h *heldTransaction) end() {
	h.t.Helper()
	end := kmsg.NewPtrEndTxnRequest()
	end.TransactionalID, end.ProducerID, end.ProducerEpoch, end.Commit = h.id, h.pid, h.epoch, true
	if resp, err := end.RequestWith(h.t.Context(), h.cl); err != nil || resp.ErrorCode != 0 {
		h.t.Fatalf("commit: %+v, %v", resp, err)
	}
	init := kmsg.NewPtrInitProducerIDRequest()
	init.TransactionalID, init.TransactionTimeoutMillis = &h.id, 20_000
	init.ProducerID, init.ProducerEpoch = -1, -1
	h.until("the transaction is over", func() bool {
		resp, err := init.RequestWith(h.t.Context(), h.cl)
		return err == nil && resp.ErrorCode == 0
	})
}

func (h *heldTransaction) until(what string, ok func() bool) {
	h.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); !ok(); {
		select {
		case <-tick.C:
		case <-deadline:
			h.t.Fatalf("never: %s", what)
		}
	}
}

func TestFenceWaitsForAHeldPartition(t *testing.T) { fenceWaitsForAHeldPartition(t, simulated(t)) }

// fenceWaitsForAHeldPartition closes topics while a transaction has a partition of them without a record there: the
// log does not show it, and yet the marker of its end needs room.
func fenceWaitsForAHeldPartition(t *testing.T, th theatre) {
	h := newHouse(t, th.at, topics())
	h.protect()
	held := holdTransaction(t, th.east, "payments")
	h.setRole(h.role.Fenced())
	h.patience = time.Second
	err := h.stage(understudy.Switchover, understudy.StageFence, east, west)
	wants(t, err, "US111")
	if e := understudy.AsError(err); !strings.Contains(e.Summary, "payments") || e.Object.Shard != "orders-1" {
		t.Fatalf("the fence ended with %v", err)
	}
	if got := settings(t, th.east, "orders")["max.message.bytes"]; got != "78" {
		t.Fatalf("the append limit is %s while a transaction is open", got)
	}
	// As a run would leave it that was killed between closing and looking again.
	zero := "0"
	if _, err := kadm.NewClient(client(t, th.east)).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &zero}}, "orders"); err != nil {
		t.Fatal(err)
	}
	wants(t, h.stage(understudy.Switchover, understudy.StageFence, east, west), "US111")
	if got := settings(t, th.east, "orders")["max.message.bytes"]; got != "78" {
		t.Fatalf("the append limit stayed %s over an open transaction", got)
	}
	held.end()
	h.patience = 0
	h.walk(understudy.Switchover, east, west, understudy.StageFence, understudy.StageDrain)
	if got := settings(t, th.east, "orders")["max.message.bytes"]; got != "0" {
		t.Fatalf("the append limit is %s after the fence", got)
	}
}

// TestFenceOpensAgainForATransactionThatSlippedIn lets a transaction take a partition between the last look and the
// closing.
func TestFenceOpensAgainForATransactionThatSlippedIn(t *testing.T) {
	sim, th := simulatedEast(t, kafkasim.Options{})
	h := newHouse(t, th.at, topics())
	h.protect()
	closing, slipped, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var held sync.Once
	sim.Watch(func(r kmsg.Request) {
		if limitOf(r) == "0" {
			held.Do(func() { close(closing); <-slipped })
		}
	})
	h.setRole(h.role.Fenced())
	go func() {
		defer close(ended)
		<-closing
		txn := holdTransaction(t, th.east, "payments")
		close(slipped)
		txn.until("the topic is opened for the marker", func() bool { return settings(t, th.east, "orders")["max.message.bytes"] == "78" })
		txn.end()
	}()
	h.walk(understudy.Switchover, east, west, understudy.StageFence)
	select {
	case <-ended:
	case <-h.ctx.Done():
		t.Fatal("the topics were not opened for the transaction's marker")
	}
	if got := settings(t, th.east, "orders")["max.message.bytes"]; got != "0" {
		t.Fatalf("the append limit is %s after the fence", got)
	}
}

// limitOf gives the append limit that a request sets.
func limitOf(r kmsg.Request) string {
	alter, ok := r.(*kmsg.IncrementalAlterConfigsRequest)
	if !ok {
		return ""
	}
	for _, res := range alter.Resources {
		for _, c := range res.Configs {
			if c.Name == "max.message.bytes" && c.Value != nil {
				return *c.Value
			}
		}
	}
	return ""
}

// simulatedEast is simulated with options for the first primary.
func simulatedEast(t *testing.T, o kafkasim.Options) (*kafkasim.Cluster, theatre) {
	t.Helper()
	th := simulated(t)
	o.ClusterID, o.Topics = "east-id", map[string]int32{"orders": 2, "idle": 1}
	sim, err := kafkasim.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	th.east = sim.Addr()
	th.at[east] = &kafka.Endpoint{Brokers: []string{sim.Addr()}}
	return sim, th
}

// TestFenceSaysWhatOldBrokersDoNotShow closes topics on brokers that cannot list transactions.
func TestFenceSaysWhatOldBrokersDoNotShow(t *testing.T) {
	_, th := simulatedEast(t, kafkasim.Options{MaxVersions: kversion.V2_8_0()})
	h := newHouse(t, th.at, topics())
	h.protect()
	h.setRole(h.role.Fenced())
	h.walk(understudy.Switchover, east, west, understudy.StageFence)
	for _, r := range h.receipts {
		if slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "do not list transactions") }) {
			return
		}
	}
	t.Fatal("nobody said that such transactions are not seen")
}

// TestFenceNeedsToSeeTransactions refuses to close topics blindly where a right would open the eyes.
func TestFenceNeedsToSeeTransactions(t *testing.T) {
	th := simulatedDenied(t)
	th.at[east].Writer = nil // so that a denial could not be proven, and the limit is needed
	h := newHouse(t, th.at, topics())
	h.protect()
	adm := kadm.NewClient(client(t, th.east))
	if _, err := adm.DeleteACLs(t.Context(), seesTransactions()); err != nil {
		t.Fatal(err)
	}
	h.setRole(h.role.Fenced())
	wants(t, h.stage(understudy.Switchover, understudy.StageCheck, east, west), "US102")
	wants(t, h.stage(understudy.Switchover, understudy.StageFence, east, west), "US102")
	if got := settings(t, th.east, "orders")["max.message.bytes"]; got == "0" || got == "78" {
		t.Fatalf("the topics were closed blindly, to %s", got)
	}
	if _, err := adm.CreateACLs(t.Context(), seesTransactions()); err != nil {
		t.Fatal(err)
	}
	h.walk(understudy.Switchover, east, west, understudy.StageFence)
}
