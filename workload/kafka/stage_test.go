package kafka_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/kafka"
)

const (
	east = understudy.Site("east")
	west = understudy.Site("west")
)

// house is a workload on two clusters with just enough of an engine to walk operations: it keeps the role, the
// memory and the receipts, and runs the link.
type house struct {
	t    *testing.T
	ctx  context.Context
	spec workload.Spec
	w    workload.Workload

	mu       sync.Mutex
	role     understudy.Role
	kept     understudy.Keep
	receipts []understudy.Receipt
	progress understudy.Progress
	steps    []understudy.Step
	stopLink func()
	frozen   bool
	ledger   string
	lease    func() understudy.Lease
	// plane is the control plane that stamps carry.
	plane string
	// patience, where it is set, replaces how long a fence waits for open transactions.
	patience time.Duration
	// letGo is a site that a person let go.
	letGo understudy.Site
	// onRetry sees each error after which a step is tried again.
	onRetry func(error)
	// tries, where it is set, is how often a step is done that fails for a cause that may go away, with pauses as control
	// makes them.
	tries int
	// afterDecide happens between a decision and its steps.
	afterDecide func()
}

// endpoints says where the sites are.
type endpoints map[understudy.Site]*kafka.Endpoint

func newHouse(t *testing.T, at endpoints, cfg *kafka.Config) *house {
	t.Helper()
	return newHouseOf(t, at, "orders", cfg)
}

