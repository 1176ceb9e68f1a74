package spec

import (
	"fmt"
	"reflect"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// siteFile is a `site:` document.
type siteFile struct {
	Site     understudy.Site                         `yaml:"site" doc:"the name of the region's clusters, such as east"`
	Clusters map[understudy.ClusterName]*clusterFile `yaml:"clusters" doc:"the site's clusters, each under the name it has at every site"`
}

// clusterFile is one cluster: endpoints by the key of their kind.
type clusterFile struct {
	endpoints   map[string]any
	provisioner understudy.ProvisionerName
}

// provisionKey stands beside a cluster's endpoints.
const provisionKey = "provision"

// provisionDoc explains it.
const provisionDoc = "what makes and removes the cluster, by the name that serve's configuration gives it; static, or none, means that the cluster is always there"

// planFile is a `plan:` document.
type planFile struct {
	Plan      understudy.PlanName                          `yaml:"plan" doc:"the name of what fails over together"`
	Home      understudy.Site                              `yaml:"home" doc:"the site that is active at first, and to which a failback returns"`
	Sites     []understudy.Site                            `yaml:"sites" doc:"the sites that take part; the home site is one of them"`
	Hooks     map[understudy.StageName]understudy.HookName `yaml:"hooks,omitempty" doc:"commands to run at stages, by the names that serve's configuration gives them"`
	Approvals []understudy.Verb                            `yaml:"approvals,omitempty" doc:"the operations that wait for a second person" enum:"switchover,failover,rollback,reprotect,failback,unprotect"`
	Workloads []*workloadFile                              `yaml:"workloads" doc:"what is protected"`
}

// workloadFile is one workload of a plan. The kind's own keys stand beside these.
type workloadFile struct {
	Name         understudy.WorkloadName   `yaml:"name" doc:"the workload's name within the plan"`
	Kind         understudy.KindName       `yaml:"kind" doc:"what is protected"`
	Architecture understudy.Architecture   `yaml:"architecture" doc:"the topology, one that the kind offers"`
	Engine       understudy.Engine         `yaml:"engine,omitempty" doc:"the means of replication, one that the kind offers for the architecture" default:"native"`
	Cluster      understudy.ClusterName    `yaml:"cluster" doc:"the cluster, by the name it has at each site of the plan"`
	Objective    objectiveFile             `yaml:"objective" doc:"what the business can bear"`
	OnFailure    understudy.OnFailure      `yaml:"onFailure" doc:"what happens when a step of this workload fails; there is no default, because each choice is wrong for someone" enum:"stop,quarantine,continue"`
	Schedule     workload.Schedule         `yaml:"schedule,omitempty" doc:"when replication runs, where it runs by schedule: every 4h, or a cron expression of five fields in UTC, or in another time zone with CRON_TZ=Europe/Berlin before it"`
	After        []understudy.WorkloadName `yaml:"after,omitempty" doc:"workloads of this plan that come before this one"`
	Links        []workload.Direction      `yaml:"links,omitempty" doc:"the directions of replication, where they do not follow from the architecture"`

	config any
	kind   workload.Kind
}

// objectiveFile is what the business can bear.
type objectiveFile struct {
	RPO time.Duration `yaml:"rpo" doc:"how much of the newest writes may be lost, such as 30s"`
	RTO time.Duration `yaml:"rto" doc:"how long a takeover may take, such as 10m"`
}

// Ref names a document.
type Ref struct {
	// Type is "site" or "plan".
	Type string `json:"type"`
	Name string `json:"name"`
}

// String gives the reference for people, such as "plan contoso".
func (r Ref) String() string { return r.Type + " " + r.Name }

// document is one site or plan with the places of everything in it.
type document struct {
	ref    Ref
	site   *siteFile
	plan   *planFile
	reader *reader
	reg    workload.Registry
}

// defaults gives an endpoint as its kind presets it.
func (d *document) defaults(key string) reflect.Value { return reflect.ValueOf(endpoint(d.reg, key)) }

// documents reads every document of the sources.
func documents(reg workload.Registry, sources []Source, problems *Problems) []*document {
	var all []*document
	seen := map[Ref]*document{}
	for _, s := range sources {
		parts := split(s, problems)
		for _, p := range parts {
			d := readDocument(reg, p, problems)
			if d == nil {
				continue
			}
			first, twice := seen[d.ref]
			if !twice {
				seen[d.ref] = d
				all = append(all, d)
				continue
			}
			at := first.reader.find(d.ref.Type)
			d.reader.on(d.ref.Type, Problem{Code: codeTwice, Summary: fmt.Sprintf("%s is there twice", d.ref),
				Why: fmt.Sprintf("it already stands in %s:%d", first.reader.file.name, at.line), Fix: "remove or rename one of them"})
		}
	}
	return all
}

// readDocument reads one document; nil when it has no usable name.
func readDocument(reg workload.Registry, p part, problems *Problems) *document {
	r := newReader(p, problems)
	r.values[""] = p.placeOf(p.root)
	if !r.plain(p.root, "") {
		return nil
	}
	entries, ok := newReader(p, new(Problems)).entries(p.root, "")
	if !ok {
		r.wrong(p.root, "", aDocument, "")
		return nil
	}
	d := &document{reader: r, reg: reg}
	switch {
	case has(entries, "site") && has(entries, "plan"):
		r.at(r.values[""], "", Problem{Code: codeDocument, Summary: "a document is either a site or a plan, not both", Fix: "separate them with a line `---`"})
		return nil
	case has(entries, "plan"):
		d.plan = &planFile{}
		r.readPlan(reg, p.root, d.plan)
		d.ref = Ref{"plan", string(d.plan.Plan)}
	case has(entries, "site") && (has(entries, "data") || has(entries, "journal") || has(entries, "listen")):
		r.at(r.values[""], "", Problem{Code: codeDocument, Summary: "this is a configuration of `understudy serve`, not a site or a plan",
			Fix: "keep it outside the directory of sites and plans, and pass it with `understudy serve --config`"})
		return nil
	case has(entries, "site"):
		d.site = &siteFile{}
		r.readSite(reg, p.root, d.site)
		d.ref = Ref{"site", string(d.site.Site)}
	default:
		r.noDocument(entries)
		return nil
	}
	if d.ref.Name == "" {
		return nil
	}
	return d
}

func (r *reader) noDocument(entries []entry) {
	p := Problem{Code: codeDocument, Summary: "this document is neither a site nor a plan", Fix: "begin it with `site: NAME` or `plan: NAME`"}
	for _, e := range entries {
		if s := nearest(e.name, []string{"site", "plan"}); s != "" {
			p.Suggestion = s
			r.at(e.key, "", p)
			return
		}
	}
	r.at(r.values[""], "", p)
}

func has(entries []entry, name string) bool {
	for _, e := range entries {
		if e.name == name {
			return true
		}
	}
	return false
}

func (r *reader) readSite(reg workload.Registry, n *yaml.Node, s *siteFile) {
	v := reflect.ValueOf(s).Elem()
	r.structs(n, "", func(key string) bool { return key == "clusters" }, v)
	entries, _ := newReader(r.part, new(Problems)).entries(n, "")
	for _, e := range entries {
		if e.name == "clusters" {
			r.readClusters(reg, e.node, s)
		}
	}
}

func (r *reader) readClusters(reg workload.Registry, n *yaml.Node, s *siteFile) {
	s.Clusters = map[understudy.ClusterName]*clusterFile{}
	if isNull(n) {
		r.onKey("clusters", Problem{Code: codeNull, Summary: "clusters has no value", Fix: "describe at least one cluster"})
		return
	}
	if !r.plain(n, "clusters") {
		return
	}
	entries, ok := r.entries(n, "clusters")
	if !ok {
		r.wrong(n, "clusters", clusterList, "")
		return
	}
	for _, e := range entries {
		path := join("clusters", e.name)
		r.keys[path], r.values[path] = e.key, r.placeOf(e.node)
		if why := NameProblem(e.name); why != "" {
			r.at(e.key, path, Problem{Code: codeName, Summary: fmt.Sprintf("%q is not a name", e.name), Why: why, Suggestion: asName(e.name)})
			continue
		}
		s.Clusters[understudy.ClusterName(e.name)] = r.readEndpoints(reg, e.node, path)
	}
}

func (r *reader) readEndpoints(reg workload.Registry, n *yaml.Node, path string) *clusterFile {
	c := &clusterFile{endpoints: map[string]any{}}
	if isNull(n) || !r.plain(n, path) {
		if isNull(n) {
			r.onKey(path, Problem{Code: codeNull, Summary: path + " has no value", Fix: "name its endpoints"})
		}
		return c
	}
	entries, ok := r.entries(n, path)
	if !ok {
		r.wrong(n, path, entrances, "")
		return c
	}
	var names []string
	for _, k := range reg.Kinds() {
		for _, e := range k.EndpointKinds() {
			names = append(names, e.Key)
		}
	}
	for _, e := range entries {
		p := join(path, e.name)
		r.keys[p] = e.key
		if e.name == provisionKey {
			r.value(e.node, reflect.ValueOf(&c.provisioner).Elem(), p, field{name: e.name})
			continue
		}
		made := endpoint(reg, e.name)
		if made == nil {
			r.at(e.key, p, Problem{Code: codeUnknownKey, Summary: fmt.Sprintf("unknown endpoint %q in %s", e.name, path),
				Suggestion: nearest(e.name, append(names, provisionKey)), Fix: "the endpoints are " + listed(names) + "; beside them may stand " + provisionKey})
			continue
		}
		r.value(e.node, reflect.ValueOf(made).Elem(), p, field{name: e.name, required: true})
		c.endpoints[e.name] = made
	}
	return c
}

// endpoint makes an empty endpoint by its key; nil when no kind has it.
func endpoint(reg workload.Registry, key string) any {
	for _, k := range reg.Kinds() {
		for _, e := range k.EndpointKinds() {
			if e.Key == key {
				return e.New()
			}
		}
	}
	return nil
}

func (r *reader) readPlan(reg workload.Registry, n *yaml.Node, p *planFile) {
	v := reflect.ValueOf(p).Elem()
	r.structs(n, "", func(key string) bool { return key == "workloads" }, v)
	entries, _ := newReader(r.part, new(Problems)).entries(n, "")
	for _, e := range entries {
		if e.name == "workloads" {
			r.readWorkloads(reg, e.node, p)
		}
	}
}

func (r *reader) readWorkloads(reg workload.Registry, n *yaml.Node, p *planFile) {
	if !r.plain(n, "workloads") {
		return
	}
	if n.Kind != yaml.SequenceNode {
		r.wrong(n, "workloads", aList, "")
		return
	}
	if len(n.Content) == 0 {
		r.on("workloads", Problem{Code: codeNull, Summary: "workloads is an empty list", Fix: "name at least one workload"})
	}
	for i, item := range n.Content {
		path := fmt.Sprintf("workloads[%d]", i)
		r.values[path] = r.placeOf(item)
		w := &workloadFile{Engine: understudy.Native}
		p.Workloads = append(p.Workloads, w)
		if r.plain(item, path) {
			r.readWorkload(reg, item, path, w)
		}
	}
}

// readWorkload fills the general keys and the kind's own, which share a mapping.
func (r *reader) readWorkload(reg workload.Registry, n *yaml.Node, path string, w *workloadFile) {
	targets := []reflect.Value{reflect.ValueOf(w).Elem()}
	entries, ok := newReader(r.part, new(Problems)).entries(n, path)
	for _, e := range entries {
		if k, known := reg.Kind(understudy.KindName(nodeText(e.node))); e.name == "kind" && known {
			w.kind, w.config = k, k.NewConfig()
			targets = append(targets, reflect.ValueOf(w.config).Elem())
		}
	}
	if !ok || w.config != nil {
		r.structs(n, path, nil, targets...)
		return
	}
	// Without its kind, nobody can say which of the other keys are meant.
	general := map[string]bool{}
	for _, f := range fieldsOf(targets[0].Type()) {
		general[f.name] = true
	}
	r.structs(n, path, func(key string) bool { return !general[key] }, targets...)
	if at := join(path, "kind"); r.fine(at) {
		names := kindNames(reg)
		r.on(at, Problem{Code: codeKind, Summary: fmt.Sprintf("there is no kind of workload called %q", short(string(w.Kind))),
			Suggestion: nearest(string(w.Kind), names), Fix: "the kinds are " + listed(names)})
	}
}

func kindNames(reg workload.Registry) []string {
	var names []string
	for _, k := range reg.Kinds() {
		names = append(names, string(k.Name))
	}
	return names
}
