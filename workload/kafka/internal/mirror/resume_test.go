package mirror_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/mirror"
)

// order is what a mover in a process of its own is told.
type order struct {
	From, To, Topic string
	Epoch           understudy.RoleEpoch
}

// child runs a mover until it is killed.
func child(text string) int {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return 2
	}
	open := func(addr string) *end {
		return &end{c: cluster.Open(cluster.Config{Brokers: []string{addr}})}
	}
	opts := options(open(o.From), open(o.To), o.Epoch, o.Topic)
	opts.Report = func(understudy.Progress) {}
	m, err := mirror.New(opts)
	if err != nil {
		return 2
	}
	_ = m.Run(context.Background())
	return 0
}

// spawn starts a mover in a process of its own, which is killed as kill -9 does.
func spawn(t *testing.T, o order) (kill func()) {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "MIRROR_TEST_CHILD="+string(text))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	kill = func() {
		once.Do(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
	t.Cleanup(kill)
	return kill
}

// load writes everything again and again until it is told to end: some hundreds of records a second, so that it leaves the
// processors to those that it is there for.
func load(t *testing.T, e *end, topic string, parts int32) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	pace := time.NewTicker(100 * time.Millisecond)
	go func() {
		defer close(done)
		defer pace.Stop()
		for round := 0; ctx.Err() == nil; round++ {
			e.write(t, topic, parts, 25)
			e.transact(t, topic, parts, 3, kgo.TryCommit, fmt.Sprint("c", round))
			e.transact(t, topic, parts, 3, kgo.TryAbort, fmt.Sprint("a", round))
			select {
			case <-pace.C:
			case <-ctx.Done():
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// still waits until a topic's end does not move any more: nothing that a killed mover sent is under way.
func (e *end) still(t *testing.T, topic string) {
	t.Helper()
	var before map[int32]int64
	same := 0
	until(t, func() (bool, string) {
		now := e.ends(t, topic)
		if same++; fmt.Sprint(now) != fmt.Sprint(before) {
			same = 0
		}
		before = now
		return same >= 10, fmt.Sprint(now)
	})
}

func TestKillsAtRandomPoints(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.old, s.new)
	topic := from.topic(t, 2, nil)
	stop := load(t, from, topic, 2)
	for range 12 {
		before := sum(to.ends(t, topic))
		kill := spawn(t, order{from.b.Addr(), to.b.Addr(), topic, 4})
		extra := rand.Int64N(60)
		until(t, func() (bool, string) {
			now := sum(to.ends(t, topic))
			return now > before+extra, fmt.Sprint(now)
		})
		kill()
		to.still(t, topic)
	}
	stop()
	r := run(t, options(from, to, 4, topic))
	r.caughtUp(from, to, topic)
	for _, sh := range r.progress().Shards {
		if sh.Error != nil {
			t.Error(sh.Error)
		}
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	same(t, s.java, from, to, topic)
}

func sum(m map[int32]int64) int64 {
	var out int64
	for _, v := range m {
		out += v
	}
	return out
}

func TestTwoMoversOfOneAssignmentWriteDataOnce(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.new, s.old)
	topic := from.topic(t, 2, nil)
	from.write(t, topic, 2, 3000, kgo.ProducerBatchMaxBytes(4000))
	a, b := run(t, options(from, to, 4, topic)), run(t, options(from, to, 4, topic))
	for range 20 {
		from.write(t, topic, 2, 100, kgo.ProducerBatchMaxBytes(2000))
	}
	a.caughtUp(from, to, topic)
	for _, r := range []*running{a, b} {
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	}
	same(t, s.java, from, to, topic)
}

func TestExpiredProducerStateGoesOnAtTheEnd(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.old, s.new)
	topic := from.topic(t, 1, nil)
	from.write(t, topic, 1, 50)
	r := run(t, options(from, to, 4, topic))
	r.caughtUp(from, to, topic)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	// Trimming everything away makes some brokers forget the producer; a clean restart does it for all.
	to.trim(t, topic, 1, to.ends(t, topic)[0])
	if err := to.b.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	from.trim(t, topic, 1, from.ends(t, topic)[0])
	from.write(t, topic, 1, 50)
	r = run(t, options(from, to, 4, topic))
	r.caughtUp(from, to, topic)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	same(t, s.java, from, to, topic)
}

// stopped waits until a partition has stopped with a code.
func (r *running) stopped(code understudy.Code) understudy.ShardProgress {
	r.t.Helper()
	var out understudy.ShardProgress
	until(r.t, func() (bool, string) {
		for _, sh := range r.progress().Shards {
			if sh.Error != nil && sh.Error.Code == code {
				out = sh
				return true, ""
			}
		}
		return false, fmt.Sprintf("%+v", r.progress())
	})
	return out
}

func TestForeignWriteStopsThePartition(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.old, s.new)
	topic := from.topic(t, 2, nil)
	from.write(t, topic, 2, 20)
	r := run(t, options(from, to, 4, topic))
	r.caughtUp(from, to, topic)
	intruder := &kgo.Record{Topic: topic, Partition: 1, Value: []byte("foreign")}
	if err := to.cl.ProduceSync(t.Context(), intruder).FirstErr(); err != nil {
		t.Fatal(err)
	}
	// It is seen while the source is idle, and only that partition stops.
	if sh := r.stopped("US141"); sh.State != understudy.Diverged || sh.Shard != topic+"-1" {
		t.Fatalf("%+v", sh)
	}
	from.write(t, topic, 2, 20)
	until(t, func() (bool, string) {
		e := to.ends(t, topic)
		return e[0] == 40 && e[1] == 21, fmt.Sprint(e)
	})
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	// A mover that comes later finds it in the log, although the source has gone beyond.
	r = run(t, options(from, to, 5, topic))
	if sh := r.stopped("US141"); sh.Shard != topic+"-1" || to.ends(t, topic)[1] != 21 {
		t.Fatalf("%+v", sh)
	}
}

func TestGapStopsThePartition(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.old, s.new)
	topic := from.topic(t, 1, nil)
	from.write(t, topic, 1, 20)
	r := run(t, options(from, to, 4, topic))
	r.caughtUp(from, to, topic)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	from.write(t, topic, 1, 20)
	from.trim(t, topic, 1, 30)
	r = run(t, options(from, to, 4, topic))
	sh := r.stopped("US142")
	if sh.State != understudy.Broken || to.ends(t, topic)[0] != 20 {
		t.Fatalf("%+v", sh)
	}
}

