package filecopytest

import (
	"time"

	"github.com/understudy-dr/understudy/filecopy"
)

// testProbes leaves probes behind in both trees, as processes do that are killed: they are not copied, by a listing or by a diff, nor taken for
// somebody's write. What only looks like one is copied.
func testProbes(b *bench) {
	probe := func() filecopy.Path { return filecopy.Path(filecopy.NewProbe(time.Now())) }
	first, second, there := probe(), probe(), probe()
	b.put("a", "content")
	b.put(first, "")
	b.put("d"+"/"+probe(), "")
	b.put(probe(), "somebody's")
	b.put(first[:len(first)-1], "")
	wants := func(files int64, set filecopy.Set) {
		b.Helper()
		want := b.tree(b.source)
		delete(want, first)
		delete(want, second)
		if set.Files != files {
			b.Errorf("set = %+v", set)
		}
		b.exactly(want)
		b.agrees()
	}
	wants(4, b.run())
	b.put(second, "")
	b.put("new", "more")
	wants(5, b.run())
	b.must(write(b.ctx, b.target, there, "", b.own(plain(0o644))))
	b.agrees()
	b.job.Repair = true
	b.run()
	if _, err := b.stat(b.target, there); err != nil {
		b.Errorf("a probe at the target: %v", err)
	}
	b.must(b.target.Retire(b.ctx, there, "20200101T000000Z-x-1"))
	wants(5, b.run())
}
