package distcp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/hdfs"
	"github.com/understudy-dr/understudy/filecopy/native"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/offload/yarn"
)

// tree is a small one with what is easily got wrong: no bytes, several blocks, odd names, other attributes.
func tree() []labhdfs.File {
	files := []labhdfs.File{
		{Path: "zero"}, {Path: "big", Size: 5<<20 + 12345, Seed: 1, BlockSize: 1 << 20, Replication: 1},
		{Path: "d/ä b%20c+#?&<x>", Size: 100, Seed: 2}, {Path: "d/e/f", Size: 1 << 20, Seed: 3},
	}
	for i := range 20 {
		files = append(files, labhdfs.File{Path: fmt.Sprintf("many/f%d", i), Size: int64(i) * 1000, Seed: int64(i)})
	}
	return files
}

// decaying is a target whose disks rot once under a file that was brought, adopted and proven by the DataNodes' checksum.
type decaying struct {
	*hdfs.Store
	court *court
	path  filecopy.Path
	once  sync.Once
	done  bool
}

func (d *decaying) Seal(ctx context.Context, h filecopy.Handle, e filecopy.Entry, sum filecopy.Checksum) (filecopy.Sealed, error) {
	s, err := d.Store.Seal(ctx, h, e, sum)
	if err == nil && e.Path == d.path {
		d.once.Do(func() { err = d.rot(ctx, h) })
	}
	return s, err
}

// rot flips a byte of all replicas of the first block of a staged file.
func (d *decaying) rot(ctx context.Context, h filecopy.Handle) error {
	name, _, _ := strings.Cut(string(h), "~")
	b, err := d.court.wires[1].Locate(ctx, filepath.Dir(d.court.to)+"/.tree.understudy/staging/"+name, 0, 1)
	if err != nil {
		return err
	}
	for number := range d.court.sites[1].DataAddrs() {
		err = errors.Join(err, filepath.WalkDir(d.court.sites[1].DataDir(number+1), func(file string, at fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || err == nil && at.Name() != fmt.Sprint("blk_", b.List[0].ID) {
				return nil
			}
			var raw []byte
			if err == nil {
				raw, err = os.ReadFile(file)
			}
			if err != nil {
				return err
			}
			raw[len(raw)/2] ^= 1
			d.done = true
			return os.WriteFile(file, raw, 0o600)
		}))
	}
	return err
}

// TestTreeIsCarried copies a tree by DistCp through our plan, and then its changes, and lets Hadoop's own client compare both sides. What was brought
// is read back, and one file rots before it is.
func TestTreeIsCarried(t *testing.T) {
	t.Parallel()
	c := open(t, true)
	c.spread = true
	rot := &decaying{Store: c.job.Target.(*hdfs.Store), court: c, path: "d/e/f"}
	c.job.Target, c.job.ReadBack = rot, true
	c.put(tree()...)
	owner, mode := "ada", 0o640
	c.must(c.judge.Set(t.Context(), c.sites[0].Access(), c.from+"/big", labhdfs.Attributes{Owner: &owner, Mode: &mode}))
	set := c.run()
	if set.Files != 24 || !set.Consistent || c.last().Missed != 0 {
		t.Errorf("set = %+v, progress = %+v", set, c.last())
	}
	// Two files of the tree are empty.
	if set.ReadBack != 22 || set.Rotten != 1 || !rot.done {
		t.Errorf("read back: set = %+v", set)
	}
	if got := c.last().Carried; got.Files != 24 || got.Bytes != set.Bytes || !strings.Contains(got.Said, "SUCCEEDED") {
		t.Errorf("final counters = %+v", got)
	}
	apps := c.apps()
	if len(apps) != 1 || apps[0].Name != "understudy op-1 copy "+c.job.Name+"-1 attempt 1" {
		t.Errorf("applications = %+v", apps)
	}
	c.clean()
	c.spread = false
	c.put(labhdfs.File{Path: "big", Size: 2 << 20, Seed: 9}, labhdfs.File{Path: "new", Size: 99})
	c.must(c.judge.Remove(t.Context(), c.sites[0].Access(), c.from+"/many/f3"))
	if set = c.run(); set.Files != 24 || c.last().Carried.Files != 2 {
		t.Errorf("set = %+v, progress = %+v", set, c.last())
	}
	c.clean()
}

var errKilled = errors.New("the process is killed here")

// TestKilledBetweenSteps ends the process at every step of one load, and lets another go on: there is one application all the time. Once,
// what is remembered at the target is lost too, right after the submission, and the tags find the application.
func TestKilledBetweenSteps(t *testing.T) {
	t.Parallel()
	c := open(t, true)
	c.put(tree()...)
	for _, stop := range []string{"granted", "remembered", "written", "submitted", "followed", "ended"} {
		c.hook = func(point string) error {
			if point == stop {
				return errKilled
			}
			return nil
		}
		if _, err := c.try(); !errors.Is(err, errKilled) {
			t.Fatalf("stopped at %s: %v", stop, err)
		}
		if apps := c.apps(); len(apps) > 1 {
			t.Fatalf("after the kill at %s there are the applications %+v", stop, apps)
		}
		if stop == "submitted" {
			c.must(c.job.Target.Forget(t.Context(), c.job.Name+"/set-1/carrier.json"))
		}
	}
	c.hook = nil
	c.run()
	if apps := c.apps(); len(apps) != 1 || !apps[0].Succeeded() {
		t.Errorf("applications = %+v", apps)
	}
	c.clean()
}

// TestTakenOver ends the process while its job runs, and has another member go on, which has no plan of the set: it finds the job at the
// target, kills it and begins another one, and nothing of the first stays. Another engine may not go on.
func TestTakenOver(t *testing.T) {
	t.Parallel()
	c := open(t, true)
	c.put(tree()...)
	c.slowly(256 << 10)
	c.hook = func(point string) error {
		if point == "followed" {
			return errKilled
		}
		return nil
	}
	if _, err := c.try(); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	m := native.New(c.data)
	other := c.job
	other.Carrier, other.Limits = nil, filecopy.Limits{}
	for _, call := range []func() error{
		func() error { return m.Drop(t.Context(), other) },
		func() error { _, err := m.Run(t.Context(), other, nil); return err },
	} {
		var e *understudy.Error
		if err := call(); !errors.As(err, &e) || e.Code != "US668" || !errors.Is(err, filecopy.ErrGuard) {
			t.Errorf("error = %v, want US668", err)
		}
	}
	c.job.Limits, c.hook, c.data = filecopy.Limits{}, nil, t.TempDir()
	c.run()
	apps := c.apps()
	if len(apps) != 2 || apps[0].State != yarn.StateKilled || !apps[1].Succeeded() || !strings.HasSuffix(apps[1].Name, "attempt 1") {
		t.Errorf("applications = %+v", apps)
	}
	c.clean()
}
