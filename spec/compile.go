package spec

import (
	"fmt"
	"maps"
	"slices"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// compiler checks documents against each other and builds the Set.
type compiler struct {
	reg   workload.Registry
	sites map[understudy.Site]*document
	// placed collects the workloads of all plans, in the order of the files.
	placed *[]placed
	// notes collects what is told and refuses nothing.
	notes *Problems
}

// placed is a workload and where it stands.
type placed struct {
	reader *reader
	path   string
	file   *workloadFile
	spec   workload.Spec
}

func compile(reg workload.Registry, docs []*document, problems *Problems) (Set, error) {
	order(docs)
	c := compiler{reg: reg, sites: map[understudy.Site]*document{}, placed: &[]placed{}, notes: new(Problems)}
	set := Set{docs: docs}
	for _, d := range docs {
		if d.site != nil {
			c.sites[d.site.Site] = d
			set.Sites = append(set.Sites, c.site(d.site))
		}
	}
	for _, d := range docs {
		if d.plan != nil {
			set.Plans = append(set.Plans, c.plan(d))
		}
	}
	c.overlaps()
	if err := problems.sorted(); err != nil {
		return Set{}, err
	}
	_ = c.notes.sorted() // in place
	set.Notes = *c.notes
	return set, nil
}

func (c compiler) site(f *siteFile) Site {
	s := Site{Name: f.Site}
	for _, name := range slices.Sorted(maps.Keys(f.Clusters)) {
		s.Clusters = append(s.Clusters, Cluster{Name: name, Endpoints: f.Clusters[name].endpoints, Provisioner: f.Clusters[name].provisioner})
	}
	return s
}

// HookStages lists the stages at which a plan may run a command of its own.
func HookStages() []understudy.StageName {
	return []understudy.StageName{
		understudy.StageCheck, understudy.StageConfirm, understudy.StageFreeze, understudy.StageEnable,
		understudy.StageProve, understudy.StageRoute, understudy.StageUnfreeze,
	}
}

func (c compiler) plan(d *document) workload.Plan {
	f, r := d.plan, d.reader
	c.checkSites(f, r)
	for _, stage := range slices.Sorted(maps.Keys(f.Hooks)) {
		if !slices.Contains(HookStages(), stage) {
			r.onKey(join("hooks", string(stage)), Problem{Code: codeStage, Summary: fmt.Sprintf("no hook can run at %q", stage),
				Suggestion: nearest(string(stage), texts(HookStages())), Fix: "hooks run at " + listed(texts(HookStages()))})
		}
	}
	repeated(r, "approvals", f.Approvals)
	p := workload.Plan{Name: f.Plan, Home: f.Home, Sites: f.Sites, Hooks: f.Hooks, Approvals: f.Approvals}
	c.checkNames(f, r)
	for i, w := range f.Workloads {
		p.Workloads = append(p.Workloads, c.workload(f, r, i, w))
	}
	p.Workloads = c.arrange(r, p.Workloads)
	return p
}

func (c compiler) checkSites(f *planFile, r *reader) {
	for i, s := range f.Sites {
		path := fmt.Sprintf("sites[%d]", i)
		if _, known := c.sites[s]; !known && r.fine(path) {
			r.on(path, Problem{Code: codeNoSite, Summary: fmt.Sprintf("there is no site %q", s),
				Suggestion: nearest(string(s), c.siteNames()), Fix: c.siteFix(s)})
		}
	}
	repeated(r, "sites", f.Sites)
	if len(f.Sites) == 1 && r.fine("sites") {
		r.on("sites", Problem{Code: codeFewSites, Summary: "a plan needs at least two sites", Why: "with one site there is nowhere to go",
			Fix: "add the site that is to take over"})
	}
	if f.Home != "" && len(f.Sites) > 0 && !slices.Contains(f.Sites, f.Home) && r.fine("home") && r.fine("sites") {
		r.on("home", Problem{Code: codeHome, Summary: fmt.Sprintf("home %q is not one of the plan's sites", f.Home),
			Suggestion: nearest(string(f.Home), texts(f.Sites)), Fix: "write " + listed(texts(f.Sites)) + ", or add it to sites"})
	}
}

func (c compiler) siteNames() []string { return texts(slices.Sorted(maps.Keys(c.sites))) }

func (c compiler) siteFix(s understudy.Site) string {
	if len(c.sites) == 0 {
		return fmt.Sprintf("describe it in a document `site: %s`; none of the files read describes a site", s)
	}
	return fmt.Sprintf("describe it in a document `site: %s`, or use %s", s, listed(c.siteNames()))
}

// repeated reports items that stand in a list twice.
func repeated[T ~string](r *reader, path string, items []T) {
	for i, item := range items {
		if slices.Index(items, item) < i && item != "" {
			r.on(fmt.Sprintf("%s[%d]", path, i), Problem{Code: codeRepeated, Summary: fmt.Sprintf("%q stands in %s twice", item, path), Fix: "remove one of them"})
		}
	}
}

func (c compiler) checkNames(f *planFile, r *reader) {
	seen := map[understudy.WorkloadName]int{}
	for i, w := range f.Workloads {
		first, twice := seen[w.Name]
		if twice && w.Name != "" {
			r.on(fmt.Sprintf("workloads[%d].name", i), Problem{Code: codeRepeated, Summary: fmt.Sprintf("two workloads are called %q", w.Name),
				Why: fmt.Sprintf("the first is on line %d", r.find(fmt.Sprintf("workloads[%d].name", first)).line), Fix: "rename one of them"})
			continue
		}
		seen[w.Name] = i
	}
}

func (c compiler) workload(f *planFile, r *reader, i int, w *workloadFile) workload.Planned {
	path := fmt.Sprintf("workloads[%d]", i)
	p := workload.Planned{Cluster: w.Cluster, OnFailure: w.OnFailure, Schedule: w.Schedule, After: w.After, Provisioners: c.provisioners(f, w), Spec: workload.Spec{
		Plan: f.Plan, Name: w.Name, Kind: w.Kind, Architecture: w.Architecture, Engine: w.Engine,
		Home: f.Home, Sites: f.Sites, RPO: w.Objective.RPO, RTO: w.Objective.RTO, Directions: w.Links,
		Config: w.config, Clusters: map[understudy.Site]any{},
	}}
	repeated(r, join(path, "after"), w.After)
	if w.config == nil {
		return p
	}
	c.checkOffer(r, path, w)
	c.checkSchedule(r, path, w)
	c.checkLinks(f, r, path, w)
	c.endpoints(f, r, path, w, p.Clusters)
	if w.kind.Validate != nil {
		c.refusals(r, path, w, w.kind.Validate(p.Spec))
	}
	if w.kind.Advise != nil {
		c.advice(r, path, w.kind.Advise(p.Spec))
	}
	*c.placed = append(*c.placed, placed{r, path, w, p.Spec})
	return p
}

// overlaps reports workloads, of one plan or of two, that cannot be protected side by side: at the later one.
func (c compiler) overlaps() {
	for i, later := range *c.placed {
		for _, earlier := range (*c.placed)[:i] {
			if later.file.kind.Overlap == nil || later.spec.Kind != earlier.spec.Kind {
				continue
			}
			if e := later.file.kind.Overlap(later.spec, earlier.spec); e != nil {
				c.refusals(later.reader, later.path, later.file, []workload.FieldError{*e})
				break
			}
		}
	}
}

// refusals places what a kind says about its workload or about an endpoint, and drops it where the value itself is
// already known to be wrong.
func (c compiler) refusals(r *reader, path string, w *workloadFile, errs []workload.FieldError) {
	var report []func()
	for _, e := range errs {
		in, at := r, path
		if site, known := c.sites[e.Site]; known {
			keys := endpointKeys(w.kind, site.site.Clusters[w.Cluster])
			in, at = site.reader, join(join("clusters", string(w.Cluster)), keys[0])
		}
		if e.Path != "" {
			at = join(at, e.Path)
		}
		p := Problem{Code: e.Err.Code, Summary: e.Err.Summary, Why: e.Err.Why, Fix: e.Err.Fix}
		if s := e.Err.Object.Site; s != "" && e.Site == "" {
			p.Summary = fmt.Sprintf("site %s: %s", s, p.Summary)
		}
		if in.fine(at) {
			report = append(report, func() { in.on(at, p) })
		}
	}
	for _, r := range report {
		r()
	}
}

// advice places what a kind remarks on its workload, where the value itself is fine.
func (c compiler) advice(r *reader, path string, remarks []workload.FieldError) {
	for _, e := range remarks {
		if at := join(path, e.Path); r.fine(at) {
			told := *r
			told.problems, told.bad = c.notes, map[string]bool{}
			told.on(at, Problem{Code: e.Err.Code, Note: true, Summary: e.Err.Summary, Why: e.Err.Why, Fix: e.Err.Fix})
		}
	}
}

func (c compiler) checkOffer(r *reader, path string, w *workloadFile) {
	at := join(path, "architecture")
	if w.Architecture == "" || !r.fine(at) {
		return
	}
	var names []string
	for _, o := range w.kind.Offers {
		names = append(names, string(o.Architecture))
		if o.Architecture != w.Architecture {
			continue
		}
		at = join(path, "engine")
		if !slices.Contains(o.Engines, w.Engine) && r.fine(at) {
			r.on(at, Problem{Code: codeOffer, Summary: fmt.Sprintf("kind %s does not offer engine %s for %s", w.Kind, short(string(w.Engine)), w.Architecture),
				Suggestion: nearest(string(w.Engine), texts(o.Engines)), Fix: "write " + listed(texts(o.Engines))})
		}
		return
	}
	r.on(at, Problem{Code: codeOffer, Summary: fmt.Sprintf("kind %s does not offer %s", w.Kind, short(string(w.Architecture))),
		Suggestion: nearest(string(w.Architecture), names), Fix: "write " + listed(names)})
}

// checkSchedule wants a schedule where replication runs by one, and refuses one that nobody would read.
func (c compiler) checkSchedule(r *reader, path string, w *workloadFile) {
	at := join(path, "schedule")
	i := slices.IndexFunc(w.kind.Offers, func(o workload.Offer) bool { return o.Architecture == w.Architecture })
	if i < 0 || !r.fine(at) || !r.fine(join(path, "architecture")) {
		return
	}
	switch scheduled := w.kind.Offers[i].Scheduled; {
	case scheduled && w.Schedule.IsZero():
		r.at(r.find(path), at, Problem{Code: codeMissing, Summary: at + " is missing", Why: fmt.Sprintf("%s is replicated by runs, and nothing says when", w.Architecture),
			Fix: `add ` + "`schedule: every 4h`" + `, or a cron expression such as "0 2 * * *"`})
	case !scheduled && !w.Schedule.IsZero():
		r.onKey(at, Problem{Code: codeNoSchedule, Summary: fmt.Sprintf("kind %s takes no schedule for %s", w.Kind, w.Architecture),
			Why: "its links are followed all the time", Fix: "remove schedule"})
	}
}

// provisioners gives what makes the workload's cluster at each site of the plan, where the site's file names something.
func (c compiler) provisioners(f *planFile, w *workloadFile) map[understudy.Site]understudy.ProvisionerName {
	var out map[understudy.Site]understudy.ProvisionerName
	for _, s := range f.Sites {
		d, known := c.sites[s]
		if !known || d.site.Clusters[w.Cluster] == nil || d.site.Clusters[w.Cluster].provisioner == "" {
			continue
		}
		if out == nil {
			out = map[understudy.Site]understudy.ProvisionerName{}
		}
		out[s] = d.site.Clusters[w.Cluster].provisioner
	}
	return out
}

func (c compiler) checkLinks(f *planFile, r *reader, path string, w *workloadFile) {
	if len(w.Links) == 0 {
		return
	}
	if !w.kind.ExplicitLinks {
		r.onKey(join(path, "links"), Problem{Code: codeNotYet, Summary: fmt.Sprintf("kind %s cannot take explicit links yet", w.Kind),
			Why: "its links follow from the architecture and the sites", Fix: "remove links"})
		return
	}
	for i, l := range w.Links {
		at := fmt.Sprintf("%s.links[%d]", path, i)
		for key, s := range map[string]understudy.Site{"from": l.From, "to": l.To} {
			if !slices.Contains(f.Sites, s) && r.fine(join(at, key)) && r.fine("sites") {
				r.on(join(at, key), Problem{Code: codeLink, Summary: fmt.Sprintf("%q is not one of the plan's sites", s),
					Suggestion: nearest(string(s), texts(f.Sites)), Fix: "write " + listed(texts(f.Sites))})
			}
		}
		if l.From == l.To && l.From != "" {
			r.on(at, Problem{Code: codeLink, Summary: "a link goes from one site to another", Fix: "name two different sites"})
		}
		if slices.Index(w.Links, l) < i {
			r.on(at, Problem{Code: codeLink, Summary: fmt.Sprintf("the link from %s to %s is there twice", l.From, l.To), Fix: "remove one of them"})
		}
	}
}

// endpoints finds the workload's cluster at each site of the plan.
func (c compiler) endpoints(f *planFile, r *reader, path string, w *workloadFile, found map[understudy.Site]any) {
	at := join(path, "cluster")
	if w.Cluster == "" || !r.fine(at) {
		return
	}
	for _, s := range f.Sites {
		d, known := c.sites[s]
		if !known {
			continue
		}
		cluster, there := d.site.Clusters[w.Cluster]
		if !there {
			if d.reader.fine("clusters") {
				names := texts(slices.Sorted(maps.Keys(d.site.Clusters)))
				r.on(at, Problem{Code: codeNoCluster, Summary: fmt.Sprintf("site %s has no cluster %q", s, w.Cluster), Suggestion: nearest(string(w.Cluster), names),
					Why: "a workload's cluster has the same name at each site of its plan", Fix: fmt.Sprintf("describe it in %s, or use %s", d.reader.file.name, listed(names))})
			}
			continue
		}
		keys := endpointKeys(w.kind, cluster)
		e, there := cluster.endpoints[keys[0]]
		if !there && d.reader.fine(join("clusters", string(w.Cluster))) {
			r.on(at, Problem{Code: codeNoEndpoint, Summary: fmt.Sprintf("cluster %s at site %s has no %s endpoint", w.Cluster, s, quoted(w.kind)),
				Why: fmt.Sprintf("kind %s reaches it by that", w.Kind), Fix: fmt.Sprintf("add `%s:` to clusters.%s in %s", w.kind.Endpoint, w.Cluster, d.reader.file.name)})
		}
		if len(keys) > 1 {
			r.on(at, Problem{Code: codeTwoEndpoints, Summary: fmt.Sprintf("cluster %s at site %s has %s", w.Cluster, s, allOf(keys)),
				Why: fmt.Sprintf("kind %s can reach it by each, and they may be two things", w.Kind), Fix: fmt.Sprintf("make two clusters of it in %s", d.reader.file.name)})
		}
		if there {
			found[s] = e
		}
	}
}

// endpointKeys lists the endpoints of a cluster that the kind can use; the kind's main one when there is none.
func endpointKeys(k workload.Kind, c *clusterFile) []string {
	var keys []string
	for _, e := range k.EndpointKinds() {
		if c != nil && c.endpoints[e.Key] != nil {
			keys = append(keys, e.Key)
		}
	}
	if len(keys) == 0 {
		return []string{k.Endpoint}
	}
	return keys
}

// quoted lists a kind's endpoints.
func quoted(k workload.Kind) string {
	var names []string
	for _, e := range k.EndpointKinds() {
		names = append(names, fmt.Sprintf("%q", e.Key))
	}
	return listed(names)
}

// arrange checks `after` and orders the workloads by it, keeping the order of the file wherever it can.
func (c compiler) arrange(r *reader, all []workload.Planned) []workload.Planned {
	var names []string
	for _, w := range all {
		names = append(names, string(w.Name))
	}
	for i, w := range all {
		for j, a := range w.After {
			path := fmt.Sprintf("workloads[%d].after[%d]", i, j)
			if !slices.Contains(names, string(a)) && r.fine(path) {
				r.on(path, Problem{Code: codeNoWorkload, Summary: fmt.Sprintf("no workload of this plan is called %q", a),
					Suggestion: nearest(string(a), names), Fix: "name a workload of this plan"})
			}
		}
	}
	var done []workload.Planned
	placed := map[understudy.WorkloadName]bool{}
	for len(done) < len(all) {
		next := slices.IndexFunc(all, func(w workload.Planned) bool { return !placed[w.Name] && ready(w, placed, names) })
		if next < 0 {
			c.cycle(r, all, placed)
			return all
		}
		placed[all[next].Name] = true
		done = append(done, all[next])
	}
	return done
}

func ready(w workload.Planned, placed map[understudy.WorkloadName]bool, names []string) bool {
	for _, a := range w.After {
		if !placed[a] && slices.Contains(names, string(a)) {
			return false
		}
	}
	return true
}

func (c compiler) cycle(r *reader, all []workload.Planned, placed map[understudy.WorkloadName]bool) {
	var names []understudy.WorkloadName
	for _, w := range all {
		if !placed[w.Name] && w.Name != "" {
			names = append(names, w.Name)
		}
	}
	for i, w := range all {
		if path := fmt.Sprintf("workloads[%d].after", i); !placed[w.Name] && len(w.After) > 0 && r.fine(path) && r.fine(fmt.Sprintf("workloads[%d].name", i)) {
			summary := "these workloads wait for each other: " + allOf(texts(names))
			if slices.Contains(w.After, w.Name) {
				summary = fmt.Sprintf("workload %s waits for itself", w.Name)
			}
			r.on(path, Problem{Code: codeCycle, Summary: summary, Why: "it could never begin", Fix: "remove one `after`"})
			return
		}
	}
}
