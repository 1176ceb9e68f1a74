package storage

import (
	"context"
	"fmt"
	"os/user"
	"sync"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/offload/yarn"
	"github.com/understudy-dr/understudy/workload"
)

// resources is the YARN of one site. It is safe for concurrent use.
type resources struct {
	client *yarn.Client
	queue  string
	mapMB  int64

	mu   sync.Mutex
	at   time.Time
	last yarnFacts
}

// yarnFacts is what a site's YARN is like.
type yarnFacts struct {
	Version string `json:"version,omitempty"`
	Nodes   int    `json:"nodes,omitempty"`
	// FreeMB of TotalMB are free for containers.
	FreeMB  int64 `json:"freeMB,omitempty"`
	TotalMB int64 `json:"totalMB,omitempty"`
	// Queue says what is wrong with the queue; empty when it takes jobs.
	Queue string `json:"queue,omitempty"`
	// Error is set when YARN does not answer, or not us.
	Error *understudy.Error `json:"error,omitempty"`
}

// yarnHolds is how long a good answer of YARN is good for.
const yarnHolds = 30 * time.Second

// actor is the user as whom understudy acts with simple authentication.
func (e *HDFS) actor() string {
	if e.User != "" {
		return e.User
	}
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}

// lookAtYARN asks a site's YARN how it is; nil when the site has none, or the plan does not want it.
func (w *Workload) lookAtYARN(ctx context.Context, s understudy.Site) *yarnFacts {
	y := w.yarn[s]
	if y == nil || w.spec.Engine == understudy.Native {
		return nil
	}
	f := y.look(ctx)
	return &f
}

func (y *resources) look(ctx context.Context) yarnFacts {
	y.mu.Lock()
	defer y.mu.Unlock()
	if time.Since(y.at) < yarnHolds {
		return y.last
	}
	ctx, cancel := context.WithTimeout(ctx, firstWord)
	defer cancel()
	c, err := y.client.Cluster(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = &understudy.Error{Code: "US661", Kind: understudy.KindUnreachable, Op: "yarn.look", Summary: "no server of YARN answers", Err: err}
		}
		return yarnFacts{Error: understudy.AsError(err)}
	}
	f := yarnFacts{Version: c.Version, Nodes: c.Nodes, FreeMB: c.FreeMB, TotalMB: c.TotalMB}
	if !c.Takes(y.queue) {
		f.Queue = fmt.Sprintf("the queue %q is not there", y.queue)
		if state := c.Queues[y.queue]; state != "" {
			f.Queue = fmt.Sprintf("the queue %q is %s", y.queue, state)
		}
	}
	y.at, y.last = time.Now(), f
	return f
}

// yarnFindings are what a person should know of a site's YARN.
func (w *Workload) yarnFindings(site understudy.Site, y *yarnFacts) []workload.Finding {
	if y == nil {
		return nil
	}
	find := func(level string, code understudy.Code, summary, fix string) []workload.Finding {
		return []workload.Finding{{Code: code, Level: level, Object: w.object(site, ""), Summary: summary, Fix: fix}}
	}
	if err := w.unusable(site, y); err != nil {
		// With auto the native mover copies; one who wants Kerberos will never take a job.
		level := "warning"
		if w.spec.Engine == understudy.DistCp && err.Kind != understudy.KindUnreachable {
			level = "refuse"
		}
		return find(level, err.Code, err.Summary, err.Fix)
	}
	room := y.FreeMB / w.yarn[site].mapMB
	if room == 0 {
		return find("warning", "US720", fmt.Sprintf("YARN at %s has no room for a map now: %d MiB of %d are free", site, y.FreeMB, y.TotalMB), "wait for other jobs, or give copy jobs a queue of their own")
	}
	return find("ok", "", fmt.Sprintf("YARN %s at %s takes jobs: %d NodeManagers, %d MiB of %d free, room for %d maps", y.Version, site, y.Nodes, y.FreeMB, y.TotalMB, room), "")
}
