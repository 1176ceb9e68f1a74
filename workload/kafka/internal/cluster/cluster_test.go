package cluster_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/kafkasim"
)

func lease() understudy.Lease {
	return understudy.Lease{Term: 1, Deadline: func() time.Time { return time.Now().Add(10 * time.Second) }}
}

func start(t *testing.T, o kafkasim.Options) (*kafkasim.Cluster, *cluster.Cluster) {
	t.Helper()
	sim, err := kafkasim.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	return sim, open(t, cluster.Config{Brokers: []string{sim.Addr()}})
}

func open(t *testing.T, cfg cluster.Config) *cluster.Cluster {
	t.Helper()
	c := cluster.Open(cfg)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// orders gives the one partition of the topic.
func orders(t *testing.T, c *cluster.Cluster) cluster.Partition {
	t.Helper()
	md, err := c.Metadata(t.Context(), lease(), "orders")
	if err != nil || len(md.Topics["orders"].Partitions) == 0 {
		t.Fatalf("orders: %+v, %v", md.Topics, err)
	}
	return md.Topics["orders"].Partitions[0]
}

func encoded(t *testing.T, values ...string) batch.Batch {
	t.Helper()
	coder, err := batch.NewCoder(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	var rs []batch.Record
	for i, v := range values {
		rs = append(rs, batch.Record{Offset: int64(i), Timestamp: time.Now().UnixMilli(), Value: []byte(v)})
	}
	b, err := coder.Encode(batch.None, batch.NoProducer(), rs)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRecordsAndOffsets(t *testing.T) {
	_, c := start(t, kafkasim.Options{ClusterID: "one", Topics: map[string]int32{"orders": 1}})
	p := orders(t, c)
	for i := range 3 {
		got, err := c.Produce(t.Context(), lease(), p, encoded(t, "a", "b"))
		if err != nil || got.Code != 0 || got.Base != int64(2*i) {
			t.Fatalf("produce %d: %+v, %v", i, got, err)
		}
	}
	if low, err := c.DeleteRecords(t.Context(), lease(), p, 2); err != nil || low != 2 {
		t.Fatalf("delete: %d, %v", low, err)
	}
	for at, want := range map[cluster.Position]int64{cluster.Start: 2, cluster.Stable: 6, cluster.End: 6} {
		got, err := c.ListOffsets(t.Context(), lease(), at, []cluster.Partition{p})
		if err != nil || got[p.TP] != want {
			t.Fatalf("position %d: %v, %v", at, got, err)
		}
	}
	f, err := c.Fetch(t.Context(), lease(), p, 2, 1<<20)
	if err != nil || f.HW != 6 {
		t.Fatalf("fetch: %+v, %v", f, err)
	}
	n := 0
	for b, err := range batch.Batches(f.Records) {
		if err != nil {
			t.Fatal(err)
		}
		n += int(b.Count())
	}
	if n != 4 {
		t.Fatalf("%d records, not 4", n)
	}
}

func TestTopicsAndSettings(t *testing.T) {
	_, c := start(t, kafkasim.Options{})
	made, err := c.CreateTopic(t.Context(), lease(), cluster.NewTopic{Name: "orders", Partitions: 1, Replication: 1, Configs: map[string]string{"retention.ms": "1000"}})
	if err != nil || !made {
		t.Fatalf("create: %v, %v", made, err)
	}
	if made, err = c.CreateTopic(t.Context(), lease(), cluster.NewTopic{Name: "orders", Partitions: 1, Replication: 1}); err != nil || made {
		t.Fatalf("create again: %v, %v", made, err)
	}
	for range 2 {
		if err := c.CreatePartitions(t.Context(), lease(), "orders", 3); err != nil {
			t.Fatal(err)
		}
	}
	value := "5000"
	if err := c.AlterTopicConfigs(t.Context(), lease(), "orders", map[string]*string{"retention.ms": nil, "max.message.bytes": &value}); err != nil {
		t.Fatal(err)
	}
	have, err := c.DescribeTopicConfigs(t.Context(), lease(), []string{"orders"})
	if err != nil {
		t.Fatal(err)
	}
	if v := have["orders"]["max.message.bytes"]; v.Value != "5000" || !v.Own() {
		t.Fatalf("max.message.bytes: %+v", v)
	}
	if v := have["orders"]["retention.ms"]; v.Own() || v.Inherited == nil || *v.Inherited != v.Value {
		t.Fatalf("retention.ms: %+v", v)
	}
	for range 2 {
		if err := c.DeleteTopic(t.Context(), lease(), "orders"); err != nil {
			t.Fatal(err)
		}
	}
	if md, err := c.Metadata(t.Context(), lease()); err != nil || len(md.Names()) != 0 {
		t.Fatalf("topics left: %v, %v", md.Names(), err)
	}
}

func TestGroups(t *testing.T) {
	_, c := start(t, kafkasim.Options{Topics: map[string]int32{"orders": 1}})
	p := orders(t, c)
	codes, err := c.CommitOffsets(t.Context(), lease(), "billing", map[cluster.TP]cluster.Committed{p.TP: {At: 7, Metadata: "mine"}}, map[string][16]byte{"orders": p.ID})
	if err != nil || codes[p.TP] != 0 {
		t.Fatalf("commit: %v, %v", codes, err)
	}
	at, err := c.FetchOffsets(t.Context(), lease(), "billing")
	if diff := cmp.Diff(map[cluster.TP]cluster.Committed{p.TP: {At: 7, Metadata: "mine"}}, at); err != nil || diff != "" {
		t.Fatalf("positions: %v\n%s", err, diff)
	}
	groups, err := c.ListGroups(t.Context(), lease())
	if err != nil || len(groups) != 1 || groups[0].Name != "billing" || !groups[0].Idle() {
		t.Fatalf("groups: %v, %v", groups, err)
	}
}

// TestATopicThatIsNotKnownYet asks for the settings of a topic before the broker knows it, as happens when another one has listed it.
func TestATopicThatIsNotKnownYet(t *testing.T) {
	sim, c := start(t, kafkasim.Options{})
	if _, err := c.DescribeTopicConfigs(t.Context(), lease(), []string{"new"}); understudy.KindOf(err) != understudy.KindNotFound {
		t.Fatalf("a topic that does not exist: %v", err)
	}
	var once sync.Once
	made := make(chan error, 1)
	sim.Watch(func(r kmsg.Request) {
		if r.Key() != int16(kmsg.DescribeConfigs) {
			return
		}
		once.Do(func() {
			go func() {
				_, err := c.CreateTopic(t.Context(), lease(), cluster.NewTopic{Name: "new", Partitions: 1, Replication: 1})
				made <- err
			}()
		})
	})
	have, err := c.DescribeNewTopicConfigs(t.Context(), lease(), "new")
	if err != nil || len(have) == 0 {
		t.Errorf("settings %v, %v", have, err)
	}
	if err := <-made; err != nil {
		t.Error(err)
	}
}

func TestAMarkerIsSentOnce(t *testing.T) {
	sim, c := start(t, kafkasim.Options{Topics: map[string]int32{"orders": 1}})
	p := orders(t, c)
	m := cluster.Marker{ProducerID: 0x4D52 << 48, Epoch: 3}
	if code, err := c.WriteMarker(t.Context(), lease(), p, m); err != nil || code != 0 {
		t.Fatalf("marker: %d, %v", code, err)
	}
	known, err := c.DescribeProducers(t.Context(), lease(), []cluster.Partition{p})
	if err != nil || len(known[p.TP]) != 1 || known[p.TP][0].Epoch != 3 {
		t.Fatalf("producers: %+v, %v", known, err)
	}
	before := sim.Count(kmsg.WriteTxnMarkers)
	sim.Fail(kafkasim.Key(kmsg.WriteTxnMarkers), 1, kafkasim.Unanswered)
	if _, err := c.WriteMarker(t.Context(), lease(), p, m); understudy.KindOf(err) != understudy.KindUnreachable {
		t.Fatalf("a lost answer gave %v", err)
	}
	if n := sim.Count(kmsg.WriteTxnMarkers) - before; n != 1 {
		t.Fatalf("the marker was sent %d times", n)
	}
	p.Topic = "__consumer_offsets"
	if _, err := c.WriteMarker(t.Context(), lease(), p, m); understudy.KindOf(err) != understudy.KindBug {
		t.Fatalf("a marker into an internal topic: %v", err)
	}
	before = sim.Count(kmsg.WriteTxnMarkers)
	for _, pid := range []int64{-1, 0, 4711, 0x4D51 << 48, 0x4D53 << 48} {
		if _, err := c.WriteMarker(t.Context(), lease(), orders(t, c), cluster.Marker{ProducerID: pid, Epoch: 3}); understudy.KindOf(err) != understudy.KindBug {
			t.Fatalf("a marker for producer %d, which is not ours: %v", pid, err)
		}
	}
	if n := sim.Count(kmsg.WriteTxnMarkers) - before; n != 0 {
		t.Fatalf("%d markers of others were sent", n)
	}
}

func TestNothingIsSentAfterTheLease(t *testing.T) {
	sim, c := start(t, kafkasim.Options{Topics: map[string]int32{"orders": 1}})
	p := orders(t, c)
	over := understudy.Lease{Deadline: func() time.Time { return time.Now().Add(-time.Millisecond) }}
	before := sim.Count(kmsg.Produce)
	_, err := c.Produce(t.Context(), over, p, encoded(t, "late"))
	if e := (*understudy.Error)(nil); !errors.As(err, &e) || e.Code != "US003" || e.Kind != understudy.KindFenced {
		t.Fatalf("after the lease: %v", err)
	}
	if sim.Count(kmsg.Produce) != before {
		t.Fatal("a request left after the lease")
	}
}

func TestARequestEndsWithTheLease(t *testing.T) {
	sim, c := start(t, kafkasim.Options{Topics: map[string]int32{"orders": 1}})
	p := orders(t, c)
	gate := sim.Pause(kafkasim.Key(kmsg.Produce))
	defer gate.Release()
	end := time.Now().Add(300 * time.Millisecond)
	_, err := c.Produce(t.Context(), understudy.Lease{Deadline: func() time.Time { return end }}, p, encoded(t, "held"))
	if understudy.KindOf(err) != understudy.KindFenced || time.Since(end) > 2*time.Second {
		t.Fatalf("a held request ended %s after the lease with %v", time.Since(end), err)
	}
}

func TestAnUnreachableClusterIsKnownSoon(t *testing.T) {
	sim, c := start(t, kafkasim.Options{})
	if err := c.Contact(t.Context()); err != nil {
		t.Fatal(err)
	}
	sim.Kill()
	began := time.Now()
	err := c.Contact(t.Context())
	if e := (*understudy.Error)(nil); !errors.As(err, &e) || e.Code != "US100" || time.Since(began) > time.Second {
		t.Fatalf("after %s: %v", time.Since(began), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := c.Metadata(ctx, lease()); understudy.KindOf(err) != understudy.KindUnreachable {
		t.Fatalf("metadata of a dead cluster: %v", err)
	}
}

// TestARefusedLoginIsTold has one broker refuse the login and another accept connections and say nothing, in both orders.
func TestARefusedLoginIsTold(t *testing.T) {
	t.Parallel()
	sim, _ := start(t, kafkasim.Options{Authorizer: true, Users: map[string]string{"mover": "hush"}})
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, and nobody else
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	contact := func(password string, brokers ...string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		return open(t, cluster.Config{
			Brokers: brokers, SASL: &cluster.SASL{Mechanism: "PLAIN", User: "mover", Secret: "kafka-east"},
			Secret: func(context.Context, string) ([]byte, error) { return []byte(password), nil },
		}).Contact(ctx)
	}
	for _, brokers := range [][]string{{silent.Addr().String(), sim.Addr()}, {sim.Addr(), silent.Addr().String()}} {
		if err := contact("wrong", brokers...); understudy.KindOf(err) != understudy.KindDenied {
			t.Errorf("%v: %v", brokers, err)
		}
		if err := contact("hush", brokers...); err != nil {
			t.Errorf("%v with the right password: %v", brokers, err)
		}
	}
}

func TestSecretsStaySecret(t *testing.T) {
	sim, _ := start(t, kafkasim.Options{Authorizer: true, Users: map[string]string{"mover": "hush"}})
	c := open(t, cluster.Config{
		Brokers: []string{sim.Addr()}, SASL: &cluster.SASL{Mechanism: "PLAIN", User: "mover", Secret: "kafka-east"},
		Secret: func(context.Context, string) ([]byte, error) { return []byte("not-the-password\n"), nil },
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := c.Metadata(ctx, lease())
	if err == nil || strings.Contains(err.Error(), "not-the-password") {
		t.Fatalf("a wrong password gave %v", err)
	}
}

func TestRules(t *testing.T) {
	_, plain := start(t, kafkasim.Options{})
	if _, authorizer, err := plain.ListACLs(t.Context(), lease()); err != nil || authorizer {
		t.Fatalf("without authorizer: %v, %v", authorizer, err)
	}
	_, c := start(t, kafkasim.Options{Authorizer: true})
	rule := cluster.ACL{
		Type: kmsg.ACLResourceTypeTopic, Name: "orders", Pattern: kmsg.ACLResourcePatternTypeLiteral, Principal: "User:app", Host: "*",
		Operation: kmsg.ACLOperationWrite, Allow: kmsg.ACLPermissionTypeDeny,
	}
	for range 2 {
		if err := c.CreateACLs(t.Context(), lease(), []cluster.ACL{rule}); err != nil {
			t.Fatal(err)
		}
	}
	all, authorizer, err := c.ListACLs(t.Context(), lease())
	if diff := cmp.Diff([]cluster.ACL{rule}, all); err != nil || !authorizer || diff != "" {
		t.Fatalf("rules: %v, %v\n%s", authorizer, err, diff)
	}
	for range 2 {
		if err := c.DeleteACLs(t.Context(), lease(), []cluster.ACL{rule}); err != nil {
			t.Fatal(err)
		}
	}
	if all, _, err = c.ListACLs(t.Context(), lease()); err != nil || len(all) != 0 {
		t.Fatalf("rules left: %v, %v", all, err)
	}
}

func TestCodesOfBrokers(t *testing.T) {
	_, c := start(t, kafkasim.Options{})
	for code, want := range map[int16]struct {
		code understudy.Code
		kind understudy.ErrorKind
	}{
		3: {"US103", understudy.KindNotFound}, 5: {"US122", understudy.KindRetry}, 6: {"US103", understudy.KindRetry}, 19: {"US121", understudy.KindRetry}, 20: {"US121", understudy.KindRetry}, 78: {"US121", understudy.KindRetry}, 29: {"US102", understudy.KindDenied},
		44: {"US103", understudy.KindRefused}, 47: {"US103", understudy.KindConflict}, 58: {"US102", understudy.KindDenied},
		33: {"US102", understudy.KindDenied}, 34: {"US102", understudy.KindDenied},
	} {
		e := understudy.AsError(c.Refused("kafka.test", "orders-0", code, "WRITE on topic orders"))
		if e.Code != want.code || e.Kind != want.kind || e.Object.Shard != "orders-0" {
			t.Errorf("code %d became %+v", code, e)
		}
	}
	if err := c.Refused("kafka.test", "", 0, ""); err != nil {
		t.Errorf("code 0 became %v", err)
	}
}

// A caller that gives up is told so; the cluster that it no longer waited for is not called unreachable.
func TestWhoGivesUpIsInterrupted(t *testing.T) {
	sim, c := start(t, kafkasim.Options{Topics: map[string]int32{"orders": 1}})
	orders(t, c) // it is connected
	gate := sim.Pause(kafkasim.Key(kmsg.Metadata))
	defer gate.Release()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		<-gate.Held()
		cancel()
	}()
	_, err := c.Metadata(ctx, lease(), "orders")
	var e *understudy.Error
	if !errors.As(err, &e) || e.Code != "US002" || e.Kind != understudy.KindRetry || !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}
