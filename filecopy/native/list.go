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
	defer p.source.close()
	defer p.kept.close()
	present, looked, err := r.present(ctx)
	if err != nil {
		return err
	}
	defer present.close()
	out, err := createSegment(r.planPath())
	if err != nil {
		return err
	}
	dirs := newSorter(r.runDir(), "dirs", sortMemory)
	pl := &planner{
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
	if err := pl.run(p.source, p.kept, present); err != nil {
		out.abandon()
		return err
	}
	if r.state.Plan.Digest, err = out.finish(true); err != nil {
		return err
	}
	r.state.Tally = pl.tally
	return r.keepLists(ctx, p, dirs)
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
	source, err := r.whole(ctx)
	if err != nil {
		return places{}, err
	}
	origin, v, err := r.origin(ctx)
	if err != nil || origin == nil {
		return places{source: source, kept: r.vault.manifest(ctx, r.head.Layers, &floor{})}, err
	}
	source = restore(source, v.manifest(ctx, origin.Layers, &floor{}), r.job.Source.Describe().Capabilities)
	if r.head.Set.Number > 0 {
		return places{source: source, kept: r.vault.manifest(ctx, r.head.Layers, &floor{})}, nil
	}
	return places{source: source, kept: turned{v.manifest(ctx, origin.Layers, &floor{})}, seeded: true}, nil
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

// whole gives the listing of the source, with what its store leaves out and every target wants.
func (r *run) whole(ctx context.Context) (stream, error) {
	s, err := r.listing(ctx, r.view, "source")
	if err != nil {
		return nil, err
	}
	return imply(s, r.job.Source.Describe().Capabilities), nil
}

// looks says whether the target is listed: to find drift, or because nothing is known about it.
func (r *run) looks() bool { return r.job.Repair || r.head.Set.Number == 0 }

// listing gives a whole tree, sorted, its root included.
func (r *run) listing(ctx context.Context, v filecopy.View, name string) (stream, error) {
	sorted := newSorter(r.runDir(), name, sortMemory)
	root, err := v.Stat(ctx, "")
	if err != nil {
		return nil, err
	}
	if err := sorted.add(&item{Entry: root}); err != nil {
		return nil, err
	}
	err = v.List(ctx, "", func(e filecopy.Entry) error {
		if filecopy.IsProbe(e) {
			return nil
		}
		r.meter.change(func(p *filecopy.Progress) { p.Listed++ })
		return sorted.add(&item{Entry: e})
	})
	if err != nil {
		return nil, err
	}
	return sorted.sorted()
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
func (r *run) present(ctx context.Context) (stream, bool, error) {
	if !r.looks() {
		return empty{}, false, nil
	}
	v, err := r.job.Target.Open(ctx, filecopy.Pin{})
	if err != nil {
		return nil, false, err
	}
	defer v.Close()
	s, err := r.listing(ctx, v, "target")
	if errors.Is(err, filecopy.ErrNotFound) {
		return empty{}, true, nil
	}
	return s, true, err
}
