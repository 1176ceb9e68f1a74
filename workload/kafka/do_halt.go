package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/mirror"
	"github.com/understudy-dr/understudy/workload/kafka/internal/topicconf"
)

const (
	// haltValid is how long a halt may be relied on without looking again, where brokers remember a producer for
	// at least twice as long.
	haltValid = time.Hour
	// rememberedFor is how long a broker remembers a producer that wrote nothing more, where it does not say
	// (producer.id.expiration.ms).
	rememberedFor = 24 * time.Hour
	// absurdSequence is one that no batch of ours can have next, so that the halt probe is never appended.
	absurdSequence = 1<<30 + 7
)

// haltDetail is what the halt leaves behind.
type haltDetail struct {
	PID   int64                `json:"pid"`
	Epoch understudy.RoleEpoch `json:"epoch"`
	// Markers are the offsets of the halt markers.
	Markers Vector `json:"markers"`
}

// halting is one run of the halt: the producer and its epoch.
type halting struct {
	*job
	pid   int64
	epoch int16
	since Vector
}

// markHalt writes one COMMIT marker with the present role epoch onto every partition of the target, so that
// whatever the link's mover still sends is refused with INVALID_PRODUCER_EPOCH. It looks first, and by reading
// only: a marker goes only where none of that epoch is in the log since before the step. So a second run writes
// only what is missing. Partitions are listed again at its end.
func markHalt(ctx context.Context, j *job) (understudy.Receipt, error) {
	a, err := args[haltArgs](j.step)
	if err != nil {
		return understudy.Receipt{}, err
	}
	epoch, err := mirror.ProducerEpoch(a.Epoch)
	if err != nil {
		return understudy.Receipt{}, err
	}
	if a.Epoch != j.run.Now.Epoch {
		return understudy.Receipt{}, j.roleMoved(a.Epoch)
	}
	h := halting{j, a.PID, epoch, a.Since}
	markers := map[cluster.TP]int64{}
	for round := 0; ; round++ {
		_, parts, err := j.matched(ctx, j.site)
		if err != nil {
			return understudy.Receipt{}, err
		}
		todo := slices.DeleteFunc(slices.Clone(parts), func(p cluster.Partition) bool { _, ok := markers[p.TP]; return ok })
		if len(todo) == 0 {
			return h.halted(ctx, a.linkArgs, parts, markers)
		}
		if round == 10 {
			return understudy.Receipt{}, changed(j, nil)
		}
		if err := h.markAll(ctx, todo, markers); err != nil {
			return understudy.Receipt{}, err
		}
	}
}

func (j *job) roleMoved(decided understudy.RoleEpoch) error {
	return &understudy.Error{
		Code: "US115", Kind: understudy.KindConflict, Op: "kafka.halt", Object: j.object(""),
		Summary: fmt.Sprintf("the role epoch is now %d, and was %d when the step was decided", j.run.Now.Epoch, decided),
		Fix:     "retry: the step is planned anew",
	}
}

// markAll brings a marker onto every partition, and notes where each stands.
func (h halting) markAll(ctx context.Context, parts []cluster.Partition, markers map[cluster.TP]int64) error {
	producers, err := h.site.admin.DescribeProducers(ctx, h.run.Lease, parts)
	if err != nil {
		return err
	}
	at, err := h.each(ctx, parts, func(ctx context.Context, p cluster.Partition) (int64, error) {
		return h.mark(ctx, p, producers[p.TP])
	})
	maps.Copy(markers, at)
	return err
}

// each asks for an offset of every partition, several at a time.
func (h halting) each(ctx context.Context, parts []cluster.Partition, ask func(context.Context, cluster.Partition) (int64, error)) (map[cluster.TP]int64, error) {
	out := map[cluster.TP]int64{}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(probeParallel)
	for _, p := range parts {
		g.Go(func() error {
			off, err := ask(ctx, p)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			out[p.TP] = off
			h.count("halt markers", int64(len(out)), int64(len(parts)), "partitions")
			return nil
		})
	}
	return out, g.Wait()
}

// marker gives the offset of a partition's halt marker, which must be there.
func (h halting) marker(ctx context.Context, p cluster.Partition) (int64, error) {
	off, found, err := h.find(ctx, p)
	if err == nil && !found {
		return h.again(ctx, p, "the partition has no halt marker")
	}
	return off, err
}

