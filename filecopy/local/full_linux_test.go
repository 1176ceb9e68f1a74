package local_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/local"
	"github.com/understudy-dr/understudy/filecopy/native"
	"github.com/understudy-dr/understudy/lab"
)

// TestTheDiskIsFullAmidARun copies onto a file system that has no room for a set, and then gives it room.
func TestTheDiskIsFullAmidARun(t *testing.T) {
	disk := lab.OwnDisk(t, "TestTheDiskIsFullAmidARun", 16<<10)
	if disk == nil {
		return
	}
	from := t.TempDir()
	to := filepath.Join(disk.Dir, "tree")
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
	must(t, disk.Fill(256<<10))
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
	must(t, disk.Free())
	_, err = m.Run(t.Context(), job, nil)
	must(t, err)
	for _, name := range []string{"f", "g"} {
		if got, err := os.ReadFile(filepath.Join(to, name)); err != nil || string(got) != large {
			t.Errorf("%s is %.20q, %v", name, got, err)
		}
	}
}
