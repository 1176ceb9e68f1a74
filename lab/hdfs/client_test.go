package hdfs_test

import (
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/lab/hdfs"
)

// ptr is for optional fields.
func ptr[T any](v T) *T { return &v }

func TestTreeShowsEveryAttribute(t *testing.T) {
	p := open(t)
	p.put(hdfs.File{Path: "d/f", Size: 3<<20 + 5, Seed: 3, BlockSize: 1 << 20, Replication: 1}, hdfs.File{Path: "d/empty"})
	must(t, p.client.Symlink(t.Context(), p.access, p.at("d/link"), "f"))
	must(t, p.client.Set(t.Context(), p.access, p.at("d/f"), hdfs.Attributes{
		Owner: ptr("alice"), Group: ptr("staff"), Mode: ptr(0o640), ACL: ptr("user::rw-,user:bob:r--,group::r--,mask::rw-,other::---"),
		XAttrs: map[string][]byte{"user.note": {0, 255}}, MTime: ptr[int64](1234567890123), ATime: ptr[int64](1234567890456),
		Replication: ptr(2), Policy: ptr("HOT"),
	}))
	must(t, p.client.Set(t.Context(), p.access, p.at("d"), hdfs.Attributes{Mode: ptr(0o1777)}))
	tree := p.dump("d")
	if got, want := tree.Paths(), []string{p.at("d"), p.at("d/empty"), p.at("d/f"), p.at("d/link")}; !slices.Equal(got, want) {
		t.Fatalf("paths %v", got)
	}
	b, err := p.client.Read(t.Context(), p.access, p.at("d/f"))
	must(t, err)
	want := hdfs.Entry{
		Path: p.at("d/f"), Type: hdfs.Regular, Owner: "alice", Group: "staff", Mode: 0o660, MTime: 1234567890123,
		ACL: "user:bob:r--,group::r--", XAttrs: map[string][]byte{"user.note": {0, 255}}, Policy: 7,
		Length: 3<<20 + 5, Replication: 2, BlockSize: 1 << 20, CRC: crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)),
	}
	if e, _ := tree.Find(p.at("d/f")); !e.Equal(want) {
		t.Errorf("is     %v\nwanted %v", e, want)
	}
	if e, _ := tree.Find(p.at("d/link")); e.Type != hdfs.Link || e.Target != "f" {
		t.Errorf("the link is %v", e)
	}
	if e, _ := tree.Find(p.at("d")); e.Type != hdfs.Dir || e.Mode != 0o1777 {
		t.Errorf("the directory is %v", e)
	}
	if e, ok := tree.Find(p.at("d/none")); ok {
		t.Errorf("found %v", e)
	}
}

// TestDiffIsRed is the control that a comparison of trees notices the smallest difference of each kind.
func TestDiffIsRed(t *testing.T) {
	p := open(t)
	for _, side := range []string{"east", "west"} {
		p.put(hdfs.File{Path: side + "/a", Data: []byte("same")}, hdfs.File{Path: side + "/d/b", Data: []byte("same")})
		for _, name := range []string{"", "/a", "/d", "/d/b"} {
			must(t, p.client.Set(t.Context(), p.access, p.at(side+name), hdfs.Attributes{MTime: ptr[int64](1000)}))
		}
	}
	east, still := p.dump("east"), hdfs.Attributes{MTime: ptr[int64](1000)}
	if d := east.Diff(p.dump("west"), 9); d != nil {
		t.Fatalf("equal trees differ: %v", d)
	}
	for _, c := range []struct {
		name   string
		change func() error
		want   string
	}{
		{"one byte", func() error {
			p.put(hdfs.File{Path: "west/a", Data: []byte("sAme")})
			return p.client.Set(t.Context(), p.access, p.at("west/a"), still)
		}, "differs"},
		{"a time by a millisecond", func() error {
			p.put(hdfs.File{Path: "west/a", Data: []byte("same")})
			return p.client.Set(t.Context(), p.access, p.at("west/a"), hdfs.Attributes{MTime: ptr[int64](1001)})
		}, "differs"},
		{"a missing file", func() error { return p.client.Remove(t.Context(), p.access, p.at("west/a")) }, "only here"},
		{"an extra attribute", func() error {
			p.put(hdfs.File{Path: "west/a", Data: []byte("same")})
			return p.client.Set(t.Context(), p.access, p.at("west/a"), hdfs.Attributes{MTime: ptr[int64](1000), XAttrs: map[string][]byte{"user.x": {}}})
		}, "differs"},
		{"an extra directory", func() error { return p.client.MkdirAll(t.Context(), p.access, p.at("west/more")) }, "only there"},
	} {
		must(t, c.change())
		must(t, p.client.Set(t.Context(), p.access, p.at("west"), still))
		d := strings.Join(east.Diff(p.dump("west"), 9), "\n")
		if !strings.Contains(d, c.want) {
			t.Errorf("%s: %q", c.name, d)
		}
	}
}

func TestNamesOfAllKinds(t *testing.T) {
	p := open(t)
	var want []string
	for _, name := range []string{"50% off", "sp ace", "ü漢字", "back\\slash", "new\nline", "star*", "{x,y}", "?q=1#f", "~", "..x", "\"quoted\""} {
		p.put(hdfs.File{Path: name, Data: []byte(name)})
		want = append(want, p.at(name))
	}
	refused(t, p.client.Put(t.Context(), p.access, hdfs.File{Path: p.at("a:b")}), "InvalidPathException")
	slices.Sort(want)
	if got := p.dump("").Paths()[1:]; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	for _, path := range want {
		if b, err := p.client.Read(t.Context(), p.access, path); err != nil || p.at(string(b)) != path {
			t.Errorf("%q reads %q, %v", path, b, err)
		}
	}
}

