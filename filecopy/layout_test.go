package filecopy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/understudy-dr/understudy/filecopy"
)

// TestLayoutsKeepTheAreaOutOfTheTree lays out what may be, and what may not.
func TestLayoutsKeepTheAreaOutOfTheTree(t *testing.T) {
	for given, want := range map[[2]string]filecopy.Layout{
		{"", ""}:              {Area: ".understudy"},
		{"/a/", ""}:           {Root: "a", Area: ".a.understudy"},
		{"a/b", ""}:           {Root: "a/b", Area: "a/.b.understudy"},
		{"a/b", "/elsewhere"}: {Root: "a/b", Area: "elsewhere"},
		{"", "of/ours"}:       {Area: "of/ours"},
	} {
		got, err := filecopy.LayOut(given[0], given[1], utf8.ValidString)
		if err != nil || got != want {
			t.Errorf("%q = %+v, %v; want %+v", given, got, err, want)
		}
	}
	for _, given := range [][2]string{{"a//b", ""}, {"a/..", ""}, {"a", "a"}, {"a", "a/b"}, {"a/b", "a"}, {"a\xff", ""}, {"a", "\xff"}} {
		if got, err := filecopy.LayOut(given[0], given[1], utf8.ValidString); err == nil {
			t.Errorf("%q = %+v", given, got)
		}
	}
}

// TestNamesOfALayout goes from paths to names and back.
func TestNamesOfALayout(t *testing.T) {
	below := filecopy.Layout{Root: "a/b", Area: "a/.b.understudy"}
	whole := filecopy.Layout{Area: ".understudy"}
	for got, want := range map[string]string{
		below.Name("c/d"): "a/b/c/d", below.Name(""): "a/b", below.Below(""): "a/b/", below.Below("c"): "a/b/c/", below.Inner("a/b/c"): "c",
		below.Place("kept", "x"): "a/.b.understudy/kept/x", whole.Name("c"): "c", whole.Inner("c/d"): "c/d", whole.Below("e"): "e/",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if whole.Name("") != "" || whole.Below("") != "" || !whole.Ours(".understudy/x") || below.Ours("a/b/x") {
		t.Errorf("%+v and %+v have other names", whole, below)
	}
	for name, good := range map[string]bool{"a/b-1": true, "": false, "../a": false, "a~b": false, "a//b": false} {
		if err := filecopy.CheckOwn(name); (err == nil) != good || !good && !errors.Is(err, filecopy.ErrName) {
			t.Errorf("%q = %v", name, err)
		}
	}
}

// TestOnlyOldQuarantinesGo sorts out some, and leaves what is no quarantine.
func TestOnlyOldQuarantinesGo(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	names := []string{filecopy.QuarantineName(day(1), "x-1"), filecopy.QuarantineName(day(3), "x-2"), "theirs"}
	var gone []string
	remove := func(name string) error { gone = append(gone, name); return nil }
	if all, err := filecopy.Outdated(names, time.Time{}, remove); err != nil || len(all) != 3 || len(gone) != 0 {
		t.Errorf("without a moment: %v, %v, gone %v", all, err, gone)
	}
	all, err := filecopy.Outdated(names, day(2), remove)
	if err != nil || len(all) != 2 || all[0].Made != day(3) || !slices.Equal(gone, names[:1]) {
		t.Errorf("left %v, %v, gone %v", all, err, gone)
	}
	broken := errors.New("no")
	if _, err := filecopy.Outdated(names, day(2), func(string) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("a failure = %v", err)
	}
}

// TestTwinsAreOfferedInTurn takes the third place, and none.
func TestTwinsAreOfferedInTurn(t *testing.T) {
	var offered []string
	take := func(n int) func(string) (bool, error) {
		return func(free string) (bool, error) {
			offered = append(offered, free)
			return len(offered) == n, nil
		}
	}
	if err := filecopy.Twins("a", take(3)); err != nil || strings.Join(offered, " ") != "a a.1 a.2" {
		t.Errorf("offered %v, %v", offered, err)
	}
	if err := filecopy.Twins("a", take(-1)); err == nil {
		t.Error("there was always another place")
	}
}

// TestARoomHoldsWhatFits gives parts one after the other when they fill it, also one that is larger than the room.
func TestARoomHoldsWhatFits(t *testing.T) {
	room := filecopy.NewRoom(4)
	for _, content := range []string{"", "abcd", "more than fits"} {
		used := ""
		err := room.Hold(t.Context(), filecopy.Part{Size: int64(len(content))}, strings.NewReader(content+"!"), func(b []byte) error {
			used = string(b)
			return nil
		})
		if err != nil || used != content {
			t.Errorf("used %q of %q, %v", used, content, err)
		}
	}
	none := func([]byte) error { t.Error("a part was used that ended early"); return nil }
	if err := room.Hold(t.Context(), filecopy.Part{Size: 3}, strings.NewReader("ab"), none); !errors.Is(err, filecopy.ErrChanged) {
		t.Errorf("a part that ends early = %v", err)
	}
	if a, b := filecopy.NewID(), filecopy.NewID(); a == b || len(a) != 24 {
		t.Errorf("the names %q and %q", a, b)
	}
}
