package storage

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/wire/hdfs"
	"github.com/understudy-dr/understudy/workload"
)

// Name is the kind's name.
const Name understudy.KindName = "storage"

// Kind describes storage to the rest of the product.
func Kind() workload.Kind {
	engines := []understudy.Engine{understudy.Native, understudy.DistCp, understudy.Auto}
	return workload.Kind{
		Name: Name,
		Doc: "Directory trees, copied by scheduled runs with all attributes. A reader of the other site sees each file whole, old or new; " +
			"on HDFS a run is a snapshot, and the next one copies the difference.",
		Offers: []workload.Offer{{
			Architecture: understudy.StandbySecondary, Engines: engines, Scheduled: true,
			Doc: "One site takes writes; scheduled runs bring the trees to the other, which takes over with the set that was published last.",
		}, {
			Architecture: understudy.OnDemandSecondary, Engines: engines, Scheduled: true,
			Doc: "The same, and the other site's cluster is made for each run and removed after it; its storage stays.",
		}},
		Endpoint:     "hdfs",
		NewEndpoint:  func() any { return &HDFS{} },
		Endpoints:    endpoints(),
		NewConfig:    func() any { return &Config{Relist: relistByDefault, Repair: repairByDefault, Proof: proofChecksum} },
		Starter:      starter(),
		Sweeps:       sweeps,
		Validate:     validate,
		Overlap:      overlap,
		Links:        links,
		ExportLedger: exportLedger,
		Open: func(_ context.Context, s workload.Spec, o workload.Opening) (workload.Workload, error) {
			return open(s, o)
		},
	}
}

// links follows every source of the role into every site that is not one.
func links(s workload.Spec, r understudy.Role) []understudy.Link {
	var out []understudy.Link
	for _, from := range r.Sources() {
		for _, to := range s.Sites {
			_, target := s.Clusters[to]
			if _, source := s.Clusters[from]; source && target && to != from && !r.IsActive(to) {
				out = append(out, understudy.Link{Plan: s.Plan, Workload: s.Name, From: from, To: to})
			}
		}
	}
	return out
}

// invalid makes an error about a value of a file.
func invalid(path, summary, fix string) workload.FieldError {
	return workload.FieldError{Path: path, Err: &understudy.Error{
		Code: "US700", Kind: understudy.KindInvalid, Op: "storage.validate", Summary: summary, Fix: fix,
	}}
}

// validate checks a filled specification without any network.
func validate(s workload.Spec) []workload.FieldError {
	cfg, ok := s.Config.(*Config)
	if !ok {
		return []workload.FieldError{invalid("kind", "no configuration", "")}
	}
	out := validateTrees(cfg)
	if cfg.Guard.Deletes < 0 {
		out = append(out, invalid("guard.deletes", "a number of entries is not negative", "write 0 to delete nothing"))
	}
	if cfg.Guard.Percent < 0 || cfg.Guard.Percent > 100 {
		out = append(out, invalid("guard.percent", fmt.Sprintf("%d is not a share of 0 to 100 percent", cfg.Guard.Percent), ""))
	}
	if cfg.Guard.Keep < 0 {
		out = append(out, invalid("guard.keep", "a time is not negative", "write 720h for a month"))
	}
	switch cfg.Proof {
	case "", proofChecksum, proofRead:
	default:
		out = append(out, invalid("proof", fmt.Sprintf("%q is no proof", cfg.Proof), "write checksum or read"))
	}
	if cfg.Parallel < 0 {
		out = append(out, invalid("parallel", "a number of files is not negative", "leave it out"))
	}
	for key, m := range map[string]map[string]string{"users": cfg.Principals.Users, "groups": cfg.Principals.Groups} {
		if len(turned(m)) < len(m) {
			out = append(out, invalid("principals."+key, "two names become one, and nobody could tell them apart on the way back", "give each a name of its own"))
		}
	}
	out = append(append(out, validatePolicyTrees(cfg, s)...), validateEngine(s)...)
	out = append(out, validateApart(cfg, s)...)
	return append(out, validateEndpoints(s)...)
}

