package kafka

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/digest"
	"github.com/understudy-dr/understudy/workload/kafka/internal/topicconf"
)

const (
	// verifyAtOnce bounds the partitions that are compared at the same time, and verifyPage what is read of
	// each side at a time, in bytes: together they bound the memory.
	verifyAtOnce = 4
	verifyPage   = 2 << 20
	// quickOffsets is how much of each partition's end a quick verification looks at.
	quickOffsets = 10_000
)

// Verify compares the sites by content: every visible record of every partition, by offset, timestamp, key,
// value and headers. What one side has beyond the other's end is lag, not difference. On compacted topics a
// record may be missing where a later one of its key is there.
func (w *Workload) Verify(ctx context.Context, scope understudy.Scope) (understudy.Verdict, error) {
	v := &verification{w: w, scope: scope, out: understudy.Verdict{From: scope.From, To: scope.To, At: time.Now()}}
	for _, p := range scope.Shards {
		re, err := regexp.Compile("^(?:" + p + ")$")
		if err != nil {
			return v.out, &understudy.Error{
				Code: "US105", Kind: understudy.KindInvalid, Op: "kafka.verify", Object: w.object(scope.From, ""),
				Summary: fmt.Sprintf("%q is not a regular expression", p), Err: err,
			}
		}
		v.shards = append(v.shards, re)
	}
	from, err := w.at(scope.From)
	if err != nil {
		return v.out, err
	}
	to, err := w.at(scope.To)
	if err != nil {
		return v.out, err
	}
	v.from, v.to = from.admin, to.admin
	if err := v.run(ctx); err != nil {
		return v.unknown(ctx, err)
	}
	return v.verdict(), nil
}

// verification is one comparison at work.
type verification struct {
	w        *Workload
	scope    understudy.Scope
	shards   []*regexp.Regexp
	from, to *cluster.Cluster

	done, total atomic.Int64

	mu      sync.Mutex
	out     understudy.Verdict
	removed int64
	open    int64 // offsets in open transactions
	kept    int64 // offsets that only the target still has
	deleted []string
	empty   []string
}

// unknown says that nothing can be claimed. What ended the caller's context is returned as the error it is, and so is
// a refusal: it is not about the data.
func (v *verification) unknown(ctx context.Context, err error) (understudy.Verdict, error) {
	if ctx.Err() != nil || understudy.KindOf(err) == understudy.KindRefused {
		return v.out, err
	}
	e := understudy.AsError(err)
	v.out.Outcome = understudy.Unknown
	v.out.Coverage = "nothing could be compared: " + e.Error()
	return v.out, nil
}

// sample is one partition on both sides.
type sample struct {
	source, target cluster.Partition
	compacted      bool
}

// listed lists what is on both sides, and refuses when another cluster answers at one than was protected there.
func (v *verification) listed(ctx context.Context) (here, there cluster.Metadata, err error) {
	if here, err = v.from.Metadata(ctx, v.scope.Lease); err != nil {
		return here, there, err
	}
	if there, err = v.to.Metadata(ctx, v.scope.Lease); err != nil {
		return here, there, err
	}
	if err := v.same(v.scope.From, here); err != nil {
		return here, there, err
	}
	return here, there, v.same(v.scope.To, there)
}

func (v *verification) same(s understudy.Site, seen cluster.Metadata) error {
	if kept := clusterOf(v.scope.Kept, s); kept != "" && seen.ClusterID != kept {
		return v.w.another("kafka.verify", s, seen.ClusterID, kept)
	}
	return nil
}

