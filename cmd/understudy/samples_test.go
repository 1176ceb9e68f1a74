package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/spec"
	"github.com/understudy-dr/understudy/workload/all"
)

// TestSamplesOfKinds reads files with the kinds' own keys: good ones, and bad ones of which each has its expected message beside it.
func TestSamplesOfKinds(t *testing.T) {
	names, err := filepath.Glob("testdata/kinds/*/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			set, err := spec.Parse(all.Registry(), spec.Set{}, spec.Source{Name: filepath.Base(name), Text: text})
			var ps spec.Problems
			switch bad := errors.As(err, &ps); {
			case strings.Contains(name, "/good/") && err != nil:
				t.Fatal(err, ps.Render())
			case strings.Contains(name, "/good/"):
				again, err := spec.Parse(all.Registry(), spec.Set{}, spec.Source{Name: "canonical", Text: []byte(set.Canonical())})
				if err != nil || again.Digest() != set.Digest() {
					t.Errorf("the canonical form says something else: %v\n%s", err, set.Canonical())
				}
			case !bad:
				t.Fatalf("it was not refused: %v", err)
			default:
				told(t, strings.TrimSuffix(name, ".yaml")+".txt", ps.Render())
			}
		})
	}
}

// told holds a message against its file.
func told(t *testing.T, name, got string) {
	t.Helper()
	if os.Getenv("UNDERSTUDY_UPDATE") != "" {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil || string(want) != got {
		t.Errorf("%s, %v; got:\n%s\nwant:\n%s\nUNDERSTUDY_UPDATE=1 writes it", name, err, got, want)
	}
}
