package cluster_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/kafkasim"
)

// TestEveryCodeOfABroker holds the mapping of all codes to what control does with them: a right is named, what may go
// away is tried again, and the broker's own word is never lost.
func TestEveryCodeOfABroker(t *testing.T) {
	c := cluster.Open(cluster.Config{})
	kinds := map[int16]understudy.ErrorKind{
		3: understudy.KindNotFound, 69: understudy.KindNotFound, 100: understudy.KindNotFound,
		29: understudy.KindDenied, 30: understudy.KindDenied, 31: understudy.KindDenied, 53: understudy.KindDenied, 58: understudy.KindDenied, 65: understudy.KindDenied,
		33: understudy.KindDenied, 34: understudy.KindDenied,
		47: understudy.KindConflict, 52: understudy.KindConflict,
	}
	for code := int16(-1); code < 130; code++ {
		if code == 0 {
			continue
		}
		known := kerr.TypedErrorForCode(code)
		want, special := kinds[code]
		switch {
		case special:
		case known != nil && known.Retriable:
			want = understudy.KindRetry
		default:
			want = understudy.KindRefused
		}
		e := understudy.AsError(c.Refused("kafka.test", "orders-0", code, "WRITE on topic orders"))
		if e.Kind != want {
			t.Errorf("code %d is %s, not %s", code, e.Kind, want)
		}
		if known != nil && !errors.Is(e, known) {
			t.Errorf("code %d lost the broker's word: %v", code, e)
		}
		login := code == 33 || code == 34 || code == 58
		if login && (e.Code != "US102" || e.Fix == "") {
			t.Errorf("code %d does not say what to do about the login: %v", code, e)
		}
		if e.Kind == understudy.KindDenied && !login && (e.Code != "US102" || !strings.Contains(e.Summary, "WRITE on topic orders")) {
			t.Errorf("code %d does not name the right: %v", code, e)
		}
	}
}

func TestPartitionsWithoutALeaderAreTriedAgain(t *testing.T) {
	_, c := start(t, kafkasim.Options{Topics: map[string]int32{"orders": 1}})
	p := orders(t, c)
	p.Leader = -1
	if _, err := c.ListOffsets(t.Context(), lease(), cluster.End, []cluster.Partition{p}); understudy.KindOf(err) != understudy.KindRetry {
		t.Errorf("offsets: %v", err)
	}
	if _, err := c.DescribeProducers(t.Context(), lease(), []cluster.Partition{p}); understudy.KindOf(err) != understudy.KindRetry {
		t.Errorf("producers: %v", err)
	}
}

func TestOffsetsOfWhatIsNotThere(t *testing.T) {
	_, c := start(t, kafkasim.Options{Topics: map[string]int32{"orders": 1}})
	p := orders(t, c)
	if _, err := c.DeleteRecords(t.Context(), lease(), p, 9); understudy.AsError(err).Code != "US103" {
		t.Errorf("beyond the end: %v", err)
	}
	if f, err := c.Fetch(t.Context(), lease(), p, 9, 1<<20); err != nil || f.Code != cluster.CodeOffsetOutOfRange {
		t.Errorf("a fetch beyond the end: %+v, %v", f, err)
	}
	p.Partition = 7
	if _, err := c.ListOffsets(t.Context(), lease(), cluster.End, []cluster.Partition{p}); understudy.KindOf(err) != understudy.KindNotFound {
		t.Errorf("no such partition: %v", err)
	}
}

func TestPositionsOfManyGroups(t *testing.T) {
	_, c := start(t, kafkasim.Options{Topics: map[string]int32{"orders": 1}})
	p := orders(t, c)
	ids := map[string][16]byte{"orders": p.ID}
	want := map[string]map[cluster.TP]cluster.Committed{"nobody": {}}
	for i, name := range []string{"billing", "reports"} {
		at := map[cluster.TP]cluster.Committed{p.TP: {At: int64(i), Metadata: name}}
		want[name] = at
		if codes, err := c.CommitOffsets(t.Context(), lease(), name, at, ids); err != nil || codes[p.TP] != 0 {
			t.Fatal(codes, err)
		}
	}
	got, err := c.FetchGroupOffsets(t.Context(), lease(), []string{"billing", "nobody", "reports"})
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if alone, err := c.FetchOffsets(t.Context(), lease(), "nobody"); err != nil || len(alone) != 0 {
		t.Errorf("a group that nobody has: %v, %v", alone, err)
	}
	elsewhere := map[cluster.TP]cluster.Committed{{Topic: "none"}: {At: 1}}
	codes, err := c.CommitOffsets(t.Context(), lease(), "billing", elsewhere, ids)
	if err != nil || len(codes) != 1 || slices.Contains(slices.Collect(maps.Values(codes)), 0) {
		t.Errorf("a position in a topic that is not there: %v, %v", codes, err)
	}
}

