package scenery

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Scene is what one set shows, by path; a path that is not in it is not there.
type Scene map[string]Shown

// Shown is what a path shows, as digests.
type Shown struct {
	Digest string
	// Moved is what it may show right before: the file as it came from its old path, when it was both renamed and changed.
	Moved string
}

// Course is what a tree goes through, scene by scene. Readers see it in this order, and never go back.
type Course struct {
	Scenes []Scene
	// Sets says that each scene is a set that is shown as a whole before the next one begins. Else the scenes are versions of a source that
	// nothing holds still, of which each path goes its own way.
	Sets bool
	// Whole says that a new directory appears with all that it holds.
	Whole bool
}

// Paths are the files of each scene.
func (c Course) Paths() [][]string {
	all := make([][]string, len(c.Scenes))
	for i, s := range c.Scenes {
		all[i] = slices.Sorted(maps.Keys(s))
	}
	return all
}

// mostFaults are told.
const mostFaults = 10

// Faults gives what the readers must not have seen, the first for each path of each reader: a file that is not there, or is none that any set has at
// its path, or an older one than before, or a new directory of which a part is missing.
func (c Course) Faults(w *Watch) []string {
	var out []string
	for n, seen := range w.seen {
		if w.fault[n] != nil {
			out = append(out, w.fault[n].Error())
		}
		r := c.reader(w.paths)
		for _, s := range seen {
			if f := r.sees(s); f != "" && len(out) < mostFaults {
				out = append(out, f+w.begin(s.digest))
			}
		}
	}
	return out
}

// scenic is one thing that a path shows on its way.
type scenic struct {
	set    int
	digest string
}

// reader follows one reader through the course.
type reader struct {
	Course
	paths []string
	way   [][]scenic
	// at is where on its way a path is at least.
	at []int
	// begun is the newest set of which something was seen: those before it are there whole.
	begun  int
	failed []bool
}

func (c Course) reader(paths []string) *reader {
	r := &reader{Course: c, paths: paths, way: make([][]scenic, len(paths)), at: make([]int, len(paths)), failed: make([]bool, len(paths))}
	for i, p := range paths {
		for set, scene := range c.Scenes {
			now := scene[p]
			if now.Moved != "" {
				r.way[i] = append(r.way[i], scenic{set, now.Moved})
			}
			r.way[i] = append(r.way[i], scenic{set, now.Digest})
		}
	}
	return r
}

// sees takes a sight at the earliest place on the way of its path where it fits, and tells what is wrong when there is none.
func (r *reader) sees(s sight) string {
	if r.failed[s.path] {
		return ""
	}
	way := r.way[s.path]
	if r.Sets {
		r.atLeast(s.path, max(s.shown, r.begun-1), len(way)-1)
	}
	from := r.at[s.path]
	fits := func(x scenic) bool { return x.digest == s.digest }
	i := slices.IndexFunc(way[from:], fits)
	if i < 0 {
		r.failed[s.path] = true
		what := "is none of its contents"
		switch {
		case slices.ContainsFunc(way, fits) && s.digest != "":
			what = "is older than what was there before"
		case s.digest == "":
			what = "is not there"
		}
		return fmt.Sprintf("%s %s (scene %d or later): %s", r.paths[s.path], what, way[from].set, cmp.Or(s.digest, "no file"))
	}
	r.at[s.path] = from + i
	if set := way[from+i].set; r.Sets {
		r.begun = max(r.begun, set)
		r.appears(s, set)
	}
	return ""
}

// atLeast moves a path on to a set: to the last thing that it shows in it, or to an earlier one.
func (r *reader) atLeast(i, set, last int) {
	for r.at[i] < last && (r.way[i][r.at[i]].set < set || r.way[i][r.at[i]].set == set && r.way[i][r.at[i]+1].set == set) {
		r.at[i]++
	}
}

// appears moves on all that a new directory holds once a file of it was seen.
func (r *reader) appears(s sight, set int) {
	if !r.Whole || s.digest == "" || set == 0 {
		return
	}
	dir := ""
	for d := path.Dir(r.paths[s.path]); d != "."; d = path.Dir(d) {
		if !r.Scenes[set-1].holds(d) {
			dir = d
		}
	}
	for i, p := range r.paths {
		for dir != "" && strings.HasPrefix(p, dir+"/") && r.way[i][r.at[i]].set < set {
			r.at[i]++
		}
	}
}

// holds says whether there is a file below a directory.
func (s Scene) holds(dir string) bool {
	for p := range s {
		if strings.HasPrefix(p, dir+"/") {
			return true
		}
	}
	return false
}
