package mirror_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/lab/kafka"
	"github.com/understudy-dr/understudy/lab/proxy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/mirror"
)

// far is the same cluster as e, reached over a path that can fail.
func far(t *testing.T, e *end, path *proxy.Proxy) *end {
	t.Helper()
	t.Cleanup(path.Heal)
	c := cluster.Open(cluster.Config{Object: e.c.Object(), Brokers: []string{path.Addr()}})
	t.Cleanup(func() { _ = c.Close() })
	return &end{b: e.b, c: c, cl: e.cl, a: e.a}
}

// moved waits until the target has n offsets more than it had.
func moved(t *testing.T, to *end, topic string, n int64) {
	t.Helper()
	before := sum(to.ends(t, topic))
	until(t, func() (bool, string) {
		now := sum(to.ends(t, topic))
		return now >= before+n, fmt.Sprint(now, " after ", before)
	})
}

// hasty is a mover that takes a loopback's word for what is under way.
func hasty(o mirror.Options) mirror.Options {
	o.Settle = 2 * time.Second
	return o
}

func restart(t *testing.T, b *kafka.Broker) {
	t.Helper()
	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := b.Restart(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestTargetKilledWhileMirroring(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.old, s.new)
	topic := from.topic(t, 2, nil)
	stop := load(t, from, topic, 2)
	r := run(t, hasty(options(from, to, 3, topic)))
	moved(t, to, topic, 100)
	restart(t, to.b)
	moved(t, to, topic, 100)
	restart(t, to.b)
	moved(t, to, topic, 100)
	stop()
	r.caughtUp(from, to, topic)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	same(t, s.java, from, to, topic)
}

func TestSourceKilledWhileMirroring(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.new, s.old)
	topic := from.topic(t, 2, nil)
	r := run(t, options(from, to, 3, topic))
	for range 2 {
		from.mixed(t, topic, 2)
		if err := from.b.Kill(); err != nil {
			t.Fatal(err)
		}
		// An unreachable source is said to be, and what was safe stays safe while its age grows.
		until(t, func() (bool, string) {
			p := r.progress()
			return p.State == understudy.LinkDown && time.Since(p.LastPoll) > time.Second, fmt.Sprintf("%+v", p)
		})
		if err := from.b.Restart(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	from.mixed(t, topic, 2)
	r.caughtUp(from, to, topic)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	same(t, s.java, from, to, topic)
}

func TestCutsOnBothSides(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.old, s.new)
	topic := from.topic(t, 2, nil)
	stop := load(t, from, topic, 2)
	r := run(t, hasty(options(far(t, from, s.oldPath), far(t, to, s.newPath), 3, topic)))
	for _, path := range []*proxy.Proxy{s.oldPath, s.newPath, s.oldPath, s.newPath} {
		moved(t, to, topic, 60)
		path.Cut()
		until(t, func() (bool, string) { p := r.progress(); return len(p.Notes) > 0, fmt.Sprintf("%+v", p) })
		path.Heal()
	}
	moved(t, to, topic, 60)
	stop()
	r.caughtUp(from, to, topic)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	same(t, s.java, from, to, topic)
}

// TestSlowPath has a path of 60 ms to the source, as between regions.
func TestSlowPath(t *testing.T) {
	s := live.start(t)
	from, to := pair(t, s.new, s.old)
	topic := from.topic(t, 2, nil)
	from.mixed(t, topic, 2)
	s.newPath.Delay(60 * time.Millisecond)
	r := run(t, options(far(t, from, s.newPath), to, 3, topic))
	r.caughtUp(from, to, topic)
	from.mixed(t, topic, 2)
	r.caughtUp(from, to, topic)
	until(t, func() (bool, string) {
		p := r.progress()
		return p.State == understudy.Protected, fmt.Sprintf("%+v", p)
	})
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	same(t, s.java, from, to, topic)
}
