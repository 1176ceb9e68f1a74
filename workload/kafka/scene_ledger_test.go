package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka"
	"github.com/understudy-dr/understudy/workload/kafka/kafkasim"
)

// reprotect walks a reprotect of east under west, with a ledger of its own, up to a stage.
func (h *house) reprotect(stages ...understudy.StageName) {
	h.t.Helper()
	h.reprotectTo(west, east, stages...)
}

func (h *house) reprotectTo(source, target understudy.Site, stages ...understudy.StageName) {
	h.t.Helper()
	h.receipts, h.ledger = nil, h.t.TempDir()
	h.walk(understudy.Reprotect, source, target, stages...)
}

func toLedger() []understudy.StageName {
	return []understudy.StageName{understudy.StageFence, understudy.StageScan, understudy.StageLedger}
}

func toReverse() []understudy.StageName {
	return append(toLedger(), understudy.StageGuard, understudy.StageResolve, understudy.StageReverse)
}

// lost brings east back, fenced, after a failover that lost the records that were not copied any more.
func (h *house) lost(th theatre, copied, lost int) {
	h.t.Helper()
	app := client(h.t, th.east)
	mustLoad(h.t, load(h.t, app, "orders", 2, copied, "a"))
	h.protect()
	h.followed(east)
	h.unlink()
	mustLoad(h.t, load(h.t, app, "orders", 2, lost, "lost"))
	th.kill(east)
	h.takeover(understudy.Failover, east, west)
	h.walk(understudy.Commit, east, west, understudy.StageRelease)
	th.restart(east)
	h.walk(understudy.Duty, east, west, understudy.StageFence)
}

// named counts the exported values that begin with a name.
func (h *house) named(name string) int {
	h.t.Helper()
	n := 0
	for _, v := range h.exported() {
		if strings.HasPrefix(v, name+"-") {
			n++
		}
	}
	return n
}

func TestStraysBelowTheCut(t *testing.T) { straysBelowTheCut(t, simulated(t)) }

// straysBelowTheCut lets a producer write into the topics that were made anew, before the link has copied anything
// back: below the cut of the takeover. The next reprotect saves all of it before it makes them anew again.
func straysBelowTheCut(t *testing.T, th theatre) {
	h := newHouse(t, th.at, topics())
	h.lost(th, 100, 7)
	h.reprotect(toReverse()...)
	if n := h.named("lost"); n != 14 {
		t.Fatalf("%d lost records in the first ledger, not 14", n)
	}
	mustLoad(t, load(t, client(t, th.east), "orders", 2, 50, "stray"))
	h.reprotect(toLedger()...)
	if n := h.named("stray"); n != 100 || len(h.exported()) != 100 {
		t.Fatalf("%d of 100 strays among %d records in the ledger", n, len(h.exported()))
	}
	h.walk(understudy.Reprotect, west, east, understudy.StageGuard, understudy.StageResolve, understudy.StageReverse)
	h.link(west, east, true)
	h.followed(west)
	if n := len(identical(t, th.east, th.west, "orders")); n != 200 {
		t.Fatalf("%d records, not 200", n)
	}
}

func TestStrayAfterTheLink(t *testing.T) { strayAfterTheLink(t, simulated(t)) }

// strayAfterTheLink writes one record behind what the reverse link copied: the ledger holds that one only.
func strayAfterTheLink(t *testing.T, th theatre) {
	h := newHouse(t, th.at, topics())
	mustLoad(t, load(t, client(t, th.east), "orders", 2, 100, "a"))
	h.protect()
	h.followed(east)
	h.takeover(understudy.Switchover, east, west)
	mustLoad(t, load(t, client(t, th.west), "orders", 2, 60, "mirrored"))
	h.followed(west)
	h.walk(understudy.Commit, east, west, understudy.StageRelease)
	h.unlink()
	mustLoad(t, load(t, client(t, th.east), "orders", 1, 1, "stray"))
	h.reprotect(toLedger()...)
	if got := h.exported(); !slices.Equal(got, []string{"stray-0-0"}) {
		t.Fatalf("the ledger has %d records: %.3q", len(got), got)
	}
	all := rows(t, th.east, "orders")
	stray := all[slices.IndexFunc(all, func(r row) bool { return r.value == "stray-0-0" })]
	saved := 0
	for _, r := range h.receipts {
		if r.Kind != "ledger.save" {
			continue
		}
		saved++
		if len(r.Ledger) != 1 || r.Ledger[0].Records != 1 || r.Ledger[0].First != 161 || r.Ledger[0].Last != 161 {
			t.Fatalf("ledger %+v", r.Ledger)
		}
		if e := r.Ledger[0]; e.FirstAt.UnixMilli() != stray.at || e.LastAt.UnixMilli() != stray.at {
			t.Fatalf("the ledger says %s to %s of a record of %s", e.FirstAt, e.LastAt, time.UnixMilli(stray.at))
		}
	}
	if saved == 0 {
		t.Fatal("no receipt of a ledger")
	}
}

