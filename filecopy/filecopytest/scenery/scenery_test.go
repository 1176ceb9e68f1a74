package scenery_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/filecopy/filecopytest/scenery"
)

// played has one reader see what a script says, path by path in turn, and gives what it must not have seen.
func played(c scenery.Course, shown map[int]int, paths []string, script ...string) []string {
	done := make(chan struct{})
	n := 0
	var w *scenery.Watch
	begun := make(chan struct{})
	w = scenery.Look(1, paths, func(ctx context.Context, _ string) (string, error) {
		<-begun
		if n == len(script) {
			close(done)
			<-ctx.Done()
			return "", ctx.Err()
		}
		got := script[n]
		n++
		if set, ok := shown[n]; ok {
			w.Shown(set)
		}
		if got == "" {
			return "", scenery.ErrAbsent
		}
		return got, nil
	})
	close(begun)
	<-done
	w.Stop()
	return c.Faults(w)
}

// scene has contents at paths.
func scene(of map[string]string) scenery.Scene {
	s := scenery.Scene{}
	for p, content := range of {
		s[p] = scenery.Shown{Digest: scenery.Digest(content)}
	}
	return s
}

// TestWhatReadersMustNotSeeIsSeen is the control of those who read while movers are killed.
func TestWhatReadersMustNotSeeIsSeen(t *testing.T) {
	first := map[string]string{"a": "a1", "old/b": "b1"}
	second := map[string]string{"a": "a2", "old/b": "b1", "new/c": "c2", "new/d": "d2"}
	third := map[string]string{"a": "a3", "new/c": "c2", "new/d": "d3"}
	c := scenery.Course{Scenes: []scenery.Scene{scene(first), scene(second), scene(third)}, Sets: true, Whole: true}
	moved := c.Scenes[1]["new/d"]
	moved.Moved = scenery.Digest("d1")
	c.Scenes[1]["new/d"] = moved
	paths := []string{"a", "old/b", "new/c", "new/d"}
	for _, good := range [][]string{
		{"a1", "b1", "", "", "a1", "b1", "c2", "d2", "a2", "b1", "c2", "d2", "a3", "b1", "c2", "d3", "a3", "", "c2", "d3"},
		{"a2", "b1", "c2", "d1", "a2", "b1", "c2", "d2"},
		{"a1", "b1", "", "d1"},
		{"a1", "b1", "", "", "a3", "", "c2", "d2"},
	} {
		if faults := played(c, nil, paths, good...); len(faults) > 0 {
			t.Errorf("%v is right, and it says %q", good, faults)
		}
	}
	for name, bad := range map[string][]string{
		"torn":                                {"a", "b1"},
		"missing":                             {"a1", "b1", "", "", "", "b1"},
		"of another path":                     {"b1"},
		"older after newer":                   {"a2", "b1", "c2", "d2", "a1"},
		"gone and back":                       {"a3", "", "c2", "d3", "a3", "b1"},
		"half of a new directory":             {"a1", "b1", "c2", ""},
		"moved after what replaced it":        {"a2", "b1", "c2", "d2", "a2", "b1", "c2", "d1"},
		"a set before the one before is done": {"a3", "b1", "", "d2"},
		"as it was moved, after its set":      {"a3", "b1", "c2", "d1"},
	} {
		if faults := played(c, nil, paths, bad...); len(faults) != 1 {
			t.Errorf("%s: %v: it says %q", name, bad, faults)
		}
	}
	// From the second reading on the second set is known to be there whole.
	stale := []string{"a1", "b1", "", "d2"}
	if faults := played(c, map[int]int{2: 1}, paths, stale...); len(faults) != 1 || !strings.Contains(faults[0], "new/c is not there") {
		t.Errorf("stale: it says %q", faults)
	}
	// Where nothing holds the source still, each path goes its own way, and still never back.
	c.Sets, c.Whole = false, false
	if faults := played(c, nil, paths, "a3", "b1", "", "d2", "a3", "b1", "c2", "d3"); len(faults) > 0 {
		t.Errorf("each by itself: it says %q", faults)
	}
	if faults := played(c, nil, paths, "a3", "b1", "c2", "d3", "a2", "b1", ""); len(faults) != 2 {
		t.Errorf("back, each by itself: it says %q", faults)
	}
}

// ledge is a tree in memory, which holds its users to what they say.
type ledge map[string]string

func (l ledge) Put(_ context.Context, files map[string]string) error {
	maps.Copy(l, files)
	return nil
}

func (l ledge) Move(_ context.Context, from, to string) error {
	moved := 0
	for p, content := range maps.Clone(l) {
		if p == to || strings.HasPrefix(p, to+"/") {
			return fmt.Errorf("%s is not free", to)
		}
		if p == from || strings.HasPrefix(p, from+"/") {
			delete(l, p)
			l[to+strings.TrimPrefix(p, from)] = content
			moved++
		}
	}
	if moved == 0 {
		return fmt.Errorf("%s is not there", from)
	}
	return nil
}

func (l ledge) Remove(_ context.Context, path string) error {
	before := len(l)
	maps.DeleteFunc(l, func(p, _ string) bool { return p == path || strings.HasPrefix(p, path+"/") })
	if len(l) == before {
		return fmt.Errorf("%s is not there", path)
	}
	return nil
}

// TestTreesChangeAsTheySay follows the changes of a source over a whole cycle, and beyond.
func TestTreesChangeAsTheySay(t *testing.T) {
	v := scenery.Tree{Files: 3}
	tree := ledge{}
	for n := range 30 {
		if err := v.Change(t.Context(), tree, n); err != nil {
			t.Fatal(err)
		}
		want := v.Scene(-1, n)
		for p, content := range tree {
			if want[p].Digest != scenery.Digest(content) {
				t.Errorf("version %d: %s is %.40q", n, p, content)
			}
		}
		if len(tree) != len(want) {
			t.Errorf("version %d has %d files, not %d", n, len(tree), len(want))
		}
	}
}
