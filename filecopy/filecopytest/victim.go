package filecopytest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/understudy-dr/understudy/filecopy"
)

// Victim is a mover between a tree and a store that is killed -9, while files of the tree are replaced, renamed, made and removed, with their
// directories too. The store's test has a TestKilledChild that calls Child with it: that is the process that is killed.
type Victim struct {
	// Files are always in the tree, and replaced in each version; others come and go beside them. Pieces says how often the piece of one of them is
	// repeated in it, beyond what its number does, and may be nil.
	Files  int
	Pieces func(i int) int
	// Kills is how many movers are killed, each after Least points and up to Span-1 more.
	Kills, Least, Span int
	// Readers are how many read the target side by side.
	Readers int
	// Still says that the source is held still while a set of it is made, so that each set is one version of it. Whole says that the target shows
	// a new directory in one step.
	Still, Whole bool
	// Open opens the job for a process that works in a directory, with dir/mover as the mover's, and a store at an address. It calls say at each
	// point where it may be killed, with a word for it.
	Open func(ctx context.Context, dir, at string, say func(where string)) (Errand, error)
}

// Errand is a job with its mover.
type Errand struct {
	filecopy.Mover
	Job filecopy.Job
	// Close may be nil.
	Close func()
}

// Ground is a tree as its users change it.
type Ground interface {
	// Put writes files over what is there; missing directories are made.
	Put(ctx context.Context, files map[string]string) error
	// Move renames a file or a directory to a free place.
	Move(ctx context.Context, from, to string) error
	// Remove removes a file, or a directory with all below it.
	Remove(ctx context.Context, path string) error
}

// folder is a Ground on this machine.
type folder string

func (f folder) at(path string) string { return filepath.Join(string(f), path) }

