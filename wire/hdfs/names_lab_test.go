package hdfs_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/wire/hdfs"
)

func TestListingGoesOverPages(t *testing.T) {
	p := open(t)
	const files = 1203
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			for j := i; j < files; j += 16 {
				// One of eight has a block.
				p.write(fmt.Sprintf("d/f%05d", j), []byte{byte(j)}[:(j%8)/7], hdfs.CreateOptions{})
			}
		})
	}
	group.Wait()
	var names []string
	for e, err := range p.Entries(t.Context(), p.at("d"), hdfs.ListOptions{Locations: true}) {
		must(t, err)
		names = append(names, e.Name)
		if e.Path != p.at("d/"+e.Name) || e.Blocks == nil || int64(len(e.Blocks.List)) != e.Length {
			t.Fatalf("entry %+v", e)
		}
	}
	if len(names) != files || !slices.IsSorted(names) {
		t.Errorf("%d entries, sorted %v", len(names), slices.IsSorted(names))
	}
	page, err := p.List(t.Context(), p.at("d"), hdfs.ListOptions{After: "f00500"})
	must(t, err)
	if page.Entries[0].Name != "f00501" || len(page.Entries)+page.Remaining != files-501 {
		t.Errorf("page begins with %s and has %d entries of %d more", page.Entries[0].Name, len(page.Entries), page.Remaining)
	}
	one, err := p.List(t.Context(), p.at("d/f00001"), hdfs.ListOptions{})
	must(t, err)
	if len(one.Entries) != 1 || one.Entries[0].Path != p.at("d/f00001") {
		t.Errorf("a file lists as %+v", one)
	}
	for i, name := range []string{"gone", "d/f00001/below"} {
		_, err = p.List(t.Context(), p.at(name), hdfs.ListOptions{})
		refused(t, err, []error{hdfs.ErrNotFound, hdfs.ErrNotDirectory}[i])
	}
}

func TestNamesOfAllBytes(t *testing.T) {
	p := open(t)
	names := []string{"a b", "%41", "ü€𝄞", "new\nline", "tab\t", `back\slash`, "quo\"te'", "*?[x]{y}", "~", "#;&|<>$", strings.Repeat("x", 255), ".hidden", "e\u0301", "\u00e9"}
	for _, n := range names {
		p.write(n, []byte(n), hdfs.CreateOptions{})
		f, err := p.Stat(t.Context(), p.at(n))
		must(t, err)
		if f.Path != p.at(n) || f.Length != int64(len(n)) {
			t.Errorf("%q comes back as %+v", n, f)
		}
	}
	var got []string
	must(t, p.Walk(t.Context(), p.dir, hdfs.ListOptions{}, func(f *hdfs.FileInfo) error {
		got = append(got, f.Path)
		return nil
	}))
	want := p.dump("").Paths()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("we see %q, the judge %q", got, want)
	}
}

// A folder that vanishes behind the back of a walk ends it, unless the walk is told to expect that; the root has to be there.
func TestWalksOfATreeThatChanges(t *testing.T) {
	p, ctx := open(t), t.Context()
	for _, vanishing := range []bool{false, true} {
		for i := range 10 {
			p.write(fmt.Sprintf("d%d/f", i), nil, hdfs.CreateOptions{Overwrite: true})
		}
		last := ""
		err := p.Walk(ctx, p.dir, hdfs.ListOptions{Vanishing: vanishing}, func(f *hdfs.FileInfo) error {
			last = f.Path
			if f.Path == p.at("d0") {
				return p.Delete(ctx, p.at("d8"), true)
			}
			return nil
		})
		if vanishing && (err != nil || last != p.at("d9/f")) || !vanishing && !hdfs.IsNotFound(err) {
			t.Errorf("vanishing %v: %v after %s", vanishing, err, last)
		}
	}
	refused(t, p.Walk(ctx, p.at("none"), hdfs.ListOptions{Vanishing: true}, nil), hdfs.ErrNotFound)
}