func validateTrees(cfg *Config) []workload.FieldError {
	var out []workload.FieldError
	if len(cfg.Trees) == 0 {
		out = append(out, invalid("trees", "no tree is named", "name at least one, such as trees: [{ path: /data/curated }]"))
	}
	for i, t := range cfg.Trees {
		at := fmt.Sprintf("trees[%d].path", i)
		if t.Path == "" {
			continue
		}
		if t.Path != path.Clean(t.Path) || !path.IsAbs(t.Path) || t.Path == "/" || hidden(t.Path) {
			out = append(out, invalid(at, fmt.Sprintf("%q is not a plain absolute path of a directory below the root", t.Path), "write it as /data/curated"))
			continue
		}
		for _, earlier := range cfg.Trees[:i] {
			if within(t.Path, earlier.Path) || within(earlier.Path, t.Path) {
				out = append(out, invalid(at, fmt.Sprintf("%s and %s lie within each other", t.Path, earlier.Path), "name the upper one alone"))
			}
		}
	}
	return out
}

// hidden says whether a path leads through understudy's own folders or snapshots.
func hidden(p string) bool {
	for e := range strings.SplitSeq(p, "/") {
		if strings.HasPrefix(e, ".") && strings.HasSuffix(e, ".understudy") || e == ".snapshot" {
			return true
		}
	}
	return false
}

// within says whether a path is another or lies below it.
func within(p, dir string) bool {
	return filecopy.Path(strings.Trim(p, "/")).Below(filecopy.Path(strings.Trim(dir, "/")))
}

func validateEndpoints(s workload.Spec) []workload.FieldError {
	var out []workload.FieldError
	for _, site := range s.Sites {
		var found []workload.FieldError
		switch e := s.Clusters[site].(type) {
		case *HDFS:
			found = e.validate()
		case *S3:
			found = e.validate()
		case *Blob:
			found = e.validate()
		case *ADLS:
			found = e.validate()
		case *Local:
			if !path.IsAbs(e.Root) || e.Root != path.Clean(e.Root) || e.Root == "/" {
				found = append(found, invalid("root", fmt.Sprintf("%q is not a plain absolute path", e.Root), "write it as /mnt/lake"))
			}
		}
		for _, f := range found {
			f.Site, f.Err.Object.Site = site, site
			out = append(out, f)
		}
	}
	return out
}

func (e *HDFS) validate() []workload.FieldError {
	var out []workload.FieldError
	for i, n := range e.Namenodes {
		if !workload.IsAddress(n) {
			out = append(out, invalid(fmt.Sprintf("namenodes[%d]", i), fmt.Sprintf("%q is not host:port", n), "write it as nn-1:8020"))
		}
	}
	if len(e.Namenodes) == 0 {
		out = append(out, invalid("namenodes", "no NameNode is named", "name host:port of its RPC"))
	}
	if e.User != "" && e.Kerberos != nil {
		out = append(out, invalid("user", "with Kerberos the principal acts", "remove user"))
	}
	if e.Writer != nil && (e.Writer.User == "") == (e.Writer.Kerberos == nil) {
		out = append(out, invalid("writer", "a writer has either a user or a Kerberos login", ""))
	}
	out = append(out, e.Kerberos.validate("kerberos")...)
	if e.Writer != nil {
		out = append(out, e.Writer.Kerberos.validate("writer.kerberos")...)
	}
	return append(out, e.validateYARN()...)
}

// validate checks the protections of a login.
func (k *Kerberos) validate(at string) []workload.FieldError {
	var out []workload.FieldError
	if k == nil {
		return nil
	}
	for key, v := range map[string]string{"protection": k.Protection, "dataProtection": k.DataProtection} {
		switch hdfs.Protection(v) {
		case "", hdfs.Authentication, hdfs.Integrity, hdfs.Privacy:
		default:
			out = append(out, invalid(at+"."+key, fmt.Sprintf("%q is no protection", v), "write authentication, integrity or privacy, as the cluster's configuration does"))
		}
	}
	return out
}

