package distcp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/native"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/offload/yarn"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
)

// slowly lets a job copy so slowly that there is time for faults.
func (c *court) slowly(bytesPerSecond int64) {
	c.job.Limits.Bandwidth = []filecopy.Window{{BytesPerSecond: bytesPerSecond}}
}

// application is the only one that is not over; empty when there is none.
func (c *court) application() string {
	for _, a := range c.apps() {
		if !a.State.Over() {
			return a.ID
		}
	}
	return ""
}

// TestFaultsOfTheCluster kills a map, then a DataNode, then the application master of a running job, which goes on and ends well.
func TestFaultsOfTheCluster(t *testing.T) {
	c := open(t, true)
	c.spread = true
	for i := range 4 {
		c.put(labhdfs.File{Path: fmt.Sprintf("f%d", i), Size: 5 << 19, Seed: int64(i), BlockSize: 1 << 20})
	}
	c.slowly(1 << 20)
	victim, done := 0, []string{}
	faults := []struct {
		name  string
		ready func(id string) bool
		do    func(id string) error
	}{
		{"map", func(id string) bool { return len(c.containers(id, "YarnChild")) == 2 }, func(id string) error {
			return syscall.Kill(c.containers(id, "YarnChild")[0], syscall.SIGKILL)
		}},
		// The second attempt of a task has a number of its own.
		{"DataNode", func(id string) bool { return len(c.containers(id, "_1 ")) > 0 }, func(string) error { return c.sites[1].DataNode(2).Kill() }},
		{"application master", func(id string) bool { return len(c.containers(id, "MRAppMaster")) == 1 }, func(id string) error {
			victim = c.containers(id, "MRAppMaster")[0]
			return syscall.Kill(victim, syscall.SIGKILL)
		}},
		{"none", func(id string) bool {
			masters := c.containers(id, "MRAppMaster")
			return len(masters) == 1 && masters[0] != victim
		}, func(string) error { return nil }},
	}
	c.hook = func(point string) error {
		if point != "followed" || len(done) == len(faults) {
			return nil
		}
		f, id := faults[len(done)], c.application()
		if !f.ready(id) {
			return nil
		}
		done = append(done, f.name)
		return f.do(id)
	}
	defer func() { c.must(c.sites[1].DataNode(2).Restart(t.Context())) }()
	set, err := c.try()
	c.must(err)
	if len(done) != len(faults) || set.Files != 4 {
		t.Errorf("faults = %v, set = %+v", done, set)
	}
	c.same()
	if apps := c.apps(); len(apps) != 1 || !apps[0].Succeeded() {
		t.Errorf("applications = %+v", apps)
	}
	t.Logf("missed: %d", c.last().Missed)
}

// berths gives the files that the job has brought, by their paths.
func (c *court) berths() []string {
	c.Helper()
	var all []string
	root := "/" + strings.Split(c.to, "/")[1] + "/.tree.understudy/carried"
	c.must(c.wires[1].Walk(c.Context(), root, wire.ListOptions{}, func(f *wire.FileInfo) error {
		if !f.IsDir() {
			all = append(all, f.Path)
		}
		return nil
	}))
	return all
}

// TestWhatIsWrongIsFoundBeforeItIsPublished is the control of the proof: when the job has ended, one brought file is replaced by other
// bytes of the same length, one is cut short and one removed, and at the live source one file is changed and one removed. A reader of
// the target sees the right files only.
func TestWhatIsWrongIsFoundBeforeItIsPublished(t *testing.T) {
	t.Parallel()
	c := open(t, false)
	for i := range 8 {
		c.put(labhdfs.File{Path: fmt.Sprintf("f%d", i), Size: 5000, Seed: int64(i)})
	}
	mark, err := c.judge.Mark(t.Context(), c.sites[1].Access())
	c.must(err)
	c.hook = func(point string) error {
		if point != "ended" {
			return nil
		}
		all, east, west := c.berths(), c.sites[0].Access(), c.sites[1].Access()
		if len(all) != 8 {
			return fmt.Errorf("brought %v", all)
		}
		// Which file lies where is not known here; those of the source that are touched may be the same ones.
		return errors.Join(
			c.judge.Remove(t.Context(), west, all[0]), c.judge.Put(t.Context(), west, labhdfs.File{Path: all[0], Size: 5000, Seed: 99}),
			c.judge.Truncate(t.Context(), west, all[1], 100),
			c.judge.Remove(t.Context(), west, all[2]),
			c.judge.Remove(t.Context(), east, c.from+"/f6"), c.judge.Put(t.Context(), east, labhdfs.File{Path: c.from + "/f6", Size: 5000, Seed: 66}),
			c.judge.Remove(t.Context(), east, c.from+"/f7"),
		)
	}
	set, err := c.try()
	c.must(err)
	c.same()
	p := c.last()
	if set.Files != 7 || p.Missed == 0 || p.Missed > 3 || p.Changed == 0 {
		t.Errorf("set = %+v, progress = %+v", set, p)
	}
	events, err := c.judge.Events(t.Context(), c.sites[1].Access(), mark)
	c.must(err)
	shown := 0
	for _, e := range events {
		if e.Type == "rename" && strings.HasPrefix(e.To, c.to+"/") {
			shown++
		}
		if e.Type == "create" && strings.HasPrefix(e.Path, c.to+"/") {
			t.Errorf("a file was written where readers look: %+v", e)
		}
	}
	if shown != 7 {
		t.Errorf("%d files were published, each by one rename", shown)
	}
	c.clean()
}