// mark gives the offset of the partition's halt marker, and writes it first where it is not there.
func (h halting) mark(ctx context.Context, p cluster.Partition, known []cluster.Producer) (int64, error) {
	// The coordinator epoch is the mover's own, as last seen: a higher one would refuse the next mover.
	coordinator, marked := int32(0), false
	for _, k := range known {
		if k.ID != h.pid {
			continue
		}
		coordinator, marked = k.CoordinatorEpoch, k.Epoch == int32(h.epoch)
		if k.Epoch > int32(h.epoch) {
			return 0, h.newer(p, k.Epoch)
		}
	}
	off, found, err := h.find(ctx, p)
	if err != nil || found {
		return off, err
	}
	if marked { // an earlier pass wrote it, below where this one began
		if off, found, err = lastMarker(ctx, h.run.Lease, h.site.admin, p, h.pid, h.epoch); err == nil && !found {
			return h.again(ctx, p, "the leader remembers the marker's epoch, but the log does not show it")
		}
		return off, err
	}
	code, err := h.site.admin.WriteMarker(ctx, h.run.Lease, p, cluster.Marker{ProducerID: h.pid, Epoch: h.epoch, CoordinatorEpoch: coordinator})
	if err != nil {
		return 0, err
	}
	if err := h.site.admin.Refused("kafka.halt", p.TP.String(), code, "CLUSTER_ACTION on the cluster"); err != nil {
		return 0, err
	}
	off, found, err = h.find(ctx, p)
	if err == nil && !found {
		err = &understudy.Error{
			Code: "US114", Kind: understudy.KindRetry, Op: "kafka.halt", Object: h.object(p.TP.String()),
			Summary: "the marker was acknowledged, but is not in the log yet", Fix: "retry",
		}
	}
	return off, err
}

// again looks for a marker that the log did not show. Nobody sees what replicas do not have: where that is so, the marker may
// come yet. Where they have it all by now, the log shows it, or there is none.
func (h halting) again(ctx context.Context, p cluster.Partition, why string) (int64, error) {
	ahead, err := h.ahead(ctx, h.site, []cluster.Partition{p})
	if err != nil {
		return 0, err
	}
	if len(ahead) > 0 {
		return 0, h.hidden(p, "the marker")
	}
	off, found, err := lastMarker(ctx, h.run.Lease, h.site.admin, p, h.pid, h.epoch)
	if err == nil && !found {
		err = h.unproven(p, why)
	}
	return off, err
}

func (h halting) newer(p cluster.Partition, epoch int32) error {
	return &understudy.Error{
		Code: "US114", Kind: understudy.KindConflict, Op: "kafka.halt", Object: h.object(p.TP.String()),
		Summary: fmt.Sprintf("the partition has seen epoch %d of this link, above %d", epoch, h.epoch),
		Why:     "another control plane or a later operation acted on the link", Fix: "look at `understudy status`",
	}
}

// find looks for the first halt marker in the log, from where the partition ended before the step. Where that
// is not known, it looks from the log's end downwards.
func (h halting) find(ctx context.Context, p cluster.Partition) (int64, bool, error) {
	since, known := h.since.at(p.TP)
	if !known || since < 0 {
		return lastMarker(ctx, h.run.Lease, h.site.admin, p, h.pid, h.epoch)
	}
	start, end, err := extent(ctx, h.run.Lease, h.site.admin, p)
	if err != nil {
		return 0, false, err
	}
	at, found := int64(-1), false
	err = readLog(ctx, h.run.Lease, h.site.admin, p, max(since, start), end, func(b batch.Batch) (bool, error) {
		if isMarker(b, h.pid, h.epoch) {
			at, found = b.BaseOffset(), true
		}
		return !found, nil
	})
	return at, found, err
}

// isMarker says whether a stored batch is a marker of a producer and epoch.
func isMarker(b batch.Batch, pid int64, epoch int16) bool {
	return b.Control() && b.Producer().ID == pid && b.Producer().Epoch == epoch
}

