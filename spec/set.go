package spec

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// Set is all sites and plans that belong together, checked. The zero Set is empty.
type Set struct {
	// Sites and Plans are ordered by name.
	Sites []Site
	Plans []workload.Plan
	// Notes is what is valid and hardly meant. It is told and refuses nothing.
	Notes Problems

	docs []*document
}

// Site is one region's clusters, checked.
type Site struct {
	Name understudy.Site
	// Clusters are ordered by name.
	Clusters []Cluster
}

// Cluster is a named set of endpoints at a site.
type Cluster struct {
	Name understudy.ClusterName
	// Endpoints gives, by the kind's endpoint key, the pointer that Kind.NewEndpoint made, filled.
	Endpoints map[string]any
	// Provisioner names what makes and removes the cluster; empty when it is always there.
	Provisioner understudy.ProvisionerName
}

// Parse reads the sources and checks them together with what base already holds. A document of the sources replaces
// the document of base with the same type and name; every other document of base stays. The error is Problems, with
// everything that is wrong; the Set is usable only without one.
func Parse(reg workload.Registry, base Set, sources ...Source) (Set, error) {
	var problems Problems
	docs := documents(reg, sources, &problems)
	if len(docs) == 0 && len(problems) == 0 && len(sources) > 0 {
		problems.add(&Problem{Code: codeEmpty, File: sources[0].Name, Summary: "no site and no plan in " + count(len(sources), "file"),
			Fix: "begin a document with `site: NAME` or `plan: NAME`; `understudy init` writes a first one"})
	}
	for _, b := range base.docs {
		if !slices.ContainsFunc(docs, func(d *document) bool { return d.ref == b.ref }) {
			docs = append(docs, b.again(&problems))
		}
	}
	return compile(reg, docs, &problems)
}

// Without gives the set without the named documents, checked again: removing a site that a plan needs is refused.
func (s Set) Without(reg workload.Registry, refs ...Ref) (Set, error) {
	var problems Problems
	var docs []*document
	for _, d := range s.docs {
		if !slices.Contains(refs, d.ref) {
			docs = append(docs, d.again(&problems))
		}
	}
	return compile(reg, docs, &problems)
}

// again gives a document that reports into other problems.
func (d *document) again(problems *Problems) *document {
	r := *d.reader
	r.problems, r.bad = problems, map[string]bool{}
	return &document{ref: d.ref, site: d.site, plan: d.plan, reader: &r, reg: d.reg}
}

// Plan finds a plan by name.
func (s Set) Plan(name understudy.PlanName) (workload.Plan, bool) {
	for _, p := range s.Plans {
		if p.Name == name {
			return p, true
		}
	}
	return workload.Plan{}, false
}

// Site finds a site by name.
func (s Set) Site(name understudy.Site) (Site, bool) {
	for _, one := range s.Sites {
		if one.Name == name {
			return one, true
		}
	}
	return Site{}, false
}

// Refs lists the documents, sites first, by name.
func (s Set) Refs() []Ref {
	refs := make([]Ref, len(s.docs))
	for i, d := range s.docs {
		refs[i] = d.ref
	}
	return refs
}

// Document gives one document's canonical text; false when there is none of that type and name.
func (s Set) Document(ref Ref) (string, bool) {
	for _, d := range s.docs {
		if d.ref == ref {
			return d.tree().yaml(), true
		}
	}
	return "", false
}

// Canonical gives all documents as YAML in one form: documents, keys and maps in a fixed order, values normalised,
// comments dropped. Parsing it gives an equal Set.
func (s Set) Canonical() string {
	var b strings.Builder
	for i, d := range s.docs {
		if i > 0 {
			b.WriteString("---\n")
		}
		b.WriteString(d.tree().yaml())
	}
	return b.String()
}

// Digest is the SHA-256 of Canonical, in hex. Equal sets have equal digests, whatever their files look like.
func (s Set) Digest() string {
	sum := sha256.Sum256([]byte(s.Canonical()))
	return hex.EncodeToString(sum[:])
}

// order sorts documents: sites first, then by name.
func order(docs []*document) {
	slices.SortFunc(docs, func(a, b *document) int {
		return cmp.Or(-cmp.Compare(a.ref.Type, b.ref.Type), cmp.Compare(a.ref.Name, b.ref.Name))
	})
}
