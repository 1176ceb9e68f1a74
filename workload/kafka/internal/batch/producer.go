package batch

import (
	"fmt"
	"math"
)

// Producer identifies a batch to the broker: together with the partition, ID, Epoch and Sequence make an
// append a compare-and-append.
type Producer struct {
	// ID is the producer id, −1 for none.
	ID int64
	// Epoch is the producer epoch; a broker refuses one lower than it has seen (INVALID_PRODUCER_EPOCH).
	Epoch int16
	// Sequence is the number of the first record, counted per partition and epoch, 0 to 2³¹−1.
	Sequence int32
}

// NoProducer identifies a batch without idempotence.
func NoProducer() Producer { return Producer{ID: -1, Epoch: -1, Sequence: -1} }

// AddSequence gives the sequence n records after seq, or before it for a negative n. Sequences wrap from
// 2³¹−1 to 0, as on the broker.
func AddSequence(seq int32, n int64) int32 { return int32((int64(seq) + n) & math.MaxInt32) }

// Rewrite makes a batch read from one log sendable to another, in place: base offset 0, no leader epoch,
// the given producer, and without the marks that only a log carries (append time, transaction, delete
// horizon). The records stay as they are; a batch that had its append time shows the producers' own times
// afterwards. The error wraps ErrRefusable for a control batch and for one that is not Dense; the batch is
// untouched then.
func Rewrite(b Batch, p Producer) error {
	if b.Control() {
		return fmt.Errorf("%w: control batch at offset %d", ErrRefusable, b.BaseOffset())
	}
	if !b.Dense() {
		return fmt.Errorf("%w: %d records in %d offsets at offset %d", ErrRefusable, b.Count(), int64(b.LastOffsetDelta())+1, b.BaseOffset())
	}
	b.put16(atAttributes, int16(b.attributes()&^notForProducerBit))
	b.put64(atBaseOffset, 0)
	b.put32(atLeaderEpoch, -1)
	b.setProducer(p)
	b.seal()
	return nil
}

func (b Batch) setProducer(p Producer) {
	b.put64(atProducerID, p.ID)
	b.put16(atProducerEpoch, p.Epoch)
	b.put32(atBaseSequence, p.Sequence)
}
