package hdfs_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/lab/hdfs"
)

// getJSON reads a document of a REST API.
func getJSON(t *testing.T, url string, v any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	request.Close = true
	answer, err := http.DefaultClient.Do(request)
	must(t, err)
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d", url, answer.StatusCode)
	}
	must(t, json.NewDecoder(answer.Body).Decode(v))
}

// copied fills a directory and lets DistCp copy it.
func copied(p place, to string, run hdfs.DistCp) {
	p.Helper()
	for i := range 6 {
		p.put(hdfs.File{Path: fmt.Sprintf("from/d%d/f%d", i%2, i), Size: int64(i) * 400_000, Seed: int64(i), BlockSize: 1 << 20})
	}
	run.Dir, run.Access = p.TempDir(), p.access
	run.Args = append(run.Args, "-pugpbt", "-m", "2", p.at("from"), p.at(to))
	result, err := run.Run(p.Context())
	must(p.T, err)
	if result.Status != 0 {
		log, _ := os.ReadFile(result.Log)
		p.Fatalf("status %d:\n%s", result.Status, log)
	}
	p.Logf("copied in %v with %v of processor time", result.Took, result.CPU)
	if d := p.dump("from/d1").Diff(p.dump(to+"/d1"), 5); d != nil {
		p.Error(strings.Join(d, "\n"))
	}
}

func TestDistCpInItsOwnProcess(t *testing.T) {
	p := open(t)
	copied(p, "local", hdfs.DistCp{Maps: 2})
	run := hdfs.DistCp{Dir: t.TempDir(), Access: p.access, Args: []string{p.at("none"), p.at("nowhere")}}
	if result, err := run.Run(t.Context()); err != nil || result.Status == 0 {
		t.Errorf("without a source: %+v, %v", result, err)
	}
}

func TestYARNRunsJobs(t *testing.T) {
	p := open(t)
	start := time.Now()
	y := hdfs.BootYARN(t, p.cluster, hdfs.YARNOptions{})
	t.Logf("yarn ready after %v", time.Since(start))
	for _, n := range []*hdfs.Node{y.ResourceManager(), y.NodeManager()} {
		if maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", n.PID())); err == nil && !strings.Contains(string(maps), "yarn.jsa") {
			t.Errorf("%s runs without the class data archive", n.Name())
		}
	}
	copied(p, "yarn", hdfs.DistCp{YARN: y})
	var apps struct {
		Apps struct {
			App []struct{ ID, State, FinalStatus string }
		}
	}
	getJSON(t, "http://"+y.HTTP()+"/ws/v1/cluster/apps", &apps)
	if len(apps.Apps.App) != 1 || apps.Apps.App[0].FinalStatus != "SUCCEEDED" {
		t.Fatalf("the ResourceManager says %+v", apps)
	}
	job := "job_" + strings.TrimPrefix(apps.Apps.App[0].ID, "application_")
	var history struct{ Job struct{ State string } }
	getJSON(t, "http://"+y.HistoryHTTP()+"/ws/v1/history/mapreduce/jobs/"+job, &history)
	if history.Job.State != "SUCCEEDED" {
		t.Errorf("the history server says %+v", history)
	}
	must(t, y.NodeManager().Kill())
	must(t, y.NodeManager().Restart(t.Context()))
}
