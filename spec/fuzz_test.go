package spec

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/understudy-dr/understudy"
)

// FuzzParse shows that no text makes the reader panic, that every problem points into the text, and that what is
// accepted reads back from its canonical form as the same.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yaml", "testdata/bad/*.yaml"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			f.Fatalf("no seeds: %v", err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(text))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		src := Source{Name: "fuzz.yaml", Text: []byte(text)}
		set, err := Parse(toys(), Set{}, src)
		pointed(t, text, err)
		_, serveErr := ParseServe(src)
		pointed(t, text, serveErr)
		if err != nil {
			return
		}
		again, err := Parse(toys(), Set{}, Source{Name: "canonical", Text: []byte(set.Canonical())})
		if err != nil || again.Canonical() != set.Canonical() || len(Diff(set, again)) > 0 {
			t.Errorf("the canonical form does not read back: %v\n%s\n%s", err, set.Canonical(), again.Canonical())
		}
	})
}

func pointed(t *testing.T, text string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var ps Problems
	if !errors.As(err, &ps) || len(ps) == 0 {
		t.Fatalf("the error is no list of problems: %v", err)
	}
	lines := strings.Count(text, "\n") + 1
	for _, p := range ps {
		whole := p.Code == codeUnreadable || p.Code == codeEmpty
		if p.Line == 0 && !whole || p.Line > lines || p.Line > 0 && (p.Column < 1 || p.Column > utf8.RuneCountInString(p.Source)+1 || p.Width < 1) {
			t.Errorf("a problem without a place: %+v", p)
		}
		if _, known := understudy.Explain(p.Code); !known && p.Code != "US999" || p.Summary == "" || p.File == "" {
			t.Errorf("a problem without a page, a summary or a file: %+v", p)
		}
	}
	if ps.Render() == "" || ps.Error() == "" {
		t.Error("nothing is shown")
	}
}
