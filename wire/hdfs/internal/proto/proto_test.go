package proto

import (
	"bytes"
	"testing"
)

// all holds one value of each kind.
type all struct {
	s      string
	b      []byte
	u      uint64
	i      int64
	z      int64
	t      bool
	f      int32
	d      int64
	packed []uint64
	sub    string
}

func (a all) encode() Message {
	m := Message(nil).String(1, a.s).Bytes(2, a.b).Uint(3, a.u).Int(4, a.i).Sint(5, a.z).Bool(6, a.t).Fixed32(7, uint32(a.f)).Fixed64(8, uint64(a.d))
	for _, v := range a.packed {
		m = m.Uint(9, v)
	}
	return m.Bytes(10, Message(nil).String(1, a.sub))
}

func readAll(d *Decoder) all {
	var a all
	for d.Next() {
		switch d.Number() {
		case 1:
			a.s = d.String()
		case 2:
			a.b = d.Bytes()
		case 3:
			a.u = d.Uint()
		case 4:
			a.i = d.Int()
		case 5:
			a.z = d.Sint()
		case 6:
			a.t = d.Bool()
		case 7:
			a.f = d.Fixed32()
		case 8:
			a.d = d.Int()
		case 9:
			a.packed = d.Uints(a.packed)
		case 10:
			a.sub = Sub(d, func(d *Decoder) string {
				var s string
				for d.Next() {
					s = d.String()
				}
				return s
			})
		}
	}
	return a
}

func TestFieldsComeBack(t *testing.T) {
	want := all{"name", []byte{0, 255}, 1 << 63, -7, -1 << 62, true, -3, -1 << 40, []uint64{1, 300, 0}, "inner"}
	got, err := Parse(want.encode(), readAll)
	if err != nil {
		t.Fatal(err)
	}
	if got.s != want.s || !bytes.Equal(got.b, want.b) || got.u != want.u || got.i != want.i || got.z != want.z || !got.t ||
		got.f != want.f || got.d != want.d || len(got.packed) != 3 || got.packed[1] != 300 || got.sub != want.sub {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestPackedNumbers(t *testing.T) {
	got, err := Parse(Message(nil).Bytes(9, []byte{1, 0xac, 0x02, 0}), readAll)
	if err != nil || len(got.packed) != 3 || got.packed[1] != 300 {
		t.Errorf("got %v, %v", got.packed, err)
	}
}

func TestWrongFormsAreErrors(t *testing.T) {
	for name, m := range map[string]Message{
		"number for a string":   Message(nil).Uint(1, 7),
		"string for a number":   Message(nil).String(3, "x"),
		"cut short":             Message(nil).String(1, "long")[:3],
		"error in the embedded": Message(nil).Bytes(10, []byte{0x0a, 0x7f}),
		"error in the packed":   Message(nil).Bytes(9, []byte{0x80}),
	} {
		if _, err := Parse(m, readAll); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestDelimitedMessages(t *testing.T) {
	b := Message("two").Delimited(Message("first").Delimited(nil))
	first, rest, err := SplitDelimited(b)
	if err != nil || string(first) != "first" {
		t.Fatalf("%q, %v", first, err)
	}
	second, rest, err := SplitDelimited(rest)
	if err != nil || string(second) != "two" || len(rest) != 0 {
		t.Fatalf("%q, %v", second, err)
	}
	for _, bad := range [][]byte{nil, {5, 1}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}} {
		if _, _, err := SplitDelimited(bad); err == nil {
			t.Errorf("%x is taken", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(all{"name", []byte{1}, 2, 3, 4, true, 5, 6, []uint64{7}, "x"}.encode()))
	f.Add([]byte{0x0b, 0x0c})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := Parse(b, readAll)
		if err != nil {
			return
		}
		again, err := Parse(a.encode(), readAll)
		if err != nil || again.s != a.s || again.z != a.z || again.sub != a.sub {
			t.Errorf("%+v comes back as %+v, %v", a, again, err)
		}
	})
}
