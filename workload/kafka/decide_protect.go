package kafka

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/mirror"
	"github.com/understudy-dr/understudy/workload/kafka/internal/topicconf"
)

// protect makes the topics on the target, remembers who is who, and keeps ordinary writers off the target.
func (d *decision) protect() error {
	switch d.stage.Name {
	case understudy.StageCheck:
		return d.checkProtect()
	case understudy.StageCreate:
		return d.create()
	case understudy.StageGuard:
		return d.guardTarget(d.stage.To)
	}
	return nil
}

func (d *decision) checkProtect() error {
	source, err := d.present(d.stage.Old)
	if err != nil {
		return err
	}
	target, err := d.present(d.stage.To)
	if err != nil {
		return err
	}
	if err := d.findings(d.stage.Old, d.stage.To); err != nil {
		return err
	}
	if len(source.Topics) == 0 {
		return &understudy.Error{
			Code: "US105", Kind: understudy.KindRefused, Op: "kafka.check", Object: d.w.object(d.stage.Old, ""),
			Summary: fmt.Sprintf("no topic matches %q", d.w.cfg.Topics), Fix: "correct the patterns; they are anchored at both ends",
		}
	}
	if err := d.movers(d.stage.Old, d.stage.To); err != nil {
		return err
	}
	return d.collisions(source, target)
}

// movers refuses when the mover's own principal would be denied with the writers'.
func (d *decision) movers(sites ...understudy.Site) error {
	for _, s := range sites {
		f := d.facts.Sites[s]
		if f == nil || !f.Authorizer {
			continue
		}
		if p := d.w.sites[s].endpoint.principal(); p == "" || slices.Contains(f.Writers, p) {
			return &understudy.Error{
				Code: "US110", Kind: understudy.KindRefused, Op: "kafka.check", Object: d.w.object(s, ""),
				Summary: fmt.Sprintf("the mover's principal %q is or may be an ordinary writer", p),
				Why:     "a fence denies ordinary writers, and would stop the mirror too",
				Fix:     "give understudy its own principal there, and name it as kafka.principal in the site file",
			}
		}
	}
	return nil
}

// collisions refuses topics on the target that understudy did not make and that hold records.
func (d *decision) collisions(source, target *SiteFacts) error {
	for _, name := range source.names() {
		if err := d.owned(name); err != nil {
			return err
		}
		there := target.Topics[name]
		if there == nil {
			continue
		}
		if _, known := intendedOf(d.stage.Kept, name); known {
			continue
		}
		for i, p := range there.Partitions {
			if p.End == 0 || len(p.Epochs) > 0 {
				continue
			}
			return &understudy.Error{
				Code: "US119", Kind: understudy.KindRefused, Op: "kafka.check",
				Object:  d.w.object(d.stage.To, cluster.TP{Topic: name, Partition: int32(i)}.String()),
				Summary: fmt.Sprintf("the topic ends at offset %d there, and not by understudy", p.End),
				Why:     "a mirror must be the only writer of its topics, from the first offset on",
				Fix:     "delete the topic there, or exclude it from the workload",
			}
		}
	}
	return nil
}

// owned refuses a topic that a link of another protected workload writes, at either site.
func (d *decision) owned(name string) error {
	for _, s := range d.w.siteNames() {
		f := d.facts.Sites[s]
		if f == nil || f.Topics[name] == nil {
			continue
		}
		for _, p := range f.Topics[name].Partitions {
			if owner := d.owner(p.Epochs); owner != "" {
				return &understudy.Error{
					Code: "US133", Kind: understudy.KindRefused, Op: "kafka.check", Object: d.w.object(s, name),
					Summary: "workload " + owner + " mirrors the topic",
					Why:     "two workloads would fence, change and promote one topic against each other",
					Fix:     "leave the topic out of one of them, or unprotect " + owner,
				}
			}
		}
	}
	return nil
}

// owner names the other workload, stamped on one of the sites, whose link has one of the producers.
func (d *decision) owner(epochs map[int64]int32) string {
	for _, s := range d.w.siteNames() {
		f := d.facts.Sites[s]
		if f == nil {
			continue
		}
		i := slices.IndexFunc(f.Others, func(o understudy.Stamp) bool { return d.writesAnyOf(o, epochs) })
		if i >= 0 {
			return string(f.Others[i].Plan) + "/" + string(f.Others[i].Workload)
		}
	}
	return ""
}

func (d *decision) writesAnyOf(o understudy.Stamp, epochs map[int64]int32) bool {
	for pid := range epochs {
		if d.writesAs(o, pid) {
			return true
		}
	}
	return false
}

// writesAs says whether a producer is that of a link of another workload between sites of this one.
func (d *decision) writesAs(o understudy.Stamp, pid int64) bool {
	for _, from := range d.w.siteNames() {
		for _, to := range d.w.siteNames() {
			l := understudy.Link{Plan: o.Plan, Workload: o.Workload, From: from, To: to}
			if id := d.clusterID(from); from != to && id != "" && mirror.PID(id, l) == pid {
				return true
			}
		}
	}
	return false
}

