package mirror

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/conn"
)

// pollWait is how long a source broker may hold a fetch that has nothing to answer.
const pollWait = 250 * time.Millisecond

// fetchSlots is how many fetches a source broker has outstanding, each on a connection of its own because a
// broker works on one request of a connection at a time.
const fetchSlots = 2

// want is one partition's wish for records from an offset on. It gets exactly one answer, unless it is left.
type want struct {
	part   cluster.Partition
	offset int64
	// epoch is the leader epoch of the record before offset, so that the source can tell a change of its
	// history (KIP-595); -1 when unknown.
	epoch int32
	// alone asks in a request of its own, in which an empty answer means that there is nothing: among others
	// it may mean that the answer was full.
	alone bool
	// desk takes the answer.
	desk *desk
}

// desk is where one run of a partition takes its answers, one at a time. What comes after it was closed gives
// its memory back.
type desk struct {
	answers chan fetched

	mu     sync.Mutex
	closed bool
}

func newDesk() *desk { return &desk{answers: make(chan fetched, 1)} }

func (d *desk) put(f fetched) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		f.chunk.release()
		return
	}
	d.answers <- f
}

// close ends the desk. An answer that nobody took gives its memory back.
func (d *desk) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	select {
	case f := <-d.answers:
		f.chunk.release()
	default:
	}
}

func (d *desk) left() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

// fetched is the answer to a want.
type fetched struct {
	err      error
	code     int16
	records  []byte
	chunk    *chunk
	hw       int64
	stable   int64
	start    int64
	aborted  []kmsg.FetchResponseTopicPartitionAbortedTransaction
	diverged bool
	alone    bool
}

func (f fetched) idle(offset int64) bool {
	return f.err == nil && f.code == 0 && len(f.records) == 0 && !f.diverged && f.stable <= offset && f.start <= offset
}

// fetcher asks one source broker for all the partitions it leads, many in one request.
type fetcher struct {
	m      *Mirror
	broker int32
	wake   chan struct{}

	mu      sync.Mutex
	pending []*want
}

func newFetcher(m *Mirror, broker int32) *fetcher {
	return &fetcher{m: m, broker: broker, wake: make(chan struct{}, 1)}
}

func (f *fetcher) ask(w *want) {
	f.mu.Lock()
	f.pending = append(f.pending, w)
	f.mu.Unlock()
	f.signal()
}

func (f *fetcher) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *fetcher) run(ctx context.Context) {
	var g errgroup.Group
	for range fetchSlots {
		g.Go(func() error {
			f.slot(ctx)
			return nil
		})
	}
	_ = g.Wait()
}

// take waits for wishes and takes all of them, or one that wants to be alone.
func (f *fetcher) take(ctx context.Context) []*want {
	for {
		f.mu.Lock()
		var out, rest []*want
		for _, w := range f.pending {
			switch {
			case w.desk.left():
			case w.alone && len(out) == 0:
				out = append(out, w)
			case len(out) > 0 && (w.alone || out[0].alone):
				rest = append(rest, w)
			default:
				out = append(out, w)
			}
		}
		f.pending = rest
		f.mu.Unlock()
		if len(rest) > 0 {
			f.signal()
		}
		if len(out) > 0 {
			return out
		}
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
		}
	}
}

func (f *fetcher) slot(ctx context.Context) {
	line := &line{side: f.m.source, broker: f.broker}
	defer line.close()
	var memory *chunk
	line.tune = func(o *conn.Options) {
		o.Buffer = func(ctx context.Context, n int) ([]byte, error) {
			// What the greeting left goes first: an answer that needs all of the budget would wait for it for ever.
			memory.release()
			c, err := f.m.budget.get(ctx, n)
			memory = c
			if err != nil {
				return nil, err
			}
			return c.buf, nil
		}
	}
	for {
		wants := f.take(ctx)
		if wants == nil {
			return
		}
		resp, err := f.exchange(ctx, line, wants)
		f.deal(wants, resp, err, memory)
		memory.release()
		memory = nil
	}
}

func (f *fetcher) exchange(ctx context.Context, l *line, wants []*want) (*kmsg.FetchResponse, error) {
	resp, err := l.do(ctx, f.request(wants))
	if err != nil {
		return nil, err
	}
	fr := resp.(*kmsg.FetchResponse)
	if err := f.m.source.c.Refused("kafka.fetch", "", fr.ErrorCode, ""); err != nil {
		return nil, err
	}
	return fr, nil
}

func (f *fetcher) request(wants []*want) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.SessionEpoch, req.IsolationLevel = -1, -1, 1
	req.MinBytes, req.MaxBytes, req.MaxWaitMillis = 1, f.m.fetchMax, int32(pollWait.Milliseconds())
	at := map[string]int{}
	for _, w := range wants {
		i, ok := at[w.part.Topic]
		if !ok {
			t := kmsg.NewFetchRequestTopic()
			t.Topic, t.TopicID = w.part.Topic, w.part.ID
			req.Topics = append(req.Topics, t)
			i = len(req.Topics) - 1
			at[w.part.Topic] = i
		}
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = w.part.Partition, w.offset, f.m.partitionMax
		// An old CurrentLeaderEpoch would be answered before the divergence is looked at.
		p.CurrentLeaderEpoch, p.LastFetchedEpoch, p.LogStartOffset = -1, w.epoch, -1
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
	}
	return req
}

// deal gives each want its answer; partitions with nothing new go on waiting without being told.
func (f *fetcher) deal(wants []*want, resp *kmsg.FetchResponse, err error, memory *chunk) {
	answers := map[cluster.TP]*kmsg.FetchResponseTopicPartition{}
	if err == nil {
		answers = answersOf(wants, resp)
	}
	var idle []*want
	for _, w := range wants {
		a := answers[w.part.TP]
		out := fetched{err: err, alone: w.alone}
		switch {
		case err != nil:
		case a == nil:
			out.code = cluster.CodeUnknownTopic
		default:
			out = readAnswer(a, w.alone)
		}
		if out.idle(w.offset) && !w.alone {
			idle = append(idle, w)
			continue
		}
		if len(out.records) > 0 {
			out.chunk = memory.hold()
		}
		w.desk.put(out)
	}
	if len(idle) == 0 {
		return
	}
	f.mu.Lock()
	f.pending = append(f.pending, idle...)
	f.mu.Unlock()
	f.signal()
}

func answersOf(wants []*want, resp *kmsg.FetchResponse) map[cluster.TP]*kmsg.FetchResponseTopicPartition {
	names := map[[16]byte]string{}
	for _, w := range wants {
		names[w.part.ID] = w.part.Topic
	}
	out := make(map[cluster.TP]*kmsg.FetchResponseTopicPartition, len(wants))
	for i := range resp.Topics {
		t := &resp.Topics[i]
		name := t.Topic
		if name == "" {
			name = names[t.TopicID]
		}
		for j := range t.Partitions {
			out[cluster.TP{Topic: name, Partition: t.Partitions[j].Partition}] = &t.Partitions[j]
		}
	}
	return out
}

func readAnswer(a *kmsg.FetchResponseTopicPartition, alone bool) fetched {
	return fetched{
		code: a.ErrorCode, records: a.RecordBatches, hw: a.HighWatermark, stable: a.LastStableOffset,
		start: a.LogStartOffset, aborted: a.AbortedTransactions, alone: alone,
		diverged: a.DivergingEpoch.Epoch >= 0 || a.DivergingEpoch.EndOffset >= 0,
	}
}
