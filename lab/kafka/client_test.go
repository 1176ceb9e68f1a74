package kafka_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/lab/kafka"
)

// mixed makes a topic with two partitions that has a little of everything.
func mixed(t *testing.T, c *kafka.Client, a kafka.Access, topic string) {
	t.Helper()
	must(t, c.CreateTopics(t.Context(), a, kafka.Topic{Name: topic, Partitions: 2, Configs: map[string]string{"retention.ms": "-1"}}))
	for i, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		p, err := c.Producer(t.Context(), a, map[string]string{"compression.type": codec})
		must(t, err)
		_, err = p.Send(t.Context(),
			kafka.Out{Topic: topic, Timestamp: int64(1000 + i), Value: []byte(codec)},
			kafka.Out{Topic: topic, Partition: 1, Timestamp: int64(2000 + i), Key: []byte{}, Headers: []kafka.Header{{Key: "a", Value: []byte("1")}, {Key: "b"}}})
		must(t, err)
		must(t, p.Close(t.Context()))
	}
	p, err := c.Producer(t.Context(), a, map[string]string{"transactional.id": "mixer"})
	must(t, err)
	for _, end := range []func() error{func() error { return p.Commit(t.Context()) }, func() error { return p.Abort(t.Context()) }} {
		must(t, p.Begin(t.Context()))
		_, err = p.Send(t.Context(), kafka.Out{Topic: topic, Timestamp: 3000, Key: []byte("k"), Value: []byte{0, 255}})
		must(t, err)
		must(t, end())
	}
	must(t, p.Close(t.Context()))
}

func dumpTellsEverything(t *testing.T, s *stage) {
	c := s.newClient
	var all []kafka.Contents
	for _, b := range s.both() {
		mixed(t, c, b.Access(), "mixed")
		all = append(all, dump(t, c, b.Access(), "mixed"))
	}
	if d := all[0].Diff(all[1], 5); d != nil {
		t.Errorf("the same records in two clusters:\n%s", strings.Join(d, "\n"))
	}
	got := all[0]
	if len(got.Records) != 11 {
		t.Fatalf("%d records of 11: %v", len(got.Records), got.Records)
	}
	first := kafka.Record{Topic: "mixed", Timestamp: 1000, TimestampType: "CreateTime", Value: []byte("none")}
	if !got.Records[0].Equal(first) {
		t.Errorf("first is %v", got.Records[0])
	}
	want := []kafka.Range{{Topic: "mixed", End: 9, Position: 9}, {Topic: "mixed", Partition: 1, End: 5, Position: 5}}
	if !slices.Equal(got.Ranges, want) {
		t.Errorf("ranges %+v", got.Ranges)
	}
	h := got.Records[6]
	if h.Partition != 1 || h.Key == nil || len(h.Key) != 0 || h.Value != nil || len(h.Headers) != 2 || h.Headers[1].Value != nil {
		t.Errorf("null and empty are mixed up: %#v", h)
	}
}

func isolationAndLogStart(t *testing.T, s *stage) {
	b, c := s.old, s.oldClient
	mixed(t, c, b.Access(), "trimmed")
	must(t, c.DeleteRecords(t.Context(), b.Access(), kafka.Offset{Topic: "trimmed", Offset: 2}))
	all, err := c.Dump(t.Context(), b.Access(), kafka.ReadUncommitted, "trimmed")
	must(t, err)
	committed := dump(t, c, b.Access(), "trimmed")
	if len(all.Records) != 10 || len(committed.Records) != 9 {
		t.Errorf("%d records, %d committed", len(all.Records), len(committed.Records))
	}
	if all.Ranges[0].Start != 2 {
		t.Errorf("log start is %d", all.Ranges[0].Start)
	}
	if ranges, err := c.Ranges(t.Context(), b.Access(), kafka.ReadUncommitted, all.Ranges[0].Topic); err != nil || !slices.Equal(ranges, all.Ranges) {
		t.Errorf("the ranges alone are %+v, %v, and with the records %+v", ranges, err, all.Ranges)
	}
}

