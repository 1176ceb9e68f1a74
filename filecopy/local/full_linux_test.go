package local_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/local"
	"github.com/understudy-dr/understudy/filecopy/native"
)

// TestTheDiskIsFullAmidARun copies onto a file system that is too small for a set, and then makes it larger. Who may not mount has to make do
// with the meaning of the error.
func TestTheDiskIsFullAmidARun(t *testing.T) {
	from, disk := t.TempDir(), t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=256k"); err != nil {
		t.Logf("no file system of our own: %v", err)
		return
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	to := filepath.Join(disk, "tree")
	must(t, os.Mkdir(to, 0o755))
	must(t, os.WriteFile(filepath.Join(from, "f"), []byte("first"), 0o644))
	source, err := local.New(local.Config{Root: from})
	must(t, err)
	target, err := local.New(local.Config{Root: to})
	must(t, err)
	m := native.New(t.TempDir())
	job := filecopy.Job{Name: "full", Source: source, Target: target}
	_, err = m.Run(t.Context(), job, nil)
	must(t, err)
	large := strings.Repeat("second", 100_000)
	for _, name := range []string{"f", "g"} {
		must(t, os.WriteFile(filepath.Join(from, name), []byte(large), 0o644))
	}
	_, err = m.Run(t.Context(), job, nil)
	var e *understudy.Error
	if !errors.As(err, &e) || e.Code != "US621" {
		t.Errorf("a full disk: %v", err)
	}
	if _, ok := understudy.Explain("US621"); !ok {
		t.Error("US621 has no page")
	}
	if got, err := os.ReadFile(filepath.Join(to, "f")); err != nil || string(got) != "first" {
		t.Errorf("f is %.20q, %v", got, err)
	}
	must(t, unix.Mount("tmpfs", disk, "tmpfs", unix.MS_REMOUNT, "size=16m"))
	_, err = m.Run(t.Context(), job, nil)
	must(t, err)
	for _, name := range []string{"f", "g"} {
		if got, err := os.ReadFile(filepath.Join(to, name)); err != nil || string(got) != large {
			t.Errorf("%s is %.20q, %v", name, got, err)
		}
	}
}