func newHouseOf(t *testing.T, at endpoints, name understudy.WorkloadName, cfg *kafka.Config) *house {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	h := &house{t: t, ctx: ctx, ledger: t.TempDir(), lease: lease, plane: "cp-1", kept: understudy.Keep{}, role: understudy.Role{Active: []understudy.Site{east}, From: []understudy.Site{east}, Epoch: 1}}
	h.spec = workload.Spec{
		Plan: "contoso", Name: name, Kind: "kafka", Architecture: understudy.ActivePassive, Engine: understudy.Native,
		Home: east, Sites: []understudy.Site{east, west}, Config: cfg, Clusters: map[understudy.Site]any{},
	}
	for s, e := range at {
		h.spec.Clusters[s] = e
	}
	if bad := kafka.Kind().Validate(h.spec); len(bad) > 0 {
		t.Fatalf("%s: %v", bad[0].Path, bad[0].Err)
	}
	w, err := kafka.Kind().Open(ctx, h.spec, workload.Opening{
		Secret: func(_ context.Context, name string) ([]byte, error) { return []byte(name), nil }, FetchBudget: 32 << 20, ControlPlane: "cp-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	h.w = w
	t.Cleanup(func() {
		h.unlink()
		cancel()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// link follows the role's link from a site to the other one.
func (h *house) link(from, to understudy.Site, reverse bool) {
	h.t.Helper()
	h.unlink()
	ctx, cancel := context.WithCancel(h.ctx)
	done := make(chan error, 1)
	h.mu.Lock()
	h.frozen = false
	a := understudy.Assignment{
		Link:  understudy.Link{Plan: h.spec.Plan, Workload: h.spec.Name, From: from, To: to},
		Epoch: h.role.Epoch, Lease: lease(), Reverse: reverse, Kept: maps.Clone(h.kept),
		Frozen: func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.frozen },
	}
	h.mu.Unlock()
	go func() {
		done <- h.w.Replicate(ctx, a, func(p understudy.Progress) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.progress = p
			h.keep(p.Keep)
		})
	}()
	h.stopLink = func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Errorf("the link ended with %v", err)
		}
	}
}

func (h *house) unlink() {
	if h.stopLink != nil {
		h.stopLink()
		h.stopLink = nil
	}
}

func lease() understudy.Lease {
	return understudy.Lease{Term: 1, Deadline: func() time.Time { return time.Now().Add(10 * time.Second) }}
}

func (h *house) keep(k understudy.Keep) {
	for name, doc := range k {
		h.kept[name] = doc
		if doc == nil {
			delete(h.kept, name)
		}
	}
}

func (h *house) observe() workload.Observation {
	h.t.Helper()
	seen, err := h.w.Observe(h.ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	return seen
}

// stage decides and does one stage; it gives the error of the first step that failed.
func (h *house) stage(verb understudy.Verb, name understudy.StageName, old, to understudy.Site) error {
	h.t.Helper()
	seen := h.observe()
	h.mu.Lock()
	at := understudy.Stage{
		Name: name, Verb: verb, Operation: "op-1", Plan: h.spec.Plan, Workload: h.spec.Name, ControlPlane: h.plane,
		Before: h.role, Now: h.role, After: h.role, Old: old, To: to, Receipts: slices.Clone(h.receipts), Kept: maps.Clone(h.kept),
	}
	h.mu.Unlock()
	if h.letGo != "" {
		at.Envelope.Acceptances = []understudy.Acceptance{{Site: h.letGo, By: "ada"}}
	}
	steps, err := h.w.Decide(at, seen)
	if err != nil {
		return fmt.Errorf("%s/%s: decide: %w", verb, name, err)
	}
	if h.afterDecide != nil {
		h.afterDecide()
	}
	for _, s := range steps {
		if h.patience > 0 {
			s.Args = impatient(h.t, s.Args, h.patience)
		}
		if err := h.do(at, s); err != nil {
			return fmt.Errorf("%s/%s %s: %w", verb, name, s.ID, err)
		}
	}
	return nil
}

// do does one step twice: whatever it does must be harmless to repeat.
func (h *house) do(at understudy.Stage, s understudy.Step) error {
	run := understudy.Run{
		Operation: at.Operation, Verb: at.Verb, Stage: at.Name, Attempt: 1, Link: understudy.Link{Plan: at.Plan, Workload: at.Workload, From: at.Old, To: at.To}, ControlPlane: h.plane, Now: at.Now, Lease: h.lease(),
		Role:      func(context.Context) (understudy.Role, error) { h.mu.Lock(); defer h.mu.Unlock(); return h.role, nil },
		Report:    func(understudy.StepProgress) {},
		LedgerDir: h.ledger, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	var err error
	var r understudy.Receipt
	for range 2 {
		if r, err = h.again(s, run); err != nil {
			return err
		}
	}
	h.t.Logf("%-10s %-8s %-16s %s", at.Verb, at.Name, s.ID, r.Summary)
	for _, w := range r.Warnings {
		h.t.Logf("   warning: %s", w)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.steps = append(h.steps, s)
	h.receipts = append(h.receipts, r)
	h.keep(r.Keep)
	return nil
}

// impatient shortens a step's patience.
func impatient(t *testing.T, doc json.RawMessage, d time.Duration) json.RawMessage {
	t.Helper()
	var a map[string]any
	if err := json.Unmarshal(doc, &a); err != nil {
		t.Fatal(err)
	}
	if _, ok := a["patience"]; ok {
		a["patience"] = d
	}
	out, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// again does a step as control does: what may go away by itself is tried again.
func (h *house) again(s understudy.Step, run understudy.Run) (r understudy.Receipt, err error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for left := max(h.tries, 5); left > 0; left-- {
		r, err = h.w.Do(h.ctx, s, run)
		if k := understudy.KindOf(err); k != understudy.KindRetry && k != understudy.KindUnreachable {
			break
		}
		if h.onRetry != nil {
			h.onRetry(err)
		}
		if h.tries > 0 {
			<-tick.C
			run.Lease = h.lease()
		}
	}
	return r, err
}

// walk goes through stages and ends the test at the first that fails.
func (h *house) walk(verb understudy.Verb, old, to understudy.Site, stages ...understudy.StageName) {
	h.t.Helper()
	for _, s := range stages {
		if err := h.stage(verb, s, old, to); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *house) setRole(r understudy.Role) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.role = r
}

// protect protects east to west and waits until the copy is complete.
func (h *house) protect() {
	h.t.Helper()
	h.walk(understudy.Protect, east, west, understudy.StageCheck, understudy.StageProvision, understudy.StageCreate, understudy.StageGuard, understudy.StageBootstrap)
	h.link(east, west, false)
	h.await("protected", func() bool { return h.progress.State == understudy.Protected })
}

// await waits until something holds; h.mu is held while it looks.
func (h *house) await(what string, holds func() bool) {
	h.t.Helper()
	h.awaitEvery(20*time.Millisecond, what, holds)
}

// awaitEvery does so with a pause between two looks.
func (h *house) awaitEvery(pause time.Duration, what string, holds func() bool) {
	h.t.Helper()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		h.mu.Lock()
		ok := holds()
		p := h.progress
		h.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-h.ctx.Done():
			doc, _ := json.Marshal(p)
			h.t.Fatalf("never %s; progress %s", what, doc)
		}
	}
}

// takeover walks a switchover or failover up to its end, and follows the reverse link after a switchover.
func (h *house) takeover(verb understudy.Verb, old, to understudy.Site) {
	h.t.Helper()
	first, drain := understudy.StageCheck, understudy.StageDrain
	if verb == understudy.Failover {
		first, drain = understudy.StageProvision, understudy.StageSalvage
	}
	h.begin(verb, first, old, to)
	h.walk(verb, old, to, understudy.StageFence, drain)
	h.unlink()
	h.walk(verb, old, to, understudy.StageHalt, understudy.StageCut, understudy.StagePromote)
	h.finish(verb, old, to)
}

// begin walks a takeover up to its fence.
func (h *house) begin(verb understudy.Verb, first understudy.StageName, old, to understudy.Site) {
	h.t.Helper()
	h.receipts = nil
	h.walk(verb, old, to, first, understudy.StageFreeze)
	h.freeze()
	h.setRole(h.role.Fenced())
}

// finish walks a takeover from its promotion on, and follows the reverse link after a switchover.
func (h *house) finish(verb understudy.Verb, old, to understudy.Site) {
	h.t.Helper()
	h.setRole(h.role.Promoted(to))
	h.walk(verb, old, to, understudy.StageEnable, understudy.StageProve, understudy.StageRoute)
	if verb == understudy.Switchover {
		h.walk(verb, old, to, understudy.StageGuard, understudy.StageReverse)
		h.link(to, old, true)
	}
}

func (h *house) freeze() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.frozen = true
}

// proofs gives the complete proofs of a kind among the receipts.
func (h *house) proofs(kind understudy.ProofKind) []understudy.Proof {
	var out []understudy.Proof
	for _, r := range h.receipts {
		for _, p := range r.Proofs {
			if p.Kind == kind && p.Complete {
				out = append(out, p)
			}
		}
	}
	return out
}

// client is an ordinary application.
func client(t *testing.T, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RecordDeliveryTimeout(3 * time.Second), kgo.MetadataMinAge(20 * time.Millisecond), kgo.DisableClientMetrics()}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// load writes n records in a few batches onto each partition of a topic.
func load(t *testing.T, cl *kgo.Client, topic string, partitions int32, n int, name string) error {
	t.Helper()
	for p := range partitions {
		var rs []*kgo.Record
		for i := range n {
			rs = append(rs, &kgo.Record{Topic: topic, Partition: p, Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, "%s-%d-%d", name, p, i)})
		}
		if err := cl.ProduceSync(t.Context(), rs...).FirstErr(); err != nil {
			return err
		}
	}
	return nil
}

// row is one record as a consumer sees it; at is its time in milliseconds.
type row struct {
	partition  int32
	offset, at int64
	key, value string
}

// rows reads all visible records of a topic, ordered by partition and offset.
func rows(t *testing.T, addr, topic string) []row {
	t.Helper()
	cl := client(t, addr)
	defer cl.Close()
	adm := kadm.NewClient(cl)
	ends, err := adm.ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	at := map[int32]kgo.Offset{}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			at[o.Partition], left[o.Partition] = kgo.NewOffset().AtStart(), o.Offset
		}
	})
	if len(at) == 0 {
		return nil
	}
	in := client(t, addr, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: at}), kgo.KeepControlRecords())
	defer in.Close() // else it goes on fetching until the test ends
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var out []row
	for len(left) > 0 {
		f := in.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("the records of %s at %s do not end: %v left", topic, addr, left)
		}
		f.EachRecord(func(r *kgo.Record) {
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
			if !r.Attrs.IsControl() {
				out = append(out, row{r.Partition, r.Offset, r.Timestamp.UnixMilli(), string(r.Key), string(r.Value)})
			}
		})
	}
	slices.SortFunc(out, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.partition, b.partition), cmp.Compare(a.offset, b.offset))
	})
	return out
}

