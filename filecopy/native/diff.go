package native

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/filecopy"
)

const (
	// maxMoves is how many renames of one diff are followed; when there are more, the source is listed instead.
	maxMoves = 1000
	// statBatch is how many entries are asked for at once.
	statBatch = 256
	// statParallel of them are in flight.
	statParallel = 32
)

// increment turns a diff into what a planner needs: the source's entries at the places named by the diff, the manifest there, and the
// renames that can be done as such. What the diff says about a path only means "look there"; only its renames are believed.
type increment struct {
	dir     string
	vault   vault
	base    []layer
	view    filecopy.View
	limit   int
	target  filecopy.Capabilities
	renames []item
	// building are paths to look at although the diff may not name them.
	building []filecopy.Path
	listed   int64
}

// errManyMoves means that listing is the better way.
var errManyMoves = errors.New("more renames than are followed")

// places are the streams of an increment, and what the moves make of the manifest.
type places struct {
	source, kept stream
	moves        []item
	shift        layer
	// seeded says that what is kept is the turned manifest of another job.
	seeded bool
	// listed are the listings that make the source, the older one first; none where a diff does.
	listed []listing
}

func (p *places) close() {
	p.source.close()
	p.kept.close()
}

// forget removes the listings.
func (p *places) forget() {
	for _, l := range p.listed {
		l.remove()
	}
}

// read asks for the diff and looks at its places. prefix is where the shifted layer is kept.
func (n *increment) read(ctx context.Context, from filecopy.Snapshotter, older, newer filecopy.Pin, prefix string) (places, error) {
	changes := filepath.Join(n.dir, "changes")
	if err := n.spool(ctx, from, older, newer, changes); err != nil {
		return places{}, err
	}
	moves, err := n.acceptable(ctx)
	if err != nil {
		return places{}, err
	}
	out := places{moves: moves}
	if out.shift, err = n.shift(ctx, moves, prefix); err != nil {
		return places{}, err
	}
	candidates, err := n.candidates(changes, moves)
	if err != nil {
		return places{}, err
	}
	defer candidates.close()
	scopes := filepath.Join(n.dir, "scopes")
	layers := append(slices.Clone(n.base), out.shift)
	looked, err := n.look(ctx, candidates, scopes, layers)
	if err != nil {
		return places{}, err
	}
	out.source = unprobed{looked}
	in, err := openSegment(scopes, "")
	if err != nil {
		out.source.close()
		return places{}, err
	}
	f := &floor{}
	out.kept = &scoped{stream: n.vault.manifest(ctx, layers, f), scopes: peek(in), floor: f}
	return out, nil
}

// spool writes all changes to a file, and remembers the renames.
func (n *increment) spool(ctx context.Context, from filecopy.Snapshotter, older, newer filecopy.Pin, path string) error {
	out, err := createSegment(path)
	if err != nil {
		return err
	}
	err = from.Diff(ctx, older, newer, func(c filecopy.Change) error {
		n.listed++
		it := item{Entry: filecopy.Entry{Path: c.Path}, From: c.To, Deep: c.Kind != filecopy.Modified}
		if c.Kind == filecopy.Renamed {
			it.Op = opMove
			if len(n.renames) <= n.limit {
				n.renames = append(n.renames, item{Entry: filecopy.Entry{Path: c.To}, From: c.Path, Op: opMove})
			}
		}
		return out.add(&it)
	})
	for i := 0; err == nil && i < len(n.building); i++ {
		err = out.add(&item{Entry: filecopy.Entry{Path: n.building[i]}})
	}
	if err != nil {
		out.abandon()
		return err
	}
	_, err = out.finish(false)
	return err
}

// acceptable gives the renames that are done as renames, in the order of their old paths. The rest is copied: a rename whose ends lie within
// another one's, one whose new place is taken or has no directory in the published set yet, and one whose old place is in use again, as
// when logs are rotated: between the rename and what comes in its place a reader would find nothing there.
func (n *increment) acceptable(ctx context.Context) ([]item, error) {
	if len(n.renames) > n.limit {
		return nil, errManyMoves
	}
	if !n.target.RenameOver {
		return nil, nil
	}
	known, err := n.lookUp(ctx, n.renames)
	if err != nil {
		return nil, err
	}
	var good []item
	for i, r := range n.renames {
		was, there := known[r.From]
		_, taken := known[r.Path]
		above, holds := known[r.Path.Dir()]
		if !there || taken || !holds || above.Kind != filecopy.Directory || n.entangled(i) {
			continue
		}
		again, err := n.stands(ctx, r.From)
		if err != nil {
			return nil, err
		}
		now, err := n.stands(ctx, r.Path)
		if err != nil {
			return nil, err
		}
		if again == nil && now != nil && now.Kind == was.Kind {
			r.Kind = was.Kind
			good = append(good, r)
		}
	}
	slices.SortFunc(good, func(a, b item) int { return a.From.Compare(b.From) })
	return good, nil
}