func TestALogThatWasCutShort(t *testing.T) {
	// The old primary lost the end of its log and took other records there: the same topic, below the cut. A topic
	// made anew by hand, with the head of the old one, is the same to a reader.
	th := simulated(t)
	h := newHouse(t, th.at, topics())
	h.lost(th, 30, 0)
	kept := rows(t, th.east, "orders")
	admin := kadm.NewClient(client(t, th.east))
	if _, err := admin.DeleteTopics(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.CreateTopic(t.Context(), 2, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	app := client(t, th.east)
	for _, r := range kept[:20] {
		if err := app.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Partition: r.partition, Key: []byte(r.key), Value: []byte("other-" + r.value)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	h.reprotect(toLedger()...)
	if n := h.named("other"); n != 20 {
		t.Fatalf("%d of 20 records in the ledger", n)
	}
}

func TestReprotectWithoutATakeover(t *testing.T) { reprotectWithoutATakeover(t, simulated(t)) }

// reprotectWithoutATakeover does what US141 asks for when a stranger wrote into a secondary that never lost the role.
func reprotectWithoutATakeover(t *testing.T, th theatre) {
	h := newHouse(t, th.at, topics())
	mustLoad(t, load(t, client(t, th.east), "orders", 2, 20, "a"))
	h.protect()
	h.followed(east)
	mustLoad(t, load(t, client(t, th.west), "orders", 1, 3, "stray"))
	mustLoad(t, load(t, client(t, th.east), "orders", 2, 5, "b"))
	var said string
	h.await("diverged", func() bool {
		for _, s := range h.progress.Shards {
			if s.Error != nil && s.Error.Code == "US141" {
				said = s.Error.Fix
			}
		}
		return said != ""
	})
	if !strings.Contains(said, "understudy reprotect contoso") {
		t.Fatalf("US141 names no command: %s", said)
	}
	h.unlink()
	h.reprotectTo(east, west, toReverse()...)
	if got := h.exported(); !slices.Equal(got, []string{"stray-0-0", "stray-0-1", "stray-0-2"}) {
		t.Fatalf("the ledger has %q", got)
	}
	h.link(east, west, false)
	h.followed(east)
	if n := len(identical(t, th.east, th.west, "orders")); n != 50 {
		t.Fatalf("%d records, not 50", n)
	}
}

// simulatedAuto is simulated, with clusters that make topics when they are asked for.
func simulatedAuto(t *testing.T) (theatre, *kafkasim.Cluster) {
	t.Helper()
	all := map[understudy.Site]*kafkasim.Cluster{}
	th := theatre{at: endpoints{}}
	for _, s := range []understudy.Site{east, west} {
		c, err := kafkasim.Start(kafkasim.Options{ClusterID: string(s) + "-id", AutoCreate: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		all[s] = c
		th.at[s] = &kafka.Endpoint{Brokers: []string{c.Addr()}}
	}
	th.east, th.west = all[east].Addr(), all[west].Addr()
	th.kill = func(s understudy.Site) { all[s].Kill() }
	th.restart = func(s understudy.Site) {
		if err := all[s].Restart(); err != nil {
			t.Fatal(err)
		}
	}
	th.make(t)
	return th, all[east]
}

// opens says whether a request opens a topic that was closed by its append limit.
func opens(r kmsg.Request, topic string) bool {
	q, ok := r.(*kmsg.IncrementalAlterConfigsRequest)
	if !ok {
		return false
	}
	for _, res := range q.Resources {
		for _, c := range res.Configs {
			if res.ResourceName == topic && c.Name == "max.message.bytes" && c.Value != nil && *c.Value != "0" && *c.Value != "78" {
				return true
			}
		}
	}
	return false
}

// TestAProducerTakesTheFirstOffset lets a producer write each time the topic made anew is opened. Nothing that it was
// told is lost, and after three tries it is a person's turn.
func TestAProducerTakesTheFirstOffset(t *testing.T) {
	th, sim := simulatedAuto(t)
	h := newHouse(t, th.at, topics())
	h.lost(th, 20, 3)
	h.reprotect(append(toLedger(), understudy.StageGuard, understudy.StageResolve)...)
	var opened atomic.Bool
	sim.Watch(func(r kmsg.Request) {
		if opens(r, "orders") {
			opened.Store(true)
		}
	})
	var acked []string
	written := make(chan error, 1)
	go func() { written <- takeFirst(t, sim, th.east, &opened, 3, &acked) }()
	wants(t, h.stage(understudy.Reprotect, understudy.StageReverse, west, east), "US128")
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if got := settings(t, th.east, "orders")["max.message.bytes"]; got != "0" {
		t.Fatalf("the topic is left open: max.message.bytes is %s", got)
	}
	h.walk(understudy.Reprotect, west, east, understudy.StageReverse)
	h.holds(acked)
	if n := h.named("lost"); n != 6 {
		t.Fatalf("%d lost records in the ledger, not 6", n)
	}
	h.counts(6 + len(acked))
	h.link(west, east, true)
	h.followed(west)
	identical(t, th.east, th.west, "orders")
}

// takeFirst writes one record into partition 0 each time the topic is opened, before anybody looks at its end.
func takeFirst(t *testing.T, sim *kafkasim.Cluster, addr string, opened *atomic.Bool, times int, acked *[]string) error {
	for i := range times {
		gate := sim.Pause(func(r kmsg.Request) bool { return opened.Load() && r.Key() == int16(kmsg.ListOffsets) })
		select {
		case <-gate.Held():
		case <-t.Context().Done():
			gate.Release()
			return errors.New("the topic was never opened")
		}
		value := fmt.Sprintf("first-%d", i)
		cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err == nil {
			err = cl.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte(value)}).FirstErr()
			cl.Close()
		}
		opened.Store(false)
		gate.Release()
		if err != nil {
			return err
		}
		*acked = append(*acked, value)
	}
	return nil
}

// holds demands that all of the values are in the ledger.
func (h *house) holds(values []string) {
	h.t.Helper()
	got := h.exported()
	for _, v := range values {
		if !slices.Contains(got, v) {
			h.t.Fatalf("%s was acknowledged, and is not in the ledger of %d records", v, len(got))
		}
	}
}

// counts demands that the receipts tell of so many records.
func (h *house) counts(want int) {
	h.t.Helper()
	files := map[string]int64{}
	for _, r := range h.receipts {
		for _, e := range r.Ledger {
			if e.File != "" {
				files[e.File] = e.Records
			}
		}
	}
	sum := int64(0)
	for _, n := range files {
		sum += n
	}
	if sum != int64(want) {
		h.t.Fatalf("the receipts count %d records, not %d: %v", sum, want, files)
	}
}

// insist tries a stage again while the brokers ask for it, as control does with the step by itself.
func (h *house) insist(verb understudy.Verb, stage understudy.StageName, old, to understudy.Site) error {
	h.t.Helper()
	for {
		err := h.stage(verb, stage, old, to)
		if understudy.KindOf(err) != understudy.KindRetry || h.ctx.Err() != nil {
			return err
		}
	}
}

func TestARetryingProducer(t *testing.T) {
	th, _ := simulatedAuto(t)
	retryingProducer(t, th)
}

// retryingProducer writes to the old primary all the time while its topic is made anew, on a cluster that makes
// topics when they are asked for. Whatever was acknowledged to it is in a ledger in the end.
func retryingProducer(t *testing.T, th theatre) {
	h := newHouse(t, th.at, topics())
	h.lost(th, 20, 3)
	p := produce(t, th.east)
	h.reprotect(append(toLedger(), understudy.StageGuard)...)
	all := []string{h.ledger}
	err := h.insist(understudy.Reprotect, understudy.StageResolve, west, east)
	if err == nil {
		err = h.insist(understudy.Reprotect, understudy.StageReverse, west, east)
	}
	if err == nil { // it was slower than the watch: the topic is open now
		select {
		case <-p.first:
		case <-h.ctx.Done():
			t.Fatal("the producer never got through to an open topic")
		}
	}
	acked := p.stop()
	if err != nil {
		wants(t, err, "US128")
		h.walk(understudy.Reprotect, west, east, understudy.StageResolve, understudy.StageReverse)
	} else {
		h.reprotect(toReverse()...)
		all = append(all, h.ledger)
	}
	var got []string
	for _, dir := range all {
		h.ledger = dir
		got = append(got, h.exported()...)
	}
	for _, v := range acked {
		if !slices.Contains(got, v) {
			t.Fatalf("%s was acknowledged, and is in no ledger", v)
		}
	}
	t.Logf("%d acknowledged, all in the ledger", len(acked))
	h.link(west, east, true)
	h.followed(west)
	identical(t, th.east, th.west, "orders")
}

// producer is an application that does not give up.
type producer struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	acked  []string
	// first is closed when something was acknowledged.
	first chan struct{}
}

// produce writes all the time, each record over a connection of its own: a client that knows the topic by its old id
// would take a while to ask again.
func produce(t *testing.T, addr string) *producer {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &producer{cancel: cancel, first: make(chan struct{})}
	pace := time.NewTicker(10 * time.Millisecond)
	p.done.Go(func() {
		defer pace.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			p.write(ctx, addr, fmt.Sprintf("retry-%d", i))
			select {
			case <-pace.C:
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(cancel)
	return p
}

func (p *producer) write(ctx context.Context, addr, value string) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.AllowAutoTopicCreation(), kgo.DisableIdempotentWrite(), kgo.RecordDeliveryTimeout(time.Second))
	if err != nil {
		return
	}
	defer cl.Close()
	if cl.ProduceSync(ctx, &kgo.Record{Topic: "orders", Value: []byte(value)}).FirstErr() != nil {
		return
	}
	if p.acked = append(p.acked, value); len(p.acked) == 1 {
		close(p.first)
	}
}

func (p *producer) stop() []string {
	p.cancel()
	p.done.Wait()
	return p.acked
}

func TestALedgerWithoutItsFiles(t *testing.T) {
	nothing := func([]byte) error { return nil }
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	err := kafka.Kind().ExportLedger(t.Context(), nowhere, nothing)
	wants(t, err, "US131")
	if !strings.Contains(err.Error(), nowhere) {
		t.Fatalf("%v does not say where the files are expected", err)
	}
	th := simulated(t)
	h := newHouse(t, th.at, topics())
	h.lost(th, 5, 2)
	h.reprotect(toLedger()...)
	files, err := filepath.Glob(filepath.Join(h.ledger, "*.batches"))
	if err != nil || len(files) != 2 {
		t.Fatalf("files %v, %v", files, err)
	}
	if err := os.Remove(files[1]); err != nil {
		t.Fatal(err)
	}
	wants(t, kafka.Kind().ExportLedger(t.Context(), h.ledger, nothing), "US131")
}

func TestAnEmptyLedgerIsExported(t *testing.T) {
	th := simulated(t)
	h := newHouse(t, th.at, topics())
	h.lost(th, 5, 0)
	h.reprotect(toLedger()...)
	if got := h.exported(); len(got) != 0 {
		t.Fatalf("the ledger has %q", got)
	}
}

// TestRecordsVanishWhileTheyAreSaved lets the old primary forget what is just being saved.
func TestRecordsVanishWhileTheyAreSaved(t *testing.T) {
	th, sim := simulatedAuto(t)
	h := newHouse(t, th.at, topics())
	h.lost(th, 5, 2)
	h.reprotect(understudy.StageFence, understudy.StageScan)
	failed := make(chan error, 1)
	saving := func() bool {
		files, _ := filepath.Glob(filepath.Join(h.ledger, "*.part"))
		return len(files) > 0
	}
	gate := sim.Pause(func(r kmsg.Request) bool { return r.Key() == int16(kmsg.Fetch) && saving() })
	var tried []error
	h.onRetry = func(err error) { tried = append(tried, err) }
	go func() { failed <- h.stage(understudy.Reprotect, understudy.StageLedger, west, east) }()
	select {
	case <-gate.Held():
	case err := <-failed:
		t.Fatalf("nothing was saved: %v", err)
	}
	at := kadm.Offsets{}
	for p := range int32(2) {
		at.Add(kadm.Offset{Topic: "orders", Partition: p, At: 6})
	}
	if rs, err := kadm.NewClient(client(t, th.east)).DeleteRecords(t.Context(), at); err != nil || rs.Error() != nil {
		t.Fatal(err, rs.Error())
	}
	gate.Release()
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	if len(tried) == 0 {
		t.Fatal("nobody noticed")
	}
	wants(t, tried[0], "US126")
	if got := h.exported(); !slices.Equal(got, []string{"lost-0-1", "lost-1-1"}) {
		t.Fatalf("the ledger has %q", got)
	}
}
