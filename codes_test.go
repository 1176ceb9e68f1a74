package understudy_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy"
)

// untested are the codes that no test names. The list may only get shorter: a new code comes with its test, and one
// that a test names is struck from here.
func untested() []understudy.Code {
	return []understudy.Code{
		"US002", "US146", "US148", "US150", "US240", "US256", "US504", "US515",
	}
}

// TestEachCodeIsNamedByATest holds to the rule that each code has a test, as far as names can tell: its code stands in
// a test, or in what it keeps under testdata.
func TestEachCodeIsNamedByATest(t *testing.T) {
	named := map[understudy.Code]bool{}
	code := regexp.MustCompile(`US[0-9]{3}`)
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name == "codes_test.go" {
			return err
		}
		if !strings.HasSuffix(name, "_test.go") && !strings.Contains(filepath.ToSlash(name), "/testdata/") {
			return nil
		}
		text, err := os.ReadFile(name)
		for _, c := range code.FindAllString(string(text), -1) {
			named[understudy.Code(c)] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range understudy.Codes() {
		switch listed := slices.Contains(untested(), e.Code); {
		case !named[e.Code] && !listed:
			t.Errorf("no test names %s (%s): write one", e.Code, e.Title)
		case named[e.Code] && listed:
			t.Logf("a test names %s: strike it from the list", e.Code)
		}
	}
	for _, c := range untested() {
		if _, ok := understudy.Explain(c); !ok {
			t.Errorf("%s is listed and no code at all", c)
		}
	}
}
