package native

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/filecopytest/scenery"
	"github.com/understudy-dr/understudy/filecopy/local"
)

// victim copies one local tree to another. Two readers are as good as many, which would only slow down what they watch.
func victim() filecopytest.Victim {
	return filecopytest.Victim{Tree: scenery.Tree{Files: 5}, Kills: 60, Span: 36, Readers: 2, Whole: true, Open: openKilled}
}

// openKilled may be killed at any point of the mover.
func openKilled(_ context.Context, dir, _ string, say func(string)) (filecopytest.Errand, error) {
	source, err := local.New(local.Config{Root: filepath.Join(dir, "source")})
	if err != nil {
		return filecopytest.Errand{}, err
	}
	target, err := local.New(local.Config{Root: filepath.Join(dir, "target")})
	if err != nil {
		return filecopytest.Errand{}, err
	}
	m := New(filepath.Join(dir, "mover"))
	// So that there is something to take over from a mover that lost its directory.
	m.segment = 2
	m.hook = func(point string) error {
		say(point)
		return nil
	}
	job := filecopy.Job{Name: "killed", Source: source, Target: target, Guard: filecopy.Guard{MaxDeletes: 100, MaxShare: 1}}
	return filecopytest.Errand{Mover: m, Job: job}, nil
}

// TestKilledChild is the process that is killed; on its own it does nothing.
func TestKilledChild(t *testing.T) { victim().Child(t) }

// TestKilledAnywhere kills -9 a process at random points of a run while readers look at the target, and lets the next one go on.
func TestKilledAnywhere(t *testing.T) {
	dir := t.TempDir()
	victim().Begin(t, filecopytest.Setting{Dir: dir, Read: func(_ context.Context, path string) (string, error) {
		b, err := os.ReadFile(filepath.Join(dir, "target", path))
		if errors.Is(err, fs.ErrNotExist) {
			err = filecopy.ErrNotFound
		}
		return string(b), err
	}}).Movers()
}
