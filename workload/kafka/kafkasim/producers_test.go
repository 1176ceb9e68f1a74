package kafkasim

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// TestStateReadBackFromTheLog drives one partition with data, markers and nonsense of a few producers, and
// then reads its log anew: what is known about each producer must be the same.
func TestStateReadBackFromTheLog(t *testing.T) {
	c := begin(t, Options{})
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		a := connect(t.Context(), Target{Addr: c.Addr()}, "")
		defer a.close()
		a.create(fmt.Sprintf("run-%d", n), 1)
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			pid := crafted + rapid.Int64Range(0, 1).Draw(rt, "pid")
			epoch := rapid.Int16Range(0, 2).Draw(rt, "epoch")
			if rapid.Bool().Draw(rt, "marker") {
				a.markers(pid, epoch, rapid.Int32Range(0, 2).Draw(rt, "coordinator"), 1)
				continue
			}
			a.write(pid, epoch, rapid.Int32Range(0, 4).Draw(rt, "sequence"), rapid.Int32Range(1, 2).Draw(rt, "records"))
		}
		if a.err != nil {
			rt.Fatal(a.err)
		}
		compareWithLog(rt, c, shard{topic: a.topic})
	})
}

func compareWithLog(t *rapid.T, c *Cluster, at shard) {
	c.log.Lock()
	defer c.log.Unlock()
	kept := c.parts[at]
	delete(c.parts, at)
	read, err := c.partition(at)
	if err != nil || read == nil {
		t.Fatalf("reading the log: %v", err)
	}
	if kept == nil {
		return
	}
	if kept.next != read.next {
		t.Fatalf("next %d, in the log %d", kept.next, read.next)
	}
	for _, p := range []*partition{kept, read} {
		for _, k := range p.producers {
			k.lastTime = 0 // markers get kfake's clock
		}
	}
	if a, b := kept.active(), read.active(); fmt.Sprint(a) != fmt.Sprint(b) {
		t.Fatalf("kept\n%v\nread\n%v", a, b)
	}
	for pid, k := range kept.producers {
		if !slices.Equal(k.batches, read.producers[pid].batches) {
			t.Fatalf("batches %v, in the log %v", k.batches, read.producers[pid].batches)
		}
	}
}

// TestKillMidWrite kills the broker again and again under four producers: what was acknowledged is there,
// once, and in order.
func TestKillMidWrite(t *testing.T) {
	c := begin(t, Options{Topics: map[string]int32{"orders": 1}})
	const producers, each = 4, 150
	done := make(chan []string, producers)
	for p := range producers {
		cl := client4(t, c.Addr())
		go func() {
			var acked []string
			for i := range each {
				v := fmt.Sprintf("%d-%03d", p, i)
				if cl.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte(v)}).FirstErr() == nil {
					acked = append(acked, v)
				}
			}
			done <- acked
		}()
	}
	for kill := range 5 {
		c.waitProduced(t, c.Count(kmsg.Produce)+20)
		c.Kill()
		if err := c.Restart(); err != nil {
			t.Fatalf("kill %d: %v", kill, err)
		}
	}
	total := 0
	acked := map[string]bool{}
	for range producers {
		for _, v := range <-done {
			acked[v] = true
			total++
		}
	}
	checkLog(t, consume(t, c.Addr(), "orders", total), acked)
}

// waitProduced waits until so many produce requests have come.
func (c *Cluster) waitProduced(t *testing.T, n int) {
	t.Helper()
	for c.Count(kmsg.Produce) < n {
		select {
		case <-t.Context().Done():
			t.Fatal("no more requests")
		case <-time.After(time.Millisecond):
		}
	}
}

func checkLog(t *testing.T, got []string, acked map[string]bool) {
	t.Helper()
	seen, last := map[string]bool{}, map[byte]string{}
	for _, v := range got {
		if seen[v] || v <= last[v[0]] {
			t.Errorf("%s comes twice or too late", v)
		}
		seen[v], last[v[0]] = true, v
	}
	for v := range acked {
		if !seen[v] {
			t.Errorf("%s was acknowledged and is gone", v)
		}
	}
}
