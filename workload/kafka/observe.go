package kafka

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/topicconf"
)

const (
	// contactTimeout is how long a site may take to say its first word before it counts as unreachable.
	contactTimeout = 3 * time.Second
	// silentTimeout is the same for a site that let the whole of it go by moments ago. On a long path it is too short
	// for an answer: then the site stays silent until it is given the whole time again.
	silentTimeout = 300 * time.Millisecond
	// observeTimeout bounds the rest.
	observeTimeout = 20 * time.Second
	// clockTolerance is how far a cluster's clock may be from ours without a word.
	clockTolerance = 2 * time.Second
)

// unbounded is the lease of requests that change nothing: an observation may end late without harm.
func unbounded() understudy.Lease { return understudy.Lease{} }

// Observe reads all sites side by side and changes nothing. A site that does not answer within a few seconds
// is unreachable, sooner if it has just been silent; one that answers, but refuses a request, is present, with a finding.
func (w *Workload) Observe(ctx context.Context) (workload.Observation, error) {
	out := workload.Observation{
		At: time.Now(), Sites: map[understudy.Site]workload.SiteFacts{}, Stamp: map[understudy.Site]*understudy.Stamp{},
	}
	facts := &Facts{Sites: map[understudy.Site]*SiteFacts{}}
	var mu sync.Mutex
	var g errgroup.Group
	for _, name := range w.siteNames() {
		g.Go(func() error {
			s := w.observeSite(ctx, w.sites[name])
			mu.Lock()
			defer mu.Unlock()
			out.Sites[name] = s.common
			out.Findings = append(out.Findings, s.findings...)
			if s.facts != nil {
				facts.Sites[name] = s.facts
				out.HighestEpoch = max(out.HighestEpoch, s.facts.highestEpoch())
			}
			if s.stamp != nil {
				out.Stamp[name] = s.stamp
				out.HighestEpoch = max(out.HighestEpoch, s.stamp.Role.Epoch)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return out, err
	}
	if ctx.Err() != nil {
		return out, &understudy.Error{Code: "US002", Kind: understudy.KindRetry, Op: "kafka.observe", Object: w.object("", ""), Summary: "interrupted", Err: ctx.Err()}
	}
	out.Facts = facts
	out.Findings = append(out.Findings, w.crossFindings(facts)...)
	out.Findings = append(out.Findings, w.crossRights(ctx, facts)...)
	out.Findings = append(out.Findings, w.unmatched(ctx, facts)...)
	slices.SortFunc(out.Findings, func(a, b workload.Finding) int {
		return strings.Compare(string(a.Object.Site)+a.Summary, string(b.Object.Site)+b.Summary)
	})
	return out, nil
}

// sighting is what one site gave.
type sighting struct {
	common   workload.SiteFacts
	facts    *SiteFacts
	stamp    *understudy.Stamp
	findings []workload.Finding
}

func (w *Workload) observeSite(ctx context.Context, s *site) sighting {
	var out sighting
	patience := contactTimeout
	if workload.Silent(ctx, s.name) {
		patience = silentTimeout
	}
	first, cancel := context.WithTimeout(ctx, patience)
	err := s.admin.Contact(first)
	var md cluster.Metadata
	if err == nil {
		md, err = s.admin.Metadata(first, unbounded())
	}
	cancel()
	if understudy.KindOf(err) == understudy.KindDenied {
		return w.refusedUs(out, s.name, err)
	}
	if err != nil {
		return unreachable(out, err)
	}
	out.common.Presence, out.common.Identity = workload.Present, md.ClusterID
	rest, cancel := context.WithTimeout(ctx, observeTimeout)
	defer cancel()
	o := observer{w: w, s: s, md: md, facts: factsFrom(md)}
	err = o.all(rest)
	for try := 0; try < 5 && passing(err); try++ {
		if pause(rest, 300*time.Millisecond) != nil {
			break
		}
		md, merr := s.admin.Metadata(rest, unbounded())
		if understudy.KindOf(merr) == understudy.KindUnreachable {
			break // it is not one broker that is gone
		}
		if merr == nil {
			o = observer{w: w, s: s, md: md, facts: factsFrom(md)}
			err = o.all(rest)
		}
	}
	if err != nil {
		e := understudy.AsError(err)
		if passing(e) {
			return unreachable(out, err)
		}
		o.find("refuse", e.Code, e.Summary, e.Fix)
	}
	out.facts, out.stamp, out.findings = o.facts, o.stamp, o.findings
	out.common.Version, out.common.ClockSkew, out.common.ClockAt = o.facts.Version, o.skew, o.measured
	out.common.Writable = o.facts.writable(s.name, out.stamp)
	return out
}

func factsFrom(md cluster.Metadata) *SiteFacts {
	f := &SiteFacts{ClusterID: md.ClusterID, Brokers: len(md.Brokers), Topics: map[string]*TopicFacts{}, Usable: -1}
	if len(md.Brokers) > 0 {
		f.broker = slices.Min(slices.Collect(maps.Keys(md.Brokers)))
	}
	return f
}

// passing says of an error about a cluster that greeted us whether it may pass: a leader is being elected, or one was asked
// that has just died, and will be replaced when its session ends.
func passing(err error) bool {
	k := understudy.KindOf(err)
	return k == understudy.KindRetry || k == understudy.KindUnreachable
}

func unreachable(out sighting, err error) sighting {
	out.common = workload.SiteFacts{Presence: workload.Unreachable, Error: understudy.AsError(err), Writable: "unknown"}
	return out
}

// refusedUs is a site whose brokers answer and refuse our login. It is present: ordinary writers may well be let in there, so
// nobody's word takes the place of a fence.
func (w *Workload) refusedUs(out sighting, s understudy.Site, err error) sighting {
	e := understudy.AsError(err)
	out.common = workload.SiteFacts{Presence: workload.Present, Error: e, Writable: "unknown"}
	out.findings = []workload.Finding{{Code: e.Code, Level: "refuse", Object: w.object(s, ""), Summary: e.Summary, Fix: e.Fix}}
	return out
}

// observer reads one site.
type observer struct {
	w        *Workload
	s        *site
	md       cluster.Metadata
	facts    *SiteFacts
	stamp    *understudy.Stamp
	skew     time.Duration
	measured time.Time
	findings []workload.Finding
}

func (o *observer) find(level string, code understudy.Code, summary, fix string) {
	o.findings = append(o.findings, workload.Finding{Code: code, Level: level, Object: o.w.object(o.s.name, ""), Summary: summary, Fix: fix})
}

// all reads everything; the first error ends it, and what was read before stays.
func (o *observer) all(ctx context.Context) error {
	v, err := o.s.admin.Version(ctx, unbounded())
	if err != nil {
		return err
	}
	o.facts.Version = strings.TrimPrefix(v.Guess, "v")
	o.facts.Capable = v.Knows(kmsg.DescribeProducers) && v.Knows(kmsg.WriteTxnMarkers) && v.Knows(kmsg.IncrementalAlterConfigs)
	if !o.facts.Capable {
		o.find("refuse", "US106", "the brokers lack DescribeProducers, WriteTxnMarkers or IncrementalAlterConfigs", "upgrade the cluster to Kafka 2.8 or newer")
	}
	for _, part := range []func(context.Context) error{o.rights, o.topics, o.positions, o.producers, o.configs, o.broker, o.acls, o.groups, o.own, o.space} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	o.diagnose()
	return nil
}

// atLeast compares a version such as "3.9" or "4.0" with a release.
func atLeast(version string, major, minor int) bool {
	parts := strings.SplitN(strings.TrimLeft(version, "v<>= atles"), ".", 3)
	if len(parts) < 2 {
		return false
	}
	a, err1 := strconv.Atoi(parts[0])
	b, err2 := strconv.Atoi(strings.TrimRight(parts[1], "+- "))
	if err1 != nil || err2 != nil {
		return false
	}
	return a > major || (a == major && b >= minor)
}

func (o *observer) topics(context.Context) error {
	for name, t := range o.md.Topics {
		if t.Internal || !o.w.match.topic(name) {
			continue
		}
		f := &TopicFacts{ID: hex.EncodeToString(t.ID[:]), Replication: t.Replication(), Partitions: make([]PartitionFacts, len(t.Partitions))}
		for i, p := range t.Partitions {
			if int(p.Partition) != i || p.Leader < 0 {
				return o.s.admin.Refused("kafka.metadata", p.TP.String(), 5, "")
			}
		}
		o.facts.Topics[name] = f
	}
	_, o.facts.OwnTopic = o.md.Topics[cluster.OwnTopic]
	return nil
}

func (o *observer) partitions() []cluster.Partition { return o.md.Partitions(o.facts.names()...) }

func (o *observer) positions(ctx context.Context) error {
	for _, at := range []cluster.Position{cluster.Start, cluster.Stable, cluster.End} {
		offsets, err := o.s.admin.ListOffsets(ctx, unbounded(), at, o.partitions())
		if err != nil {
			return err
		}
		for tp, off := range offsets {
			p := &o.facts.Topics[tp.Topic].Partitions[tp.Partition]
			switch at {
			case cluster.Start:
				p.Start = off
			case cluster.Stable:
				p.Stable = off
			case cluster.End:
				p.End = off
			default: // the others need nothing here
			}
		}
	}
	return nil
}

func (o *observer) producers(ctx context.Context) error {
	if !o.facts.Capable {
		return nil
	}
	all, err := o.s.admin.DescribeProducers(ctx, unbounded(), o.partitions())
	if err != nil {
		return err
	}
	for tp, list := range all {
		p := &o.facts.Topics[tp.Topic].Partitions[tp.Partition]
		for _, a := range list {
			if !ourPID(a.ID) {
				p.Foreign++
				continue
			}
			if p.Epochs == nil {
				p.Epochs = map[int64]int32{}
			}
			p.Epochs[a.ID] = a.Epoch
		}
	}
	return nil
}

func (o *observer) configs(ctx context.Context) error {
	names := o.facts.names()
	if o.facts.OwnTopic {
		names = append(names, cluster.OwnTopic)
	}
	values, err := o.s.admin.DescribeTopicConfigs(ctx, unbounded(), names)
	if err != nil {
		return err
	}
	for _, n := range o.facts.names() {
		o.facts.Topics[n].Values = values[n]
	}
	if names := o.facts.names(); len(names) > 0 { // any topic tells them
		o.facts.Defaults = topicconf.Defaults(values[names[len(names)-1]])
	}
	if v, ok := values[cluster.OwnTopic]; ok {
		o.facts.Defaults = topicconf.Defaults(v)
	}
	return nil
}

func (o *observer) broker(ctx context.Context) error {
	o.facts.MaxTransaction = 15 * time.Minute // Kafka's default
	if len(o.md.Brokers) == 0 {
		return nil
	}
	conf, err := o.s.admin.DescribeBrokerConfigs(ctx, unbounded(), o.facts.broker)
	if err != nil {
		o.find("warning", "US102", "the brokers' own settings cannot be read: "+understudy.AsError(err).Summary, "grant DESCRIBE_CONFIGS on the cluster")
		return nil
	}
	if n, err := strconv.ParseInt(conf["transaction.max.timeout.ms"].Value, 10, 64); err == nil {
		o.facts.MaxTransaction = time.Duration(n) * time.Millisecond
	}
	if d := remembers(conf); d < 2*haltValid {
		o.find("warning", "", fmt.Sprintf("the brokers of %s forget a producer after %s: the proof that a mover is halted there holds for half of that", o.s.name, d),
			"set producer.id.expiration.ms to a day, its default")
	}
	o.facts.AutoCreate = conf["auto.create.topics.enable"].Value == "true"
	return nil
}

func (o *observer) groups(ctx context.Context) error {
	groups, err := o.s.admin.ListGroups(ctx, unbounded())
	if err != nil {
		return err
	}
	for _, g := range groups {
		if g.Name == "" || !o.w.match.group(g.Name) {
			continue
		}
		o.facts.groups = append(o.facts.groups, g.Name)
		if !g.Idle() && g.State != "" {
			o.facts.ActiveGroups = append(o.facts.ActiveGroups, g.Name)
		}
	}
	return nil
}

func (o *observer) own(ctx context.Context) error {
	if !o.facts.OwnTopic {
		o.unmeasured("the brokers tell their time when understudy first writes there, at protect")
		return nil
	}
	own, err := o.w.readOwn(ctx, unbounded(), o.s)
	if err != nil {
		return err
	}
	stamp := own.stamp
	o.stamp, o.skew, o.measured = stamp, own.skew, own.measured
	if own.measured.IsZero() {
		o.unmeasured("no record of ours there tells the brokers' time")
	}
	for _, key := range slices.Sorted(maps.Keys(own.others)) {
		o.facts.Others = append(o.facts.Others, own.others[key])
	}
	if own.skew > clockTolerance || own.skew < -clockTolerance {
		o.find("warning", "", fmt.Sprintf("the brokers' clock and ours are %s apart, as of %s", own.skew, own.measured.UTC().Format(time.RFC3339)), "synchronise the clocks")
	}
	if stamp != nil && o.w.opening.ControlPlane != "" && stamp.ControlPlane != o.w.opening.ControlPlane {
		o.find("refuse", "US104", fmt.Sprintf("the cluster carries the stamp of control plane %q", stamp.ControlPlane), otherPlane)
	}
	return nil
}

// otherPlane is what to do about the stamp of another control plane.
const otherPlane = "if that control plane still runs, unprotect the workload with it; if it is lost for good, `understudy explain US252` says what a person does"

// unmeasured says that nothing tells the brokers' time yet: Kafka tells it only with a record that is written.
func (o *observer) unmeasured(why string) {
	o.find("ok", "", "the clock is not measured yet: "+why, "")
}

func (o *observer) space(ctx context.Context) error {
	sp, err := o.s.admin.Space(ctx, unbounded())
	if err != nil {
		return nil // an unknown size is a fact, not a fault
	}
	o.facts.Usable = sp.Usable
	for tp, n := range sp.Size {
		if t := o.facts.Topics[tp.Topic]; t != nil {
			t.Bytes += n
		}
	}
	return nil
}

// crossFindings compares the sites.
func (w *Workload) crossFindings(f *Facts) []workload.Finding {
	seen := map[string]understudy.Site{}
	var out []workload.Finding
	for _, name := range w.siteNames() {
		s := f.Sites[name]
		if s == nil {
			continue
		}
		if other, ok := seen[s.ClusterID]; ok && s.ClusterID != "" {
			out = append(out, workload.Finding{
				Code: "US107", Level: "refuse", Object: w.object(name, ""),
				Summary: fmt.Sprintf("sites %s and %s are one cluster (id %s)", other, name, s.ClusterID), Fix: "correct the brokers' addresses in the site files",
			})
		}
		seen[s.ClusterID] = name
	}
	return out
}
