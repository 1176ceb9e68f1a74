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

// markdown gives the text of every page of documentation, by its path.
func markdown(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && name != ".") {
			return fs.SkipDir
		}
		if filepath.Ext(name) != ".md" {
			return nil
		}
		text, err := os.ReadFile(name)
		pages[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

// TestDocsLinks follows every link from one page to another file.
func TestDocsLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]+)(#[^)]*)?\)`)
	for name, text := range markdown(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s links to %s, which does not exist", name, m[1])
			}
		}
	}
}

// TestDocsTargets looks up every make target that a page names in code, and wants a line of help for each target.
func TestDocsTargets(t *testing.T) {
	text, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	var helped []string
	for _, m := range regexp.MustCompile(`(?m)^([a-z0-9]+):.*## .`).FindAllStringSubmatch(string(text), -1) {
		helped = append(helped, m[1])
	}
	phony := regexp.MustCompile(`(?m)^\.PHONY: (.*)$`).FindStringSubmatch(string(text))
	for _, target := range strings.Fields(phony[1]) {
		if !slices.Contains(helped, target) {
			t.Errorf("make help says nothing about %s", target)
		}
	}
	named := regexp.MustCompile("(?m)(?:`|^    |^\\$ )make ([a-z0-9]+)")
	for name, page := range markdown(t) {
		for _, m := range named.FindAllStringSubmatch(page, -1) {
			if !slices.Contains(helped, m[1]) {
				t.Errorf("%s names make %s, which is no target", name, m[1])
			}
		}
	}
}

// TestDocsRecords wants each decision record to be listed, and to say what was rejected.
func TestDocsRecords(t *testing.T) {
	records, err := filepath.Glob("docs/adr/[0-9]*.md")
	if err != nil || len(records) == 0 {
		t.Fatalf("no decision records: %v", err)
	}
	pages := markdown(t)
	for _, name := range records {
		for _, part := range []string{"\n## Context\n", "\n## Decision\n", "\n## Rejected\n"} {
			if !strings.Contains(pages[name], part) {
				t.Errorf("%s has no part %q", name, strings.TrimSpace(part))
			}
		}
		if !strings.Contains(pages["docs/adr/README.md"], "("+filepath.Base(name)+")") {
			t.Errorf("docs/adr/README.md does not list %s", name)
		}
	}
}

// TestALostControlPlaneIsExplained wants the steps that the binary tells to be those of the documentation, word for word.
func TestALostControlPlaneIsExplained(t *testing.T) {
	text, err := os.ReadFile("docs/running.md")
	if err != nil {
		t.Fatal(err)
	}
	e, _ := understudy.Explain("US252")
	for engine, after := range map[string]string{"Kafka": "", "Storage": "\n\nKafka:\n"} {
		_, steps, _ := strings.Cut(string(text), "\n### "+engine+"\n")
		_, steps, _ = strings.Cut(steps, "\n1. **Make sure that it is gone**")
		steps, _, _ = strings.Cut(steps, "\n\nBetween step 4")
		steps = "\n\n" + engine + ":\n\n" + strings.NewReplacer("**", "", "`", "").Replace("1. **Make sure that it is gone**"+steps) + after
		if after == "" && !strings.HasSuffix(e.Text, steps) || !strings.Contains(e.Text, steps) || strings.Count(steps, "\n") < 9 {
			t.Errorf("explain US252 does not tell the steps of docs/running.md for %s:\n%s", engine, e.Text)
		}
	}
	for _, x := range understudy.Codes() {
		if strings.Contains(x.Text, "docs/") {
			t.Errorf("%s sends somebody who has only the binary to a file: %s", x.Code, x.Text)
		}
	}
}
