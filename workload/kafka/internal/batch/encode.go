package batch

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Encode makes one batch of recs, compressed as a whole, ready to be sent: base offset 0 and no leader
// epoch. Each record's place is its offset less the first one's. Offsets must grow, and where they leave
// holes the batch is not Dense and brokers refuse it. The error wraps ErrRefusable when recs cannot be one
// batch.
func (c *Coder) Encode(codec Codec, p Producer, recs []Record) (Batch, error) {
	if len(recs) == 0 {
		return nil, fmt.Errorf("%w: no records", ErrRefusable)
	}
	first := recs[0]
	maxTimestamp := first.Timestamp
	var body, scratch []byte
	last := first.Offset - 1
	for _, r := range recs {
		if r.Offset <= last || r.Offset-first.Offset > math.MaxInt32-1 {
			return nil, fmt.Errorf("%w: offset %d after %d in a batch from %d", ErrRefusable, r.Offset, last, first.Offset)
		}
		last = r.Offset
		maxTimestamp = max(maxTimestamp, r.Timestamp)
		scratch = appendRecord(scratch[:0], r, r.Timestamp-first.Timestamp, r.Offset-first.Offset)
		body = binary.AppendVarint(body, int64(len(scratch)))
		body = append(body, scratch...)
	}
	return c.assemble(codec, body, shape{
		producer: p, baseTimestamp: first.Timestamp, maxTimestamp: maxTimestamp,
		lastDelta: int32(last - first.Offset), count: int32(len(recs)),
	})
}

// shape is what a header says beside its body.
type shape struct {
	producer      Producer
	attributes    uint16
	baseTimestamp int64
	maxTimestamp  int64
	lastDelta     int32
	count         int32
}

func (c *Coder) assemble(codec Codec, body []byte, s shape) (Batch, error) {
	out, err := c.compress(make([]byte, HeaderSize, HeaderSize+len(body)/2), codec, body)
	if err != nil {
		return nil, err
	}
	if len(out) > math.MaxInt32 {
		return nil, fmt.Errorf("%w: %d bytes", ErrRefusable, len(out))
	}
	b := Batch(out)
	b.fill(s, codec)
	return b, nil
}

// fill writes the header and the checksum.
func (b Batch) fill(s shape, codec Codec) {
	b.put64(atBaseOffset, 0)
	b.put32(atLength, int32(len(b)-lengthPrefix))
	b.put32(atLeaderEpoch, -1)
	b[atMagic] = magicV2
	b.put16(atAttributes, int16(s.attributes|uint16(codec)))
	b.put32(atLastDelta, s.lastDelta)
	b.put64(atBaseTimestamp, s.baseTimestamp)
	b.put64(atMaxTimestamp, s.maxTimestamp)
	b.setProducer(s.producer)
	b.put32(atCount, s.count)
	b.seal()
}

func appendRecord(dst []byte, r Record, timeDelta, offsetDelta int64) []byte {
	dst = append(dst, 0) // the record's own attributes, unused in format 2
	dst = binary.AppendVarint(dst, timeDelta)
	dst = binary.AppendVarint(dst, offsetDelta)
	dst = appendBytes(dst, r.Key)
	dst = appendBytes(dst, r.Value)
	dst = binary.AppendVarint(dst, int64(len(r.Headers)))
	for _, h := range r.Headers {
		dst = binary.AppendVarint(dst, int64(len(h.Key)))
		dst = append(dst, h.Key...)
		dst = appendBytes(dst, h.Value)
	}
	return dst
}

func appendBytes(dst, v []byte) []byte {
	if v == nil {
		return binary.AppendVarint(dst, -1)
	}
	dst = binary.AppendVarint(dst, int64(len(v)))
	return append(dst, v...)
}

// MaxFiller is the most records one Filler may hold.
const MaxFiller = 1_000_000

// Filler makes a batch of n records that stand for nothing, to be deleted at once: an empty key, which
// compacted topics demand, a null value and the given time in milliseconds. A million of them, compressed
// with zstd, are about 820 KB, within the default append limit of brokers. The error wraps ErrRefusable for n
// outside 1 to MaxFiller.
func (c *Coder) Filler(n int32, p Producer, timestamp int64) (Batch, error) {
	if n < 1 || n > MaxFiller {
		return nil, fmt.Errorf("%w: %d filler records", ErrRefusable, n)
	}
	filler := Record{Key: []byte{}}
	body := make([]byte, 0, 10*int64(n))
	var scratch []byte
	for i := range int64(n) {
		scratch = appendRecord(scratch[:0], filler, 0, i)
		body = binary.AppendVarint(body, int64(len(scratch)))
		body = append(body, scratch...)
	}
	return c.assemble(Zstd, body, shape{
		producer: p, baseTimestamp: timestamp, maxTimestamp: timestamp, lastDelta: n - 1, count: n,
	})
}

// Probe makes a batch of at least size bytes, and of more than MarkerSize in any case, that no broker can
// ever append, because its checksum is wrong. What a broker answers tells how it treats the sender's writes,
// since rights and size are checked before the checksum: CORRUPT_MESSAGE when they would be taken,
// MESSAGE_TOO_LARGE behind an append limit, TOPIC_AUTHORIZATION_FAILED without the right to write. Any
// other answer proves nothing.
func Probe(size int, timestamp int64) Batch {
	return probe(max(size, MarkerSize+1)-HeaderSize, timestamp)
}

// SmallProbe makes such a batch that is smaller than a marker: an append limit that lets markers through lets it through
// as well, and only one of nothing refuses it.
func SmallProbe(timestamp int64) Batch { return probe(0, timestamp) }

func probe(value int, timestamp int64) Batch {
	record := appendRecord(nil, Record{Value: make([]byte, value)}, 0, 0)
	body := binary.AppendVarint(make([]byte, HeaderSize), int64(len(record)))
	b := Batch(append(body, record...))
	b.fill(shape{producer: NoProducer(), baseTimestamp: timestamp, maxTimestamp: timestamp, count: 1}, None)
	b[atCRC] ^= 0xff
	return b
}
