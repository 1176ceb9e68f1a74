package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/lab/hdfs"
)

// TestStorage tells the stories of the article's storage architectures, and of their engines, on two real HDFS clusters. They run one after
// the other on the same servers, each with a tree, a plan and a control plane of its own.
func TestStorage(t *testing.T) {
	t.Parallel()
	l := openLake(t)
	for _, story := range []struct {
		name string
		tell func(*testing.T, *lake)
	}{
		{"standby secondary", standbySecondary},
		{"killed at any moment", killedAnywhere},
		{"object stores as secondaries", objectSecondaries},
		{"distcp on yarn", distcpOnYARN},
		{"a pair of NameNodes with Kerberos", securePair},
		// The last one leaves the west as it ends: absent.
		{"on-demand secondary", onDemandSecondary},
	} {
		t.Run(story.name, func(t *testing.T) { story.tell(t, l) })
	}
}

// lake is two sites with one HDFS each, the product's binary, and Hadoop's own client, which judges what they hold.
type lake struct {
	estate
	east, west *hdfs.Cluster
	judge      *hdfs.Client
}

func openLake(t *testing.T) *lake {
	t.Helper()
	// What several DataNodes make of a block is the HDFS client's and the mover's to show; here one a site stands for all.
	both := hdfs.BootAll(t, hdfs.Options{Name: "east", DataNodes: 1}, hdfs.Options{Name: "west", DataNodes: 1})
	return &lake{estate: estate{binary: product(t)}, east: both[0], west: both[1], judge: hdfs.OpenClient(t)}
}

// appUser is the ordinary user who owns the trees, and guestUser somebody whom their access control list lets in.
const (
	appUser   = "app"
	guestUser = "ada"
)

// grove is one tree under a plan, with a control plane of its own.
type grove struct {
	t *testing.T
	*lake
	p          *plane
	plan, root string
}

// plant makes the tree in the east; it belongs to the writer, and the reader may read it.
func (l *lake) plant(t *testing.T, plan, root string) *grove {
	t.Helper()
	g := &grove{t: t, lake: l, plan: plan, root: root}
	must(t, l.judge.MkdirAll(t.Context(), l.east.Access(), root))
	owner, mode, acl := appUser, 0o750, "user::rwx,user:"+guestUser+":r-x,group::r-x,mask::r-x,other::---"
	must(t, l.judge.Set(t.Context(), l.east.Access(), root, hdfs.Attributes{Owner: &owner, Mode: &mode, ACL: &acl}))
	return g
}

// treeSite gives the document of a site; more goes beside the endpoints of its cluster.
func treeSite(name string, c *hdfs.Cluster, more string) string {
	return fmt.Sprintf(`site: %s
clusters:
  lake:
    hdfs: { namenodes: [%s], user: %s, writer: { user: %s }, superUsers: [%s] }
%s---
`, name, strings.Join(c.Addrs(), ", "), hdfs.Superuser, appUser, hdfs.Superuser, more)
}

// treePlan gives the document of a plan with one workload called curated.
func (g *grove) treePlan(architecture, schedule string) string {
	return fmt.Sprintf(`plan: %s
home: east
sites: [east, west]
workloads:
  - name: curated
    kind: storage
    architecture: %s
    cluster: lake
    schedule: %q
    objective: { rpo: 5h, rto: 1h }
    onFailure: stop
    trees: [{ path: %s }]
    guard: { deletes: 1000, percent: 50, keep: 1h }
`, g.plan, architecture, schedule, g.root)
}

// as is a cluster for the ordinary writer.
func as(c *hdfs.Cluster) hdfs.Access { return c.As(appUser, "") }

// file is one below the root.
func (g *grove) file(name string, size int64, seed int) hdfs.File {
	return hdfs.File{Path: g.root + "/" + name, Size: size, Seed: int64(seed)}
}

