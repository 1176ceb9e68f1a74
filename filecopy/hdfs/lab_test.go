package hdfs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/hdfs"
	"github.com/understudy-dr/understudy/filecopy/native"
	"github.com/understudy-dr/understudy/lab"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
)

// site is one cluster with our client.
type site struct {
	name    string
	cluster *labhdfs.Cluster
	client  *wire.Client
}

// rig is what the tests of this binary share: east in one JVM, west with DataNodes that can be killed, and Hadoop's own client.
type rig struct {
	dir      string
	clusters map[string]*labhdfs.Cluster
	judge    *labhdfs.Client
	err      error
	once     sync.Once
	made     atomic.Int64
}

var shared rig

func TestMain(m *testing.M) {
	code := m.Run()
	if err := shared.close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func (r *rig) start(ctx context.Context) error {
	var err error
	if r.dir, err = os.MkdirTemp("", "understudy-filecopy-hdfs-"); err != nil {
		return err
	}
	r.clusters = map[string]*labhdfs.Cluster{}
	var group errgroup.Group
	var mu sync.Mutex
	// West's NameNode has its edits on a disk that is full for as long as this directory is not there.
	if err = os.Mkdir(r.edits(), 0o755); err != nil {
		return err
	}
	west := labhdfs.Options{Name: "west", SeparateDataNodes: true, Fills: true, Properties: map[string]string{
		"dfs.namenode.resource.checked.volumes": "file://" + r.edits(), "dfs.namenode.resource.check.interval": "200",
	}}
	for _, o := range []labhdfs.Options{{Name: "east", Symlinks: true}, west} {
		// NameNodes walk down a tree of a thousand levels on their stack; the lab's is smaller than Java's own.
		o.Dir, o.JVM = filepath.Join(r.dir, o.Name), []string{"-Xss2m"}
		if os.Getenv(wideEntries) != "" {
			o.HeapMB = 3072
		}
		group.Go(func() error {
			c, err := labhdfs.Start(ctx, o)
			mu.Lock()
			defer mu.Unlock()
			r.clusters[o.Name] = c
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	r.judge, err = labhdfs.NewClient(ctx, r.dir, nil)
	return err
}

// edits is the directory that west's NameNode looks at.
func (r *rig) edits() string { return filepath.Join(r.dir, "edits") }

func (r *rig) close() error {
	var errs []error
	if r.judge != nil {
		errs = append(errs, r.judge.Close())
	}
	for _, c := range r.clusters {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(append(errs, os.RemoveAll(r.dir))...)
}

// judge is Hadoop's own client; a test that asks for it is skipped where there is no Java.
func judge(t *testing.T) *labhdfs.Client {
	t.Helper()
	shared.once.Do(func() { shared.err = shared.start(context.WithoutCancel(t.Context())) })
	lab.Check(t, shared.err)
	return shared.judge
}

// sites gives clusters with a client of the test's own.
func sites(t *testing.T, names ...string) []*site {
	t.Helper()
	judge(t)
	var all []*site
	for _, n := range names {
		s := &site{name: n, cluster: shared.clusters[n]}
		s.client = s.dial(t, wire.Options{User: labhdfs.Superuser})
		all = append(all, s)
	}
	return all
}

// dial makes another client, which is closed with the test.
func (s *site) dial(t *testing.T, o wire.Options) *wire.Client {
	t.Helper()
	o.NameNodes = s.cluster.Addrs()
	client, err := wire.Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// base makes a fresh directory, and names a tree in it that is not there yet.
func (s *site) base(t *testing.T) string {
	t.Helper()
	dir := fmt.Sprintf("/t%d", shared.made.Add(1))
	if err := s.client.Mkdirs(t.Context(), dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir + "/tree"
}

// tree makes a store of a fresh directory, with small parts.
func (s *site) tree(t *testing.T, snapshots bool) *hdfs.Store {
	t.Helper()
	root := s.base(t)
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
		Rot:    all[1].rotStaged,
		Mover:  func(dir string) filecopy.Mover { return native.New(dir) },
		Stride: 29,
	})
}

// rotStaged flips a byte on the disks of every DataNode that holds the first block of a staged file.
func (s *site) rotStaged(t *testing.T, target filecopy.Target, sealed filecopy.Sealed) {
	b, err := s.client.Locate(t.Context(), staging(strings.TrimPrefix(target.Describe().Name, s.name), sealed.Handle), 0, 1)
	if err == nil && len(b.List) > 0 {
		_, err = s.flip(b.List[0].ID, len(s.cluster.DataAddrs()))
	}
	if err != nil {
		t.Error(err)
	}
}

// court is a job between two trees, with Hadoop's own client as the judge of both.
type court struct {
	*testing.T
	east, west *site
	judge      *labhdfs.Client
	a, b       labhdfs.Access
	from, to   string
	mover      filecopy.Mover
	job        filecopy.Job
}

func newCourt(t *testing.T) *court {
	all := sites(t, "east", "west")
	c := &court{T: t, east: all[0], west: all[1], judge: judge(t), mover: native.New(t.TempDir())}
	source, target := c.east.tree(t, true), c.west.tree(t, false)
	c.from, c.to = strings.TrimPrefix(source.Describe().Name, "east"), strings.TrimPrefix(target.Describe().Name, "west")
	c.a, c.b = c.east.cluster.Access(), c.west.cluster.Access()
	c.job = filecopy.Job{Name: "judged", Source: source, Target: target, Guard: filecopy.Guard{MaxDeletes: 100, MaxShare: 1}}
	return c
}

func (c *court) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// run makes a set and lets both trees be compared. It gives the calls to the NameNodes of both sides that the run took.
func (c *court) run() (set filecopy.Set, source, target int64) {
	c.Helper()
	source, target = c.east.client.Calls(), c.west.client.Calls()
	began, phase := time.Now(), filecopy.PhasePlan
	set, err := c.mover.Run(c.Context(), c.job, func(p filecopy.Progress) {
		if p.Phase != phase {
			c.Logf("%s at %v, %d files at once", p.Phase, time.Since(began).Round(time.Millisecond), p.Parallel)
			phase = p.Phase
		}
	})
	c.must(err)
	source, target = c.east.client.Calls()-source, c.west.client.Calls()-target
	same(c.T, c.judge, c.a, c.b, c.from, c.to)
	return set, source, target
}

// small puts many files of 4 KiB into a directory of the source.
func (c *court) small(dir string, n int) {
	c.Helper()
	var files []labhdfs.File
	for i := range n {
		files = append(files, labhdfs.File{Path: fmt.Sprintf("%s/%s/f%d", c.from, dir, i), Size: 4096, Seed: int64(i)})
	}
	c.must(c.judge.Put(c.Context(), c.a, files...))
}

// TestEmptyFoldersAreSwept: who is killed in the middle of Forget leaves some.
func TestEmptyFoldersAreSwept(t *testing.T) {
	west := sites(t, "west")[0]
	root := west.base(t)
	store, err := hdfs.New(hdfs.Config{Client: west.client, Namespace: west.name, Root: root})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(err)
	must(store.Sweep(t.Context(), "job"))
	must(store.Keep(t.Context(), "job/set-2/items/0", strings.NewReader("x")))
	kept := path.Join(path.Dir(root), "."+path.Base(root)+".understudy/kept")
	for _, dir := range []string{"job/set-1/layer", "job/set-2/layer", "other/set-1"} {
		must(west.client.Mkdirs(t.Context(), path.Join(kept, dir), 0o700))
	}
	// Who is killed in the middle of Keep leaves half an object; one of now may have a writer that lives.
	for name, age := range map[string]time.Duration{"job/set-3/items/.keep-0": 2 * time.Hour, "job/set-4/items/.keep-0": 50 * time.Minute} {
		w, err := west.client.Create(t.Context(), path.Join(kept, name), wire.CreateOptions{Parents: true})
		must(err)
		must(w.Close())
		at := time.Now().Add(-age)
		must(west.client.SetTimes(t.Context(), path.Join(kept, name), at, at))
	}
	must(store.Sweep(t.Context(), "job"))
	for dir, stays := range map[string]bool{
		"job/set-1": false, "job/set-2/layer": false, "job/set-2/items/0": true, "job/set-3": false, "job/set-4/items/.keep-0": true, "other/set-1": true,
	} {
		if _, err := west.client.Stat(t.Context(), path.Join(kept, dir)); (err == nil) != stays {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

// TestJudgedByHadoop copies a tree that Hadoop's own client made, and lets it compare both sides with all attributes, and look
// through the target's edits for a moment in which a path was missing.
func TestJudgedByHadoop(t *testing.T) {
	c := newCourt(t)
	files := []labhdfs.File{{Path: c.from + "/zero"}, {Path: c.from + "/big", Size: 5<<20 + 12345, Seed: 1, BlockSize: 1 << 20, Replication: 2}}
	for i := range 50 {
		files = append(files, labhdfs.File{Path: fmt.Sprintf("%s/d%d/f%d", c.from, i%5, i), Size: int64(i) * 1000, Seed: int64(i)})
	}
	c.must(c.judge.Put(t.Context(), c.a, files...))
	owner, mode, policy, acl := "ada", 0o640, "COLD", "user::rw-,user:bob:r--,group::r--,mask::r--,other::---"
	c.must(c.judge.Set(t.Context(), c.a, c.from+"/big", labhdfs.Attributes{
		Owner: &owner, Mode: &mode, Policy: &policy, ACL: &acl, XAttrs: map[string][]byte{"user.origin": []byte("east")},
	}))
	if set, _, _ := c.run(); set.Files != 52 || !set.Consistent {
		t.Errorf("set = %+v", set)
	}
	mark, err := c.judge.Mark(t.Context(), c.b)
	c.must(err)
	before, err := c.judge.List(t.Context(), c.b, c.to)
	c.must(err)
	c.must(c.judge.Put(t.Context(), c.a, labhdfs.File{Path: c.from + "/big", Size: 7 << 20, Seed: 7}, labhdfs.File{Path: c.from + "/d1/new", Size: 99}))
	c.must(c.judge.Rename(t.Context(), c.a, c.from+"/d2", c.from+"/renamed"))
	c.must(c.judge.Remove(t.Context(), c.a, c.from+"/d3/f3"))
	c.run()
	events, err := c.judge.Events(t.Context(), c.b, mark)
	c.must(err)
	for _, g := range labhdfs.Gaps(before.Paths(), events, c.to) {
		if _, err := c.west.client.Stat(t.Context(), g.Path); err == nil {
			t.Errorf("a reader could have missed %s", g)
		}
	}
}

// TestCallsOfNameNodes counts calls: a few for each small file of a new directory, also where it belongs to somebody else than the mover, and a number that does not grow with the tree when nothing changed.
func TestCallsOfNameNodes(t *testing.T) {
	c := newCourt(t)
	c.small("first", 50)
	c.run()
	const n = 200
	c.small("second", n)
	_, source, target := c.run()
	t.Logf("calls for each of %d files of 4 KiB: %.1f at the source, %.1f at the target", n, float64(source)/n, float64(target)/n)
	if source+target > 6*n || 2*source > 3*n {
		t.Errorf("%d calls at the source, %d at the target", source, target)
	}
	c.small("third", n)
	for i := range n {
		c.must(c.east.client.SetOwner(t.Context(), fmt.Sprintf("%s/third/f%d", c.from, i), "ada", "friends"))
	}
	_, source, target = c.run()
	t.Logf("calls for each of %d files of somebody else: %.1f at the source, %.1f at the target", n, float64(source)/n, float64(target)/n)
	if source+target > 7*n || 2*source > 3*n {
		t.Errorf("%d calls at the source, %d at the target for files of somebody else", source, target)
	}
	_, source, target = c.run()
	t.Logf("calls of an increment without change: %d at the source, %d at the target", source, target)
	if source+target > 150 {
		t.Errorf("%d calls at the source, %d at the target, for no change", source, target)
	}
	for i := range 3 {
		c.small(fmt.Sprintf("more%d", i), 1)
		c.run()
	}
	c.nothingEmpty(path.Join(path.Dir(c.to), "."+path.Base(c.to)+".understudy", "kept"))
}

// nothingEmpty wants no empty directory at the target: each is a call more for whoever lists what is kept.
func (c *court) nothingEmpty(root string) {
	c.Helper()
	holds := map[string]bool{}
	seen := 0
	c.must(c.west.client.Walk(c.Context(), root, wire.ListOptions{}, func(f *wire.FileInfo) error {
		seen++
		holds[path.Dir(f.Path)] = true
		if f.IsDir() && !holds[f.Path] {
			holds[f.Path] = false
		}
		return nil
	}))
	for dir, full := range holds {
		if !full {
			c.Errorf("%s is empty", dir)
		}
	}
	if seen == 0 {
		c.Error("nothing is kept")
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
