package yarn

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// Cluster is what a ResourceManager says of its cluster at a moment.
type Cluster struct {
	// Version is Hadoop's, such as 3.4.1.
	Version string
	// Nodes are the NodeManagers at work; TotalMB is the memory that they give to containers, FreeMB what is left of it, in MiB.
	Nodes   int
	TotalMB int64
	FreeMB  int64
	// Queues are the states of all queues, such as RUNNING, by their short and by their full names; empty where the scheduler has none to tell.
	Queues map[string]string
}

// Cluster asks how the cluster is. It changes nothing, and any user may ask.
func (c *Client) Cluster(ctx context.Context) (Cluster, error) {
	ask := func(what string, out any) error {
		return c.manager(ctx, request{op: "look", method: http.MethodGet, path: "/ws/v1/cluster/" + what, about: "the cluster's " + what}, out)
	}
	// A ResourceManager on standby answers for itself when it is asked for its version, but not for the metrics: so these come first, and
	// the rest is asked of whoever gave them.
	var metrics struct {
		Metrics struct {
			Nodes   int   `json:"activeNodes"`
			TotalMB int64 `json:"totalMB"`
			FreeMB  int64 `json:"availableMB"`
		} `json:"clusterMetrics"`
	}
	var info struct {
		Info struct {
			Version string `json:"hadoopVersion"`
		} `json:"clusterInfo"`
	}
	var scheduler struct {
		Scheduler struct {
			Info queue `json:"schedulerInfo"`
		} `json:"scheduler"`
	}
	for _, q := range []struct {
		what string
		out  any
	}{{"metrics", &metrics}, {"info", &info}, {"scheduler", &scheduler}} {
		if err := ask(q.what, q.out); err != nil {
			return Cluster{}, err
		}
	}
	all := Cluster{Version: info.Info.Version, Nodes: metrics.Metrics.Nodes, TotalMB: metrics.Metrics.TotalMB, FreeMB: metrics.Metrics.FreeMB, Queues: map[string]string{}}
	if all.Version == "" {
		return Cluster{}, garbled(request{op: "look"}, nil)
	}
	scheduler.Scheduler.Info.tell("", all.Queues)
	return all, c.plain(ctx)
}

// plain refuses a cluster with Kerberos whose web pages are open all the same: it would take a job, which could then do nothing. Where the
// page with the configuration is closed, nothing is concluded.
func (c *Client) plain(ctx context.Context) error {
	r := request{op: "look", method: http.MethodGet, path: "/conf", query: url.Values{"name": {"hadoop.security.authentication"}}, about: "its configuration"}
	var answer struct {
		Property struct {
			Value string `json:"value"`
		} `json:"property"`
	}
	if err := c.manager(ctx, r, &answer); err != nil || answer.Property.Value != "kerberos" {
		return ctx.Err()
	}
	return unauthenticated(r, []string{"Negotiate"})
}

// queue is one of the capacity scheduler, or of the fair one, with those below it.
type queue struct {
	Name  string `json:"queueName"`
	State string `json:"state"`
	Below struct {
		Queue []queue `json:"queue"`
	} `json:"queues"`
	// Root and Children are the fair scheduler's, which has no states: a queue that is there takes jobs.
	Root     *queue `json:"rootQueue"`
	Children struct {
		Queue []queue `json:"queue"`
	} `json:"childQueues"`
}

// queueRuns is the state of a queue that takes jobs.
const queueRuns = "RUNNING"

func (q queue) tell(above string, all map[string]string) {
	if q.Root != nil {
		q.Root.tell(above, all)
		return
	}
	if q.Name == "" {
		return
	}
	full := q.Name
	if above != "" && !strings.HasPrefix(full, above+".") {
		full = above + "." + full
	}
	state := q.State
	if state == "" {
		state = queueRuns
	}
	all[full[strings.LastIndexByte(full, '.')+1:]], all[full] = state, state
	for _, below := range append(q.Below.Queue, q.Children.Queue...) {
		below.tell(full, all)
	}
}

// Takes says whether a queue is there and takes jobs, as far as the scheduler tells of queues; the empty name is YARN's default one.
func (c Cluster) Takes(name string) bool {
	if name == "" {
		name = "default"
	}
	return len(c.Queues) == 0 || c.Queues[name] == queueRuns
}
