package kafkasim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func client4(t *testing.T, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addr), kgo.DisableClientMetrics(), kgo.MetadataMinAge(10 * time.Millisecond)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func produceAll(t *testing.T, cl *kgo.Client, topic string, from, n int) {
	t.Helper()
	for i := range n {
		r := &kgo.Record{Topic: topic, Partition: 0, Value: fmt.Appendf(nil, "v%d", from+i)}
		if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func consume(t *testing.T, addr, topic string, n int, opts ...kgo.Opt) []string {
	t.Helper()
	cl := client4(t, addr, append(opts, kgo.ConsumeTopics(topic), kgo.FetchMaxWait(50*time.Millisecond))...)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got []string
	for len(got) < n {
		f := cl.PollFetches(ctx)
		if err := f.Err(); err != nil {
			t.Fatalf("after %d of %d: %v", len(got), n, err)
		}
		f.EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	}
	return got
}

func TestAcknowledgedRecordsSurviveAKill(t *testing.T) {
	c := begin(t, Options{ClusterID: "east", Topics: map[string]int32{"orders": 1}})
	addr := c.Addr()
	cl := client4(t, addr)
	produceAll(t, cl, "orders", 0, 20)

	c.Kill()
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Error("a killed cluster accepts connections")
	}
	if err := c.Restart(); err != nil {
		t.Fatal(err)
	}
	if c.Addr() != addr || c.ClusterID() != "east" {
		t.Errorf("now %s at %s", c.ClusterID(), c.Addr())
	}
	produceAll(t, cl, "orders", 20, 5)
	got := consume(t, addr, "orders", 25)
	for i, v := range got {
		if v != fmt.Sprintf("v%d", i) {
			t.Fatalf("record %d is %s of %v", i, v, got)
		}
	}
}

// TestARetryAfterALostAnswerIsNotASecondRecord is what idempotence is for.
func TestARetryAfterALostAnswerIsNotASecondRecord(t *testing.T) {
	c := begin(t, Options{Topics: map[string]int32{"orders": 1}})
	cl := client4(t, c.Addr())
	produceAll(t, cl, "orders", 0, 3)
	c.Fail(Key(kmsg.Produce), 1, Unanswered)
	c.Fail(Key(kmsg.Produce), 3, Unheard)
	produceAll(t, cl, "orders", 3, 4)
	got := consume(t, c.Addr(), "orders", 7)
	if want := "v0 v1 v2 v3 v4 v5 v6"; strings.Join(got, " ") != want {
		t.Errorf("got %v", got)
	}
	if n := c.Count(kmsg.Produce); n != 9 {
		t.Errorf("%d produce requests", n)
	}
}

func TestPauseHoldsARequestBeyondItsClient(t *testing.T) {
	c := begin(t, Options{Topics: map[string]int32{"orders": 1}})
	a := connect(t.Context(), Target{Addr: c.Addr()}, "")
	a.topic = "orders"
	a.led()
	gate := c.Pause(Key(kmsg.Produce))
	ctx, cancel := context.WithCancel(t.Context())
	z := connect(ctx, Target{Addr: c.Addr()}, "")
	z.topic, z.id = a.topic, a.id
	done := make(chan struct{})
	go func() {
		defer close(done)
		z.write(crafted, 0, 0, 1)
	}()
	<-gate.Held()
	cancel()
	<-done
	z.close()
	if got := a.end(); got != 0 {
		t.Fatalf("end %d while the request is held", got)
	}
	gate.Release()
	a.until(func() bool { return a.end() == 1 })
	if a.close(); a.err != nil {
		t.Error(a.err)
	}
}

func TestWatchSeesRequests(t *testing.T) {
	c := begin(t, Options{Topics: map[string]int32{"orders": 1}})
	seen := make(chan string, 100)
	c.Watch(func(r kmsg.Request) {
		if p, ok := r.(*kmsg.ProduceRequest); ok {
			seen <- fmt.Sprint(len(p.Topics[0].Partitions))
		}
	})
	produceAll(t, client4(t, c.Addr()), "orders", 0, 1)
	if got := <-seen; got != "1" {
		t.Errorf("saw %s partitions", got)
	}
}

func TestTransactionsOfARealClient(t *testing.T) {
	c := begin(t, Options{Topics: map[string]int32{"orders": 1}})
	cl := client4(t, c.Addr(), kgo.TransactionalID("till-1"))
	for i, how := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort, kgo.TryCommit} {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		produceAll(t, cl, "orders", 10*i, 2)
		if err := cl.EndTransaction(t.Context(), how); err != nil {
			t.Fatal(err)
		}
	}
	got := consume(t, c.Addr(), "orders", 4, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if want := []string{"v0", "v1", "v20", "v21"}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestAPartitionTwiceInAnEntryIsRefused(t *testing.T) {
	c := begin(t, Options{Topics: map[string]int32{"orders": 2}})
	a := connect(t.Context(), Target{Addr: c.Addr()}, "")
	defer a.close()
	a.topic = "orders"
	if got := a.markers(1, 0, 0, 1, 0, 1, 0); got != "42,42,42" {
		t.Errorf("answered %s", got)
	}
	if got := a.end(); got != 0 || a.err != nil {
		t.Errorf("end %d, %v", got, a.err)
	}
}

func TestLogins(t *testing.T) {
	c := begin(t, Options{Authorizer: true, Users: map[string]string{"ada": "right", "eve": "x"}, SuperUsers: []string{"ada"}})
	ask := func(opts ...kgo.Opt) error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		cl := client4(t, c.Addr(), opts...)
		req := kmsg.NewPtrDescribeACLsRequest()
		req.ResourceType, req.ResourcePatternType, req.Operation, req.PermissionType = 1, 1, 1, 1
		resp, err := req.RequestWith(ctx, cl)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.ErrorCode)
	}
	if err := ask(kgo.SASL(plain.Auth{User: "ada", Pass: "right"}.AsMechanism())); err != nil {
		t.Errorf("plain: %v", err)
	}
	if err := ask(kgo.SASL(scram.Auth{User: "ada", Pass: "right"}.AsSha512Mechanism())); err != nil {
		t.Errorf("scram: %v", err)
	}
	if err := ask(kgo.SASL(plain.Auth{User: "ada", Pass: "wrong"}.AsMechanism())); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("wrong password: %v", err)
	}
	for name, opts := range map[string][]kgo.Opt{"eve": {kgo.SASL(plain.Auth{User: "eve", Pass: "x"}.AsMechanism())}, "nobody": nil} {
		if err := ask(opts...); !errors.Is(err, kerr.ClusterAuthorizationFailed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStartFails(t *testing.T) {
	c := begin(t, Options{})
	_, port, err := split(c.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Start(Options{Port: int(port)}); err == nil {
		t.Error("two clusters on one port")
	}
	c.Close()
	if err := c.Restart(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("restart after close: %v", err)
	}
}

// TestCompactionKeepsProducers: batches that the cleaner rebuilt still show their producers' ids, and the
// sequence goes on.
func TestCompactionKeepsProducers(t *testing.T) {
	c := begin(t, Options{})
	a := connect(t.Context(), Target{Addr: c.Addr()}, "")
	defer a.close()
	a.create("keys", 1, "cleanup.policy", "compact")
	for seq := range int32(4) {
		a.write(crafted, 0, 3*seq, 3)
	}
	c.Compact()
	c.log.Lock()
	raw, err := c.read(shard{topic: "keys"}, 0)
	c.log.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	reveal(raw)
	records := 0
	for b, rest, ok := cutBatch(raw); ok; b, rest, ok = cutBatch(rest) {
		if v := view(b); v.pid != crafted || int64At(b, atProducer) != crafted || !intact(b) {
			t.Errorf("batch at %d has producer %d", v.base, int64At(b, atProducer))
		}
		records += int(view(b).count)
	}
	if records >= 12 {
		t.Errorf("%d records are left after compaction", records)
	}
	if got := a.write(crafted, 0, 12, 1); got != "0@12" || a.err != nil {
		t.Errorf("next write: %s, %v", got, a.err)
	}
}
