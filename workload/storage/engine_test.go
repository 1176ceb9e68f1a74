package storage

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/distcp"
	"github.com/understudy-dr/understudy/offload/yarn"
	"github.com/understudy-dr/understudy/wire/hdfs"
	"github.com/understudy-dr/understudy/workload"
)

// onYARN is a workload between two HDFS clusters whose YARN is the given server.
func onYARN(t *testing.T, engine understudy.Engine, says http.Handler) *Workload {
	t.Helper()
	s := httptest.NewServer(says)
	t.Cleanup(s.Close)
	spec := yarnSpec(engine, s.Listener.Addr().String())
	if bad := validate(spec); len(bad) != 0 {
		t.Fatalf("it is refused: %+v", bad[0].Err)
	}
	w, err := open(spec, workload.Opening{ControlPlane: "cp-1"})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func yarnSpec(engine understudy.Engine, address string) workload.Spec {
	cluster := func(name string) *HDFS {
		return &HDFS{Namenodes: []string{name + ":8020"}, User: "ada", YARN: &YARN{ResourceManagers: []string{address}, History: address, Queue: "copy"}}
	}
	return workload.Spec{
		Plan: "p", Name: "w", Kind: Name, Engine: engine, Home: "east", Sites: []understudy.Site{"east", "west"},
		Config:   &Config{Trees: []Tree{{Path: "/data"}}},
		Clusters: map[understudy.Site]any{"east": cluster("e"), "west": cluster("w")},
	}
}

// manager answers as a ResourceManager was seen to, with a queue in a state and with memory left.
func manager(queue, state string, nodes, free int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said := map[string]string{
			"metrics":   `{"clusterMetrics":{"activeNodes":` + strconv.Itoa(nodes) + `,"totalMB":8192,"availableMB":` + strconv.Itoa(free) + `}}`,
			"info":      `{"clusterInfo":{"state":"STARTED","haState":"ACTIVE","hadoopVersion":"3.4.1"}}`,
			"scheduler": `{"scheduler":{"schedulerInfo":{"type":"capacityScheduler","queueName":"root","queues":{"queue":[{"queueName":"` + queue + `","state":"` + state + `"}]}}}}`,
		}[strings.TrimPrefix(r.URL.Path, "/ws/v1/cluster/")]
		if said == "" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, said)
	})
}

// kerberized answers as a ResourceManager that wants Kerberos.
func kerberized(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("WWW-Authenticate", "Negotiate")
	w.WriteHeader(http.StatusUnauthorized)
}

// planAt is a plan for one stage from east to west.
func (w *Workload) planAt(t *testing.T, verb understudy.Verb) *plan {
	t.Helper()
	f := &facts{Sites: map[understudy.Site]siteFacts{}}
	p := &plan{w: w, facts: f, stage: understudy.Stage{Verb: verb, Old: "east", To: "west"}}
	p.seen.Sites = map[understudy.Site]workload.SiteFacts{}
	for _, s := range w.siteNames() {
		p.seen.Sites[s] = workload.SiteFacts{Presence: workload.Present}
		f.Sites[s] = siteFacts{YARN: w.lookAtYARN(t.Context(), s)}
	}
	return p
}

