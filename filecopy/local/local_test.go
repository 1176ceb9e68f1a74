package local_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/local"
	"github.com/understudy-dr/understudy/filecopy/native"
)

func fresh(t *testing.T) filecopy.Target {
	t.Helper()
	root := filepath.Join(t.TempDir(), "tree")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := local.New(local.Config{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSuite(t *testing.T) {
	filecopytest.Run(t, filecopytest.Rig{
		Source: fresh,
		Target: fresh,
		Mover:  func(dir string) filecopy.Mover { return native.New(dir) },
		Rot: func(t *testing.T, target filecopy.Target, s filecopy.Sealed) {
			flip(t, filepath.Join(filepath.Dir(target.Describe().Name), ".tree.understudy", "staging", string(s.Handle)))
		},
		Stride: 5,
	})
}

// flip flips a bit of a file's first byte.
func flip(t *testing.T, path string) {
	raw, err := os.ReadFile(path)
	if err == nil {
		raw[0] ^= 1
		err = os.WriteFile(path, raw, 0o600)
	}
	if err != nil {
		t.Error(err)
	}
}

// plant makes a tree and gives its store.
func plant(t *testing.T) (*local.Store, string) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "tree")
	if err := os.MkdirAll(filepath.Join(root, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := local.New(local.Config{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	return s, root
}

// TestNoPathGoesThroughALink puts a link where a directory was: nothing is read, written, renamed or removed behind it.
func TestNoPathGoesThroughALink(t *testing.T) {
	s, root := plant(t)
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "file"), []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, "d")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(root, "d")); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	view, err := s.Open(ctx, filecopy.Pin{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := view.Stat(ctx, "d/file"); !errors.Is(err, filecopy.ErrNotFound) {
		t.Errorf("stat = %v", err)
	}
	e := filecopy.Entry{Path: "d/file", Kind: filecopy.File, Size: 8}
	if _, err := view.Read(ctx, e, 0); err == nil {
		t.Error("read went through")
	}
	h, err := s.Begin(ctx, "lot", e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Publish(ctx, filecopy.Sealed{Handle: h}, e); !errors.Is(err, filecopy.ErrChanged) {
		t.Errorf("publish = %v", err)
	}
	if err := s.SetAttributes(ctx, "d/file", filecopy.Attributes{Mode: 0o600}, filecopy.FieldMode); !errors.Is(err, filecopy.ErrChanged) {
		t.Errorf("set attributes = %v", err)
	}
	if err := s.Retire(ctx, "d/file", "20200101T000000Z-x-1"); err != nil {
		t.Errorf("retire = %v", err)
	}
	got, err := os.ReadFile(filepath.Join(outside, "file"))
	if err != nil || string(got) != "precious" {
		t.Errorf("outside is %q, %v", got, err)
	}
	var seen []filecopy.Entry
	if err := view.List(ctx, "", func(e filecopy.Entry) error { seen = append(seen, e); return nil }); err != nil || len(seen) != 1 || seen[0].Link != outside {
		t.Errorf("listed %+v, %v", seen, err)
	}
}

// TestStrangeEntriesAreNamed meets a pipe, and an owner that nobody knows.
func TestStrangeEntriesAreNamed(t *testing.T) {
	s, root := plant(t)
	if err := syscall.Mkfifo(filepath.Join(root, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	view, err := s.Open(t.Context(), filecopy.Pin{})
	if err != nil {
		t.Fatal(err)
	}
	wants(t, "US618", view.List(t.Context(), "", func(filecopy.Entry) error { return nil }))
	if os.Geteuid() != 0 {
		return
	}
	wants(t, "US617", s.SetAttributes(t.Context(), "d", filecopy.Attributes{Owner: "no such user"}, filecopy.FieldOwner))
}

func wants(t *testing.T, code understudy.Code, err error) {
	t.Helper()
	var e *understudy.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("error = %v, want %s", err, code)
	}
	if _, ok := understudy.Explain(code); !ok {
		t.Errorf("%s has no page", code)
	}
}

func TestConfigurationsAreChecked(t *testing.T) {
	for _, c := range []local.Config{{}, {Root: "relative"}, {Root: "/"}, {Root: "/data/x", Area: "/data/x/below"}, {Root: "/data/x", Area: "relative"}} {
		if _, err := local.New(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

// TestEmptyDirectoriesAreSwept: who is killed in the middle of Forget leaves some.
func TestEmptyDirectoriesAreSwept(t *testing.T) {
	s, root := plant(t)
	kept := filepath.Join(filepath.Dir(root), ".tree.understudy", "kept")
	if err := errors.Join(s.Sweep(t.Context(), "job"), s.Keep(t.Context(), "job/set-2/items/0", strings.NewReader("x"))); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"job/set-1/layer", "job/set-2/layer", "other/set-1"} {
		if err := os.MkdirAll(filepath.Join(kept, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Sweep(t.Context(), "job"); err != nil {
		t.Fatal(err)
	}
	for dir, stays := range map[string]bool{"job/set-1": false, "job/set-2/layer": false, "job/set-2/items/0": true, "other/set-1": true} {
		if _, err := os.Stat(filepath.Join(kept, dir)); (err == nil) != stays {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if err := s.Sweep(t.Context(), "../tree"); !errors.Is(err, filecopy.ErrName) {
		t.Errorf("sweep of what is not kept = %v", err)
	}
}

// TestHalfObjectsAreSwept: who is killed in the middle of Keep leaves one. Those of processes that may live stay.
func TestHalfObjectsAreSwept(t *testing.T) {
	s, root := plant(t)
	kept := filepath.Join(filepath.Dir(root), ".tree.understudy", "kept")
	put := func(name string, age time.Duration) {
		t.Helper()
		path, at := filepath.Join(kept, name), time.Now().Add(-age)
		must(t, os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("half"), 0o600), os.Chtimes(path, at, at))
	}
	stays := func(want map[string]bool) {
		t.Helper()
		for name, there := range want {
			if _, err := os.Stat(filepath.Join(kept, name)); (err == nil) != there {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	put("job/set-1/items/.keep-123", 2*time.Hour)
	put("job/set-2/items/.keep-123", 50*time.Minute)
	put("job/set-3/items/0", 2*time.Hour)
	put("other/.keep-123", 2*time.Hour)
	must(t, s.Sweep(t.Context(), "job"))
	stays(map[string]bool{"job/set-1": false, "job/set-2/items/.keep-123": true, "job/set-3/items/0": true, "other/.keep-123": true})
	// Where few objects are, whoever keeps the next one tidies up.
	put(".keep-456", 50*time.Minute)
	put(".keep-789", 2*time.Hour)
	must(t, s.Keep(t.Context(), "stamp.json", strings.NewReader("x")))
	stays(map[string]bool{".keep-456": true, ".keep-789": false, "stamp.json": true})
}

// writing reads what is written of an object to its end, where it waits.
type writing struct {
	begun, goOn chan struct{}
}

func (w writing) Read([]byte) (int, error) {
	close(w.begun)
	<-w.goOn
	return 0, io.EOF
}

// TestASweepAmidKeepTakesNothingHalf has another member sweep while an object is being kept: a writer in time keeps it whole, and a late one nothing.
func TestASweepAmidKeepTakesNothingHalf(t *testing.T) {
	for name, late := range map[string]bool{"in time": false, "late": true} {
		s, root := plant(t)
		kept := filepath.Join(filepath.Dir(root), ".tree.understudy", "kept", "job")
		w := writing{make(chan struct{}), make(chan struct{})}
		done := make(chan error, 1)
		go func() { done <- s.Keep(t.Context(), "job/head.json", w) }()
		<-w.begun
		half, err := filepath.Glob(kept + "/.keep-*")
		if err != nil || len(half) != 1 {
			t.Fatalf("%s: %q, %v", name, half, err)
		}
		if late {
			at := time.Now().Add(-2 * time.Hour)
			must(t, os.Chtimes(half[0], at, at))
		}
		must(t, s.Sweep(t.Context(), "job"))
		close(w.goOn)
		if err := <-done; (err != nil) != late {
			t.Errorf("%s: keep = %v", name, err)
		}
		names, err := s.KeptNames(t.Context(), "job/")
		if err != nil || (len(names) == 0) != late {
			t.Errorf("%s: kept are %q, %v", name, names, err)
		}
	}
}

// What is forgotten leaves no directory behind: each set has its own.
func TestForgottenObjectsLeaveNoDirectories(t *testing.T) {
	s, root := plant(t)
	for _, name := range []string{"job/head", "job/set-1/layer/0", "job/set-1/layer/1", "job/set-1/items/0"} {
		if err := s.Keep(t.Context(), name, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
	}
	kept := filepath.Join(filepath.Dir(root), ".tree.understudy", "kept")
	for _, step := range []struct{ name, left string }{
		{"job/set-1/items/0", "[job/head job/set-1 job/set-1/layer job/set-1/layer/0 job/set-1/layer/1]"},
		{"job/set-1/layer/1", "[job/head job/set-1 job/set-1/layer job/set-1/layer/0]"},
		{"job/set-1/layer/0", "[job/head]"},
		{"job/set-1/layer/0", "[job/head]"},
		{"job/head", "[]"},
	} {
		if err := s.Forget(t.Context(), step.name); err != nil {
			t.Fatal(err)
		}
		left := []string{}
		err := filepath.WalkDir(kept, func(at string, d fs.DirEntry, err error) error {
			if rel, _ := filepath.Rel(kept, at); rel != "." && rel != "job" {
				left = append(left, rel)
			}
			return err
		})
		if err != nil || fmt.Sprint(left) != step.left {
			t.Errorf("after %s is forgotten: %v, %v", step.name, left, err)
		}
	}
	if _, err := os.Stat(filepath.Join(kept, "job")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the job's directory: %v", err)
	}
}