func TestContentsChange(t *testing.T) {
	p := open(t)
	p.put(hdfs.File{Path: "a", Data: []byte("one ")}, hdfs.File{Path: "b", Data: []byte("two ")}, hdfs.File{Path: "c", Data: []byte("three")})
	must(t, p.client.Concat(t.Context(), p.access, p.at("a"), p.at("b"), p.at("c")))
	p.put(hdfs.File{Path: "a", Data: []byte(", four"), Append: true})
	check := func(want string) {
		t.Helper()
		if b, err := p.client.Read(t.Context(), p.access, p.at("a")); string(b) != want {
			t.Errorf("%q, %v", b, err)
		}
	}
	check("one two three, four")
	// Cut at a block's border, a file is closed at once.
	must(t, p.client.Truncate(t.Context(), p.access, p.at("a"), 8))
	check("one two ")
	must(t, p.client.Rename(t.Context(), p.access, p.at("a"), p.at("moved")))
	p.put(hdfs.File{Path: "other"})
	refused(t, p.client.Rename(t.Context(), p.access, p.at("moved"), p.at("other")), "FileAlreadyExistsException")
	must(t, p.client.Replace(t.Context(), p.access, p.at("moved"), p.at("other")))
	if got := p.dump("").Paths()[1:]; !slices.Equal(got, []string{p.at("other")}) {
		t.Errorf("left are %v", got)
	}
	must(t, p.client.SetQuota(t.Context(), p.access, p.dir, 2, -1))
	refused(t, p.client.MkdirAll(t.Context(), p.access, p.at("third")), "NSQuotaExceededException")
	must(t, p.client.SetQuota(t.Context(), p.access, p.dir, -1, -1))
}

func TestFileUnderConstruction(t *testing.T) {
	p := open(t)
	h, err := p.client.Hold(t.Context(), p.access, hdfs.File{Path: p.at("open"), Data: []byte("half")})
	must(t, err)
	if b, err := p.client.Read(t.Context(), p.access, p.at("open")); string(b) != "half" {
		t.Errorf("%q, %v", b, err)
	}
	refused(t, p.client.Put(t.Context(), p.access, hdfs.File{Path: p.at("open"), Append: true}), "AlreadyBeingCreatedException")
	must(t, h.Release(t.Context()))
	if e, _ := p.dump("").Find(p.at("open")); e.Length != 4 {
		t.Errorf("closed, it is %v", e)
	}
}

func TestOtherUsersAreRefused(t *testing.T) {
	p := open(t)
	p.put(hdfs.File{Path: "secret", Data: []byte("x")})
	must(t, p.client.Set(t.Context(), p.access, p.at("secret"), hdfs.Attributes{Mode: ptr(0o600)}))
	alice := p.cluster.As("alice", "")
	_, err := p.client.Read(t.Context(), alice, p.at("secret"))
	refused(t, err, "AccessControlException")
	_, err = p.client.Mark(t.Context(), alice)
	refused(t, err, "AccessControlException")
}

func TestSnapshotsAndWhatLiesBetween(t *testing.T) {
	p := open(t)
	for i := range 150 {
		p.put(hdfs.File{Path: "d/" + strings.Repeat("f", i+1)})
	}
	must(t, p.client.AllowSnapshots(t.Context(), p.access, p.at("d")))
	must(t, p.client.Snapshot(t.Context(), p.access, p.at("d"), "s1"))
	must(t, p.client.Rename(t.Context(), p.access, p.at("d/f"), p.at("d/g")))
	must(t, p.client.Remove(t.Context(), p.access, p.at("d/ff")))
	p.put(hdfs.File{Path: "d/new"}, hdfs.File{Path: "d/fff", Data: []byte("x"), Append: true})
	must(t, p.client.Snapshot(t.Context(), p.access, p.at("d"), "s2"))
	changes, err := p.client.Changes(t.Context(), p.access, p.at("d"), "s1", "s2")
	must(t, err)
	for _, want := range []hdfs.Change{{"rename", "f", "g"}, {"delete", "ff", ""}, {"create", "new", ""}, {"modify", "fff", ""}, {"modify", "", ""}} {
		if !slices.Contains(changes, want) {
			t.Errorf("no %+v in %+v", want, changes)
		}
	}
	if _, ok := p.dump("d/.snapshot/s1").Find(p.at("d/.snapshot/s1/ff")); !ok {
		t.Error("the snapshot lost a file")
	}
	must(t, p.client.RenameSnapshot(t.Context(), p.access, p.at("d"), "s1", "s0"))
	refused(t, p.client.DisallowSnapshots(t.Context(), p.access, p.at("d")), "SnapshotException")
	must(t, p.client.RemoveSnapshot(t.Context(), p.access, p.at("d"), "s0"))
	must(t, p.client.RemoveSnapshot(t.Context(), p.access, p.at("d"), "s2"))
	must(t, p.client.DisallowSnapshots(t.Context(), p.access, p.at("d")))
}
