package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/lab"
	"github.com/understudy-dr/understudy/lab/kafka"
	"github.com/understudy-dr/understudy/lab/proxy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/mirror"
)

// patience bounds every wait of these tests on a crowded machine.
const patience = 60 * time.Second

// servers are the two brokers and the Java client that the tests of this binary share.
type servers struct {
	old, new *kafka.Broker
	// oldPath and newPath lead to them over a network that can fail.
	oldPath, newPath *proxy.Proxy
	java             *kafka.Client
	dir              string
	err              error
}

// shared starts them once, when the first test asks.
type shared struct {
	once sync.Once
	s    servers
}

// live is one pair of servers for the whole test binary.
var live = &shared{}

func TestMain(m *testing.M) {
	if role := os.Getenv("MIRROR_TEST_CHILD"); role != "" {
		os.Exit(child(role))
	}
	code := m.Run()
	live.close()
	os.Exit(code)
}

func (l *shared) start(t *testing.T) servers {
	t.Helper()
	l.once.Do(func() {
		ctx := context.Background()
		if l.s.dir, l.s.err = os.MkdirTemp("", "mirror"); l.s.err != nil {
			return
		}
		if l.s.old, l.s.oldPath, l.s.err = boot(ctx, kafka.V39, l.s.dir); l.s.err != nil {
			return
		}
		if l.s.new, l.s.newPath, l.s.err = boot(ctx, kafka.V44, l.s.dir); l.s.err != nil {
			return
		}
		l.s.java, l.s.err = kafka.NewClient(ctx, kafka.V44, l.s.dir)
	})
	lab.Check(t, l.s.err)
	return l.s
}

// boot starts a broker that can also be reached over a path that fails on demand.
func boot(ctx context.Context, version, dir string) (*kafka.Broker, *proxy.Proxy, error) {
	path, err := proxy.Listen("127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	b, err := kafka.Start(ctx, kafka.Options{Version: version, Name: version, Dir: dir + "/" + version, WAN: path})
	return b, path, err
}

func (l *shared) close() {
	if l.s.java != nil {
		_ = l.s.java.Close()
	}
	for _, b := range []*kafka.Broker{l.s.old, l.s.new} {
		if b != nil {
			_ = b.Close()
		}
	}
	for _, p := range []*proxy.Proxy{l.s.oldPath, l.s.newPath} {
		if p != nil {
			_ = p.Close()
		}
	}
	if l.s.dir != "" {
		_ = os.RemoveAll(l.s.dir)
	}
}

// end is one side of a test's link.
type end struct {
	b *kafka.Broker
	// addr is where it is reached when there is no broker of the lab behind it.
	addr string
	c    *cluster.Cluster
	cl   *kgo.Client
	a    *kadm.Client
}

func (e *end) at() string {
	if e.b == nil {
		return e.addr
	}
	return e.b.Addr()
}

func side(t testing.TB, b *kafka.Broker, site understudy.Site) *end {
	t.Helper()
	c := cluster.Open(cluster.Config{Object: understudy.Object{Plan: "p", Workload: "w", Site: site}, Brokers: []string{b.Addr()}})
	t.Cleanup(func() { _ = c.Close() })
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return &end{b: b, c: c, cl: cl, a: kadm.NewClient(cl)}
}

// pair gives both ends of a link from source to target.
func pair(t testing.TB, source, target *kafka.Broker) (*end, *end) {
	return side(t, source, "east"), side(t, target, "west")
}

// topic makes a topic under a name of the test's own.
func (e *end) topic(t testing.TB, parts int32, configs map[string]string) string {
	t.Helper()
	name := fmt.Sprintf("t%d", time.Now().UnixNano())
	e.create(t, name, parts, configs)
	return name
}

func (e *end) create(t testing.TB, name string, parts int32, configs map[string]string) {
	t.Helper()
	conf := map[string]*string{}
	for k, v := range configs {
		conf[k] = &v
	}
	if _, err := e.a.CreateTopic(t.Context(), parts, 1, conf, name); err != nil {
		t.Fatal(err)
	}
}

// write produces n records to each partition, several in a batch, with the client's default codec.
func (e *end) write(t *testing.T, topic string, parts int32, n int, opts ...kgo.Opt) {
	t.Helper()
	opts = append([]kgo.Opt{
		kgo.SeedBrokers(e.at()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(5 * time.Millisecond),
	}, opts...)
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	var recs []*kgo.Record
	for p := range parts {
		for i := range n {
			recs = append(recs, &kgo.Record{
				Topic: topic, Partition: p, Key: []byte(fmt.Sprintf("k%d", i%50)), Value: []byte(fmt.Sprintf("value %d of %d, %s", i, p, topic)),
				Headers: []kgo.RecordHeader{{Key: "h", Value: []byte{byte(i)}}, {Key: "null"}},
			})
		}
	}
	if err := cl.ProduceSync(t.Context(), recs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// running is a mirror at work.
type running struct {
	t      testing.TB
	cancel context.CancelFunc
	done   chan struct{}
	err    error
	m      *mirror.Mirror

	mu   sync.Mutex
	last understudy.Progress
	kept understudy.Keep
}

// options are those of an ordinary assignment for one topic.
func options(from, to *end, epoch understudy.RoleEpoch, topics ...string) mirror.Options {
	return mirror.Options{
		Link:  understudy.Link{Plan: "p", Workload: "w", From: "east", To: "west"},
		Epoch: epoch, Lease: understudy.Lease{Term: int64(epoch), Deadline: func() time.Time { return time.Now().Add(time.Hour) }},
		Source: from.c, Target: to.c,
		Topic: func(n string) bool {
			for _, t := range topics {
				if t == n {
					return true
				}
			}
			return false
		},
		Group: func(g string) bool {
			for _, t := range topics {
				if g == "group-"+t {
					return true
				}
			}
			return false
		},
	}
}

func run(t testing.TB, o mirror.Options) *running {
	t.Helper()
	return runAs(t, o, func(*mirror.Mirror) {})
}

// runAs is run of a mirror that is made different first.
func runAs(t testing.TB, o mirror.Options, change func(*mirror.Mirror)) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: t, cancel: cancel, done: make(chan struct{}), kept: understudy.Keep{}}
	if os.Getenv("MIRROR_DEBUG") != "" {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	o.Report = func(p understudy.Progress) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for k, v := range p.Keep {
			r.kept[k] = v
		}
		r.last = p
	}
	m, err := mirror.New(o)
	if err != nil {
		t.Fatal(err)
	}
	change(m)
	r.m = m
	go func() {
		defer close(r.done)
		r.err = m.Run(ctx)
	}()
	t.Cleanup(func() { _ = r.stop() })
	return r
}

func (r *running) stop() error {
	r.cancel()
	<-r.done
	if !r.m.AllReturned() {
		r.t.Error("the mover kept memory of its budget")
	}
	return r.err
}

func (r *running) progress() understudy.Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// until waits for a condition and fails with what it last said.
func until(t testing.TB, ok func() (bool, string)) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		good, what := ok()
		if good {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("waited too long: %s", what)
		case <-tick.C:
		}
	}
}

