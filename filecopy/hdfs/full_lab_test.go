package hdfs_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
)

// TestTheTargetIsFullAmidARun uses up a quota of bytes, and one of names, the disks of the DataNodes, and that of the NameNode's edits. Readers
// see the last set each time, and the next run goes on.
func TestTheTargetIsFullAmidARun(t *testing.T) {
	r := newTrial(t, wire.Options{}, wire.Options{RetryFor: 6 * time.Second})
	r.puts(1)
	r.runs()
	before := r.shows()
	r.puts(2)
	dir := filepath.Dir(r.to)
	whole := func(err error) {
		t.Helper()
		t.Log(err)
		if e := understudy.AsError(err); e.Fix == "" || !strings.Contains(err.Error(), r.west.cluster.Addr()) || !strings.Contains(err.Error(), dir) {
			t.Errorf("it does not say where, or what to do: %v", e.Fix)
		}
		if r.shows() != before {
			t.Error("readers see something of a set that did not fit")
		}
	}
	for _, q := range [][2]int64{{-1, 60 << 20}, {70, -1}} {
		r.must(judge(t).SetQuota(t.Context(), r.west.cluster.Access(), dir, q[0], q[1]))
		whole(r.fails("US621"))
		r.must(judge(t).SetQuota(t.Context(), r.west.cluster.Access(), dir, -1, -1))
	}
	west := r.west.cluster
	r.job.Target = &amid{Target: r.target, at: 5, do: func() { r.check(west.Fill(t.Context(), true)) }}
	whole(r.fails("US621"))
	// By now the NameNode knows.
	whole(r.fails("US621"))
	r.must(west.Fill(t.Context(), false))
	// Whatever was quick enough is staged by now; what did not fit is not.
	r.job.Target = &amid{Target: r.target, writing: 1, do: r.lowOnEdits}
	whole(r.fails("US742"))
	r.must(os.Mkdir(shared.edits(), 0o755))
	_, err := judge(t).Tool(t.Context(), west.Access(), "dfsadmin", "-safemode", "leave")
	r.must(err)
	rest := &amid{Target: r.target}
	r.job.Target = rest
	r.runs()
	r.same()
	if n := rest.parts.Load(); n >= 42 {
		t.Errorf("all of %d parts were written again", n)
	}
}

// lowOnEdits takes the disk with the edits from the NameNode of the target, and waits until it noticed.
func (r *trial) lowOnEdits() {
	r.check(os.Remove(shared.edits()))
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		safe, err := r.west.client.SafeMode(ctx)
		r.check(err)
		if safe || err != nil {
			return
		}
		<-tick.C
	}
}