// stands looks at a path of the source; nil when nothing is there.
func (n *increment) stands(ctx context.Context, p filecopy.Path) (*filecopy.Entry, error) {
	e, err := n.view.Stat(ctx, p)
	if errors.Is(err, filecopy.ErrNotFound) {
		return nil, nil
	}
	return &e, err
}

// entangled says whether a rename shares a place with another one.
func (n *increment) entangled(i int) bool {
	a := n.renames[i]
	return slices.ContainsFunc(n.renames, func(b item) bool {
		if b.From == a.From && b.Path == a.Path {
			return false
		}
		for _, p := range []filecopy.Path{a.From, a.Path} {
			for _, q := range []filecopy.Path{b.From, b.Path} {
				if p.Below(q) || q.Below(p) {
					return true
				}
			}
		}
		return false
	}) || a.Path.Below(a.From) || a.From.Below(a.Path)
}

// lookUp reads the manifest at the ends of renames, and at the directories they go to.
func (n *increment) lookUp(ctx context.Context, renames []item) (map[filecopy.Path]item, error) {
	var want []filecopy.Path
	for _, r := range renames {
		want = append(want, r.From, r.Path, r.Path.Dir())
	}
	slices.SortFunc(want, filecopy.Path.Compare)
	found := map[filecopy.Path]item{}
	f := &floor{}
	in := n.vault.manifest(ctx, n.base, f)
	defer in.close()
	for len(want) > 0 {
		f.path = want[0]
		it, ok, err := in.next()
		if err != nil || !ok {
			return found, err
		}
		for len(want) > 0 && want[0].Compare(it.Path) < 0 {
			want = want[1:]
		}
		for len(want) > 0 && want[0] == it.Path {
			found[it.Path] = it
			want = want[1:]
		}
	}
	return found, nil
}

// shift writes the layer that the moves make of the manifest: everything below the old paths gone, and there again below the new ones.
func (n *increment) shift(ctx context.Context, moves []item, prefix string) (layer, error) {
	if len(moves) == 0 {
		return layer{}, nil
	}
	sorted := newSorter(n.dir, "shift", sortMemory)
	f := &floor{}
	in := n.vault.manifest(ctx, n.base, f)
	defer in.close()
	left := moves
	for len(left) > 0 {
		f.path = left[0].From
		it, ok, err := in.next()
		if err != nil {
			return layer{}, err
		}
		if !ok {
			break
		}
		for len(left) > 0 && !it.Path.Below(left[0].From) && left[0].From.Compare(it.Path) < 0 {
			left = left[1:]
		}
		if len(left) == 0 || !it.Path.Below(left[0].From) {
			continue
		}
		gone := item{Entry: filecopy.Entry{Path: it.Path}, Gone: true}
		it.Path = it.Path.Rebase(left[0].From, left[0].Path)
		if err := firstError(sorted.add(&gone), sorted.add(&it)); err != nil {
			return layer{}, err
		}
	}
	out, err := sorted.sorted()
	if err != nil {
		return layer{}, err
	}
	return n.vault.keepAll(ctx, out, prefix, filepath.Join(n.dir, "shift.seg"))
}

// candidates gives the paths to look at, sorted: each change under its old and its new name, and the directory above it.
func (n *increment) candidates(changes string, moves []item) (stream, error) {
	in, err := openSegment(changes, "")
	if err != nil {
		return nil, err
	}
	defer in.close()
	moved := map[filecopy.Path]bool{}
	for _, m := range moves {
		moved[m.From] = true
	}
	sorted := newSorter(n.dir, "candidates", sortMemory)
	for {
		it, ok, err := in.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			return sorted.sorted()
		}
		deep := it.Deep && !(it.Op == opMove && moved[it.Path])
		for _, p := range n.names(it) {
			if err := addCandidate(sorted, p, deep); err != nil {
				return nil, err
			}
		}
	}
}

// names gives the paths that a change may be about: a change below a renamed directory is named by some stores with the old path.
func (n *increment) names(it item) []filecopy.Path {
	all := []filecopy.Path{it.Path}
	if it.Op == opMove {
		all = append(all, it.From)
	}
	for _, r := range n.renames {
		if it.Path.Below(r.From) && it.Path != r.From {
			all = append(all, it.Path.Rebase(r.From, r.Path))
		}
	}
	return all
}

