package storage_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage"
)

// twins are two clusters without Kerberos.
type twins struct {
	*testing.T
	judge    *labhdfs.Client
	clusters map[understudy.Site]*labhdfs.Cluster
}

// client is a superuser's.
func (p *twins) client(at understudy.Site) *wire.Client {
	p.Helper()
	c, err := wire.Dial(p.Context(), wire.Options{NameNodes: p.clusters[at].Addrs(), User: labhdfs.Superuser})
	must(p.T, err)
	p.Cleanup(c.Close)
	return c
}

// spec plans one tree, whose mover acts at both sides as one user.
func (p *twins) spec(name, tree, user string) workload.Spec {
	spec := workload.Spec{
		Plan: understudy.PlanName(name), Name: understudy.WorkloadName(name), Kind: storage.Name, Architecture: understudy.StandbySecondary, Engine: understudy.Native,
		Home: "east", Sites: []understudy.Site{"east", "west"}, RPO: 5 * time.Hour, Clusters: map[understudy.Site]any{},
		Config: &storage.Config{Trees: []storage.Tree{{Path: tree}}, Guard: storage.Guard{Deletes: 1000, Percent: 100, Keep: time.Hour}},
	}
	for s, c := range p.clusters {
		spec.Clusters[s] = &storage.HDFS{Namenodes: c.Addrs(), User: user}
	}
	return spec
}

// found gives the findings of a code.
func found(all []workload.Finding, code understudy.Code) []workload.Finding {
	return slices.DeleteFunc(slices.Clone(all), func(f workload.Finding) bool { return f.Code != code })
}

// TestNestedSnapshottableDirectories plans trees above, below and beside which somebody takes snapshots. Nothing is begun that could not be, and doctor names
// the directory at either side.
func TestNestedSnapshottableDirectories(t *testing.T) {
	p := &twins{T: t, judge: labhdfs.OpenClient(t)}
	all := labhdfs.BootAll(t, labhdfs.Options{Name: "east", DataNodes: 1}, labhdfs.Options{Name: "west", DataNodes: 1})
	p.clusters = map[understudy.Site]*labhdfs.Cluster{"east": all[0], "west": all[1]}
	for _, c := range []struct {
		name     string
		at       understudy.Site
		dir      string
		inTheWay bool
	}{
		// The first, since later every other one would be below it.
		{"root", "east", "/", true},
		{"above", "east", "/above", true},
		{"below", "east", "/below/tree/d", true},
		{"beside", "east", "/beside/treehouse", false},
		{"there", "west", "/there", true},
	} {
		t.Run(c.name, func(t *testing.T) { p.nested(t, c.name, c.at, c.dir, c.inTheWay) })
	}
}

// nested protects a tree while a directory of somebody else is snapshottable.
func (p *twins) nested(t *testing.T, name string, at understudy.Site, dir string, inTheWay bool) {
	tree := "/" + name + "/tree"
	must(t, p.judge.Put(t.Context(), p.clusters["east"].As(labhdfs.Superuser, ""), labhdfs.File{Path: tree + "/d/f", Data: []byte("data")}))
	theirs := p.client(at)
	must(t, theirs.Mkdirs(t.Context(), dir, 0o755))
	must(t, theirs.AllowSnapshots(t.Context(), dir))
	_, err := theirs.CreateSnapshot(t.Context(), dir, "theirs")
	must(t, err)
	every, err := workload.ParseSchedule("every 4h")
	must(t, err)
	spec := p.spec(name, tree, labhdfs.Superuser)
	plane := controltest.Start(t, controltest.Setup{
		Registry: workload.NewRegistry(storage.Kind()), DataDir: t.TempDir(),
		Plan: workload.Plan{Name: spec.Plan, Home: "east", Sites: spec.Sites, Workloads: []workload.Planned{{Spec: spec, OnFailure: understudy.Stop, Schedule: every}}},
	})
	plane.Apply()
	doctor := func() []workload.Finding {
		r, err := plane.Doctor(t.Context(), spec.Plan)
		must(t, err)
		return found(r.Workloads[0].Findings, "US715")
	}
	says := doctor()
	if !inTheWay {
		if len(says) != 0 {
			t.Errorf("doctor says %+v", says)
		}
		plane.Do(control.StartRequest{Verb: understudy.Protect}, control.Committed)
		return
	}
	level := map[understudy.Site]string{"east": "refuse", "west": "warning"}[at]
	if len(says) != 1 || says[0].Level != level || says[0].Object.Site != at || !strings.HasPrefix(says[0].Summary, dir+", ") || !strings.Contains(says[0].Fix, "-disallowSnapshot "+dir) {
		t.Fatalf("doctor says %+v", says)
	}
	if at != "east" {
		// It is in nobody's way before this side is copied from.
		plane.Do(control.StartRequest{Verb: understudy.Protect}, control.Committed)
		if says = doctor(); len(says) != 1 || says[0].Level != "warning" {
			t.Errorf("doctor says %+v", says)
		}
		return
	}
	op := plane.Rest(plane.Begin(control.StartRequest{Verb: understudy.Protect}).ID)
	if codeOf(op) != "US715" || op.Stage != understudy.StageCheck || op.Error.Fix != says[0].Fix {
		t.Fatalf("protect is %s at %s: %+v", op.State, op.Stage, op.Error)
	}
	if _, err := p.client("west").Stat(t.Context(), "/"+name); !wire.IsNotFound(err) {
		t.Errorf("something was done at the target: %v", err)
	}
	p.ownOnly(t, name, tree, dir)
	// What the message says to do helps.
	must(t, theirs.DeleteSnapshot(t.Context(), dir, "theirs"))
	must(t, theirs.DisallowSnapshots(t.Context(), dir))
	if op = plane.Act(plane.Retry, control.ActRequest{Operation: op.ID}); op.State != control.Committed {
		t.Fatalf("protect is %s at %s: %v", op.State, op.Stage, op.Error)
	}
	if says = doctor(); len(says) != 0 {
		t.Errorf("doctor says %+v", says)
	}
}

