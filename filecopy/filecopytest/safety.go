package filecopytest

import (
	"strings"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
)

func testGuard(b *bench) {
	b.populate()
	b.run()
	before := b.tree(b.target)
	b.change()
	b.job.Guard = filecopy.Guard{}
	b.refused(filecopy.ErrGuard, "US605")
	b.job.Guard = filecopy.Guard{MaxDeletes: 1, MaxShare: 1}
	b.refused(filecopy.ErrGuard, "US605")
	b.job.Guard = filecopy.Guard{MaxDeletes: 100, MaxShare: 0.01}
	b.refused(filecopy.ErrGuard, "US605")
	b.untouched(before)
	b.job.Accept = filecopy.Acceptance{Deletes: 1, By: "ada"}
	b.refused(filecopy.ErrGuard, "US605")
	b.job.Accept.Deletes = 2
	b.run()
	b.same()
}

// untouched wants the target to be as it was.
func (b *bench) untouched(before map[filecopy.Path]seen) {
	b.Helper()
	now := b.tree(b.target)
	if len(now) != len(before) {
		b.Errorf("the target has %d entries, had %d", len(now), len(before))
	}
	for p, was := range before {
		if why := differs(was, now[p], filecopy.AllFields); why != "" {
			b.Errorf("%q was touched: %s", p, why)
		}
	}
}

func testEmptiedSource(b *bench) {
	b.populate()
	b.run()
	before := b.tree(b.target)
	for p, s := range b.tree(b.source) {
		if s.entry.Kind == filecopy.File {
			b.must(b.source.Retire(b.ctx, p, "20200101T000000Z-x-1"))
		}
	}
	b.refused(filecopy.ErrGuard, "US604")
	b.untouched(before)
	b.put("a", "back again")
	// Another tree under the same name is no later state of the first.
	b.job.Source = b.rig.Source(b.T)
	b.refused(filecopy.ErrGuard, "US603")
	b.untouched(before)
}

func testQuarantine(b *bench) {
	b.populate()
	b.run()
	b.must(b.source.Retire(b.ctx, "d/e", "20200101T000000Z-x-1"))
	b.job.Guard.Retention = 24 * time.Hour
	now := time.Now()
	b.job.Clock = func() time.Time { return now }
	b.run()
	all, err := b.target.Quarantines(b.ctx, time.Time{})
	if err != nil || len(all) != 1 || !strings.Contains(all[0].Name, "suite") {
		b.Fatalf("quarantines = %+v, %v", all, err)
	}
	if d := now.Sub(all[0].Made); d < 0 || d > time.Minute {
		b.Errorf("made = %v, now is %v", all[0].Made, now)
	}
	now = now.Add(25 * time.Hour)
	b.run()
	if all, err = b.target.Quarantines(b.ctx, time.Time{}); err != nil || len(all) != 0 {
		b.Errorf("quarantines after the retention = %+v, %v", all, err)
	}
}

// testDrift changes the target behind the mover's back.
func testDrift(b *bench) {
	b.populate()
	b.run()
	b.must(b.target.Retire(b.ctx, "d/c", "20200101T000000Z-x-1"))
	b.must(write(b.ctx, b.target, "foreign", "not from the source", b.own(plain(0o644))))
	b.must(write(b.ctx, b.target, "a", "FIRST a", b.own(plain(0o644))))
	b.must(b.target.SetAttributes(b.ctx, "k", filecopy.Attributes{Mode: 0o600}, filecopy.FieldMode))
	found := map[filecopy.Path]filecopy.DifferenceKind{}
	_, err := b.rig.Mover(b.dir).Compare(b.ctx, b.job, false, func(d filecopy.Difference) error {
		if d.Path != "d" {
			found[d.Path] = d.Kind
		}
		return nil
	})
	want := map[filecopy.Path]filecopy.DifferenceKind{"d/c": filecopy.Missing, "foreign": filecopy.Foreign, "a": filecopy.Altered, "k": filecopy.Restyled}
	if !b.target.Describe().Capabilities.Attributes.Has(filecopy.FieldMode) {
		delete(want, "k")
	}
	if err != nil || len(found) != len(want) {
		b.Errorf("found %v, %v; want %v", found, err, want)
	}
	for p, k := range want {
		// A store whose versions change with attributes cannot tell one from the other by its listing.
		if found[p] != k && !(k == filecopy.Restyled && found[p] == filecopy.Altered) {
			b.Errorf("%q = %s, want %s", p, found[p], k)
		}
	}
	b.job.Repair = true
	b.run()
	b.same()
	b.agrees()
}
