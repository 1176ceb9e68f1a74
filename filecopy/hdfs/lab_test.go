package hdfs_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/hdfs"
	"github.com/understudy-dr/understudy/filecopy/native"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
)

// site is one cluster with our client.
type site struct {
	name    string
	cluster *labhdfs.Cluster
	client  *wire.Client
	made    atomic.Int64
}

func sites(t *testing.T, names ...string) []*site {
	t.Helper()
	var options []labhdfs.Options
	for _, n := range names {
		options = append(options, labhdfs.Options{Name: n})
	}
	var all []*site
	for i, c := range labhdfs.BootAll(t, options...) {
		client, err := wire.Dial(t.Context(), wire.Options{NameNodes: c.Addrs(), User: labhdfs.Superuser})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		all = append(all, &site{name: names[i], cluster: c, client: client})
	}
	return all
}

// tree makes a store of a fresh directory, with small parts.
func (s *site) tree(t *testing.T, snapshots bool) *hdfs.Store {
	t.Helper()
	root := fmt.Sprintf("/t%d/tree", s.made.Add(1))
	if err := s.client.Mkdirs(t.Context(), root, 0o755); err != nil {
		t.Fatal(err)
	}
	if snapshots {
		if err := s.client.AllowSnapshots(t.Context(), root); err != nil {
			t.Fatal(err)
		}
	}
	store, err := hdfs.New(hdfs.Config{Client: s.client, Namespace: s.name, Root: root, Snapshots: snapshots, PartSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// TestSuiteOnHDFS runs the suite between two real clusters, by snapshots and their diff.
func TestSuiteOnHDFS(t *testing.T) {
	all := sites(t, "east", "west")
	filecopytest.Run(t, filecopytest.Rig{
		Source: func(t *testing.T) filecopy.Target { return all[0].tree(t, true) },
		Target: func(t *testing.T) filecopy.Target { return all[1].tree(t, false) },
		Mover:  func(dir string) filecopy.Mover { return native.New(dir) },
		Stride: 17,
	})
}

// TestJudgedByHadoop copies a tree that Hadoop's own client made, and lets it compare both sides with all attributes, and look
// through the target's edits for a moment in which a path was missing.
func TestJudgedByHadoop(t *testing.T) {
	all := sites(t, "east", "west")
	judge := labhdfs.OpenClient(t)
	east, west := all[0].tree(t, true), all[1].tree(t, false)
	from, to := strings.TrimPrefix(east.Describe().Name, "east"), strings.TrimPrefix(west.Describe().Name, "west")
	a, b := all[0].cluster.Access(), all[1].cluster.Access()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	files := []labhdfs.File{{Path: from + "/zero"}, {Path: from + "/big", Size: 5<<20 + 12345, Seed: 1, BlockSize: 1 << 20, Replication: 2}}
	for i := range 50 {
		files = append(files, labhdfs.File{Path: fmt.Sprintf("%s/d%d/f%d", from, i%5, i), Size: int64(i) * 1000, Seed: int64(i)})
	}
	must(judge.Put(t.Context(), a, files...))
	owner, mode, policy, acl := "ada", 0o640, "COLD", "user::rw-,user:bob:r--,group::r--,mask::r--,other::---"
	must(judge.Set(t.Context(), a, from+"/big", labhdfs.Attributes{
		Owner: &owner, Mode: &mode, Policy: &policy, ACL: &acl, XAttrs: map[string][]byte{"user.origin": []byte("east")},
	}))
	job := filecopy.Job{Name: "judged", Source: east, Target: west, Guard: filecopy.Guard{MaxDeletes: 100, MaxShare: 1}}
	mover := native.New(t.TempDir())
	run := func() filecopy.Set {
		t.Helper()
		set, err := mover.Run(t.Context(), job, nil)
		must(err)
		same(t, judge, a, b, from, to)
		return set
	}
	first := run()
	if calls := all[0].client.Calls(); calls == 0 || first.Files != 52 || !first.Consistent {
		t.Errorf("set = %+v", first)
	}
	mark, err := judge.Mark(t.Context(), b)
	must(err)
	before, err := judge.List(t.Context(), b, to)
	must(err)
	must(judge.Put(t.Context(), a, labhdfs.File{Path: from + "/big", Size: 7 << 20, Seed: 7}, labhdfs.File{Path: from + "/d1/new", Size: 99}))
	must(judge.Rename(t.Context(), a, from+"/d2", from+"/renamed"))
	must(judge.Remove(t.Context(), a, from+"/d3/f3"))
	run()
	events, err := judge.Events(t.Context(), b, mark)
	must(err)
	for _, g := range labhdfs.Gaps(before.Paths(), events, to) {
		if _, err := all[1].client.Stat(t.Context(), g.Path); err == nil {
			t.Errorf("a reader could have missed %s", g)
		}
	}
	calls := all[0].client.Calls() + all[1].client.Calls()
	again := run()
	calls = all[0].client.Calls() + all[1].client.Calls() - calls
	t.Logf("an increment without change: %d calls", calls)
	if calls > 60 || again.Number != 3 {
		t.Errorf("an increment without change took %d calls", calls)
	}
}

// same lets Hadoop's client compare two trees. The roots are left out: every snapshot moves the time of the source's.
func same(t *testing.T, judge *labhdfs.Client, a, b labhdfs.Access, from, to string) {
	t.Helper()
	var both []labhdfs.Tree
	for _, side := range []struct {
		access labhdfs.Access
		path   string
	}{{a, from}, {b, to}} {
		tree, err := judge.Dump(t.Context(), side.access, side.path)
		if err != nil {
			t.Fatal(err)
		}
		tree.Entries = slices.DeleteFunc(tree.Entries, func(e labhdfs.Entry) bool { return e.Path == side.path })
		both = append(both, tree)
	}
	for _, line := range both[0].Diff(both[1], 10) {
		t.Error(line)
	}
}

func TestMain(m *testing.M) { os.Exit(m.Run()) }
