package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/lab/azurite"
	"github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/lab/versitygw"
)

// vendor is an object store with its vendor's own client.
type vendor struct {
	// site is the endpoint for a site file, and secrets those that it names.
	site    string
	secrets map[string]string
	get     func(ctx context.Context, key string) ([]byte, error)
	list    func(ctx context.Context, prefix string) (map[string]int64, error)
	// put and remove are the ordinary writer's, and denied says whether an error is the refusal of a right.
	put    func(ctx context.Context, key string, content []byte) error
	remove func(ctx context.Context, key string) error
	denied func(error) bool
	// rules are the store's own that understudy changes while the side is closed.
	rules func(ctx context.Context) string
	// lose takes the store out of everybody's reach, back gives it back, and look tells owner, group and permissions of a path: of one that nothing
	// closes.
	lose, back func()
	look       func(ctx context.Context, path string) string
}

// guarded says in a word how the store stands as a secondary.
func (v *vendor) guarded() string {
	if v.lose != nil {
		return "unguarded"
	}
	return "fenced"
}

// objectWriter is the ordinary writer of the buckets, and ownersRule the statement by which their owner lets it in.
const (
	objectWriter = "labwriter"
	ownersRule   = `{"Statement":[{"Sid":"TheirOwn","Effect":"Allow","Principal":{"AWS":["labwriter"]},"Action":["s3:*"],"Resource":["arn:aws:s3:::lake","arn:aws:s3:::lake/*"]}],"Version":"2012-10-17"}`
)

// bucketVendor starts versitygw.
func bucketVendor(t *testing.T) *vendor {
	t.Helper()
	s := versitygw.Boot(t)
	must(t, s.AddUser(t.Context(), objectWriter, objectWriter+"secret"))
	must(t, s.MakeBucket("lake"))
	root := answer(s.Client(versitygw.AccessKey, versitygw.SecretKey))(t)
	must(t, root.SetPolicy(t.Context(), "lake", ownersRule))
	as := answer(s.Client(objectWriter, objectWriter+"secret"))(t)
	return &vendor{
		site: fmt.Sprintf("s3: { url: %q, region: %s, bucket: lake, prefix: prod, secret: s3-keys, fence: policy, writer: { secret: s3-writer } }", s.Endpoint(), versitygw.Region),
		secrets: map[string]string{
			"s3-keys": versitygw.AccessKey + ":" + versitygw.SecretKey, "s3-writer": objectWriter + ":" + objectWriter + "secret",
		},
		get: func(ctx context.Context, key string) ([]byte, error) { return root.Get(ctx, "lake", key) },
		list: func(ctx context.Context, prefix string) (map[string]int64, error) {
			return root.List(ctx, "lake", prefix)
		},
		put:    func(ctx context.Context, key string, b []byte) error { return as.Put(ctx, "lake", key, b) },
		remove: func(ctx context.Context, key string) error { return as.Remove(ctx, "lake", key) },
		denied: versitygw.Denied,
		rules:  func(ctx context.Context) string { return answer(root.Policy(ctx, "lake"))(t) },
	}
}

// containerVendor starts Azurite.
func containerVendor(t *testing.T) *vendor {
	t.Helper()
	s := azurite.Boot(t)
	root := answer(s.Client("lake"))(t)
	must(t, root.Make(t.Context(), map[string]string{"app": "racwdl"}))
	signature := answer(azurite.Sign("lake", "app"))(t)
	as := answer(s.ClientAs("lake", signature))(t)
	return &vendor{
		site:    fmt.Sprintf("blob: { url: %q, container: lake, prefix: prod, secret: blob-key, policies: [app], writer: { secret: blob-writer } }", s.Endpoint()),
		secrets: map[string]string{"blob-key": azurite.Key(), "blob-writer": signature},
		get:     root.Get, list: root.List, put: as.Put, remove: as.Remove, denied: azurite.Denied,
		rules: func(ctx context.Context) string { return fmt.Sprint(answer(root.Policies(ctx))(t)) },
	}
}

