package native

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
)

const (
	// carrierName is where a carrier's own note lies, beside what the set keeps.
	carrierName = "carrier.json"
	// lookBatch is how many files are compared with the target side by side before they are handed to a carrier.
	lookBatch    = 512
	lookParallel = 32
)

// cargo is what a carrier is to bring for a run. It is written into the data directory, beside the list of the files.
type cargo struct {
	Format int `json:"format"`
	// Taken says whether the carrier took it, Why why or why not.
	Taken  bool   `json:"taken"`
	Why    string `json:"why"`
	Digest string `json:"digest"`
	Files  int64  `json:"files"`
	Bytes  int64  `json:"bytes"`
	// Done says that it was brought, and Carried what the carrier said last.
	Done    bool             `json:"done"`
	Carried filecopy.Carried `json:"carried,omitzero"`
}

// note is what a carrier remembers at the target.
type note struct {
	Format int    `json:"format"`
	Note   []byte `json:"note"`
}

func (r *run) cargoPath() string { return filepath.Join(r.runDir(), "cargo.seg") }

func (c cargo) write(r *run) error {
	raw, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(r.runDir(), "cargo.json"), raw)
}

// carry lets a carrier bring what it is for. What it brought is proven file by file afterwards, in the order of the plan.
func (s *stager) carry(ctx context.Context) error {
	if s.job.Carrier == nil {
		return s.refuseCarried(ctx, s.state.Set.Number)
	}
	c, err := s.loadCargo(ctx)
	if err != nil {
		return err
	}
	s.meter.change(func(p *filecopy.Progress) { p.Why, p.Carried, p.Carrying = c.Why, c.Carried, c.Taken && !c.Done })
	if !c.Taken {
		return nil
	}
	if !c.Done && c.Files > 0 {
		if err := s.job.Carrier.Carry(ctx, s.load(c), s.tellCarried); err != nil {
			return err
		}
		if err := s.at("carried"); err != nil {
			return err
		}
		c.Done, c.Carried = true, s.meter.last().Carried
		if err := c.write(s.run); err != nil {
			return err
		}
	}
	s.meter.change(func(p *filecopy.Progress) { p.Carrying = false })
	list, err := openSegment(s.cargoPath(), c.Digest)
	if err == nil {
		s.brought = peek(list)
	}
	return err
}

func (s *stager) tellCarried(c filecopy.Carried) {
	s.meter.change(func(p *filecopy.Progress) { p.Carried = c })
}

// load gives the cargo to the carrier.
func (s *stager) load(c cargo) filecopy.Load {
	l := s.lotLoad(s.state.Set.Number)
	l.Name, l.Files, l.Bytes = fmt.Sprintf("%s-%.16s", l.Lot, c.Digest), c.Files, c.Bytes
	l.Pin = s.state.Set.Pin
	l.BytesPerSecond = bandwidth(s.job.Limits.Bandwidth, s.clock())
	l.Each = func(ctx context.Context, found func(filecopy.Entry, filecopy.Handle) error) error {
		list, err := openSegment(s.cargoPath(), c.Digest)
		if err != nil {
			return err
		}
		defer list.close()
		for {
			it, ok, err := list.next()
			if err != nil || !ok {
				return err
			}
			if err := firstError(ctx.Err(), found(it.Entry, it.Sealed.Handle)); err != nil {
				return err
			}
		}
	}
	return l
}

// lotLoad is what is known of a load by its lot alone.
func (d *desk) lotLoad(number int64) filecopy.Load {
	name := setName(number, carrierName)
	return filecopy.Load{
		Lot: d.lot(number), Source: d.job.Source, Target: d.job.Target,
		Remember: func(ctx context.Context, b []byte) error {
			return d.vault.keepDocument(ctx, name, note{formatVersion, b})
		},
		Recall: func(ctx context.Context) ([]byte, error) {
			var n note
			_, err := d.vault.document(ctx, name, &n)
			return n.Note, err
		},
	}
}

// refuseCarried refuses to go on without a carrier where one may still be writing.
func (d *desk) refuseCarried(ctx context.Context, number int64) error {
	ok, err := d.vault.document(ctx, setName(number, carrierName), &note{})
	if err != nil || !ok {
		return err
	}
	e := failure("US668", understudy.KindRefused, "stage", "the set was begun with another engine", filecopy.ErrGuard)
	e.Fix = "run it or drop it with the engine with which it was begun"
	return e
}

// release ends what a carrier does for a set that is given up.
func (d *desk) release(ctx context.Context, number int64) error {
	if d.job.Carrier == nil {
		return d.refuseCarried(ctx, number)
	}
	ok, err := d.vault.document(ctx, setName(number, carrierName), &note{})
	if err != nil || !ok {
		return err
	}
	return d.job.Carrier.Drop(ctx, d.lotLoad(number))
}

// loadCargo reads what an earlier process wrote, or asks the carrier and writes it.
func (s *stager) loadCargo(ctx context.Context) (cargo, error) {
	var c cargo
	raw, err := os.ReadFile(filepath.Join(s.runDir(), "cargo.json"))
	if err == nil && json.Unmarshal(raw, &c) == nil && c.Format == formatVersion {
		return c, nil
	}
	t := s.state.Tally
	c = cargo{Format: formatVersion}
	c.Taken, c.Why = s.job.Carrier.Takes(t.Copies, t.CopyBytes)
	if c.Taken {
		if err := s.writeCargo(ctx, &c); err != nil {
			return c, err
		}
	}
	return c, c.write(s.run)
}