func TestTopicMadeAnewOnTheSource(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.new, s.old)
	topic := from.topic(t, 1, nil)
	from.write(t, topic, 1, 20)
	r := run(t, options(from, to, 4, topic))
	r.caughtUp(from, to, topic)
	if _, err := from.a.DeleteTopic(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	until(t, func() (bool, string) {
		got, err := from.a.CreateTopic(t.Context(), 1, 1, nil, topic)
		return err == nil && got.Err == nil, fmt.Sprint(err)
	})
	from.write(t, topic, 1, 40)
	r.stopped("US144")
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	// A mover that comes later has only the content to go by.
	r = run(t, options(from, to, 4, topic))
	until(t, func() (bool, string) {
		p := r.progress()
		return len(p.Shards) == 1 && p.Shards[0].State == understudy.Diverged, fmt.Sprintf("%+v", p)
	})
	if e := to.ends(t, topic); e[0] != 20 {
		t.Fatalf("the target ends at %d", e[0])
	}
}

func TestHaltedMoverStops(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.old, s.new)
	topic := from.topic(t, 1, nil)
	from.write(t, topic, 1, 20)
	o := options(from, to, 4, topic)
	r := run(t, o)
	r.caughtUp(from, to, topic)
	meta, err := from.c.Metadata(t.Context(), understudy.Lease{})
	if err != nil {
		t.Fatal(err)
	}
	there, err := to.c.Metadata(t.Context(), understudy.Lease{}, topic)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	pid := mirror.PID(meta.ClusterID, o.Link)
	code, err := to.c.WriteMarker(t.Context(), understudy.Lease{}, there.Topics[topic].Partitions[0], cluster.Marker{ProducerID: pid, Epoch: 5, CoordinatorEpoch: 5})
	if err != nil || code != 0 {
		t.Fatal(code, err)
	}
	from.write(t, topic, 1, 20)
	r = run(t, o)
	r.stopped("US140")
	if p := r.progress(); p.NeedEpoch != 5 {
		t.Errorf("asks for epoch %d", p.NeedEpoch)
	}
	if e := to.ends(t, topic); e[0] != 21 {
		t.Errorf("a halted mover wrote up to %d", e[0])
	}
}