// caughtUp waits until the target ends where the source does.
func (r *running) caughtUp(from, to *end, topic string) {
	r.t.Helper()
	until(r.t, func() (bool, string) {
		a, b := from.ends(r.t, topic), to.ends(r.t, topic)
		if len(a) != len(b) {
			return false, fmt.Sprintf("%d and %d partitions; %+v", len(a), len(b), r.progress())
		}
		for p, e := range a {
			if b[p] != e {
				return false, fmt.Sprintf("partition %d: %d and %d; %+v", p, e, b[p], r.progress())
			}
		}
		return true, ""
	})
}

func (e *end) ends(t testing.TB, topic string) map[int32]int64 {
	t.Helper()
	got, err := e.a.ListEndOffsets(context.Background(), topic)
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	out := map[int32]int64{}
	for p, o := range got[topic] {
		if o.Err == nil {
			out[p] = o.Offset
		}
	}
	return out
}

// same proves with Kafka's own client that both sides hold the same records at the same offsets, whatever
// the reader's isolation on the target.
func same(t *testing.T, java *kafka.Client, from, to *end, topics ...string) kafka.Contents {
	t.Helper()
	dump := func(e *end, i kafka.Isolation) kafka.Contents {
		c, err := java.Dump(t.Context(), e.b.Access(), i, topics...)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	want := dump(from, kafka.ReadCommitted)
	for _, i := range []kafka.Isolation{kafka.ReadCommitted, kafka.ReadUncommitted} {
		got := dump(to, i)
		for _, d := range want.Diff(got, 6) {
			t.Errorf("%s: %s", i, d)
		}
	}
	return want
}

func TestPlainTopic(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.old, s.new)
	topic := from.topic(t, 3, nil)
	from.write(t, topic, 3, 500)
	r := run(t, options(from, to, 3, topic))
	r.caughtUp(from, to, topic)
	from.write(t, topic, 3, 500)
	r.caughtUp(from, to, topic)
	until(t, func() (bool, string) {
		p := r.progress()
		return p.State == understudy.Protected && !p.Safe.IsZero() && time.Since(p.Safe) < 5*time.Second, fmt.Sprintf("%+v", p)
	})
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if n := len(same(t, s.java, from, to, topic).Records); n != 3000 {
		t.Fatalf("%d records", n)
	}
}
