package distcp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/hdfs"
	"github.com/understudy-dr/understudy/filecopy/native"
	"github.com/understudy-dr/understudy/lab"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/offload/yarn"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
)

// rig is what the tests of this binary share: two clusters, YARN at the second, and Hadoop's own client as the judge. Those that harm
// servers come first, the others run side by side.
type rig struct {
	dir    string
	sites  [2]*labhdfs.Cluster
	wires  [2]*wire.Client
	yarn   *labhdfs.YARN
	client *yarn.Client
	judge  *labhdfs.Client
	made   atomic.Int64
	err    error
}

var (
	shared rig
	begin  sync.Once
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := shared.close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func (r *rig) start(ctx context.Context) (err error) {
	if r.dir, err = os.MkdirTemp("", "understudy-distcp-"); err != nil {
		return err
	}
	var g errgroup.Group
	for i, o := range []labhdfs.Options{{Name: "east"}, {Name: "west", SeparateDataNodes: true}} {
		o.Dir = filepath.Join(r.dir, o.Name)
		g.Go(func() (err error) {
			r.sites[i], err = labhdfs.Start(ctx, o)
			return err
		})
	}
	g.Go(func() (err error) {
		r.judge, err = labhdfs.NewClient(ctx, r.dir, nil)
		return err
	})
	if err = g.Wait(); err != nil {
		return err
	}
	for i, c := range r.sites {
		if r.wires[i], err = wire.Dial(ctx, wire.Options{NameNodes: c.Addrs(), User: labhdfs.Superuser}); err != nil {
			return err
		}
	}
	if r.yarn, err = labhdfs.StartYARN(ctx, r.sites[1], labhdfs.YARNOptions{Dir: filepath.Join(r.dir, "yarn"), HA: true}); err != nil {
		return err
	}
	r.client, err = yarn.New(yarn.Options{ResourceManagers: r.yarn.HTTPs(), History: r.yarn.HistoryHTTP(), User: labhdfs.Superuser})
	return err
}

func (r *rig) close() error {
	var errs []error
	for _, w := range r.wires {
		if w != nil {
			w.Close()
		}
	}
	if r.judge != nil {
		errs = append(errs, r.judge.Close())
	}
	if r.yarn != nil {
		errs = append(errs, r.yarn.Close())
	}
	for _, c := range r.sites {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(append(errs, os.RemoveAll(r.dir))...)
}

// court is a job between two trees of a test's own.
type court struct {
	*testing.T
	*rig
	from, to string
	data     string
	job      filecopy.Job
	// spread lets each map run in a container of its own; else the application master runs them, which saves the starts of two JVMs.
	spread bool
	// hook is called at every point of the carrier; told collects what was reported.
	hook func(point string) error
	told []filecopy.Progress
}

// open gives a test its trees; it is skipped where no servers can be started.
func open(t *testing.T, snapshots bool) *court {
	t.Helper()
	begin.Do(func() { shared.err = shared.start(context.Background()) })
	lab.Check(t, shared.err)
	n := shared.made.Add(1)
	c := &court{T: t, rig: &shared, data: t.TempDir()}
	c.from, c.to = fmt.Sprintf("/from%d/tree", n), fmt.Sprintf("/to%d/tree", n)
	c.must(c.wires[0].Mkdirs(t.Context(), c.from, 0o755))
	if snapshots {
		c.must(c.wires[0].AllowSnapshots(t.Context(), c.from))
	}
	source, err := hdfs.New(hdfs.Config{Client: c.wires[0], Namespace: "east", Root: c.from, Snapshots: snapshots})
	c.must(err)
	target, err := hdfs.New(hdfs.Config{Client: c.wires[1], Namespace: "west", Root: c.to, PartSize: 1 << 20})
	c.must(err)
	c.job = filecopy.Job{Name: fmt.Sprintf("job%d", n), Source: source, Target: target, Guard: filecopy.Guard{MaxDeletes: 100, MaxShare: 1}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("applications: %+v", c.apps())
			c.logs()
		}
	})
	return c
}

// logs shows what the containers said last.
func (c *court) logs() {
	found, err := filepath.Glob(filepath.Join(c.dir, "yarn", "containers", "*", "*", "*"))
	if err != nil {
		return
	}
	for _, name := range found {
		b, err := os.ReadFile(name)
		if err != nil || len(b) == 0 || strings.HasSuffix(name, ".info") || strings.HasSuffix(name, ".sh") {
			continue
		}
		c.Logf("end of %s:\n%s", strings.TrimPrefix(name, c.dir), shorten(b))
	}
}