// TestHaltWhileRunning fences a mover that has already aligned and is idle.
func TestHaltWhileRunning(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.new, s.old)
	topic := from.topic(t, 1, nil)
	from.write(t, topic, 1, 20)
	o := options(from, to, 4, topic)
	r := run(t, o)
	r.caughtUp(from, to, topic)
	meta, err := from.c.Metadata(t.Context(), understudy.Lease{})
	if err != nil {
		t.Fatal(err)
	}
	there, err := to.c.Metadata(t.Context(), understudy.Lease{}, topic)
	if err != nil {
		t.Fatal(err)
	}
	p := there.Topics[topic].Partitions[0]
	m := cluster.Marker{ProducerID: mirror.PID(meta.ClusterID, o.Link), Epoch: 5, CoordinatorEpoch: 5}
	if code, err := to.c.WriteMarker(t.Context(), understudy.Lease{}, p, m); err != nil || code != 0 {
		t.Fatal(code, err)
	}
	from.write(t, topic, 1, 20)
	until(t, func() (bool, string) {
		pr := r.progress()
		return len(pr.Shards) == 1 && pr.Shards[0].Error != nil, fmt.Sprintf("%+v", pr)
	})
	if e := to.ends(t, topic); e[0] != 21 {
		t.Errorf("a halted mover wrote up to %d", e[0])
	}
	// The absurd sequence shows the halt, and writes nothing.
	c, err := batch.NewCoder(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	probe, err := c.Encode(batch.None, batch.Producer{ID: m.ProducerID, Epoch: 4, Sequence: 1 << 30}, []batch.Record{{Value: []byte("x")}})
	if err != nil {
		t.Fatal(err)
	}
	if a, err := to.c.Produce(t.Context(), understudy.Lease{}, p, probe); err != nil || a.Code != 47 {
		t.Errorf("the probe was answered %+v %v", a, err)
	}
}

func TestLeaseEndsTheMover(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.old, s.new)
	topic := from.topic(t, 2, nil)
	from.write(t, topic, 2, 20)
	o := options(from, to, 4, topic)
	var mu sync.Mutex
	deadline := time.Now().Add(time.Hour)
	o.Lease.Deadline = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return deadline
	}
	r := run(t, o)
	r.caughtUp(from, to, topic)
	mu.Lock()
	deadline = time.Now()
	mu.Unlock()
	select {
	case <-r.done:
	case <-t.Context().Done():
	}
	var e *understudy.Error
	if !errors.As(r.err, &e) || e.Code != "US003" {
		t.Fatalf("ended with %v", r.err)
	}
	from.write(t, topic, 2, 20)
	if got := sum(to.ends(t, topic)); got != 40 {
		t.Fatalf("%d offsets on the target", got)
	}
}

// TestUnknownTopicIDs keeps the raw requests of these tests honest: both brokers have topic ids.
func TestBrokersHaveTopicIDs(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.old, s.new)
	for _, e := range []*end{from, to} {
		v, err := e.c.Version(t.Context(), understudy.Lease{})
		if err != nil || v.Max[int16(kmsg.Fetch)] < 13 {
			t.Fatalf("%+v %v", v, err)
		}
	}
}
