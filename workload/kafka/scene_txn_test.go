package kafka_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/understudy-dr/understudy"
	lab "github.com/understudy-dr/understudy/lab/kafka"
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

func TestRealFenceWaitsForTransactions(t *testing.T) { versions(t, fenceWaitsForTransactions) }

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

// TestRealFenceNamesHangingTransactions shows that a transaction which never ends stops the fence, by name, and
// that the topics are not closed over it.
func TestRealFenceNamesHangingTransactions(t *testing.T) {
	b := lab.BootAll(t,
		lab.Options{Version: lab.V44, Name: "east", Properties: map[string]string{"transaction.max.timeout.ms": "25000"}},
		lab.Options{Version: lab.V44, Name: "west"})
	th := theatre{at: endpoints{east: {Brokers: []string{b[0].Addr()}}, west: {Brokers: []string{b[1].Addr()}}}, east: b[0].Addr(), west: b[1].Addr()}
	th.make(t)
	h := newHouse(t, th.at, topics())
	h.protect()
	openTransaction(t, th.east, "payments")
	h.setRole(h.role.Fenced())
	h.patience = 2 * time.Second
	err := h.stage(understudy.Switchover, understudy.StageFence, east, west)
	if e := (*understudy.Error)(nil); !errors.As(err, &e) || e.Code != "US111" || !strings.Contains(e.Summary, "payments") {
		t.Fatalf("the fence ended with %v", err)
	}
	if got := settings(t, th.east, "orders")["max.message.bytes"]; got != "78" {
		t.Fatalf("the append limit is %s while a transaction is open", got)
	}
}
