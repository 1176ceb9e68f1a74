package batch

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"iter"
)

const (
	// HeaderSize is the size of a batch without its records.
	HeaderSize = 61
	// MarkerSize is the size of the batch of one transaction marker, as brokers write it: the least append
	// limit (max.message.bytes) that lets transactions end.
	MarkerSize = 78

	lengthPrefix = 12 // base offset and length, which the length field does not count
	magicV2      = 2
)

// Where the fields of a batch lie.
const (
	atBaseOffset    = 0
	atLength        = 8
	atLeaderEpoch   = 12
	atMagic         = 16
	atCRC           = 17
	atAttributes    = 21
	atLastDelta     = 23
	atBaseTimestamp = 27
	atMaxTimestamp  = 35
	atProducerID    = 43
	atProducerEpoch = 51
	atBaseSequence  = 53
	atCount         = 57
)

// The bits of the attributes.
const (
	codecBits         = 0x07
	logAppendTimeBit  = 0x08
	transactionalBit  = 0x10
	controlBit        = 0x20
	deleteHorizonBit  = 0x40
	notForProducerBit = logAppendTimeBit | transactionalBit | deleteHorizonBit
)

// Fault is what makes bytes not a batch this package works with; errors of this package wrap one of them.
type Fault string

// Error gives the fault in words.
func (f Fault) Error() string { return string(f) }

const (
	// ErrCorrupt means that the bytes are not a batch: a bad length, magic, checksum or record.
	ErrCorrupt Fault = "corrupt record batch"
	// ErrTooLarge means that a batch decompresses to more than the limit.
	ErrTooLarge Fault = "record batch decompresses beyond the limit"
	// ErrRefusable means that a broker would refuse the batch from a client.
	ErrRefusable Fault = "record batch that no broker takes from a client"
)

// LegacyError says that the log holds message format 0 or 1, which brokers wrote before Kafka 0.11.
type LegacyError struct {
	// Magic is 0 or 1.
	Magic int8
	// Offset is the offset field of the message: for a compressed set, of its last message.
	Offset int64
}

// Error names the format and the offset.
func (e *LegacyError) Error() string {
	return fmt.Sprintf("message format %d at offset %d is not supported: only record batches (format 2) are", e.Magic, e.Offset)
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

// Batch is one whole record batch as bytes, aliasing what it was cut from. Its methods read fields of the
// header and are meaningful only for a Batch that came from Next, Batches or this package's encoders.
type Batch []byte

// Next cuts the first batch from the records of a fetch response, having checked its length, magic and
// checksum, and gives what follows it. A partial batch at the end, which brokers send when a response is
// full, gives a nil Batch and no error; so do no bytes at all. A length that reaches beyond the bytes cannot
// be told from a partial batch: a response of nothing but that means that the fetch was too small.
// The error wraps ErrCorrupt, or is a *LegacyError.
func Next(raw []byte) (b Batch, rest []byte, err error) {
	if len(raw) <= atMagic {
		return nil, nil, nil
	}
	base := int64(binary.BigEndian.Uint64(raw[atBaseOffset:]))
	if magic := int8(raw[atMagic]); magic != magicV2 {
		if magic == 0 || magic == 1 {
			return nil, nil, &LegacyError{Magic: magic, Offset: base}
		}
		return nil, nil, corrupt("magic %d at offset %d", magic, base)
	}
	length := int64(int32(binary.BigEndian.Uint32(raw[atLength:])))
	if length < HeaderSize-lengthPrefix {
		return nil, nil, corrupt("length %d at offset %d", length, base)
	}
	size := length + lengthPrefix
	if size > int64(len(raw)) {
		return nil, nil, nil
	}
	b = Batch(raw[:size:size])
	if err := b.check(); err != nil {
		return nil, nil, err
	}
	return b, raw[size:], nil
}

// check validates what a header must satisfy in any log, also a compacted one.
func (b Batch) check() error {
	if want, got := b.CRC(), checksum(b); want != got {
		return corrupt("checksum %08x instead of %08x at offset %d", got, want, b.BaseOffset())
	}
	if b.BaseOffset() < 0 || b.LastOffsetDelta() < 0 || b.LastOffset() < b.BaseOffset() {
		return corrupt("offsets %d+%d", b.BaseOffset(), b.LastOffsetDelta())
	}
	if n := int64(b.Count()); n < 0 || n > int64(b.LastOffsetDelta())+1 {
		return corrupt("%d records in %d offsets at offset %d", n, int64(b.LastOffsetDelta())+1, b.BaseOffset())
	}
	if b.Codec() > Zstd {
		return corrupt("codec %d at offset %d", b.Codec(), b.BaseOffset())
	}
	return nil
}

// Batches walks the records of a fetch response. It ends after the last whole batch, or with the error of
// Next.
func Batches(raw []byte) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		for {
			b, rest, err := Next(raw)
			if err != nil {
				yield(nil, err)
				return
			}
			if b == nil || !yield(b, nil) {
				return
			}
			raw = rest
		}
	}
}