// TestTheEngineIsChosenByPlanAndYARN holds what a run's steps say, and what refuses them, to the plan and to what YARN says of itself.
func TestTheEngineIsChosenByPlanAndYARN(t *testing.T) {
	well := manager("copy", "RUNNING", 2, 4096)
	for _, c := range []struct {
		name   string
		engine understudy.Engine
		verb   understudy.Verb
		yarn   http.Handler
		wanted distcp.Engine
		says   string
		code   understudy.Code
		level  string
	}{
		{"distcp", understudy.DistCp, understudy.Replicate, well, distcp.DistCp, "let DistCp on YARN", "", "ok"},
		{"auto", understudy.Auto, understudy.Protect, well, distcp.Auto, "let the engine", "", "ok"},
		{"native", understudy.Native, understudy.Replicate, well, distcp.Native, "stage what", "", ""},
		{"distcp while fenced", understudy.DistCp, understudy.Failback, well, distcp.Auto, "let the engine", "", "ok"},
		{"distcp, Kerberos", understudy.DistCp, understudy.Protect, http.HandlerFunc(kerberized), distcp.DistCp, "", "US660", "refuse"},
		{"auto, Kerberos", understudy.Auto, understudy.Protect, http.HandlerFunc(kerberized), distcp.Native, "wants Kerberos", "", "warning"},
		{"distcp, no queue", understudy.DistCp, understudy.Replicate, manager("other", "RUNNING", 2, 4096), distcp.DistCp, "", "US720", "refuse"},
		{"distcp, stopped queue", understudy.DistCp, understudy.Replicate, manager("copy", "STOPPED", 2, 4096), distcp.DistCp, "", "US720", "refuse"},
		{"distcp, no node", understudy.DistCp, understudy.Replicate, manager("copy", "RUNNING", 0, 0), distcp.DistCp, "", "US720", "refuse"},
		{"distcp, no room", understudy.DistCp, understudy.Replicate, manager("copy", "RUNNING", 2, 100), distcp.DistCp, "let DistCp", "", "warning"},
		{"auto, no queue", understudy.Auto, understudy.Replicate, manager("other", "RUNNING", 2, 4096), distcp.Native, `the queue "copy" is not there`, "", "warning"},
		{"distcp, silent", understudy.DistCp, understudy.Reprotect, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }),
			distcp.DistCp, "", "US661", "warning"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := onYARN(t, c.engine, c.yarn)
			p := w.planAt(t, c.verb)
			if got := p.engine(); got.wanted() != c.wanted || c.says != "" && !strings.Contains(got.stages("stage what"), c.says) {
				t.Errorf("the engine is %+v", got)
			}
			p.checkEngine()
			var code understudy.Code
			if e := understudy.AsError(p.err); p.err != nil {
				code = e.Code
			}
			if code != c.code {
				t.Errorf("error = %v, want %q", p.err, c.code)
			}
			found := w.yarnFindings("west", p.facts.Sites["west"].YARN)
			switch {
			case c.level == "" && len(found) == 0:
			case len(found) != 1 || found[0].Level != c.level:
				t.Errorf("findings = %+v, want %s", found, c.level)
			default:
				t.Log(found[0].Summary)
			}
		})
	}
}

func TestSpecificationsOfEnginesAreChecked(t *testing.T) {
	for _, c := range []struct {
		name, says string
		code       understudy.Code
		change     func(east, west *HDFS, s *workload.Spec)
	}{
		{"a site without YARN", "needs YARN at every site", "US700", func(_, w *HDFS, _ *workload.Spec) { w.YARN = nil }},
		{"a site without HDFS", "is no HDFS", "US700", func(_, _ *HDFS, s *workload.Spec) { s.Clusters["west"] = &Local{Root: "/mnt"} }},
		{"Kerberos", "Kerberos cannot be used", "US660", func(_, w *HDFS, _ *workload.Spec) { w.User, w.Kerberos = "", &Kerberos{Principal: "a@B", Keytab: "k"} }},
		{"a pair without a name", "one name for several", "US700", func(_, w *HDFS, _ *workload.Spec) { w.Namenodes = []string{"a:1", "b:1"} }},
		{"a source without a name", "the other site's YARN", "US700", func(e, _ *HDFS, s *workload.Spec) {
			s.Engine, e.YARN, e.Namenodes = understudy.Auto, nil, []string{"a:1", "b:1"}
		}},
		{"a wrong name", "no name of a file system", "US700", func(_, w *HDFS, _ *workload.Spec) { w.URI = "west" }},
		{"no manager", "no ResourceManager", "US700", func(_, w *HDFS, _ *workload.Spec) { w.YARN.ResourceManagers = nil }},
		{"a manager without a port", "no web address", "US700", func(_, w *HDFS, _ *workload.Spec) { w.YARN.ResourceManagers = []string{"rm"} }},
		{"a history with a path", "no web address", "US700", func(_, w *HDFS, _ *workload.Spec) { w.YARN.History = "http://h:1/ws" }},
		{"a relative staging", "plain absolute path", "US700", func(_, w *HDFS, _ *workload.Spec) { w.YARN.Staging = "tmp" }},
		{"a property that switches a proof off", "dfs.checksum.combine.mode is not a site's", "US700", func(_, w *HDFS, _ *workload.Spec) {
			w.YARN.Properties = map[string]string{"dfs.nameservices": "east", "dfs.checksum.combine.mode": "MD5MD5CRC"}
		}},
		{"maps", "not negative", "US700", func(_, w *HDFS, _ *workload.Spec) { w.YARN.Maps = -1 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := yarnSpec(understudy.DistCp, "rm:8088")
			if bad := validate(s); len(bad) != 0 {
				t.Fatalf("a good one: %+v", bad[0].Err)
			}
			c.change(s.Clusters["east"].(*HDFS), s.Clusters["west"].(*HDFS), &s)
			bad := validate(s)
			if len(bad) != 1 || bad[0].Err.Code != c.code || !strings.Contains(bad[0].Err.Summary, c.says) {
				t.Errorf("found %+v, want %s: %s", bad, c.code, c.says)
			}
		})
	}
	s := yarnSpec(understudy.DistCp, "https://rm:8090")
	w := s.Clusters["west"].(*HDFS)
	w.Namenodes, w.URI = []string{"a:1", "b:1"}, "hdfs://west/"
	if bad := validate(s); len(bad) != 0 || w.name() != "hdfs://west" {
		t.Errorf("a pair with a name: %+v, %s", bad, w.name())
	}
}