// objectLeg is one tree in HDFS whose secondary is an object store.
type objectLeg struct {
	*grove
	name  string
	store *vendor
	rules string
	// keep is what the part of the tree looked like that nobody changes.
	keep    hdfs.Tree
	version int
	lost    []string
}

// objectSecondaries tells the story of a tree whose secondary is a bucket, a container or a file system, side by side under one control plane:
// killed runs, the loss of the region, the return of a damaged primary, and the way home with every attribute.
func objectSecondaries(t *testing.T, l *lake) {
	s3, blob, adls := bucketVendor(t), containerVendor(t), poolVendor(t)
	legs := []*objectLeg{{name: "bucket", store: s3}, {name: "box", store: blob}, {name: "pool", store: adls}}
	east, west, plans, secrets := "site: east\nclusters:\n", "site: west\nclusters:\n", "", ""
	dir := folder(t)
	for _, g := range legs {
		g.grove = l.plant(t, "to-"+g.name, "/objects/"+g.name)
		east += fmt.Sprintf("  %s:\n    hdfs: { namenodes: [%s], user: %s, writer: { user: %s }, superUsers: [%s] }\n",
			g.name, strings.Join(l.east.Addrs(), ", "), hdfs.Superuser, appUser, hdfs.Superuser)
		west += fmt.Sprintf("  %s:\n    %s\n", g.name, g.store.site)
		plans += "---\n" + strings.Replace(g.treePlan("standby-secondary", "every 4h"), "cluster: lake", "cluster: "+g.name, 1)
		for _, name := range slices.Sorted(maps.Keys(g.store.secrets)) {
			file := filepath.Join(dir, name)
			must(t, os.WriteFile(file, []byte(g.store.secrets[name]+"\n"), 0o600))
			secrets += fmt.Sprintf("  %s: { file: %s }\n", name, file)
		}
	}
	p := l.serve(t, "secrets:\n"+secrets)
	for _, g := range legs {
		g.p = p
		g.begin()
	}
	p.apply(east + "---\n" + west + plans)
	each := func(name string, play func(*objectLeg)) {
		begun := time.Now()
		for _, g := range legs {
			play(g)
			if t.Failed() {
				t.Fatalf("it went wrong at: %s of the %s", name, g.name)
			}
		}
		t.Logf("--- %s: %v", name, time.Since(begun).Round(100*time.Millisecond))
	}
	each("protect", (*objectLeg).protect)
	each("a run that is killed", (*objectLeg).killed)
	must(t, l.east.Kill())
	each("the region is lost", (*objectLeg).failOver)
	must(t, l.east.Restart(t.Context()))
	each("the old primary returns, damaged", (*objectLeg).comeBack)
	each("failback", (*objectLeg).comeHome)
	each("unprotect", (*objectLeg).leave)
}

// key gives the key of a path of the tree.
func (g *objectLeg) key(name string) string { return "prod" + g.root + "/" + name }

// begin writes a tree with attributes that an object store cannot hold.
func (g *objectLeg) begin() {
	ctx, c := g.t.Context(), g.lake.east
	g.puts(c, g.file("keep/d/big", 6<<20, 1), g.file("keep/d/small", 70, 2), g.file("keep/none", 0, 3))
	must(g.t, g.judge.MkdirAll(ctx, as(c), g.root+"/keep/empty"))
	owner, group, mode, acl := "ada", "science", 0o640, "user::rw-,user:bob:r--,group::r--,mask::r--,other::---"
	at := int64(1_600_000_000_123)
	must(g.t, g.judge.Set(ctx, c.Access(), g.root+"/keep/d/small", hdfs.Attributes{
		Owner: &owner, Group: &group, Mode: &mode, ACL: &acl, XAttrs: map[string][]byte{"user.origin": []byte("here\x00there")}, MTime: &at,
	}))
	sticky := 0o1750
	must(g.t, g.judge.Set(ctx, c.Access(), g.root+"/keep/empty", hdfs.Attributes{Mode: &sticky, Group: &group}))
	g.change()
	g.keep = g.kept()
	g.rules = g.store.rules(ctx)
}

