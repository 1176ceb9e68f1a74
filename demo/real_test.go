package demo

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/lab"
)

// TestStoryOnApacheKafka tells the story on real servers.
func TestStoryOnApacheKafka(t *testing.T) {
	_, err := lab.Java()
	lab.Check(t, err)
	var told bytes.Buffer
	r := play(t, Options{Real: true, LoadFor: 2 * time.Second, Rate: slow, Audience: &Prose{W: &told}})
	t.Log(told.String())
	if r.Servers != "Apache Kafka 3.9.1 (east) and 4.4.0 (west)" || len(r.NotShown) != 2 {
		t.Fatalf("servers %q, not shown %q", r.Servers, r.NotShown)
	}
}

// program writes a program that stands for understudy-lab.
func program(t *testing.T, script string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), labName)
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestRealServersThatCannotStartNameWhatIsMissing(t *testing.T) {
	broken := program(t, `echo "fetching" >&2; echo "understudy-lab: missing a JDK, version 17 or newer: no java on the PATH" >&2; exit 1`)
	_, err := Play(t.Context(), Options{Real: true, Lab: broken})
	e := understudy.AsError(err)
	if e.Code != "US516" || !strings.Contains(e.Why, "missing a JDK") {
		t.Fatalf("got %+v", e)
	}
}

// What the lab cannot do ends the story, which leaves nothing behind.
func TestAStoryThatCannotGoOnSaysWhere(t *testing.T) {
	for want, script := range map[string]string{
		"understudy-lab answered something else":               `echo hello; cat >/dev/null`,
		"understudy-lab could not do it: no such server: east": `echo '{"error":"no such server: east"}'; cat >/dev/null`,
	} {
		t.Run(want, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			r, err := Play(t.Context(), Options{Real: true, Lab: program(t, script)})
			if e := understudy.AsError(err); e.Code != "US515" || !strings.Contains(e.Error(), want) || e.Fix == "" || len(r.Steps) > 0 {
				t.Fatalf("got %+v after %d steps", e, len(r.Steps))
			}
			left, err := os.ReadDir(os.Getenv("TMPDIR"))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range left {
				if !strings.HasPrefix(f.Name(), "Test") { // the directories of this test itself
					t.Errorf("left behind: %s", f.Name())
				}
			}
		})
	}
}

func TestLabIsLookedFor(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("PATH", "")
	if got, err := findLab(t.Context(), "/somewhere/lab", t.TempDir()); err != nil || got != "/somewhere/lab" {
		t.Fatalf("the named one is not taken: %q, %v", got, err)
	}
	_, err := findLab(t.Context(), "", t.TempDir())
	if e := understudy.AsError(err); e.Code != "US516" || !strings.Contains(e.Why, "PATH") {
		t.Fatalf("got %+v", e)
	}
	beside := program(t, "exit 0")
	t.Setenv("PATH", filepath.Dir(beside))
	if got, err := findLab(t.Context(), "", t.TempDir()); err != nil || got != beside {
		t.Fatalf("the one on the PATH is not found: %q, %v", got, err)
	}
}

func TestCheckoutIsFoundFromWithin(t *testing.T) {
	dir, ok := findCheckout()
	if !ok || !strings.HasSuffix(mustAbs(t, "."), filepath.Join(filepath.Base(dir), "demo")) {
		t.Fatalf("found %q, %t", dir, ok)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "go.mod"), []byte("module example.com/other\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Chdir(other)
	if dir, ok := findCheckout(); ok {
		t.Fatalf("another module's checkout is taken for ours: %q", dir)
	}
}

func mustAbs(t *testing.T, path string) string {
	t.Helper()
	full, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return full
}
