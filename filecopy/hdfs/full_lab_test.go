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
	r := newStill(t, wire.Options{}, wire.Options{RetryFor: 6 * time.Second})
	r.puts(1)
	r.runs()
	before := r.shows()
	r.puts(2)
	dir := filepath.Dir(r.to)
	whole := func(err error, fix string) {
		t.Helper()
		t.Log(err)
		if e := understudy.AsError(err); !strings.Contains(e.Fix, fix) || !strings.Contains(err.Error(), r.west.cluster.Addr()) || !strings.Contains(err.Error(), dir) {
			t.Errorf("it does not say where, or what to do: %v", e.Fix)
		}
		if r.shows() != before {
			t.Error("readers see something of a set that did not fit")
		}
	}
	quota := func(names, space int64) error {
		return judge(t).SetQuota(t.Context(), r.west.cluster.Access(), dir, names, space)
	}
	// Both are less than is used already. The first ends the run in the middle of a file, the next when the rest is begun.
	r.midway(2, func() { r.check(quota(-1, 1<<20)) })
	whole(r.fails("US621"), "-setSpaceQuota")
	r.must(quota(-1, -1))
	r.strikes(&amid{writing: true, do: func() { r.check(quota(10, -1)) }})
	whole(r.fails("US621"), "-setQuota")
	r.must(quota(-1, -1))
	west := r.west.cluster
	r.strikes(&amid{writing: true, do: func() { r.check(west.Fill(t.Context(), true)) }})
	whole(r.fails("US621"), "make room")
	// By now the NameNode knows.
	whole(r.fails("US621"), "make room")
	r.must(west.Fill(t.Context(), false))
	// Whatever was quick enough is staged by now; what did not fit is not.
	r.strikes(&amid{writing: true, do: r.lowOnEdits})
	whole(r.fails("US742"), "-safemode leave")
	r.must(os.Mkdir(shared.edits(), 0o755))
	_, err := judge(t).Tool(t.Context(), west.Access(), "dfsadmin", "-safemode", "leave")
	r.must(err)
	rest := &amid{}
	r.job.Target = rest.over(r.target)
	r.runs()
	r.same()
	if n := rest.parts.Load(); n >= filesPut {
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
