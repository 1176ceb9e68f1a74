package mirror_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/understudy-dr/understudy/lab/kafka"
)

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkMirror copies a topic of four partitions and gives the processor time of the mover for each
// gigabyte as its producers saw it, before compression, and on the wire.
func BenchmarkMirror(b *testing.B) {
	for _, name := range []string{"zstd", "lz4"} {
		b.Run(name, func(b *testing.B) { benchmark(b, codecs()[name]) })
	}
}

func benchmark(b *testing.B, codec kgo.CompressionCodec) {
	const parts, each = 4, 150_000
	brokers := kafka.BootAll(b, kafka.Options{Version: kafka.V44, Name: "source", Optimise: true, HeapMB: 700}, kafka.Options{Version: kafka.V44, Name: "target", Optimise: true, HeapMB: 700})
	topic, logical := fill(b, brokers[0], parts, each, codec)
	for i := 0; b.Loop(); i++ {
		from, to := pair(b, brokers[0], brokers[1])
		_, _ = to.a.DeleteTopic(b.Context(), topic)
		start, used := time.Now(), cpu()
		r := run(b, options(from, to, 2, topic))
		until(b, func() (bool, string) {
			p := r.progress()
			return p.CopiedRecords == parts*each, fmt.Sprintf("%+v", p)
		})
		wall, spent := time.Since(start), cpu()-used
		wire := r.progress().CopiedBytes
		if err := r.stop(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(spent.Seconds()/(float64(logical)/1e9), "cpu-s/GB")
		b.ReportMetric(spent.Seconds()/(float64(wire)/1e9), "cpu-s/wireGB")
		b.ReportMetric(float64(logical)/1e6/wall.Seconds(), "MB/s")
	}
}

// fill writes records of about a kilobyte in batches of 128 KB.
func fill(b *testing.B, broker *kafka.Broker, parts int32, each int, codec kgo.CompressionCodec) (string, int64) {
	b.Helper()
	e := side(b, broker, "east")
	topic := e.topic(b, parts, nil)
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(codec),
		kgo.ProducerBatchMaxBytes(400_000), kgo.ProducerLinger(50*time.Millisecond))
	if err != nil {
		b.Fatal(err)
	}
	defer cl.Close()
	noise := make([]byte, 1<<22)
	_, _ = rand.Read(noise)
	text := base64.StdEncoding.EncodeToString(noise)
	var bytes int64
	for i := range each {
		for p := range parts {
			at := (i*7919 + int(p)*104729) % (len(text) - 600)
			v := fmt.Sprintf(`{"id":%d,"customer":"customer-%d","status":"shipped","payload":"%s","comment":"%0200d"}`, i, i%1000, text[at:at+600], i)
			bytes += int64(len(v))
			cl.Produce(b.Context(), &kgo.Record{Topic: topic, Partition: p, Value: []byte(v)}, nil)
		}
	}
	if err := cl.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	return topic, bytes
}