// kept gives the part of the tree at home that nobody changes.
func (g *objectLeg) kept() hdfs.Tree {
	tree := g.dump(g.lake.east)
	tree.Entries = slices.DeleteFunc(tree.Entries, func(e hdfs.Entry) bool { return !strings.HasPrefix(e.Path, g.root+"/keep") })
	return tree
}

func (g *objectLeg) change() {
	g.t.Helper()
	g.version++
	files := g.hot(g.version)
	for i := range 20 {
		files = append(files, g.file(fmt.Sprintf("crowd/d%d/f%d", i%5, i), int64(i)*200, g.version*1000+i))
	}
	g.puts(g.lake.east, files...)
}

// mirrored wants the store to hold every file of the primary, byte by byte, and no other.
func (g *objectLeg) mirrored() {
	g.t.Helper()
	ctx := g.t.Context()
	there := answer(g.store.list(ctx, g.key("")))(g.t)
	for _, e := range g.dump(g.lake.east).Entries {
		if e.Type != hdfs.Regular {
			continue
		}
		key := "prod" + e.Path
		b, err := g.store.get(ctx, key)
		if sum := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)); err != nil || int64(len(b)) != e.Length || sum != e.CRC {
			g.t.Errorf("the %s has %d bytes of %s, not %d: %v", g.name, len(b), key, e.Length, err)
		}
		delete(there, key)
	}
	if len(there) > 0 {
		g.t.Errorf("the %s has more: %v", g.name, there)
	}
}

// shut wants an ordinary write at the store to be refused.
func (g *objectLeg) shut() {
	g.t.Helper()
	if g.store.lose != nil {
		return
	}
	if err := g.store.put(g.t.Context(), g.key("intruder"), []byte("x")); !g.store.denied(err) {
		g.t.Errorf("an ordinary write into the %s: %v", g.name, err)
	}
}

func (g *objectLeg) protect() {
	g.tell(g.p.report("protect", g.plan))
	if w := g.settled(); !w.Exposure.Known {
		g.t.Errorf("exposure %+v", w.Exposure)
	}
	g.mirrored()
	g.shut()
	if out := g.p.run("doctor", g.plan).stdout; !strings.Contains(out, `"writable": "`+g.store.guarded()+`"`) || !strings.Contains(out, "/lake/prod#") {
		g.t.Errorf("doctor says:\n%s", out)
	}
	g.p.run("verify", g.plan)
	if g.store.look != nil {
		// The look of a root is no part of a set: what it was when it was last seen open comes with a takeover.
		mode := 0o751
		must(g.t, g.judge.Set(g.t.Context(), g.lake.east.Access(), g.root, hdfs.Attributes{Mode: &mode}))
	}
}

// killed kills serve in the middle of copying and in the middle of showing, under the eyes of a reader.
func (g *objectLeg) killed() {
	t := g.t
	readers := g.watchBy(g.version, func(ctx context.Context, name string) ([]byte, error) { return g.store.get(ctx, g.key(name)) })
	g.change()
	op := g.p.begin("replicate", g.plan)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, step := range []string{"copy", "publish"} {
		must(t, g.p.watch(ctx, op.ID, 0, func(v eventView) bool { return v.Kind == "intent" && v.Step != nil && v.Step.Kind == step }))
		g.p.kill()
		g.p.revive()
	}
	select {
	case <-readers.fresh:
		g.p.kill()
		g.p.revive()
	case <-ctx.Done():
		t.Fatal("no reader sees the new set")
	}
	if end := g.p.rested(op.ID); end.State != "committed" {
		t.Fatalf("the run that was killed is %+v, error %+v", end, end.Error)
	}
	readers.end(t)
	g.mirrored()
	for i := range 5 {
		name := fmt.Sprintf("crowd/d0/lost%d", i)
		g.puts(g.lake.east, g.file(name, 300, 50+i))
		g.lost = append(g.lost, name)
	}
}

