package understudy_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy"
)

// codesIn collects the codes that stand behind a text in the files of the repository which belong, by their path with
// slashes.
func codesIn(t *testing.T, before string, belongs func(name string) bool) map[understudy.Code]bool {
	t.Helper()
	found := map[understudy.Code]bool{}
	code := regexp.MustCompile(before + `(US[0-9]{3})`)
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !belongs(filepath.ToSlash(name)) {
			return err
		}
		text, err := os.ReadFile(name)
		for _, c := range code.FindAllStringSubmatch(string(text), -1) {
			found[understudy.Code(c[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestEachCodeIsNamedByATest holds to the rule that each code has a test, as far as names can tell: its code stands in
// a test, or in what it keeps under testdata.
func TestEachCodeIsNamedByATest(t *testing.T) {
	named := codesIn(t, "", func(name string) bool {
		return strings.HasSuffix(name, "_test.go") && name != "codes_test.go" || strings.Contains(name, "/testdata/")
	})
	for _, e := range understudy.Codes() {
		if !named[e.Code] {
			t.Errorf("no test names %s (%s): write one", e.Code, e.Title)
		}
	}
}

// TestEachCodeIsGivenAndExplained wants no page of a code that nothing gives, and no code without its page.
func TestEachCodeIsGivenAndExplained(t *testing.T) {
	page := regexp.MustCompile(`^code(_[a-z_]+)?\.go$`)
	given := codesIn(t, `"`, func(name string) bool {
		return strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && !page.MatchString(name)
	})
	for _, e := range understudy.Codes() {
		if !given[e.Code] {
			t.Errorf("nothing gives %s (%s): remove its page", e.Code, e.Title)
		}
		delete(given, e.Code)
	}
	delete(given, "US999") // what the kinds for tests give
	delete(given, "US399") // what the journal's suite compares with
	for c := range given {
		t.Errorf("%s has no page", c)
	}
}
