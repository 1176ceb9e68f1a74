package mirror

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

// markersPerRequest bounds the entries of one WriteTxnMarkers request: each is an append of its own on the
// broker, and ten thousand of them outlast a request's time on an old one.
const markersPerRequest = 1000

// filling asks for markers from one offset to another. It gets exactly one answer.
type filling struct {
	part cluster.Partition
	// from is where the partition must end before, and to where it ends after.
	from, to int64
	answer   chan error
}

// filler writes markers onto the partitions that one target broker leads. Nothing else of ours is in flight
// on a partition meanwhile: that is the asker's part.
type filler struct {
	m      *Mirror
	broker int32
	in     chan *filling
}

func newFiller(m *Mirror, broker int32) *filler {
	return &filler{m: m, broker: broker, in: make(chan *filling, 256)}
}

func (f *filler) run(ctx context.Context) {
	l := &line{side: f.m.target, broker: f.broker}
	defer l.close()
	for {
		var jobs []*filling
		select {
		case <-ctx.Done():
			return
		case j := <-f.in:
			jobs = append(jobs, j)
		}
		for more := true; more; {
			select {
			case j := <-f.in:
				jobs = append(jobs, j)
			default:
				more = false
			}
		}
		f.fill(ctx, l, jobs)
	}
}

// fill proves where each partition ends, writes the markers, and proves it again. The broker merges the
// error codes of one producer's entries, so that only the end tells what was written.
func (f *filler) fill(ctx context.Context, l *line, jobs []*filling) {
	left := make(map[*filling]int64, len(jobs))
	ends, err := l.offsets(ctx, partsOf(jobs), latest)
	for _, j := range jobs {
		switch e := ends[j.part.TP]; {
		case err != nil:
			j.answer <- err
		case e.code != 0:
			j.answer <- f.m.target.c.Refused("kafka.listoffsets", j.part.TP.String(), e.code, "")
		case e.at != j.from:
			j.answer <- errMoved
		default:
			left[j] = j.to - j.from
		}
	}
	for len(left) > 0 {
		if err := f.round(ctx, l, left); err != nil {
			for j := range left {
				j.answer <- err
			}
			return
		}
		f.settle(ctx, l, left)
	}
}

// settle answers the jobs that are done, after one more look at where the partitions end.
func (f *filler) settle(ctx context.Context, l *line, left map[*filling]int64) {
	var done []*filling
	for j, n := range left {
		if n == 0 {
			done = append(done, j)
		}
	}
	if len(done) == 0 {
		return
	}
	ends, err := l.offsets(ctx, partsOf(done), latest)
	for _, j := range done {
		delete(left, j)
		switch {
		case err != nil:
			j.answer <- err
		case ends[j.part.TP].code != 0 || ends[j.part.TP].at != j.to:
			j.answer <- errMoved
		default:
			j.answer <- nil
		}
	}
}

func partsOf(jobs []*filling) []cluster.Partition {
	out := make([]cluster.Partition, 0, len(jobs))
	for _, j := range jobs {
		out = append(out, j.part)
	}
	return out
}

// round sends one request and counts down what it wrote. Jobs that were refused get their answer and leave.
func (f *filler) round(ctx context.Context, l *line, left map[*filling]int64) error {
	req, wrote := f.request(left)
	c, err := l.open(ctx)
	if err != nil {
		return err
	}
	call, err := c.Send(ctx, req)
	if isLease(err) {
		return leaseOver(f.m.target.c.Object())
	}
	if err != nil {
		return errUnsure
	}
	resp, err := call.Wait(ctx)
	if err != nil {
		return errUnsure
	}
	codes := markerCodes(resp.(*kmsg.WriteTxnMarkersResponse))
	for j, n := range wrote {
		left[j] -= n
		if code := codes[j.part.TP]; code != 0 {
			delete(left, j)
			j.answer <- &markerRefused{code}
		}
	}
	return nil
}

// markerCodes gives each partition's error code, an error before none.
func markerCodes(r *kmsg.WriteTxnMarkersResponse) map[cluster.TP]int16 {
	codes := map[cluster.TP]int16{}
	note := func(topic string, p kmsg.WriteTxnMarkersResponseMarkerTopicPartition) {
		if tp := (cluster.TP{Topic: topic, Partition: p.Partition}); codes[tp] == 0 {
			codes[tp] = p.ErrorCode
		}
	}
	for _, m := range r.Markers {
		for _, t := range m.Topics {
			for _, p := range t.Partitions {
				note(t.Topic, p)
			}
		}
	}
	return codes
}

// markerRefused is a broker's error code for a partition's markers.
type markerRefused struct{ code int16 }

func (e *markerRefused) Error() string { return fmt.Sprintf("markers were refused with %d", e.code) }

// request lists, entry by entry, the partitions that still want a marker: a partition listed twice in one
// entry is not answered by today's brokers.
func (f *filler) request(left map[*filling]int64) (*kmsg.WriteTxnMarkersRequest, map[*filling]int64) {
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	wrote := make(map[*filling]int64, len(left))
	for len(req.Markers) < markersPerRequest {
		topics := map[string][]int32{}
		for j, n := range left {
			if wrote[j] < n {
				wrote[j]++
				topics[j.part.Topic] = append(topics[j.part.Topic], j.part.Partition)
			}
		}
		if len(topics) == 0 {
			break
		}
		req.Markers = append(req.Markers, f.m.marker(topics))
	}
	return req, wrote
}

func (m *Mirror) marker(topics map[string][]int32) kmsg.WriteTxnMarkersRequestMarker {
	e := kmsg.NewWriteTxnMarkersRequestMarker()
	e.ProducerID, e.ProducerEpoch, e.Committed = m.pid, m.epoch, true
	e.CoordinatorEpoch = int32(m.o.Lease.Term)
	for name, parts := range topics {
		if cluster.Internal(name) || !m.o.Topic(name) {
			continue // impossible: only matching topics have shards
		}
		t := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
		t.Topic, t.Partitions = name, parts
		e.Topics = append(e.Topics, t)
	}
	return e
}