// BaseOffset is the offset of the first record, or of what was the first record before compaction.
func (b Batch) BaseOffset() int64 { return b.int64(atBaseOffset) }

// LastOffset is the last offset the batch occupies, with or without a record there.
func (b Batch) LastOffset() int64 { return b.BaseOffset() + int64(b.LastOffsetDelta()) }

// NextOffset is the offset after the batch.
func (b Batch) NextOffset() int64 { return b.LastOffset() + 1 }

// LeaderEpoch is the epoch of the partition's leader that appended the batch; −1 before it is appended.
func (b Batch) LeaderEpoch() int32 { return b.int32(atLeaderEpoch) }

// CRC is the stored checksum (CRC-32C) of everything from the attributes on.
func (b Batch) CRC() uint32 { return binary.BigEndian.Uint32(b[atCRC:]) }

// Codec is how the records are compressed.
func (b Batch) Codec() Codec { return Codec(b.attributes() & codecBits) }

// LogAppendTime says that the records' time is MaxTimestamp, set by the broker, and not their own.
func (b Batch) LogAppendTime() bool { return b.attributes()&logAppendTimeBit != 0 }

// Transactional says that the records belong to a transaction, which a later marker commits or aborts.
func (b Batch) Transactional() bool { return b.attributes()&transactionalBit != 0 }

// Control says that the batch holds a control record, such as a transaction marker, that no consumer sees.
func (b Batch) Control() bool { return b.attributes()&controlBit != 0 }

// DeleteHorizon says that BaseTimestamp is the time from which the cleaner may drop tombstones (KIP-534).
func (b Batch) DeleteHorizon() bool { return b.attributes()&deleteHorizonBit != 0 }

// LastOffsetDelta is LastOffset less BaseOffset.
func (b Batch) LastOffsetDelta() int32 { return b.int32(atLastDelta) }

// BaseTimestamp is what the records' times are counted from, in milliseconds.
func (b Batch) BaseTimestamp() int64 { return b.int64(atBaseTimestamp) }

// MaxTimestamp is the latest time of a record, in milliseconds, or −1.
func (b Batch) MaxTimestamp() int64 { return b.int64(atMaxTimestamp) }

// Producer is who wrote the batch; its ID is −1 for a producer without idempotence.
func (b Batch) Producer() Producer {
	return Producer{ID: b.int64(atProducerID), Epoch: int16(binary.BigEndian.Uint16(b[atProducerEpoch:])), Sequence: b.int32(atBaseSequence)}
}

// Count is the number of records; a cleaner may leave less than one for each offset, and even none.
func (b Batch) Count() int32 { return b.int32(atCount) }

// Dense says that each offset of the batch has its record, which brokers demand of a batch from a client.
func (b Batch) Dense() bool { return b.Count() > 0 && b.Count()-1 == b.LastOffsetDelta() }

// CheckCRC says whether the stored checksum is the right one.
func (b Batch) CheckCRC() bool { return b.CRC() == checksum(b) }

func (b Batch) attributes() uint16    { return binary.BigEndian.Uint16(b[atAttributes:]) }
func (b Batch) int64(at int) int64    { return int64(binary.BigEndian.Uint64(b[at:])) }
func (b Batch) int32(at int) int32    { return int32(binary.BigEndian.Uint32(b[at:])) }
func (b Batch) put64(at int, v int64) { binary.BigEndian.PutUint64(b[at:], uint64(v)) }
func (b Batch) put32(at int, v int32) { binary.BigEndian.PutUint32(b[at:], uint32(v)) }
func (b Batch) put16(at int, v int16) { binary.BigEndian.PutUint16(b[at:], uint16(v)) }

func checksum(b Batch) uint32 {
	return crc32.Checksum(b[atAttributes:], crc32.MakeTable(crc32.Castagnoli))
}

func (b Batch) seal() { binary.BigEndian.PutUint32(b[atCRC:], checksum(b)) }