func TestDiffFindsOneOfEach(t *testing.T) {
	record := func(offset int64, value string) kafka.Record {
		return kafka.Record{Topic: "t", Offset: offset, Value: []byte(value)}
	}
	here := kafka.Contents{Records: []kafka.Record{record(1, "a"), record(2, "b"), record(4, "d")}}
	there := kafka.Contents{Records: []kafka.Record{record(1, "a"), record(2, "B"), record(3, "c")}}
	got := here.Diff(there, 10)
	if len(got) != 3 || !strings.HasPrefix(got[0], "differs") || !strings.HasPrefix(got[1], "only there") || !strings.HasPrefix(got[2], "only here") {
		t.Errorf("differences: %q", got)
	}
	empty := kafka.Contents{Records: []kafka.Record{{Topic: "t", Offset: 1, Value: []byte{}}}}
	null := kafka.Contents{Records: []kafka.Record{{Topic: "t", Offset: 1}}}
	if len(empty.Diff(null, 1)) != 1 {
		t.Error("an empty value passes for a null")
	}
}

func groups(t *testing.T, s *stage) {
	b, c := s.new, s.newClient
	fill(t, c, b.Access(), "read", 10)
	must(t, c.SetOffsets(t.Context(), b.Access(), "readers", kafka.Offset{Topic: "read", Offset: 4, Metadata: "by hand"}))
	m, err := c.Join(t.Context(), b.Access(), kafka.Membership{Group: "readers", Topics: []string{"read"}, Commit: true})
	must(t, err)
	got, err := m.WaitAssigned(t.Context())
	must(t, err)
	if !slices.Equal(got, []kafka.Partition{{Topic: "read"}}) {
		t.Errorf("assigned %v", got)
	}
	must(t, m.WaitRecords(t.Context(), 6))
	if first := m.Records()[0]; first.Offset != 4 || !bytes.Equal(first.Value, []byte("value 4")) {
		t.Errorf("the group began at %v", first)
	}
	must(t, m.Stop(t.Context()))
	offsets, err := c.Offsets(t.Context(), b.Access(), "readers")
	must(t, err)
	if o := offsets[kafka.Partition{Topic: "read"}]; o.Offset != 10 {
		t.Errorf("committed %+v", o)
	}
}