// puts has the ordinary user write files.
func (g *grove) puts(c *hdfs.Cluster, files ...hdfs.File) {
	g.t.Helper()
	must(g.t, g.judge.Put(g.t.Context(), as(c), files...))
}

// denied wants an ordinary write to be refused, as Hadoop's own client sees it.
func (g *grove) denied(c *hdfs.Cluster) {
	g.t.Helper()
	err := g.judge.Put(g.t.Context(), as(c), g.file("intruder", 1, 1))
	var e *hdfs.ClientError
	if !errors.As(err, &e) || e.Class != "AccessControlException" {
		g.t.Errorf("an ordinary write in the %s: %v", c.Name(), err)
	}
}

// dump lets Hadoop's client read a side with all attributes and checksums, but for the root, whose own tell who is let in.
func (g *grove) dump(c *hdfs.Cluster) hdfs.Tree {
	g.t.Helper()
	return g.inner(c, answer(g.judge.Dump(g.t.Context(), c.Access(), g.root))(g.t))
}

// list is a dump without checksums.
func (g *grove) list(c *hdfs.Cluster) hdfs.Tree {
	g.t.Helper()
	return g.inner(c, answer(g.judge.List(g.t.Context(), c.Access(), g.root))(g.t))
}

// inner is a tree without its root, and not empty.
func (g *grove) inner(c *hdfs.Cluster, tree hdfs.Tree) hdfs.Tree {
	g.t.Helper()
	tree.Entries = slices.DeleteFunc(tree.Entries, func(e hdfs.Entry) bool { return e.Path == g.root })
	if len(tree.Entries) == 0 {
		g.t.Fatalf("the %s has nothing", c.Name())
	}
	return tree
}

// same wants both sides to be the same in every path, attribute and byte, and gives the tree.
func (g *grove) same() hdfs.Tree {
	g.t.Helper()
	east, west := g.dump(g.lake.east), g.dump(g.lake.west)
	if d := east.Diff(west, 10); d != nil {
		g.t.Fatalf("east here, west there:\n%s", strings.Join(d, "\n"))
	}
	return east
}

// rootOf shows who is let into the tree.
func (g *grove) rootOf(c *hdfs.Cluster) string {
	g.t.Helper()
	tree, err := g.judge.List(g.t.Context(), c.Access(), g.root)
	must(g.t, err)
	e, _ := tree.Find(g.root)
	return fmt.Sprintf("%s %04o %s", e.Owner, e.Mode, e.ACL)
}

// below lists what is below a path; nothing when it is not there.
func (g *grove) below(ctx context.Context, c *hdfs.Cluster, path string) ([]string, error) {
	tree, err := g.judge.List(ctx, c.Access(), path)
	var e *hdfs.ClientError
	if errors.As(err, &e) && e.Class == "FileNotFoundException" {
		return nil, nil
	}
	return tree.Paths(), err
}

// settled waits until the link shows a set and no run is open.
func (g *grove) settled() workloadView {
	g.t.Helper()
	return g.p.await(g.plan, "a set is shown and no run is open", func(w workloadView, v statusView) bool {
		return protected(w, v) && v.Current == nil && len(w.Links) == 1 && w.Links[0].Schedule != nil &&
			(w.Links[0].Schedule.State == "" || w.Links[0].Schedule.State == "committed")
	})
}

// replicate runs once and tells how much was staged.
func (g *grove) replicate() reportView {
	g.t.Helper()
	r := g.p.report("replicate", g.plan)
	g.tell(r)
	return r
}

// tell logs what an operation said of the amounts it copied.
func (g *grove) tell(r reportView) {
	g.t.Helper()
	for _, s := range r.Stages {
		for _, x := range s.Steps {
			if x.Receipt != nil && (x.Step.Kind == "copy" || x.Step.Kind == "publish") {
				g.t.Logf("%s: %s", r.Operation.Verb, x.Receipt.Summary)
			}
		}
	}
}