// ownOnly looks as somebody whom the NameNode shows nobody else's directories: he is told that there may be more than he sees.
func (p *twins) ownOnly(t *testing.T, name, tree, dir string) {
	t.Helper()
	look := func() workload.Finding {
		w, err := storage.Kind().Open(t.Context(), p.spec(name, tree, "app"), workload.Opening{ControlPlane: "cp-1", DataDir: t.TempDir()})
		must(t, err)
		defer w.Close()
		obs, err := w.Observe(t.Context())
		must(t, err)
		f := found(obs.Findings, "US715")
		if len(f) != 1 || f[0].Level != "warning" {
			t.Fatalf("found %+v", obs.Findings)
		}
		return f[0]
	}
	if f := look(); !strings.Contains(f.Fix, "lsSnapshottableDir") {
		t.Errorf("of somebody else's directory: %+v", f)
	}
	owner := "app"
	must(t, p.judge.Set(t.Context(), p.clusters["east"].As(labhdfs.Superuser, ""), dir, labhdfs.Attributes{Owner: &owner}))
	if f := look(); !strings.Contains(f.Fix, "-disallowSnapshot "+dir) {
		t.Errorf("of its own directory: %+v", f)
	}
}

// TestADeadDataNodeIsNamed kills a DataNode and waits until its NameNode misses it.
func TestADeadDataNodeIsNamed(t *testing.T) {
	labhdfs.OpenClient(t)
	c := labhdfs.Boot(t, labhdfs.Options{Name: "east", DataNodes: 2, LastDataNodeApart: true, Properties: map[string]string{
		"dfs.namenode.heartbeat.recheck-interval": "500", "dfs.heartbeat.interval": "1",
	}})
	p := &twins{T: t, clusters: map[understudy.Site]*labhdfs.Cluster{"east": c, "west": c}}
	must(t, c.DataNode(2).Kill())
	client, dead := p.client("east"), []wire.DataNode(nil)
	for end := time.After(time.Minute); len(dead) == 0; {
		select {
		case <-end:
			t.Fatal("the NameNode does not miss it")
		case <-time.After(200 * time.Millisecond):
		}
		var err error
		dead, err = client.DataNodes(t.Context(), wire.DeadDataNodes)
		must(t, err)
	}
	w, err := storage.Kind().Open(t.Context(), p.spec("dead", "/dead/tree", labhdfs.Superuser), workload.Opening{ControlPlane: "cp-1", DataDir: t.TempDir()})
	must(t, err)
	defer w.Close()
	obs, err := w.Observe(t.Context())
	must(t, err)
	f := found(obs.Findings, "US718")
	if len(f) != 2 || !strings.Contains(f[0].Summary, "misses 1 DataNodes: "+c.DataAddrs()[1]) {
		t.Errorf("found %+v", obs.Findings)
	}
}
