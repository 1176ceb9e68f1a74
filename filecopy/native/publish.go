package native

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
)

const (
	// publishParallel is how many entries are retired, or get their last attributes, at once.
	publishParallel = 16
	// handedOver is how many items are given to workers ahead of their turn. Most of them wait for the directory above, or for a place.
	handedOver = 512
	// maxLayers is how many layers a manifest may have; beyond, all become one.
	maxLayers = 8
)

// publisher makes a ready set visible. All it needs is at the target, so that any member can do it, also again.
type publisher struct {
	*desk
	head  head
	ready ready
	live  filecopy.View
	// again copies a staged file anew that is gone or damaged; nil when there is no source.
	again func(context.Context, item) (item, error)
	order *order
	list  *listWriter
	gate  *gate
	// folder is the directory that holds the present items.
	folder *folder
	// raised is the directory that was made last to stand above an assembly.
	raised *filecopy.Path
	// whole is the new directory to which the present items belong; nil where they are shown one by one.
	whole *assembly
	// resumed is the last path whose new line of the manifest is kept already.
	resumed *filecopy.Path
}

// publish rolls a ready set forward. r is the run that made it, nil when there is no source.
func (d *desk) publish(ctx context.Context, h head, rd ready, r *run) (filecopy.Set, error) {
	if rd.Base != h.Set.ID || rd.Set.Number != h.Set.Number+1 {
		return filecopy.Set{}, failure("US614", understudy.KindBroken, "publish", "the ready set does not follow the published one", filecopy.ErrGuard)
	}
	d.meter.change(func(p *filecopy.Progress) { p.Phase, p.TotalEntries = filecopy.PhasePublish, rd.Items.Items })
	p := &publisher{desk: d, head: h, ready: rd, gate: newGate(d.job.Limits.MinParallel, d.job.Limits.MaxParallel, d.clock)}
	d.meter.allowed = p.gate.allowed
	if r != nil {
		defer r.closeViews()
		p.again = func(ctx context.Context, it item) (item, error) { return r.restage(ctx, rd, it) }
	}
	err := p.clear(ctx)
	if err == nil {
		err = p.mark(ctx)
	}
	if err == nil {
		err = d.at("show")
	}
	if err == nil {
		p.live, err = d.job.Target.Open(ctx, filecopy.Pin{})
	}
	if err != nil {
		return filecopy.Set{}, named("publish", "", err)
	}
	defer p.live.Close()
	next, err := p.show(ctx)
	if err == nil {
		err = d.at("head")
	}
	if err == nil {
		err = d.vault.keepDocument(ctx, headName, next)
	}
	if err == nil {
		err = d.clean(ctx, next, rd)
	}
	if err != nil {
		return filecopy.Set{}, named("publish", "", err)
	}
	d.meter.change(func(p *filecopy.Progress) { p.Phase = filecopy.PhaseDone })
	return next.Set, nil
}

// mark says that from now on there is only the way forward, and with which set, so that nothing that comes late can put another one in its place.
func (p *publisher) mark(ctx context.Context) error {
	_, other, err := p.vault.claimant(ctx, p.ready)
	if err != nil {
		return err
	}
	if other {
		return failure("US614", understudy.KindBroken, "publish", "another member has claimed the set that was ready", filecopy.ErrGuard)
	}
	return p.vault.keepDocument(ctx, showingName(p.ready.Set.Number), p.ready)
}

// clear refuses a set that takes away what the target holds in its place, while readers see nothing of it. Of one that is shown in part, all that can
// be is shown before the call fails that cannot succeed.
func (p *publisher) clear(ctx context.Context) error {
	at, ok := p.job.Target.(filecopy.Holder)
	if !ok || p.ready.Clears+p.ready.Moves.Items == 0 {
		return nil
	}
	if shown, err := p.vault.shown(ctx, p.ready); err != nil || shown {
		return err
	}
	held, err := at.Held(ctx)
	if err != nil || held == nil {
		return err
	}
	for _, l := range []layer{p.ready.Moves, p.ready.Items} {
		if err := p.unheld(ctx, l, held); err != nil {
			return err
		}
	}
	return nil
}

