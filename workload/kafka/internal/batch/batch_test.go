package batch

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

const testLimit = 64 << 20

func coder(t testing.TB) *Coder {
	t.Helper()
	c, err := NewCoder(testLimit)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func encode(t testing.TB, codec Codec, p Producer, recs ...Record) Batch {
	t.Helper()
	b, err := coder(t).Encode(codec, p, recs)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func two() []Record {
	return []Record{
		{Offset: 0, Timestamp: 1000, Key: []byte("k"), Value: []byte("v"), Headers: []Header{{Key: "h", Value: []byte("x")}, {Key: "n"}}},
		{Offset: 1, Timestamp: 1005},
	}
}

func TestGoldenBytes(t *testing.T) {
	b := encode(t, None, Producer{ID: 7, Epoch: 2, Sequence: 9}, two()...)
	const want = "0000000000000000" + "00000048" + "ffffffff" + "02" + "********" + "0000" + "00000001" +
		"00000000000003e8" + "00000000000003ed" + "0000000000000007" + "0002" + "00000009" + "00000002" +
		"1e" + "00" + "00" + "00" + "026b" + "0276" + "04" + "0268" + "0278" + "026e" + "01" +
		"0c" + "00" + "0a" + "02" + "01" + "01" + "00"
	got := hex.EncodeToString(b)
	if masked := got[:34] + "********" + got[42:]; masked != want {
		t.Errorf("got\n%s\nwant\n%s", masked, want)
	}
	if !b.CheckCRC() || !b.Dense() || b.Count() != 2 || b.Producer() != (Producer{7, 2, 9}) || b.LeaderEpoch() != -1 {
		t.Errorf("header %+v", b.Producer())
	}
}

func TestMarkerIs78Bytes(t *testing.T) {
	b := Marker(Producer{ID: 1 << 62, Epoch: 3}, true, 5, 1000)
	if len(b) != MarkerSize {
		t.Fatalf("a marker has %d bytes", len(b))
	}
	got, err := coder(t).ReadControl(b)
	if err != nil || !got.Marker || !got.Commit || got.CoordinatorEpoch != 5 {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = coder(t).ReadControl(Marker(Producer{ID: 1}, false, 0, 0))
	if err != nil || !got.Marker || got.Commit {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := coder(t).ReadControl(encode(t, None, NoProducer(), two()...)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a data batch read as control: %v", err)
	}
	if err := Rewrite(b, NoProducer()); !errors.Is(err, ErrRefusable) {
		t.Errorf("rewriting a marker: %v", err)
	}
}

func TestNextCutsThePartialTail(t *testing.T) {
	a, b := encode(t, Zstd, NoProducer(), two()...), encode(t, LZ4, NoProducer(), two()...)
	raw := slices.Concat(a, b)
	for cut := range len(b) {
		var seen int
		for got, err := range Batches(raw[:len(a)+cut]) {
			if err != nil || !bytes.Equal(got, a) {
				t.Fatalf("cut %d: %v", cut, err)
			}
			seen++
		}
		if seen != 1 {
			t.Fatalf("cut %d: %d batches", cut, seen)
		}
	}
	var seen int
	for _, err := range Batches(raw) {
		if err != nil {
			t.Fatal(err)
		}
		seen++
	}
	if seen != 2 {
		t.Errorf("%d batches", seen)
	}
}

func TestNextRefuses(t *testing.T) {
	good := encode(t, None, NoProducer(), two()...)
	change := func(f func(b Batch)) []byte {
		b := slices.Clone(good)
		f(b)
		return b
	}
	resealed := func(f func(b Batch)) []byte {
		return change(func(b Batch) { f(b); b.seal() })
	}
	for name, raw := range map[string][]byte{
		"flipped byte":     change(func(b Batch) { b[HeaderSize+5] ^= 1 }),
		"flipped crc":      change(func(b Batch) { b[atCRC] ^= 1 }),
		"magic 3":          change(func(b Batch) { b[atMagic] = 3 }),
		"short length":     change(func(b Batch) { b.put32(atLength, 48) }),
		"negative length":  change(func(b Batch) { b.put32(atLength, -1) }),
		"negative offset":  resealed(func(b Batch) { b.put64(atBaseOffset, -1) }),
		"offset overflow":  resealed(func(b Batch) { b.put64(atBaseOffset, math.MaxInt64) }),
		"negative delta":   resealed(func(b Batch) { b.put32(atLastDelta, -1) }),
		"too many records": resealed(func(b Batch) { b.put32(atCount, 3) }),
		"codec 5":          resealed(func(b Batch) { b.put16(atAttributes, 5) }),
	} {
		if _, _, err := Next(raw); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var legacy *LegacyError
	for magic := range byte(2) {
		_, _, err := Next(change(func(b Batch) { b[atMagic] = magic; b.put64(atBaseOffset, 41) }))
		if !errors.As(err, &legacy) || legacy.Magic != int8(magic) || legacy.Offset != 41 {
			t.Errorf("magic %d: %v", magic, err)
		}
	}
}

func TestRewrite(t *testing.T) {
	b := encode(t, Snappy, Producer{ID: 5, Epoch: 1, Sequence: 4}, two()...)
	records := slices.Clone(b[HeaderSize:])
	b.put64(atBaseOffset, 77)
	b.put32(atLeaderEpoch, 12)
	b.put16(atAttributes, int16(b.attributes()|logAppendTimeBit|transactionalBit|deleteHorizonBit))
	b.seal()
	want := Producer{ID: 9, Epoch: 8, Sequence: math.MaxInt32}
	if err := Rewrite(b, want); err != nil {
		t.Fatal(err)
	}
	if b.BaseOffset() != 0 || b.LeaderEpoch() != -1 || b.Producer() != want || b.Codec() != Snappy {
		t.Errorf("%d %d %+v %s", b.BaseOffset(), b.LeaderEpoch(), b.Producer(), b.Codec())
	}
	if b.LogAppendTime() || b.Transactional() || b.DeleteHorizon() || !b.CheckCRC() || !bytes.Equal(b[HeaderSize:], records) {
		t.Error("the marks of the log or the records are wrong")
	}
	holes := encode(t, None, NoProducer(), Record{Offset: 3}, Record{Offset: 9})
	before := slices.Clone(holes)
	if err := Rewrite(holes, want); !errors.Is(err, ErrRefusable) || !bytes.Equal(before, holes) {
		t.Errorf("holes: %v", err)
	}
}

func TestAppendTimeIsTheRecordsTime(t *testing.T) {
	b := encode(t, None, NoProducer(), two()...)
	b.put64(atMaxTimestamp, 5555)
	b.put16(atAttributes, logAppendTimeBit)
	b.seal()
	recs, err := coder(t).Decode(b)
	if err != nil || recs[0].Timestamp != 5555 || recs[1].Timestamp != 5555 {
		t.Errorf("%+v, %v", recs, err)
	}
}

func TestAddSequence(t *testing.T) {
	for _, c := range []struct {
		seq  int32
		n    int64
		want int32
	}{
		{0, 5, 5}, {math.MaxInt32, 1, 0}, {math.MaxInt32 - 2, 5, 2}, {2, -5, math.MaxInt32 - 2}, {7, 1 << 31, 7}, {0, -1, math.MaxInt32},
	} {
		if got := AddSequence(c.seq, c.n); got != c.want {
			t.Errorf("%d%+d = %d, want %d", c.seq, c.n, got, c.want)
		}
	}
}

func TestFillerFitsTheDefaultLimit(t *testing.T) {
	c := coder(t)
	b, err := c.Filler(MaxFiller, Producer{ID: 1}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 1_048_588 || !b.Dense() || b.Codec() != Zstd {
		t.Errorf("%d bytes, dense %v, %s", len(b), b.Dense(), b.Codec())
	}
	t.Logf("%d fillers are %d bytes", b.Count(), len(b))
	var n int64
	for r, err := range c.Records(b) {
		if err != nil || r.Offset != n || r.Key == nil || len(r.Key) != 0 || r.Value != nil {
			t.Fatalf("%+v, %v", r, err)
		}
		n++
	}
	for _, n := range []int32{0, -1, MaxFiller + 1} {
		if _, err := c.Filler(n, NoProducer(), 0); !errors.Is(err, ErrRefusable) {
			t.Errorf("%d fillers: %v", n, err)
		}
	}
}

func TestProbeIsBadOnlyInItsChecksum(t *testing.T) {
	for _, size := range []int{-1, 0, 78, 79, 100, 1 << 16} {
		b := Probe(size, 1000)
		if size < 0 {
			b = SmallProbe(1000)
		}
		if (len(b) <= MarkerSize) != (size < 0) || len(b) < size || b.CheckCRC() {
			t.Errorf("size %d: %d bytes, checksum right: %v", size, len(b), b.CheckCRC())
		}
		if _, _, err := Next(b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("size %d: %v", size, err)
		}
		b.seal()
		if got, _, err := Next(b); err != nil || !got.Dense() {
			t.Errorf("size %d, resealed: %v", size, err)
		}
		if _, err := coder(t).Decode(b); err != nil {
			t.Errorf("size %d, resealed: %v", size, err)
		}
	}
}

func TestLimitBoundsEveryCodec(t *testing.T) {
	big := Record{Value: make([]byte, 8<<20)}
	small, err := NewCoder(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	for codec := None; codec <= Zstd; codec++ {
		b := encode(t, codec, NoProducer(), big)
		if _, err := small.Decode(b); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", codec, err)
		}
	}
	if _, err := NewCoder(0); err == nil {
		t.Error("a limit of 0 is taken")
	}
}

func TestEncodeRefuses(t *testing.T) {
	c := coder(t)
	for name, recs := range map[string][]Record{
		"none": nil, "same offset": {{Offset: 1}, {Offset: 1}}, "backwards": {{Offset: 2}, {Offset: 1}},
		"too far": {{Offset: 0}, {Offset: math.MaxInt32}},
	} {
		if _, err := c.Encode(None, NoProducer(), recs); !errors.Is(err, ErrRefusable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Encode(Codec(9), NoProducer(), two()); err == nil {
		t.Error("codec 9 is taken")
	}
}

func TestRecordsRefuseWhatTheHeaderDenies(t *testing.T) {
	c := coder(t)
	for name, f := range map[string]func(b Batch) Batch{
		"fewer records": func(b Batch) Batch { b.put32(atCount, 1); return b },
		"offset beyond": func(b Batch) Batch { b.put32(atCount, 1); b.put32(atLastDelta, 0); b[HeaderSize+3] = 2; return b },
		"trailing":      func(b Batch) Batch { b = append(b, 0); b.put32(atLength, int32(len(b)-lengthPrefix)); return b },
		"record length": func(b Batch) Batch { b[HeaderSize] = 0x20; return b },
		"null record":   func(b Batch) Batch { b[HeaderSize] = 1; return b },
		"key length":    func(b Batch) Batch { b[HeaderSize+4] = 0x7e; return b },
		"headers count": func(b Batch) Batch { b[HeaderSize+8] = 0x7e; return b },
		"header key":    func(b Batch) Batch { b[HeaderSize+9] = 1; return b },
	} {
		b := f(encode(t, None, NoProducer(), two()...))
		b.seal()
		if _, _, err := Next(b); err != nil {
			t.Errorf("%s: the header alone is fine, yet %v", name, err)
		}
		if _, err := c.Decode(b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestKafkaClientReadsOurBatches holds our encoder against franz-go's decoder, and franz-go's field order
// against our header.
func TestKafkaClientReadsOurBatches(t *testing.T) {
	for codec := None; codec <= Zstd; codec++ {
		b := encode(t, codec, Producer{ID: 3, Epoch: 4, Sequence: 5}, two()...)
		var theirs kmsg.RecordBatch
		if err := theirs.ReadFrom(b); err != nil {
			t.Fatal(err)
		}
		if theirs.ProducerID != 3 || theirs.ProducerEpoch != 4 || theirs.FirstSequence != 5 || theirs.NumRecords != 2 || uint32(theirs.CRC) != b.CRC() {
			t.Errorf("%s: %+v", codec, theirs)
		}
		part := kmsg.NewFetchResponseTopicPartition()
		part.RecordBatches = b
		got, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{}, &part, kgo.DefaultDecompressor(), nil)
		if got.Err != nil || len(got.Records) != 2 {
			t.Fatalf("%s: %v, %d records", codec, got.Err, len(got.Records))
		}
		r := got.Records[0]
		if string(r.Key) != "k" || string(r.Value) != "v" || len(r.Headers) != 2 || r.Headers[1].Value != nil || r.Timestamp.UnixMilli() != 1000 {
			t.Errorf("%s: %+v", codec, r)
		}
		if r := got.Records[1]; r.Key != nil || r.Value != nil || r.Offset != 1 {
			t.Errorf("%s: %+v", codec, r)
		}
	}
}

func genRecords(t *rapid.T) []Record {
	nullable := rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOfN(rapid.Byte(), 0, 40))
	offset := rapid.Int64Range(0, 1<<40).Draw(t, "base")
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Record {
		offset += rapid.Int64Range(1, 3).Draw(t, "step")
		var headers []Header
		for range rapid.IntRange(0, 3).Draw(t, "headers") {
			headers = append(headers, Header{Key: rapid.String().Draw(t, "hkey"), Value: nullable.Draw(t, "hvalue")})
		}
		return Record{
			Offset: offset, Timestamp: rapid.Int64Range(-1, 1<<45).Draw(t, "time"),
			Key: nullable.Draw(t, "key"), Value: nullable.Draw(t, "value"), Headers: headers,
		}
	}), 1, 30).Draw(t, "records")
}

func TestRoundTrip(t *testing.T) {
	c := coder(t)
	rapid.Check(t, func(t *rapid.T) {
		recs := genRecords(t)
		codec := Codec(rapid.IntRange(0, int(Zstd)).Draw(t, "codec"))
		b, err := c.Encode(codec, Producer{ID: 1}, recs)
		if err != nil {
			t.Fatal(err)
		}
		b.put64(atBaseOffset, recs[0].Offset)
		next, rest, err := Next(b)
		if err != nil || len(rest) != 0 || next.NextOffset() != recs[len(recs)-1].Offset+1 {
			t.Fatalf("%v, %d bytes left", err, len(rest))
		}
		got, err := c.Decode(next)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(recs, got, equalRecords) {
			t.Fatalf("%s\n%+v\n%+v", codec, recs, got)
		}
	})
}

func equalRecords(a, b Record) bool {
	return a.Offset == b.Offset && a.Timestamp == b.Timestamp && same(a.Key, b.Key) && same(a.Value, b.Value) &&
		slices.EqualFunc(a.Headers, b.Headers, func(x, y Header) bool { return x.Key == y.Key && same(x.Value, y.Value) })
}

func same(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

// TestABodyIsWhatDecodeGives opens what Decode reads, refuses what it refuses, and builds the same batches of it, one after
// another.
func TestABodyIsWhatDecodeGives(t *testing.T) {
	c := coder(t)
	build := c.Builder(10)
	for codec := None; codec <= Zstd; codec++ {
		b, err := c.Encode(codec, Producer{ID: 7, Epoch: 1}, two())
		if err != nil {
			t.Fatal(err)
		}
		body, err := c.Open(b)
		if err != nil || body.Len() == 0 || body.Size() < body.Len() {
			t.Fatalf("%s: %d bytes in %d: %v", codec, body.Len(), body.Size(), err)
		}
		want, _ := c.Decode(b)
		if got := slices.Collect(body.Records()); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, not %v", codec, got, want)
		}
		for r := range body.Records() {
			if err := build.Add(r); err != nil {
				t.Fatal(err)
			}
		}
		if build.Count() != 2 || build.First() != want[0].Offset || build.Last() != want[1].Offset {
			t.Errorf("%d records from %d to %d", build.Count(), build.First(), build.Last())
		}
		again, err := build.Batch(codec, Producer{ID: 7, Epoch: 1})
		if err != nil || !bytes.Equal(again, b) || cap(again) > len(again)+64 {
			t.Errorf("%s: %x, not %x: %v", codec, again, b, err)
		}
		b[atCount+3]++
		b.seal()
		if _, err := c.Open(b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s with a record that is missing: %v", codec, err)
		}
	}
	if _, err := build.Batch(None, NoProducer()); !errors.Is(err, ErrRefusable) {
		t.Errorf("a batch of nothing: %v", err)
	}
}
