package storage_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	labhdfs "github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/lab/kerberos"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage"
)

// turnedAway is a way to fail at the door of a site.
type turnedAway struct {
	what   string
	change func(*storage.HDFS)
	// fix is a word of what the person is told to do.
	fix  string
	kind understudy.ErrorKind
}

// isTurnedAway tries to log in with everything that can be wrong about it. Each has the code, says as whom it was tried, and what to do.
func (c *court) isTurnedAway() {
	// Another realm of the same name has other keys for the same principal; it also is a KDC that can be stopped.
	other := kerberos.Boot(c.T, kerberos.Options{})
	stale, err := other.Keytab(us)
	c.must(err)
	file := filepath.Join(c.TempDir(), "stale")
	b, err := os.ReadFile(stale)
	c.must(err)
	c.must(os.WriteFile(file, b, 0o600))
	c.must(other.Kill())
	c.login("stranger", labhdfs.Privacy)
	c.must(c.kdc.Remove("stranger"))
	c.secrets = map[string]string{"stale": file}
	for _, a := range []turnedAway{
		{"keys of another", func(e *storage.HDFS) { e.Kerberos.Keytab = "app" }, "keytab", understudy.KindDenied},
		{"keys of before", func(e *storage.HDFS) { e.Kerberos.Keytab = "stale" }, "keytab", understudy.KindDenied},
		{"nobody of the realm", func(e *storage.HDFS) {
			e.Kerberos.Keytab, e.Kerberos.Principal = "stranger", "stranger@"+c.kdc.Name()
		}, "kerberos.principal", understudy.KindDenied},
		{"another service", func(e *storage.HDFS) { e.Kerberos.Service = "nn/localhost" }, "kerberos.service", understudy.KindDenied},
		{"no protection of data", func(e *storage.HDFS) { e.Kerberos.DataProtection = "" }, "kerberos.dataProtection: privacy", understudy.KindDenied},
		{"another protection of data", func(e *storage.HDFS) { e.Kerberos.DataProtection = "integrity" }, "kerberos.dataProtection: privacy", understudy.KindDenied},
		{"no krb5.conf", func(e *storage.HDFS) { e.Kerberos.Config = "/nowhere" }, "kerberos.config", understudy.KindDenied},
		{"a KDC that is down", func(e *storage.HDFS) { e.Kerberos.Config = other.Config() }, "KDC", understudy.KindUnreachable},
		{"no Kerberos", func(e *storage.HDFS) {
			e.Kerberos, e.User, e.Writer = nil, labhdfs.Superuser, &storage.Writer{User: "app"}
		}, "kerberos", understudy.KindDenied},
	} {
		c.turnsAway(a)
	}
	c.must(c.kdc.Distrust(c.Context(), true))
	c.turnsAway(turnedAway{"another clock", func(*storage.HDFS) {}, "NTP", understudy.KindDenied})
	c.must(c.kdc.Distrust(c.Context(), false))
	c.knowsTheWriter()
}

// turnsAway looks at a site with a wrong login, and at the other with the right one.
func (c *court) turnsAway(a turnedAway) {
	c.Helper()
	w := c.opened(west, a.change)
	obs, err := w.Observe(c.Context())
	c.must(err)
	s := obs.Sites[west]
	if s.Presence != workload.Present || s.Error == nil || s.Error.Code != "US725" || s.Error.Kind != a.kind || s.Error.Why == "" || !strings.Contains(s.Error.Fix, a.fix) {
		c.Errorf("%s: %s, %+v", a.what, s.Presence, s.Error)
		return
	}
	// The NameNodes asked for the login, so they are there: nobody's word stands for a fence.
	lost := understudy.Stage{Name: understudy.StageFence, Verb: understudy.Failover, Workload: "curated", Plan: "contoso", Old: west, To: east}
	if _, err := w.Decide(lost, obs); err != s.Error {
		c.Errorf("%s: the fence: %v", a.what, err)
	}
	c.Logf("%s: %s\n why: %s\n fix: %s", a.what, s.Error.Summary, s.Error.Why, s.Error.Fix)
}

// knowsTheWriter finds out before a disaster that the proof of a fence could not be made.
func (c *court) knowsTheWriter() {
	c.Helper()
	for what, change := range map[string]func(*storage.HDFS){
		"no writer":                func(e *storage.HDFS) { e.Writer = nil },
		"a writer with other keys": func(e *storage.HDFS) { e.Writer.Kerberos.Keytab = us },
	} {
		obs, err := c.opened(west, change).Observe(c.Context())
		c.must(err)
		if f := obs.Findings; obs.Sites[west].Presence != workload.Present || len(f) != 1 || f[0].Code != "US726" || f[0].Object.Site != west || f[0].Fix == "" {
			c.Errorf("%s: %s, findings %+v", what, obs.Sites[west].Presence, f)
		}
	}
}

