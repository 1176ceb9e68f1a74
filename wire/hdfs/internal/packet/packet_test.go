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

// inPackets gives data as a row of packets of the given sizes.
func inPackets(data []byte, sizes ...int) []byte {
	var sent []byte
	for i, at := 0, 0; i < len(sizes); i++ {
		f := NewFrame(sizes[i], 512)
		f.Reset(512)
		f.Fill(data[at:], sizes[i])
		f.Sum(crc.NewJoiner(512))
		sent = append(sent, f.Seal(Header{Offset: 4096 + int64(at), Seq: int64(i + 3)})...)
		at += sizes[i]
	}
	return sent
}

func TestGatheredPacketsAreOne(t *testing.T) {
	j := crc.NewJoiner(512)
	for name, c := range map[string]struct {
		sizes      []int
		want, took int
	}{
		"one":                                 {[]int{512}, 512, 1},
		"as many as are wanted":               {[]int{512, 512, 512, 512}, 1536, 3},
		"as many as have room":                {[]int{1024, 1024, 1024, 1024, 1024}, 1 << 20, 4},
		"a short chunk ends them":             {[]int{1024, 700, 1024}, 1 << 20, 2},
		"no data ends them":                   {[]int{1024, 0, 1024}, 1 << 20, 2},
		"a longer one than all the room":      {[]int{8192, 512}, 8704, 2},
		"a longer one than the room left":     {[]int{512, 8192, 512}, 9216, 3},
		"a longer one than those before":      {[]int{512, 2048, 512}, 1 << 20, 2},
		"lengths that fill it to the brim":    {[]int{512, 1024, 2560}, 1 << 20, 3},
		"those that differ and all have room": {[]int{1024, 512, 512, 512}, 2560, 4},
	} {
		total, taken := 0, 0
		for i, n := range c.sizes {
			if total += n; i < c.took {
				taken += n
			}
		}
		_, data := filled(total)
		in := bytes.NewReader(inPackets(data, c.sizes...))
		f := NewFrame(4096, 512)
		h, err := f.Gather(in, 512, c.want)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := (Header{Offset: 4096, Seq: 3, Length: taken}); h != want || !bytes.Equal(f.Data(), data[:taken]) {
			t.Errorf("%s: header %+v, want %+v, data equal: %v", name, h, want, bytes.Equal(f.Data(), data[:taken]))
		}
		if sum, err := f.Check(CRC32C, j, 512); err != nil || sum != crc.Sum(data[:taken]) {
			t.Errorf("%s: sum %08x, %v", name, sum, err)
		}
		if again := f.Seal(Header{Offset: 4096, Seq: 3}); !bytes.Equal(again, inPackets(data, taken)) {
			t.Errorf("%s: sent on it is another packet", name)
		}
		if rest := inPackets(data, c.sizes...); in.Len() != len(rest)-len(inPackets(data, c.sizes[:c.took]...)) {
			t.Errorf("%s: %d bytes are left", name, in.Len())
		}
	}
}

func TestGatheredPacketsAreChecked(t *testing.T) {
	_, data := filled(2048)
	sent := inPackets(data, 1024, 1024)
	for n := range sent {
		if _, err := NewFrame(4096, 512).Gather(bytes.NewReader(sent[:n]), 512, 2048); err == nil {
			t.Errorf("cut at %d it passes", n)
		}
	}
	again := append(inPackets(data, 1024), inPackets(data, 1024)...)
	if _, err := NewFrame(4096, 512).Gather(bytes.NewReader(again), 512, 2048); err == nil {
		t.Error("a packet that comes twice passes")
	}
	f := NewFrame(1024, 512)
	f.Reset(512)
	f.Fill(data, 1024)
	few := f.Seal(Header{Offset: 4096})
	if _, err := NewFrame(4096, 512).Gather(bytes.NewReader(few), 512, 1024); err == nil {
		t.Error("a packet without checksums passes")
	}
	sent[len(sent)-1] ^= 1
	f = NewFrame(4096, 512)
	if _, err := f.Gather(bytes.NewReader(sent), 512, 2048); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Check(CRC32C, crc.NewJoiner(512), 512); !errors.Is(err, ErrChecksum) {
		t.Errorf("a flipped bit in the second packet: %v", err)
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
	_, data := filled(2048)
	f.Add(inPackets(data, 512, 1024, 512))
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
		p = NewFrame(1024, 512)
		if h, err = p.Gather(bytes.NewReader(b), 512, 4096); err == nil && (h.Length != len(p.Data()) || len(p.Sums()) != sumSize*((h.Length+511)/512)) {
			t.Errorf("gathered %d bytes of data and %d of checksums, %d claimed", len(p.Data()), len(p.Sums()), h.Length)
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
