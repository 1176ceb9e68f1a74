package batch

import (
	"errors"
	"slices"
	"testing"
)

func seeds(f *testing.F) {
	f.Helper()
	f.Add([]byte(Marker(Producer{ID: 1}, true, 2, 3)))
	f.Add([]byte(Probe(100, 1)))
	for codec := None; codec <= Zstd; codec++ {
		b := encode(f, codec, Producer{ID: 3}, two()...)
		f.Add([]byte(b))
		f.Add([]byte(slices.Concat(b, b[:30])))
	}
}

// FuzzNext feeds whole responses: nothing may panic, and errors are of the declared kinds.
func FuzzNext(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var total int
		for b, err := range Batches(raw) {
			var legacy *LegacyError
			if err != nil && !errors.Is(err, ErrCorrupt) && !errors.As(err, &legacy) {
				t.Fatal(err)
			}
			if err == nil && (len(b) < HeaderSize || !b.CheckCRC() || b.NextOffset() <= b.BaseOffset()) {
				t.Fatalf("accepted %x", []byte(b))
			}
			total += len(b)
		}
		if total > len(raw) {
			t.Fatal("more bytes out than in")
		}
	})
}

// FuzzRecords repairs length and checksum first, so that the bytes inside are what is tried.
func FuzzRecords(f *testing.F) {
	seeds(f)
	c, err := NewCoder(1 << 20)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) < HeaderSize {
			return
		}
		b := Batch(slices.Clone(raw))
		b.put32(atLength, int32(len(b)-lengthPrefix))
		b[atMagic] = magicV2
		b.seal()
		b, _, err := Next(b)
		if err != nil {
			return
		}
		recs, err := c.Decode(b)
		if err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrTooLarge) {
			t.Fatal(err)
		}
		if err == nil && len(recs) != int(b.Count()) {
			t.Fatalf("%d of %d records", len(recs), b.Count())
		}
		if _, err := c.ReadControl(b); err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrTooLarge) {
			t.Fatal(err)
		}
		if err := Rewrite(b, Producer{ID: 1}); err == nil {
			if next, _, err := Next(b); err != nil || next.BaseOffset() != 0 {
				t.Fatalf("rewritten: %v", err)
			}
		}
	})
}