// unheld wants nothing to be held of what a list takes from its place.
func (p *publisher) unheld(ctx context.Context, l layer, held func(filecopy.Path) error) error {
	in := p.vault.stream(ctx, l, &floor{})
	defer in.close()
	for {
		it, ok, err := in.next()
		if err != nil || !ok {
			return err
		}
		switch {
		case it.Op == opMove:
			err = held(it.From)
		case it.Op == opRetire || it.First:
			err = held(it.Path)
		}
		if err != nil {
			return err
		}
	}
}

// show does all that readers see, and gives the head that says so: renames, then directories, links and files in the order of
// paths, then deletes, then the attributes of directories, whose times the rest has moved.
func (p *publisher) show(ctx context.Context) (head, error) {
	if err := p.each(ctx, p.ready.Moves, 1, opMove, p.move); err != nil {
		return head{}, err
	}
	items, err := p.items(ctx)
	if err != nil {
		return head{}, err
	}
	p.meter.change(func(g *filecopy.Progress) { g.Phase = filecopy.PhaseDelete })
	if err := p.each(ctx, p.ready.Items, publishParallel, opRetire, p.retire); err != nil {
		return head{}, err
	}
	if err := p.each(ctx, p.ready.Dirs, publishParallel, opNone, p.restyle); err != nil {
		return head{}, err
	}
	next := head{Format: formatVersion, Set: p.ready.Set}
	next.Set.PublishedAt = p.clock().UTC()
	next.Layers, err = p.layers(ctx, items)
	return next, err
}

// each does something for all items of a list that have the op, some at a time.
func (p *publisher) each(ctx context.Context, l layer, parallel int, only op, do func(context.Context, item) error) error {
	in := p.vault.stream(ctx, l, &floor{})
	defer in.close()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for ctx.Err() == nil {
		it, ok, err := in.next()
		if err != nil || !ok {
			return firstError(g.Wait(), err)
		}
		if it.Op == only {
			g.Go(func() error { return named("publish", it.Path, do(ctx, it)) })
		}
	}
	return firstError(g.Wait(), ctx.Err())
}

// move renames. When it happened before a crash, the old path is gone and the new one is there; what was shown since may stand in the way of the
// old path, so the store may refuse in any words.
func (p *publisher) move(ctx context.Context, it item) error {
	err := p.job.Target.Move(ctx, it.From, it.Path)
	if err == nil {
		return nil
	}
	_, old := p.live.Stat(ctx, it.From)
	_, now := p.live.Stat(ctx, it.Path)
	if !errors.Is(old, filecopy.ErrNotFound) || now != nil && !errors.Is(now, filecopy.ErrNotFound) {
		return err
	}
	if now == nil {
		return nil
	}
	e := failure("US615", understudy.KindBroken, "publish", fmt.Sprintf("neither %q nor %q is at the target any more", it.From, it.Path), err)
	e.Fix = "put it back from the quarantine or a snapshot, then finish"
	return e
}

func (p *publisher) retire(ctx context.Context, it item) error {
	err := p.job.Target.Retire(ctx, it.Path, p.ready.Quarantine)
	if err == nil {
		p.meter.change(func(g *filecopy.Progress) { g.Deleted++ })
	}
	return err
}

func (p *publisher) restyle(ctx context.Context, it item) error {
	return p.job.Target.SetAttributes(ctx, it.Path, shown(it, p.job.Principals).Attributes, filecopy.AllFields&^filecopy.FieldBlockSize)
}

// items publishes all entries, and writes the layer of the manifest that says what the target has now.
func (p *publisher) items(ctx context.Context) (layer, error) {
	p.list = p.vault.writer(setName(p.ready.Set.Number, "layer"), p.dir+"/layer.temp")
	defer p.list.abandon()
	if err := p.resume(ctx); err != nil {
		return layer{}, err
	}
	p.meter.change(func(g *filecopy.Progress) { g.Published = p.list.list.Items })
	p.order = newOrder(0, func(_ int64, it *item) error {
		_, err := p.list.add(ctx, it)
		return err
	})
	if err := p.walk(ctx); err != nil {
		return layer{}, err
	}
	return p.list.done(ctx)
}

// resume finds the segments of the layer that are kept already: what they hold is published.
func (p *publisher) resume(ctx context.Context) error {
	for n := 0; ; n++ {
		name := p.list.segmentName(n)
		names, err := p.vault.keeper.KeptNames(ctx, name)
		if err != nil || len(names) == 0 {
			return err
		}
		info, err := p.vault.inspect(ctx, name)
		if err != nil {
			return err
		}
		p.list.list.Segments = append(p.list.list.Segments, info)
		p.list.list.Items += info.Items
		last := filecopy.Path(info.Last)
		p.resumed = &last
	}
}

