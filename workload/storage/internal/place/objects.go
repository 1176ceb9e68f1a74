package place

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
)

// shelf is an object store as far as its kinds are alike: trees, and small objects by key beside them.
type shelf interface {
	// Tree opens a tree, and an area for a mover's own objects, by their prefixes.
	Tree(root, area string) (filecopy.Target, error)
	// Names lists what lies right below a prefix that ends with a slash, or what begins with another prefix and lies in the same place; without it.
	Names(ctx context.Context, prefix string) ([]string, error)
	// Put stores an object; with fresh only where none is, and filecopy.ErrChanged where one is.
	Put(ctx context.Context, key string, content []byte, fresh bool) error
	// Get reads one; filecopy.ErrNotFound.
	Get(ctx context.Context, key string) ([]byte, error)
	// Copy copies what lies below a prefix to another, within the store.
	Copy(ctx context.Context, from, to string) error
	// Remove removes what lies below a prefix that ends with a slash, or else one object, in all its versions if it is ours to remove.
	Remove(ctx context.Context, what string) error
}

// warden is what differs from one kind of object store to the next.
type warden interface {
	// Look says who answers, without its mark.
	Look(ctx context.Context) (Identity, error)
	// Check looks at rights and settings for people.
	Check(ctx context.Context) []Note
	// Rules says how a prefix stands, Shut denies ordinary writers, and Lift takes back what Shut did. All may be repeated.
	Rules(ctx context.Context, root string) (Standing, error)
	Shut(ctx context.Context, root string) error
	Lift(ctx context.Context, root string) error
	// Try makes an empty object with an ordinary writer's credential: ErrRefused, ErrUnproven.
	Try(ctx context.Context, key string) error
}

// objectSite is a bucket or a container, or what lies below a prefix of it.
type objectSite struct {
	prefix string
	// late says what the halt cannot prevent there.
	late    string
	connect func(ctx context.Context) (shelf, warden, error)
	greets  greeting

	mu      sync.Mutex
	shelf   shelf
	warden  warden
	checked time.Time
	notes   []Note
}

// The objects that a site has beside its trees, below its prefix.
const (
	ownDir = ".understudy"
	// markName is the object by which a store is known again: buckets and containers have no name of their own that would not pass to
	// another one that is made under their name.
	markName = "store"
)

// checkHolds is how long a look at rights and settings is good for: it costs some requests, and one object that comes and goes.
const checkHolds = time.Hour

// open connects when it is first used.
func (s *objectSite) open(ctx context.Context) (shelf, warden, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shelf == nil {
		sh, w, err := s.connect(ctx)
		if err != nil {
			return nil, nil, err
		}
		s.shelf, s.warden = sh, w
	}
	return s.shelf, s.warden, nil
}

// Close has nothing to close: connections that nobody uses end by themselves.
func (s *objectSite) Close() error { return nil }

// own gives the key of something beside the trees.
func (s *objectSite) own(name string) string { return path.Join(s.prefix, ownDir, name) }

// Look asks who answers, and reads the mark.
func (s *objectSite) Look(ctx context.Context) (Identity, error) {
	id, err := meet(ctx, s.look, s.greets)
	if insecure(err) {
		// Other certificates may be known by the next look.
		s.mu.Lock()
		s.shelf, s.warden = nil, nil
		s.mu.Unlock()
	}
	return id, err
}

func (s *objectSite) look(ctx context.Context) (Identity, error) {
	sh, w, err := s.open(ctx)
	if err != nil {
		return Identity{}, err
	}
	id, err := w.Look(ctx)
	if err != nil {
		return id, err
	}
	id.Super = true
	id.Name = strings.TrimSuffix(id.Name+"/"+s.prefix, "/")
	mark, err := sh.Get(ctx, s.own(markName))
	switch {
	case errors.Is(err, filecopy.ErrNotFound):
		id.Unnamed = true
	case err != nil:
		return id, tellObject(err)
	default:
		id.Name += "#" + string(mark)
	}
	id.Notes = s.check(ctx, w)
	return id, nil
}

// check looks at rights and settings, unless it did so a while ago.
func (s *objectSite) check(ctx context.Context, w warden) []Note {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.checked.IsZero() || time.Since(s.checked) > checkHolds {
		notes := w.Check(ctx)
		if ctx.Err() != nil {
			return s.notes
		}
		s.notes, s.checked = notes, time.Now()
	}
	return s.notes
}

// Name gives the store a mark to know it by. One that it has stays.
func (s *objectSite) Name(ctx context.Context) error {
	sh, _, err := s.open(ctx)
	if err != nil {
		return err
	}
	err = sh.Put(ctx, s.own(markName), []byte(filecopy.NewID()), true)
	if errors.Is(err, filecopy.ErrChanged) {
		return nil
	}
	return tellObject(err)
}