// writeCargo lists what the carrier is to bring: what the plan copies and is not staged yet, nor at the target already.
func (s *stager) writeCargo(ctx context.Context, c *cargo) error {
	dock, ok := s.job.Target.(filecopy.Dock)
	if !ok {
		return failure("US667", understudy.KindInvalid, "stage", "nobody else can bring files to "+s.job.Target.Describe().Name, filecopy.ErrUnsupported)
	}
	in, err := openSegment(s.planPath(), s.state.Plan.Digest)
	if err != nil {
		return err
	}
	defer in.close()
	out, err := createSegment(s.cargoPath())
	if err != nil {
		return err
	}
	w := &cargoWriter{stager: s, dock: dock, out: out, cargo: c}
	if err := w.walk(ctx, in); err != nil {
		out.abandon()
		return err
	}
	c.Digest, err = out.finish(true)
	return err
}

// cargoWriter writes the list.
type cargoWriter struct {
	*stager
	dock  filecopy.Dock
	out   *segmentFile
	cargo *cargo
	batch []item
}

func (w *cargoWriter) walk(ctx context.Context, in *fileStream) error {
	left, err := w.heritage(ctx)
	if err != nil {
		return err
	}
	defer left.close()
	for seq := int64(0); ; seq++ {
		it, ok, err := in.next()
		if err != nil {
			return err
		}
		if !ok {
			return w.flush(ctx)
		}
		if err := left.pass(it.Path); err != nil {
			return err
		}
		_, sealed := w.found.sealed[seq]
		if seq < w.found.next || sealed || w.found.begun[seq] != nil || it.Op != opCopy || left.find(&it) != nil {
			continue
		}
		w.batch = append(w.batch, it)
		if len(w.batch) < lookBatch {
			continue
		}
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
}

// flush leaves out what the target has already, and gives the others their berths.
func (w *cargoWriter) flush(ctx context.Context) error {
	there := make([]bool, len(w.batch))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(lookParallel)
	for i := range w.batch {
		g.Go(func() (err error) {
			_, there[i], err = w.already(gctx, w.batch[i])
			if errors.Is(err, filecopy.ErrChanged) || errors.Is(err, filecopy.ErrNotFound) {
				// A live source moved on: that shows when the file is proven.
				err = nil
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i := range w.batch {
		if there[i] {
			continue
		}
		if err := w.add(&w.batch[i]); err != nil {
			return err
		}
	}
	w.batch = w.batch[:0]
	return nil
}

func (w *cargoWriter) add(it *item) error {
	h, err := w.dock.Berth(w.lot(w.state.Set.Number), it.Entry)
	if errors.Is(err, filecopy.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return err
	}
	it.Sealed = filecopy.Sealed{Handle: h}
	w.cargo.Files, w.cargo.Bytes = w.cargo.Files+1, w.cargo.Bytes+it.Size
	return w.out.add(it)
}

// fetched gives the file of a path that a carrier should have brought; nil when it was not asked to. Paths come in their order.
func (s *stager) fetched(p filecopy.Path) (*partial, error) {
	for s.brought != nil && s.brought.ok && s.brought.head.Path.Compare(p) < 0 {
		s.brought.advance()
	}
	if s.brought == nil || !s.brought.at(p) {
		return nil, s.broughtError()
	}
	return &partial{item: s.brought.head, brought: true}, nil
}

func (s *stager) broughtError() error {
	if s.brought == nil {
		return nil
	}
	return s.brought.err
}

// adopt takes a file that a carrier brought, and proves it against what the source's store says of the version that was listed. Whatever
// is wrong with what was brought, the file is copied once more, by the mover.
func (s *stager) adopt(ctx context.Context, it item) (item, error) {
	dock, ok := s.job.Target.(filecopy.Dock)
	if !ok {
		return item{}, filecopy.ErrUnsupported
	}
	if err := dock.Adopt(ctx, it.Sealed.Handle); err != nil {
		return item{}, s.missed(err)
	}
	sum, err := s.view.Sum(ctx, it.Entry)
	if errors.Is(err, filecopy.ErrUnsupported) {
		return item{}, s.missed(err)
	}
	if err != nil {
		return item{}, err
	}
	it.Sum = sum
	if err := compare(it); err != nil {
		return item{}, err
	}
	if it.Sealed, err = s.seal(ctx, it); err != nil {
		return item{}, s.missed(err)
	}
	s.meter.change(func(p *filecopy.Progress) { p.Bytes += it.Size })
	return it, nil
}

// missed is what an error about a file that was brought means.
func (s *stager) missed(err error) error {
	for _, e := range []error{filecopy.ErrNotFound, filecopy.ErrChanged, filecopy.ErrCorrupt, filecopy.ErrUnsupported} {
		if errors.Is(err, e) {
			s.meter.change(func(p *filecopy.Progress) { p.Missed++ })
			return fmt.Errorf("%w: it was not brought whole (%s)", filecopy.ErrCorrupt, err.Error())
		}
	}
	return err
}
