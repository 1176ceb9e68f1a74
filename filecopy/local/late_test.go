package local_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/local"
)

// TestALateCallChangesNothing stops a mover right before the kernel's call in each call that changes what readers see, with everything open
// that it needs. Then its area is barred, as a halt does it, and the tree has users. When the mover wakes up, nothing of it may stay.
func TestALateCallChangesNothing(t *testing.T) {
	in := func(p string) filecopy.Entry {
		return filecopy.Entry{Path: filecopy.Path(p), Kind: filecopy.Directory, Attributes: filecopy.Attributes{Mode: 0o711, Modified: 1e12}}
	}
	for _, c := range []struct {
		name, stop string
		do         func(*testing.T, *local.Store) error
	}{
		{"a new directory", "mkdir", func(t *testing.T, s *local.Store) error { return s.MakeDirectory(t.Context(), in("new")) }},
		{"attributes of a directory made again", "style", func(t *testing.T, s *local.Store) error { return s.MakeDirectory(t.Context(), in("d")) }},
		{"attributes of a directory", "style", func(t *testing.T, s *local.Store) error {
			return s.SetAttributes(t.Context(), "d", in("d").Attributes, filecopy.AllFields)
		}},
		{"attributes of a file", "style", func(t *testing.T, s *local.Store) error {
			return s.SetAttributes(t.Context(), "d/a", in("d").Attributes, filecopy.AllFields)
		}},
		{"times of a link", "style", func(t *testing.T, s *local.Store) error {
			return s.SetAttributes(t.Context(), "l", in("d").Attributes, filecopy.FieldModified)
		}},
		{"a move", "move to", func(t *testing.T, s *local.Store) error { return s.Move(t.Context(), "d/a", "b") }},
		{"a move of a directory", "move from", func(t *testing.T, s *local.Store) error { return s.Move(t.Context(), "d", "e") }},
		{"a link", "link", func(t *testing.T, s *local.Store) error {
			return s.MakeLink(t.Context(), filecopy.Entry{Path: "x", Kind: filecopy.Symlink, Attributes: filecopy.Attributes{Link: "d/a"}})
		}},
		{"a retirement", "retire", func(t *testing.T, s *local.Store) error { return s.Retire(t.Context(), "d", "q") }},
		{"a file", "publish", publishOne},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			root, area := filepath.Join(dir, "tree"), filepath.Join(dir, ".tree.understudy", "e1")
			s, err := local.New(local.Config{Root: root, Area: area})
			must(t, err, os.MkdirAll(filepath.Join(root, "d"), 0o755), os.MkdirAll(area, 0o700), os.WriteFile(filepath.Join(root, "d", "a"), []byte("old"), 0o644),
				os.Symlink("d", filepath.Join(root, "l")))
			reached, wake, result := make(chan struct{}), make(chan struct{}), make(chan error, 1)
			stopped := false
			local.Reached(s, func(call string) {
				if call == c.stop && !stopped {
					stopped = true
					close(reached)
					<-wake
				}
			})
			go func() { result <- c.do(t, s) }()
			select {
			case <-reached:
			case err := <-result:
				t.Fatalf("it never came to %q: %v", c.stop, err)
			}
			must(t, os.Rename(area, filepath.Join(filepath.Dir(area), "halted-e1")), os.WriteFile(area, nil, 0o400),
				os.WriteFile(filepath.Join(root, "d", "a"), []byte("the users' own"), 0o640), os.Chmod(filepath.Join(root, "d"), 0o750))
			before := look(t, root)
			close(wake)
			err = <-result
			if after := look(t, root); err == nil || after != before {
				t.Errorf("error %v; the tree was\n%sand is\n%s", err, before, after)
			}
		})
	}
}

// publishOne stages and publishes a file.
func publishOne(t *testing.T, s *local.Store) error {
	ctx := t.Context()
	e := filecopy.Entry{Path: "d/a", Kind: filecopy.File, Size: 4, Attributes: filecopy.Attributes{Mode: 0o600, Modified: 1e12}}
	h, err := s.Begin(ctx, "lot", e)
	if err == nil {
		err = s.Write(ctx, h, filecopy.Part{Size: 4}, strings.NewReader("late"))
	}
	if err != nil {
		return err
	}
	sealed, err := s.Seal(ctx, h, e, filecopy.Checksum{})
	if err == nil {
		_, err = s.Publish(ctx, sealed, e)
	}
	return err
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// look writes a tree as text, with modes and times.
func look(t *testing.T, root string) string {
	t.Helper()
	var out strings.Builder
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&out, "%s %v %s", strings.TrimPrefix(path, root), info.Mode(), info.ModTime().UTC().Format(time.RFC3339Nano))
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			fmt.Fprintf(&out, " %q %v", b, err)
		}
		out.WriteString("\n")
		return nil
	}))
	return out.String()
}
