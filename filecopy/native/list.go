package native

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/understudy-dr/understudy/filecopy"
)

// writePlan finds out what is to be done: from the diff since the published set where that can be had and is enough, else from a full listing.
func (r *run) writePlan(ctx context.Context) error {
	p, err := r.places(ctx)
	if err != nil {
		return err
	}
	defer func() { p.forget() }() // of the listings that there are then
	present, looked, err := r.present(ctx)
	if err != nil {
		p.close()
		return err
	}
	defer present.remove()
	dirs, err := r.match(ctx, p, present, looked)
	for n := 2; n <= maxTries && errors.Is(err, errDoubt); n++ {
		if p, err = r.again(ctx, p, n); err == nil {
			dirs, err = r.match(ctx, p, present, looked)
		}
	}
	if errors.Is(err, errDoubt) {
		return undecided(err)
	}
	if err != nil {
		return err
	}
	return r.keepLists(ctx, p, dirs)
}

// match writes the plan, and gives the directories whose times are to be set again when all is done.
func (r *run) match(ctx context.Context, p places, present listing, looked bool) (*sorter, error) {
	defer p.close()
	there, err := present.open()
	if err != nil {
		return nil, err
	}
	defer there.close()
	out, err := createSegment(r.planPath())
	if err != nil {
		return nil, err
	}
	dirs := newSorter(r.runDir(), "dirs", sortMemory)
	pl := &planner{
		once:       len(p.listed) == 1 && !r.state.Set.Consistent,
		comparable: r.state.Set.Root == r.head.Set.Root || p.seeded,
		looked:     looked,
		seeded:     p.seeded,
		leaveRoot:  r.job.LeaveRoot,
		source:     r.job.Source.Describe().Capabilities,
		target:     r.job.Target.Describe().Capabilities,
		names:      r.job.Principals,
		check:      r.job.Target.CheckName,
		emit:       out.add,
		touch:      dirs.add,
	}
	if g, ok := r.job.Target.(filecopy.Giver); ok {
		pl.gives = func(e filecopy.Entry) error { return g.Gives(ctx, e.Owner, e.Group) }
	}
	if err := pl.run(p.source, p.kept, there); err != nil {
		out.abandon()
		dirs.abandon()
		return nil, err
	}
	r.state.Tally = pl.tally
	r.state.Plan.Digest, err = out.finish(true)
	return dirs, err
}

// listName names a list that the plan keeps.
func (r *run) listName(list string) string { return planName(r.state.Set.Number, r.state.ID, list) }

func (r *run) planPath() string { return filepath.Join(r.runDir(), "plan.seg") }

// keepLists keeps what publishing needs beside the items.
func (r *run) keepLists(ctx context.Context, p places, dirs *sorter) error {
	sorted, err := dirs.sorted()
	if err != nil {
		return err
	}
	if r.state.Dirs, err = r.vault.keepAll(ctx, sorted, r.listName("dirs"), r.temp("dirs")); err != nil {
		return err
	}
	r.state.Shift = p.shift
	moves := newSorter(r.runDir(), "moves", sortMemory)
	for i := range p.moves {
		if err := moves.add(&p.moves[i]); err != nil {
			return err
		}
	}
	if sorted, err = moves.sorted(); err != nil {
		return err
	}
	r.state.Moves, err = r.vault.keepAll(ctx, sorted, r.listName("moves"), r.temp("moves"))
	return err
}

func (r *run) temp(name string) string { return filepath.Join(r.runDir(), name+".temp") }

// places gives the source's and the manifest's entries that are to be compared.
func (r *run) places(ctx context.Context) (places, error) {
	if from, ok := r.canDiff(ctx); ok {
		n := &increment{
			dir: r.runDir(), vault: r.vault, base: r.head.Layers, view: r.view, limit: maxMoves, building: r.head.Set.Building,
			target: r.job.Target.Describe().Capabilities,
		}
		p, err := n.read(ctx, from, r.head.Set.Pin, r.state.Set.Pin, r.listName("shift"))
		if err == nil || !errors.Is(err, filecopy.ErrPinLost) && !errors.Is(err, errManyMoves) {
			return p, err
		}
	}
	l, err := r.listing(ctx, r.view, "source", func(p *filecopy.Progress) { p.Listed++ })
	if err != nil {
		return places{}, err
	}
	return r.beside(ctx, l)
}

