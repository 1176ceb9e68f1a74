package mirror

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/conn"
)

const (
	// requestsInFlight bounds the produce requests that a target broker has not answered.
	requestsInFlight = 16
	// requestBytes is the size up to which batches of several partitions share a request.
	requestBytes = 1 << 20
)

// item is one batch on its way to the target. It gets exactly one ack.
type item struct {
	part  cluster.Partition
	batch []byte
	// base is the offset at which the broker has to store it, and next the one after it.
	base, next int64
	// newest is the time of its newest record, in milliseconds since 1970.
	newest int64
	chunk  *chunk
	// spoiled is shared by the items of one run of a partition: once one of them failed, none after it may be
	// sent, because a broker that knows nothing of our producer takes any first sequence.
	spoiled *atomic.Bool
	acks    chan<- ack
}

// ack is the broker's answer to an item, or why there is none.
type ack struct {
	it   *item
	code int16
	base int64
	err  error
	// unsent says that no byte of the item left.
	unsent bool
}

func (it *item) done(a ack) {
	if a.err != nil || a.code != 0 {
		it.spoiled.Store(true)
	}
	a.it = it
	it.chunk.release()
	it.acks <- a
}

// writer appends to the partitions that one target broker leads, over one connection.
type writer struct {
	m      *Mirror
	broker int32
	in     chan *item
}

func newWriter(m *Mirror, broker int32) *writer {
	return &writer{m: m, broker: broker, in: make(chan *item, 256)}
}

// sent is a request in flight with what it carries.
type sent struct {
	call  *conn.Call
	items []*item
}

func (w *writer) run(ctx context.Context) {
	flight := make(chan sent, requestsInFlight)
	var open sync.WaitGroup // requests in flight
	var reader sync.WaitGroup
	reader.Add(1)
	go func() {
		defer reader.Done()
		for s := range flight {
			w.receive(ctx, s)
			open.Done()
		}
	}()
	w.send(ctx, flight, &open)
	close(flight)
	reader.Wait()
}

func (w *writer) send(ctx context.Context, flight chan<- sent, open *sync.WaitGroup) {
	l := &line{side: w.m.target, broker: w.broker}
	defer l.close()
	defer open.Wait() // before the connection is closed
	var pending []*item
	for {
		if pending = w.gather(ctx, pending); pending == nil {
			return
		}
		if l.c == nil || broken(l.c) {
			// What failed with the old connection must be known to have failed before anything else is sent.
			open.Wait()
		}
		var now []*item
		now, pending = choose(pending)
		if len(now) == 0 {
			continue
		}
		c, err := l.open(ctx)
		if err != nil {
			w.fail(now, ack{err: err, unsent: true})
			continue
		}
		call, err := c.Send(ctx, produceRequest(now))
		if err != nil {
			w.fail(now, ack{err: w.m.target.silent(w.broker, err), unsent: isLease(err)})
			continue
		}
		open.Add(1)
		flight <- sent{call, now}
	}
}

func broken(c *conn.Conn) bool {
	select {
	case <-c.Broken():
		return true
	default:
		return false
	}
}

// gather waits for at least one item and takes what else is there; nil when ctx ended.
func (w *writer) gather(ctx context.Context, pending []*item) []*item {
	if len(pending) == 0 {
		select {
		case <-ctx.Done():
			return nil
		case it := <-w.in:
			pending = append(pending, it)
		}
	}
	for {
		select {
		case it := <-w.in:
			pending = append(pending, it)
		default:
			return pending
		}
	}
}

// choose takes at most one batch per partition, in order, up to the size of a request. Items that come after
// one that failed are failed here.
func choose(pending []*item) (now, rest []*item) {
	seen := map[cluster.TP]bool{}
	size := 0
	for _, it := range pending {
		if it.spoiled.Load() {
			it.done(ack{err: errMoved, unsent: true})
			continue
		}
		if seen[it.part.TP] || size > 0 && size+len(it.batch) > requestBytes {
			seen[it.part.TP] = true // order within a partition
			rest = append(rest, it)
			continue
		}
		seen[it.part.TP] = true
		size += len(it.batch)
		now = append(now, it)
	}
	return now, rest
}

func produceRequest(items []*item) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks = -1
	req.TimeoutMillis = int32(cluster.RequestTimeout.Milliseconds())
	at := map[string]int{}
	for _, it := range items {
		i, ok := at[it.part.Topic]
		if !ok {
			t := kmsg.NewProduceRequestTopic()
			t.Topic, t.TopicID = it.part.Topic, it.part.ID
			req.Topics = append(req.Topics, t)
			i = len(req.Topics) - 1
			at[it.part.Topic] = i
		}
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition, p.Records = it.part.Partition, it.batch
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
	}
	return req
}

func (w *writer) fail(items []*item, a ack) {
	for _, it := range items {
		it.done(a)
	}
}

func (w *writer) receive(ctx context.Context, s sent) {
	resp, err := s.call.Wait(ctx)
	if err != nil {
		w.fail(s.items, ack{err: w.m.target.silent(w.broker, err)})
		return
	}
	names := map[[16]byte]string{}
	for _, it := range s.items {
		names[it.part.ID] = it.part.Topic
	}
	answers := map[cluster.TP]*kmsg.ProduceResponseTopicPartition{}
	r := resp.(*kmsg.ProduceResponse)
	for i := range r.Topics {
		t := &r.Topics[i]
		name := t.Topic
		if name == "" {
			name = names[t.TopicID]
		}
		for j := range t.Partitions {
			answers[cluster.TP{Topic: name, Partition: t.Partitions[j].Partition}] = &t.Partitions[j]
		}
	}
	for _, it := range s.items {
		a := answers[it.part.TP]
		if a == nil {
			it.done(ack{code: -1})
			continue
		}
		it.done(ack{code: a.ErrorCode, base: a.BaseOffset})
	}
}
