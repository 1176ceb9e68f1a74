package local_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/local"
	"github.com/understudy-dr/understudy/filecopy/native"
)

// chain gives a path of a length, with elements as long as they may be at most.
func chain(n int) filecopy.Path {
	const most = 255
	var all []string
	for n > most {
		// What is left is never a slash alone.
		take := min(most, n-2)
		all, n = append(all, strings.Repeat("d", take)), n-take-1
	}
	return filecopy.Path(strings.Join(append(all, strings.Repeat("f", n)), "/"))
}

// longest is the longest path that the kernel takes.
const longest = unix.PathMax - 1

func TestLongNamesAreRefused(t *testing.T) {
	s, root := plant(t)
	room := longest - len(root) - 1
	for n, good := range map[int]bool{1: true, 255: true, room - 1: true, room: true, room + 1: false, 2 * room: false} {
		p := chain(n)
		if len(p) != n {
			t.Fatalf("a chain of %d has %d bytes", n, len(p))
		}
		if err := s.CheckName(p); (err == nil) != good || err != nil && !errors.Is(err, filecopy.ErrName) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if err := s.CheckName(filecopy.Path(strings.Repeat("n", 256))); !errors.Is(err, filecopy.ErrName) {
		t.Errorf("an element of 256 bytes: %v", err)
	}
}

// TestTheLongestPathsAreCopied copies what the target can just hold, where staging and the quarantine would lengthen it, deletes it, and then meets
// one byte more, which is refused before anything is staged.
func TestTheLongestPathsAreCopied(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "s"), filepath.Join(dir, "target")
	put := func(p filecopy.Path) string {
		at := filepath.Join(from, string(p))
		must(t, os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte("x"), 0o644))
		return at
	}
	open := func(root string) *local.Store {
		s, err := local.New(local.Config{Root: root})
		must(t, err)
		return s
	}
	job := filecopy.Job{Name: "job", Source: open(from), Target: open(to), Guard: filecopy.Guard{MaxDeletes: 100, MaxShare: 1}}
	mover := native.New(filepath.Join(dir, "mover"))
	run := func() error {
		_, err := mover.Run(t.Context(), job, nil)
		return err
	}
	room := longest - len(to) - 1
	last := put(chain(room))
	put("short")
	must(t, run())
	if b, err := os.ReadFile(filepath.Join(to, string(chain(room)))); err != nil || string(b) != "x" {
		t.Errorf("the longest path: %q, %v", b, err)
	}
	must(t, os.Remove(last), run())
	if _, err := os.Lstat(filepath.Join(to, string(chain(room)))); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the longest path, deleted: %v", err)
	}
	quarantined, err := filepath.Glob(filepath.Join(dir, ".target.understudy/quarantine/*/long-*"))
	if err != nil || len(quarantined) != 1 {
		t.Errorf("the quarantine holds %q, %v", quarantined, err)
	}
	put(chain(room + 1))
	wants(t, "US608", run())
	if staged, err := filepath.Glob(filepath.Join(dir, ".target.understudy/staging/*/*")); err != nil || len(staged) != 0 {
		t.Errorf("%q are staged, %v", staged, err)
	}
	// A twin in the quarantine has a longer name.
	s := open(to)
	for range 2 {
		name := filecopy.Path(strings.Repeat("n", 255))
		must(t, os.WriteFile(filepath.Join(to, string(name)), nil, 0o644), s.Retire(t.Context(), name, "20260102T150405Z-1"))
	}
}

// TestAnAreaWithoutRoomIsRefused retires where the area's own path is nearly as long as a path may be.
func TestAnAreaWithoutRoomIsRefused(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "tree")
	must(t, os.Mkdir(root, 0o755), os.WriteFile(filepath.Join(root, "f"), nil, 0o644))
	s, err := local.New(local.Config{Root: root, Area: filepath.Join(dir, string(chain(longest-len(dir)-20)))})
	must(t, err)
	if err := s.Retire(t.Context(), "f", "20260102T150405Z-1"); !errors.Is(err, filecopy.ErrName) {
		t.Errorf("retiring gives %v", err)
	}
	if _, err := os.Lstat(filepath.Join(root, "f")); err != nil {
		t.Error(err)
	}
}
