package filecopy_test

import (
	"encoding/json"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/understudy-dr/understudy/filecopy"
)

func TestChecksumsAppend(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.SliceOf(rapid.Byte()).Draw(t, "a"), rapid.SliceOf(rapid.Byte()).Draw(t, "b")
		want := crc32.Checksum(slices.Concat(a, b), crc32.MakeTable(crc32.Castagnoli))
		one := filecopy.Checksum{}.Extend(a).Extend(b)
		two := filecopy.Checksum{}.Extend(a).Append(filecopy.Checksum{}.Extend(b), int64(len(b)))
		if one != filecopy.SumOf(want) || two != one {
			t.Fatalf("sums are %v and %v, want %08x", one, two, want)
		}
	})
	if got := (filecopy.Checksum{}).Extend([]byte("123456789")).String(); got != "e3069283" {
		t.Errorf("the check value of CRC-32C is e3069283, got %s", got)
	}
}

// TestPathsSortAsATreeIsWalked holds Compare to the comparison of elements.
func TestPathsSortAsATreeIsWalked(t *testing.T) {
	path := rapid.Custom(func(t *rapid.T) filecopy.Path {
		elements := rapid.SliceOfN(rapid.StringMatching(`[a!.0]{1,3}`), 0, 4).Draw(t, "elements")
		return filecopy.Path(strings.Join(elements, "/"))
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := path.Draw(t, "a"), path.Draw(t, "b")
		want := slices.Compare(split(a), split(b))
		if got := a.Compare(b); got < 0 != (want < 0) || got > 0 != (want > 0) {
			t.Fatalf("%q compared with %q is %d, want %d", a, b, got, want)
		}
		if a.Below(b) != (len(split(a)) >= len(split(b)) && slices.Equal(split(a)[:len(split(b))], split(b))) {
			t.Fatalf("%q below %q is %v", a, b, a.Below(b))
		}
		if a.Below(b) && a.Rebase(b, "x/y").Below("x/y") == false {
			t.Fatalf("%q rebased from %q is %q", a, b, a.Rebase(b, "x/y"))
		}
	})
}

func split(p filecopy.Path) []string {
	if p == "" {
		return nil
	}
	return strings.Split(string(p), "/")
}

func TestPathsThatAreNoTextAreEscaped(t *testing.T) {
	for p, want := range map[filecopy.Path]string{
		"": "", "a/b": "a/b", `a\xff`: `a\xff`, `a\`: `a\`, "a\nü\ufffd": "a\nü\ufffd",
		"L2\xffbytes": `L2\xffbytes`, "\xfe\xff/a": `\xfe\xff/a`, `\xff\` + "\xff": `\\xff\\\xff`, "ü\xc3": `ü\xc3`, "\ufffd\xff": "\ufffd" + `\xff`,
		"\xed\xa0\x80": `\xed\xa0\x80`, "\xff\n\"": `\xff` + "\n\"",
	} {
		if got := p.Text(); got != want {
			t.Errorf("the text of %q is %s, want %s", string(p), got, want)
		}
	}
	for _, text := range []string{`\`, `a\`, `\x`, `\xf`, `\xfg`, `\x+f`, `\n`, `\\\`, `a//\xff`, `\x00`, `a\x2f`} {
		if p, err := filecopy.FromText(text); err == nil {
			t.Errorf("FromText(%q) = %q", text, p)
		}
	}
}

// FuzzPathsAsText takes paths through JSON as text, and back.
func FuzzPathsAsText(f *testing.F) {
	for _, p := range []string{"", "a/b", `\xff`, "L2\xffbytes", `\xff\` + "\xff", "\xed\xa0\x80/\ufffd", "\n\u2028<&>\xc3"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, name string) {
		p := filecopy.Path(name)
		raw, err := json.Marshal(p.Text())
		if err != nil {
			t.Fatal(err)
		}
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			t.Fatal(err)
		}
		if p.Check() != nil {
			return
		}
		back := filecopy.Path(text)
		if !p.IsText() {
			back, err = filecopy.FromText(text)
		}
		if err != nil || back != p {
			t.Fatalf("%q became %s, and that %q: %v", name, text, string(back), err)
		}
	})
}

func TestPathsAreChecked(t *testing.T) {
	for p, good := range map[filecopy.Path]bool{
		"": true, "a": true, "a/b": true, "...": true, " ": true, "a\n\xff": true,
		"/": false, "/a": false, "a/": false, "a//b": false, ".": false, "a/..": false, "./a": false, "a\x00": false,
	} {
		if err := p.Check(); (err == nil) != good {
			t.Errorf("Check(%q) = %v", p, err)
		}
	}
}
