package kafka

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/kafka/internal/mirror"
	"github.com/understudy-dr/understudy/workload/kafka/internal/topicconf"
)

// Decide turns one stage of an operation and what was seen into steps. Stages to which Kafka contributes
// nothing have none.
func (w *Workload) Decide(stage understudy.Stage, seen workload.Observation) ([]understudy.Step, error) {
	facts, err := factsOf(seen)
	if err != nil {
		return nil, err
	}
	d := &decision{w: w, stage: stage, seen: seen, facts: facts}
	if err := d.identities(); err != nil {
		return nil, err
	}
	if err := d.contribute(); err != nil {
		return nil, err
	}
	if d.memory != nil {
		d.steps[d.remembers].Args = topicconf.Encode(rememberArgs{Keep: d.memory})
	}
	return d.steps, nil
}

// decision is one call of Decide.
type decision struct {
	w     *Workload
	stage understudy.Stage
	seen  workload.Observation
	facts *Facts
	steps []understudy.Step
	// memory is what the step at the index remembers puts into the journal; nil when there is no such step.
	memory    map[string]json.RawMessage
	remembers int
}

// contribute is the table of verbs: which stages of each have steps of ours.
func (d *decision) contribute() error {
	switch d.stage.Verb {
	case understudy.Protect:
		return d.protect()
	case understudy.Switchover, understudy.Failback, understudy.Rollback:
		return d.takeover(false)
	case understudy.Failover:
		return d.takeover(true)
	case understudy.Abort:
		return d.abort()
	case understudy.Commit:
		return d.commit()
	case understudy.Reprotect:
		return d.reprotect()
	case understudy.Unprotect:
		return d.unprotect()
	case understudy.Duty:
		return d.duty()
	case understudy.Replicate, understudy.Verify, understudy.Drill:
		return nil
	}
	return bug("kafka.decide", "unknown verb "+string(d.stage.Verb))
}

// identities refuses when a site's address leads to another cluster than the one protected. A site that a person lets
// go at the end of the protection counts as gone then: nothing of the other cluster is touched.
func (d *decision) identities() error {
	for _, s := range d.w.siteNames() {
		kept, f := clusterOf(d.stage.Kept, s), d.facts.Sites[s]
		if f == nil || kept == "" || f.ClusterID == kept {
			continue
		}
		if _, gone := d.stage.Envelope.Accepted(s); gone && d.stage.Verb == understudy.Unprotect {
			rest := &Facts{Sites: maps.Clone(d.facts.Sites)}
			delete(rest.Sites, s)
			d.facts = rest
			continue
		}
		return d.w.another("kafka.decide", s, f.ClusterID, kept)
	}
	return nil
}

// another is the refusal of a cluster that is not the one that was protected at a site.
func (w *Workload) another(op string, s understudy.Site, id, kept string) error {
	return &understudy.Error{
		Code: "US101", Kind: understudy.KindRefused, Op: op, Object: w.object(s, ""),
		Summary: fmt.Sprintf("cluster %s answers there, but %s was protected", id, kept),
		Why:     "the address leads to another cluster, or the cluster was rebuilt",
		Fix: fmt.Sprintf("correct the brokers in the site file; after a rebuild, `understudy unprotect %s --let-go %s --as NAME`, and protect again",
			w.spec.Plan, s),
	}
}

// findings refuses on the first finding that refuses, of the given sites.
func (d *decision) findings(sites ...understudy.Site) error {
	for _, f := range d.seen.Findings {
		for _, s := range sites {
			if f.Level != "refuse" || f.Object.Site != s {
				continue
			}
			return &understudy.Error{Code: f.Code, Kind: kindOf(f.Code), Op: "kafka.check", Object: f.Object, Summary: f.Summary, Fix: f.Fix}
		}
	}
	return nil
}

func kindOf(c understudy.Code) understudy.ErrorKind {
	if c == "US102" {
		return understudy.KindDenied
	}
	return understudy.KindRefused
}

// present gives the facts of a site, or says why there are none.
func (d *decision) present(s understudy.Site) (*SiteFacts, error) {
	if f := d.facts.Sites[s]; f != nil {
		return f, nil
	}
	if e := d.seen.Sites[s].Error; e != nil {
		return nil, e
	}
	return nil, &understudy.Error{
		Code: "US100", Kind: understudy.KindUnreachable, Op: "kafka.decide", Object: d.w.object(s, ""),
		Summary: "the cluster did not answer", Fix: "check that the brokers run and can be reached from here",
	}
}

// clusterID is the id of the site's cluster, seen now or remembered.
func (d *decision) clusterID(s understudy.Site) string {
	if f := d.facts.Sites[s]; f != nil {
		return f.ClusterID
	}
	return clusterOf(d.stage.Kept, s)
}

// at makes the common part of a step's arguments.
func (d *decision) at(s understudy.Site) base { return base{Cluster: d.clusterID(s)} }

// link is the link between two sites of the workload.
func (d *decision) link(from, to understudy.Site) understudy.Link {
	return understudy.Link{Plan: d.w.spec.Plan, Workload: d.w.spec.Name, From: from, To: to}
}

// pid is the producer id of a link; its source must have been seen once.
func (d *decision) pid(from, to understudy.Site) (int64, error) {
	id := d.clusterID(from)
	if id == "" {
		return 0, &understudy.Error{
			Code: "US100", Kind: understudy.KindUnreachable, Op: "kafka.decide", Object: d.w.object(from, ""),
			Summary: "the source's cluster id was never seen", Fix: "wait until the cluster answers",
		}
	}
	return mirror.PID(id, d.link(from, to)), nil
}

// stamp adds the writing of the role onto every given site that answers and has our topic.
func (d *decision) stamp(sites ...understudy.Site) {
	for _, s := range sites {
		if f := d.facts.Sites[s]; f == nil {
			continue
		}
		spare := d.hasty() && s == d.stage.Old
		d.step(stepStamp, understudy.Idempotent, s, stampArgs{d.at(s), spare}, "write the role onto %s: %s", s, d.stage.Now)
	}
}
