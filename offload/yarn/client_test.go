package yarn_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/offload/yarn"
)

const appID = "application_1795347991433_0007"

// answers is a server that says what it was told to, by method and path, and remembers what it was asked.
type answers struct {
	mu    sync.Mutex
	says  map[string]answer
	asked []asked
}

type answer struct {
	status int
	header http.Header
	body   string
}

type asked struct {
	what, query, body string
}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	what := r.Method + " " + r.URL.Path
	a.mu.Lock()
	a.asked = append(a.asked, asked{what, r.URL.RawQuery, string(body)})
	say, ok := a.says[what]
	a.mu.Unlock()
	if !ok {
		say = answer{status: http.StatusNotFound, body: `{"RemoteException":{"exception":"NotFoundException","message":"app not found"}}`}
	}
	for name, values := range say.header {
		w.Header()[name] = values
	}
	w.WriteHeader(max(say.status, http.StatusOK))
	_, _ = io.WriteString(w, say.body)
}

func (a *answers) last() asked {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked[len(a.asked)-1]
}

// serve starts such servers and gives a client of them; the last is the history server too.
func serve(t *testing.T, all ...*answers) *yarn.Client {
	t.Helper()
	o := yarn.Options{User: "ada"}
	for _, a := range all {
		s := httptest.NewServer(a)
		t.Cleanup(s.Close)
		o.ResourceManagers, o.History = append(o.ResourceManagers, s.Listener.Addr().String()), s.URL
	}
	c, err := yarn.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wants holds an error to a code that has a page, and to a kind.
func wants(t *testing.T, err error, code understudy.Code, kind understudy.ErrorKind) {
	t.Helper()
	var e *understudy.Error
	if !errors.As(err, &e) || e.Code != code || e.Kind != kind {
		t.Errorf("error = %v, want %s of kind %s", err, code, kind)
	}
	if _, ok := understudy.Explain(code); !ok {
		t.Errorf("%s has no page", code)
	}
}

func TestReportsAreRead(t *testing.T) {
	one := `{"id":"` + appID + `","user":"ada","name":"n","queue":"default","state":"FINISHED","finalStatus":"SUCCEEDED","progress":100.0,` +
		`"diagnostics":" well ","applicationTags":"b,a","startedTime":1795347991433,"finishedTime":1795347992433}`
	a := &answers{says: map[string]answer{"GET /ws/v1/cluster/apps/" + appID: {body: `{"app":` + one + `}`}}}
	c := serve(t, a)
	want := yarn.Report{
		ID: appID, User: "ada", Name: "n", Queue: "default", State: yarn.StateFinished, Outcome: yarn.OutcomeSucceeded, Progress: 100,
		Diagnostics: "well", Tags: []string{"a", "b"}, Started: time.UnixMilli(1795347991433).UTC(), Finished: time.UnixMilli(1795347992433).UTC(),
	}
	got, err := c.Application(t.Context(), appID)
	if err != nil || !reflect.DeepEqual(got, want) || !got.Succeeded() || !got.State.Over() {
		t.Errorf("report = %+v, %v", got, err)
	}
	if q := a.last().query; q != "user.name=ada" {
		t.Errorf("query = %s", q)
	}
	other := strings.Replace(one, `"b,a"`, `"c"`, 1)
	for list, n := range map[string]int{
		`{"apps":null}`: 0, `{"apps":{}}`: 0, `{"apps":{"app":[]}}`: 0, `{"apps":{"app":` + one + `}}`: 1,
		`{"apps":{"app":[` + one + `,` + one + `]}}`: 2, `{"apps":{"app":[` + other + `]}}`: 0,
	} {
		a.says["GET /ws/v1/cluster/apps"] = answer{body: list}
		if got, err := c.Find(t.Context(), "A"); err != nil || len(got) != n {
			t.Errorf("%s: %+v, %v", list, got, err)
		}
	}
	if q := a.last().query; q != "applicationTags=a&user.name=ada" {
		t.Errorf("query = %s", q)
	}
}

// TestSubmission holds the request to the form that a ResourceManager was seen to take.
func TestSubmission(t *testing.T) {
	a := &answers{says: map[string]answer{
		"POST /ws/v1/cluster/apps/new-application":    {body: `{"application-id":"` + appID + `","maximum-resource-capability":{"memory":8192,"vCores":4}}`},
		"POST /ws/v1/cluster/apps":                    {status: http.StatusAccepted},
		"PUT /ws/v1/cluster/apps/" + appID + "/state": {status: http.StatusAccepted, body: `{"state":"ACCEPTED"}`},
	}}
	c := serve(t, a)
	grant, err := c.NewApplication(t.Context())
	if want := (yarn.Grant{ID: appID, MemoryMB: 8192, Cores: 4}); err != nil || grant != want {
		t.Fatalf("grant = %+v, %v", grant, err)
	}
	m := yarn.MapReduce{ID: grant.ID, Name: "copy", Tags: []string{"t"}, Attempts: 2, MemoryMB: 384, Classpath: "/jars/*", Options: "-Dx=y"}
	m.Configuration = yarn.File{URL: "hdfs://nn/job.xml", Size: 3, Modified: 5}
	if err := c.Submit(t.Context(), m.Application()); err != nil {
		t.Fatal(err)
	}
	const want = `{"application-id":"application_1795347991433_0007","application-name":"copy","application-type":"MAPREDUCE","max-app-attempts":2,` +
		`"resource":{"memory":384,"vCores":1},"application-tags":{"tag":["t"]},"am-container-spec":{"local-resources":{"entry":[` +
		`{"key":"job.xml","value":{"resource":"hdfs://nn/job.xml","size":3,"timestamp":5,"type":"FILE","visibility":"APPLICATION"}},` +
		`{"key":"jobSubmitDir/job.split","value":{"resource":"","size":0,"timestamp":0,"type":"FILE","visibility":"APPLICATION"}},` +
		`{"key":"jobSubmitDir/job.splitmetainfo","value":{"resource":"","size":0,"timestamp":0,"type":"FILE","visibility":"APPLICATION"}}]},` +
		`"commands":{"command":"{{JAVA_HOME}}/bin/java -Djava.io.tmpdir={{PWD}}/tmp ` +
		`-Dlog4j.configuration=container-log4j.properties -Dyarn.app.container.log.dir=<LOG_DIR> -Dyarn.app.container.log.filesize=0 ` +
		`-Dhadoop.root.logger=INFO,CLA -XX:+IgnoreUnrecognizedVMOptions --add-opens=java.base/java.lang=ALL-UNNAMED -Xmx256m -Dx=y org.apache.hadoop.mapreduce.v2.app.MRAppMaster ` +
		`1><LOG_DIR>/stdout 2><LOG_DIR>/stderr"},"environment":{"entry":[{"key":"CLASSPATH","value":"{{PWD}}:/jars/*"}]}}}`
	if got := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(a.last().body); got != want {
		t.Errorf("body = %s", got)
	}
	if err := c.Kill(t.Context(), appID); err != nil || a.last().body != `{"state":"KILLED"}` {
		t.Errorf("kill: %v, %s", err, a.last().body)
	}
}

func TestCountersAndHistory(t *testing.T) {
	counters := `{"jobCounters":{"id":"job_1795347991433_0007","counterGroup":[{"counterGroupName":"g","counter":[{"name":"COPY","totalCounterValue":12}]}]}}`
	history := `{"job":{"id":"job_1795347991433_0007","state":"SUCCEEDED","mapsTotal":2,"failedMapAttempts":1}}`
	a := &answers{says: map[string]answer{
		"GET /proxy/" + appID + "/ws/v1/mapreduce/jobs/job_1795347991433_0007/counters": {body: counters},
		"GET /ws/v1/history/mapreduce/jobs/job_1795347991433_0007/counters":             {body: counters},
		"GET /ws/v1/history/mapreduce/jobs/job_1795347991433_0007":                      {body: history},
	}}
	c := serve(t, a)
	live, err := c.LiveCounters(t.Context(), appID)
	final, err2 := c.FinalCounters(t.Context(), appID)
	if err = errors.Join(err, err2); err != nil || live["g"]["COPY"] != 12 || !reflect.DeepEqual(live, final) {
		t.Errorf("counters = %v, %v, %v", live, final, err)
	}
	job, err := c.History(t.Context(), appID)
	if want := (yarn.Job{State: "SUCCEEDED", Maps: 2, FailedMaps: 1}); err != nil || job != want {
		t.Errorf("job = %+v, %v", job, err)
	}
	// The proxy of an application that has ended leads somewhere else, or fails.
	for _, status := range []int{http.StatusFound, http.StatusInternalServerError, http.StatusNotFound} {
		a.says["GET /proxy/"+appID+"/ws/v1/mapreduce/jobs/job_1795347991433_0007/counters"] = answer{status: status}
		_, err := c.LiveCounters(t.Context(), appID)
		wants(t, err, "US664", understudy.KindNotFound)
	}
}

// TestTheActiveOneIsFound has a ResourceManager on standby, one that is down, and an active one.
func TestTheActiveOneIsFound(t *testing.T) {
	standby := &answers{says: map[string]answer{"GET /ws/v1/cluster/apps": {status: http.StatusTemporaryRedirect, header: http.Header{"Location": {"http://elsewhere:1/"}}}}}
	down := &answers{says: map[string]answer{"GET /ws/v1/cluster/apps": {status: http.StatusServiceUnavailable}}}
	active := &answers{says: map[string]answer{"GET /ws/v1/cluster/apps": {body: `{"apps":null}`}}}
	c := serve(t, standby, down, active)
	for range 3 {
		if _, err := c.Find(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
	}
	if len(standby.asked) != 1 || len(active.asked) != 3 {
		t.Errorf("asked the one on standby %d times, the active one %d times", len(standby.asked), len(active.asked))
	}
	_, err := serve(t, standby, down).Find(t.Context(), "x")
	wants(t, err, "US661", understudy.KindUnreachable)
	_, err = serve(t, down).FinalCounters(t.Context(), appID)
	wants(t, err, "US664", understudy.KindNotFound)
	down.says["GET /ws/v1/history/mapreduce/jobs/job_1795347991433_0007/counters"] = answer{status: http.StatusServiceUnavailable}
	_, err = serve(t, down).FinalCounters(t.Context(), appID)
	wants(t, err, "US661", understudy.KindUnreachable)
}

func TestRefusals(t *testing.T) {
	said := func(status int, exception string) answer {
		return answer{status: status, body: fmt.Sprintf(`{"RemoteException":{"exception":%q,"message":"m"}}`, exception)}
	}
	for _, c := range []struct {
		name string
		say  answer
		code understudy.Code
		kind understudy.ErrorKind
		says string
	}{
		{"kerberos", answer{status: 401, header: http.Header{"Www-Authenticate": {"Negotiate"}}}, "US660", understudy.KindDenied, "Kerberos"},
		{"other authentication", answer{status: 401, header: http.Header{"Www-Authenticate": {"Basic"}}}, "US660", understudy.KindDenied, "simple"},
		{"bad request", said(400, "BadRequestException"), "US662", understudy.KindInvalid, ""},
		{"forbidden", said(403, "AuthorizationException"), "US662", understudy.KindDenied, ""},
		{"broken server", said(500, "NullPointerException"), "US662", understudy.KindRetry, ""},
		{"unknown", said(404, "NotFoundException"), "US664", understudy.KindNotFound, ""},
		{"a page", answer{body: "<html>"}, "US663", understudy.KindInvalid, ""},
		{"another application", answer{body: `{"app":{"id":"application_1_0001"}}`}, "US663", understudy.KindInvalid, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := &answers{says: map[string]answer{"GET /ws/v1/cluster/apps/" + appID: c.say}}
			_, err := serve(t, a).Application(t.Context(), appID)
			wants(t, err, c.code, c.kind)
			if err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("error = %v", err)
			}
		})
	}
}