// Tree gives a tree below the prefix.
func (s *objectSite) Tree(p string) Tree {
	return objectTree{s, strings.TrimPrefix(path.Join("/", s.prefix, p), "/")}
}

// objectTree is a tree of an object store. Nothing can be renamed there, so a folder of a link is a name: what it keeps is copied when it gets
// another, and what it stages stays where it is, and is found by a note.
//
//	.curated.understudy/e3/kept/…      what the link of epoch 3 keeps
//	.curated.understudy/e3/staging/…   what it stages
//	.curated.understudy/e5/stages      the name under which the folder e5 stages, where that is another
//	.curated.understudy/bars/e3        the folder e3 is barred: "begun", or "done"
//	.curated.understudy/moving/e5      the folder e5 is being made of the one that is named, and does not count before that is barred, or this is gone
//	.curated.understudy/quarantine/…   of all links
type objectTree struct {
	site *objectSite
	root string
}

// The objects beside a tree.
const (
	keptDir    = "kept"
	stagingDir = "staging"
	barsDir    = "bars"
	movingDir  = "moving"
	stagesName = "stages"
	barBegun   = "begun"
	barDone    = "done"
)

func (t objectTree) at(elements ...string) string {
	return path.Join(append([]string{folderOf(t.root)}, elements...)...)
}

// Store opens the tree. What a link's mover changes goes past the bar of its folder.
func (t objectTree) Store(ctx context.Context, folder string, _ bool) (filecopy.Target, error) {
	sh, _, err := t.site.open(ctx)
	if err != nil {
		return nil, err
	}
	base, err := sh.Tree(t.root, t.at())
	if err != nil || folder == "" {
		return base, err
	}
	if err := t.forsake(ctx, sh, folder); err != nil {
		return nil, err
	}
	from, err := t.stages(ctx, sh, folder)
	if err != nil {
		return nil, err
	}
	g := &barred{base: base, tree: t, folder: folder}
	if g.Target, err = sh.Tree(t.root, t.at(from)); err != nil {
		return nil, err
	}
	g.keep, err = sh.Tree(t.root, t.at(folder))
	return g, err
}

// stages gives the name under which a folder stages.
func (t objectTree) stages(ctx context.Context, sh shelf, folder string) (string, error) {
	name, err := sh.Get(ctx, t.at(folder, stagesName))
	if errors.Is(err, filecopy.ErrNotFound) {
		return folder, nil
	}
	return string(name), tellObject(err)
}

