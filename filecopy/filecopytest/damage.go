package filecopytest

import (
	"errors"
	"strings"

	"github.com/understudy-dr/understudy/filecopy"
)

// testFlippedOnTheWay flips bits of what is sent to the target, of a file that is there and of one in a new directory: once, which is made good, and
// always, which is refused before anybody sees it.
func testFlippedOnTheWay(b *bench) {
	b.put("a", "good content, which is long enough for more than one part")
	b.run()
	before := b.tree(b.target)
	for _, p := range []filecopy.Path{"a", "new/below/b"} {
		b.put(p, "better content, which is long enough for more than one part")
		b.job.Target = (&flipper{at: 1}).over(b.target)
		b.refused(filecopy.ErrCorrupt, "US606")
		b.untouched(before)
		b.job.Target = (&flipper{at: 1, once: true}).over(b.target)
		b.run()
		b.same()
		before = b.tree(b.target)
	}
}

// testFlippedAtSource lets the source give other bytes under the same version than it gave before.
func testFlippedAtSource(b *bench) {
	b.put("a", "good content")
	b.put("b", "something else")
	b.run()
	b.must(b.target.Retire(b.ctx, "a", "20200101T000000Z-x-1"))
	b.job.Repair = true
	b.job.Source = &meddled{Store: b.source, path: "a", flip: true}
	b.refused(filecopy.ErrCorrupt, "US606")
	if _, err := b.stat(b.target, "a"); !errors.Is(err, filecopy.ErrNotFound) {
		b.Errorf("rotten content was published: %v", err)
	}
	b.job.Source = b.source
	b.run()
	b.same()
}

// testChangedWhileRead replaces a file of a live source while it is read.
func testChangedWhileRead(b *bench) {
	b.put("a", strings.Repeat("old ", 1000))
	b.put("b", "other")
	act := func() {
		if err := write(b.ctx, b.source, "a", strings.Repeat("new ", 1200), b.own(plain(0o644))); err != nil {
			b.Error(err)
		}
	}
	b.job.Source = &meddled{Store: b.source, path: "a", act: act}
	set := b.run()
	// A store of objects may give the version that it began with to its end: then that one was read whole.
	whole := !b.source.Describe().Capabilities.Directories && set.Bytes == 4000+5
	if set.Files != 2 || set.Bytes != 4800+5 && !whole {
		b.Errorf("set = %+v", set)
	}
	b.job.Source = b.source
	if whole {
		b.run()
	}
	b.same()
	b.run()
	b.same()
	b.agrees()
}

// testVanishedWhileRead removes a file of a live source while it is read: the set is as if it had not been there.
func testVanishedWhileRead(b *bench) {
	b.put("a", strings.Repeat("old ", 1000))
	b.put("b", "other")
	act := func() {
		if err := b.source.Retire(b.ctx, "a", "20200101T000000Z-x-1"); err != nil {
			b.Error(err)
		}
		// In a store of objects, and on an open file, what is being read may stay readable: then it was read whole.
		if err := write(b.ctx, b.source, "a/b", "in its place", b.own(plain(0o644))); err != nil && b.source.Describe().Capabilities.Directories {
			b.Error(err)
		}
	}
	b.job.Source = &meddled{Store: b.source, path: "a", act: act}
	b.run()
	b.job.Source = b.source
	b.run()
	b.same()
	b.agrees()
}