// open begins a transaction that takes a partition of orders and writes nothing.
func openTransaction(t *testing.T, sim *kafkasim.Cluster, id string) {
	t.Helper()
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.AddPartitionsToTxn), 3)
	cl, err := kgo.NewClient(kgo.SeedBrokers(sim.Addr()), kgo.MaxVersions(versions))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	begin := kmsg.NewPtrInitProducerIDRequest()
	begin.TransactionalID, begin.TransactionTimeoutMillis, begin.ProducerID, begin.ProducerEpoch = &id, 60_000, -1, -1
	made, err := begin.RequestWith(t.Context(), cl)
	if err != nil || made.ErrorCode != 0 {
		t.Fatal(made, err)
	}
	add := kmsg.NewPtrAddPartitionsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch = id, made.ProducerID, made.ProducerEpoch
	topic := kmsg.NewAddPartitionsToTxnRequestTopic()
	topic.Topic, topic.Partitions = "orders", []int32{0}
	add.Topics = append(add.Topics, topic)
	if resp, err := add.RequestWith(t.Context(), cl); err != nil || resp.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatal(resp, err)
	}
}

func TestOpenTransactionsShowTheirPartitions(t *testing.T) {
	sim, c := start(t, kafkasim.Options{Topics: map[string]int32{"orders": 1}})
	if all, known, err := c.OpenTransactions(t.Context(), lease()); err != nil || !known || len(all) != 0 {
		t.Fatalf("none: %v, %v, %v", all, known, err)
	}
	openTransaction(t, sim, "payments")
	all, known, err := c.OpenTransactions(t.Context(), lease())
	if err != nil || !known || len(all) != 1 {
		t.Fatalf("one: %v, %v, %v", all, known, err)
	}
	if x := all[0]; x.ID != "payments" || x.State != "Ongoing" || !slices.Equal(x.Partitions, []cluster.TP{{Topic: "orders"}}) {
		t.Errorf("%+v", x)
	}
	if sees, known, err := c.SeesTransactions(t.Context(), lease(), orders(t, c).Leader); err != nil || !known || !sees {
		t.Errorf("without authorizer: %v, %v, %v", sees, known, err)
	}
}

func TestOldBrokersListNoTransactions(t *testing.T) {
	_, c := start(t, kafkasim.Options{Topics: map[string]int32{"orders": 1}, MaxVersions: kversion.V2_8_0()})
	if all, known, err := c.OpenTransactions(t.Context(), lease()); err != nil || known || len(all) != 0 {
		t.Errorf("%v, %v, %v", all, known, err)
	}
	if _, known, err := c.SeesTransactions(t.Context(), lease(), orders(t, c).Leader); err != nil || known {
		t.Errorf("%v, %v", known, err)
	}
}

// TestRulesOfEveryKind puts rules of all kinds in and takes out exactly one.
func TestRulesOfEveryKind(t *testing.T) {
	_, c := start(t, kafkasim.Options{Authorizer: true})
	rule := func(kind kmsg.ACLResourceType, name string, pattern kmsg.ACLResourcePatternType, who string, op kmsg.ACLOperation, how kmsg.ACLPermissionType) cluster.ACL {
		return cluster.ACL{Type: kind, Name: name, Pattern: pattern, Principal: who, Host: "*", Operation: op, Allow: how}
	}
	literal, prefixed := kmsg.ACLResourcePatternTypeLiteral, kmsg.ACLResourcePatternTypePrefixed
	allow, deny := kmsg.ACLPermissionTypeAllow, kmsg.ACLPermissionTypeDeny
	all := []cluster.ACL{
		rule(kmsg.ACLResourceTypeTopic, "orders", literal, "User:app", kmsg.ACLOperationWrite, deny),
		rule(kmsg.ACLResourceTypeTopic, "orders", literal, "User:app", kmsg.ACLOperationWrite, allow),
		rule(kmsg.ACLResourceTypeTopic, "orders", prefixed, "User:app", kmsg.ACLOperationWrite, deny),
		rule(kmsg.ACLResourceTypeTopic, "orders", literal, "User:other", kmsg.ACLOperationWrite, deny),
		rule(kmsg.ACLResourceTypeGroup, "billing", literal, "User:app", kmsg.ACLOperationRead, allow),
		rule(kmsg.ACLResourceTypeTransactionalId, "pay", prefixed, "User:app", kmsg.ACLOperationWrite, allow),
	}
	if err := c.CreateACLs(t.Context(), lease(), all); err != nil {
		t.Fatal(err)
	}
	if err := c.DeleteACLs(t.Context(), lease(), all[:1]); err != nil {
		t.Fatal(err)
	}
	left, _, err := c.ListACLs(t.Context(), lease())
	if err != nil || len(left) != len(all)-1 || slices.Contains(left, all[0]) {
		t.Fatalf("%v, %v", left, err)
	}
	for _, a := range all[1:] {
		if !slices.Contains(left, a) {
			t.Errorf("%+v is gone", a)
		}
	}
	if err := errors.Join(c.CreateACLs(t.Context(), lease(), nil), c.DeleteACLs(t.Context(), lease(), nil)); err != nil {
		t.Errorf("no rules: %v", err)
	}
}