// inspect reads a kept segment through, and describes it.
func (v vault) inspect(ctx context.Context, name string) (segmentInfo, error) {
	r, err := v.keeper.Kept(ctx, name)
	if err != nil {
		return segmentInfo{}, err
	}
	defer r.Close()
	in, err := newSegmentReader(r, "")
	if err != nil {
		return segmentInfo{}, manifestDamaged(name, err)
	}
	info := segmentInfo{Name: name}
	for {
		it, ok, err := in.next()
		if err != nil {
			return segmentInfo{}, manifestDamaged(name, err)
		}
		if !ok {
			info.Digest = in.sum
			return info, nil
		}
		if info.Items == 0 {
			info.First = []byte(it.Path)
		}
		info.Last = []byte(it.Path)
		info.Items++
	}
}

// walk hands out the items in the order of their paths, and waits until all of them are published.
func (p *publisher) walk(ctx context.Context) error {
	in := p.vault.stream(ctx, p.ready.Items, &floor{})
	defer in.close()
	g, working := errgroup.WithContext(ctx)
	g.SetLimit(handedOver)
	for seq := int64(0); ; {
		it, ok, err := in.next()
		if err == nil && !ok {
			err = p.reveal(working, g, nil)
		}
		if err != nil || !ok {
			// What is not all there is not shown.
			return firstError(g.Wait(), err)
		}
		resumed := p.resumed != nil && it.Path.Compare(*p.resumed) <= 0
		err = p.prepare(working, g, it, resumed)
		if err == nil && !resumed {
			err = p.hand(working, g, seq, it)
			seq++
		}
		if err != nil {
			return firstError(g.Wait(), err)
		}
	}
}

// prepare does what comes before an item, which may be published already.
func (p *publisher) prepare(ctx context.Context, g *errgroup.Group, it item, resumed bool) error {
	if err := p.reveal(ctx, g, &it); err != nil {
		return err
	}
	p.folder = p.folder.around(it.Path)
	if it.First && !resumed {
		if err := p.makeWay(ctx, it); err != nil {
			return err
		}
	}
	return p.begin(ctx, it)
}

// hand gives what takes a call to a worker, which waits for the directory above: directories are there before what they hold.
func (p *publisher) hand(ctx context.Context, g *errgroup.Group, seq int64, it item) error {
	if err := p.order.room(ctx, seq); err != nil {
		return err
	}
	to, above, made := p.target(), p.folder, make(chan struct{})
	if it.Kind == filecopy.Directory {
		p.folder = &folder{path: it.Path, made: made, above: above}
	}
	if it.Op == opKeep || it.Gone || it.Kind == filecopy.Directory && it.Op != opMake {
		close(made)
		return p.entry(ctx, to, seq, it)
	}
	g.Go(p.whole.work(func() error {
		err := above.wait(ctx)
		if err == nil {
			err = p.gate.enter(ctx)
		}
		if err != nil {
			return err
		}
		err = p.entry(ctx, to, seq, it)
		p.gate.leave(0, false)
		if err == nil {
			close(made)
		}
		return err
	}))
	return nil
}

// entry publishes one item, and passes on its line of the manifest.
func (p *publisher) entry(ctx context.Context, to filecopy.Target, seq int64, it item) error {
	version, err := p.publishOne(ctx, to, it)
	if p.again != nil && it.Op == opCopy && (errors.Is(err, filecopy.ErrNotFound) || errors.Is(err, filecopy.ErrCorrupt)) {
		if it, err = p.again(ctx, it); err == nil {
			version, err = p.publishOne(ctx, to, it)
		}
	}
	if err != nil {
		return named("publish", it.Path, lost(it, err))
	}
	p.meter.change(func(g *filecopy.Progress) { g.Published++ })
	line := item{Entry: it.Entry, Inherits: it.Inherits, Gone: it.Gone, TargetVersion: version}
	return p.order.put(seq, line)
}

