package kafka

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

// Workload is one set of topics and groups, opened on the clusters of its sites.
type Workload struct {
	spec    workload.Spec
	cfg     *Config
	opening workload.Opening
	match   matcher
	sites   map[understudy.Site]*site
	// coder reads and writes our own small records; it takes making a client to make one, and every look needs it.
	coder func() (*batch.Coder, error)
	// now is the clock of waits that have an end.
	now func() time.Time
}

var _ workload.Workload = (*Workload)(nil)

// site is the workload's cluster at one site.
type site struct {
	name     understudy.Site
	endpoint *Endpoint
	// admin acts as understudy, and writer as an ordinary writer; writer is nil when no credentials are given.
	admin  *cluster.Cluster
	writer *cluster.Cluster
}

// open makes a workload without connecting anywhere.
func open(spec workload.Spec, o workload.Opening) (*Workload, error) {
	cfg, ok := spec.Config.(*Config)
	if !ok {
		return nil, &understudy.Error{Code: "US001", Kind: understudy.KindBug, Op: "kafka.open", Summary: fmt.Sprintf("configuration of type %T", spec.Config)}
	}
	m, err := newMatcher(cfg)
	if err != nil {
		return nil, err
	}
	w := &Workload{spec: spec, cfg: cfg, opening: o, match: m, sites: map[understudy.Site]*site{}, now: time.Now}
	w.coder = sync.OnceValues(func() (*batch.Coder, error) { return batch.NewCoder(decodeLimit) })
	for name, e := range spec.Clusters {
		endpoint, ok := e.(*Endpoint)
		if !ok {
			return nil, &understudy.Error{Code: "US001", Kind: understudy.KindBug, Op: "kafka.open", Summary: fmt.Sprintf("endpoint of type %T", e)}
		}
		w.sites[name] = w.openSite(name, endpoint)
	}
	return w, nil
}

func (w *Workload) openSite(name understudy.Site, e *Endpoint) *site {
	cfg := cluster.Config{
		Object:  understudy.Object{Plan: w.spec.Plan, Workload: w.spec.Name, Site: name},
		Brokers: e.Brokers, TLS: (*cluster.TLS)(e.TLS), SASL: (*cluster.SASL)(e.SASL), Secret: w.opening.Secret,
	}
	s := &site{name: name, endpoint: e, admin: cluster.Open(cfg)}
	if e.Writer == nil {
		return s
	}
	cfg.SASL = (*cluster.SASL)(e.Writer.SASL)
	if len(e.Writer.Brokers) > 0 {
		cfg.Brokers = e.Writer.Brokers
	}
	s.writer = cluster.Open(cfg)
	return s
}

// Close ends all connections.
func (w *Workload) Close() error {
	var errs []error
	for _, s := range w.sites {
		errs = append(errs, s.admin.Close())
		if s.writer != nil {
			errs = append(errs, s.writer.Close())
		}
	}
	return errors.Join(errs...)
}

// at gives the workload's cluster at a site.
func (w *Workload) at(name understudy.Site) (*site, error) {
	s, ok := w.sites[name]
	if !ok {
		return nil, &understudy.Error{
			Code: "US109", Kind: understudy.KindInvalid, Op: "kafka", Object: w.object(name, ""),
			Summary: "the plan names no Kafka cluster at this site",
		}
	}
	return s, nil
}

// object names the workload at a site, and a shard of it.
func (w *Workload) object(s understudy.Site, shard string) understudy.Object {
	return understudy.Object{Plan: w.spec.Plan, Workload: w.spec.Name, Site: s, Shard: shard}
}

// siteNames lists the sites that have a cluster, in the plan's order.
func (w *Workload) siteNames() []understudy.Site {
	var out []understudy.Site
	for _, s := range w.spec.Sites {
		if _, ok := w.sites[s]; ok {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		out = slices.Sorted(maps.Keys(w.sites))
	}
	return out
}

// principal is the name under which the site's brokers know understudy; empty when it cannot be known.
func (e *Endpoint) principal() string {
	if e.Principal != "" {
		return e.Principal
	}
	return loginPrincipal(e.SASL)
}

// writerPrincipal is the name under which the site's brokers know the ordinary writer.
func (e *Endpoint) writerPrincipal() string {
	if e.Writer == nil {
		return ""
	}
	if e.Writer.Principal != "" {
		return e.Writer.Principal
	}
	return loginPrincipal(e.Writer.SASL)
}

func loginPrincipal(s *SASL) string {
	if s == nil {
		return "User:ANONYMOUS"
	}
	if s.User == "" {
		return ""
	}
	return "User:" + s.User
}

// matcher says which topics and groups belong to a workload.
type matcher struct {
	topics, exclude, groups []*regexp.Regexp
}

func newMatcher(cfg *Config) (matcher, error) {
	var m matcher
	var err error
	if m.topics, err = compile("topics", cfg.Topics); err != nil {
		return m, err
	}
	if m.exclude, err = compile("exclude", cfg.Exclude); err != nil {
		return m, err
	}
	m.groups, err = compile("groups", cfg.Groups)
	return m, err
}

func compile(key string, patterns []string) ([]*regexp.Regexp, error) {
	var out []*regexp.Regexp
	for i, p := range patterns {
		re, err := regexp.Compile("^(?:" + p + ")$")
		if err != nil {
			return nil, &understudy.Error{
				Code: "US105", Kind: understudy.KindInvalid, Op: "kafka.validate",
				Summary: fmt.Sprintf("%s[%d]: %q is not a regular expression", key, i, p), Err: err,
			}
		}
		out = append(out, re)
	}
	return out, nil
}

func matches(list []*regexp.Regexp, name string) bool {
	return slices.ContainsFunc(list, func(re *regexp.Regexp) bool { return re.MatchString(name) })
}

// topic says whether a topic is protected. Kafka's own topics and ours never are.
func (m matcher) topic(name string) bool {
	if cluster.Internal(name) || name == cluster.OwnTopic {
		return false
	}
	return matches(m.topics, name) && !matches(m.exclude, name)
}

// group says whether a group's positions follow.
func (m matcher) group(name string) bool { return len(m.groups) == 0 || matches(m.groups, name) }

// verb and stage errors share this shape.
func bug(op, text string) error {
	return &understudy.Error{Code: "US001", Kind: understudy.KindBug, Op: op, Summary: text}
}

// ourPID says whether a producer id is one of understudy's.
func ourPID(id int64) bool { return cluster.Ours(id) }
