package local_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/local"
	"github.com/understudy-dr/understudy/filecopy/native"
)

// largeVictim is killed within one file of 16 parts.
func largeVictim() filecopytest.Large {
	return filecopytest.Large{Size: 64 << 20, Kill: 10, Run: runLarge}
}

// finer is a tree whose files have more parts than they need.
type finer struct{ *local.Store }

func (f finer) Describe() filecopy.Description {
	d := f.Store.Describe()
	d.Capabilities.PartSize = func(int64) int64 { return 4 << 20 }
	return d
}

func runLarge(ctx context.Context, dir, _ string, through func(filecopy.Target) filecopy.Target) (filecopy.Set, error) {
	source, err := local.New(local.Config{Root: filepath.Join(dir, "source")})
	if err != nil {
		return filecopy.Set{}, err
	}
	target, err := local.New(local.Config{Root: filepath.Join(dir, "target")})
	if err != nil {
		return filecopy.Set{}, err
	}
	return native.New(filepath.Join(dir, "mover")).Run(ctx, filecopy.Job{Name: "large", Source: source, Target: through(finer{target})}, nil)
}

// TestLargeChild is the process that is killed; on its own it does nothing.
func TestLargeChild(t *testing.T) { largeVictim().Child(t) }

// TestALargeFileGoesOn kills -9 a process in the middle of a large file, and counts what the next one writes.
func TestALargeFileGoesOn(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "target"), 0o755); err != nil {
		t.Fatal(err)
	}
	seen, err := local.New(local.Config{Root: filepath.Join(dir, "target")})
	if err != nil {
		t.Fatal(err)
	}
	largeVictim().GoesOn(t, dir, "", "", finer{seen}, nil)
}
