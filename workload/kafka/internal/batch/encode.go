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
	b := c.Builder(0)
	for _, r := range recs {
		if err := b.Add(r); err != nil {
			return nil, err
		}
	}
	return b.Batch(codec, p)
}

// Builder makes batches of records that come one by one. It keeps its memory from one batch to the next.
type Builder struct {
	c            *Coder
	body         []byte
	first        Record
	last         int64
	maxTimestamp int64
	count        int32
}

// Builder gives one with room for size bytes of records.
func (c *Coder) Builder(size int) *Builder { return &Builder{c: c, body: make([]byte, 0, size)} }

// Count is how many records were added since the last batch.
func (b *Builder) Count() int32 { return b.count }

// First and Last are the offsets of the first and the last record that were added; they mean nothing where Count is 0.
func (b *Builder) First() int64 { return b.first.Offset }

// Last is the offset of the last record; see First.
func (b *Builder) Last() int64 { return b.last }

// Add takes one more record; its bytes are copied. The error wraps ErrRefusable when its offset cannot follow.
func (b *Builder) Add(r Record) error {
	if b.count == 0 {
		b.first, b.last, b.maxTimestamp = Record{Offset: r.Offset, Timestamp: r.Timestamp}, r.Offset-1, r.Timestamp
	}
	if r.Offset <= b.last || r.Offset-b.first.Offset > math.MaxInt32-1 {
		return fmt.Errorf("%w: offset %d after %d in a batch from %d", ErrRefusable, r.Offset, b.last, b.first.Offset)
	}
	b.last, b.count = r.Offset, b.count+1
	b.maxTimestamp = max(b.maxTimestamp, r.Timestamp)
	at, after := r.Timestamp-b.first.Timestamp, r.Offset-b.first.Offset
	b.body = binary.AppendVarint(b.body, int64(recordSize(r, at, after)))
	b.body = appendRecord(b.body, r, at, after)
	return nil
}

// Batch makes a batch as Encode does of what was added, in memory of its own, and begins anew.
func (b *Builder) Batch(codec Codec, p Producer) (Batch, error) {
	if b.count == 0 {
		return nil, fmt.Errorf("%w: no records", ErrRefusable)
	}
	out, err := b.c.assemble(codec, b.body, shape{
		producer: p, baseTimestamp: b.first.Timestamp, maxTimestamp: b.maxTimestamp,
		lastDelta: int32(b.last - b.first.Offset), count: b.count,
	})
	b.body, b.count = b.body[:0], 0
	return out, err
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
	out, err := c.compress(HeaderSize, codec, body)
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

// recordSize is the length of what appendRecord appends.
func recordSize(r Record, timeDelta, offsetDelta int64) int {
	n := 1 + varintSize(timeDelta) + varintSize(offsetDelta) + bytesSize(r.Key) + bytesSize(r.Value) + varintSize(int64(len(r.Headers)))
	for _, h := range r.Headers {
		n += varintSize(int64(len(h.Key))) + len(h.Key) + bytesSize(h.Value)
	}
	return n
}

func bytesSize(v []byte) int {
	if v == nil {
		return varintSize(-1)
	}
	return varintSize(int64(len(v))) + len(v)
}

func varintSize(v int64) int {
	var buf [binary.MaxVarintLen64]byte
	return binary.PutVarint(buf[:], v)
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
