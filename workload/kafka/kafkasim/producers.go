package kafkasim

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// remembered is how many of a producer's batches a partition recognises as duplicates.
const remembered = 5

// partition is what a partition's leader knows about its producers, folded from its log up to next.
type partition struct {
	next      int64
	producers map[int64]*producer
}

// producer is one producer's state on one partition.
type producer struct {
	epoch       int16
	batches     []appended // the latest last; empty when only markers were written in this epoch
	coordinator int32      // of the latest marker, −1 without one
	txnStart    int64      // −1 outside a transaction
	lastTime    int64
}

type appended struct {
	first, last int32
	base        int64
}

func newPartition() *partition { return &partition{producers: map[int64]*producer{}} }

// verdict is what the broker answers about an append: OK to append, or a code, or an old offset again.
type verdict struct {
	code      int16
	duplicate bool
	base      int64
}

// judge decides about a batch of a client that has a producer, by the rules of Kafka's ProducerAppendInfo.
func (p *partition) judge(v batchView) verdict {
	known, ok := p.producers[v.pid]
	if !ok {
		return verdict{} // a partition without state takes any first sequence
	}
	last := addSequence(v.sequence, int64(v.count)-1)
	if v.epoch == known.epoch {
		for _, b := range known.batches {
			if b.first == v.sequence && b.last == last {
				return verdict{duplicate: true, base: b.base}
			}
		}
	}
	switch {
	case v.epoch < known.epoch:
		return verdict{code: kerr.InvalidProducerEpoch.Code}
	case v.epoch > known.epoch && v.sequence != 0:
		return verdict{code: kerr.OutOfOrderSequenceNumber.Code}
	case v.epoch == known.epoch && v.sequence != known.expected():
		return verdict{code: kerr.OutOfOrderSequenceNumber.Code}
	case !v.transactional && known.txnStart >= 0:
		return verdict{code: kerr.InvalidTxnState.Code}
	}
	return verdict{}
}

// expected is the only sequence that may follow in the same epoch.
func (k *producer) expected() int32 {
	if len(k.batches) == 0 {
		return 0
	}
	return addSequence(k.batches[len(k.batches)-1].last, 1)
}

// judgeMarker decides about a marker.
func (p *partition) judgeMarker(pid int64, epoch int16, coordinator int32) int16 {
	known, ok := p.producers[pid]
	switch {
	case ok && epoch < known.epoch:
		return kerr.InvalidProducerEpoch.Code
	case ok && coordinator < known.coordinator:
		return kerr.TransactionCoordinatorFenced.Code
	}
	return 0
}

// fold takes a batch that stands in the log into account.
func (p *partition) fold(v batchView) {
	p.next = v.base + int64(v.lastDelta) + 1
	if v.pid < 0 {
		return
	}
	known, ok := p.producers[v.pid]
	if !ok {
		known = &producer{epoch: v.epoch, coordinator: -1, txnStart: -1}
		p.producers[v.pid] = known
	}
	if v.epoch != known.epoch {
		known.epoch, known.batches = v.epoch, nil
	}
	known.lastTime = v.maxTime
	if v.control {
		known.coordinator, known.txnStart = v.coordinator, -1
		return
	}
	if v.transactional && known.txnStart < 0 {
		known.txnStart = v.base
	}
	if len(known.batches) == remembered {
		known.batches = slices.Delete(known.batches, 0, 1)
	}
	known.batches = append(known.batches, appended{first: v.sequence, last: addSequence(v.sequence, int64(v.lastDelta)), base: v.base})
}

// reboot forgets what a broker's snapshot does not keep: all batches but the last.
func (p *partition) reboot() {
	for _, k := range p.producers {
		if n := len(k.batches); n > 1 {
			k.batches = k.batches[n-1:]
		}
	}
}

// active lists the producers as DescribeProducers does.
func (p *partition) active() []kmsg.DescribeProducersResponseTopicPartitionActiveProducer {
	var out []kmsg.DescribeProducersResponseTopicPartitionActiveProducer
	for _, pid := range slices.SortedFunc(maps.Keys(p.producers), cmp.Compare) {
		k := p.producers[pid]
		a := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
		a.ProducerID, a.ProducerEpoch, a.LastSequence = pid, int32(k.epoch), -1
		if n := len(k.batches); n > 0 {
			a.LastSequence = k.batches[n-1].last
		}
		a.CoordinatorEpoch, a.CurrentTxnStartOffset, a.LastTimestamp = k.coordinator, k.txnStart, k.lastTime
		out = append(out, a)
	}
	return out
}

// addSequence wraps from 2³¹−1 to 0.
func addSequence(seq int32, n int64) int32 { return int32((int64(seq) + n) & math.MaxInt32) }
