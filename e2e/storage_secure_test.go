package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/lab/kerberos"
)

// secureStory is a tree whose second site is a pair of NameNodes that lets in nobody without a ticket.
type secureStory struct {
	*grove
	kdc *kerberos.KDC
	// pair is the second site, and guest Hadoop's own client with a ticket for it.
	pair  *hdfs.Cluster
	guest *hdfs.Client
	// order is that in which the NameNodes are asked.
	order string
}

// ourPrincipal is understudy's; the realm's principals and the secrets with their keytabs have the same names.
const ourPrincipal = "understudy"

// securePair replicates, and fails over, to the pair while its NameNodes change places.
func securePair(t *testing.T, l *lake) {
	s := &secureStory{grove: l.plant(t, "guarded", "/data/guarded"), kdc: kerberos.Boot(t, kerberos.Options{}), order: "nn1,nn2"}
	s.pair = hdfs.Boot(t, hdfs.Options{Name: "pair", HA: true, DataNodes: 1, Kerberos: s.kdc, Protection: hdfs.Privacy, Properties: map[string]string{
		"hadoop.user.group.static.mapping.overrides": hdfs.Superuser + "=supergroup;" + ourPrincipal + "=supergroup",
	}})
	s.guest = hdfs.OpenClient(t, s.kdc)
	s.turnedAway()
	s.protects()
	s.replicatesOver()
	s.takesOver()
}

// access is a superuser's to the pair. Hadoop's client asks the NameNodes in this order, each time anew, and is patient with a dead one.
func (s *secureStory) access() hdfs.Access {
	a := s.pair.Access()
	a.Properties["dfs.ha.namenodes."+s.pair.Name()] = s.order
	return a
}

// keytab is the file with a principal's keys.
func (s *secureStory) keytab(principal string) string {
	return answer(s.kdc.Keytab(principal))(s.t)
}

// documents are those of both sites and the plan; the secret is that of understudy's keytab.
func (s *secureStory) documents(secret string) string {
	login := func(principal, secret string) string {
		return fmt.Sprintf("{ principal: %s@%s, keytab: %s, config: %s, service: hdfs/localhost, protection: privacy, dataProtection: privacy }",
			principal, s.kdc.Name(), secret, s.kdc.Config())
	}
	return treeSite("east", s.lake.east, "") + fmt.Sprintf(`site: west
clusters:
  lake:
    hdfs:
      namenodes: [%s]
      kerberos: %s
      writer: { kerberos: %s }
      superUsers: [%s, %s]
---
`, strings.Join(s.pair.Addrs(), ", "), login(ourPrincipal, secret), login(appUser, appUser), hdfs.Superuser, ourPrincipal) +
		s.treePlan("standby-secondary", "every 4h")
}

// turnedAway has the plan looked at with somebody else's keys before it is applied.
func (s *secureStory) turnedAway() {
	s.p = s.serve(s.t, fmt.Sprintf("secrets: { %s: { file: %s }, %s: { file: %s } }\n", ourPrincipal, s.keytab(ourPrincipal), appUser, s.keytab(appUser)))
	file := filepath.Join(s.p.dir, "wrong.yaml")
	must(s.t, os.WriteFile(file, []byte(s.documents(appUser)), 0o600))
	if o := s.p.try("validate", "--live", file); o.status != 5 || !strings.Contains(o.stdout, "US725") || !strings.Contains(o.stdout, "keytab") {
		s.t.Errorf("with the keys of another: %v", o)
	}
}

// protects makes the first copy, and has doctor find nothing.
func (s *secureStory) protects() {
	s.puts(s.lake.east, s.crowd(1)...)
	s.p.apply(s.documents(ourPrincipal))
	s.tell(s.p.report("protect", s.plan))
	s.settled()
	s.p.run("doctor", s.plan)
	s.alike()
}

// crowd is a version of many small files and a large one.
func (s *secureStory) crowd(version int) []hdfs.File {
	files := []hdfs.File{s.file("big", 3<<20, version)}
	for i := range crowdFiles {
		files = append(files, s.file(fmt.Sprintf("crowd/d%d/f%d", i%5, i), int64(i)*100, version*1000+i))
	}
	return files
}

