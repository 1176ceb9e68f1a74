package kafka

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// Isolation is what a reader of transactional topics sees.
type Isolation string

// The isolation levels of Kafka's consumers.
const (
	ReadCommitted   Isolation = "read_committed"
	ReadUncommitted Isolation = "read_uncommitted"
)

// Partition names a partition.
type Partition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// Header is a record's header; a nil value is a null.
type Header struct {
	Key   string `json:"key"`
	Value []byte `json:"value"`
}

// Record is a record as Kafka's own consumer read it. Key and Value are nil where they are null.
type Record struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	// Timestamp is in milliseconds since 1970; TimestampType says who set it.
	Timestamp     int64    `json:"timestamp"`
	TimestampType string   `json:"timestampType"`
	Key           []byte   `json:"key"`
	Value         []byte   `json:"value"`
	Headers       []Header `json:"headers"`
}

// Range is what a consumer saw of a partition: the log start, the end that its isolation allows (the
// high watermark or the last stable offset), and the position where it ended, which is past the last
// record it was given when control records or holes follow.
type Range struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Start     int64  `json:"start"`
	End       int64  `json:"end"`
	Position  int64  `json:"position"`
}

// Contents is everything in some topics, sorted by topic, partition and offset.
type Contents struct {
	Records []Record
	Ranges  []Range
}

// Dump reads every record of every partition of the topics with Kafka's own consumer, up to the ends at the
// time of the call. Checksums are checked.
func (c *Client) Dump(ctx context.Context, a Access, isolation Isolation, topics ...string) (Contents, error) {
	return c.dump(ctx, a, isolation, request{"topics": topics})
}

// Ranges reads as much, but keeps no record of it.
func (c *Client) Ranges(ctx context.Context, a Access, isolation Isolation, topics ...string) ([]Range, error) {
	all, err := c.dump(ctx, a, isolation, request{"topics": topics, "silent": true})
	return all.Ranges, err
}

func (c *Client) dump(ctx context.Context, a Access, isolation Isolation, r request) (Contents, error) {
	var all Contents
	r["config"] = a.config(map[string]string{"isolation.level": string(isolation), "max.poll.records": "5000"})
	err := c.call(ctx, "dump", r, func(r reply) {
		if r.Record != nil {
			all.Records = append(all.Records, *r.Record)
		}
		if r.Range != nil {
			all.Ranges = append(all.Ranges, *r.Range)
		}
	})
	if err != nil {
		return Contents{}, err
	}
	slices.SortFunc(all.Records, func(x, y Record) int {
		return cmp.Or(cmp.Compare(x.Topic, y.Topic), cmp.Compare(x.Partition, y.Partition), cmp.Compare(x.Offset, y.Offset))
	})
	slices.SortFunc(all.Ranges, func(x, y Range) int {
		return cmp.Or(cmp.Compare(x.Topic, y.Topic), cmp.Compare(x.Partition, y.Partition))
	})
	return all, nil
}

// Dump starts a client for a single dump. Whoever dumps more than once keeps a Client instead.
func Dump(ctx context.Context, version string, a Access, isolation Isolation, dir string, topics ...string) (Contents, error) {
	c, err := NewClient(ctx, version, dir)
	if err != nil {
		return Contents{}, err
	}
	defer func() { _ = c.Close() }()
	return c.Dump(ctx, a, isolation, topics...)
}

// String shows a record on one line.
func (r Record) String() string {
	return fmt.Sprintf("%s-%d@%d %s %s key %s value %s headers %d", r.Topic, r.Partition, r.Offset,
		r.TimestampType, time.UnixMilli(r.Timestamp).UTC().Format(time.RFC3339Nano), show(r.Key), show(r.Value), len(r.Headers))
}

func show(b []byte) string {
	if b == nil {
		return "null"
	}
	if len(b) > 40 {
		return fmt.Sprintf("%q… (%d bytes)", b[:40], len(b))
	}
	return fmt.Sprintf("%q", b)
}

// Equal says whether both are the same record at the same place: offset, times, key, value, headers.
func (r Record) Equal(o Record) bool {
	return r.Topic == o.Topic && r.Partition == o.Partition && r.Offset == o.Offset &&
		r.Timestamp == o.Timestamp && r.TimestampType == o.TimestampType &&
		sameBytes(r.Key, o.Key) && sameBytes(r.Value, o.Value) &&
		slices.EqualFunc(r.Headers, o.Headers, func(x, y Header) bool { return x.Key == y.Key && sameBytes(x.Value, y.Value) })
}

// sameBytes tells null from empty.
func sameBytes(x, y []byte) bool { return (x == nil) == (y == nil) && bytes.Equal(x, y) }

// Diff lists what distinguishes two contents, at most limit lines; nothing means that they are identical,
// record by record and partition by partition.
func (c Contents) Diff(o Contents, limit int) []string {
	var lines []string
	say := func(format string, args ...any) {
		if len(lines) < limit {
			lines = append(lines, fmt.Sprintf(format, args...))
		}
	}
	if !slices.Equal(c.Ranges, o.Ranges) {
		say("ranges %v here, %v there", c.Ranges, o.Ranges)
	}
	i, j := 0, 0
	for i < len(c.Records) || j < len(o.Records) {
		switch order := compareAt(c.Records, i, o.Records, j); {
		case order < 0:
			say("only here: %v", c.Records[i])
			i++
		case order > 0:
			say("only there: %v", o.Records[j])
			j++
		default:
			if !c.Records[i].Equal(o.Records[j]) {
				say("differs: %v here, %v there", c.Records[i], o.Records[j])
			}
			i, j = i+1, j+1
		}
	}
	return lines
}

// compareAt orders two places; an ended list comes last.
func compareAt(x []Record, i int, y []Record, j int) int {
	if i == len(x) {
		return 1
	}
	if j == len(y) {
		return -1
	}
	a, b := x[i], y[j]
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
}