// Put replaces each file in one step.
func (f folder) Put(_ context.Context, files map[string]string) error {
	for name, content := range files {
		path := f.at(name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err = errors.Join(err, os.WriteFile(path+".new", []byte(content), 0o644), os.Rename(path+".new", path)); err != nil {
			return err
		}
	}
	return nil
}

func (f folder) Move(_ context.Context, from, to string) error {
	return os.Rename(f.at(from), f.at(to))
}
func (f folder) Remove(_ context.Context, path string) error { return os.RemoveAll(f.at(path)) }

// Path gives the path of a file that is always there.
func (v Victim) Path(i int) string { return fmt.Sprintf("d%d/f%d", i%3, i) }

// Content gives a version of a file. It tells by itself which it is: its number, version and length are in each piece.
func (v Victim) Content(i, version int) string {
	n := 1 + i*97
	if v.Pieces != nil && i < v.Files {
		n = max(n, v.Pieces(i))
	}
	return strings.Repeat(fmt.Sprintf("<%d.%d.%d>", i, version, n), n)
}

// version gives the version of a file that some content is.
func (v Victim) version(i int, content string) (int, error) {
	piece, _, _ := strings.Cut(content, ">")
	parts := strings.Split(strings.TrimPrefix(piece, "<"), ".")
	version, err := strconv.Atoi(parts[min(1, len(parts)-1)])
	if err == nil && content != v.Content(i, version) {
		err = fmt.Errorf("file %d is torn: %.40q", i, content)
	}
	return version, err
}

// take is one version of one file.
type take struct{ file, version int }

// The files that come, go and move, by their numbers behind those that are always there.
const (
	wanderer = iota
	// movedWhole and movedChanged lie in a directory that is renamed, and the latter is replaced there.
	movedWhole
	movedChanged
	// newFile and newDeep come with a directory and go with it.
	newFile
	newDeep
	// fleeting is there in every other version.
	fleeting
	// rotated is renamed, and made anew under its name.
	rotated
	// left and right change places.
	left
	right
)

// cycle is after how many versions all paths come again.
const cycle = 12

func nth(name string, n, of int) string { return fmt.Sprintf("%s%d", name, n%of) }

// takes says what lies where in a version.
func (v Victim) takes(n int) map[string]take {
	all := map[string]take{
		nth("d0/w", n, 3):         {v.Files + wanderer, 0},
		nth("m", n, 3) + "/x":     {v.Files + movedWhole, 0},
		nth("m", n, 3) + "/s/y":   {v.Files + movedChanged, n},
		nth("new", n, 4) + "/a":   {v.Files + newFile, n},
		nth("new", n, 4) + "/s/b": {v.Files + newDeep, n},
		"log":                     {v.Files + rotated, n},
		[]string{"p", "q"}[n%2]:   {v.Files + left, 0},
		[]string{"q", "p"}[n%2]:   {v.Files + right, 0},
	}
	for i := range v.Files {
		all[v.Path(i)] = take{i, n}
	}
	if n%2 == 0 {
		all["fleeting"] = take{v.Files + fleeting, n}
	}
	for old := max(0, n-2); old < n; old++ {
		all[nth("log.", old+1, 3)] = take{v.Files + rotated, old}
	}
	return all
}

// moves are the renames that lead to a version from the one before, in order, and removals what goes before them.
func moves(n int) [][2]string {
	return [][2]string{
		{nth("d0/w", n-1, 3), nth("d0/w", n, 3)}, {nth("m", n-1, 3), nth("m", n, 3)}, {"log", nth("log.", n, 3)}, {"p", "t"}, {"q", "p"}, {"t", "q"},
	}
}

func removals(n int) []string {
	all := []string{nth("new", n-1, 4)}
	if n%2 == 1 {
		all = append(all, "fleeting")
	}
	if n > 2 {
		all = append(all, nth("log.", n-2, 3))
	}
	return all
}

// below says whether a path is another one, or lies below it.
func below(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// Change brings a tree from the version before to this one.
func (v Victim) Change(ctx context.Context, g Ground, n int) error {
	now := v.takes(n)
	there, err := v.rearrange(ctx, g, n)
	if err != nil {
		return err
	}
	files := map[string]string{}
	for p, t := range now {
		if was, ok := there[p]; !ok || was != t {
			files[p] = v.Content(t.file, t.version)
		}
		delete(there, p)
	}
	if len(there) > 0 {
		return fmt.Errorf("version %d has %v left over", n, there)
	}
	return g.Put(ctx, files)
}

// rearrange removes and renames on the way to a version, and gives what is there then.
func (v Victim) rearrange(ctx context.Context, g Ground, n int) (map[string]take, error) {
	if n == 0 {
		return map[string]take{}, nil
	}
	there := v.takes(n - 1)
	for _, gone := range removals(n) {
		if err := g.Remove(ctx, gone); err != nil {
			return nil, err
		}
		maps.DeleteFunc(there, func(p string, _ take) bool { return below(p, gone) })
	}
	for _, m := range moves(n) {
		if err := g.Move(ctx, m[0], m[1]); err != nil {
			return nil, err
		}
		there = moved(there, m[0], m[1])
	}
	return there, nil
}

// moved gives what is there after a rename.
func moved(there map[string]take, from, to string) map[string]take {
	out := map[string]take{}
	for p, t := range there {
		if below(p, from) {
			p = to + strings.TrimPrefix(p, from)
		}
		out[p] = t
	}
	return out
}

// paths are all that there ever are.
func (v Victim) paths() []string {
	all := map[string]take{}
	for n := range cycle {
		maps.Copy(all, v.takes(n))
	}
	return slices.Sorted(maps.Keys(all))
}

// Scene is what a version shows behind another one; a negative one is none.
func (v Victim) Scene(before, n int) Scene {
	s, was := Scene{}, map[string]take{}
	if before >= 0 {
		was = v.takes(before)
	}
	for p, t := range v.takes(n) {
		now := Shown{Digest: Digest(v.Content(t.file, t.version))}
		if _, there := was[p]; !there && t.file == v.Files+movedChanged && before >= 0 {
			now.Moved = Digest(v.Content(t.file, before))
		}
		s[p] = now
	}
	return s
}

// course is what a store goes through that shows these versions one after the other.
func (v Victim) course(versions []int) Course {
	c := Course{Sets: v.Still, Whole: v.Whole}
	for i, n := range versions {
		before := -1
		if i > 0 {
			before = versions[i-1]
		}
		c.Scenes = append(c.Scenes, v.Scene(before, n))
	}
	return c
}