func TestConfigurationsAreChecked(t *testing.T) {
	for _, o := range []yarn.Options{
		{User: "ada"}, {ResourceManagers: []string{"rm:8088"}}, {User: "ada", ResourceManagers: []string{"http://rm/path"}},
		{User: "ada", ResourceManagers: []string{"ftp://rm"}}, {User: "ada", ResourceManagers: []string{"rm:8088"}, History: "::"},
	} {
		_, err := yarn.New(o)
		wants(t, err, "US662", understudy.KindInvalid)
	}
	c := serve(t, &answers{})
	for _, id := range []string{"", "application_1", "application_1_0001/../..", "job_1_0001"} {
		_, err := c.Application(t.Context(), id)
		_, err2 := c.LiveCounters(t.Context(), id)
		_, err3 := c.History(t.Context(), id)
		for _, err := range []error{err, err2, err3, c.Kill(t.Context(), id), c.Submit(t.Context(), yarn.Application{ID: id})} {
			wants(t, err, "US662", understudy.KindInvalid)
		}
	}
}

// TestEveryCallHasAnEnd has a server that never answers.
func TestEveryCallHasAnEnd(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer s.Close()
	defer close(release)
	c, err := yarn.New(yarn.Options{User: "ada", ResourceManagers: []string{s.URL}, CallTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.NewApplication(t.Context())
	wants(t, err, "US661", understudy.KindUnreachable)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Kill(ctx, appID); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
}

// FuzzAnswers gives arbitrary answers to every call: there is an error or an answer, and nothing else.
func FuzzAnswers(f *testing.F) {
	for _, s := range []string{`{}`, `[]`, `null`, `{"app":{"id":1}}`, `{"apps":{"app":{}}}`, `{"apps":{"app":[null]}}`, `{"jobCounters":{"counterGroup":[{}]}}`, `{"job":7}`} {
		f.Add(s, 200)
	}
	f.Add(`{"RemoteException":[]}`, 404)
	f.Fuzz(func(t *testing.T, body string, status int) {
		if status < 200 || status > 599 {
			return
		}
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}))
		defer s.Close()
		c, err := yarn.New(yarn.Options{User: "ada", ResourceManagers: []string{s.URL}, History: s.URL})
		if err != nil {
			t.Fatal(err)
		}
		_, e1 := c.NewApplication(t.Context())
		_, e2 := c.Application(t.Context(), appID)
		_, e3 := c.Find(t.Context(), "tag")
		_, e4 := c.LiveCounters(t.Context(), appID)
		_, e5 := c.FinalCounters(t.Context(), appID)
		_, e6 := c.History(t.Context(), appID)
		for _, err := range []error{e1, e2, e3, e4, e5, e6} {
			var e *understudy.Error
			if err != nil && !errors.As(err, &e) {
				t.Errorf("an error without a code: %v", err)
			}
		}
		if e2 == nil && !json.Valid([]byte(body)) {
			t.Errorf("%q was taken", body)
		}
	})
}

