package native

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/local"
)

// victim copies one local tree to another. Two readers are as good as many, which would only slow down what they watch.
func victim() filecopytest.Victim {
	return filecopytest.Victim{Files: 12, Kills: 60, Span: 3 * 12, Readers: 2, Run: runKilled}
}

// runKilled may be killed at any point of the mover.
func runKilled(ctx context.Context, dir, _ string, say func()) (filecopy.Set, error) {
	source, err := local.New(local.Config{Root: filepath.Join(dir, "source")})
	if err != nil {
		return filecopy.Set{}, err
	}
	target, err := local.New(local.Config{Root: filepath.Join(dir, "target")})
	if err != nil {
		return filecopy.Set{}, err
	}
	m := New(filepath.Join(dir, "mover"))
	m.hook = func(string) error {
		say()
		return nil
	}
	return m.Run(ctx, filecopy.Job{Name: "killed", Source: source, Target: target, Guard: filecopy.Guard{MaxDeletes: 10, MaxShare: 1}}, nil)
}

// TestKilledChild is the process that is killed; on its own it does nothing.
func TestKilledChild(t *testing.T) { victim().Child(t) }

// TestKilledAnywhere kills -9 a process at random points of a run while readers look at the target, and lets the next one go on.
func TestKilledAnywhere(t *testing.T) {
	dir := t.TempDir()
	victim().Begin(t, dir, "", func(_ context.Context, path string) (string, error) {
		b, err := os.ReadFile(filepath.Join(dir, "target", path))
		return string(b), err
	}).Movers()
}
