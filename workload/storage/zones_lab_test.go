package storage_test

import (
	"slices"
	"strings"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/native"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// keys makes a key store with one key, and gives the properties of a NameNode that uses it: Hadoop's own provider on a file, without a KMS. A
// NameNode knows the keys that are there when it starts.
func (c *court) keys() map[string]string {
	c.Helper()
	p := map[string]string{"hadoop.security.key.provider.path": "jceks://file" + c.dir + "/keys.jceks"}
	_, err := c.judge.Tool(c.Context(), labhdfs.Access{Properties: p, User: labhdfs.Superuser}, "key", "create", "lab")
	c.must(err)
	return p
}

// refusesZones has real encryption zones at east, in the way of plans and of the mover itself, at either end. Nothing is copied, and nothing is
// left of the try.
func (c *court) refusesZones() {
	for _, z := range []string{"/zone", "/data/mixed/secret"} {
		c.must(c.judge.MkdirAll(c.Context(), c.as(east), z))
		_, err := c.judge.Tool(c.Context(), c.as(east), "crypto", "-createZone", "-keyName", "lab", "-path", z)
		c.must(err)
	}
	c.must(c.judge.Put(c.Context(), c.as(east), labhdfs.File{Path: "/zone/tree/f", Data: []byte("secret")}, labhdfs.File{Path: "/data/mixed/f", Data: []byte("plain")}))
	c.must(c.judge.Put(c.Context(), c.as(west), labhdfs.File{Path: "/zone/tree/f", Data: []byte("plain")}))
	c.planRefused(east)
	c.planRefused(west)
	for what, ends := range map[string][2]filecopy.Target{
		"/zone/tree":            {c.tree(east, "/zone/tree"), c.tree(west, "/refused/a")},
		"/data/mixed/secret":    {c.tree(east, "/data/mixed"), c.tree(west, "/refused/b")},
		"/zone":                 {c.tree(west, "/zone/tree"), c.tree(east, "/zone")},
		"/zone/.new.understudy": {c.tree(west, "/zone/tree"), c.tree(east, "/zone/new")},
	} {
		_, err := native.New(c.TempDir()).Run(c.Context(), filecopy.Job{Name: "zoned", Source: ends[0], Target: ends[1]}, nil)
		e := understudy.AsError(err)
		if err == nil || e.Code != "US618" || e.Fix == "" || !strings.HasPrefix(e.Summary, `"`+what) || !strings.Contains(e.Summary, "encryption zone") {
			c.Errorf("%s: %v", what, err)
		}
	}
	client := c.opener(east)
	defer client.Close()
	for _, left := range []string{"/.zone.understudy/e1/staging", "/zone/.new.understudy", "/zone/new"} {
		if _, err := client.Stat(c.Context(), left); !wire.IsNotFound(err) {
			c.Errorf("%s is left: %v", left, err)
		}
	}
}

// planRefused wants doctor and protect to refuse a tree that lies in a zone at east.
func (c *court) planRefused(home understudy.Site) {
	c.Helper()
	spec := c.spec
	spec.Plan, spec.Name, spec.Home = "zoned", "zoned", home
	spec.Config = &storage.Config{Trees: []storage.Tree{{Path: "/zone/tree"}}, Guard: storage.Guard{Deletes: 1000, Percent: 100, Keep: time.Hour}}
	plane := controltest.Start(c.T, controltest.Setup{
		Registry: workload.NewRegistry(storage.Kind()), DataDir: c.TempDir(),
		Plan:    workload.Plan{Name: "zoned", Home: home, Sites: spec.Sites, Workloads: []workload.Planned{{Spec: spec, OnFailure: understudy.Stop}}},
		Options: func(o *control.Options) { o.StepBudget, o.Secret = time.Minute, c.secret },
	})
	defer plane.Stop()
	plane.Apply()
	found, err := plane.Doctor(c.Context(), "zoned")
	c.must(err)
	if f := found.Workloads[0].Findings; !slices.ContainsFunc(f, func(f workload.Finding) bool {
		return f.Code == "US618" && f.Level == "refuse" && f.Object.Site == east && f.Fix != ""
	}) {
		c.Errorf("doctor found %+v", f)
	}
	op := plane.Rest(plane.Begin(control.StartRequest{Verb: understudy.Protect}).ID)
	if codeOf(op) != "US618" || op.Stage != understudy.StageCheck || op.Error.Object.Site != east {
		c.Errorf("protect from %s is %s at %s: %v", home, op.State, op.Stage, op.Error)
	}
}

// tree opens one in the folder of a link.
func (c *court) tree(s understudy.Site, root string) filecopy.Target {
	c.Helper()
	kerberos := c.kerberos()
	kerberos.DataProtection = map[understudy.Site]wire.Protection{east: wire.Integrity, west: wire.Privacy}[s]
	site := place.HDFS(place.HDFSConfig{
		Login: place.Login{Kerberos: kerberos, Keytab: us}, Secret: c.secret, Options: wire.Options{NameNodes: c.clusters[s].Addrs()},
	})
	c.Cleanup(func() { c.must(site.Close()) })
	store, err := site.Tree(root).Store(c.Context(), "e1", false)
	c.must(err)
	return store
}
