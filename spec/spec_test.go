package spec

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy"
)

var update = flag.Bool("update", false, "write the golden files")

// samples lists the YAML files of a folder of testdata.
func samples(t *testing.T, folder string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no samples in %s: %v", folder, err)
	}
	return names
}

func source(t *testing.T, path string) Source {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return Source{Name: filepath.Base(path), Text: text}
}

// base is two sites that samples may refer to.
func base(t *testing.T) Set {
	t.Helper()
	set, err := Parse(toys(), Set{}, source(t, "testdata/base.yaml"))
	if err != nil {
		t.Fatal(render(err))
	}
	return set
}

func render(err error) string {
	var ps Problems
	if errors.As(err, &ps) {
		return ps.Render()
	}
	if err != nil {
		return err.Error()
	}
	return "no error"
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run the test with -update to write it", err)
	}
	if string(want) != got {
		t.Errorf("%s differs; got:\n%s\nwant:\n%s", path, got, want)
	}
}

// read reads a sample as what its name says: serve-* is serve's configuration, alone-* stands without the base.
func read(t *testing.T, path string) (Set, error) {
	t.Helper()
	src := source(t, path)
	switch {
	case strings.HasPrefix(src.Name, "serve-"):
		_, err := ParseServe(src)
		return Set{}, err
	case strings.HasPrefix(src.Name, "alone-"):
		return Parse(toys(), Set{}, src)
	default:
		return Parse(toys(), base(t), src)
	}
}

func TestGood(t *testing.T) {
	for _, path := range samples(t, "good") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			set, err := read(t, path)
			if err != nil {
				t.Fatal(render(err))
			}
			if strings.HasPrefix(filepath.Base(path), "serve-") {
				return
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".canonical", set.Canonical())
			again, err := Parse(toys(), Set{}, Source{Name: "canonical", Text: []byte(set.Canonical())})
			if err != nil {
				t.Fatalf("the canonical form is refused:\n%s\n%s", render(err), set.Canonical())
			}
			if again.Canonical() != set.Canonical() || again.Digest() != set.Digest() {
				t.Errorf("the canonical form changed when read again:\n%s\n%s", set.Canonical(), again.Canonical())
			}
		})
	}
}

func TestBad(t *testing.T) {
	seen := map[understudy.Code]bool{}
	for _, path := range samples(t, "bad") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			_, err := read(t, path)
			var ps Problems
			if !errors.As(err, &ps) {
				t.Fatalf("it was not refused: %v", err)
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".txt", ps.Render())
			if understudy.KindOf(err) != understudy.KindInvalid {
				t.Errorf("its kind is %s", understudy.KindOf(err))
			}
			for _, p := range ps {
				seen[p.Code] = true
			}
		})
	}
	fileCodes(t, seen)
}

// fileCodes checks that every code of a file has a sample, and every code a page.
func fileCodes(t *testing.T, seen map[understudy.Code]bool) {
	t.Helper()
	for _, e := range understudy.Codes() {
		elsewhere := e.Code >= codeSecretName && e.Code <= codeHookName || e.Code == codeProvisioner
		if e.Code >= "US400" && e.Code <= "US449" && !elsewhere && !seen[e.Code] {
			t.Errorf("no sample in testdata/bad shows %s (%s)", e.Code, e.Title)
		}
	}
	for c := range seen {
		if _, ok := understudy.Explain(c); !ok && c != "US999" {
			t.Errorf("%s has no explanation", c)
		}
	}
}