// TestResourceManagersFailOver kills the active one of a pair of ResourceManagers while a job runs. The other one takes over, which the
// job survives; and then the first one again, but with all forgotten that they knew together: then the job is submitted again, under the
// same id.
func TestResourceManagersFailOver(t *testing.T) {
	c := open(t, true)
	if !c.yarn.Manager(1).Running() {
		// This is not the first round: nobody else needs the second one.
		c.must(c.yarn.Manager(1).Restart(t.Context()))
	}
	c.put(tree()...)
	points := map[string]int{}
	over := func(to int, between func() error) func(string) error {
		clear(points)
		done := false
		return func(point string) error {
			points[point]++
			if point != "followed" || done || len(c.containers(c.application(), "MRAppMaster")) == 0 {
				return nil
			}
			done = true
			return errors.Join(c.yarn.Manager(1-to).Kill(), between(), c.yarn.Activate(t.Context(), to))
		}
	}
	c.slowly(2 << 20)
	c.hook = over(1, func() error { return nil })
	c.run()
	if points["granted"] != 1 || points["submitted"] != 1 || c.last().Missed != 0 || len(c.apps()) != 1 {
		t.Errorf("after the failover the points were %v, progress = %+v", points, c.last())
	}
	c.clean()
	c.put(labhdfs.File{Path: "big", Size: 2 << 20, Seed: 9})
	c.hook = over(0, func() error { return errors.Join(c.yarn.Forget(), c.yarn.Manager(0).Restart(t.Context())) })
	c.run()
	// It is submitted again under its id. NodeManagers that find their cluster anew end what ran, so the job may fail and get its second attempt.
	if points["granted"] > 2 || points["submitted"] < 2 || c.last().Missed != 0 {
		t.Errorf("after the loss of memory the points were %v, progress = %+v, applications %+v", points, c.last(), c.apps())
	}
	c.clean()
}

// TestKilledByAPerson kills the application behind our back: it is not started again by itself, and is when it is asked for.
func TestKilledByAPerson(t *testing.T) {
	t.Parallel()
	c := open(t, true)
	c.put(labhdfs.File{Path: "f", Size: 1000})
	c.hook = func(point string) error {
		if point != "submitted" {
			return nil
		}
		return c.client.Kill(t.Context(), c.application())
	}
	_, err := c.try()
	var e *understudy.Error
	if !errors.As(err, &e) || e.Code != "US666" {
		t.Fatalf("error = %v, want US666", err)
	}
	c.clean()
	c.hook = func(point string) error {
		if point == "submitted" {
			return errKilled
		}
		return nil
	}
	if _, err := c.try(); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	c.must(native.New(c.data).Drop(t.Context(), c.job))
	apps := c.apps()
	if len(apps) != 2 || apps[0].State != yarn.StateKilled || !strings.HasSuffix(apps[1].Name, "attempt 2") {
		t.Errorf("applications = %+v", apps)
	}
}

// TestFailingJobs has containers that find no DistCp: the job is tried twice, the error names it, and nothing stays.
func TestFailingJobs(t *testing.T) {
	t.Parallel()
	c := open(t, true)
	c.put(labhdfs.File{Path: "f", Size: 1000})
	k := c.carrier()
	k.Classpath, k.Attempts = "/nowhere/*", 1
	l := filecopy.Load{
		Name: "load", Lot: c.job.Name + "-1", Source: c.job.Source, Target: c.job.Target,
		Each:     func(_ context.Context, _ func(filecopy.Entry, filecopy.Handle) error) error { return nil },
		Remember: func(context.Context, []byte) error { return nil }, Recall: func(context.Context) ([]byte, error) { return nil, nil },
	}
	err := k.Carry(t.Context(), l, func(filecopy.Carried) {})
	var e *understudy.Error
	if !errors.As(err, &e) || e.Code != "US665" || !strings.Contains(e.Why, "exitCode: 1") {
		t.Errorf("error = %v, want US665", err)
	}
	if apps := c.apps(); len(apps) != 2 {
		t.Errorf("applications = %+v", apps)
	}
	c.clean()
}
