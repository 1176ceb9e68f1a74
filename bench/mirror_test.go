package bench_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/lab"
	"github.com/understudy-dr/understudy/lab/kafka"
)

const (
	// rival is what the product is compared with.
	rival = "MirrorMaker 2 " + kafka.MirrorVersion
	// rounds is how many times both sides copy a load at least; -benchtime 5x makes it five.
	rounds = 3
	// megabytes is the size of a load, unless UNDERSTUDY_BENCH_MB says another.
	megabytes = 1000
)

// BenchmarkMirror copies the same topics by understudy and by a tuned MirrorMaker 2, in turn, between the same two
// brokers. The figure is the processor time of the mover's process for the records before compression: unlike the
// wall clock it hardly depends on what else the machine does.
func BenchmarkMirror(b *testing.B) {
	s := open(b)
	var all []result
	for _, codec := range []string{"zstd", "lz4"} {
		b.Run(codec, func(b *testing.B) {
			r := s.compare(b, codec)
			fmt.Fprintln(b.Output(), r.line())
			b.ReportMetric(0, "ns/op") // the wall clock of a round says nothing
			b.ReportMetric(r.over(func(p pair) float64 { return 1000 / p.ours.copying.mover }).median(), "MB/cpu-s")
			b.ReportMetric(r.ratios().copying.median(), "x-less-cpu")
			b.ReportMetric(r.ratios().late.median(), "x-less-cpu-warm")
			all = append(all, r)
		})
	}
	table(b.Output(), all)
}

// compare copies a load by both sides, round after round. A first copy that is not counted warms the brokers.
func (s *servers) compare(b *testing.B, codec string) result {
	size := int64(megabytes)
	if v := os.Getenv("UNDERSTUDY_BENCH_MB"); v != "" {
		n, err := strconv.ParseInt(v, 10, 32)
		must(b, err)
		size = n
	}
	r := result{load: s.fill(b, codec, size*1e6)}
	defer s.clean(b, "")
	s.understudy(b, r.load, false)
	round := func() {
		p := pair{ours: s.understudy(b, r.load, len(r.pairs) == 0), theirs: s.mirrorMaker(b, r.load)}
		r.pairs = append(r.pairs, p)
		fmt.Fprintf(b.Output(), "%s, round %d: %.2f CPU-s per GB at %.0f MB/s, %s tuned %.2f (warm %.2f) at %.0f MB/s\n", codec, len(r.pairs),
			p.ours.copying.mover, p.ours.copying.rate, rival, p.theirs.copying.mover, p.theirs.late.mover, p.theirs.copying.rate)
	}
	for b.Loop() {
		round()
	}
	for len(r.pairs) < rounds {
		round()
	}
	return r
}

// understudy protects a plan that holds the load, with a control plane of its own. Where proof is asked for, the
// product compares both sides by content afterwards.
func (s *servers) understudy(b *testing.B, l load, proof bool) run {
	defer s.clean(b, l.topic)
	dir, err := os.MkdirTemp("", "us-bench-") // a short name: a socket is in it
	must(b, err)
	defer func() { _ = os.RemoveAll(dir) }()
	config, plan := filepath.Join(dir, "serve.yaml"), filepath.Join(dir, "plan.yaml")
	must(b, os.WriteFile(config, fmt.Appendf(nil, "site: west\ndata: %s\n", filepath.Join(dir, "data")), 0o600))
	must(b, os.WriteFile(plan, s.plan(l), 0o600))
	serve, err := lab.Start(lab.Command{Name: "serve", Path: s.binary, Args: []string{"serve", "-c", config}, Log: filepath.Join(dir, "serve.log")})
	must(b, err)
	defer stop(b, serve)
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	must(b, serve.WaitLog(ctx, regexp.MustCompile(`msg=serving`)))
	command := func(args ...string) error {
		cmd := exec.CommandContext(ctx, s.binary, args...)
		cmd.Env = append(os.Environ(), "UNDERSTUDY_SOCKET="+filepath.Join(dir, "data", "understudy.sock"))
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("understudy %v: %w\n%s", args, err, &out)
		}
		return nil
	}
	eventually(b, "serve takes orders", func(context.Context) error { return command("apply", "-f", plan) })
	protected := make(chan error, 1)
	go func() { protected <- command("protect", "bench") }()
	all := s.watch(b, l, l.topic, serve.PID(), serve.Done())
	peak, err := peakMemory(serve.PID())
	must(b, errors.Join(err, <-protected))
	if proof {
		must(b, command("verify", "bench"))
	}
	return l.figures(all, 0, peak)
}

