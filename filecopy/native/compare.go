package native

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
)

// Compare holds the target's tree against the published manifest.
func (m *Mover) Compare(ctx context.Context, j filecopy.Job, deep bool, found func(filecopy.Difference) error) (filecopy.Comparison, error) {
	d, err := m.open(j, nil)
	if err != nil {
		return filecopy.Comparison{}, err
	}
	defer d.close()
	c := &comparer{desk: d, deep: deep, can: j.Target.Describe().Capabilities, pace: NewPace(j.Limits, d.clock)}
	c.found = func(x filecopy.Difference) error {
		c.out.Differences++
		return found(x)
	}
	err = c.compare(ctx)
	return c.out, named("compare", "", err)
}

// comparer walks manifest and target side by side.
type comparer struct {
	*desk
	deep  bool
	pace  *Pace
	can   filecopy.Capabilities
	view  filecopy.View
	found func(filecopy.Difference) error
	out   filecopy.Comparison
}

func (c *comparer) compare(ctx context.Context) error {
	h, err := c.vault.head(ctx)
	if err != nil {
		return err
	}
	manifest := c.vault.manifest(ctx, h.Layers, &floor{})
	if h.Set.Number == 0 {
		origin, v, err := c.origin(ctx)
		if err != nil {
			return err
		}
		if origin == nil {
			return failure("US612", understudy.KindNotFound, "compare", "no set of job "+c.job.Name+" is published", filecopy.ErrNotFound)
		}
		h, manifest = *origin, turned{v.manifest(ctx, origin.Layers, &floor{})}
	}
	c.out.Set = h.Set
	if c.view, err = c.job.Target.Open(ctx, filecopy.Pin{}); err != nil {
		return err
	}
	defer c.view.Close()
	temp := filepath.Join(c.dir, "compare")
	if err := os.MkdirAll(temp, 0o700); err != nil {
		return directoryFailed(err)
	}
	defer func() { _ = os.RemoveAll(temp) }()
	sorted := newSorter(temp, "target", sortMemory)
	err = c.view.List(ctx, "", func(e filecopy.Entry) error {
		if filecopy.IsProbe(e) {
			return nil
		}
		return sorted.add(&item{Entry: e})
	})
	if err != nil && !errors.Is(err, filecopy.ErrNotFound) {
		return err
	}
	present, err := sorted.sorted()
	if err != nil {
		return err
	}
	kept, have := peek(manifest), peek(present)
	defer kept.close()
	defer have.close()
	return c.walk(ctx, kept, have)
}

func (c *comparer) walk(ctx context.Context, kept, have *peeked) error {
	for {
		if err := firstError(kept.err, have.err); err != nil {
			return err
		}
		if !kept.ok && !have.ok {
			return nil
		}
		path := lowest(kept, have)
		want, got := grab(kept, path), grab(have, path)
		if path == "" {
			continue
		}
		if err := c.path(ctx, path, want, got); err != nil {
			return err
		}
	}
}

// path compares one entry.
func (c *comparer) path(ctx context.Context, path filecopy.Path, want, got *item) error {
	c.out.Compared++
	kind, fields := c.judge(want, got)
	if kind == "" && c.deep && got != nil && got.Kind == filecopy.File {
		same, err := c.read(ctx, got.Entry, want.Sum)
		if err != nil {
			return named("read", path, err)
		}
		if !same {
			kind = filecopy.Altered
		}
	}
	if kind == "" {
		return nil
	}
	d := filecopy.Difference{Path: path, Kind: kind, Fields: fields}
	if kind == filecopy.Altered && want.Kind == filecopy.File && got.Kind == filecopy.File {
		d.Fields, d.Size, d.Sum = c.restyled(want, got), want.Size, want.Sum
	}
	return c.found(d)
}

// restyled gives the attributes that differ.
func (c *comparer) restyled(want, got *item) filecopy.Fields {
	return differing(translate(want.Entry, c.job.Principals).Attributes, got.Attributes, compared&c.can.Attributes)
}

// judge says how an entry differs by what a listing tells.
func (c *comparer) judge(want, got *item) (filecopy.DifferenceKind, filecopy.Fields) {
	switch {
	case want == nil:
		return filecopy.Foreign, 0
	case got == nil && c.lacks(want.Kind):
		return "", 0
	case got == nil:
		return filecopy.Missing, 0
	case want.Kind != got.Kind, want.Kind == filecopy.Symlink && want.Link != got.Link:
		return filecopy.Altered, 0
	case want.Kind == filecopy.File && (want.Size != got.Size || want.TargetVersion != got.Version):
		return filecopy.Altered, 0
	}
	if f := c.restyled(want, got); f != 0 {
		return filecopy.Restyled, f
	}
	return "", 0
}

// lacks says whether the store has no place for a kind.
func (c *comparer) lacks(k filecopy.EntryKind) bool {
	return k == filecopy.Directory && !c.can.Directories || k == filecopy.Symlink && !c.can.Symlinks
}

// read compares every byte, within the job's bandwidth.
func (c *comparer) read(ctx context.Context, e filecopy.Entry, want filecopy.Checksum) (bool, error) {
	r, err := c.view.Read(ctx, e, 0)
	if err != nil {
		return false, err
	}
	defer r.Close()
	sum, size, err := c.pace.Sum(ctx, r)
	c.out.Read += size
	if errors.Is(err, filecopy.ErrCorrupt) {
		return false, nil
	}
	return sum == want, err
}