// halted proves the halt and writes the receipt.
func (h halting) halted(ctx context.Context, a linkArgs, parts []cluster.Partition, markers map[cluster.TP]int64) (understudy.Receipt, error) {
	remembered, err := h.site.remembered(ctx, h.run.Lease, parts)
	if err != nil {
		return understudy.Receipt{}, err
	}
	if err := h.refusesOld(ctx, parts, remembered); err != nil {
		return understudy.Receipt{}, err
	}
	link := understudy.Link{Plan: h.w.spec.Plan, Workload: h.w.spec.Name, From: a.From, To: a.To}
	proof := h.proof(understudy.ProofHalt, min(haltValid, remembered/2))
	proof.Link, proof.Complete = &link, true
	proof.Means = fmt.Sprintf("a batch of the mover's epoch is refused with 47 on %d of %d partitions", len(parts), len(parts))
	r := understudy.Receipt{Summary: proof.Means, Proofs: []understudy.Proof{proof}}
	return detailed(r, haltDetail{h.pid, understudy.RoleEpoch(h.epoch), vector(markers)}), nil
}

// remembered is how long the leaders of some partitions remember a producer: the shortest time that one of them says.
func (s *site) remembered(ctx context.Context, lease understudy.Lease, parts []cluster.Partition) (time.Duration, error) {
	shortest, asked := rememberedFor, map[int32]bool{}
	for _, p := range parts {
		if asked[p.Leader] {
			continue
		}
		asked[p.Leader] = true
		conf, err := s.admin.DescribeBrokerConfigs(ctx, lease, p.Leader)
		switch {
		case understudy.KindOf(err) == understudy.KindDenied:
			return shortest, nil // they stay with the default, as far as we may know
		case err != nil:
			return 0, err
		}
		shortest = min(shortest, remembers(conf))
	}
	return shortest, nil
}

// remembers is how long a broker with these settings remembers a producer.
func remembers(conf map[string]cluster.ConfigValue) time.Duration {
	n, err := strconv.ParseInt(conf["producer.id.expiration.ms"].Value, 10, 64)
	if err != nil || n > rememberedFor.Milliseconds() {
		return rememberedFor
	}
	return time.Duration(n) * time.Millisecond
}