// plan gives the documents that mirror the load.
func (s *servers) plan(l load) []byte {
	var b bytes.Buffer
	for name, broker := range map[string]*kafka.Broker{"east": s.source, "west": s.target} {
		fmt.Fprintf(&b, "site: %s\nclusters:\n  streaming:\n    kafka: { brokers: [%q] }\n---\n", name, broker.Addr())
	}
	fmt.Fprintf(&b, `plan: bench
home: east
sites: [east, west]
workloads:
  - name: load
    kind: kafka
    architecture: active-passive
    cluster: streaming
    objective: { rpo: 30s, rto: 10m }
    onFailure: stop
    topics: [%q]
`, regexp.QuoteMeta(l.topic))
	return b.Bytes()
}

func stop(b *testing.B, p *lab.Process) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.Context()), time.Minute)
	defer cancel()
	if err := p.Stop(ctx); err != nil {
		b.Error(err)
	}
}

// mirrorMaker copies the load by MirrorMaker 2 with the settings that served it best. Its start is not counted.
func (s *servers) mirrorMaker(b *testing.B, l load) run {
	defer s.clean(b, l.topic)
	m, err := kafka.StartMirror(b.Context(), kafka.MirrorOptions{
		Dir: b.TempDir(), Source: s.source.Addr(), Target: s.target.Addr(), Topics: strings.ReplaceAll(l.topic, ".", `\.`),
		Properties: tuned(l.codec), Optimise: true,
	})
	lab.Check(b, err)
	defer func() {
		if err := m.Close(); err != nil {
			b.Log(err) // it takes its time, and was killed
		}
	}()
	all := s.watch(b, l, "primary."+l.topic, m.PID(), m.Done())
	peak, err := peakMemory(m.PID())
	must(b, err)
	first := 0
	for all[first+1].records == 0 {
		first++
	}
	return l.figures(all, first, peak)
}

// tuned are MirrorMaker's settings: batches as large as the source's, in its codec, and large fetches.
func tuned(codec string) map[string]string {
	return map[string]string{
		"tasks.max":                                  "2",
		"secondary.producer.compression.type":        codec,
		"secondary.producer.batch.size":              "327680",
		"secondary.producer.linger.ms":               "100",
		"secondary.producer.buffer.memory":           "67108864",
		"primary.consumer.fetch.max.bytes":           "52428800",
		"primary.consumer.max.partition.fetch.bytes": "1048576",
		"primary.consumer.max.poll.records":          "500",
	}
}

// watch samples the copy until the target holds all records. The first sample is taken at once.
func (s *servers) watch(b *testing.B, l load, topic string, mover int, ended <-chan struct{}) []sample {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	pause := time.NewTicker(100 * time.Millisecond)
	defer pause.Stop()
	all := []sample{s.sample(b, 0, mover)}
	for {
		select {
		case <-pause.C:
		case <-ended:
			b.Fatalf("the mover ended after %+v", all[len(all)-1])
		case <-ctx.Done():
			b.Fatalf("%d records of %d at the target after %v", all[len(all)-1].records, l.records, patience)
		}
		now := s.sample(b, s.arrived(ctx, topic), mover)
		if all = append(all, now); now.records >= l.records {
			return all
		}
	}
}

// sample reads the processor times.
func (s *servers) sample(b *testing.B, records int64, mover int) sample {
	b.Helper()
	now := sample{at: time.Now(), records: records}
	for _, p := range []struct {
		pid int
		to  *time.Duration
	}{{mover, &now.mover}, {s.source.PID(), &now.source}, {s.target.PID(), &now.target}} {
		used, err := processor(p.pid)
		must(b, err)
		*p.to = used
	}
	return now
}

// arrived counts the records at the target; a topic that is not there yet has none.
func (s *servers) arrived(ctx context.Context, topic string) int64 {
	ends, err := s.to.ListEndOffsets(ctx, topic)
	if err != nil {
		return 0
	}
	var n int64
	for _, p := range ends[topic] {
		if p.Err == nil {
			n += p.Offset
		}
	}
	return n
}
