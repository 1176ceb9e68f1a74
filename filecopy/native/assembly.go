package native

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/filecopy"
)

// assembly is a new directory that is being put together out of sight, with all that it holds.
type assembly struct {
	root filecopy.Path
	to   filecopy.Target
}

// holds says whether an entry is put together with the directory. Out of sight paths are longer: what is too deep for that is shown by itself, after
// the rest.
func (a *assembly) holds(p filecopy.Path) bool { return p.Below(a.root) && a.to.CheckName(p) == nil }

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
	to, err := a.Assembly(p.ready.Lot)
	if err != nil || to.CheckName(it.Path) != nil {
		return err
	}
	// The directories above are there for the path only; they go with the lot.
	for _, dir := range above(it.Path) {
		e := filecopy.Entry{Path: dir, Kind: filecopy.Directory, Attributes: filecopy.Attributes{Mode: 0o700}}
		if err := to.MakeDirectory(ctx, e); err != nil {
			return err
		}
	}
	p.whole = &assembly{root: it.Path, to: to}
	return nil
}

// above lists the directories above a path, from the root down.
func above(p filecopy.Path) []filecopy.Path {
	if p == "" {
		return nil
	}
	return append(above(p.Dir()), p.Dir())
}

// reveal shows what was put together once the workers are through with it.
func (p *publisher) reveal(ctx context.Context, g *errgroup.Group) error {
	if err := g.Wait(); err != nil || p.whole == nil {
		return err
	}
	root := p.whole.root
	p.whole = nil
	return named("publish", root, p.job.Target.(filecopy.Assembler).Reveal(ctx, p.ready.Lot, root))
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
