package filecopytest

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest/scenery"
)

// Victim is a mover between a tree and a store that is killed -9, while users change the tree. The store's test has a TestKilledChild that calls Child with it: that is the process that is killed.
type Victim struct {
	scenery.Tree
	// Kills is how many movers are killed, each after Least points and up to Span-1 more.
	Kills, Least, Span int
	// Readers are how many read the target side by side.
	Readers int
	// Still says that the source is held still while a set of it is made, so that each set is one version of it. Whole says that the target shows
	// a new directory in one step.
	Still, Whole bool
	// Open opens the job for a process that works in a directory, with dir/mover as the mover's, and a store at an address. It calls say at each
	// point where it may be killed, with a word for it.
	Open func(ctx context.Context, dir, at string, say func(where string)) (Errand, error)
}

// Errand is a job with its mover.
type Errand struct {
	filecopy.Mover
	Job filecopy.Job
	// Close may be nil.
	Close func()
}

// course is what a store goes through that shows these versions one after the other.
func (v Victim) course(versions []int) scenery.Course {
	return scenery.Course{Scenes: v.Scenes(versions), Sets: v.Still, Whole: v.Whole}
}

// folder is a Ground on this machine.
type folder string

func (f folder) at(path string) string { return filepath.Join(string(f), path) }

// Put replaces each file in one step.
func (f folder) Put(_ context.Context, files map[string]string) error {
	for name, content := range files {
		path := f.at(name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err = errors.Join(err, os.WriteFile(path+".new", []byte(content), 0o644), os.Rename(path+".new", path)); err != nil {
			return err
		}
	}
	return nil
}

func (f folder) Move(_ context.Context, from, to string) error {
	return os.Rename(f.at(from), f.at(to))
}
func (f folder) Remove(_ context.Context, path string) error { return os.RemoveAll(f.at(path)) }
