package hdfs_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/understudy-dr/understudy/lab"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/wire/hdfs"
)

// rig is what the tests of this binary share: one cluster of four DataNodes in JVMs of their own, and Hadoop's own client as the judge.
type rig struct {
	dir     string
	cluster *labhdfs.Cluster
	judge   *labhdfs.Client
	err     error
}

// hadoopVersion lets the tests run against another version of Hadoop that the lab has.
const hadoopVersion = "UNDERSTUDY_HADOOP"

var shared rig
var begin sync.Once

// places counts the folders given out, so that a test may run many times on one cluster.
var places atomic.Int64

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

func (r *rig) start(t testing.TB) {
	if r.dir, r.err = os.MkdirTemp("", "understudy-wire-hdfs-"); r.err != nil {
		return
	}
	if r.judge, r.err = labhdfs.NewClient(t.Context(), r.dir, nil); r.err != nil {
		return
	}
	// A NameNode knows the keys that are in the store when it starts.
	keys := map[string]string{"hadoop.security.key.provider.path": "jceks://file" + r.dir + "/keys.jceks"}
	if _, r.err = r.judge.Tool(t.Context(), labhdfs.Access{Properties: keys, User: labhdfs.Superuser}, "key", "create", zoneKey); r.err != nil {
		return
	}
	o := labhdfs.Options{
		Name: "shared", Dir: r.dir, Version: os.Getenv(hadoopVersion), DataNodes: 4, SeparateDataNodes: true, Symlinks: true,
		// Of so few DataNodes one with a handful of connections counts as busier than twice the average, and gets no blocks.
		Properties: map[string]string{"dfs.namenode.redundancy.considerLoad": "false"},
	}
	maps.Copy(o.Properties, keys)
	r.cluster, r.err = labhdfs.Start(t.Context(), o)
}

// zoneKey encrypts encryption zones.
const zoneKey = "lab"

func (r *rig) close() error {
	var errs []error
	if r.judge != nil {
		errs = append(errs, r.judge.Close())
	}
	if r.cluster != nil {
		errs = append(errs, r.cluster.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(r.dir))...)
}

// place is a folder of a test's own on the shared cluster, our client, and the judge.
type place struct {
	testing.TB
	*hdfs.Client
	cluster *labhdfs.Cluster
	judge   *labhdfs.Client
	access  labhdfs.Access
	dir     string
}

// open gives a test its place; it is skipped where no cluster can be started.
func open(t testing.TB) place {
	t.Helper()
	begin.Do(func() { shared.start(t) })
	lab.Check(t, shared.err)
	c := dial(t, hdfs.Options{NameNodes: shared.cluster.Addrs()})
	p := place{TB: t, Client: c, cluster: shared.cluster, judge: shared.judge, access: shared.cluster.Access(), dir: fmt.Sprintf("/tests/%s-%d", t.Name(), places.Add(1))}
	must(t, c.Mkdirs(t.Context(), p.dir, 0o755))
	return p
}

// dial makes a client that is closed with the test.
func dial(t testing.TB, o hdfs.Options) *hdfs.Client {
	t.Helper()
	if o.User == "" && o.Kerberos == nil {
		o.User = labhdfs.Superuser
	}
	c, err := hdfs.Dial(t.Context(), o)
	must(t, err)
	t.Cleanup(c.Close)
	return c
}

// at is a path in the place.
func (p place) at(name string) string { return p.dir + "/" + name }

// dump reads the tree below a name as the judge sees it.
func (p place) dump(name string) labhdfs.Tree {
	p.Helper()
	t, err := p.judge.Dump(p.Context(), p.access, strings.TrimSuffix(p.at(name), "/"))
	must(p.TB, err)
	return t
}

// entry is what the judge sees of one path.
func (p place) entry(name string) labhdfs.Entry {
	p.Helper()
	e, ok := p.dump(name).Find(p.at(name))
	if !ok {
		p.Fatalf("the judge does not see %s", name)
	}
	return e
}

// write writes a file through our writer.
func (p place) write(name string, data []byte, o hdfs.CreateOptions) hdfs.Written {
	p.Helper()
	o.Parents = true
	w, err := p.Create(p.Context(), p.at(name), o)
	must(p.TB, err)
	_, err = w.Write(data)
	must(p.TB, err)
	must(p.TB, w.Close())
	return w.Written()
}

// read reads a file through our reader.
func (p place) read(name string) []byte {
	p.Helper()
	r, err := p.Open(p.Context(), p.at(name))
	must(p.TB, err)
	defer r.Close()
	var b strings.Builder
	_, err = r.WriteTo(&b)
	must(p.TB, err)
	return []byte(b.String())
}

// random gives bytes that no other seed gives.
func random(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	_, _ = r.Read(b)
	return b
}

// must ends the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused ends the test unless the error is the one that is wanted.
func refused(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("not refused as %q: %v", want, err)
	}
}

// background is for what must be cleaned up after a test's own context ended.
func background() context.Context { return context.Background() }