// alike wants both sides to be the same in every path, attribute and byte, but for the roots.
func (s *secureStory) alike() {
	s.t.Helper()
	there, err := s.guest.Dump(s.t.Context(), s.access(), s.root)
	must(s.t, err)
	there.Entries = slices.DeleteFunc(there.Entries, func(e hdfs.Entry) bool { return e.Path == s.root })
	if d := s.dump(s.lake.east).Diff(there, 10); d != nil {
		s.t.Fatalf("east here, the pair there:\n%s", strings.Join(d, "\n"))
	}
}

// replicatesOver kills the active NameNode of the pair while a run copies.
func (s *secureStory) replicatesOver() {
	t := s.t
	s.puts(s.lake.east, s.crowd(2)...)
	op := s.p.begin("replicate", s.plan)
	every(t, blink, patience, "something is staged", func() error {
		tree, err := s.guest.List(t.Context(), s.pair.Access(), "/data/.guarded.understudy")
		if err != nil {
			return err // what it lists comes and goes
		}
		staged := len(slices.DeleteFunc(tree.Paths(), func(p string) bool { return !strings.Contains(p, "/staging/") }))
		if staged < 3 {
			return fmt.Errorf("%d paths are staged", staged)
		}
		t.Logf("the active NameNode is killed with %d paths staged", staged)
		return nil
	})
	must(t, s.pair.NameNode(1).Kill())
	must(t, s.guest.Failover(t.Context(), s.pair.Access(), 2))
	s.order = "nn2,nn1"
	if end := s.p.rested(op.ID); end.State != "committed" {
		t.Fatalf("the run over a failover is %+v, error %+v", end, end.Error)
	}
	s.alike()
}

// takesOver fails over to the pair under a writer. Its active NameNode is killed while the last set is shown, and the operation ends at the other
// one; the old side answers and is fenced, so nothing is lost.
func (s *secureStory) takesOver() {
	t := s.t
	must(t, s.pair.NameNode(1).Restart(t.Context()))
	s.puts(s.lake.east, s.crowd(3)...)
	load := s.writes(s.lake.east, "late")
	load.more(t, 10)
	op := s.p.begin("failover", s.plan, "--confirm", s.plan)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, s.p.watch(ctx, op.ID, 0, func(v eventView) bool { return v.Kind == "intent" && v.Step != nil && v.Step.Kind == "publish" }))
	must(t, s.pair.NameNode(2).Kill())
	died := time.Now()
	must(t, s.guest.Failover(t.Context(), s.pair.Access(), 1))
	s.order = "nn1,nn2"
	t.Logf("the other NameNode is active after %v", time.Since(died))
	s.goesOn(op.ID, died)
	<-load.done
	s.alike()
	there, err := s.guest.List(t.Context(), s.access(), s.root)
	must(t, err)
	acked := load.end()
	if lost, _ := lostOf(t, acked, there, time.Time{}); len(lost) > 0 {
		t.Errorf("the failover lost %d of %d acknowledged files", len(lost), len(acked))
	}
	s.denied(s.lake.east)
	app := s.access()
	app.User, app.Keytab = appUser+"@"+s.kdc.Name(), s.keytab(appUser)
	must(t, s.guest.Put(t.Context(), app, s.file("new", 77, 3)))
	s.p.report("commit", s.plan)
	s.p.report("reprotect", s.plan, "--confirm", s.plan)
	s.settled()
	s.alike()
}

// goesOn wants an operation to have lived through the death of a NameNode. Where none took over for so long that it paused, it goes on when it
// is told to.
func (s *secureStory) goesOn(id string, died time.Time) {
	t := s.t
	t.Helper()
	end := s.p.rested(id)
	if end.State == "paused" {
		t.Logf("paused at %s: %+v", end.Stage, end.Error)
		s.p.run("retry", id)
		end = s.p.rested(id)
	}
	if end.State != "commit-window" || !end.Promoted {
		t.Fatalf("the failover over a failover is %+v, error %+v", end, end.Error)
	}
	r, err := get[reportView](s.p, "/v1/operations/"+id+"/report")
	must(t, err)
	r.times(t)
	for _, stage := range r.Stages {
		for _, x := range stage.Steps {
			if x.Step.Kind == "publish" && !x.Ended.After(died) {
				t.Log("the set was shown before the NameNode died, which met a later step")
			}
		}
	}
}