// create makes understudy's own topic on both sites and every protected topic on the target.
func (d *decision) create() error {
	source, err := d.present(d.stage.Old)
	if err != nil {
		return err
	}
	target, err := d.present(d.stage.To)
	if err != nil {
		return err
	}
	d.remember(map[string]any{
		keepCluster(d.stage.Old): source.ClusterID, keepCluster(d.stage.To): target.ClusterID,
	})
	d.step(stepOwnTopic, understudy.Idempotent, d.stage.Old, d.at(d.stage.Old), "make understudy's own topic on %s", d.stage.Old)
	d.step(stepOwnTopic, understudy.Idempotent, d.stage.To, d.at(d.stage.To), "make understudy's own topic on %s", d.stage.To)
	d.stamp(d.stage.Old, d.stage.To)
	a := createArgs{base: d.at(d.stage.To)}
	for _, name := range source.names() {
		in := d.intended(source, name, d.stage.Old)
		a.Topics = append(a.Topics, d.newTopic(in, target))
		_, known := intendedOf(d.stage.Kept, name)
		if there := target.Topics[name]; there != nil && !known {
			d.remember(map[string]any{keepBefore(d.stage.To, name): there.own()})
		}
		d.remember(map[string]any{
			topicconf.KeepIntended(name):                 in,
			topicconf.KeepOurs(name, string(d.stage.To)): topicconf.Set(topicconf.Mirroring(in), in),
		})
	}
	d.step(stepCreate, understudy.ProbeFirst, d.stage.To, a, "make %d topics on %s", len(a.Topics), d.stage.To).Before = settingsBefore(target)
	return nil
}

// remember adds documents to the step that puts them into the journal; there is one such step in a stage, and
// it comes before those added later. Decide fills it in the end.
func (d *decision) remember(docs map[string]any) {
	if d.memory == nil {
		d.memory, d.remembers = map[string]json.RawMessage{}, len(d.steps)
		d.step(stepRemember, understudy.Idempotent, "", nil, "remember what is there before anything changes")
	}
	for name, v := range docs {
		d.memory[name] = topicconf.Encode(v)
	}
}

// intended gives what a topic's owner wants, from the site that is or was active.
func (d *decision) intended(s *SiteFacts, name string, site understudy.Site) topicconf.Intended {
	t := s.Topics[name]
	before, _ := intendedOf(d.stage.Kept, name)
	topic := cluster.Topic{Name: name, Partitions: make([]cluster.Partition, len(t.Partitions))}
	if len(topic.Partitions) > 0 {
		topic.Partitions[0].Replicas = make([]int32, t.Replication)
	}
	return topicconf.Read(topic, t.Values, oursOf(d.stage.Kept, name, site), before)
}

// newTopic gives the topic to be made on a target, with the stand-ins of mirroring.
func (d *decision) newTopic(in topicconf.Intended, target *SiteFacts) cluster.NewTopic {
	rf := in.Replication
	if d.w.cfg.Replication > 0 {
		rf = int16(d.w.cfg.Replication)
	}
	if target.Brokers > 0 && int(rf) > target.Brokers {
		rf = int16(target.Brokers)
	}
	return cluster.NewTopic{
		Name: in.Topic, Partitions: in.Partitions, Replication: max(rf, 1),
		Configs: topicconf.Create(topicconf.Mirroring(in), target.Defaults, rf),
	}
}

// guardTarget keeps ordinary writers off a link's target, where the cluster can do that.
func (d *decision) guardTarget(s understudy.Site) error {
	f, err := d.present(s)
	if err != nil {
		return err
	}
	if err := d.movers(s); err != nil {
		return err
	}
	if !f.Authorizer {
		return nil
	}
	rules := denyRules(f.covered(), f.Writers)
	if len(rules) == 0 {
		return nil
	}
	mem := d.fenceMemory(s, f, rules, nil)
	d.remember(map[string]any{keepFence(s): mem})
	step := d.step(stepDeny, understudy.Idempotent, s, denyArgs{base: d.at(s), Rules: rules, Topics: f.names()},
		"deny %d principals to write %d topics on %s", len(f.Writers), len(f.Topics), s)
	step.Before = topicconf.Encode(mem)
	return nil
}

// setOf gives the rules of all lists.
func setOf(lists ...[]cluster.ACL) map[cluster.ACL]bool {
	set := map[cluster.ACL]bool{}
	for _, list := range lists {
		for _, r := range list {
			set[r] = true
		}
	}
	return set
}

func denyRules(topics, writers []string) []cluster.ACL {
	var out []cluster.ACL
	for _, t := range topics {
		for _, w := range writers {
			out = append(out, denyWrite(t, w))
		}
	}
	return out
}

// fenceMemory adds to what is kept for a site: the rules that are not there yet, and the append limits of
// topics that are not remembered yet. What was kept is never replaced.
func (d *decision) fenceMemory(s understudy.Site, f *SiteFacts, rules []cluster.ACL, limits []string) fenceMemory {
	mem := fenceOf(d.stage.Kept, s)
	known := setOf(f.Denies, mem.Denies)
	for _, r := range rules {
		if !known[r] {
			known[r] = true
			mem.Denies = append(mem.Denies, r)
		}
	}
	for _, name := range limits {
		if _, known := mem.Limits[name]; known {
			continue
		}
		if mem.Limits == nil {
			mem.Limits = map[string]*string{}
		}
		mem.Limits[name] = nil
		v := f.Topics[name].Values[topicconf.AppendLimit]
		if v.Own() && !topicconf.IsFence(v.Value) {
			mem.Limits[name] = &v.Value
		}
	}
	return mem
}