func (c *court) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// carrier makes one as a new process would.
func (c *court) carrier() *Carrier {
	c.Helper()
	k, err := New(Config{
		YARN: c.client, User: labhdfs.Superuser, Files: c.wires[1], FilesURI: "hdfs://" + c.sites[1].Addr(),
		SourceURI: "hdfs://" + c.sites[0].Addr(), TargetURI: "hdfs://" + c.sites[1].Addr(), Staging: c.yarn.StagingDir(),
		Label: "op-1 copy", Choice: Question{Wanted: DistCp, Maps: 2}, MasterMB: 384, MapMB: 384, Classpath: c.yarn.ContainerClasspath(),
		Options: "-XX:+UseSerialGC", Poll: 500 * time.Millisecond,
		Properties: map[string]string{"mapreduce.job.ubertask.enable": strconv.FormatBool(!c.spread)},
	})
	c.must(err)
	k.hook = func(point string) error {
		if c.hook == nil {
			return nil
		}
		return c.hook(point)
	}
	return k
}

// try runs the job once, with a mover and a carrier of its own, as a new process would.
func (c *court) try() (filecopy.Set, error) {
	c.job.Carrier = c.carrier()
	return native.New(c.data).Run(c.Context(), c.job, func(p filecopy.Progress) { c.told = append(c.told, p) })
}

// run makes a set and lets Hadoop's client compare both trees.
func (c *court) run() filecopy.Set {
	c.Helper()
	set, err := c.try()
	c.must(err)
	c.same()
	return set
}

// last is the last that was reported.
func (c *court) last() filecopy.Progress { return c.told[len(c.told)-1] }

// same compares both trees, but for the roots: every snapshot moves the time of the source's.
func (c *court) same() {
	c.Helper()
	var both []labhdfs.Tree
	for i, path := range []string{c.from, c.to} {
		tree, err := c.judge.Dump(c.Context(), c.sites[i].Access(), path)
		c.must(err)
		tree.Entries = slices.DeleteFunc(tree.Entries, func(e labhdfs.Entry) bool { return e.Path == path })
		both = append(both, tree)
	}
	for _, line := range both[0].Diff(both[1], 10) {
		c.Error(line)
	}
}

// put writes files at the source; paths are relative.
func (c *court) put(files ...labhdfs.File) {
	c.Helper()
	for i := range files {
		files[i].Path = c.from + "/" + files[i].Path
	}
	c.must(c.judge.Put(c.Context(), c.sites[0].Access(), files...))
}

// apps are all applications of the job's first sets.
func (c *court) apps() []yarn.Report {
	c.Helper()
	var all []yarn.Report
	for n := 1; n <= 3; n++ {
		lot := fmt.Sprintf("%s-%d", c.job.Name, n)
		k := &trip{Carrier: c.carrier(), load: filecopy.Load{Lot: lot}, target: c.job.Target.(Target)}
		found, err := c.client.Find(context.WithoutCancel(c.Context()), k.lotTag())
		c.must(err)
		all = append(all, found...)
	}
	return all
}

// clean wants nothing left of the applications, nor of what they brought.
func (c *court) clean() {
	c.Helper()
	for _, a := range c.apps() {
		dir := c.yarn.StagingDir() + "/" + labhdfs.Superuser + "/.staging/" + yarn.JobID(a.ID)
		if _, err := c.wires[1].Stat(c.Context(), dir); !wire.IsNotFound(err) {
			c.Errorf("%s is still there: %v", dir, err)
		}
	}
	for _, place := range []string{"carried", "staging"} {
		dir := filepath.Dir(c.to) + "/.tree.understudy/" + place
		for info, err := range c.wires[1].Entries(c.Context(), dir, wire.ListOptions{}) {
			if err == nil {
				c.Errorf("%s is still there", info.Path)
			}
		}
	}
}

// containers gives the Java processes of an application whose command line holds a word.
func (c *court) containers(application, word string) []int {
	c.Helper()
	all, err := c.yarn.Containers(application, word)
	c.must(err)
	return all
}

// shorten leaves out stacks and the middle.
func shorten(b []byte) string {
	lines := slices.DeleteFunc(strings.Split(string(b), "\n"), func(l string) bool { return strings.HasPrefix(l, "\tat ") })
	if len(lines) > 60 {
		lines = append(lines[:20:20], lines[len(lines)-40:]...)
	}
	return strings.Join(lines, "\n")
}
