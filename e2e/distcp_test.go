package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	slash "path"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/lab/hdfs"
)

// convoyStory is one tree whose bytes are brought by DistCp on YARN, from its first copy over the loss of its region until it is home again.
type convoyStory struct {
	*grove
	yarn    *hdfs.YARN
	version int
	// engine and limit are the plan's: who copies, and how fast in bytes per second; 0 is no limit.
	engine string
	limit  int
	// slow has the plan say that our own mover brings one kB in a second, so that small sets are large ones.
	slow bool
	// spread has each map run in a container of its own; else the application master runs them, which saves the starts of JVMs.
	spread bool
}

// distcpOnYARN tells the story of the engine distcp: one YARN runs the jobs into both sites.
func distcpOnYARN(t *testing.T, l *lake) {
	s := &convoyStory{grove: l.plant(t, "northwind", "/data/big"), engine: "distcp"}
	s.yarn = hdfs.BootYARN(t, l.west, hdfs.YARNOptions{})
	for _, act := range []struct {
		name string
		play func()
	}{
		{"protect, killed while its job runs, and a map of the job too", s.protect},
		{"publish under a reader", s.publish},
		{"abort", s.abort},
		{"the engine is chosen by size", s.choose},
		{"the region is lost", s.loseRegion},
		{"reprotect", s.reprotect},
		{"failback", s.comeHome},
		{"verify", func() { s.p.run("verify", s.plan) }},
	} {
		begun := time.Now()
		act.play()
		t.Logf("--- %s: %v", act.name, time.Since(begun).Round(100*time.Millisecond))
		if t.Failed() {
			t.Fatalf("it went wrong at: %s", act.name)
		}
	}
}

// documents are both sites with YARN, and the plan.
func (s *convoyStory) documents() string {
	site := func(name string, c *hdfs.Cluster) string {
		// The jobs into the east leave their history where the history server looks, too.
		properties := map[string]string{
			"mapreduce.jobhistory.intermediate-done-dir": "hdfs://" + s.lake.west.Addr() + "/tmp/hadoop-yarn/done_intermediate",
			"mapreduce.job.ubertask.enable":              fmt.Sprint(!s.spread),
			"mapreduce.task.progress-report.interval":    "500",
		}
		all, err := json.Marshal(properties)
		must(s.t, err)
		return fmt.Sprintf(`site: %s
clusters:
  lake:
    hdfs:
      namenodes: [%s]
      user: %s
      writer: { user: %s }
      superUsers: [%s]
      yarn:
        resourceManagers: [%q]
        history: %q
        classpath: %q
        maps: 2
        mapMemory: 384MiB
        masterMemory: 384MiB
        properties: %s
---
`, name, c.Addr(), hdfs.Superuser, appUser, hdfs.Superuser, s.yarn.HTTP(), s.yarn.HistoryHTTP(), s.yarn.ContainerClasspath(), all)
	}
	plan := strings.Replace(s.treePlan("standby-secondary", "every 4h"), "    cluster: lake\n", "    cluster: lake\n    engine: "+s.engine+"\n", 1)
	if s.limit > 0 {
		plan += fmt.Sprintf("    bandwidth: [{ from: \"00:00\", to: \"00:00\", limit: %dkB }]\n", s.limit/1000)
	}
	if s.slow {
		plan += "    mover: 1kB\n"
	}
	return site("east", s.lake.east) + site("west", s.lake.west) + plan
}

// change writes a new version of the hot files, and files that make a job last.
func (s *convoyStory) change() {
	s.version++
	files := s.hot(s.version)
	for i := range 12 {
		files = append(files, s.file(fmt.Sprintf("bulk/d%d/f%d", i%2, i), 200_000, 100*s.version+i))
	}
	s.puts(s.lake.east, files...)
}

// application is one of YARN's, as its ResourceManager tells.
type application struct {
	ID, State, FinalStatus string
}

// applications asks YARN itself for all that it ran, oldest first.
func (s *convoyStory) applications() []application {
	s.t.Helper()
	resp, err := http.Get("http://" + s.yarn.HTTP() + "/ws/v1/cluster/apps")
	must(s.t, err)
	defer resp.Body.Close()
	var list struct {
		Apps *struct{ App []application }
	}
	must(s.t, json.NewDecoder(resp.Body).Decode(&list))
	if list.Apps == nil {
		return nil
	}
	return slices.SortedFunc(slices.Values(list.Apps.App), func(a, b application) int { return strings.Compare(a.ID, b.ID) })
}