// failOver takes over with the set that was shown last.
func (g *objectLeg) failOver() {
	t, ctx := g.t, g.t.Context()
	r := g.p.report("failover", g.plan, "--confirm", g.plan, "--accept-fence", "FA", "--as", "ada", "--max-loss", "10m")
	g.takenOver(r, len(g.lost), 0)
	if now := g.store.rules(ctx); now != g.rules {
		t.Errorf("the rules of the opened %s are %s, and were %s", g.name, now, g.rules)
	}
	if g.store.look != nil {
		if now := g.store.look(ctx, strings.TrimSuffix(g.key(""), "/")); !strings.HasPrefix(now, appUser+":") || !strings.HasSuffix(now, " rwxr-x--x+") {
			t.Errorf("the root of the opened %s is %s", g.name, now)
		}
	}
	must(t, g.store.put(ctx, g.key("new/n"), []byte("written in the west")))
	must(t, g.store.put(ctx, g.key(hotName(0)), []byte("other content")))
	must(t, g.store.remove(ctx, g.key("crowd/d1/f1")))
	g.p.report("commit", g.plan)
}

// comeBack has the returning primary fenced, damages it, and makes it the secondary.
func (g *objectLeg) comeBack() {
	t := g.t
	g.p.await(g.plan, "the old primary is fenced", func(w workloadView, _ statusView) bool {
		return len(w.Old) == 1 && w.Old[0].State == "fenced" && w.Old[0].Proof != nil && w.Old[0].Proof.Complete
	})
	g.denied(g.lake.east)
	must(t, g.judge.Remove(t.Context(), g.lake.east.Access(), g.root+"/keep"))
	r := g.p.report("reprotect", g.plan, "--confirm", g.plan)
	g.tell(r)
	left := slices.Clone(g.lost)
	for line := range strings.Lines(g.p.run("ledger", "export", g.plan, "curated", r.Operation.ID).stdout) {
		var x struct{ Path string }
		must(t, json.Unmarshal([]byte(line), &x))
		left = slices.DeleteFunc(left, func(name string) bool { return name == x.Path })
	}
	if len(left) > 0 {
		t.Errorf("the ledger lacks %v", left)
	}
	g.settled()
	g.mirrored()
	g.denied(g.lake.east)
	if d := g.keep.Diff(g.kept(), 20); d != nil {
		t.Errorf("as it left home, and as it came back:\n%s", strings.Join(d, "\n"))
	}
}

// comeHome switches back; the fence of the store is proved by its refusal of an ordinary write.
func (g *objectLeg) comeHome() {
	if g.store.lose != nil {
		g.flee()
		return
	}
	t := g.t
	must(t, g.store.put(t.Context(), g.key("new/last"), []byte("the last one")))
	r := g.p.report("failback", g.plan, "--confirm", g.plan)
	r.times(t)
	g.shut()
	g.mirrored()
	if now := g.rootOf(g.lake.east); !strings.HasPrefix(now, appUser+" 0750") || !strings.Contains(now, "user:"+guestUser+":r-x") {
		t.Errorf("the root at home is %s", now)
	}
	if d := g.keep.Diff(g.kept(), 20); d != nil {
		t.Errorf("as it left home, and as it is home again:\n%s", strings.Join(d, "\n"))
	}
	g.puts(g.lake.east, g.file("home/h", 999, 11))
	g.p.report("commit", g.plan)
	g.settled()
	g.replicate()
	g.mirrored()
	g.p.run("verify", g.plan)
}

// leave unprotects: the store's rules are its owner's again.
func (g *objectLeg) leave() {
	g.p.report("unprotect", g.plan, "--confirm", g.plan)
	if now := g.store.rules(g.t.Context()); now != g.rules {
		g.t.Errorf("the rules of the %s are %s, and were %s", g.name, now, g.rules)
	}
	must(g.t, g.store.put(g.t.Context(), g.key("after"), []byte("x")))
	for key := range answer(g.store.list(g.t.Context(), "prod/objects/"))(g.t) {
		if strings.Contains(key, "/quarantine/") {
			continue
		}
		if strings.HasSuffix(key, "/stamp.json") || strings.Contains(key, "/staging/") || strings.Contains(key, ".understudy/e") {
			g.t.Errorf("left in the %s: %s", g.name, key)
		}
	}
}
