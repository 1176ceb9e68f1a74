package filecopytest

import (
	"context"

	"github.com/understudy-dr/understudy/filecopy"
)

// Wrap puts something between a mover and a target, and between it and the trees in which the target puts new directories together out of sight,
// where it does; hidden says that it is one of these. So what stands in between does not keep a mover from the way that it takes at that target. around
// is what stands around the calls that only some targets have, "reveal" and "rescue"; nil is nothing.
func Wrap(to filecopy.Target, wrap func(to filecopy.Target, hidden bool) filecopy.Target, around func(call string, do func() error) error) filecopy.Target {
	if around == nil {
		around = func(_ string, do func() error) error { return do() }
	}
	of, assembles := to.(filecopy.Assembler)
	r, rescues := to.(filecopy.Rescuer)
	w := &wrapped{wrap(to, false), of, to, wrap, around}
	switch {
	case assembles && rescues:
		return &wrappedRescuer{w, rescuing{r, around}}
	case assembles:
		return w
	}
	return w.Target
}

// wrapped is a target that can do what the one within can.
type wrapped struct {
	filecopy.Target
	of     filecopy.Assembler
	within filecopy.Target
	wrap   func(to filecopy.Target, hidden bool) filecopy.Target
	around func(call string, do func() error) error
}

// wrappedRescuer is one at which files can be taken over, and hiddenRescuer a tree that takes them.
type wrappedRescuer struct {
	*wrapped
	rescuing
}

type hiddenRescuer struct {
	filecopy.Target
	rescuing
}

type rescuing struct {
	of     filecopy.Rescuer
	around func(call string, do func() error) error
}

var (
	_ filecopy.Assembler = &wrappedRescuer{}
	_ filecopy.Giver     = &wrappedRescuer{}
	_ filecopy.Holder    = &wrappedRescuer{}
	_ filecopy.Sweeper   = &wrappedRescuer{}
	_ filecopy.Rescuer   = &wrappedRescuer{}
	_ filecopy.Rescuer   = &hiddenRescuer{}
)

func (r rescuing) Rescue(ctx context.Context, lot string, s filecopy.Sealed, e filecopy.Entry) (h filecopy.Handle, err error) {
	err = r.around("rescue", func() (err error) {
		h, err = r.of.Rescue(ctx, lot, s, e)
		return err
	})
	return h, err
}

func (w *wrapped) Assembly(lot string) (filecopy.Target, error) {
	to, err := w.of.Assembly(lot)
	if err != nil {
		return nil, err
	}
	tree := w.wrap(to, true)
	if r, ok := to.(filecopy.Rescuer); ok {
		return &hiddenRescuer{tree, rescuing{r, w.around}}, nil
	}
	return tree, nil
}

func (w *wrapped) Reveal(ctx context.Context, lot string, p filecopy.Path) error {
	return w.around("reveal", func() error { return w.of.Reveal(ctx, lot, p) })
}

// Gives refuses nobody where the target within asks nothing.
func (w *wrapped) Gives(ctx context.Context, owner, group string) error {
	if g, ok := w.within.(filecopy.Giver); ok {
		return g.Gives(ctx, owner, group)
	}
	return nil
}

// Held finds nothing where the target within holds nothing.
func (w *wrapped) Held(ctx context.Context) (func(filecopy.Path) error, error) {
	if h, ok := w.within.(filecopy.Holder); ok {
		return h.Held(ctx)
	}
	return nil, nil
}

// Sweep does nothing where the target within leaves nothing.
func (w *wrapped) Sweep(ctx context.Context, name string) error {
	if s, ok := w.within.(filecopy.Sweeper); ok {
		return s.Sweep(ctx, name)
	}
	return nil
}
