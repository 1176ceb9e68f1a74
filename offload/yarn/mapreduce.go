package yarn

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/understudy-dr/understudy"
)

// MapReduce is a MapReduce job whose files lie in the cluster's file system already.
type MapReduce struct {
	// ID, Name, Queue, Tags and Attempts are those of the Application.
	ID       string
	Name     string
	Queue    string
	Tags     []string
	Attempts int
	// MemoryMB is that of the application master's container, of which Java's heap gets two thirds; 0 is 1536.
	MemoryMB int
	// Options are further arguments of the application master's Java.
	Options string
	// Classpath is where its containers find Hadoop.
	Classpath string
	// Configuration, Split and SplitMeta are job.xml, job.split and job.splitmetainfo.
	Configuration, Split, SplitMeta File
}

// Application gives the application whose first container is Hadoop's own MRAppMaster. On clusters without Kerberos it needs no tokens.
func (m MapReduce) Application() Application {
	memory := m.MemoryMB
	if memory <= 0 {
		memory = 1536
	}
	java := fmt.Sprintf("{{JAVA_HOME}}/bin/java -Djava.io.tmpdir={{PWD}}/tmp %s -Xmx%dm", masterOptions, memory*2/3)
	if m.Options != "" {
		java += " " + m.Options
	}
	return Application{
		ID: m.ID, Name: m.Name, Type: "MAPREDUCE", Queue: m.Queue, Tags: m.Tags, Attempts: m.Attempts, MemoryMB: memory, Cores: 1,
		Command:     java + " org.apache.hadoop.mapreduce.v2.app.MRAppMaster 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr",
		Environment: map[string]string{"CLASSPATH": "{{PWD}}:" + m.Classpath},
		Files: map[string]File{
			"job.xml": m.Configuration, "jobSubmitDir/job.split": m.Split, "jobSubmitDir/job.splitmetainfo": m.SplitMeta,
		},
	}
}

// masterOptions are what Hadoop's own client gives the application master: its log goes beside its output, and its web pages need to look
// into Java from 16 on, which Java 8 does not know.
const masterOptions = "-Dlog4j.configuration=container-log4j.properties -Dyarn.app.container.log.dir=<LOG_DIR> -Dyarn.app.container.log.filesize=0 " +
	"-Dhadoop.root.logger=INFO,CLA -XX:+IgnoreUnrecognizedVMOptions --add-opens=java.base/java.lang=ALL-UNNAMED"

// JobID gives the name that MapReduce has for an application.
func JobID(application string) string {
	return "job_" + strings.TrimPrefix(application, "application_")
}

// Counters are those of a whole job: group, then name.
type Counters map[string]map[string]int64

type counters struct {
	Job struct {
		ID     string `json:"id"`
		Groups []struct {
			Name     string `json:"counterGroupName"`
			Counters []struct {
				Name  string `json:"name"`
				Total int64  `json:"totalCounterValue"`
			} `json:"counter"`
		} `json:"counterGroup"`
	} `json:"jobCounters"`
}

func (c counters) public() Counters {
	all := Counters{}
	for _, g := range c.Job.Groups {
		values := map[string]int64{}
		for _, v := range g.Counters {
			values[v.Name] = v.Total
		}
		all[g.Name] = values
	}
	return all
}

// LiveCounters asks the application master for the counters of a running job, through the ResourceManager's proxy. US664 when there is
// none that answers: not yet, or not any more.
func (c *Client) LiveCounters(ctx context.Context, application string) (Counters, error) {
	if !applicationID.MatchString(application) {
		return nil, invalid(application+" is no application", nil)
	}
	r := request{op: "count", method: http.MethodGet, about: "counters of " + application}
	r.path = "/proxy/" + application + "/ws/v1/mapreduce/jobs/" + JobID(application) + "/counters"
	var answer counters
	err := c.ask(ctx, c.managers[c.last.Load()], r, &answer)
	if err != nil {
		return nil, c.absent(ctx, r, err)
	}
	if answer.Job.ID != JobID(application) {
		return nil, garbled(r, nil)
	}
	return answer.public(), nil
}

// absent takes what a proxy says of an application master that it cannot reach as one that is not there.
func (c *Client) absent(ctx context.Context, r request, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if passing(err) || understudy.KindOf(err) == understudy.KindRetry {
		return failure("US664", understudy.KindNotFound, r.op, "YARN does not know "+r.about, err)
	}
	return err
}

// Job is what the history server remembers of a job.
type Job struct {
	// State is SUCCEEDED, FAILED, KILLED or ERROR.
	State string
	// Maps are all map tasks, FailedMaps and KilledMaps attempts of them.
	Maps, FailedMaps, KilledMaps int
	Diagnostics                  string
}

// History gives what the history server remembers of a job that has ended; US664 when it knows nothing, as of a job that was killed.
func (c *Client) History(ctx context.Context, application string) (Job, error) {
	r := request{op: "read", about: "the history of " + application}
	var answer struct {
		Job struct {
			ID          string `json:"id"`
			State       string `json:"state"`
			Maps        int    `json:"mapsTotal"`
			Failed      int    `json:"failedMapAttempts"`
			Killed      int    `json:"killedMapAttempts"`
			Diagnostics string `json:"diagnostics"`
		} `json:"job"`
	}
	if err := c.remembered(ctx, application, "", r, &answer); err != nil {
		return Job{}, err
	}
	if answer.Job.ID != JobID(application) {
		return Job{}, garbled(r, nil)
	}
	j := answer.Job
	return Job{State: j.State, Maps: j.Maps, FailedMaps: j.Failed, KilledMaps: j.Killed, Diagnostics: j.Diagnostics}, nil
}

// FinalCounters gives the counters of a job that has ended; US664 when the history server knows nothing, as of a job that was killed.
func (c *Client) FinalCounters(ctx context.Context, application string) (Counters, error) {
	r := request{op: "count", about: "final counters of " + application}
	var answer counters
	if err := c.remembered(ctx, application, "/counters", r, &answer); err != nil {
		return nil, err
	}
	if answer.Job.ID != JobID(application) {
		return nil, garbled(r, nil)
	}
	return answer.public(), nil
}

// remembered asks the history server.
func (c *Client) remembered(ctx context.Context, application, what string, r request, out any) error {
	if !applicationID.MatchString(application) {
		return invalid(application+" is no application", nil)
	}
	if c.history == "" {
		return failure("US664", understudy.KindNotFound, r.op, "YARN does not know "+r.about, errors.New("no history server is configured"))
	}
	r.method, r.path = http.MethodGet, "/ws/v1/history/mapreduce/jobs/"+JobID(application)+what
	err := c.ask(ctx, c.history, r, out)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && passing(err) {
		return unreachable(r, err)
	}
	return err
}
