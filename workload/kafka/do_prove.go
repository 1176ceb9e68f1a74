package kafka

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/mirror"
	"github.com/understudy-dr/understudy/workload/kafka/internal/topicconf"
)

// proveOpen shows that the site takes writes: the harmless probe finds every partition open, and one record in
// understudy's own topic is acknowledged. A second run leaves one more probe record, of which one stays.
func proveOpen(ctx context.Context, j *job) (understudy.Receipt, error) {
	_, parts, err := j.matched(ctx, j.site)
	if err != nil {
		return understudy.Receipt{}, err
	}
	as, name := j.site.admin, "understudy"
	if j.site.writer != nil {
		as, name = j.site.writer, j.site.endpoint.writerPrincipal()
	}
	if err := j.awaitAnswers(ctx, as, parts, acknowledged, isOpen, "US116", "ordinary writes are not taken there"); err != nil {
		return understudy.Receipt{}, err
	}
	off, err := j.put(ctx, j.site, j.w.probeKey(), []byte(time.Now().UTC().Format(time.RFC3339Nano)))
	if err != nil {
		return understudy.Receipt{}, err
	}
	proof := j.proof(understudy.ProofOpen, fenceValid)
	proof.Complete = true
	proof.Means = fmt.Sprintf("harmless write probe as %s open on %d partitions, and one record acknowledged at %s-0 offset %d", name, len(parts), cluster.OwnTopic, off)
	return understudy.Receipt{Summary: proof.Means, Proofs: []understudy.Proof{proof}}, nil
}

// proveUntouched shows that the new side never took an ordinary write: above the halt markers there is nothing
// that understudy did not write. It changes nothing.
func proveUntouched(ctx context.Context, j *job) (understudy.Receipt, error) {
	a, err := args[levelArgs](j.step)
	if err != nil {
		return understudy.Receipt{}, err
	}
	_, parts, err := j.matched(ctx, j.site)
	if err != nil {
		return understudy.Receipt{}, err
	}
	end, err := j.site.admin.ListOffsets(ctx, j.run.Lease, cluster.End, parts)
	if err != nil {
		return understudy.Receipt{}, err
	}
	for _, p := range parts {
		since, _ := a.Since.at(p.TP)
		foreign := int64(-1)
		err := readLog(ctx, j.run.Lease, j.site.admin, p, max(since, 0), end[p.TP], func(b batch.Batch) (bool, error) {
			if !cluster.Ours(b.Producer().ID) {
				foreign = b.BaseOffset()
			}
			return foreign < 0, nil
		})
		if err != nil {
			return understudy.Receipt{}, err
		}
		if foreign >= 0 {
			return understudy.Receipt{}, &understudy.Error{
				Code: "US125", Kind: understudy.KindConflict, Op: "kafka.level", Object: j.object(p.TP.String()),
				Summary: fmt.Sprintf("somebody else wrote on the new side, at offset %d", foreign),
				Fix:     "go on with the takeover, or find the writer and fail over again",
			}
		}
	}
	proof := j.proof(understudy.ProofNeverEnabled, fenceValid)
	proof.Complete = true
	proof.Means = fmt.Sprintf("at the ends of %d partitions nothing stands that understudy did not write", len(parts))
	return understudy.Receipt{Summary: proof.Means, Proofs: []understudy.Proof{proof}}, nil
}

// markLevel lets the fenced source end where the halted target ends: where a halt marker took an offset there,
// one COMMIT marker of ours takes it here. It looks at both ends first, so that a second run writes nothing
// more. A topic that cannot be levelled so is marked broken: it is made anew on the target.
func markLevel(ctx context.Context, j *job) (understudy.Receipt, error) {
	a, err := args[levelArgs](j.step)
	if err != nil {
		return understudy.Receipt{}, err
	}
	target, err := j.w.at(a.To)
	if err != nil {
		return understudy.Receipt{}, err
	}
	_, there, err := j.matched(ctx, target)
	if err != nil {
		return understudy.Receipt{}, err
	}
	names, here, err := j.matched(ctx, j.site)
	if err != nil {
		return understudy.Receipt{}, err
	}
	want, err := target.admin.ListOffsets(ctx, j.run.Lease, cluster.End, there)
	if err != nil {
		return understudy.Receipt{}, err
	}
	l := leveller{job: j, args: a, target: target, want: want, there: map[cluster.TP]cluster.Partition{}, broken: map[string]string{}}
	for _, p := range there {
		l.there[p.TP] = p
	}
	if err := l.openForMarkers(ctx, names); err != nil {
		return understudy.Receipt{}, err
	}
	marked, err := l.all(ctx, here)
	if err != nil {
		return understudy.Receipt{}, err
	}
	return l.receipt(len(here), marked), nil
}

// leveller is one run of markLevel.
type leveller struct {
	*job
	args   levelArgs
	target *site
	want   map[cluster.TP]int64
	there  map[cluster.TP]cluster.Partition
	// broken says of each topic that cannot be levelled, why.
	broken map[string]string
}

// openForMarkers lets exactly one marker through where the append limit is closed.
func (l *leveller) openForMarkers(ctx context.Context, names []string) error {
	have, err := l.site.admin.DescribeTopicConfigs(ctx, l.run.Lease, names)
	if err != nil {
		return err
	}
	closed := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return have[n][topicconf.AppendLimit].Value != topicconf.NoBatch })
	return l.limitTo(ctx, closed, topicconf.OneMarker)
}