// refusesOld sends the harmless halt probe to every partition: a batch of the epoch before, with an absurd
// sequence. 47 means halted, 45 not. It is sent only where the leader remembers our epoch, and will for as long again
// as the marker is old: a partition that has forgotten the producer would accept it.
func (h halting) refusesOld(ctx context.Context, parts []cluster.Partition, remembered time.Duration) error {
	producers, err := h.site.admin.DescribeProducers(ctx, h.run.Lease, parts)
	if err != nil {
		return err
	}
	for _, p := range parts {
		i := slices.IndexFunc(producers[p.TP], func(k cluster.Producer) bool { return k.ID == h.pid && k.Epoch == int32(h.epoch) })
		if i < 0 {
			return h.unproven(p, "the leader does not remember the marker's epoch")
		}
		if age := time.Since(time.UnixMilli(producers[p.TP][i].LastMillis)); age > remembered/2 {
			return h.unproven(p, fmt.Sprintf("the marker is %s old, and the leader forgets it after %s: a probe that came late would be taken", age.Round(time.Second), remembered))
		}
	}
	coder, err := batch.NewCoder(decodeLimit)
	if err != nil {
		return bug("kafka.halt", err.Error())
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(probeParallel)
	for _, p := range parts {
		g.Go(func() error { return h.refusesOldAt(ctx, coder, p) })
	}
	return g.Wait()
}

func (h halting) refusesOldAt(ctx context.Context, coder *batch.Coder, p cluster.Partition) error {
	old := batch.Producer{ID: h.pid, Epoch: h.epoch - 1, Sequence: absurdSequence}
	b, err := coder.Encode(batch.None, old, []batch.Record{{Timestamp: time.Now().UnixMilli(), Key: []byte("halt"), Value: []byte("probe")}})
	if err != nil {
		return bug("kafka.halt", err.Error())
	}
	answer, err := h.site.admin.Produce(ctx, h.run.Lease, p, b)
	if err != nil {
		return err
	}
	switch answer.Code {
	case cluster.CodeInvalidEpoch:
		return nil
	case 5, 6, 7, 9, 19, 20, 56, 74, 75, 76: // the leader moved, or replicas are missing: ask again
		return h.site.admin.Refused("kafka.halt", p.TP.String(), answer.Code, "WRITE on topic "+p.Topic)
	}
	return h.unproven(p, fmt.Sprintf("a batch of the mover's epoch was answered with %d, not with 47", answer.Code))
}

func (h halting) unproven(p cluster.Partition, why string) error {
	return &understudy.Error{
		Code: "US114", Kind: understudy.KindRefused, Op: "kafka.halt", Object: h.object(p.TP.String()),
		Summary: "the halt is not proven", Why: why, Fix: "retry; if the halt is too old, abort and begin anew",
	}
}

// proveHalt shows once more that the mover is halted on every partition, also on those that appeared since. It
// changes nothing.
func proveHalt(ctx context.Context, j *job) (understudy.Receipt, error) {
	a, err := args[haltArgs](j.step)
	if err != nil {
		return understudy.Receipt{}, err
	}
	epoch, err := mirror.ProducerEpoch(a.Epoch)
	if err != nil {
		return understudy.Receipt{}, err
	}
	h := halting{j, a.PID, epoch, a.Since}
	_, parts, err := j.matched(ctx, j.site)
	if err != nil {
		return understudy.Receipt{}, err
	}
	markers, err := h.each(ctx, parts, h.marker)
	if err != nil {
		return understudy.Receipt{}, err
	}
	return h.halted(ctx, a.linkArgs, parts, markers)
}

// readCut reads the cut back from the log: for each partition the offset of its halt marker. In a switchover it
// must be where the fenced source ends. It changes nothing; the cut is kept until the next takeover.
func readCut(ctx context.Context, j *job) (understudy.Receipt, error) {
	a, err := args[cutArgs](j.step)
	if err != nil {
		return understudy.Receipt{}, err
	}
	epoch, err := mirror.ProducerEpoch(a.Epoch)
	if err != nil {
		return understudy.Receipt{}, err
	}
	h := halting{j, a.PID, epoch, a.Since}
	_, parts, err := j.matched(ctx, j.site)
	if err != nil {
		return understudy.Receipt{}, err
	}
	at, err := h.each(ctx, parts, func(ctx context.Context, p cluster.Partition) (int64, error) {
		off, err := h.marker(ctx, p)
		if err != nil {
			return 0, err
		}
		return h.firstHalt(ctx, p, off, a.Lowest)
	})
	if err != nil {
		return understudy.Receipt{}, err
	}
	if a.Common {
		if err := j.equalsSource(ctx, a.From, at); err != nil {
			return understudy.Receipt{}, err
		}
	}
	cut := cutMemory{From: a.From, To: a.To, Epoch: a.Epoch, PID: a.PID, Offsets: vector(at)}
	r := understudy.Receipt{
		Summary: fmt.Sprintf("the cut is at the halt markers of %d partitions", len(at)),
		Keep:    understudy.Keep{keepCut: topicconf.Encode(cut)},
	}
	return detailed(r, cut), nil
}

// firstHalt goes down from a halt marker to the first of those right before it: a takeover that superseded
// another one stands on the offset at which the mover was halted first.
func (h halting) firstHalt(ctx context.Context, p cluster.Partition, off int64, lowest understudy.RoleEpoch) (int64, error) {
	start, err := h.site.admin.ListOffsets(ctx, h.run.Lease, cluster.Start, []cluster.Partition{p})
	if err != nil {
		return 0, err
	}
	for off > start[p.TP] {
		halt := false
		err := readLog(ctx, h.run.Lease, h.site.admin, p, off-1, off, func(b batch.Batch) (bool, error) {
			halt = b.Control() && b.Producer().ID == h.pid && understudy.RoleEpoch(b.Producer().Epoch) >= lowest
			return true, nil
		})
		if err != nil || !halt {
			return off, err
		}
		off--
	}
	return off, nil
}

// equalsSource refuses a cut that is not exactly where the fenced source ends.
func (j *job) equalsSource(ctx context.Context, from understudy.Site, at map[cluster.TP]int64) error {
	source, err := j.w.at(from)
	if err != nil {
		return err
	}
	_, parts, err := j.matched(ctx, source)
	if err != nil {
		return err
	}
	end, err := source.admin.ListOffsets(ctx, j.run.Lease, cluster.End, parts)
	if err != nil {
		return err
	}
	for tp, off := range end {
		if cut, ok := at[tp]; ok && cut == off {
			continue
		}
		return &understudy.Error{
			Code: "US113", Kind: understudy.KindConflict, Op: "kafka.cut", Object: j.object(tp.String()),
			Summary: fmt.Sprintf("the cut is at %d, but the fenced source ends at %d", at[tp], off),
			Why:     "something was written on one side after the drain", Fix: "abort, and look at who writes there",
		}
	}
	return nil
}
