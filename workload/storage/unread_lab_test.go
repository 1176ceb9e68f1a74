package storage_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage"
)

// lakeTree is the tree of the user app at both clusters.
const lakeTree = "/lake/tree"

// newLake protects a tree between two clusters, of which east has its only DataNode in a process of its own.
func newLake(t *testing.T) (*labhdfs.Client, []*labhdfs.Cluster, *pair, *controltest.Plane) {
	t.Helper()
	judge := labhdfs.OpenClient(t)
	all := labhdfs.BootAll(t, labhdfs.Options{Name: "east", DataNodes: 1, SeparateDataNodes: true}, labhdfs.Options{Name: "west", DataNodes: 1})
	must(t, judge.Put(t.Context(), all[0].Access(), labhdfs.File{Path: lakeTree + "/d/f", Data: []byte("data")}))
	owner := "app"
	must(t, judge.Set(t.Context(), all[0].Access(), lakeTree, labhdfs.Attributes{Owner: &owner}))
	p := newPair(t)
	p.spec.Config = &storage.Config{Trees: []storage.Tree{{Path: lakeTree}}, Guard: storage.Guard{Deletes: 1000, Percent: 100, Keep: time.Hour}}
	for i, s := range p.spec.Sites {
		p.spec.Clusters[s] = &storage.HDFS{Namenodes: all[i].Addrs(), User: labhdfs.Superuser}
	}
	every, err := workload.ParseSchedule("every 4h")
	must(t, err)
	plane := controltest.Start(t, controltest.Setup{
		Registry: workload.NewRegistry(storage.Kind()), DataDir: p.open.DataDir,
		Plan: workload.Plan{Name: "contoso", Home: east, Sites: p.spec.Sites, Workloads: []workload.Planned{{Spec: p.spec, OnFailure: understudy.Stop, Schedule: every}}},
	})
	plane.Apply()
	plane.Do(control.StartRequest{Verb: understudy.Protect}, control.Committed)
	return judge, all, p, plane
}

// TestADeadDataNodeIsNoSilence kills the only DataNode of a primary whose NameNode goes on and lets writers in: nothing can be read there, also no stamp. A
// failover closes the tree by the NameNode, and rests on nobody's word; once the DataNode is back the side comes home. A NameNode that is gone is silent.
func TestADeadDataNodeIsNoSilence(t *testing.T) {
	judge, all, p, plane := newLake(t)
	writes := func(i int, name string) error {
		return judge.MkdirAll(t.Context(), all[i].As("app", ""), lakeTree+"/"+name)
	}
	must(t, writes(0, "before"))

	must(t, all[0].DataNode(1).Kill())
	must(t, writes(0, "after"))
	obs, err := p.opened(t).Observe(t.Context())
	must(t, err)
	if s := obs.Sites[east]; s.Presence != workload.Present || s.Error == nil || s.Writable != "unknown" {
		t.Fatalf("east is %+v", s)
	}
	wants(t, "US746", obs.Sites[east].Error)
	for _, code := range []understudy.Code{"US746", "US718"} {
		if !slices.ContainsFunc(obs.Findings, func(f workload.Finding) bool { return f.Code == code && f.Object.Site == east }) {
			t.Errorf("no %s among the findings %+v", code, obs.Findings)
		}
	}
	op := plane.Rest(plane.Begin(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{east}}).ID)
	if op.State != control.CommitWindow {
		t.Fatalf("failover is %s at %s: %v", op.State, op.Stage, op.Error)
	}
	told(t, plane, op.ID)
	var e *labhdfs.ClientError
	if err := writes(0, "late"); !errors.As(err, &e) || e.Class != "AccessControlException" {
		t.Errorf("the old primary answers a writer: %v", err)
	}
	must(t, writes(1, "new"))

	must(t, all[0].DataNode(1).Restart(t.Context()))
	plane.Do(control.StartRequest{Verb: understudy.Commit}, control.Committed)
	plane.Do(control.StartRequest{Verb: understudy.Reprotect}, control.Committed)
	home, err := judge.List(t.Context(), all[0].Access(), lakeTree)
	must(t, err)
	for name, want := range map[string]bool{"d/f": true, "new": true, "before": false, "after": false} {
		if _, there := home.Find(lakeTree + "/" + name); there != want {
			t.Errorf("%s at home: %v", name, there)
		}
	}

	must(t, all[0].NameNode(1).Kill())
	obs, err = p.opened(t).Observe(t.Context())
	must(t, err)
	if s := obs.Sites[east]; s.Presence != workload.Unreachable {
		t.Errorf("without a NameNode east is %+v", s)
	}
}