// identical demands that both sites have the same records with the same times at the same offsets, and the same ends.
func identical(t *testing.T, a, b, topic string) []row {
	t.Helper()
	x, y := rows(t, a, topic), rows(t, b, topic)
	if !slices.Equal(x, y) {
		t.Fatalf("%s differs: %d records and %d records", topic, len(x), len(y))
	}
	return x
}

// settings gives a topic's settings in effect.
func settings(t *testing.T, addr, topic string) map[string]string {
	t.Helper()
	all, err := kadm.NewClient(client(t, addr)).DescribeTopicConfigs(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, rc := range all {
		for _, c := range rc.Configs {
			out[c.Key] = c.MaybeValue()
		}
	}
	return out
}

// make makes the topics of the scenes on the first primary.
func (th theatre) make(t *testing.T) {
	t.Helper()
	adm := kadm.NewClient(client(t, th.east))
	for name, partitions := range map[string]int32{"orders": 2, "idle": 1} {
		var err error
		eventually(t, "a topic can be made", func() bool {
			// On a crowded machine a broker's heartbeat may be late, and then nobody can have a replica for a moment.
			_, err = adm.CreateTopic(t.Context(), partitions, -1, nil, name)
			return !errors.Is(err, kerr.InvalidReplicationFactor)
		})
		mustLoad(t, err)
	}
	// A broker answers before it serves what it has made.
	eventually(t, "the topics are served", func() bool {
		ends, err := adm.ListEndOffsets(t.Context(), "orders", "idle")
		return err == nil && ends.Error() == nil && len(ends) == 2
	})
}