// ended wants YARN to have run so many applications, the last of which ended like this, and nothing of them to be left in a site's staging.
func (s *convoyStory) ended(n int, state, final string, c *hdfs.Cluster) {
	s.t.Helper()
	all := s.applications()
	if len(all) != n || all[n-1].State != state || all[n-1].FinalStatus != final {
		s.t.Errorf("YARN ran %+v, want %d, the last %s", all, n, final)
	}
	left, err := s.below(s.t.Context(), c, s.yarn.StagingDir()+"/"+hdfs.Superuser+"/.staging")
	must(s.t, err)
	for _, p := range left {
		if slash.Base(p) != ".staging" {
			s.t.Errorf("left by a job in the %s: %s", c.Name(), p)
		}
	}
}

// carrying waits until an operation says that its job runs, with live counters, and gives the application and what was said.
func (s *convoyStory) carrying(op string) (id, said string) {
	s.t.Helper()
	eventually(s.t, patience, "the job brings files", func() error {
		v, err := get[struct {
			State string
			Now   *struct {
				Text        string
				Done, Total int64
			}
		}](s.p, "/v1/operations/"+op)
		if err != nil {
			return err
		}
		if v.State != "running" && v.State != "validated" {
			s.t.Fatalf("the operation is %s", v.State)
		}
		if v.Now == nil || v.Now.Done == 0 || !strings.Contains(v.Now.Text, "RUNNING") || !strings.Contains(v.Now.Text, "/s, ") {
			return fmt.Errorf("it says %+v", v.Now)
		}
		said = v.Now.Text
		return nil
	})
	all := s.applications()
	id = all[len(all)-1].ID
	if !strings.Contains(said, id) {
		s.t.Errorf("%q does not name %s", said, id)
	}
	return id, said
}

// staged is what the report says about the copying of the tree.
func staged(t *testing.T, r reportView) string {
	t.Helper()
	for _, stage := range r.Stages {
		for _, x := range stage.Steps {
			if x.Step.Kind == "copy" && x.Receipt != nil {
				t.Logf("%s: %s", r.Operation.Verb, x.Receipt.Summary)
				return x.Receipt.Summary
			}
		}
	}
	t.Fatalf("%s copied nothing", r.Operation.Verb)
	return ""
}

// protect kills serve and then a map while the job runs. There is one application all the time.
func (s *convoyStory) protect() {
	t := s.t
	s.change()
	s.puts(s.lake.east, s.file("odd/zero", 0, 1), s.file("odd/ä b%20c+#", 100, 2))
	s.limit, s.spread = 200_000, true
	s.p = s.serve(t, "")
	s.p.apply(s.documents())
	found := s.p.run("doctor", s.plan).stdout
	if !strings.Contains(found, "takes jobs: 1 NodeManagers") {
		t.Errorf("doctor says nothing of YARN: %s", found)
	}
	op := s.p.begin("protect", s.plan)
	id, said := s.carrying(op.ID)
	if now := s.p.run("status", s.plan).stdout; !strings.Contains(now, id) {
		t.Errorf("status does not tell of %s: %s", id, now)
	}
	s.p.kill()
	t.Logf("killed serve at: %s", said)
	maps, err := s.yarn.Containers(id, "YarnChild")
	must(t, err)
	if len(maps) == 0 {
		t.Fatalf("no map of %s runs", id)
	}
	must(t, syscall.Kill(maps[0], syscall.SIGKILL))
	s.p.revive()
	eventually(t, 3*patience, "protect has ended", func() error {
		end, err := get[operationView](s.p, "/v1/operations/"+op.ID)
		if err == nil && end.State != "committed" {
			err = fmt.Errorf("it is %s, error %+v", end.State, end.Error)
		}
		return err
	})
	if said := staged(t, s.p.report("report", op.ID)); !strings.Contains(said, "by DistCp: "+id+" is FINISHED, SUCCEEDED, 18 files") || !strings.Contains(said, "the plan says distcp") {
		t.Errorf("the report says %q", said)
	}
	s.ended(1, "FINISHED", "SUCCEEDED", s.lake.west)
	s.settled()
	s.same()
	s.denied(s.lake.west)
}

