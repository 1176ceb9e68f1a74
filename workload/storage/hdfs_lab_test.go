package storage_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/filecopy"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/lab/kerberos"
	"github.com/understudy-dr/understudy/lab/proxy"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// root is the tree of the lab.
const root = "/data/curated"

// court is two real clusters with Kerberos under a control plane, with Hadoop's own client as the judge of both. West is a pair of NameNodes,
// and has another protection. Without Kerberos the end-to-end tests tell the same story.
type court struct {
	*testing.T
	kdc      *kerberos.KDC
	judge    *labhdfs.Client
	clusters map[understudy.Site]*labhdfs.Cluster
	spec     workload.Spec
	dir      string
	// ways lead to the NameNodes of west, for those who go by the site file.
	ways []*proxy.Proxy
	// secrets are files beside the keytabs of the realm.
	secrets map[string]string
	plane   *controltest.Plane
}

// us is understudy's principal. Its tickets are short, so that they run out many times on the way.
const (
	us         = "understudy"
	ticketLife = 10 * time.Second
)

// newCourt starts both clusters, with a tree of the user app at east.
func newCourt(t *testing.T) *court {
	c := &court{T: t, kdc: kerberos.Boot(t, kerberos.Options{}), dir: t.TempDir()}
	super := map[string]string{"hadoop.user.group.static.mapping.overrides": labhdfs.Superuser + "=supergroup;" + us + "=supergroup"}
	c.judge = labhdfs.OpenClient(t, c.kdc)
	zoned := maps.Clone(super)
	maps.Copy(zoned, c.keys())
	all := labhdfs.BootAll(t,
		labhdfs.Options{Name: "east", Kerberos: c.kdc, Protection: labhdfs.Integrity, Properties: zoned},
		labhdfs.Options{Name: "west", Kerberos: c.kdc, Protection: labhdfs.Privacy, HA: true, Properties: super})
	c.clusters = map[understudy.Site]*labhdfs.Cluster{east: all[0], west: all[1]}
	c.keytab(us)
	c.must(c.kdc.Limit(us, ticketLife))
	c.spec = workload.Spec{
		Plan: "contoso", Name: "curated", Kind: storage.Name, Architecture: understudy.StandbySecondary, Engine: understudy.Native,
		Home: east, Sites: []understudy.Site{east, west}, RPO: 5 * time.Hour, Clusters: map[understudy.Site]any{},
		Config: &storage.Config{Proof: "read", Trees: []storage.Tree{{Path: root}}, Guard: storage.Guard{Deletes: 1000, Percent: 100, Keep: time.Hour}},
	}
	for site, protection := range map[understudy.Site]labhdfs.Protection{east: labhdfs.Integrity, west: labhdfs.Privacy} {
		e := &storage.HDFS{
			Namenodes: c.named(site), Kerberos: c.login(us, protection), Writer: &storage.Writer{Kerberos: c.login("app", protection)},
			SuperUsers: []string{labhdfs.Superuser, us},
		}
		if site == east {
			// What is not named is hdfs/_HOST, and the host that of the address.
			e.Kerberos.Service, e.Writer.Kerberos.Service = "", ""
		}
		c.spec.Clusters[site] = e
	}
	c.must(c.judge.MkdirAll(t.Context(), c.as(east), root))
	owner, mode, acl := "app", 0o750, "user::rwx,user:ada:r-x,group::r-x,mask::r-x,other::---"
	c.must(c.judge.Set(t.Context(), c.as(east), root, labhdfs.Attributes{Owner: &owner, Mode: &mode, ACL: &acl}))
	every, err := workload.ParseSchedule("every 4h")
	c.must(err)
	c.plane = controltest.Start(t, controltest.Setup{
		Registry: workload.NewRegistry(storage.Kind()), DataDir: c.dir,
		Plan: workload.Plan{Name: "contoso", Home: east, Sites: c.spec.Sites, Workloads: []workload.Planned{{Spec: c.spec, OnFailure: understudy.Stop, Schedule: every}}},
		Options: func(o *control.Options) {
			o.StepBudget, o.Secret = time.Minute, c.secret
		},
	})
	c.plane.Apply()
	return c
}