func TestAttributesAreThoseOfTheJudge(t *testing.T) {
	p, ctx := open(t), t.Context()
	p.write("f", []byte("data"), hdfs.CreateOptions{Mode: 0o640, Replication: 1})
	must(t, p.Mkdir(ctx, p.at("d"), 0o1777))
	f := p.at("f")
	must(t, p.SetPermission(ctx, f, 0o604))
	must(t, p.SetOwner(ctx, f, "ada", ""))
	must(t, p.SetOwner(ctx, f, "", "crew"))
	must(t, p.SetReplication(ctx, f, 3))
	must(t, p.SetStoragePolicy(ctx, f, "COLD"))
	must(t, p.SetXAttr(ctx, f, hdfs.XAttr{Name: "user.origin", Value: []byte{0, 1, 255}}))
	must(t, p.SetXAttr(ctx, f, hdfs.XAttr{Name: "trusted.empty"}))
	must(t, p.ModifyACL(ctx, f, []hdfs.ACLEntry{{Kind: hdfs.ACLUser, Name: "bob", Permission: 5}}))
	must(t, p.SetTimes(ctx, f, time.UnixMilli(1234567890123), time.UnixMilli(1234567890987)))
	// The judge reads the file, which sets its time of access: so it comes second.
	i, err := p.Stat(ctx, f)
	must(t, err)
	e := p.entry("f")
	if e.Owner != "ada" || e.Group != "crew" || e.Replication != 3 || e.Policy != 2 || e.MTime != 1234567890123 || e.ATime != 1234567890987 ||
		e.ACL != "user:bob:r-x,group::---" || string(e.XAttrs["user.origin"]) != "\x00\x01\xff" {
		t.Errorf("the judge sees %v", e)
	}
	if i.Owner != e.Owner || i.Group != e.Group || int(i.Mode) != e.Mode || i.Replication != e.Replication || i.StoragePolicy != e.Policy ||
		i.ModTime.UnixMilli() != e.MTime || i.AccessTime.UnixMilli() != e.ATime || !i.HasACL || i.BlockSize != e.BlockSize || i.Length != e.Length {
		t.Errorf("we see %+v, the judge %v", i, e)
	}
	if d, err := p.Stat(ctx, p.at("d")); err != nil || d.Mode != 0o1777 || !d.IsDir() {
		t.Errorf("the folder: %+v, %v", d, err)
	}
	policy, err := p.StoragePolicy(ctx, f)
	must(t, err)
	must(t, p.UnsetStoragePolicy(ctx, f))
	all, err := p.StoragePolicies(ctx)
	must(t, err)
	if policy.Name != "COLD" || !slices.Contains(all, policy) {
		t.Errorf("policy %v of %v", policy, all)
	}
}

func TestACLs(t *testing.T) {
	p, ctx := open(t), t.Context()
	d := p.at("d")
	must(t, p.Mkdir(ctx, d, 0o750))
	full := []hdfs.ACLEntry{
		{Kind: hdfs.ACLUser, Permission: 7}, {Kind: hdfs.ACLGroup, Permission: 5}, {Kind: hdfs.ACLOther},
		{Kind: hdfs.ACLUser, Name: "bob", Permission: 6}, {Default: true, Kind: hdfs.ACLGroup, Name: "crew", Permission: 4},
	}
	must(t, p.SetACL(ctx, d, full))
	a, err := p.GetACL(ctx, d)
	must(t, err)
	if !slices.Contains(a.Entries, full[3]) || !slices.Contains(a.Entries, full[4]) || a.Owner != labhdfs.Superuser || a.Mode != 0o770 {
		t.Errorf("list %v, mode %o", a.Entries, a.Mode)
	}
	must(t, p.RemoveACLEntries(ctx, d, full[3:4]))
	must(t, p.RemoveDefaultACL(ctx, d))
	a, err = p.GetACL(ctx, d)
	must(t, err)
	if slices.ContainsFunc(a.Entries, func(e hdfs.ACLEntry) bool { return e.Name != "" || e.Default }) {
		t.Errorf("left: %v", a.Entries)
	}
	must(t, p.RemoveACL(ctx, d))
	if a, err = p.GetACL(ctx, d); err != nil || len(a.Entries) != 0 {
		t.Errorf("left: %v, %v", a, err)
	}
	if got := full[4].String(); got != "default:group:crew:r--" {
		t.Errorf("an entry reads %s", got)
	}
}