// TestGoodAnswersOfYARNHold asks once for many looks, and again while it is silent.
func TestGoodAnswersOfYARNHold(t *testing.T) {
	var asked atomic.Int64
	fails := atomic.Bool{}
	fails.Store(true)
	good := manager("copy", "RUNNING", 1, 2048)
	w := onYARN(t, understudy.Auto, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if fails.Load() {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		good.ServeHTTP(rw, r)
	}))
	for range 2 {
		if f := w.lookAtYARN(t.Context(), "west"); f.Error == nil || f.Error.Code != "US661" {
			t.Errorf("a silent one: %+v", f)
		}
	}
	fails.Store(false)
	before := asked.Load()
	for range 5 {
		if f := w.lookAtYARN(t.Context(), "west"); f.Error != nil || f.Version != "3.4.1" || f.Nodes != 1 || f.FreeMB != 2048 {
			t.Errorf("a good one: %+v", f)
		}
	}
	if n := asked.Load() - before; before != 2 || n != 4 {
		t.Errorf("it was asked %d times while silent, and %d times then", before, n)
	}
}

// docked is a target of which nothing is asked but places.
type docked struct{ filecopy.Target }

func (docked) Berth(string, filecopy.Entry) (filecopy.Handle, error) { return "", nil }
func (docked) Adopt(context.Context, filecopy.Handle) error          { return nil }
func (docked) BerthRoot(lot string) string                           { return "/area/" + lot }
func (docked) BerthPath(h filecopy.Handle) (string, error)           { return "/area/" + string(h), nil }