// loadGoesOn writes all the time while the broker is killed and restarted: what was acknowledged is there.
func loadGoesOn(t *testing.T, c *kafka.Client, b *kafka.Broker) {
	t.Helper()
	must(t, c.CreateTopics(t.Context(), b.Access(), kafka.Topic{Name: "busy", Partitions: 3}))
	p, err := c.Producer(t.Context(), b.Access(), map[string]string{"delivery.timeout.ms": "60000"})
	must(t, err)
	l, err := p.Load(t.Context(), kafka.Steady{Topic: "busy", Partitions: 3, Rate: 500, Size: 100, Prefix: "x"})
	must(t, err)
	must(t, l.WaitAcks(t.Context(), 100))
	killAndRestart(t, b)
	must(t, l.WaitAcks(t.Context(), len(l.Answers().Acks)+100))
	answers, err := l.Stop(t.Context())
	must(t, err)
	stored := make(map[kafka.Partition]map[int64]string)
	for _, r := range dump(t, c, b.Access(), "busy").Records {
		at := kafka.Partition{Topic: r.Topic, Partition: r.Partition}
		if stored[at] == nil {
			stored[at] = make(map[int64]string)
		}
		stored[at][r.Offset] = string(r.Key)
	}
	missing := 0
	for _, a := range answers.Acks {
		if stored[kafka.Partition{Topic: a.Topic, Partition: a.Partition}][a.Offset] != a.Ref {
			missing++
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d acknowledged records are not where they were said to be", missing, len(answers.Acks))
	}
	t.Logf("%d acknowledged, %d refused", len(answers.Acks), len(answers.Refusals))
}

// TestAuthorizer asks who gets in where, on brokers with users; the old one has them on its WAN listener too.
func TestAuthorizer(t *testing.T) {
	users := map[string]string{"app": "secret", "other": `q"t`, "mover": "m"}
	brokers := kafka.BootAll(t,
		kafka.Options{
			Version: kafka.V39, Authorizer: true, Users: users, WAN: listen(t), WANUsers: true,
			Properties: map[string]string{"super.users": "User:ANONYMOUS;User:mover"},
		},
		kafka.Options{Version: kafka.V44, Authorizer: true, Users: users})
	t.Run("it denies", func(t *testing.T) { authorizerDenies(t, brokers) })
	t.Run("users on the WAN listener", func(t *testing.T) { usersOnTheWANListener(t, brokers[0]) })
}

func authorizerDenies(t *testing.T, brokers []*kafka.Broker) {
	c := kafka.OpenClient(t, kafka.V44)
	for _, b := range brokers {
		must(t, c.CreateTopics(t.Context(), b.Access(), kafka.Topic{Name: "guarded", Partitions: 1}))
		must(t, c.CreateACLs(t.Context(), b.Access(),
			kafka.ACL{Type: "TOPIC", Name: "guarded", Principal: "User:*", Operation: "WRITE", Permission: "ALLOW"},
			kafka.ACL{Type: "TOPIC", Name: "guarded", Principal: "User:app", Operation: "WRITE", Permission: "DENY"}))
		for user, denied := range map[string]bool{"app": true, "other": false} {
			p, err := c.Producer(t.Context(), b.As(user), map[string]string{"enable.idempotence": "false"})
			must(t, err)
			a, err := p.Send(t.Context(), values("guarded", 1)...)
			must(t, err)
			refused := len(a.Refusals) == 1 && strings.HasPrefix(a.Refusals[0].Error, "TopicAuthorizationException")
			if refused != denied {
				t.Errorf("%s: %s sends: %+v", b.Version(), user, a)
			}
			must(t, p.Close(t.Context()))
		}
		acls, err := c.ACLs(t.Context(), b.Access())
		if err != nil || len(acls) != 2 {
			t.Errorf("acls %v, %v", acls, err)
		}
		_, err = c.Configs(t.Context(), b.As("app"), "guarded")
		var thrown *kafka.ClientError
		if !errors.As(err, &thrown) || thrown.Class != "TopicAuthorizationException" {
			t.Errorf("a stranger reads the configuration: %v", err)
		}
	}
}

func usersOnTheWANListener(t *testing.T, b *kafka.Broker) {
	c := kafka.OpenClient(t, kafka.V39)
	near := fill(t, c, b.Access(), "far", 3)
	far, err := c.Dump(t.Context(), b.Far("mover"), kafka.ReadCommitted, "far")
	must(t, err)
	if d := near.Diff(far, 3); d != nil {
		t.Error(strings.Join(d, "\n"))
	}
	stranger := b.Far("mover")
	stranger.Password = "wrong"
	_, err = c.Dump(t.Context(), stranger, kafka.ReadCommitted, "far")
	var thrown *kafka.ClientError
	if !errors.As(err, &thrown) || thrown.Class != "SaslAuthenticationException" {
		t.Errorf("a wrong password: %v", err)
	}
}

func configs(t *testing.T, s *stage) {
	b, c := s.new, s.newClient
	must(t, c.CreateTopics(t.Context(), b.Access(), kafka.Topic{Name: "set", Partitions: 1, Configs: map[string]string{"cleanup.policy": "compact"}}))
	limit := "78"
	must(t, c.SetConfigs(t.Context(), b.Access(), "set", map[string]*string{"max.message.bytes": &limit, "cleanup.policy": nil}))
	got, err := c.Configs(t.Context(), b.Access(), "set")
	must(t, err)
	if got["max.message.bytes"].Value != limit || got["cleanup.policy"].Source != "DEFAULT_CONFIG" {
		t.Errorf("configs are %v", got)
	}
	must(t, c.DeleteTopics(t.Context(), b.Access(), "set"))
	if _, err := c.Configs(t.Context(), b.Access(), "set"); err == nil {
		t.Error("a deleted topic has a configuration")
	}
}