// beside gives the source as it was listed, and what is kept of it.
func (r *run) beside(ctx context.Context, listed ...listing) (places, error) {
	out := places{listed: listed}
	var err error
	if out.source, err = r.whole(listed); err != nil {
		return out, err
	}
	origin, v, err := r.origin(ctx)
	if err != nil {
		out.source.close()
		return out, err
	}
	if origin != nil {
		out.source = restore(out.source, v.manifest(ctx, origin.Layers, &floor{}), r.job.Source.Describe().Capabilities)
	}
	out.kept = r.vault.manifest(ctx, r.head.Layers, &floor{})
	if origin != nil && r.head.Set.Number == 0 {
		out.kept, out.seeded = turned{v.manifest(ctx, origin.Layers, &floor{})}, true
	}
	return out, nil
}

// turned reads the manifest of a job in the other direction: its target is our source.
type turned struct{ stream }

func (t turned) next() (item, bool, error) {
	it, ok, err := t.stream.next()
	it.Version, it.TargetVersion = it.TargetVersion, it.Version
	return it, ok, err
}

// canDiff says whether the diff since the published set can be had, and is enough.
func (r *run) canDiff(ctx context.Context) (filecopy.Snapshotter, bool) {
	from, ok := r.job.Source.(filecopy.Snapshotter)
	was := r.head.Set
	if !ok || !r.job.Source.Describe().Capabilities.Diff || was.Pin.Name == "" || was.Root != r.state.Set.Root {
		return nil, false
	}
	if r.job.Relist || was.ManyBuilding || r.looks() || r.job.Origin != "" {
		return nil, false
	}
	pins, err := from.Pins(ctx)
	return from, err == nil && holds(pins, was.Pin)
}

// whole gives the source as one listing shows it, or two that followed one another, with what its store leaves out and every target wants.
func (r *run) whole(listed []listing) (stream, error) {
	var out stream
	for _, l := range listed {
		in, err := l.open()
		if err != nil {
			if out != nil {
				out.close()
			}
			return nil, err
		}
		in = imply(in, r.job.Source.Describe().Capabilities)
		if out != nil {
			in = &united{older: peek(out), newer: peek(in)}
		}
		out = in
	}
	return out, nil
}

// looks says whether the target is listed: to find drift, or because nothing is known about it.
func (r *run) looks() bool { return r.job.Repair || r.head.Set.Number == 0 }

// listing gives a whole tree, sorted, its root included.
func (r *run) listing(ctx context.Context, v filecopy.View, name string, count func(*filecopy.Progress)) (listing, error) {
	sorted := newSorter(r.runDir(), name, sortMemory)
	root, err := v.Stat(ctx, "")
	if err != nil {
		return listing{}, err
	}
	if err := sorted.add(&item{Entry: root}); err != nil {
		return listing{}, err
	}
	err = v.List(ctx, "", func(e filecopy.Entry) error {
		if filecopy.IsProbe(e) {
			return nil
		}
		r.meter.change(count)
		return sorted.add(&item{Entry: e})
	})
	if err != nil {
		return listing{}, err
	}
	return sorted.listing()
}

// origin gives the published set of the job that once wrote our source, and where its manifest is; nil when there is none.
func (d *desk) origin(ctx context.Context) (*head, vault, error) {
	keeper, ok := d.job.Source.(filecopy.Keeper)
	if d.job.Origin == "" || !ok {
		return nil, vault{}, nil
	}
	v := vault{job: d.job.Origin, keeper: keeper, cache: d.vault.cache}
	h, err := v.head(ctx)
	if err != nil || h.Set.Number == 0 {
		return nil, v, err
	}
	return &h, v, nil
}

// present lists the target where that is needed.
func (r *run) present(ctx context.Context) (listing, bool, error) {
	if !r.looks() {
		return listing{}, false, nil
	}
	v, err := r.job.Target.Open(ctx, filecopy.Pin{})
	if err != nil {
		return listing{}, false, err
	}
	defer v.Close()
	l, err := r.listing(ctx, v, "target", func(p *filecopy.Progress) { p.Listed++ })
	if errors.Is(err, filecopy.ErrNotFound) {
		return listing{}, true, nil
	}
	return l, true, err
}