func (c *court) must(err error) {
	c.Helper()
	must(c.T, err)
}

// keytab is the file with a principal's keys.
func (c *court) keytab(principal string) string {
	c.Helper()
	path, err := c.kdc.Keytab(principal)
	c.must(err)
	return path
}

// named are the addresses of a cluster's NameNodes by the name in their principal; those of west are proxies'.
func (c *court) named(s understudy.Site) []string {
	c.Helper()
	var all []string
	for _, a := range c.clusters[s].Addrs() {
		if s == west {
			p, err := proxy.Listen("127.0.0.1:0")
			c.must(err)
			c.Cleanup(func() { c.must(p.Close()) })
			p.Forward(a)
			c.ways, a = append(c.ways, p), p.Addr()
		}
		_, port, err := net.SplitHostPort(a)
		c.must(err)
		all = append(all, net.JoinHostPort("localhost", port))
	}
	return all
}

// login is that of a principal, in the words of a site file; the secret with its keytab has its name.
func (c *court) login(principal string, p labhdfs.Protection) *storage.Kerberos {
	c.keytab(principal)
	return &storage.Kerberos{
		Principal: principal + "@" + c.kdc.Name(), Keytab: understudy.SecretName(principal), Config: c.kdc.Config(), Service: "hdfs/_HOST@" + c.kdc.Name(),
		Protection: string(p), DataProtection: string(p),
	}
}

