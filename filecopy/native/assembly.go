package native

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/filecopy"
)

// assembly is a new directory that is being put together out of sight, with all that it holds.
type assembly struct {
	root filecopy.Path
	to   filecopy.Target
	// above is the directory in which it will be shown.
	above *folder
	// working counts those that put something into it, and failed says that one of them could not.
	working sync.WaitGroup
	failed  atomic.Bool
	// shown is closed when it is in its place.
	shown chan struct{}
}

// holds says whether an entry is put together with the directory. Out of sight paths are longer: what is too deep for that is shown by itself, after
// the rest.
func (a *assembly) holds(p filecopy.Path) bool { return p.Below(a.root) && a.to.CheckName(p) == nil }

// work does something for the directory; where that fails it is not shown. No assembly is none to keep from being shown.
func (a *assembly) work(do func() error) func() error {
	if a == nil {
		return do
	}
	a.working.Add(1)
	return func() error {
		defer a.working.Done()
		err := do()
		if err != nil {
			a.failed.Store(true)
		}
		return err
	}
}

// target gives the tree into which the present items go.
func (p *publisher) target() filecopy.Target {
	if p.whole != nil {
		return p.whole.to
	}
	return p.job.Target
}

// begin puts a directory that the target does not have together out of sight, where the store can show it in one step. It is asked anew after a
// crash: a directory that is there was shown whole.
func (p *publisher) begin(ctx context.Context, it item) error {
	a, ok := p.job.Target.(filecopy.Assembler)
	if !ok || p.whole != nil || it.Kind != filecopy.Directory || it.Op != opMake || it.Path == "" {
		return nil
	}
	_, err := p.live.Stat(ctx, it.Path)
	if !errors.Is(err, filecopy.ErrNotFound) {
		return err
	}
	to, err := a.Assembly(p.ready.assembly())
	if err != nil || to.CheckName(it.Path) != nil {
		return err
	}
	if err := p.raise(ctx, to, it.Path.Dir()); err != nil {
		return err
	}
	p.whole = &assembly{root: it.Path, to: to, above: p.folder, shown: make(chan struct{})}
	return nil
}

// raise makes the directories above an assembly. They are there for the path only; they go with the lot.
func (p *publisher) raise(ctx context.Context, to filecopy.Target, top filecopy.Path) error {
	if p.raised != nil && *p.raised == top {
		return nil
	}
	for _, dir := range append(above(top), top) {
		e := filecopy.Entry{Path: dir, Kind: filecopy.Directory, Attributes: filecopy.Attributes{Mode: 0o700}}
		if err := to.MakeDirectory(ctx, e); err != nil {
			return err
		}
	}
	p.raised = &top
	return nil
}

// above lists the directories above a path, from the root down.
func above(p filecopy.Path) []filecopy.Path {
	if p == "" {
		return nil
	}
	return append(above(p.Dir()), p.Dir())
}

// reveal shows what was put together once the workers are through with it, while the walk goes on; next is the item that it goes on with.
func (p *publisher) reveal(ctx context.Context, g *errgroup.Group, next *item) error {
	a := p.whole
	if a == nil || next != nil && a.holds(next.Path) {
		return nil
	}
	p.whole = nil
	g.Go(func() error {
		a.working.Wait()
		if a.failed.Load() {
			// Whoever could not do its part says why.
			return nil
		}
		err := a.above.wait(ctx)
		if err == nil {
			err = p.job.Target.(filecopy.Assembler).Reveal(ctx, p.ready.assembly(), a.root)
		}
		if err == nil {
			close(a.shown)
		}
		return named("publish", a.root, err)
	})
	if next == nil || !next.Path.Below(a.root) {
		return nil
	}
	// It goes into what is only now shown.
	return await(ctx, a.shown)
}

// makeWay retires what stands where an entry of another kind is to come. After a crash the new one may be there already.
func (p *publisher) makeWay(ctx context.Context, it item) error {
	now, err := p.live.Stat(ctx, it.Path)
	absent := errors.Is(err, filecopy.ErrNotFound)
	if err == nil && now.Kind == it.Kind || absent && it.Kind == filecopy.Directory {
		return nil
	}
	// A store without directories does not find the one where a file is to come, but has what lies below it.
	if err == nil || absent {
		err = p.job.Target.Retire(ctx, it.Path, p.ready.Quarantine)
	}
	return named("publish", it.Path, err)
}