// publishOne does what is to be done for one item, and gives the entry's version at the target.
func (p *publisher) publishOne(ctx context.Context, t filecopy.Target, it item) (string, error) {
	out := shown(it, p.job.Principals)
	switch it.Op {
	case opMake:
		if it.Kind == filecopy.Symlink {
			return "", t.MakeLink(ctx, out)
		}
		// What follows has to get in; the exact mode is set with the times, at the end.
		out.Mode |= 0o700
		return "", t.MakeDirectory(ctx, out)
	case opCopy:
		return t.Publish(ctx, it.Sealed, out)
	case opStyle:
		if it.Kind == filecopy.Directory {
			return "", nil
		}
		return p.style(ctx, it, out)
	case opNone, opKeep, opRetire, opMove, opSkip:
	}
	return it.TargetVersion, nil
}

// lost names the one thing that can keep a ready set from being finished.
func lost(it item, err error) error {
	if it.Op != opCopy || !errors.Is(err, filecopy.ErrNotFound) {
		return err
	}
	e := failure("US616", understudy.KindBroken, "publish", fmt.Sprintf("the staged file of %q is gone from the target", it.Path), err)
	e.Fix = "run the job with its source: the file is copied again"
	return e
}

// style sets attributes of a file or link, and looks at its version, which some stores change with them.
func (p *publisher) style(ctx context.Context, it item, out filecopy.Entry) (string, error) {
	if err := p.job.Target.SetAttributes(ctx, it.Path, out.Attributes, it.Set); err != nil {
		return "", err
	}
	if it.Kind != filecopy.File {
		return "", nil
	}
	now, err := p.live.Stat(ctx, it.Path)
	return now.Version, err
}

// layers gives the layers of the new manifest. When there are many, or the new ones outweigh the oldest, all are merged into one.
func (p *publisher) layers(ctx context.Context, items layer) ([]layer, error) {
	all := p.head.Layers
	for _, l := range []layer{p.ready.Shift, items} {
		if l.Items > 0 {
			all = append(all[:len(all):len(all)], l)
		}
	}
	if len(all) < 2 {
		return all, nil
	}
	later := int64(0)
	for _, l := range all[1:] {
		later += l.Items
	}
	if len(all) <= maxLayers && later <= all[0].Items/2 {
		return all, nil
	}
	whole, err := p.vault.keepAll(ctx, p.vault.manifest(ctx, all, &floor{}), setName(p.ready.Set.Number, "whole"), p.dir+"/whole.temp")
	return []layer{whole}, err
}

// clean removes what the published set no longer needs. All of it may be repeated, and the next run does so after a crash.
func (d *desk) clean(ctx context.Context, h head, rd ready) error {
	if err := d.job.Target.Discard(ctx, rd.Lot); err != nil {
		return err
	}
	if err := d.vault.forget(ctx, h, "set-", showingName(rd.Set.Number), readyName); err != nil {
		return err
	}
	if err := d.sweep(ctx, sweepEvery); err != nil {
		return err
	}
	if d.job.Guard.Retention > 0 {
		if _, err := d.job.Target.Quarantines(ctx, d.clock().Add(-d.job.Guard.Retention)); err != nil {
			return err
		}
	}
	if err := d.vault.tidy(h); err != nil {
		return err
	}
	return os.RemoveAll(d.runDir())
}

// cleanRemains cleans up after a set that was published right before a crash, which may have come in the middle of that too.
func (d *desk) cleanRemains(ctx context.Context, h head) error {
	var rd ready
	ok, err := d.vault.document(ctx, readyName, &rd)
	if err != nil || !ok {
		return err
	}
	if rd.Set.Number > h.Set.Number {
		// It came late, and nobody believes in it.
		return d.vault.keeper.Forget(ctx, d.vault.name(readyName))
	}
	if err := d.sweep(ctx, 0); err != nil {
		return err
	}
	return d.clean(ctx, h, rd)
}

// sweepEvery is how often what killed processes left is looked for: it costs a listing of all that is kept.
const sweepEvery = 24 * time.Hour

// sweep removes what killed processes left of what they kept or forgot, unless this member did so within the given time.
func (d *desk) sweep(ctx context.Context, every time.Duration) error {
	s, ok := d.vault.keeper.(filecopy.Sweeper)
	if !ok {
		return nil
	}
	mark, now := filepath.Join(d.dir, "swept"), d.clock()
	info, err := os.Stat(mark)
	if err == nil && now.Sub(info.ModTime()) < every && !info.ModTime().After(now) {
		return nil
	}
	if err := s.Sweep(ctx, d.vault.job); err != nil {
		return err
	}
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		return directoryFailed(err)
	}
	return os.Chtimes(mark, now, now)
}
