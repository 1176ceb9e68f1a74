package mirror

import (
	"errors"
	"sort"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
)

// action is what becomes of one source batch, or of a range of offsets without visible records.
type action struct {
	// to is the offset up to which the target is right after the action.
	to int64
	// raw is passed on as it is but for its header; nil otherwise.
	raw batch.Batch
	// decode is taken apart, because brokers do not take it as it is: offsets below the plan's start, holes,
	// or append time. What lies between its records is filled. Nil otherwise.
	decode batch.Batch
	// aborted counts records that are left out, because their transaction was.
	aborted int64
	// leader is the leader epoch of the batch; −1 for a hole.
	leader int32
}

// filled says that the action's whole range becomes markers.
func (a action) filled() bool { return a.raw == nil && a.decode == nil }

// planner turns fetched batches into actions, in order. It holds no state between answers: each answer lists
// the aborted transactions that reach into it.
type planner struct {
	next    int64
	aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction
	open    map[int64]bool // producers whose aborted transaction is being passed
	coder   *batch.Coder
}

func newPlanner(coder *batch.Coder, next int64, aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction) *planner {
	list := append([]kmsg.FetchResponseTopicPartitionAbortedTransaction(nil), aborted...)
	sort.Slice(list, func(i, j int) bool { return list[i].FirstOffset < list[j].FirstOffset })
	return &planner{next: next, aborted: list, open: map[int64]bool{}, coder: coder}
}

// add plans one batch; it may need two actions when there is a hole before it, and none when all of it is
// below next.
func (p *planner) add(b batch.Batch) ([]action, error) {
	base, to := b.BaseOffset(), b.NextOffset()
	for len(p.aborted) > 0 && p.aborted[0].FirstOffset < to {
		p.open[p.aborted[0].ProducerID] = true
		p.aborted = p.aborted[1:]
	}
	if b.Control() {
		if err := p.control(b); err != nil {
			return nil, err
		}
	}
	if to <= p.next {
		return nil, nil
	}
	var out []action
	if base > p.next {
		out = append(out, action{to: base, leader: -1})
	}
	a := action{to: to, leader: b.LeaderEpoch()}
	switch {
	case b.Control(), b.Count() == 0:
	case b.Transactional() && p.open[b.Producer().ID]:
		a.aborted = int64(b.Count())
	case base < p.next, !b.Dense(), b.LogAppendTime():
		a.decode = b
	default:
		a.raw = b
	}
	p.next = to
	return append(out, a), nil
}

// control ends a producer's aborted transaction at its ABORT marker.
func (p *planner) control(b batch.Batch) error {
	if !p.open[b.Producer().ID] || b.Count() == 0 {
		return nil
	}
	c, err := p.coder.ReadControl(b)
	if err != nil {
		return err
	}
	if c.Marker && !c.Commit {
		delete(p.open, b.Producer().ID)
	}
	return nil
}

// lastWhole is the offset after the last whole batch of an answer, by the lengths alone, so that the next
// fetch can leave before this one is worked through; false when there is none.
func lastWhole(raw []byte) (next int64, leader int32, ok bool) {
	for len(raw) >= batch.HeaderSize {
		size := 12 + int64(int32(be32(raw[8:])))
		if size < batch.HeaderSize || size > int64(len(raw)) {
			break
		}
		b := batch.Batch(raw[:size])
		next, leader, ok = b.NextOffset(), b.LeaderEpoch(), true
		raw = raw[size:]
	}
	return next, leader, ok
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// errTooSmall means that a fetch was full before its first whole batch.
var errTooSmall = errors.New("the first batch is larger than a fetch may be")
