package batch

import (
	"encoding/binary"
	"iter"
	"math"
)

// Header is one header of a record. A nil Value is null, an empty one is empty.
type Header struct {
	Key   string
	Value []byte
}

// Record is one record. A nil Key or Value is null, an empty one is empty.
type Record struct {
	// Offset is the offset in the log; when encoding, only the distances within a batch count.
	Offset int64
	// Timestamp is in milliseconds: the record's own, or the broker's where the log keeps append time.
	Timestamp int64
	Key       []byte
	Value     []byte
	Headers   []Header
}

// Records walks the records of a batch in order. Keys and values alias the batch, or a buffer of its own
// where it was compressed. Offsets must grow and stay within the batch, and the batch must hold exactly the
// records it counts: anything else ends the walk with an error wrapping ErrCorrupt, and a body above the
// limit with one wrapping ErrTooLarge. Control batches give their control records.
func (c *Coder) Records(b Batch) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		body, err := c.body(b)
		if err != nil {
			yield(Record{}, err)
			return
		}
		walk(b, body, yield)
	}
}

// Decode gives all records of a batch; see Records.
func (c *Coder) Decode(b Batch) ([]Record, error) {
	var out []Record
	for r, err := range c.Records(b) {
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// Body is the decompressed records of a batch, looked at once from first to last. Walking it takes no more memory.
type Body struct {
	b    Batch
	data []byte
}

// Open decompresses a batch and looks at all its records; the errors are those of Records.
func (c *Coder) Open(b Batch) (Body, error) {
	data, err := c.body(b)
	if err != nil {
		return Body{}, err
	}
	for _, err := range (Body{b, data}).walk {
		if err != nil {
			return Body{}, err
		}
	}
	return Body{b, data}, nil
}

// Records walks the records in order, as Coder.Records does.
func (x Body) Records() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		for r, err := range x.walk {
			if err != nil || !yield(r) {
				return
			}
		}
	}
}

// Len is the size of the records in bytes, and Size the memory that they take, also where it is the batch's own.
func (x Body) Len() int { return len(x.data) }

// Size is the memory of the records in bytes; see Len.
func (x Body) Size() int { return cap(x.data) }

func (x Body) walk(yield func(Record, error) bool) { walk(x.b, x.data, yield) }

func walk(b Batch, body []byte, yield func(Record, error) bool) {
	rd := reader{left: body}
	last := b.BaseOffset() - 1
	for i := range b.Count() {
		r := rd.record(b)
		if rd.bad == "" && (r.Offset <= last || r.Offset > b.LastOffset()) {
			rd.bad = "its offset is out of order"
		}
		if rd.bad != "" {
			yield(Record{}, corrupt("record %d of the batch at offset %d: %s", i, b.BaseOffset(), rd.bad))
			return
		}
		last = r.Offset
		if !yield(r, nil) {
			return
		}
	}
	if len(rd.left) > 0 {
		yield(Record{}, corrupt("%d bytes after the last record of the batch at offset %d", len(rd.left), b.BaseOffset()))
	}
}

// reader takes values off the front of left; after the first failure bad says what is wrong.
type reader struct {
	left []byte
	bad  string
}

func (r *reader) fail(why string) {
	if r.bad == "" {
		r.bad = why
	}
	r.left = nil
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.left)
	if n <= 0 {
		r.fail("a number is cut or too long")
		return 0
	}
	r.left = r.left[n:]
	return v
}

func (r *reader) length() int {
	v := r.varint()
	if v < -1 || v > math.MaxInt32 || v > int64(len(r.left)) {
		r.fail("a length reaches beyond the record")
		return -1
	}
	return int(v)
}

// bytes gives nil for null.
func (r *reader) bytes() []byte {
	n := r.length()
	if n < 0 {
		return nil
	}
	out := r.left[:n:n]
	r.left = r.left[n:]
	return out
}

func (r *reader) record(b Batch) Record {
	size := r.length()
	if size < 0 {
		r.fail("it has no length")
		return Record{}
	}
	in := reader{left: r.left[:size]}
	r.left = r.left[size:]
	out := in.fields(b)
	if in.bad == "" && len(in.left) > 0 {
		in.fail("its length and its fields differ")
	}
	if in.bad != "" {
		r.fail(in.bad)
	}
	return out
}

func (r *reader) fields(b Batch) Record {
	if len(r.left) == 0 {
		r.fail("it is empty")
		return Record{}
	}
	r.left = r.left[1:] // the record's own attributes, unused in format 2
	out := Record{Timestamp: b.BaseTimestamp() + r.varint()}
	if b.LogAppendTime() {
		out.Timestamp = b.MaxTimestamp()
	}
	delta := r.varint()
	if delta < 0 || delta > math.MaxInt32 {
		r.fail("its offset is out of range")
	}
	out.Offset = b.BaseOffset() + delta
	out.Key = r.bytes()
	out.Value = r.bytes()
	out.Headers = r.headers()
	return out
}

func (r *reader) headers() []Header {
	n := r.varint()
	if n < 0 || n > int64(len(r.left)) { // a header takes two bytes at least, so this also bounds the memory
		r.fail("its count of headers is impossible")
		return nil
	}
	if n == 0 {
		return nil
	}
	out := make([]Header, 0, min(n, 64))
	for range n {
		key := r.bytes()
		if key == nil {
			r.fail("a header has no key")
		}
		h := Header{Key: string(key), Value: r.bytes()}
		if r.bad != "" {
			return nil
		}
		out = append(out, h)
	}
	return out
}