func (v *verification) run(ctx context.Context) error {
	here, there, err := v.listed(ctx)
	if err != nil {
		return err
	}
	names := v.names(here)
	if err := v.extra(ctx, here, there); err != nil {
		return err
	}
	compacted, err := v.compacted(ctx, names, here, there)
	if err != nil {
		return err
	}
	var work []sample
	for _, n := range names {
		a, b := here.Topics[n], there.Topics[n]
		if len(a.Partitions) != len(b.Partitions) {
			v.misfit(n, a, b)
			continue
		}
		for i := range a.Partitions {
			if v.wanted(a.Partitions[i].TP) {
				work = append(work, sample{a.Partitions[i], b.Partitions[i], compacted[n]})
			}
		}
	}
	v.out.Shards = len(work)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(verifyAtOnce)
	for _, s := range work {
		g.Go(func() error { return v.partition(gctx, s) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	// What was read for hours must not have come from elsewhere in between; where nobody answers any more, that is doubt.
	if _, _, err = v.listed(ctx); err == nil || understudy.KindOf(err) == understudy.KindRefused {
		return err
	}
	return v.failed(ctx, "whether the clusters were the same to the end", err)
}

// names lists the source's topics of the workload.
func (v *verification) names(here cluster.Metadata) []string {
	return slices.DeleteFunc(here.Names(), func(n string) bool { return !v.w.match.topic(n) })
}

// extra judges the topics that only the target has. One that was followed was deleted at the source since: its copy is kept
// on purpose, and is named. Any other came from elsewhere, and a takeover would bring what it holds.
func (v *verification) extra(ctx context.Context, here, there cluster.Metadata) error {
	for _, n := range there.Names() {
		_, both := here.Topics[n]
		parts := there.Partitions(n)
		if both || !v.w.match.topic(n) || !slices.ContainsFunc(parts, func(p cluster.Partition) bool { return v.wanted(p.TP) }) {
			continue
		}
		if v.scope.Kept[topicconf.KeepIntended(n)] != nil {
			v.deleted = append(v.deleted, n)
			continue
		}
		held, err := v.held(ctx, parts)
		if err != nil {
			return err
		}
		if held == 0 {
			v.empty = append(v.empty, n)
			continue
		}
		v.note(understudy.Difference{Shard: n, Outcome: understudy.SchemaMismatch, Text: fmt.Sprintf("not on %s, and never copied from there; it has %d offsets on %s", v.scope.From, held, v.scope.To)})
	}
	return nil
}

// held counts the offsets that partitions of the target have.
func (v *verification) held(ctx context.Context, parts []cluster.Partition) (int64, error) {
	starts, err := v.to.ListOffsets(ctx, v.scope.Lease, cluster.Start, parts)
	if err != nil {
		return 0, err
	}
	ends, err := v.to.ListOffsets(ctx, v.scope.Lease, cluster.End, parts)
	if err != nil {
		return 0, err
	}
	var n int64
	for tp, end := range ends {
		n += end - starts[tp]
	}
	return n, nil
}

func (v *verification) wanted(tp cluster.TP) bool {
	if len(v.shards) == 0 {
		return true
	}
	return slices.ContainsFunc(v.shards, func(re *regexp.Regexp) bool {
		return re.MatchString(tp.String()) || re.MatchString(tp.Topic)
	})
}

// misfit notes a topic whose partitions cannot be paired.
func (v *verification) misfit(name string, a, b cluster.Topic) {
	d := understudy.Difference{Shard: name, Outcome: understudy.SchemaMismatch, Text: fmt.Sprintf("%d partitions on %s, %d on %s", len(a.Partitions), v.scope.From, len(b.Partitions), v.scope.To)}
	if len(b.Partitions) < len(a.Partitions) {
		d.Outcome = understudy.Lagging
		d.Text += "; the missing ones are made by the mirror"
	}
	v.note(d)
}

func (v *verification) compacted(ctx context.Context, names []string, here, there cluster.Metadata) (map[string]bool, error) {
	out := map[string]bool{}
	for _, side := range []struct {
		c    *cluster.Cluster
		meta cluster.Metadata
	}{{v.from, here}, {v.to, there}} {
		var known []string
		for _, n := range names {
			if _, ok := side.meta.Topics[n]; ok {
				known = append(known, n)
			}
		}
		got, err := side.c.DescribeTopicConfigs(ctx, v.scope.Lease, known)
		if err != nil {
			return nil, err
		}
		for n, conf := range got {
			out[n] = out[n] || strings.Contains(conf["cleanup.policy"].Value, "compact")
		}
	}
	return out, nil
}

// bounds are where a partition's two logs begin and end, in the order in which they must be asked.
type bounds struct {
	sourceBefore            int64 // the source's end before the target's was read
	sourceEnd, targetEnd    int64
	sourceHigh              int64
	sourceStart, targetHead int64
}

func (v *verification) bounds(ctx context.Context, s sample) (bounds, error) {
	var b bounds
	for _, q := range []struct {
		c    *cluster.Cluster
		at   cluster.Position
		part cluster.Partition
		out  *int64
	}{
		{v.from, cluster.Stable, s.source, &b.sourceBefore},
		{v.to, cluster.Start, s.target, &b.targetHead},
		{v.to, cluster.Stable, s.target, &b.targetEnd},
		{v.from, cluster.Stable, s.source, &b.sourceEnd},
		{v.from, cluster.End, s.source, &b.sourceHigh},
		{v.from, cluster.Start, s.source, &b.sourceStart},
	} {
		got, err := q.c.ListOffsets(ctx, v.scope.Lease, q.at, []cluster.Partition{q.part})
		if err != nil {
			return b, err
		}
		*q.out = got[q.part.TP]
	}
	return b, nil
}

// partition compares one partition. What cannot be read makes it unknown, not the whole verdict.
func (v *verification) partition(ctx context.Context, s sample) error {
	tp := s.source.TP.String()
	b, err := v.bounds(ctx, s)
	if err != nil {
		return v.failed(ctx, tp, err)
	}
	from, to := b.sourceStart, min(b.sourceEnd, b.targetEnd)
	if v.scope.Quick {
		from = max(from, to-quickOffsets)
	}
	v.total.Add(max(to-from, 0))
	v.tell(tp)
	res, err := digest.Compare(ctx, v.input(s, b, from, to))
	if err != nil {
		return v.failed(ctx, tp, err)
	}
	v.add(s, b, res)
	// The source may trim its head while it is compared; what it no longer has cannot be missing there.
	head := b.sourceStart
	if len(res.Differences) > 0 {
		again, err := v.bounds(ctx, s)
		if err != nil {
			return v.failed(ctx, tp, err)
		}
		head = again.sourceStart
	}
	for _, d := range res.Differences {
		if d.Last < head {
			continue
		}
		v.note(understudy.Difference{Shard: tp, Outcome: understudy.Different, First: d.First, Last: d.Last, Text: fmt.Sprintf("%d records: %s", d.Records, d.Text)})
	}
	if res.More > 0 {
		v.note(understudy.Difference{Shard: tp, Outcome: understudy.Different, First: from, Last: to - 1, Text: fmt.Sprintf("%d more ranges are not listed", res.More)})
	}
	return v.beyond(ctx, s, b)
}

// input says what is read of both sides.
func (v *verification) input(s sample, b bounds, from, to int64) digest.Input {
	var before int64
	return digest.Input{
		Source: v.side(v.from, v.scope.From, s.source), Target: v.side(v.to, v.scope.To, s.target),
		From: from, To: max(to, from), SourceEnd: b.sourceEnd, TargetEnd: b.targetEnd, Compacted: s.compacted,
		Seen: func(n int64) {
			v.done.Add(n - before)
			before = n
			v.tell(s.source.TP.String())
		},
	}
}

func (v *verification) tell(shard string) {
	if v.scope.Report != nil {
		v.scope.Report(understudy.StepProgress{Text: "comparing " + shard, Done: v.done.Load(), Total: v.total.Load(), Unit: "offsets"})
	}
}

// side reads one partition below its last stable offset.
func (v *verification) side(c *cluster.Cluster, site understudy.Site, p cluster.Partition) digest.Side {
	return digest.Side{Name: string(site), Read: func(ctx context.Context, from int64) (digest.Page, error) {
		page := digest.Page{From: from}
		f, err := c.FetchStable(ctx, v.scope.Lease, p, from, verifyPage)
		if err == nil && f.Code == cluster.CodeOffsetOutOfRange {
			// A head that is gone is read from where the log begins: what the other side has below is found.
			got, e := c.ListOffsets(ctx, v.scope.Lease, cluster.Start, []cluster.Partition{p})
			if e != nil {
				return page, e
			}
			if page.From = got[p.TP]; page.From > from {
				f, err = c.FetchStable(ctx, v.scope.Lease, p, page.From, verifyPage)
			}
		}
		if err != nil {
			return page, err
		}
		if err := c.Refused("kafka.fetch", p.TP.String(), f.Code, "READ on topic "+p.Topic); err != nil {
			return page, err
		}
		page.Records = f.Records
		for _, a := range f.Aborted {
			page.Aborted = append(page.Aborted, digest.Aborted{Producer: a.Producer, First: a.First})
		}
		return page, nil
	}}
}

// beyond judges what one side has after the other's end.
func (v *verification) beyond(ctx context.Context, s sample, b bounds) error {
	tp := s.source.TP.String()
	if b.targetEnd < b.sourceBefore {
		v.note(understudy.Difference{
			Shard: tp, Outcome: understudy.Lagging, First: b.targetEnd, Last: b.sourceBefore - 1,
			Text: fmt.Sprintf("%d offsets are not on %s yet", b.sourceBefore-b.targetEnd, v.scope.To),
		})
	}
	if b.targetEnd <= b.sourceHigh {
		return nil
	}
	// The source was asked last, so the target holds what the source never had, or has lost.
	res, err := digest.Compare(ctx, digest.Input{
		Source: digest.Side{Name: string(v.scope.From), Read: func(context.Context, int64) (digest.Page, error) { return digest.Page{}, nil }},
		Target: v.side(v.to, v.scope.To, s.target), From: b.sourceHigh, To: b.targetEnd,
	})
	if err != nil {
		return v.failed(ctx, tp, err)
	}
	for _, d := range res.Differences {
		v.note(understudy.Difference{Shard: tp, Outcome: understudy.Different, First: d.First, Last: d.Last, Text: fmt.Sprintf("%d records beyond the end of %s: %s", d.Records, v.scope.From, d.Text)})
	}
	return nil
}

func (v *verification) failed(ctx context.Context, shard string, err error) error {
	if ctx.Err() != nil {
		return err
	}
	v.note(understudy.Difference{Shard: shard, Outcome: understudy.Unknown, Text: err.Error()})
	return nil
}

func (v *verification) note(d understudy.Difference) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.out.Differences = append(v.out.Differences, d)
}

func (v *verification) add(s sample, b bounds, r digest.Result) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.out.Compared += r.Compared
	v.out.Bytes += r.Bytes
	v.removed += r.Removed
	v.open += b.sourceHigh - b.sourceEnd
	v.kept += max(b.sourceStart-b.targetHead, 0)
}

// verdict sums up: what claims most about the data wins.
func (v *verification) verdict() understudy.Verdict {
	out := v.out
	out.Outcome = understudy.Match
	order := []understudy.Outcome{understudy.Match, understudy.Lagging, understudy.Unknown, understudy.SchemaMismatch, understudy.Different}
	for _, d := range out.Differences {
		if slices.Index(order, d.Outcome) > slices.Index(order, out.Outcome) {
			out.Outcome = d.Outcome
		}
	}
	slices.SortStableFunc(out.Differences, func(a, b understudy.Difference) int {
		if c := strings.Compare(a.Shard, b.Shard); c != 0 {
			return c
		}
		return int(min(max(a.First-b.First, -1), 1))
	})
	out.Coverage = v.coverage()
	return out
}

func (v *verification) coverage() string {
	text := fmt.Sprintf("every committed record of %d partitions, by offset, timestamp, key, value and headers", v.out.Shards)
	if v.scope.Quick {
		text = fmt.Sprintf("the newest %d offsets of each of %d partitions", quickOffsets, v.out.Shards)
	}
	if v.removed > 0 {
		text += fmt.Sprintf("; %d records were compacted away on one side", v.removed)
	}
	if v.open > 0 {
		text += fmt.Sprintf("; %d offsets at the end are held back by open transactions and were not compared", v.open)
	}
	if v.kept > 0 {
		text += fmt.Sprintf("; %d offsets below the log start of %s were not compared", v.kept, v.scope.From)
	}
	if len(v.deleted) > 0 {
		text += fmt.Sprintf("; deleted on %s, and its copy kept on %s: %s", v.scope.From, v.scope.To, strings.Join(v.deleted, ", "))
	}
	if len(v.empty) > 0 {
		text += fmt.Sprintf("; only on %s, and empty: %s", v.scope.To, strings.Join(v.empty, ", "))
	}
	return text
}