// overlap refuses two workloads of which one tree is part of another's at a store that they share.
func overlap(a, b workload.Spec) *workload.FieldError {
	one, ok1 := a.Config.(*Config)
	two, ok2 := b.Config.(*Config)
	if !ok1 || !ok2 {
		return nil
	}
	for _, s := range a.Sites {
		shared := sharedStore(a.Clusters[s], b.Clusters[s])
		i := slices.IndexFunc(one.Trees, func(t Tree) bool {
			return slices.ContainsFunc(two.Trees, func(u Tree) bool { return shared.overlap(t.Path, u.Path) })
		})
		if i < 0 {
			continue
		}
		e := invalid(fmt.Sprintf("trees[%d].path", i), fmt.Sprintf("%s is shared with workload %s/%s on the same store at %s", one.Trees[i].Path, b.Plan, b.Name, s),
			"leave the tree out of one of them")
		e.Err.Code, e.Err.Why = "US703", "two workloads would fence, overwrite and promote one tree against each other"
		return &e
	}
	return nil
}

// validateApart refuses sites of which one's copy of a tree would be the other's, or lie in it: the copy would be taken for the source.
func validateApart(cfg *Config, s workload.Spec) []workload.FieldError {
	for i, a := range s.Sites {
		for _, b := range s.Sites[i+1:] {
			shared := sharedStore(s.Clusters[a], s.Clusters[b])
			at := slices.IndexFunc(cfg.Trees, func(t Tree) bool {
				return slices.ContainsFunc(cfg.Trees, func(u Tree) bool { return shared.overlap(t.Path, u.Path) })
			})
			if at >= 0 {
				return []workload.FieldError{notApart(at, cfg.Trees[at].Path, a, b)}
			}
		}
	}
	return nil
}

func notApart(at int, tree string, a, b understudy.Site) workload.FieldError {
	e := invalid(fmt.Sprintf("trees[%d].path", at), fmt.Sprintf("%s is not apart at the sites %s and %s: they are one store, and one side's tree is the other's or lies in it", tree, a, b),
		"give each site a store, root, bucket or prefix of its own")
	e.Err.Code, e.Err.Why = "US703", "what is copied would be its own source, and closing the copy would close the original"
	return e
}

// sharing says how two endpoints are one store: not at all, below prefixes of it, or so that closing one closes the other as a whole.
type sharing struct {
	same, whole  bool
	aHead, bHead string
}

// overlap says whether two trees are closed and opened together, or lie within each other.
func (s sharing) overlap(a, b string) bool {
	a, b = path.Join("/", s.aHead, a), path.Join("/", s.bHead, b)
	return s.same && (s.whole || within(a, b) || within(b, a))
}

// sharedStore says whether two endpoints are one store: a NameNode in common, the same directory, bucket, container or file system.
func sharedStore(a, b any) sharing {
	switch x := a.(type) {
	case *HDFS:
		y, ok := b.(*HDFS)
		return sharing{same: ok && common(x.Namenodes, y.Namenodes)}
	case *Local:
		y, ok := b.(*Local)
		if ok {
			return sharing{same: true, aHead: x.Root, bHead: y.Root}
		}
	case *S3:
		if y, ok := b.(*S3); ok && x.URL == y.URL && x.Bucket == y.Bucket {
			return sharing{same: true, aHead: x.Prefix, bHead: y.Prefix}
		}
	case *Blob:
		if y, ok := b.(*Blob); ok && x.URL == y.URL && x.Container == y.Container {
			return sharing{same: true, whole: common(x.Policies, y.Policies), aHead: x.Prefix, bHead: y.Prefix}
		}
	case *ADLS:
		if y, ok := b.(*ADLS); ok && x.URL == y.URL && x.FileSystem == y.FileSystem {
			return sharing{same: true, aHead: x.Prefix, bHead: y.Prefix}
		}
	}
	return sharing{}
}

func common(a, b []string) bool {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return true
			}
		}
	}
	return false
}