// TestClustersAreRead takes the answers of both schedulers, in the forms that servers were seen to give.
func TestClustersAreRead(t *testing.T) {
	a := &answers{says: map[string]answer{
		"GET /ws/v1/cluster/metrics": {body: `{"clusterMetrics":{"activeNodes":3,"totalMB":24576,"availableMB":16384}}`},
		"GET /ws/v1/cluster/info":    {body: `{"clusterInfo":{"id":1,"haState":"ACTIVE","resourceManagerVersion":"3.4.1","hadoopVersion":"3.4.1"}}`},
	}}
	standby := &answers{says: map[string]answer{
		"GET /ws/v1/cluster/metrics": {status: http.StatusTemporaryRedirect},
		"GET /ws/v1/cluster/info":    {body: `{"clusterInfo":{"haState":"STANDBY","hadoopVersion":"2.7.0"}}`},
	}}
	c := serve(t, standby, a)
	for said, want := range map[string]map[string]bool{
		`{"scheduler":{"schedulerInfo":{"type":"capacityScheduler","queueName":"root","queues":{"queue":[` +
			`{"queueName":"default","state":"RUNNING"},{"queueName":"dr","queues":{"queue":[{"queueName":"copy","state":"STOPPED"}]}}]}}}}`: {
			"": true, "default": true, "root.default": true, "dr": true, "copy": false, "root.dr.copy": false, "none": false},
		`{"scheduler":{"schedulerInfo":{"type":"fairScheduler","rootQueue":{"queueName":"root","childQueues":{"queue":[{"queueName":"root.ada"}]}}}}}`: {
			"": false, "ada": true, "root.ada": true, "bob": false},
		`{"scheduler":{"schedulerInfo":{"type":"fifoScheduler","qstate":"RUNNING"}}}`: {"": true, "any": true},
	} {
		a.says["GET /ws/v1/cluster/scheduler"] = answer{body: said}
		got, err := c.Cluster(t.Context())
		if err != nil || got.Version != "3.4.1" || got.Nodes != 3 || got.TotalMB != 24576 || got.FreeMB != 16384 {
			t.Errorf("cluster = %+v, %v", got, err)
		}
		for queue, takes := range want {
			if got.Takes(queue) != takes {
				t.Errorf("%q takes jobs: %v, of %v", queue, !takes, got.Queues)
			}
		}
	}
	a.says["GET /conf"] = answer{body: `{"property":{"key":"hadoop.security.authentication","value":"kerberos","isFinal":false,"resource":"core-site.xml"}}`}
	standby.says["GET /conf"] = a.says["GET /conf"]
	_, err := c.Cluster(t.Context())
	wants(t, err, "US660", understudy.KindDenied)
	a.says["GET /ws/v1/cluster/info"] = answer{body: `{}`}
	_, err = c.Cluster(t.Context())
	wants(t, err, "US663", understudy.KindInvalid)
}
