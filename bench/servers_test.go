package bench_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/understudy-dr/understudy/lab"
	"github.com/understudy-dr/understudy/lab/kafka"
)

const (
	// partitions is how many a load has.
	partitions = 4
	// batchBytes is the size of the source's batches before compression.
	batchBytes = 128 << 10
	// patience bounds every wait on a crowded machine.
	patience = 10 * time.Minute
)

// servers are the two clusters between which both sides copy, and the product.
type servers struct {
	source, target *kafka.Broker
	from, to       *kadm.Client
	binary         string
}

// open starts both clusters with the JVM's optimising compiler, and skips where something is missing.
func open(b *testing.B) *servers {
	b.Helper()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		b.Skipf("skipped: processor times are read from /proc: %v", err)
	}
	option := func(name string) kafka.Options {
		return kafka.Options{Version: kafka.V44, Name: name, Optimise: true, HeapMB: 700,
			Properties: map[string]string{"log.segment.delete.delay.ms": "1000"}}
	}
	brokers := kafka.BootAll(b, option("source"), option("target"))
	lab.Check(b, kafka.FetchMirror(b.Context()))
	s := &servers{source: brokers[0], target: brokers[1], binary: filepath.Join(b.TempDir(), "understudy")}
	s.from, s.to = admin(b, s.source), admin(b, s.target)
	if out, err := exec.Command("go", "build", "-o", s.binary, "github.com/understudy-dr/understudy/cmd/understudy").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	return s
}

func admin(b *testing.B, at *kafka.Broker) *kadm.Client {
	b.Helper()
	c := client(b, at, kgo.MetadataMinAge(100*time.Millisecond))
	return kadm.NewClient(c)
}

func client(b *testing.B, at *kafka.Broker, options ...kgo.Opt) *kgo.Client {
	b.Helper()
	c, err := kgo.NewClient(append(options, kgo.SeedBrokers(at.Addr()))...)
	must(b, err)
	b.Cleanup(c.Close)
	return c
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// codecs are those that are measured, by Kafka's names.
func codecs() map[string]kgo.CompressionCodec {
	return map[string]kgo.CompressionCodec{"zstd": kgo.ZstdCompression(), "lz4": kgo.Lz4Compression()}
}

// fill writes a topic of records of about a kilobyte to the source.
func (s *servers) fill(b *testing.B, codec string, bytes int64) load {
	b.Helper()
	l := load{codec: codec, topic: "bench-" + codec}
	forever := "-1"
	_, err := s.from.CreateTopic(b.Context(), partitions, 1, map[string]*string{"retention.ms": &forever}, l.topic)
	must(b, err)
	c := client(b, s.source, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(codecs()[codec]),
		kgo.ProducerBatchMaxBytes(batchBytes), kgo.ProducerLinger(50*time.Millisecond), kgo.MaxBufferedRecords(4000))
	random := rand.New(rand.NewPCG(4, 4))
	promise := kgo.AbortingFirstErrPromise(c)
	for l.logical < bytes {
		r := order(random, l.records)
		// A batch's worth for one partition, then the next.
		r.Topic, r.Partition = l.topic, int32(l.records/100%partitions)
		l.records++
		l.logical += int64(len(r.Key) + len(r.Value))
		c.Produce(b.Context(), r, promise.Promise())
	}
	must(b, promise.Err())
	dirs, err := s.from.DescribeAllLogDirs(b.Context(), nil)
	must(b, err)
	dirs.Each(func(d kadm.DescribedLogDir) {
		for _, p := range d.Topics[l.topic] {
			l.wire += p.Size
		}
	})
	return l
}

// order makes a record as a shop's order service might: most of it compresses well, a signature does not.
func order(random *rand.Rand, n int64) *kgo.Record {
	words := [...]string{"leave", "parcel", "at", "the", "door", "ring", "twice", "neighbour", "fragile", "gift", "wrap", "invoice", "express", "before", "noon", "call"}
	status := [...]string{"placed", "paid", "packed", "shipped", "delivered", "returned"}
	var v strings.Builder
	customer := random.IntN(200_000)
	fmt.Fprintf(&v, `{"order":"%012d","customer":{"id":%d,"mail":"customer%d@mail.example"},"status":%q,"placed":%d,"lines":[`,
		n, customer, customer, status[random.IntN(len(status))], 1_790_000_000_000+n*7)
	for i := range 4 {
		if i > 0 {
			v.WriteByte(',')
		}
		fmt.Fprintf(&v, `{"sku":"SKU-%06d","quantity":%d,"price":%d.%02d,"currency":"EUR"}`, random.IntN(40_000), 1+random.IntN(9), random.IntN(300), random.IntN(100))
	}
	v.WriteString(`],"note":"`)
	for range 14 {
		v.WriteString(words[random.IntN(len(words))])
		v.WriteByte(' ')
	}
	fmt.Fprintf(&v, `","channel":"web","warehouse":"WH-%02d","trace":"%016x%016x","signature":"`, random.IntN(30), random.Uint64(), random.Uint64())
	for range 18 {
		fmt.Fprintf(&v, "%016x", random.Uint64())
	}
	v.WriteString(`"}`)
	return &kgo.Record{Key: fmt.Appendf(nil, "%08d", customer), Value: []byte(v.String())}
}

// clean removes what a copy left on both clusters; the load stays.
func (s *servers) clean(b *testing.B, keep string) {
	b.Helper()
	for _, c := range []*kadm.Client{s.from, s.to} {
		eventually(b, "topics are removed", func(ctx context.Context) error {
			topics, err := c.ListTopics(ctx)
			if err != nil {
				return err
			}
			names := slices.DeleteFunc(topics.Names(), func(n string) bool { return c == s.from && n == keep })
			if len(names) == 0 {
				return nil
			}
			if _, err := c.DeleteTopics(ctx, names...); err != nil {
				return err
			}
			return fmt.Errorf("there are %v", names)
		})
	}
}

// eventually asks again and again until the condition holds.
func eventually(b *testing.B, what string, condition func(context.Context) error) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	pause := time.NewTicker(100 * time.Millisecond)
	defer pause.Stop()
	for {
		err := condition(ctx)
		if err == nil {
			return
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			b.Fatalf("%s: not within %v: %v", what, patience, err)
		}
	}
}