// staged waits until something of a run lies in understudy's folder, out of sight, and holds the run up there: nothing gets to the target's
// NameNodes until their ways are healed.
func (c *court) staged(run understudy.OperationID) {
	c.Helper()
	client := c.opener(west)
	defer client.Close()
	n := 0
	for n < 4 {
		if now, err := c.plane.Operation(c.Context(), run); err != nil || now.State.Final() {
			c.Fatalf("nothing is staged, and the run is over: %s, %v", now.State, err)
		}
		n = 0
		// What it lists comes and goes: then it says that something cannot be found.
		_ = client.Walk(c.Context(), "/data/.curated.understudy", wire.ListOptions{}, func(f *wire.FileInfo) error {
			if strings.Contains(f.Path, "/staging/") {
				n++
			}
			return nil
		})
		<-time.After(20 * time.Millisecond)
	}
	for _, p := range c.ways {
		p.Freeze()
	}
	c.Logf("%d paths are staged", n)
}

// replicatesOver lets the NameNodes of the target change places while a run copies. The end-to-end test kills one. The files are few, and go
// again: each later look at both sides by Hadoop's own client would cost a login at a DataNode for every one of them.
func (c *court) replicatesOver() {
	c.many("many")
	op := c.plane.Begin(control.StartRequest{Verb: understudy.Replicate})
	c.staged(op.ID)
	if now, err := c.plane.Operation(c.Context(), op.ID); err != nil || now.State.Final() {
		c.Errorf("the run is over before the failover: %s, %v", now.State, err)
	}
	c.must(c.judge.Failover(c.Context(), c.as(west), 2))
	for _, p := range c.ways {
		p.Heal()
	}
	if op = c.plane.Rest(op.ID); op.State != control.Committed {
		c.Fatalf("the run over a failover is %s at %s: %v", op.State, op.Stage, op.Error)
	}
	c.same()
	c.must(c.judge.Remove(c.Context(), c.app(east), root+"/many"))
}

// many has the ordinary user write files into four directories.
func (c *court) many(dir string) {
	c.Helper()
	var files []labhdfs.File
	for i := range 48 {
		files = append(files, labhdfs.File{Path: fmt.Sprintf("%s/%s/d%d/f%d", root, dir, i%4, i), Size: 20000, Seed: int64(i)})
	}
	c.must(c.judge.Put(c.Context(), c.app(east), files...))
}

// outlivesItsTickets has the realm give no more tickets while a run copies, and holds the run up until those that it has have run out. The next
// connection to the target is refused; the run says so, and goes on where it was when the realm knows us again.
func (c *court) outlivesItsTickets() {
	c.many("more")
	held := c.opener(east)
	defer held.Close()
	op := c.plane.Begin(control.StartRequest{Verb: understudy.Replicate})
	c.staged(op.ID)
	c.must(c.kdc.Bar(us, true))
	var err error
	for range 1200 {
		// It takes a connection of its own, and so a ticket that is good now.
		if _, err = held.NamespaceInfo(c.Context()); err != nil {
			break
		}
		<-time.After(50 * time.Millisecond)
	}
	if !errors.Is(err, wire.ErrUnauthenticated) {
		c.Fatalf("tickets are good without end: %v", err)
	}
	for _, p := range c.ways {
		p.Cut()
		p.Heal()
	}
	op = c.plane.Rest(op.ID)
	// A quick run may have copied all by then, and looks at it again, or begins to show it.
	amid := op.Stage == understudy.StageCopy || op.Stage == understudy.StageProve || op.Stage == understudy.StagePublish
	if codeOf(op) != "US725" || op.Error.Object.Site != west || !strings.Contains(op.Error.Fix, "realm") || !amid {
		c.Errorf("without tickets the run is %s at %s: %v", op.State, op.Stage, op.Error)
	}
	c.Logf("%v", op.Error)
	c.must(c.kdc.Bar(us, false))
	if op = c.plane.Act(c.plane.Retry, control.ActRequest{Operation: op.ID}); op.State != control.Committed {
		c.Fatalf("the run with tickets is %s at %s: %v", op.State, op.Stage, op.Error)
	}
	c.same()
}