func TestExtendedAttributes(t *testing.T) {
	p, ctx := open(t), t.Context()
	must(t, p.SetXAttr(ctx, p.dir, hdfs.XAttr{Name: "user.a", Value: []byte("1")}))
	must(t, p.SetXAttr(ctx, p.dir, hdfs.XAttr{Name: "user.a", Value: []byte("2")}))
	must(t, p.SetXAttr(ctx, p.dir, hdfs.XAttr{Name: "trusted.b", Value: []byte("3")}))
	names, err := p.ListXAttrs(ctx, p.dir)
	must(t, err)
	slices.Sort(names)
	if !slices.Equal(names, []string{"trusted.b", "user.a"}) {
		t.Errorf("names %v", names)
	}
	got, err := p.GetXAttrs(ctx, p.dir, "user.a")
	must(t, err)
	if len(got) != 1 || string(got[0].Value) != "2" {
		t.Errorf("values %v", got)
	}
	must(t, p.RemoveXAttr(ctx, p.dir, "user.a"))
	if _, err = p.GetXAttrs(ctx, p.dir, "user.a"); err == nil {
		t.Error("a removed attribute is there")
	}
	if err = p.SetXAttr(ctx, p.dir, hdfs.XAttr{Name: "other.a"}); err == nil {
		t.Error("an unknown namespace is taken")
	}
}

func TestNamesMove(t *testing.T) {
	p, ctx := open(t), t.Context()
	p.write("a", []byte("a"), hdfs.CreateOptions{})
	p.write("b", []byte("b"), hdfs.CreateOptions{})
	refused(t, p.Rename(ctx, p.at("a"), p.at("b")), hdfs.ErrExists)
	refused(t, p.Rename(ctx, p.at("gone"), p.at("c")), hdfs.ErrNotFound)
	must(t, p.Replace(ctx, p.at("a"), p.at("b")))
	if string(p.read("b")) != "a" {
		t.Error("the file was not replaced")
	}
	must(t, p.Mkdirs(ctx, p.at("full/x"), 0o755))
	must(t, p.Mkdirs(ctx, p.at("other"), 0o755))
	if err := p.Replace(ctx, p.at("other"), p.at("full")); err == nil {
		t.Error("a folder with entries was replaced")
	}
	refused(t, p.Delete(ctx, p.at("full"), false), hdfs.ErrNotEmpty)
	must(t, p.Delete(ctx, p.at("full"), true))
	refused(t, p.Delete(ctx, p.at("full"), true), hdfs.ErrNotFound)
	_, err := p.Create(ctx, p.at("b"), hdfs.CreateOptions{})
	refused(t, err, hdfs.ErrExists)
	refused(t, err, fs.ErrExist)
	_, err = p.Create(ctx, p.at("no/such"), hdfs.CreateOptions{})
	refused(t, err, hdfs.ErrNotFound)
	refused(t, p.Mkdirs(ctx, p.at("b/below"), 0o755), hdfs.ErrNotDirectory)
}

func TestTruncateAndClosed(t *testing.T) {
	p, ctx := open(t), t.Context()
	data := random(70, 2*small+500)
	p.write("f", data, hdfs.CreateOptions{BlockSize: small})
	done, err := p.Truncate(ctx, p.at("f"), small)
	must(t, err)
	if !done || p.entry("f").CRC != crcOf(data[:small]) {
		t.Error("a cut between blocks is not done at once")
	}
	if _, err = p.Truncate(ctx, p.at("f"), 777); err != nil {
		t.Fatal(err)
	}
	p.until("the file is closed", func() bool { closed, err := p.Closed(ctx, p.at("f")); return err == nil && closed })
	if string(p.read("f")) != string(data[:777]) {
		t.Error("other bytes after the cut")
	}
}

// until asks again and again, with a pause that the server sets, until a condition holds or the test ends.
func (p place) until(what string, holds func() bool) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			p.Fatalf("not reached: %s", what)
		}
	}
}

func TestLinksAreSeenAndNotFollowed(t *testing.T) {
	p, ctx := open(t), t.Context()
	p.write("d/f", []byte("data"), hdfs.CreateOptions{})
	must(t, p.Symlink(ctx, p.at("d"), p.at("l")))
	l, err := p.Stat(ctx, p.at("l"))
	must(t, err)
	if l.Type != hdfs.TypeSymlink || l.Symlink != p.at("d") {
		t.Errorf("the link is %+v", l)
	}
	if _, err = p.Stat(ctx, p.at("l/f")); err == nil {
		t.Error("a path through a link was followed")
	}
	var seen []string
	must(t, p.Walk(ctx, p.dir, hdfs.ListOptions{}, func(f *hdfs.FileInfo) error {
		seen = append(seen, strings.TrimPrefix(f.Path, p.dir)+map[bool]string{true: "@"}[f.Type == hdfs.TypeSymlink])
		return nil
	}))
	if !slices.Equal(seen, []string{"", "/d", "/d/f", "/l@"}) {
		t.Errorf("seen on the way: %q", seen)
	}
	must(t, p.Delete(ctx, p.at("l"), false))
	if string(p.read("d/f")) != "data" {
		t.Error("with the link went what it leads to")
	}
}

