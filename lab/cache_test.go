package lab_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/lab"
)

func TestCachedIsFilledOnceByMany(t *testing.T) {
	t.Setenv("UNDERSTUDY_LAB_CACHE", t.TempDir())
	var fills atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			path, err := lab.Cached(t.Context(), "a/b", func(_ context.Context, path string) error {
				fills.Add(1)
				return os.WriteFile(path, []byte("x"), 0o644)
			})
			if b, _ := os.ReadFile(path); err != nil || string(b) != "x" {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
	all.Wait()
	if n := fills.Load(); n != 1 {
		t.Errorf("filled %d times", n)
	}
}

func TestFailedFillLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("UNDERSTUDY_LAB_CACHE", dir)
	broken := errors.New("broken")
	_, err := lab.Cached(t.Context(), "entry", func(_ context.Context, path string) error {
		return errors.Join(os.MkdirAll(filepath.Join(path, "half"), 0o755), broken)
	})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "entry") {
		t.Errorf("error is %v", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "entry*"))
	if err != nil || len(left) != 1 || filepath.Ext(left[0]) != ".lock" {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestWaitForTheLockEndsWithTheContext(t *testing.T) {
	t.Setenv("UNDERSTUDY_LAB_CACHE", t.TempDir())
	_, err := lab.Cached(t.Context(), "entry", func(ctx context.Context, path string) error {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		_, err := lab.Cached(ctx, "entry", func(context.Context, string) error { return nil })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the second holder got %v", err)
		}
		return os.WriteFile(path, nil, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPortsAreReservedAgainstOthers(t *testing.T) {
	seen := make(map[int]bool)
	for range 20 {
		p, err := lab.Reserve(3)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Release()
		for _, n := range p.Numbers {
			if seen[n] {
				t.Errorf("port %d was given twice", n)
			}
			seen[n] = true
		}
	}
	if len(seen) != 60 {
		t.Errorf("%d ports", len(seen))
	}
}

// fakeJDK makes a directory that looks like one.
func fakeJDK(t *testing.T, release string, files ...string) string {
	t.Helper()
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(home, "bin", f), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(home, "release"), []byte(`JAVA_VERSION="`+release+`"`), 0o644); err != nil {
		t.Fatal(err)
	}
	return home
}

func TestJavaSaysPreciselyWhatIsMissing(t *testing.T) {
	for _, c := range []struct{ name, home, path, want string }{
		{"nothing", "", t.TempDir(), "no java on the PATH"},
		{"wrong home", "/nonexistent", "", "has no bin/java"},
		{"runtime only", fakeJDK(t, "21", "java"), "", "a runtime, not a JDK"},
		{"too old", fakeJDK(t, "11.0.2", "java", "javac"), "", "version 11.0.2"},
		{"new", fakeJDK(t, "25", "java", "javac"), "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("JAVA_HOME", c.home)
			t.Setenv("PATH", c.path)
			jdk, err := lab.Java()
			var missing *lab.Missing
			if c.want == "" {
				if err != nil || jdk.Release != "25" {
					t.Errorf("%+v, %v", jdk, err)
				}
				return
			}
			if !errors.As(err, &missing) || !strings.Contains(missing.Why, c.want) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestFetchWithoutMavenSaysSo(t *testing.T) {
	t.Setenv("UNDERSTUDY_LAB_CACHE", t.TempDir())
	t.Setenv("PATH", t.TempDir())
	_, err := lab.Jars{Name: "none"}.Fetch(t.Context())
	var missing *lab.Missing
	if !errors.As(err, &missing) || missing.What != "Maven" {
		t.Errorf("error is %v", err)
	}
}

// fakeTest records how a test would end.
type fakeTest struct {
	*testing.T
	skipped, failed string
}

func (f *fakeTest) Skipf(format string, args ...any)  { f.skipped = format }
func (f *fakeTest) Fatalf(format string, args ...any) { f.failed = format }

func TestCheckSkipsOnlyForMissingThings(t *testing.T) {
	for _, c := range []struct {
		name, env string
		err       error
		skip      bool
	}{
		{"missing", "", &lab.Missing{What: "x"}, true},
		{"missing but required", "required", &lab.Missing{What: "x"}, false},
		{"broken", "", errors.New("x"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("UNDERSTUDY_LAB", c.env)
			f := &fakeTest{T: t}
			lab.Check(f, c.err)
			if (f.skipped != "") != c.skip {
				t.Errorf("skipped %q, failed %q", f.skipped, f.failed)
			}
			if !c.skip && f.failed == "" {
				t.Error("it went on")
			}
		})
	}
}

// TestTemporaryDirectoriesLieInTheScratch: of make test, which puts into memory what tests write (.ci/scratch). Servers that waited for a
// disk instead would be noticed by nobody.
func TestTemporaryDirectoriesLieInTheScratch(t *testing.T) {
	scratch := os.Getenv("UNDERSTUDY_SCRATCH")
	for _, dir := range []string{t.TempDir(), os.TempDir()} {
		if !strings.HasPrefix(dir, scratch) {
			t.Errorf("%s does not lie in %s", dir, scratch)
		}
	}
}
