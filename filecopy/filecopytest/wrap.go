package filecopytest

import (
	"context"

	"github.com/understudy-dr/understudy/filecopy"
)

// Wrap puts something between a mover and a target, and between it and the trees in which the target puts new directories together out of sight,
// where it does; hidden says that it is one of these. So what stands in between does not keep a mover from the way that it takes at that target. around
// is what stands around the showing of a directory; nil is nothing.
func Wrap(to filecopy.Target, wrap func(to filecopy.Target, hidden bool) filecopy.Target, around func(reveal func() error) error) filecopy.Target {
	of, ok := to.(filecopy.Assembler)
	if !ok {
		return wrap(to, false)
	}
	if around == nil {
		around = func(reveal func() error) error { return reveal() }
	}
	return &wrapped{wrap(to, false), of, to, wrap, around}
}

// wrapped is a target that can do what the one within can.
type wrapped struct {
	filecopy.Target
	of     filecopy.Assembler
	within filecopy.Target
	wrap   func(to filecopy.Target, hidden bool) filecopy.Target
	around func(reveal func() error) error
}

var (
	_ filecopy.Assembler = &wrapped{}
	_ filecopy.Giver     = &wrapped{}
	_ filecopy.Sweeper   = &wrapped{}
)

func (w *wrapped) Assembly(lot string) (filecopy.Target, error) {
	to, err := w.of.Assembly(lot)
	if err != nil {
		return nil, err
	}
	return w.wrap(to, true), nil
}

func (w *wrapped) Reveal(ctx context.Context, lot string, p filecopy.Path) error {
	return w.around(func() error { return w.of.Reveal(ctx, lot, p) })
}

// Gives refuses nobody where the target within asks nothing.
func (w *wrapped) Gives(ctx context.Context, owner, group string) error {
	if g, ok := w.within.(filecopy.Giver); ok {
		return g.Gives(ctx, owner, group)
	}
	return nil
}

// Sweep does nothing where the target within leaves nothing.
func (w *wrapped) Sweep(ctx context.Context, name string) error {
	if s, ok := w.within.(filecopy.Sweeper); ok {
		return s.Sweep(ctx, name)
	}
	return nil
}