func TestQuotas(t *testing.T) {
	p, ctx := open(t), t.Context()
	d := p.at("d")
	must(t, p.Mkdirs(ctx, d, 0o755))
	must(t, p.SetQuota(ctx, d, 3, hdfs.QuotaKeep))
	must(t, p.SetQuota(ctx, d, hdfs.QuotaKeep, 100<<20))
	p.write("d/a", []byte("a"), hdfs.CreateOptions{BlockSize: small, Replication: 2})
	p.write("d/b", nil, hdfs.CreateOptions{BlockSize: small})
	_, err := p.Create(ctx, p.at("d/c"), hdfs.CreateOptions{})
	refused(t, err, hdfs.ErrQuota)
	u, err := p.QuotaUsage(ctx, d)
	must(t, err)
	if u.Names != 3 || u.Quota != 3 || u.SpaceQuota != 100<<20 || u.SpaceConsumed != 2 {
		t.Errorf("usage %+v", u)
	}
	s, err := p.ContentSummary(ctx, p.dir)
	must(t, err)
	if s.Files != 2 || s.Directories != 2 || s.Length != 1 {
		t.Errorf("summary %+v", s)
	}
	must(t, p.SetQuota(ctx, d, hdfs.QuotaNone, hdfs.QuotaNone))
	p.write("d/c", nil, hdfs.CreateOptions{})
}

func TestCluster(t *testing.T) {
	p, ctx := open(t), t.Context()
	stats, err := p.FsStats(ctx)
	must(t, err)
	nodes, err := p.DataNodes(ctx, hdfs.LiveDataNodes)
	must(t, err)
	state, err := p.HAState(ctx)
	must(t, err)
	safe, err := p.SafeMode(ctx)
	must(t, err)
	zone, err := p.EncryptionZone(ctx, p.dir)
	must(t, err)
	if stats.Capacity <= 0 || len(nodes) != 4 || nodes[0].Capacity <= 0 || nodes[0].UUID == "" || state != hdfs.StateSingle || safe || zone != "" {
		t.Errorf("stats %+v, %d nodes, state %s, safe mode %v, zone %q", stats, len(nodes), state, safe, zone)
	}
	if d := p.Defaults(); d.BlockSize != 128<<20 || !d.CRC32C || d.EncryptData || d.BytesPerChecksum != 512 {
		t.Errorf("defaults %+v", d)
	}
	if takes, err := p.DataProtections(ctx, &nodes[0]); err != nil || takes != nil {
		t.Errorf("a DataNode without protection takes %q, %v", takes, err)
	}
	policies, err := p.ErasurePolicies(ctx)
	must(t, err)
	if !slices.ContainsFunc(policies, func(e hdfs.ErasurePolicy) bool { return e.Name == "RS-6-3-1024k" && e.Data == 6 }) {
		t.Errorf("policies %+v", policies)
	}
}

func TestOthersAreRefused(t *testing.T) {
	p, ctx := open(t), t.Context()
	must(t, p.SetPermission(ctx, p.dir, 0o700))
	c := dial(t, hdfs.Options{NameNodes: p.cluster.Addrs(), User: "mallory"})
	_, err := c.Stat(ctx, p.at("x"))
	refused(t, err, hdfs.ErrPermission)
	refused(t, err, fs.ErrPermission)
	var remote *hdfs.RemoteError
	if !errors.As(err, &remote) || remote.Op != "getFileInfo" || remote.Path != p.at("x") || remote.Exception() != "AccessControlException" || strings.Contains(remote.Message, "\tat ") {
		t.Errorf("refusal %+v", remote)
	}
	_, err = c.LatestTx(ctx)
	refused(t, err, hdfs.ErrPermission)
}