// secret reads a keytab.
func (c *court) secret(_ context.Context, name string) ([]byte, error) {
	path, ok := c.secrets[name]
	if ok {
		return os.ReadFile(path)
	}
	path, err := c.kdc.Keytab(name)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// as is the access of a superuser, and app that of the ordinary user.
func (c *court) as(s understudy.Site) labhdfs.Access { return c.clusters[s].Access() }
func (c *court) app(s understudy.Site) labhdfs.Access {
	return c.clusters[s].As("app", c.keytab("app"))
}

// opened opens the workload beside the control plane's own, after a change of a site's endpoint.
func (c *court) opened(site understudy.Site, change func(*storage.HDFS)) workload.Workload {
	c.Helper()
	spec := c.spec
	spec.Clusters = maps.Clone(c.spec.Clusters)
	e := *spec.Clusters[site].(*storage.HDFS)
	login, writer := *e.Kerberos, *e.Writer.Kerberos
	e.Kerberos, e.Writer = &login, &storage.Writer{Kerberos: &writer}
	change(&e)
	spec.Clusters[site] = &e
	w, err := storage.Kind().Open(c.Context(), spec, workload.Opening{ControlPlane: "cp-1", DataDir: c.TempDir(), Secret: c.secret})
	c.must(err)
	c.Cleanup(func() { c.must(w.Close()) })
	return w
}

// puts has the ordinary user write files of a few sizes.
func (c *court) puts(s understudy.Site, prefix string, n int) {
	c.Helper()
	var files []labhdfs.File
	for i := range n {
		files = append(files, labhdfs.File{Path: fmt.Sprintf("%s/%s/d%d/f%d", root, prefix, i%3, i), Size: int64(i*i) * 3000, Seed: int64(i)})
	}
	c.must(c.judge.Put(c.Context(), c.app(s), files...))
}

// refused wants an ordinary write to be refused, as Hadoop's own client sees it.
func (c *court) refused(s understudy.Site) {
	c.Helper()
	err := c.judge.Put(c.Context(), c.app(s), labhdfs.File{Path: root + "/first/d0/intruder", Data: []byte("x")})
	var e *labhdfs.ClientError
	if !errors.As(err, &e) || e.Class != "AccessControlException" {
		c.Errorf("an ordinary write at %s: %v", s, err)
	}
}

// same lets Hadoop's client compare both sides in all attributes but those of the roots, which say who is closed.
func (c *court) same() {
	c.Helper()
	a, b := c.bare(east), c.bare(west)
	for _, line := range a.Diff(b, 10) {
		c.Error(line)
	}
	if len(a.Entries) == 0 {
		c.Error("there is nothing to compare")
	}
}

// look gives a root as Hadoop's client sees it.
func (c *court) look(s understudy.Site) string {
	c.Helper()
	tree, err := c.judge.List(c.Context(), c.as(s), root)
	c.must(err)
	e, _ := tree.Find(root)
	return fmt.Sprintf("%s %04o %s", e.Owner, e.Mode, e.ACL)
}

// kerberos is understudy's login in the words of the client.
func (c *court) kerberos() *wire.Kerberos {
	return &wire.Kerberos{Principal: us + "@" + c.kdc.Name(), Keytab: c.keytab(us), Config: c.kdc.Config(), ServicePrincipal: "hdfs/localhost"}
}

// opener is our client of a cluster, with understudy's rights.
func (c *court) opener(s understudy.Site) *wire.Client {
	c.Helper()
	client, err := wire.Dial(c.Context(), wire.Options{NameNodes: c.clusters[s].Addrs(), Kerberos: c.kerberos()})
	c.must(err)
	return client
}

// snapshots lists the snapshots of a root; "none" when it cannot have any.
func (c *court) snapshots(s understudy.Site) []string {
	c.Helper()
	client := c.opener(s)
	defer client.Close()
	var names []string
	for info, err := range client.Entries(c.Context(), root+"/.snapshot", wire.ListOptions{}) {
		if errors.Is(err, wire.ErrSnapshot) {
			return []string{"none"}
		}
		c.must(err)
		names = append(names, info.Name)
	}
	return names
}

func (c *court) do(verb understudy.Verb, want control.State) control.Operation {
	c.Helper()
	return c.plane.Do(control.StartRequest{Verb: verb}, want)
}

// until waits for a status of the workload.
func (c *court) until(what string, ok func(control.WorkloadStatus) bool) {
	c.Helper()
	var w control.WorkloadStatus
	for range 1200 {
		st, err := c.plane.Status(c.Context(), "contoso")
		c.must(err)
		if w = st.Workloads[0]; ok(w) {
			return
		}
		<-time.After(100 * time.Millisecond)
	}
	doc, _ := json.Marshal(w)
	c.Fatalf("never %s: %s", what, doc)
}

// published waits until the link of the present role shows a set, and no run is open.
func (c *court) published() {
	c.Helper()
	c.until("published", func(w control.WorkloadStatus) bool {
		op, ok := c.plane.Newest(understudy.Replicate)
		return len(w.Links) > 0 && w.Protection == understudy.Protected && (!ok || op.State.Final())
	})
}

// TestLifeOnHDFS walks a tree through its whole life between two real clusters.
func TestLifeOnHDFS(t *testing.T) {
	c := newCourt(t)
	for _, act := range []struct {
		name string
		do   func()
	}{
		{"know who answers", c.knows},
		{"say why a login fails", c.isTurnedAway},
		{"refuse encryption zones", c.refusesZones},
		{"protect", c.isProtected},
		{"replicate by the difference", c.replicates},
		{"replicate over a failover of the NameNodes", c.replicatesOver},
		{"replicate over the end of its tickets", c.outlivesItsTickets},
		{"find times alone, and heal the target", c.sweeps},
		{"read quotas", c.quotas},
		{"halt a mover that is late", c.halts},
		{"refuse a mover that can give files to nobody", c.givesToNobody},
		{"switch over from under a writer, and back", c.switches},
		{"fail over from a primary that was killed", c.failsOver},
		{"reprotect what came back", c.reprotects},
		{"fail back", c.failsBack},
		{"unprotect", c.leaves},
	} {
		t.Log(act.name)
		act.do()
		if t.Failed() {
			t.Fatalf("it went wrong at: %s", act.name)
		}
	}
}

// knows wants both clusters to tell who they are, and all DataNodes to be in reach; and one that is out of reach to be named.
func (c *court) knows() {
	obs, err := c.opened(east, func(*storage.HDFS) {}).Observe(c.Context())
	c.must(err)
	a, b := obs.Sites[east], obs.Sites[west]
	if a.Identity == b.Identity || !strings.HasPrefix(a.Identity, "hdfs.CID-") || a.Version == "" || a.ClockAt.IsZero() || b.ClockAt.IsZero() || len(obs.Findings) != 0 {
		c.Errorf("east is %+v, west %+v, findings %+v", a, b, obs.Findings)
	}
	// Who may read and is no superuser can neither close somebody else's root nor make it snapshottable; who may not even read is told so.
	as := func(principal string) workload.Observation {
		obs, err := c.opened(east, func(e *storage.HDFS) { e.Kerberos = c.login(principal, labhdfs.Integrity) }).Observe(c.Context())
		c.must(err)
		return obs
	}
	obs = as("ada")
	f, at := obs.Findings, obs.Sites[east]
	if len(f) != 3 || f[0].Code != "US739" || f[1].Code != "US705" || f[1].Level != "refuse" || f[2].Code != "US715" || f[2].Level != "warning" || !at.ClockAt.IsZero() {
		c.Errorf("as a reader: %+v, %+v", f, at)
	}
	if s := as("guest").Sites[east]; s.Error == nil || s.Error.Code != "US705" || s.Error.Fix == "" {
		c.Errorf("as a guest: %s, %v", s.Presence, s.Error)
	}
	data := c.clusters[east].DataAddrs()
	login := c.kerberos()
	login.DataProtection = wire.Integrity
	site := place.HDFS(place.HDFSConfig{Login: place.Login{Kerberos: login, Keytab: us}, Secret: c.secret, Options: wire.Options{
		NameNodes: c.clusters[east].Addrs(),
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == data[0] {
				return nil, errors.New("planned")
			}
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}})
	defer func() { c.must(site.Close()) }()
	id, err := site.Look(c.Context())
	if err != nil || id.Nodes != 2 || !slices.Equal(id.Unreachable, data[:1]) || !id.Super || id.Skew.Abs() > time.Minute || id.Writer == "" {
		c.Errorf("east is %+v, %v; its DataNodes are %v", id, err, data)
	}
}

func (c *court) isProtected() {
	c.puts(east, "first", 12)
	c.do(understudy.Protect, control.Committed)
	c.same()
	c.refused(west)
	if s := c.snapshots(east); len(s) != 1 {
		c.Errorf("snapshots at the source: %v", s)
	}
}

func (c *court) replicates() {
	c.puts(east, "second", 5)
	c.must(c.judge.Rename(c.Context(), c.app(east), root+"/first/d1", root+"/first/moved"))
	c.must(c.judge.Remove(c.Context(), c.app(east), root+"/first/d2/f2"))
	c.must(c.judge.Put(c.Context(), c.app(east), labhdfs.File{Path: root + "/first/d0/f3", Size: 99, Seed: 77}))
	held, err := c.judge.Hold(c.Context(), c.app(east), labhdfs.File{Path: root + "/second/growing", Size: 1 << 20, Seed: 5})
	c.must(err)
	c.do(understudy.Replicate, control.Committed)
	// What its writer adds before it closes the file is in no diff between snapshots.
	c.must(held.Release(c.Context()))
	op := c.do(understudy.Replicate, control.Committed)
	c.same()
	s := c.snapshots(east)
	if len(s) != 1 || !strings.Contains(s[0], string(op.ID)) {
		c.Errorf("snapshots at the source: %v", s)
	}
}

// switches over while an ordinary user holds a file open: its writer loses it, and what it had made visible is taken along.
func (c *court) switches() {
	held, err := c.judge.Hold(c.Context(), c.app(east), labhdfs.File{Path: root + "/first/d0/open", Data: []byte("half")})
	c.must(err)
	c.opensLate()
	c.same()
	c.refused(east)
	if b, err := c.judge.Read(c.Context(), c.as(west), root+"/first/d0/open"); err != nil || string(b) != "half" {
		c.Errorf("the open file is %q, %v", b, err)
	}
	if err := held.Release(c.Context()); err == nil {
		c.Error("the writer could close its file behind the fence")
	}
	if now := c.look(west); !strings.HasPrefix(now, "app 0750") || !strings.Contains(now, "user:ada:r-x") {
		c.Errorf("the new primary's root is %s", now)
	}
	c.published()
	c.puts(west, "third", 4)
	c.do(understudy.Replicate, control.Committed)
	c.same()
	c.do(understudy.Commit, control.Committed)
	c.do(understudy.Failback, control.CommitWindow)
	c.do(understudy.Commit, control.Committed)
	c.published()
	c.same()
	c.refused(west)
}

// failsOver loses what east took after the last set, of which a part was shown when whoever showed it was killed: that set is finished from what
// west has alone.
func (c *court) failsOver() {
	set := c.halfShown()
	c.puts(east, "lost", 3)
	c.must(c.judge.Put(c.Context(), c.app(east), labhdfs.File{Path: root + "/first/d0/f0", Data: []byte("lost too")}))
	c.must(c.clusters[east].Kill())
	salvage, halt := foretold(c.T, c.plane)
	if !strings.Contains(salvage, "roll "+root+" forward to the set that run op-half captured at ") || !strings.Contains(salvage, "; part of it is shown already") ||
		!strings.Contains(halt, "finish the set of "+root) {
		c.Errorf("a failover would do:\n%s%s", salvage, halt)
	}
	c.plane.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{east}}, control.CommitWindow)
	for _, line := range set.Diff(c.bare(west), 10) {
		c.Error(line)
	}
	c.puts(west, "new", 4)
	c.must(c.judge.Remove(c.Context(), c.app(west), root+"/third/d0/f0"))
	c.do(understudy.Commit, control.Committed)
}

