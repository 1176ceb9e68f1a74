package scenery

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Tree is what users do to a tree from version to version: files are replaced, renamed, made and removed, with their directories too, logs are
// rotated, and two files change places.
type Tree struct {
	// Files are always in the tree, and replaced in each version; others come and go beside them. Pieces says how often the piece of one of them is
	// repeated in it, beyond what its number does, and may be nil.
	Files  int
	Pieces func(i int) int
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

// Path gives the path of a file that is always there.
func (t Tree) Path(i int) string { return fmt.Sprintf("d%d/f%d", i%3, i) }

// Content gives a version of a file. It tells by itself which it is: its number, version and length are in each piece.
func (t Tree) Content(i, version int) string {
	n := 1 + i*97
	if t.Pieces != nil && i < t.Files {
		n = max(n, t.Pieces(i))
	}
	return strings.Repeat(fmt.Sprintf("<%d.%d.%d>", i, version, n), n)
}

// Version gives the version of a file that some content is.
func (t Tree) Version(i int, content string) (int, error) {
	piece, _, _ := strings.Cut(content, ">")
	parts := strings.Split(strings.TrimPrefix(piece, "<"), ".")
	version, err := strconv.Atoi(parts[min(1, len(parts)-1)])
	if err == nil && content != t.Content(i, version) {
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
func (t Tree) takes(n int) map[string]take {
	all := map[string]take{
		nth("d0/w", n, 3):         {t.Files + wanderer, 0},
		nth("m", n, 3) + "/x":     {t.Files + movedWhole, 0},
		nth("m", n, 3) + "/s/y":   {t.Files + movedChanged, n},
		nth("new", n, 4) + "/a":   {t.Files + newFile, n},
		nth("new", n, 4) + "/s/b": {t.Files + newDeep, n},
		"log":                     {t.Files + rotated, n},
		[]string{"p", "q"}[n%2]:   {t.Files + left, 0},
		[]string{"q", "p"}[n%2]:   {t.Files + right, 0},
	}
	for i := range t.Files {
		all[t.Path(i)] = take{i, n}
	}
	if n%2 == 0 {
		all["fleeting"] = take{t.Files + fleeting, n}
	}
	for old := max(0, n-2); old < n; old++ {
		all[nth("log.", old+1, 3)] = take{t.Files + rotated, old}
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
func (t Tree) Change(ctx context.Context, g Ground, n int) error {
	now := t.takes(n)
	there, err := t.rearrange(ctx, g, n)
	if err != nil {
		return err
	}
	files := map[string]string{}
	for p, x := range now {
		if was, ok := there[p]; !ok || was != x {
			files[p] = t.Content(x.file, x.version)
		}
		delete(there, p)
	}
	if len(there) > 0 {
		return fmt.Errorf("version %d has %v left over", n, there)
	}
	return g.Put(ctx, files)
}

// rearrange removes and renames on the way to a version, and gives what is there then.
func (t Tree) rearrange(ctx context.Context, g Ground, n int) (map[string]take, error) {
	if n == 0 {
		return map[string]take{}, nil
	}
	there := t.takes(n - 1)
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

// Paths are all files that there ever are.
func (t Tree) Paths() []string {
	all := map[string]take{}
	for n := range cycle {
		maps.Copy(all, t.takes(n))
	}
	return slices.Sorted(maps.Keys(all))
}

// Scene is what a version shows behind another one; a negative one is none.
func (t Tree) Scene(before, n int) Scene {
	s, was := Scene{}, map[string]take{}
	if before >= 0 {
		was = t.takes(before)
	}
	for p, x := range t.takes(n) {
		now := Shown{Digest: Digest(t.Content(x.file, x.version))}
		if _, there := was[p]; !there && x.file == t.Files+movedChanged && before >= 0 {
			now.Moved = Digest(t.Content(x.file, before))
		}
		s[p] = now
	}
	return s
}

// Scenes are what a copy goes through that shows these versions one after the other.
func (t Tree) Scenes(versions []int) []Scene {
	var all []Scene
	for i, n := range versions {
		before := -1
		if i > 0 {
			before = versions[i-1]
		}
		all = append(all, t.Scene(before, n))
	}
	return all
}
