package filecopy_test

import (
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
