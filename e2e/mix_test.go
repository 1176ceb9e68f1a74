package e2e_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/lab/kafka"
)

// mix is a set of topics with a little of everything that a mirror must carry.
type mix struct{ prefix string }

func (m mix) topic(name string) string { return m.prefix + "." + name }
func (m mix) pattern() string          { return m.prefix + `\..*` }

// all are the topics' names; orders takes the load.
func (m mix) all() []string {
	names := []string{"orders", "codecs", "paid", "latest", "trimmed"}
	for i, n := range names {
		names[i] = m.topic(n)
	}
	return names
}

// make creates and fills all of them in the east.
func (m mix) make(t *testing.T, e *estate) {
	t.Helper()
	e.create(t,
		kafka.Topic{Name: m.topic("orders"), Partitions: 3},
		kafka.Topic{Name: m.topic("codecs"), Partitions: 2, Configs: map[string]string{"retention.ms": "604800001"}},
		kafka.Topic{Name: m.topic("paid"), Partitions: 1},
		kafka.Topic{Name: m.topic("latest"), Partitions: 1, Configs: map[string]string{
			"cleanup.policy": "compact", "segment.ms": "50", "min.cleanable.dirty.ratio": "0.01",
		}},
		kafka.Topic{Name: m.topic("trimmed"), Partitions: 1},
	)
	m.codecs(t, e)
	m.transactions(t, e)
	m.compacted(t, e)
	m.trimmed(t, e)
	e.send(t, e.east, nil, numbered(m.topic("orders"), 3, 30, "early")...)
}

// numbered are records in turn over the partitions.
func numbered(topic string, partitions, n int, prefix string) []kafka.Out {
	var out []kafka.Out
	for i := range n {
		ref := fmt.Sprintf("%s-%d", prefix, i)
		out = append(out, kafka.Out{Ref: ref, Topic: topic, Partition: int32(i % partitions), Key: []byte(ref), Value: []byte(ref + " value")})
	}
	return out
}

// codecs has each compression, null keys and values, and headers with null values.
func (m mix) codecs(t *testing.T, e *estate) {
	for i, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		records := numbered(m.topic("codecs"), 2, 20, codec)
		records[0].Value = []byte(strings.Repeat("abc ", 2000))
		records[1].Key = nil
		records[2].Value = nil
		records[3].Headers = []kafka.Header{{Key: "trace", Value: []byte{0, 255}}, {Key: "none"}}
		records[4].Timestamp = int64(1_600_000_000_000 + i)
		e.send(t, e.east, map[string]string{"compression.type": codec}, records...)
	}
}

// transactions has committed and aborted ones, in turn, and plain records between them.
func (m mix) transactions(t *testing.T, e *estate) {
	p, err := e.java.Producer(t.Context(), e.east.Access(), map[string]string{"transactional.id": m.prefix + "-till"})
	must(t, err)
	for i := range 4 {
		end := p.Commit
		if i%2 == 1 {
			end = p.Abort
		}
		m.transaction(t, p, fmt.Sprintf("tx%d", i), end)
		e.send(t, e.east, nil, numbered(m.topic("paid"), 1, 3, fmt.Sprintf("between%d", i))...)
	}
	must(t, p.Close(t.Context()))
}

func (m mix) transaction(t *testing.T, p *kafka.Producer, prefix string, end func(context.Context) error) {
	must(t, p.Begin(t.Context()))
	_, err := p.Send(t.Context(), numbered(m.topic("paid"), 1, 5, prefix)...)
	must(t, err)
	must(t, end(t.Context()))
}

// compacted has a log from which older values of a key were removed; it waits until the cleaner did so.
func (m mix) compacted(t *testing.T, e *estate) {
	name := m.topic("latest")
	round := func(i int) {
		var records []kafka.Out
		for k := range 10 {
			records = append(records, kafka.Out{Topic: name, Key: fmt.Appendf(nil, "key-%d", k), Value: fmt.Appendf(nil, "round %d", i)})
		}
		e.send(t, e.east, nil, records...)
	}
	n := 0
	eventually(t, patience, "the cleaner leaves holes in "+name, func() error {
		round(n)
		n++
		c := e.dump(t, e.east, kafka.ReadCommitted, name)
		if len(c.Records) < n*10 && n > 3 {
			return nil
		}
		return fmt.Errorf("%d records of %d", len(c.Records), n*10)
	})
}

// trimmedTo is where the log of the topic trimmed starts.
const trimmedTo = 57

// trimmed has lost its head.
func (m mix) trimmed(t *testing.T, e *estate) {
	name := m.topic("trimmed")
	e.send(t, e.east, map[string]string{"linger.ms": "50"}, numbered(name, 1, 100, "head")...)
	must(t, e.java.DeleteRecords(t.Context(), e.east.Access(), kafka.Offset{Topic: name, Offset: trimmedTo}))
}

// groups sets positions of two groups in the east, and gives them.
func (m mix) groups(t *testing.T, e *estate) map[string][]kafka.Offset {
	t.Helper()
	all := map[string][]kafka.Offset{
		m.prefix + "-billing": {{Topic: m.topic("orders"), Offset: 4}, {Topic: m.topic("orders"), Partition: 2, Offset: 7}},
		m.prefix + "-audit":   {{Topic: m.topic("trimmed"), Offset: 80}, {Topic: m.topic("paid"), Offset: 9}},
	}
	for group, offsets := range all {
		must(t, e.java.SetOffsets(t.Context(), e.east.Access(), group, offsets...))
	}
	return all
}

// sameGroups wants a cluster to have the positions, with the text that their owners committed and nothing else.
func (e *estate) sameGroups(t *testing.T, b *kafka.Broker, want map[string][]kafka.Offset) {
	t.Helper()
	e.positioned(t, b, want, func(o kafka.Offset) kafka.Offset { return o })
}

// note is what a mover puts before the text of a position while it follows: the position at the source.
var note = regexp.MustCompile(`^understudy:\d+;`)

// followedGroups wants the target of a link to have the positions, with the mover's note.
func (e *estate) followedGroups(t *testing.T, b *kafka.Broker, want map[string][]kafka.Offset) {
	t.Helper()
	e.positioned(t, b, want, func(o kafka.Offset) kafka.Offset {
		o.Metadata = note.ReplaceAllString(o.Metadata, "")
		return o
	})
}

func (e *estate) positioned(t *testing.T, b *kafka.Broker, want map[string][]kafka.Offset, as func(kafka.Offset) kafka.Offset) {
	t.Helper()
	eventually(t, patience, "groups are positioned in the "+b.Name(), func() error {
		for group, offsets := range want {
			got, err := e.java.Offsets(t.Context(), b.Access(), group)
			if err != nil {
				return err
			}
			for _, o := range offsets {
				if at := as(got[kafka.Partition{Topic: o.Topic, Partition: o.Partition}]); at != o {
					return fmt.Errorf("%s: %+v, wanted %+v", group, at, o)
				}
			}
		}
		return nil
	})
}