// reprotects meets the old primary, which is fenced before anybody asks, and keeps what it alone has.
func (c *court) reprotects() {
	c.must(c.clusters[east].Restart(c.Context()))
	c.until("fenced", func(w control.WorkloadStatus) bool { return len(w.Old) == 1 && w.Old[0].State == "fenced" })
	c.refused(east)
	op := c.do(understudy.Reprotect, control.Committed)
	c.same()
	c.refused(east)
	b, err := os.ReadFile(filepath.Join(c.dir, "ledger", "contoso", "curated", string(op.ID), "tree-0.jsonl"))
	if err != nil || !strings.Contains(string(b), `"path":"lost","how":"foreign"`) || !strings.Contains(string(b), `"path":"first/d0/f0","how":"altered"`) {
		c.Errorf("the ledger is %s, %v", b, err)
	}
	kept := "/data/.curated.understudy/quarantine/ledger-" + string(op.ID)
	if b, err := c.judge.Read(c.Context(), c.as(east), kept+"/first/d0/f0"); err != nil || string(b) != "lost too" {
		c.Errorf("kept is %q, %v", b, err)
	}
}

func (c *court) failsBack() {
	// A process that made it was killed before it could remove it: who opens the root does.
	c.must(c.judge.Put(c.Context(), c.as(east), labhdfs.File{Path: root + "/" + filecopy.NewProbe(time.Now().Add(-24*time.Hour))}))
	c.do(understudy.Failback, control.CommitWindow)
	c.same()
	c.refused(west)
	c.puts(east, "home", 2)
	c.do(understudy.Commit, control.Committed)
	c.published()
	for _, p := range c.do(understudy.Verify, control.Committed).Parts {
		if p.Verdict == nil || p.Verdict.Outcome != understudy.Match && p.Verdict.Outcome != understudy.Lagging {
			c.Errorf("verified: %+v", p.Verdict)
		}
	}
}

// leaves takes away all that understudy made.
func (c *court) leaves() {
	c.do(understudy.Unprotect, control.Committed)
	for _, s := range []understudy.Site{east, west} {
		if left := c.snapshots(s); len(left) != 1 || left[0] != "none" {
			c.Errorf("%s can still have snapshots: %v", s, left)
		}
		if now := c.look(s); !strings.HasPrefix(now, "app 0750") {
			c.Errorf("the root at %s is %s", s, now)
		}
	}
}
