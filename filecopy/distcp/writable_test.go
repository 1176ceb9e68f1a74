package distcp

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
)

// TestVarints holds numbers to the forms that WritableUtils documents.
func TestVarints(t *testing.T) {
	for v, want := range map[int64]string{
		0: "00", 127: "7f", -112: "90", -1: "ff", 128: "8f80", 255: "8fff", 256: "8e0100", 1 << 31: "8c80000000",
		-113: "8770", -129: "8780", -257: "860100", 1<<63 - 1: "887fffffffffffffff", -1 << 63: "807fffffffffffffff",
	} {
		if got := hex.EncodeToString(appendVarint(nil, v)); got != want {
			t.Errorf("%d is %s, want %s", v, got, want)
		}
	}
}

// FuzzVarints reads back what was written, by the rules of WritableUtils.readVLong.
func FuzzVarints(f *testing.F) {
	f.Add(int64(-113))
	f.Fuzz(func(t *testing.T, v int64) {
		b := appendVarint(nil, v)
		first := int(int8(b[0]))
		if first >= -112 {
			if len(b) != 1 || int64(first) != v {
				t.Fatalf("%d is %x", v, b)
			}
			return
		}
		size, negative := -112-first, first < -120
		if negative {
			size = -120 - first
		}
		got := int64(0)
		for _, c := range b[1:] {
			got = got<<8 | int64(c)
		}
		if negative {
			got = ^got
		}
		if size != len(b)-1 || got != v {
			t.Fatalf("%d is %x, read as %d of %d bytes", v, b, got, size)
		}
	})
}

func TestSequence(t *testing.T) {
	var b bytes.Buffer
	s, err := newSequence(&b, [16]byte{15: 0xee})
	if err != nil {
		t.Fatal(err)
	}
	head := b.Len()
	e := filecopy.Entry{Size: 258, Attributes: filecopy.Attributes{Owner: "o", Group: "g", Mode: 0o640, Modified: 2, Accessed: 1, Replication: 3, BlockSize: 1 << 20}}
	if err := s.add("/to", "hdfs://x/f", e); err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(b.Bytes()[:head]); got != "53455106196f72672e6170616368652e6861646f6f702e696f2e54657874"+
		"2d6f72672e6170616368652e6861646f6f702e746f6f6c732e436f70794c697374696e6746696c65537461747573"+"0000"+"00000000"+strings.Repeat("00", 15)+"ee" {
		t.Errorf("head = %s", got)
	}
	const want = "ffffffff" + "000000000000000000000000000000ee" + "0000004d" + "00000004" + "032f746f" +
		"0a686466733a2f2f782f66" + "0000000000000102" + "00" + "0003" + "0000000000100000" + "0000000000000002" + "0000000000000001" + "01a0" +
		"016f" + "0167" + "ff" + "ffffffff" + "0000000000000000" + "0000000000000102"
	if got := hex.EncodeToString(b.Bytes()[head:]); got != want || s.size != int64(b.Len()) {
		t.Errorf("record = %s", got)
	}
}

// TestCutting lets every file lie in one piece, pieces follow each other, and none be much heavier than its share.
func TestCutting(t *testing.T) {
	for _, most := range []int{0, 1, 2, 7, 1000} {
		for _, files := range []int{1, 5, 100} {
			checkPieces(t, files, most)
		}
	}
}

func checkPieces(t *testing.T, files, most int) {
	t.Helper()
	const head, record = 87, 120
	c := newCutter(int64(files), int64(files)*1000, most)
	offset := int64(head)
	for range files {
		c.file(offset, 1000)
		offset += record
	}
	all := c.done(offset)
	end := int64(0)
	for _, s := range all {
		if s.offset != end || s.length <= 0 || s.offset > 0 && (s.offset-head)%record != 0 {
			t.Errorf("%d files in %d: %+v", files, most, all)
		}
		end = s.offset + s.length
	}
	if end != offset || len(all) > max(1, most) || len(all) < min(max(1, most), files)/2 {
		t.Errorf("%d files in %d: %d pieces to %d of %d", files, most, len(all), end, offset)
	}
}

func TestSplits(t *testing.T) {
	content, meta := splits("l", []split{{0, 7}, {7, 3}})
	const class = "2f6f72672e6170616368652e6861646f6f702e6d61707265647563652e6c69622e696e7075742e46696c6553706c6974"
	one := func(offset, length int) string { return class + "016c" + fmt.Sprintf("%016x%016x", offset, length) }
	if got := hex.EncodeToString(content); got != "53504c00000001"+one(0, 7)+one(7, 3) {
		t.Errorf("content = %s", got)
	}
	if got := hex.EncodeToString(meta); got != hex.EncodeToString([]byte("META-SPL"))+"0102"+"000707"+"004903" {
		t.Errorf("meta = %s", got)
	}
}

func TestConfiguration(t *testing.T) {
	b, err := configuration(map[string]string{"b": "1", "a": "<&>"})
	if err != nil || !strings.HasSuffix(string(b), "<configuration><property><name>a</name><value>&lt;&amp;&gt;</value></property>"+
		"<property><name>b</name><value>1</value></property></configuration>") {
		t.Errorf("%s, %v", b, err)
	}
}