// addCandidate adds a path and its directory. A sorter keeps the last of equal paths, so deep ones get a name of their own behind
// shallow ones: the flag is part of the sorting by being written as a longer path, which no store has.
func addCandidate(sorted *sorter, p filecopy.Path, deep bool) error {
	it := item{Entry: filecopy.Entry{Path: p}, Deep: deep}
	if deep {
		it.Path = p + deepMark
	}
	if err := sorted.add(&it); err != nil || p == "" {
		return err
	}
	above := item{Entry: filecopy.Entry{Path: p.Dir()}}
	return sorted.add(&above)
}

// deepMark ends the path of a deep candidate. A NUL stands in no path, and sorts right behind the path itself and its directory mark.
const deepMark = "/\x00"

// look reads the source at the candidates, and writes what was looked at as scopes, sorted.
func (n *increment) look(ctx context.Context, candidates stream, scopes string, layers []layer) (stream, error) {
	out, err := createSegment(scopes)
	if err != nil {
		return nil, err
	}
	found := newSorter(n.dir, "found", sortMemory)
	was := &former{floor: &floor{}}
	was.in = n.vault.manifest(ctx, layers, was.floor)
	defer was.in.close()
	in := &batches{in: peek(candidates)}
	for {
		batch, err := in.next()
		if err != nil {
			out.abandon()
			return nil, err
		}
		if len(batch) == 0 {
			break
		}
		if err := n.lookAt(ctx, batch, was, found, out); err != nil {
			out.abandon()
			return nil, err
		}
	}
	if _, err := out.finish(false); err != nil {
		return nil, err
	}
	return found.sorted()
}

// batches gives candidates in batches, one for a path, without those below a deep one.
type batches struct {
	in   *peeked
	deep *filecopy.Path
}

func (b *batches) next() ([]item, error) {
	var batch []item
	for len(batch) < statBatch && b.in.ok {
		it := b.in.head
		b.in.advance()
		if it.Deep {
			it.Path = it.Path[:len(it.Path)-len(deepMark)]
		} else if b.in.at(it.Path + deepMark) {
			continue
		}
		if b.deep != nil && it.Path.Below(*b.deep) {
			continue
		}
		if it.Deep {
			p := it.Path
			b.deep = &p
		}
		batch = append(batch, it)
	}
	return batch, b.in.err
}

// lookAt asks for the entries of a batch, and lists below the deep ones.
func (n *increment) lookAt(ctx context.Context, batch []item, was *former, found *sorter, scopes *segmentFile) error {
	there := make([]bool, len(batch))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(statParallel)
	for i := range batch {
		g.Go(func() error {
			e, err := n.view.Stat(gctx, batch[i].Path)
			if errors.Is(err, filecopy.ErrNotFound) {
				batch[i].Deep = true
				return nil
			}
			if err != nil {
				return err
			}
			batch[i].Entry, there[i] = e, true
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i := range batch {
		if err := was.deepen(&batch[i], there[i]); err != nil {
			return err
		}
		if err := n.note(ctx, batch[i], there[i], found, scopes); err != nil {
			return err
		}
	}
	return nil
}

// note adds what is at and below a candidate, and its scope. What is no directory has its scope deep: a directory may have stood there.
func (n *increment) note(ctx context.Context, it item, there bool, found *sorter, scopes *segmentFile) error {
	deep := it.Deep
	scope := item{Entry: filecopy.Entry{Path: it.Path}, Deep: deep || it.Kind != filecopy.Directory}
	if err := scopes.add(&scope); err != nil || !there {
		return err
	}
	it.Deep = false
	if err := found.add(&it); err != nil || !deep || it.Kind != filecopy.Directory {
		return err
	}
	return n.view.List(ctx, it.Path, func(e filecopy.Entry) error {
		n.listed++
		return found.add(&item{Entry: e})
	})
}

// scoped leaves out what lies in none of the scopes, and lets the reader below skip to them.
type scoped struct {
	stream
	scopes *peeked
	floor  *floor
}

func (s *scoped) next() (item, bool, error) {
	for {
		if !s.scopes.ok {
			return item{}, false, s.scopes.err
		}
		s.floor.path = s.scopes.head.Path
		it, ok, err := s.stream.next()
		if err != nil || !ok {
			return item{}, false, err
		}
		for s.scopes.ok && !within(it.Path, s.scopes.head) && s.scopes.head.Path.Compare(it.Path) < 0 {
			s.scopes.advance()
		}
		if s.scopes.ok && within(it.Path, s.scopes.head) {
			return it, true, nil
		}
	}
}

func within(p filecopy.Path, scope item) bool {
	return p == scope.Path || scope.Deep && p.Below(scope.Path)
}

func (s *scoped) close() {
	s.stream.close()
	s.scopes.close()
}
