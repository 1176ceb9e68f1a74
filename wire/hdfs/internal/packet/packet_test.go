package packet

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/crc"
)

func filled(n int) (*Frame, []byte) {
	data := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = r.Read(data)
	f := NewFrame(1<<16, 512)
	f.Reset(512)
	f.Fill(data, len(data))
	return f, data
}

func TestPacketsComeBack(t *testing.T) {
	j := crc.NewJoiner(512)
	for _, n := range []int{0, 1, 511, 512, 513, 65536} {
		f, data := filled(n)
		sum := f.Sum(j)
		h := Header{Offset: 1 << 40, Seq: 77, Last: n == 0, Sync: n == 1}
		sent := f.Seal(h)
		got := NewFrame(0, 512)
		back, err := got.Read(bytes.NewReader(sent))
		if err != nil {
			t.Fatal(err)
		}
		h.Length = n
		if back != h || !bytes.Equal(got.Data(), data) {
			t.Errorf("%d bytes: header %+v, want %+v", n, back, h)
		}
		whole, err := got.Check(CRC32C, j, 512)
		if err != nil || whole != sum || whole != crc.Sum(data) {
			t.Errorf("%d bytes: sum %08x, %v, want %08x", n, whole, err, crc.Sum(data))
		}
		// What was read goes on under another header, checksums and all.
		if again := got.Seal(h); !bytes.Equal(again, sent) {
			t.Errorf("%d bytes: sealed again it is another packet", n)
		}
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	j := crc.NewJoiner(512)
	f, _ := filled(1000)
	f.Sum(j)
	sent := f.Seal(Header{})
	for i := range sent {
		bad := bytes.Clone(sent)
		bad[i] ^= 1 << (i % 8)
		got := NewFrame(0, 512)
		h, err := got.Read(bytes.NewReader(bad))
		if err == nil {
			_, err = got.Check(CRC32C, j, 512)
		}
		// Fields of the header have no checksum: they are checked against what is expected of the packet, and unknown ones do no harm.
		if err == nil && h == (Header{Length: 1000}) && i >= prefix+25 {
			t.Errorf("byte %d may differ", i)
		}
	}
}

func TestPacketsCutShortAreErrors(t *testing.T) {
	f, _ := filled(600)
	f.Sum(crc.NewJoiner(512))
	sent := f.Seal(Header{})
	for n := range sent {
		_, err := NewFrame(0, 512).Read(bytes.NewReader(sent[:n]))
		if n >= prefix && !errors.Is(err, io.ErrUnexpectedEOF) || err == nil {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

func TestOldChecksums(t *testing.T) {
	j := crc.NewJoiner(512)
	f, data := filled(700)
	f.Sum(j)
	if _, err := f.Check(CRC32, j, 512); !errors.Is(err, ErrChecksum) {
		t.Errorf("one kind of checksum passes for the other: %v", err)
	}
	if sum, err := f.Check(None, j, 512); err != nil || sum != crc.Sum(data) {
		t.Errorf("without checksums: %08x, %v", sum, err)
	}
	f.Trim(1, 700)
	if _, err := f.Check(CRC32C, j, 512); err == nil {
		t.Error("a cut packet passes")
	}
}

func FuzzRead(f *testing.F) {
	frame, _ := filled(600)
	frame.Sum(crc.NewJoiner(512))
	f.Add(frame.Seal(Header{Offset: 512, Seq: 1}))
	f.Add([]byte{0, 0, 0, 4, 0, 2, 0x20, 0xff})
	j := crc.NewJoiner(512)
	f.Fuzz(func(t *testing.T, b []byte) {
		p := NewFrame(0, 512)
		h, err := p.Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		if h.Length != len(p.Data()) {
			t.Errorf("%d bytes of data, %d claimed", len(p.Data()), h.Length)
		}
		for _, kind := range []Checksum{None, CRC32, CRC32C} {
			_, _ = p.Check(kind, j, 512)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	j := crc.NewJoiner(512)
	f, _ := filled(1 << 16)
	f.Sum(j)
	b.SetBytes(1 << 16)
	for b.Loop() {
		if _, err := f.Check(CRC32C, j, 512); err != nil {
			b.Fatal(err)
		}
	}
}
