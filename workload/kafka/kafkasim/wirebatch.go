package kafkasim

import (
	"encoding/binary"
	"hash/crc32"
	"math"
)

// Where the fields of a record batch (format 2) lie, and its bits.
const (
	batchHeader = 61
	markerSize  = 78

	atLength     = 8
	atMagic      = 16
	atCRC        = 17
	atAttributes = 21
	atLastDelta  = 23
	atMaxTime    = 35
	atProducer   = 43
	atEpoch      = 51
	atSequence   = 53
	atCount      = 57

	bitAppendTime    = 0x08
	bitTransactional = 0x10
	bitControl       = 0x20

	signBit = 7 // of the byte at atProducer
)

// batchView is what the broker looks at in one batch.
type batchView struct {
	base          int64
	lastDelta     int32
	count         int32
	maxTime       int64
	pid           int64
	epoch         int16
	sequence      int32
	transactional bool
	control       bool
	commit        bool
	coordinator   int32
}

// cutBatch takes the first whole batch off raw; ok is false when there is none.
func cutBatch(raw []byte) (b, rest []byte, ok bool) {
	if len(raw) < batchHeader || raw[atMagic] != 2 {
		return nil, nil, false
	}
	size := int64(int32(binary.BigEndian.Uint32(raw[atLength:]))) + 12
	if size < batchHeader || size > int64(len(raw)) {
		return nil, nil, false
	}
	return raw[:size:size], raw[size:], true
}

// view reads a batch of the log or of a client; stored producer ids are shown as clients know them.
func view(b []byte) batchView {
	attributes := binary.BigEndian.Uint16(b[atAttributes:])
	v := batchView{
		base: int64(binary.BigEndian.Uint64(b)), lastDelta: int32(binary.BigEndian.Uint32(b[atLastDelta:])),
		count: int32(binary.BigEndian.Uint32(b[atCount:])), maxTime: int64(binary.BigEndian.Uint64(b[atMaxTime:])),
		pid:   revealed(int64(binary.BigEndian.Uint64(b[atProducer:]))),
		epoch: int16(binary.BigEndian.Uint16(b[atEpoch:])), sequence: int32(binary.BigEndian.Uint32(b[atSequence:])),
		transactional: attributes&bitTransactional != 0, control: attributes&bitControl != 0,
	}
	if v.control {
		v.commit, v.coordinator = markerOf(b)
	}
	return v
}

// markerOf reads the one record of a marker: length, attributes, two deltas and the length of the key take
// a byte each, the key four bytes, the length of the value one.
func markerOf(b []byte) (commit bool, coordinator int32) {
	const atType, atCoordinator = batchHeader + 5 + 2, batchHeader + 5 + 4 + 1 + 2
	if len(b) < atCoordinator+4 {
		return false, 0
	}
	return binary.BigEndian.Uint16(b[atType:]) == 1, int32(binary.BigEndian.Uint32(b[atCoordinator:]))
}

// disguise makes a batch one that kfake takes for one without a producer, so that it leaves the judgement
// about sequences and epochs to us: the sign bit of the producer id is set in storage, and reveal clears it
// in every fetch.
func disguise(b []byte) {
	b[atProducer] |= 1 << signBit
	seal(b)
}

// reveal undoes disguise in the records of a fetch response, in place. The last batch may be cut.
func reveal(raw []byte) {
	for {
		b, rest, ok := cutBatch(raw)
		if !ok {
			revealCut(raw)
			return
		}
		if pid := int64(binary.BigEndian.Uint64(b[atProducer:])); pid != revealed(pid) {
			b[atProducer] &^= 1 << signBit
			seal(b)
		}
		raw = rest
	}
}

// revealCut clears the bit in a cut batch, whose checksum nobody can check.
func revealCut(raw []byte) {
	if len(raw) < atProducer+8 {
		return
	}
	if pid := int64(binary.BigEndian.Uint64(raw[atProducer:])); pid != revealed(pid) {
		raw[atProducer] &^= 1 << signBit
	}
}

func revealed(stored int64) int64 {
	if stored == -1 {
		return -1
	}
	return stored & math.MaxInt64
}

func seal(b []byte) { binary.BigEndian.PutUint32(b[atCRC:], crcOf(b)) }

func intact(b []byte) bool { return binary.BigEndian.Uint32(b[atCRC:]) == crcOf(b) }

func crcOf(b []byte) uint32 {
	return crc32.Checksum(b[atAttributes:], crc32.MakeTable(crc32.Castagnoli))
}