// TestSilentYARNHoldsUpNoHalt has a link halted whose job nobody can kill: it is told, and only where the folder is barred.
func TestSilentYARNHoldsUpNoHalt(t *testing.T) {
	y, err := yarn.New(yarn.Options{ResourceManagers: []string{"127.0.0.1:1"}, User: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	load := filecopy.Load{Lot: "lot", Target: docked{}, Recall: func(context.Context) ([]byte, error) { return nil, nil }}
	for folder, held := range map[string]bool{"e1": true, "halted-e1": false} {
		j := &job{args: stepArgs{Folder: folder}, step: understudy.Step{Site: "west"}}
		p := &porter{Carrier: &distcp.Carrier{Config: distcp.Config{YARN: y, TargetURI: "hdfs://w"}}, job: j}
		err := p.Drop(t.Context(), load)
		if (understudy.KindOf(err) == understudy.KindUnreachable) != held || (len(j.warnings) == 1) == held {
			t.Errorf("in %s: %v, warnings %v", folder, err, j.warnings)
		}
	}
}

// TestWhatIsSaidOfACarrier holds progress and receipt to what a mover tells.
func TestWhatIsSaidOfACarrier(t *testing.T) {
	var told understudy.StepProgress
	j := &job{args: stepArgs{Tree: "/data", Engine: &engineArgs{Wanted: understudy.Auto}}, run: understudy.Run{Report: func(p understudy.StepProgress) { told = p }}}
	c := carriage{job: j}
	tell := c.follow(j.progress())
	at := filecopy.Progress{Phase: filecopy.PhaseStage, Why: "far", Carrying: true, TotalBytes: 4 << 20, Rate: 1 << 20, Left: 3 * time.Second}
	at.Carried = filecopy.Carried{Said: "application_1_0001 is RUNNING, 25%", Files: 7, Bytes: 1 << 20}
	tell(at)
	if told.Text != "carry /data: application_1_0001 is RUNNING, 25%, 7 files, 1 MiB/s, 3s left" || told.Done != 1<<20 || told.Total != 4<<20 || told.Unit != "bytes" {
		t.Errorf("told %+v", told)
	}
	at.Carrying, at.Bytes, at.Missed = false, 2<<20, 1
	tell(at)
	if !strings.HasPrefix(told.Text, "stage /data") || told.Done != 2<<20 {
		t.Errorf("told %+v", told)
	}
	if got := c.said(); got != "; by DistCp: application_1_0001 is RUNNING, 25%, 7 files, 1 MiB brought, 1 not whole and copied by the native mover; far" {
		t.Errorf("said %q", got)
	}
	c.last = filecopy.Progress{Why: "small"}
	if got := c.said(); got != "; by the native mover: small" {
		t.Errorf("said %q", got)
	}
	j.args.Engine = &engineArgs{Wanted: understudy.Native, Why: "YARN is away"}
	if got := c.said(); got != "; by the native mover: YARN is away" {
		t.Errorf("said %q", got)
	}
	j.args.Engine = nil
	if got := c.said(); got != "" {
		t.Errorf("said %q", got)
	}
}

// TestTheChoiceGoesByThePlansFigures has the plan say how fast a member moves, and what the way carries.
func TestTheChoiceGoesByThePlansFigures(t *testing.T) {
	for _, c := range []struct {
		mover, link understudy.Size
		takes       bool
		why         string
	}{
		{0, 0, false, "below 10m0s YARN is not worth its trouble"},
		{1 << 20, 0, true, "100 files of 1073741824 bytes take our own mover about 17m4s, and 20 maps about 1m1s"},
		{1 << 20, 1 << 20, false, "the link is the limit"},
	} {
		w := onYARN(t, understudy.Auto, manager("copy", "RUNNING", 1, 4096))
		w.cfg.Mover, w.cfg.Link = c.mover, c.link
		j := &job{w: w, step: understudy.Step{Site: "west"}, args: stepArgs{From: "east", Engine: w.planAt(t, understudy.Replicate).engine()}}
		k, err := j.carrier(held{})
		if err != nil {
			t.Fatal(err)
		}
		if takes, why := k.Takes(100, 1<<30); takes != c.takes || !strings.Contains(why, c.why) {
			t.Errorf("a mover of %d, a link of %d: %v, %s", c.mover, c.link, takes, why)
		}
	}
}

// held is a target that was opened by a client of HDFS.
type held struct{ docked }

func (held) Client() *hdfs.Client { return &hdfs.Client{} }

// TestCarriersStayWhereYARNIs has the plan changed to native: what a job left can still be ended, and no new one is begun.
func TestCarriersStayWhereYARNIs(t *testing.T) {
	for engine, takes := range map[understudy.Engine]bool{understudy.Native: false, understudy.DistCp: true} {
		w := onYARN(t, engine, manager("copy", "RUNNING", 1, 4096))
		p := w.planAt(t, understudy.Replicate)
		j := &job{w: w, step: understudy.Step{Site: "west"}, args: stepArgs{From: "east", Engine: p.engine()}}
		c, err := j.carrier(held{})
		if err != nil || c == nil {
			t.Fatalf("%s has the carrier %v, %v", engine, c, err)
		}
		if took, why := c.Takes(10, 1<<40); took != takes || !strings.Contains(why, "the plan says "+string(engine)) {
			t.Errorf("%s takes %v: %s", engine, took, why)
		}
		if c, err := j.carrier(docked{}); c != nil || err != nil {
			t.Errorf("another store has the carrier %v, %v", c, err)
		}
		w.yarn = nil
		if c, err := j.carrier(held{}); c != nil || err != nil {
			t.Errorf("a site without YARN has the carrier %v, %v", c, err)
		}
	}
}
