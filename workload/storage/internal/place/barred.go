package place

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
)

// barHolds is how long a mover believes what it read of the bar of its folder.
const barHolds = 100 * time.Millisecond

// barred is the tree of an object store as a link's mover has it. Before each change it looks for the bar of its folder.
type barred struct {
	// Target stages, keep keeps, and base has the quarantine, which all links share.
	filecopy.Target
	keep, base filecopy.Target

	tree   objectTree
	folder string

	mu    sync.Mutex
	read  time.Time
	state string
}

// pass refuses what must not be done any more: changes when the bar is there, and looking when the folder has another name by now.
func (b *barred) pass(ctx context.Context, changes bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != barDone && (b.read.IsZero() || time.Since(b.read) > barHolds) {
		sh, _, err := b.tree.site.open(ctx)
		if err != nil {
			return err
		}
		asked := time.Now()
		if b.state, err = b.tree.bar(ctx, sh, b.folder); err != nil {
			return err
		}
		b.read = asked
	}
	if b.state == barDone || b.state != "" && changes {
		return fmt.Errorf("%w: %s", ErrBarred, b.tree.at(barsDir, b.folder))
	}
	return nil
}

// Legible stages so that it can be read.
func (b *barred) Legible() filecopy.Target {
	if to, ok := b.Target.(filecopy.Legible); ok {
		b.Target = to.Legible()
	}
	return b
}

// Begin stages.
func (b *barred) Begin(ctx context.Context, lot string, e filecopy.Entry) (filecopy.Handle, error) {
	if err := b.pass(ctx, true); err != nil {
		return "", err
	}
	return b.Target.Begin(ctx, lot, e)
}

// Write stages.
func (b *barred) Write(ctx context.Context, h filecopy.Handle, p filecopy.Part, r io.Reader) error {
	if err := b.pass(ctx, true); err != nil {
		return err
	}
	return b.Target.Write(ctx, h, p, r)
}

// expecting is a store in which what was staged outlives a halt, and which holds the publishing of a file to what stood there before.
type expecting interface {
	Expect(ctx context.Context, s filecopy.Sealed, e filecopy.Entry) (filecopy.Sealed, error)
}

// maxExpected is how often a file is looked at again because somebody has changed it between the look and its publishing.
const maxExpected = 5

// Publish shows one file. Where it can be held to what stood there before, that is looked at before the bar is: a halt that comes after this look
// at the bar has finished the set, so it has replaced what stood there, and the request is refused whenever it arrives.
func (b *barred) Publish(ctx context.Context, s filecopy.Sealed, e filecopy.Entry) (string, error) {
	to, ok := b.Target.(expecting)
	for try := 1; ; try++ {
		if ok {
			var err error
			if s, err = to.Expect(ctx, s, e); err != nil {
				return "", err
			}
		}
		if err := b.pass(ctx, true); err != nil {
			return "", err
		}
		version, err := b.Target.Publish(ctx, s, e)
		if !ok || try == maxExpected || !errors.Is(err, filecopy.ErrChanged) {
			return version, err
		}
	}
}

// Discard removes what is staged.
func (b *barred) Discard(ctx context.Context, lot string) error {
	if err := b.pass(ctx, true); err != nil {
		return err
	}
	return b.Target.Discard(ctx, lot)
}

// Retire takes away. What somebody wrote meanwhile stays, and is taken away as well unless there is a bar by now.
func (b *barred) Retire(ctx context.Context, p filecopy.Path, quarantine string) error {
	for try := 1; ; try++ {
		if err := b.pass(ctx, true); err != nil {
			return err
		}
		err := b.base.Retire(ctx, p, quarantine)
		if try == maxExpected || !errors.Is(err, filecopy.ErrChanged) {
			return err
		}
	}
}

// Quarantines lists those of all links, and removes old ones.
func (b *barred) Quarantines(ctx context.Context, removeBefore time.Time) ([]filecopy.Quarantine, error) {
	if err := b.pass(ctx, !removeBefore.IsZero()); err != nil {
		return nil, err
	}
	return b.base.Quarantines(ctx, removeBefore)
}

// Keep keeps an object.
func (b *barred) Keep(ctx context.Context, name string, r io.Reader) error {
	if err := b.pass(ctx, true); err != nil {
		return err
	}
	return b.keep.Keep(ctx, name, r)
}

// Kept reads one.
func (b *barred) Kept(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := b.pass(ctx, false); err != nil {
		return nil, err
	}
	return b.keep.Kept(ctx, name)
}

// KeptNames lists them.
func (b *barred) KeptNames(ctx context.Context, prefix string) ([]string, error) {
	if err := b.pass(ctx, false); err != nil {
		return nil, err
	}
	return b.keep.KeptNames(ctx, prefix)
}

// Forget removes one.
func (b *barred) Forget(ctx context.Context, name string) error {
	if err := b.pass(ctx, true); err != nil {
		return err
	}
	return b.keep.Forget(ctx, name)
}