func (l *leveller) all(ctx context.Context, here []cluster.Partition) (int, error) {
	// First, what the ends may not show: the marker of an earlier run, or records, that replicas do not have yet.
	ahead, err := l.ahead(ctx, l.site, here)
	if err != nil {
		return 0, err
	}
	have, err := l.site.admin.ListOffsets(ctx, l.run.Lease, cluster.End, here)
	if err != nil {
		return 0, err
	}
	known, err := l.site.admin.DescribeProducers(ctx, l.run.Lease, here)
	if err != nil {
		return 0, err
	}
	marked := 0
	for _, p := range here {
		want, ok := l.want[p.TP]
		if !ok {
			continue
		}
		do, why, err := l.judge(ctx, p, have[p.TP], want)
		if err != nil {
			return marked, err
		}
		switch do {
		case isBroken:
			l.broken[p.Topic] = why
		case wantsMarker:
			if _, lags := ahead[p.TP]; lags {
				return marked, l.hidden(p, "what stands at its end")
			}
			if err := l.mark(ctx, p, known[p.TP], have[p.TP]); err != nil {
				return marked, err
			}
			marked++
		case isLevel:
		}
	}
	return marked, nil
}

// levelling is what a partition needs.
type levelling int

const (
	isLevel levelling = iota
	wantsMarker
	isBroken
)

// judge says what a partition needs, from where it ends here and on the halted target, and why it is broken.
func (l *leveller) judge(ctx context.Context, p cluster.Partition, here, there int64) (levelling, string, error) {
	halt := func(b batch.Batch) bool {
		return b.Control() && b.Producer().ID == l.args.Halt && understudy.RoleEpoch(b.Producer().Epoch) >= l.args.Epoch
	}
	halted, err := l.endsWith(ctx, l.target, l.there[p.TP], there, halt)
	if err != nil {
		return isBroken, "", err
	}
	where := fmt.Sprintf("%s ends at %d on %s and at %d on %s", p.TP, here, l.args.From, there, l.args.To)
	switch {
	case !halted && there <= here: // the mover simply goes on
		return isLevel, "", nil
	case halted && there == here+1:
		return wantsMarker, "", nil
	case halted && there == here:
		ours, err := l.endsWith(ctx, l.site, p, here, func(b batch.Batch) bool { return b.Control() && b.Producer().ID == l.args.PID })
		if err != nil || ours { // an earlier run wrote it
			return isLevel, "", err
		}
		return isBroken, where + ", by a record here and a marker there", nil
	}
	return isBroken, where, nil
}

// endsWith says whether the last batch of a log is of a kind.
func (l *leveller) endsWith(ctx context.Context, s *site, p cluster.Partition, end int64, kind func(batch.Batch) bool) (bool, error) {
	found := false
	if end == 0 {
		return false, nil
	}
	err := readLog(ctx, l.run.Lease, s.admin, p, end-1, end, func(b batch.Batch) (bool, error) {
		found = kind(b)
		return true, nil
	})
	return found, err
}

func (l *leveller) mark(ctx context.Context, p cluster.Partition, known []cluster.Producer, end int64) error {
	epoch, err := mirror.ProducerEpoch(l.run.Now.Epoch)
	if err != nil {
		return err
	}
	m := cluster.Marker{ProducerID: l.args.PID, Epoch: epoch}
	for _, k := range known {
		if k.ID == m.ProducerID {
			m.CoordinatorEpoch = max(m.CoordinatorEpoch, k.CoordinatorEpoch)
		}
	}
	for until := time.Now().Add(settle); ; {
		code, err := l.site.admin.WriteMarker(ctx, l.run.Lease, p, m)
		if err != nil {
			return err
		}
		if code == cluster.CodeMessageTooLarge && time.Now().Before(until) { // the wider limit is on its way
			if err := pause(ctx, 50*time.Millisecond); err != nil {
				return err
			}
			continue
		}
		if err := l.site.admin.Refused("kafka.level", p.TP.String(), code, "CLUSTER_ACTION on the cluster"); err != nil {
			return err
		}
		break
	}
	now, err := l.site.admin.ListOffsets(ctx, l.run.Lease, cluster.End, []cluster.Partition{p})
	if err == nil && now[p.TP] != end+1 {
		l.broken[p.Topic] = fmt.Sprintf("%s ends at %d on %s after the marker, not at %d", p.TP, now[p.TP], l.args.From, end+1)
	}
	return err
}

func (l *leveller) receipt(partitions, marked int) understudy.Receipt {
	proof := l.proof(understudy.ProofLevel, fenceValid)
	proof.Complete = true
	proof.Means = fmt.Sprintf("both sides end alike on %d partitions, %d of them by a marker", partitions, marked)
	r := understudy.Receipt{Keep: understudy.Keep{keepCut: nil}}
	for topic, why := range l.broken {
		r.Keep[keepBroken(topic)] = topicconf.Encode(why)
		r.Warnings = append(r.Warnings, fmt.Sprintf("US125: topic %s is broken and will be bootstrapped anew: %s", topic, why))
	}
	slices.Sort(r.Warnings)
	if len(l.broken) > 0 {
		proof.Means += fmt.Sprintf("; %d topics are broken and will be copied anew", len(l.broken))
	}
	r.Summary, r.Proofs = proof.Means, []understudy.Proof{proof}
	return r
}
