package hdfs_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/wire/hdfs"
)

// changes gives our diff in the judge's words, sorted.
func (p place) changes(root, from, to string) []string {
	p.Helper()
	words := map[hdfs.DiffKind]string{hdfs.DiffCreated: "create", hdfs.DiffDeleted: "delete", hdfs.DiffModified: "modify", hdfs.DiffRenamed: "rename"}
	var list []string
	for e, err := range p.SnapshotDiff(p.Context(), root, from, to) {
		must(p.TB, err)
		list = append(list, fmt.Sprintf("%s %s %s", words[e.Kind], e.Path, e.Target))
	}
	slices.Sort(list)
	return list
}

// judged gives the judge's diff.
func (p place) judged(root, from, to string) []string {
	p.Helper()
	all, err := p.judge.Changes(p.Context(), p.access, root, from, to)
	must(p.TB, err)
	var list []string
	for _, c := range all {
		list = append(list, fmt.Sprintf("%s %s %s", c.Type, c.Path, c.To))
	}
	slices.Sort(list)
	return list
}

// A diff of many pages: a page holds 100 entries in the lab.
func TestSnapshotDiffGoesOverPages(t *testing.T) {
	p, ctx := open(t), t.Context()
	root := p.at("root")
	must(t, p.Mkdirs(ctx, root, 0o755))
	must(t, p.AllowSnapshots(ctx, root))
	for i := range 7 {
		must(t, p.Mkdirs(ctx, fmt.Sprintf("%s/d%d/e", root, i), 0o755))
		for j := range 60 {
			p.write(fmt.Sprintf("root/d%d/f%d", i, j), nil, hdfs.CreateOptions{})
		}
	}
	path, err := p.CreateSnapshot(ctx, root, "s1")
	must(t, err)
	if path != root+"/.snapshot/s1" {
		t.Errorf("the snapshot lies at %s", path)
	}
	for i := range 7 {
		for j := range 60 {
			name := fmt.Sprintf("%s/d%d/f%d", root, i, j)
			switch j % 4 {
			case 0:
				must(t, p.Delete(ctx, name, false))
			case 1:
				must(t, p.Rename(ctx, name, fmt.Sprintf("%s/d%d/e/g%d", root, (i+1)%7, i*100+j)))
			case 2:
				must(t, p.SetOwner(ctx, name, "ada", ""))
			case 3:
				must(t, p.SetTimes(ctx, name, time.UnixMilli(1), time.UnixMilli(1)))
				p.write(fmt.Sprintf("root/d%d/n%d", i, j), nil, hdfs.CreateOptions{})
			}
		}
	}
	p.write("outside", nil, hdfs.CreateOptions{})
	must(t, p.Rename(ctx, p.at("outside"), root+"/inside"))
	_, err = p.CreateSnapshot(ctx, root, "s2")
	must(t, err)
	got, want := p.changes(root, "s1", "s2"), p.judged(root, "s1", "s2")
	if !slices.Equal(got, want) {
		t.Errorf("we see %d changes, the judge %d:\n%q\n%q", len(got), len(want), got, want)
	}
	if len(got) < 400 {
		t.Errorf("only %d changes: not many pages", len(got))
	}
	if none := p.changes(root, "s2", ""); len(none) != 0 {
		t.Errorf("nothing was changed since s2: %q", none)
	}
	p.whole(root)
}

// whole tests names and refusals of snapshots.
func (p place) whole(root string) {
	ctx := p.Context()
	_, err := p.CreateSnapshot(ctx, root, "s1")
	refused(p.TB, err, hdfs.ErrSnapshot)
	refused(p.TB, p.Delete(ctx, root, true), hdfs.ErrSnapshot)
	refused(p.TB, p.DisallowSnapshots(ctx, root), hdfs.ErrSnapshot)
	for _, err := range p.SnapshotDiff(ctx, root, "s2", "s1") {
		refused(p.TB, err, hdfs.ErrSnapshot)
	}
	must(p.TB, p.RenameSnapshot(ctx, root, "s1", "s0"))
	dirs, err := p.SnapshottableDirs(ctx)
	must(p.TB, err)
	if !slices.ContainsFunc(dirs, func(d hdfs.SnapshottableDir) bool { return d.Path == root && d.Snapshots == 2 }) {
		p.Errorf("snapshottable: %+v", dirs)
	}
	for _, s := range []string{"s0", "s2"} {
		must(p.TB, p.DeleteSnapshot(ctx, root, s))
	}
	must(p.TB, p.DisallowSnapshots(ctx, root))
	if f, err := p.Stat(ctx, root); err != nil || f.Snapshottable {
		p.Errorf("still snapshottable: %+v, %v", f, err)
	}
}

func TestEventsTellWhatHappened(t *testing.T) {
	p, ctx := open(t), t.Context()
	begin, err := p.LatestTx(ctx)
	must(t, err)
	p.write("a", []byte("12345"), hdfs.CreateOptions{})
	must(t, p.SetTimes(ctx, p.at("a"), time.UnixMilli(77), time.UnixMilli(78)))
	must(t, p.Rename(ctx, p.at("a"), p.at("b")))
	must(t, p.Delete(ctx, p.at("b"), false))
	var events []hdfs.Event
	next := begin + 1
	p.until("the deletion is told", func() bool {
		page, err := p.Events(ctx, next)
		must(t, err)
		for _, e := range page.Events {
			if e.Path == p.at("a") || e.Path == p.at("b") {
				events = append(events, e)
			}
		}
		if page.Last >= next {
			next = page.Last + 1
		}
		return slices.ContainsFunc(events, func(e hdfs.Event) bool { return e.Kind == hdfs.EventUnlink && e.Path == p.at("b") })
	})
	find := func(kind hdfs.EventKind) hdfs.Event {
		i := slices.IndexFunc(events, func(e hdfs.Event) bool { return e.Kind == kind })
		if i < 0 {
			t.Fatalf("no %s in %+v", kind, events)
		}
		return events[i]
	}
	if e := find(hdfs.EventClose); e.Length != 5 || e.Tx <= begin {
		t.Errorf("close: %+v", e)
	}
	if e := find(hdfs.EventRename); e.Target != p.at("b") {
		t.Errorf("rename: %+v", e)
	}
	if e := find(hdfs.EventMetadata); e.Time.UnixMilli() != 77 {
		t.Errorf("metadata: %+v", e)
	}
}

func TestFileOfAnotherWriter(t *testing.T) {
	p, ctx := open(t), t.Context()
	held, err := p.judge.Hold(ctx, p.access, labhdfs.File{Path: p.at("f"), Data: random(80, 70000)})
	must(t, err)
	r, err := p.Open(ctx, p.at("f"))
	must(t, err)
	defer r.Close()
	if !r.UnderConstruction() {
		t.Error("the file does not count as under construction")
	}
	_, err = p.Checksum(ctx, p.at("f"))
	refused(t, err, hdfs.ErrUnderConstruction)
	_, err = p.Append(ctx, p.at("f"), hdfs.AppendOptions{})
	refused(t, err, hdfs.ErrLease)
	if _, err = p.RecoverLease(ctx, p.at("f")); err != nil {
		t.Fatal(err)
	}
	p.until("the lease is recovered", func() bool { done, err := p.RecoverLease(ctx, p.at("f")); return err == nil && done })
	if got := p.read("f"); string(got) != string(random(80, 70000)) {
		t.Errorf("%d bytes after the recovery", len(got))
	}
	if held.Release(ctx) == nil {
		t.Error("the writer that lost its lease closed the file")
	}
}
