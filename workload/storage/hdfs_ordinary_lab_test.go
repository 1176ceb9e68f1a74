package storage_test

import (
	"slices"
	"strings"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage"
)

// ordinary makes a tree of a user at east whose mover at west owns the root and is no superuser, under a plan of its own.
func (c *court) ordinary(tree, owner string) *controltest.Plane {
	c.Helper()
	east, west := c.opener(east), c.opener(west)
	defer east.Close()
	defer west.Close()
	c.must(c.judge.Put(c.Context(), c.as("east"), labhdfs.File{Path: tree + "/d/f", Data: []byte("data")}))
	for _, p := range []string{"", "/d", "/d/f"} {
		c.must(east.SetOwner(c.Context(), tree+p, owner, ""))
	}
	c.must(c.judge.Set(c.Context(), c.as("east"), tree+"/d/f", labhdfs.Attributes{XAttrs: map[string][]byte{"user.left": []byte("out")}}))
	c.must(west.Mkdirs(c.Context(), tree, 0o755))
	dir, _, _ := strings.Cut(tree[1:], "/")
	c.must(west.SetOwner(c.Context(), "/"+dir, "mover", ""))
	c.must(west.SetOwner(c.Context(), tree, "mover", ""))
	spec := c.spec
	spec.Plan, spec.Name = "own", "own"
	target := *c.spec.Clusters["west"].(*storage.HDFS)
	target.Kerberos = c.login("mover", labhdfs.Privacy)
	spec.Clusters = map[understudy.Site]any{"east": c.spec.Clusters["east"], "west": &target}
	spec.Config = &storage.Config{Trees: []storage.Tree{{Path: tree, NoXattrs: true}}, Guard: storage.Guard{Deletes: 1000, Percent: 100, Keep: time.Hour}}
	every, err := workload.ParseSchedule("every 4h")
	c.must(err)
	plane := controltest.Start(c.T, controltest.Setup{
		Registry: workload.NewRegistry(storage.Kind()), DataDir: c.TempDir(),
		Plan:    workload.Plan{Name: "own", Home: "east", Sites: spec.Sites, Workloads: []workload.Planned{{Spec: spec, OnFailure: understudy.Stop, Schedule: every}}},
		Options: func(o *control.Options) { o.StepBudget, o.Secret = time.Minute, c.secret },
	})
	plane.Apply()
	return plane
}

// codeOf is why an operation stopped.
func codeOf(op control.Operation) understudy.Code {
	if op.Error == nil {
		return ""
	}
	return op.Error.Code
}

// givesToNobody lets a mover without a superuser's rights take over what it can give to its owner, and nothing else.
func (c *court) givesToNobody() {
	const tree = "/own/tree"
	plane := c.ordinary(tree, "app")
	found, err := plane.Doctor(c.Context(), "own")
	c.must(err)
	codes := map[understudy.Code]string{}
	for _, f := range found.Workloads[0].Findings {
		codes[f.Code] = f.Level
	}
	if codes["US738"] != "refuse" {
		c.Errorf("the doctor found %v", codes)
	}
	op := plane.Rest(plane.Begin(control.StartRequest{Verb: understudy.Protect}).ID)
	if codeOf(op) != "US738" || op.Stage != understudy.StageCheck {
		c.Errorf("protect is %s at %s: %v", op.State, op.Stage, op.Error)
	}
	// The root alone is the mover's: what lies below is looked at when it is listed, before anything is copied.
	client := c.opener(east)
	defer client.Close()
	c.must(client.SetOwner(c.Context(), tree, "mover", ""))
	if op = plane.Act(plane.Retry, control.ActRequest{Operation: op.ID}); codeOf(op) != "US738" || op.Stage != understudy.StageBootstrap {
		c.Errorf("protect is %s at %s: %v", op.State, op.Stage, op.Error)
	}
	for _, p := range []string{"/d", "/d/f"} {
		c.must(client.SetOwner(c.Context(), tree+p, "mover", ""))
	}
	if op = plane.Act(plane.Retry, control.ActRequest{Operation: op.ID}); op.State != control.Committed {
		c.Fatalf("protect is %s at %s: %v", op.State, op.Stage, op.Error)
	}
	op = plane.Do(control.StartRequest{Verb: understudy.Switchover}, control.CommitWindow)
	shown, err := c.judge.Dump(c.Context(), c.as(west), tree)
	c.must(err)
	if len(shown.Entries) != 3 {
		c.Errorf("west shows %v", shown.Paths())
	}
	for _, e := range shown.Entries {
		// The plan leaves extended attributes out.
		if e.Owner != "mover" || len(e.XAttrs) != 0 {
			c.Errorf("%s belongs to %s, with %v", e.Path, e.Owner, e.XAttrs)
		}
	}
	// The site names app as an ordinary writer, who may read here and not write, as at east.
	r, err := plane.Report(c.Context(), op.ID)
	c.must(err)
	if !slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "a write by app") }) {
		c.Errorf("the switchover warns %q", r.Warnings)
	}
	plane.Stop()
}

// opensLate has a directory above the root shut ordinary users out at the new primary: nothing about the root tells so, but who writes finds it.
func (c *court) opensLate() {
	client := c.opener(west)
	defer client.Close()
	c.must(client.SetPermission(c.Context(), "/data", 0o700))
	op := c.plane.Rest(c.plane.Begin(control.StartRequest{Verb: understudy.Switchover}).ID)
	if codeOf(op) != "US253" || op.Stage != understudy.StageProve {
		c.Errorf("the switchover is %s at %s: %v", op.State, op.Stage, op.Error)
	}
	c.must(client.SetPermission(c.Context(), "/data", 0o755))
	if op = c.plane.Act(c.plane.Retry, control.ActRequest{Operation: op.ID}); op.State != control.CommitWindow {
		c.Fatalf("the switchover is %s at %s: %v", op.State, op.Stage, op.Error)
	}
}
