package hdfs_test

import (
	"errors"
	"fmt"
	"os"
	"path"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/understudy-dr/understudy/lab"
	"github.com/understudy-dr/understudy/lab/hdfs"
)

// rig is what the tests of this binary share: one plain cluster and one Java client.
type rig struct {
	dir     string
	cluster *hdfs.Cluster
	client  *hdfs.Client
	err     error
}

var shared rig
var begin sync.Once

func TestMain(m *testing.M) {
	code := m.Run()
	if err := shared.close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func (r *rig) start(t *testing.T) {
	if r.dir, r.err = os.MkdirTemp("", "understudy-lab-hdfs-"); r.err != nil {
		return
	}
	if r.cluster, r.err = hdfs.Start(t.Context(), hdfs.Options{Name: "shared", Dir: r.dir, Symlinks: true}); r.err != nil {
		return
	}
	r.client, r.err = hdfs.NewClient(t.Context(), r.dir, nil)
}

func (r *rig) close() error {
	var errs []error
	if r.client != nil {
		errs = append(errs, r.client.Close())
	}
	if r.cluster != nil {
		errs = append(errs, r.cluster.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(r.dir))...)
}

// place is a directory of a test's own on the shared cluster, and the way there.
type place struct {
	*testing.T
	cluster *hdfs.Cluster
	client  *hdfs.Client
	access  hdfs.Access
	dir     string
}

// open gives a test its place; it is skipped where no cluster can be started.
func open(t *testing.T) place {
	t.Helper()
	begin.Do(func() { shared.start(t) })
	lab.Check(t, shared.err)
	p := place{T: t, cluster: shared.cluster, client: shared.client, access: shared.cluster.Access(), dir: path.Join("/tests", t.Name())}
	must(t, p.client.MkdirAll(t.Context(), p.access, p.dir))
	return p
}

// at is a path in the place.
func (p place) at(name string) string { return path.Join(p.dir, name) }

// put writes files whose paths are relative to the place.
func (p place) put(files ...hdfs.File) {
	p.Helper()
	for i := range files {
		files[i].Path = p.at(files[i].Path)
	}
	must(p.T, p.client.Put(p.Context(), p.access, files...))
}

// dump reads the tree below a name.
func (p place) dump(name string) hdfs.Tree {
	p.Helper()
	t, err := p.client.Dump(p.Context(), p.access, p.at(name))
	must(p.T, err)
	return t
}

// must ends the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused ends the test unless Hadoop's client threw an exception of the class.
func refused(t *testing.T, err error, class string) {
	t.Helper()
	var thrown *hdfs.ClientError
	if !errors.As(err, &thrown) || thrown.Class != class {
		t.Fatalf("not refused by a %s: %v", class, err)
	}
}
