package kafka

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

// rights reads which operations on the cluster we are authorised for (KIP-430).
func (o *observer) rights(ctx context.Context) error {
	ops := o.md.ClusterOps
	if ops < 0 {
		_, asked, err := o.s.admin.DescribeCluster(ctx, unbounded())
		if err != nil {
			return err
		}
		ops = asked
	}
	if ops < 0 { // the broker does not tell: a missing right shows when it is used
		o.facts.MayMark, o.facts.MayAlter, o.facts.mayCreate = true, true, true
		return nil
	}
	o.facts.MayAlter = cluster.May(ops, kmsg.ACLOperationAlter)
	o.facts.mayCreate = cluster.May(ops, kmsg.ACLOperationCreate)
	// ALTER was seen to be enough on 3.9.1 and 4.4.0, and not on 3.2.3; nothing between them was tried.
	o.facts.MayMark = cluster.May(ops, kmsg.ACLOperationClusterAction) || (o.facts.MayAlter && atLeast(o.facts.Version, 3, 9))
	if !o.facts.MayMark {
		o.find("refuse", "US102", "the right CLUSTER_ACTION on the cluster (or ALTER, from Kafka 3.9 on) is missing: without it no marker can be written",
			"grant CLUSTER_ACTION on the cluster to the principal that understudy uses there")
	}
	return nil
}

// crossRights looks for rights that are told by no site alone: to create what only the other one has, and to set the
// positions of its groups. Nothing is asked where no site has an authorizer.
func (w *Workload) crossRights(ctx context.Context, f *Facts) []workload.Finding {
	if !slices.ContainsFunc(slices.Collect(maps.Values(f.Sites)), func(s *SiteFacts) bool { return s.Authorizer }) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, observeTimeout)
	defer cancel()
	all := map[understudy.Site]*grouped{}
	for name := range f.Sites {
		all[name] = &grouped{}
	}
	var mu sync.Mutex
	var out []workload.Finding
	each := func(look func(understudy.Site) []workload.Finding) {
		var g errgroup.Group
		for name := range f.Sites {
			g.Go(func() error {
				found := look(name)
				mu.Lock()
				defer mu.Unlock()
				out = append(out, found...)
				return nil
			})
		}
		_ = g.Wait() // nothing of it fails
	}
	each(func(s understudy.Site) []workload.Finding { return w.groupsOf(ctx, s, f.Sites[s], all[s]) })
	followed := map[string]bool{}
	for _, g := range all {
		for _, name := range g.placed {
			followed[name] = true
		}
	}
	each(func(s understudy.Site) []workload.Finding {
		if !f.Sites[s].Authorizer {
			return nil
		}
		return append(w.creating(ctx, s, f), w.committing(ctx, s, f.Sites[s], all[s], slices.Sorted(maps.Keys(followed)))...)
	})
	return out
}

// grouped is what one site says of its groups.
type grouped struct {
	// ops are the operations that are allowed on those that their coordinators tell of, and placed those that have
	// positions in the workload's topics.
	ops    map[string]int32
	placed []string
}

// groupsOf reads which groups of a site have positions that are to follow, and names those that we may not see.
func (w *Workload) groupsOf(ctx context.Context, s understudy.Site, f *SiteFacts, g *grouped) []workload.Finding {
	c := w.sites[s].admin
	names := f.groups
	var hidden []string
	if f.Authorizer {
		var err error
		if g.ops, err = c.GroupOps(ctx, unbounded(), names); err != nil {
			return w.unseen(s, "on groups", err)
		}
		hidden = slices.DeleteFunc(slices.Clone(names), func(n string) bool {
			ops, told := g.ops[n]
			return !told || cluster.May(ops, kmsg.ACLOperationDescribe)
		})
		names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(hidden, n) })
	}
	at, err := c.FetchGroupOffsets(ctx, unbounded(), names)
	if err != nil {
		return w.unseen(s, "on groups", err)
	}
	for _, n := range names {
		for tp := range at[n] {
			if f.Topics[tp.Topic] != nil {
				g.placed = append(g.placed, n)
				break
			}
		}
	}
	return w.lacking(s, "DESCRIBE", "group", hidden, "to read its positions")
}

// committing names the groups whose positions we may not set at a site. Those that are not there yet are asked for one by
// one; after the first copy there are few.
func (w *Workload) committing(ctx context.Context, s understudy.Site, f *SiteFacts, g *grouped, names []string) []workload.Finding {
	var mu sync.Mutex
	var denied []string
	all, actx := errgroup.WithContext(ctx)
	all.SetLimit(16)
	for _, n := range names {
		if ops, told := g.ops[n]; told {
			if ops != 0 && !cluster.May(ops, kmsg.ACLOperationRead) { // 0 is said already
				mu.Lock()
				denied = append(denied, n)
				mu.Unlock()
			}
			continue
		}
		all.Go(func() error {
			may, err := w.sites[s].admin.MayCommit(actx, unbounded(), f.broker, n)
			mu.Lock()
			defer mu.Unlock()
			if err == nil && !may {
				denied = append(denied, n)
			}
			return err
		})
	}
	err := all.Wait()
	slices.Sort(denied)
	out := w.lacking(s, "READ", "group", denied, "to set its positions")
	if err != nil {
		out = append(out, w.unseen(s, "on groups", err)...)
	}
	return out
}

// creating names the topics that we may not make at a site: those of other sites, and understudy's own. Where CREATE on
// the cluster is missing each needs it for itself.
func (w *Workload) creating(ctx context.Context, s understudy.Site, f *Facts) []workload.Finding {
	here := f.Sites[s]
	if here.mayCreate {
		return nil
	}
	var absent []string
	if !here.OwnTopic {
		absent = append(absent, cluster.OwnTopic)
	}
	for _, other := range f.Sites {
		for _, n := range other.names() {
			if here.Topics[n] == nil && !slices.Contains(absent, n) {
				absent = append(absent, n)
			}
		}
	}
	denied, err := w.sites[s].admin.MayNotCreate(ctx, unbounded(), absent)
	if err != nil {
		return w.unseen(s, "to create topics", err)
	}
	slices.Sort(denied)
	return w.lacking(s, "CREATE", "topic", denied, "to make it there, and so is CREATE on the cluster")
}

func (w *Workload) lacking(s understudy.Site, right, what string, names []string, why string) []workload.Finding {
	if len(names) == 0 {
		return nil
	}
	return []workload.Finding{{
		Code: "US102", Level: "refuse", Object: w.object(s, ""),
		Summary: fmt.Sprintf("the right %s on %s is missing, %s", right, someOf(what, names), why),
		Fix:     fmt.Sprintf("grant %s on the %ss to the principal that understudy uses there", right, what),
	}}
}

// unseen says that rights could not be read; whether they are there shows when they are used.
func (w *Workload) unseen(s understudy.Site, which string, err error) []workload.Finding {
	e := understudy.AsError(err)
	return []workload.Finding{{
		Code: e.Code, Level: "warning", Object: w.object(s, ""),
		Summary: fmt.Sprintf("whether the rights %s are there cannot be told: %s", which, e.Summary), Fix: cmp.Or(e.Fix, "ask again"),
	}}
}

// someOf names a few of a list.
func someOf(what string, names []string) string {
	if len(names) <= 3 {
		return what + " " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s %s and %d others", what, strings.Join(names[:3], ", "), len(names)-3)
}
