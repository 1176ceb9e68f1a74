package native

import (
	"context"

	"github.com/understudy-dr/understudy/filecopy"
)

// folder is a directory on the way down to the items that are being published. nil is one that is there.
type folder struct {
	path filecopy.Path
	// made is closed when it is there.
	made  chan struct{}
	above *folder
}

// around gives the innermost of the directories that holds a path. Paths come in the order of a walk.
func (f *folder) around(p filecopy.Path) *folder {
	for f != nil && (f.path == p || !p.Below(f.path)) {
		f = f.above
	}
	return f
}

// wait waits until the directory is there.
func (f *folder) wait(ctx context.Context) error {
	if f == nil {
		return nil
	}
	return await(ctx, f.made)
}

// await waits until a channel is closed.
func await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