// Folders lists understudy's folder.
func (t objectTree) Folders(ctx context.Context) ([]Folder, error) {
	sh, _, err := t.site.open(ctx)
	if err != nil {
		return nil, err
	}
	names, err := sh.Names(ctx, t.at()+"/")
	if err != nil {
		return nil, tellObject(err)
	}
	var moves map[string]string
	if slices.Contains(names, movingDir) {
		if moves, err = t.moves(ctx, sh); err != nil {
			return nil, err
		}
	}
	var bars []string
	if slices.Contains(names, barsDir) {
		if bars, err = sh.Names(ctx, t.at(barsDir)+"/"); err != nil {
			return nil, tellObject(err)
		}
	}
	var out []Folder
	for _, b := range bars {
		state, err := t.bar(ctx, sh, b)
		if err != nil {
			return nil, err
		}
		out = append(out, Folder{Name: b, Barred: state == barDone})
	}
	barred := out
	for _, n := range names {
		from, moving := moves[n]
		whole := !moving || slices.Contains(barred, Folder{Name: from, Barred: true})
		if n != barsDir && n != movingDir && !slices.Contains(bars, n) && whole {
			out = append(out, Folder{Name: n})
		}
	}
	slices.SortFunc(out, func(a, b Folder) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// bar reads the bar of a folder; empty when it has none.
func (t objectTree) bar(ctx context.Context, sh shelf, folder string) (string, error) {
	state, err := sh.Get(ctx, t.at(barsDir, folder))
	if errors.Is(err, filecopy.ErrNotFound) {
		return "", nil
	}
	return string(state), tellObject(err)
}

// moves gives the folders that are being made of another one, each with the name of that.
func (t objectTree) moves(ctx context.Context, sh shelf) (map[string]string, error) {
	names, err := sh.Names(ctx, t.at(movingDir)+"/")
	if err != nil {
		return nil, tellObject(err)
	}
	out := map[string]string{}
	for _, to := range names {
		from, err := sh.Get(ctx, t.at(movingDir, to))
		switch {
		case err == nil:
			out[to] = string(from)
		case !errors.Is(err, filecopy.ErrNotFound):
			return nil, tellObject(err)
		}
	}
	return out, nil
}

// settle ends the moves that were cut off, before a folder gets another name, and says whether this very move was begun: it is left to go on. Once a folder is
// barred, what it kept is whole under the other name. Before that the other name has a part of it at best, which would be mixed with what is to stand there.
func (t objectTree) settle(ctx context.Context, sh shelf, folder, aside string) (begun bool, err error) {
	moves, err := t.moves(ctx, sh)
	if err != nil {
		return false, err
	}
	for to, from := range moves {
		state, err := t.bar(ctx, sh, from)
		switch {
		case err != nil:
			return false, err
		case from == folder && to == aside:
			begun = true
		case state == barDone:
			err = t.empty(ctx, sh, from, to)
		case from == folder, to == folder, to == aside:
			err = t.empty(ctx, sh, to, to)
		}
		if err != nil {
			return false, err
		}
	}
	return begun, nil
}

// forsake gives up the move that was to make a folder, if it was cut off and who did it has not come back by now.
func (t objectTree) forsake(ctx context.Context, sh shelf, folder string) error {
	from, err := sh.Get(ctx, t.at(movingDir, folder))
	if err != nil {
		return tellObject(filecopy.AbsentIsFine(err))
	}
	state, err := t.bar(ctx, sh, string(from))
	if err != nil || state == barDone {
		return err
	}
	return t.empty(ctx, sh, folder, folder)
}

// empty removes what a folder keeps, and then the note of a move.
func (t objectTree) empty(ctx context.Context, sh shelf, folder, to string) error {
	if err := errors.Join(sh.Remove(ctx, t.at(folder, keptDir)+"/"), sh.Remove(ctx, t.at(folder, stagesName))); err != nil {
		return tellObject(err)
	}
	return tellObject(sh.Remove(ctx, t.at(movingDir, to)))
}

// Bar puts an object where movers look before each change, waits until all of them have looked, and copies what the folder kept. Movers that go
// by the bar change nothing after that; the one request that each of their workers may have had in flight finds nothing to show once Unstage has
// removed what was staged. The folder counts under its new name from the moment when the bar is done.
func (t objectTree) Bar(ctx context.Context, folder, aside string) error {
	sh, _, err := t.site.open(ctx)
	if err != nil {
		return err
	}
	if _, err := t.settle(ctx, sh, folder, aside); err != nil {
		return err
	}
	state, err := t.bar(ctx, sh, folder)
	if err != nil {
		return err
	}
	if state == "" {
		if err := sh.Put(ctx, t.at(barsDir, folder), []byte(barBegun), false); err != nil {
			return tellObject(err)
		}
	}
	if state != barDone {
		if err := t.hand(ctx, sh, folder, aside); err != nil {
			return err
		}
		if err := sh.Put(ctx, t.at(barsDir, folder), []byte(barDone), false); err != nil {
			return tellObject(err)
		}
	}
	return t.empty(ctx, sh, folder, aside)
}

// hand copies what a folder keeps to another name, under which it does not count before it is complete.
func (t objectTree) hand(ctx context.Context, sh shelf, folder, aside string) error {
	if err := wait(ctx, 2*barHolds); err != nil {
		return err
	}
	there, err := sh.Names(ctx, t.at(folder)+"/")
	if err != nil || len(there) == 0 {
		return tellObject(err)
	}
	from, err := t.stages(ctx, sh, folder)
	if err == nil {
		err = sh.Put(ctx, t.at(movingDir, aside), []byte(folder), false)
	}
	if err == nil {
		err = sh.Copy(ctx, t.at(folder, keptDir)+"/", t.at(aside, keptDir)+"/")
	}
	if err == nil {
		err = sh.Put(ctx, t.at(aside, stagesName), []byte(from), false)
	}
	return tellObject(err)
}

// wait waits.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Rename gives a folder that no mover uses another name. It counts there when the note of the move is gone, and the old one is removed after that only.
func (t objectTree) Rename(ctx context.Context, from, to string) (bool, error) {
	sh, _, err := t.site.open(ctx)
	if err != nil || from == "" {
		return false, err
	}
	begun, err := t.settle(ctx, sh, from, to)
	if err != nil {
		return false, err
	}
	taken, err := sh.Names(ctx, t.at(to)+"/")
	if err != nil || len(taken) > 0 && !begun {
		return false, tellObject(err)
	}
	there, err := sh.Names(ctx, t.at(from)+"/")
	if err != nil || len(there) == 0 {
		return false, tellObject(err)
	}
	if err := t.hand(ctx, sh, from, to); err != nil {
		return false, err
	}
	if err := sh.Remove(ctx, t.at(movingDir, to)); err != nil {
		return false, tellObject(err)
	}
	return true, tellObject(sh.Remove(ctx, t.at(from)+"/"))
}

// Remove removes a folder. Of one that is emptied but for its quarantine, which lies elsewhere, the kept objects go with the notes.
func (t objectTree) Remove(ctx context.Context, folder string) error {
	sh, _, err := t.site.open(ctx)
	if err != nil {
		return err
	}
	if name, ok := strings.CutSuffix(folder, "/"+stagingDir); ok {
		return t.Unstage(ctx, name)
	}
	if name, ok := strings.CutSuffix(folder, "/"+keptDir); ok {
		folder = name
	}
	if folder == "" {
		return tellObject(sh.Remove(ctx, t.at()+"/"))
	}
	// Without its bar, nothing would tell that the folder was moved whole.
	if _, err := t.settle(ctx, sh, folder, ""); err != nil {
		return err
	}
	if err := t.Unstage(ctx, folder); err != nil {
		return err
	}
	return tellObject(errors.Join(sh.Remove(ctx, t.at(folder)+"/"), sh.Remove(ctx, t.at(barsDir, folder))))
}

// Unstage removes what a folder staged, the open uploads among it: a late request to show some of it finds nothing.
func (t objectTree) Unstage(ctx context.Context, folder string) error {
	sh, _, err := t.site.open(ctx)
	if err != nil {
		return err
	}
	from, err := t.stages(ctx, sh, folder)
	if err != nil {
		return err
	}
	lots, err := sh.Names(ctx, t.at(from, stagingDir)+"/")
	if err != nil {
		return tellObject(err)
	}
	store, err := sh.Tree(t.root, t.at(from))
	for _, lot := range lots {
		if err == nil {
			err = store.Discard(ctx, lot)
		}
	}
	return tellObject(err)
}

// Staged counts what a folder has staged, and says what could come of it although the folder is barred.
func (t objectTree) Staged(ctx context.Context, folder string) (int, string, error) {
	sh, _, err := t.site.open(ctx)
	if err != nil {
		return 0, "", err
	}
	from, err := t.stages(ctx, sh, folder)
	if err != nil {
		return 0, "", err
	}
	lots, err := sh.Names(ctx, t.at(from, stagingDir)+"/")
	return len(lots), t.site.late, tellObject(err)
}

// Try makes an object below the root, and removes it as ourselves.
func (t objectTree) Try(ctx context.Context, who Who) error {
	sh, w, err := t.site.open(ctx)
	if err != nil {
		return err
	}
	// What our own keys may not remove stays; it is no refusal of a writer's.
	if err := tidy(ctx, sh, path.Join(t.root, filecopy.ProbeName)); err != nil && !errors.Is(err, fs.ErrPermission) {
		return tellObject(err)
	}
	key := path.Join(t.root, probe())
	put := func(ctx context.Context) error { return sh.Put(ctx, key, nil, true) }
	if who == Ordinary {
		put = func(ctx context.Context) error { return w.Try(ctx, key) }
	}
	return tellObject(tried(ctx, put, func(ctx context.Context) error { return sh.Remove(ctx, key) }))
}

// tidy removes probes whose makers were killed; their keys begin with a prefix.
func tidy(ctx context.Context, sh shelf, prefix string) error {
	all, err := sh.Names(ctx, prefix)
	if err != nil {
		return err
	}
	for _, more := range all {
		if !left(filecopy.ProbeName + more) {
			continue
		}
		content, err := sh.Get(ctx, prefix+more)
		if err == nil && len(content) == 0 {
			err = sh.Remove(ctx, prefix+more)
		}
		if filecopy.AbsentIsFine(err) != nil {
			return err
		}
	}
	return nil
}

// Rules says how the tree stands.
func (t objectTree) Rules(ctx context.Context) (Standing, error) {
	_, w, err := t.site.open(ctx)
	if err != nil {
		return Standing{}, err
	}
	s, err := w.Rules(ctx, t.root)
	return s, tellObject(err)
}

// Shut denies ordinary writers.
func (t objectTree) Shut(ctx context.Context) error {
	_, w, err := t.site.open(ctx)
	if err == nil {
		err = w.Shut(ctx, t.root)
	}
	return tellObject(err)
}

// Lift takes back what Shut did.
func (t objectTree) Lift(ctx context.Context) error {
	_, w, err := t.site.open(ctx)
	if err == nil {
		err = w.Lift(ctx, t.root)
	}
	return tellObject(err)
}

// tellObject gives an error of an object store the meaning that it has here.
func tellObject(err error) error {
	var wire net.Error
	var coded *understudy.Error
	switch {
	case err == nil, errors.As(err, &coded), errors.Is(err, ErrRefused), errors.Is(err, ErrUnproven), errors.Is(err, ErrUnreachable):
		return err
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", ErrRefused, err)
	case errors.Is(err, filecopy.ErrBusy), errors.As(err, &wire):
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return err
}