// publish replaces files under the eyes of a reader and of the NameNode's own record of every edit, of which plain DistCp is the
// negative control.
func (s *convoyStory) publish() {
	t, west := s.t, s.lake.west
	s.limit, s.spread = 0, false
	s.p.apply(s.documents())
	before := s.dump(west)
	since, err := s.judge.Mark(t.Context(), west.Access())
	must(t, err)
	readers := s.watch(west, s.version)
	s.change()
	if said := staged(t, s.p.report("replicate", s.plan)); !strings.Contains(said, "16 files") {
		t.Errorf("the report says %q", said)
	}
	now := s.same()
	select {
	case <-readers.fresh:
	case <-time.After(patience):
		t.Error("no reader saw the new set")
	}
	readers.end(t)
	if missing := s.gone(west, before, since, now); len(missing) > 0 {
		t.Errorf("files were missing at the target:\n%s", some(missing))
	}
	s.ended(2, "FINISHED", "SUCCEEDED", west)
}

// abort turns a run back while its job is at work: the job is killed, and what it brought is gone.
func (s *convoyStory) abort() {
	t := s.t
	s.limit = 200_000
	s.p.apply(s.documents())
	before := s.dump(s.lake.west)
	s.change()
	op := s.p.begin("replicate", s.plan)
	id, _ := s.carrying(op.ID)
	s.p.run("abort", op.ID)
	if end := s.p.rested(op.ID); end.State != "aborted" {
		t.Fatalf("the run is %+v, error %+v", end, end.Error)
	}
	s.ended(3, "KILLED", "KILLED", s.lake.west)
	if d := before.Diff(s.dump(s.lake.west), 10); d != nil {
		t.Errorf("%s was killed, and the target changed:\n%s", id, some(d))
	}
	s.limit = 0
}

// choose lets the size decide from here on: a set is small, until the plan says that our own mover is slow.
func (s *convoyStory) choose() {
	s.engine = "auto"
	s.p.apply(s.documents())
	if said := staged(s.t, s.p.report("replicate", s.plan)); !strings.Contains(said, "by the native mover: 16 files") || !strings.Contains(said, "YARN is not worth its trouble") {
		s.t.Errorf("the report says %q", said)
	}
	s.same()
	s.slow = true
	s.p.apply(s.documents())
}

// loseRegion kills the primary after a write that no run has taken, and fails over.
func (s *convoyStory) loseRegion() {
	want := s.dump(s.lake.east)
	s.puts(s.lake.east, s.file("lost", 10, 1))
	must(s.t, s.lake.east.Kill())
	r := s.p.report("failover", s.plan, "--confirm", s.plan, "--accept-fence", "FA", "--as", "ada", "--max-loss", "10m")
	r.times(s.t)
	if d := want.Diff(s.dump(s.lake.west), 10); d != nil {
		s.t.Errorf("the east as it was published here, the west there:\n%s", some(d))
	}
	s.puts(s.lake.west, s.file("new/n1", 700_000, 7), s.file("new/n2", 0, 8))
	s.p.report("commit", s.plan)
}

// reprotect brings the new files to the old primary by a job into the east, which their size asks for.
func (s *convoyStory) reprotect() {
	must(s.t, s.lake.east.Restart(s.t.Context()))
	s.p.await(s.plan, "the old primary is fenced", func(w workloadView, _ statusView) bool {
		return len(w.Old) == 1 && w.Old[0].State == "fenced"
	})
	r := s.p.report("reprotect", s.plan, "--confirm", s.plan)
	if said := staged(s.t, r); !strings.Contains(said, "SUCCEEDED") || !strings.Contains(said, "take our own mover about 11m") || !strings.Contains(said, "and 2 maps about 1m") {
		s.t.Errorf("the report says %q", said)
	}
	s.ended(4, "FINISHED", "SUCCEEDED", s.lake.east)
	s.settled()
	s.same()
	s.denied(s.lake.east)
}

// comeHome switches back: while the source is fenced, nobody waits for YARN.
func (s *convoyStory) comeHome() {
	s.puts(s.lake.west, s.file("new/n3", 700, 9))
	r := s.p.report("failback", s.plan, "--confirm", s.plan)
	r.times(s.t)
	if said := staged(s.t, r); !strings.Contains(said, "by the native mover") || !strings.Contains(said, "YARN is not worth its trouble") {
		s.t.Errorf("the report says %q", said)
	}
	s.same()
	s.denied(s.lake.west)
	s.p.report("commit", s.plan)
	s.settled()
}
