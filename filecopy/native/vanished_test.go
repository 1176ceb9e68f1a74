package native

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
)

// TestWhatIsRenamedPastAListingIsNotLost renames from where a listing was not yet to where it was already. What the source had at every moment has
// to be at the target after the run, and what was gone before goes.
func TestWhatIsRenamedPastAListingIsNotLost(t *testing.T) {
	for name, c := range map[string]passed{
		"nothing goes": {
			before: write("b", "new"), lists: 1,
			wants: map[filecopy.Path]string{"b": "new"},
		},
		"a file goes": {
			before: remove("q"), lists: 2,
			wants: map[filecopy.Path]string{"q": ""},
		},
		"a file is renamed": {
			turns: []turn{{1, "m", move("z", "b")}}, lists: 2,
			wants: map[filecopy.Path]string{"z": "", "b": "content of z"},
		},
		"a directory is renamed": {
			turns: []turn{{1, "m", move("w", "b")}}, lists: 2,
			wants: map[filecopy.Path]string{"w": "", "w/y": "", "w/v": "", "w/v/x": "", "b": "/", "b/y": "content of w/y", "b/v": "/", "b/v/x": "content of w/v/x"},
		},
		"a directory is renamed while it is listed": {
			turns: []turn{{1, "w", move("w", "b")}}, lists: 2, vanished: 1,
			wants: map[filecopy.Path]string{"w/y": "", "w/v": "", "w/v/x": "", "b": "/", "b/y": "content of w/y", "b/v": "/", "b/v/x": "content of w/v/x"},
		},
		"a key is copied and removed": {
			turns: []turn{{1, "m", all(write("b", "content of z"), remove("z"))}}, lists: 2,
			wants: map[filecopy.Path]string{"z": "", "b": "content of z"},
		},
		"a file is renamed, and a directory takes its name": {
			turns: []turn{{1, "m", all(move("z", "b"), mkdir("z"), write("z/n", "new"))}}, lists: 2,
			wants: map[filecopy.Path]string{"z": "/", "z/n": "new", "b": "content of z"},
		},
		"a directory is renamed, and a link takes its name": {
			turns: []turn{{1, "m", all(move("w", "b"), link("w", "b"))}}, lists: 2,
			wants: map[filecopy.Path]string{
				"w": "-> b", "w/y": "", "w/v": "", "w/v/x": "", "b": "/", "b/y": "content of w/y", "b/v": "/", "b/v/x": "content of w/v/x",
			},
		},
	} {
		t.Run(name, c.holds)
	}
}

// TestWhatIsRenamedPastTheSecondListingStays has that go which is in neither listing, and nothing else.
func TestWhatIsRenamedPastTheSecondListingStays(t *testing.T) {
	for name, c := range map[string]passed{
		"a file is renamed in the second listing": {
			before: remove("q"), turns: []turn{{2, "m", move("z", "b")}}, lists: 2, vanished: 1,
			wants: map[filecopy.Path]string{"q": ""},
		},
		"a changed file is renamed in the second listing": {
			before: all(remove("q"), write("z", "other content of z")), turns: []turn{{2, "m", move("z", "b")}}, lists: 2, vanished: 1,
			wants: map[filecopy.Path]string{"q": ""},
		},
		"a directory is renamed in the second listing": {
			before: remove("q"), turns: []turn{{2, "m", move("w", "b")}}, lists: 2, vanished: 4,
			wants: map[filecopy.Path]string{"q": ""},
		},
		"new files and directories vanish before the second listing": {
			before: all(remove("q"), mkdir("w/n"), write("w/n/1", "new"), link("w/l", "y"), write("w/z", "new")),
			turns:  []turn{{1, "z", all(remove("w/n"), remove("w/l"), remove("w/z"))}}, lists: 2,
			wants: map[filecopy.Path]string{"q": ""},
		},
		"a directory takes the name of a file between the listings": {
			before: remove("q"), turns: []turn{{2, "m", all(move("z", "b"), mkdir("z"))}}, lists: 3,
			wants: map[filecopy.Path]string{"q": "", "z": "/", "b": "content of z"},
		},
		"a link takes the name of a directory between the listings": {
			before: remove("q"), turns: []turn{{2, "m", all(move("w/v", "b"), link("w/v", "b"))}}, lists: 3,
			wants: map[filecopy.Path]string{"q": "", "w/v": "-> b", "w/v/x": "", "b": "/", "b/x": "content of w/v/x"},
		},
	} {
		t.Run(name, c.holds)
	}
}

// passed is a change of a source before it is listed, and while it is.
type passed struct {
	before change
	turns  []turn
	// wants has what differs from the six files; an empty text is for what is not there.
	wants    map[filecopy.Path]string
	lists    int
	vanished int64
}

// holds makes a run meanwhile.
func (c passed) holds(t *testing.T) {
	s, r := restlessScene(t, false)
	want := tree(t, s.target)
	for p, content := range c.wants {
		if want[p] = content; content == "" {
			delete(want, p)
		}
	}
	if c.before != nil {
		s.change(c.before)
	}
	r.turns = c.turns
	var planned filecopy.Progress
	set, err := s.mover.Run(t.Context(), s.job, func(p filecopy.Progress) {
		if p.Phase == filecopy.PhaseStage && planned.Phase == "" {
			planned = p
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := tree(t, s.target); !maps.Equal(got, want) {
		t.Errorf("the target has %v, want %v", got, want)
	}
	if r.lists != c.lists || set.Vanished != c.vanished || int(set.Entries) != len(want)+1 {
		t.Errorf("listed %d times, want %d; set %+v, want %d vanished and %d entries", r.lists, c.lists, set, c.vanished, len(want)+1)
	}
	if (planned.Relisted > 0) != (c.lists > 1) || planned.Listed != set.Entries {
		t.Errorf("progress %+v", planned)
	}
	settled(s, r)
}

// TestWhatStandsStillInOneListingIsNotLost renames something, anywhere, at any moment of two listings, after some files were removed.
func TestWhatStandsStillInOneListingIsNotLost(t *testing.T) {
	names := []filecopy.Path{"a", "b", "b/c", "b/n", "c", "n", "w/b", "w/n", "w/v/b", "w/v/z", "zz", "zz/n"}
	for seed := range uint64(60) {
		s, r := restlessScene(t, false)
		dice := rand.New(rand.NewPCG(seed, 1))
		if dice.IntN(2) == 0 {
			s.change(all(write("b", "content of b"), mkdir("c"), write("c/n", "content of c/n")))
		}
		s.run()
		if dice.IntN(2) == 0 {
			s.change(remove("q"))
		}
		have := slices.Sorted(maps.Keys(tree(t, s.source)))
		from, to, after := have[dice.IntN(len(have))], names[dice.IntN(len(names))], have[dice.IntN(len(have))]
		if to.Below(from) {
			continue
		}
		n := 1 + dice.IntN(2)
		r.turns = []turn{{n, after, func(m *filecopytest.Memory) error {
			// What cannot be done is not.
			_ = move(from, to)(m)
			return nil
		}}}
		want := map[string]bool{}
		for _, content := range tree(t, s.source) {
			want[content] = true
		}
		r.lists = 0
		s.run()
		got := map[string]bool{}
		for _, content := range tree(t, s.target) {
			got[content] = true
		}
		if !maps.Equal(got, want) {
			t.Errorf("seed %d: %q is renamed to %q when all to %q was listed for the %d. time: the target has %v, want %v", seed, from, to, after, n, got, want)
		}
		settled(s, r)
		if t.Failed() {
			return
		}
	}
}

// TestAPathThatIsOneThingAndAnotherStopsARun has a file and a directory take turns at every listing.
func TestAPathThatIsOneThingAndAnotherStopsARun(t *testing.T) {
	s, r := restlessScene(t, false)
	s.change(remove("q"))
	before := tree(t, s.target)
	directory := false
	r.turns = []turn{{0, "m", func(m *filecopytest.Memory) error {
		if directory = !directory; directory {
			return all(remove("z"), mkdir("z"))(m)
		}
		return all(remove("z"), write("z", "again"))(m)
	}}}
	s.wants("US607", s.tries)
	if got := tree(t, s.target); !maps.Equal(got, before) || r.lists != maxTries {
		t.Errorf("listed %d times; the target has %v, had %v", r.lists, got, before)
	}
	settled(s, r)
}

// TestTheGuardCountsWhatGoes lets one entry go: what only seemed to go does not count.
func TestTheGuardCountsWhatGoes(t *testing.T) {
	s, r := restlessScene(t, false)
	s.change(remove("q"))
	s.job.Guard = filecopy.Guard{MaxDeletes: 1, MaxShare: 0.13} // one of nine
	r.turns = []turn{{2, "a", move("z", "A")}}
	if set := s.run(); set.Vanished != 1 {
		t.Errorf("set = %+v", set)
	}
	s.change(remove("m"))
	r.turns = nil
	s.wants("US605", s.tries)
}

// TestARunThatResumesListsNothing stops when the source was listed twice.
func TestARunThatResumesListsNothing(t *testing.T) {
	s, r := restlessScene(t, false)
	s.change(all(remove("q"), write("a", "other")))
	s.halt("journal sealed")
	if r.lists != 2 {
		t.Errorf("listed %d times", r.lists)
	}
	s.run()
	if r.lists != 2 {
		t.Errorf("listed %d times in all", r.lists)
	}
	settled(s, r)
}

// TestWhatIsHeldStillIsNotListedTwice removes by a diff of snapshots, and by the listing of one.
func TestWhatIsHeldStillIsNotListedTwice(t *testing.T) {
	s, r := restlessScene(t, true)
	for lists, p := range []filecopy.Path{"q", "w"} {
		s.change(remove(p))
		s.job.Relist = lists == 1
		if s.run(); r.lists != lists {
			t.Errorf("listed %d times, want %d", r.lists, lists)
		}
		if want, got := tree(t, s.source), tree(t, s.target); !maps.Equal(want, got) {
			t.Errorf("the target has %v, the source %v", got, want)
		}
	}
}

// TestAFirstSetRemovesWhatTwoListingsLack finds things at the target: one is foreign, one is about to be renamed at the source.
func TestAFirstSetRemovesWhatTwoListingsLack(t *testing.T) {
	s, r := restlessScene(t, false)
	s.put(s.target, "foreign", "who wrote this")
	s.job.Name = "second"
	r.turns = []turn{{2, "m", move("z", "b")}}
	want := tree(t, s.target)
	delete(want, "foreign")
	set := s.run()
	if got := tree(t, s.target); !maps.Equal(got, want) || r.lists != 2 || set.Vanished != 1 {
		t.Errorf("listed %d times, set %+v; the target has %v, want %v", r.lists, set, got, want)
	}
	// What stayed belongs to no set: only a run that looks at the target finds it.
	s.job.Repair = true
	settled(s, r)
}

// TestTheWayBackLooksTwice goes by the manifest of the job in the other direction, at both listings: what is alike at both ends is not copied.
func TestTheWayBackLooksTwice(t *testing.T) {
	s, _ := restlessScene(t, false)
	if err := remove("q")(s.target); err != nil {
		t.Fatal(err)
	}
	home := &restless{Memory: s.target, turns: []turn{{1, "m", move("z", "b")}}}
	s.job = filecopy.Job{Name: "back", Source: home, Target: s.source, Origin: "job", Guard: s.job.Guard}
	set := s.run()
	if want, got := tree(t, s.target), tree(t, s.source); !maps.Equal(want, got) || home.lists != 2 || set.Copied != 1 || int(set.Entries) != len(want)+1 {
		t.Errorf("listed %d times, set %+v; there is %v, want %v", home.lists, set, got, want)
	}
}

// flat is a store without directories.
type flat struct{ generated }

func (flat) Describe() filecopy.Description { return filecopy.Description{} }

// listed makes a listing of keys, which tell its number by their size.
func listed(t *testing.T, number int64, paths []filecopy.Path) listing {
	t.Helper()
	s := newSorter(t.TempDir(), "x", sortMemory)
	err := s.add(&item{Entry: filecopy.Entry{Kind: filecopy.Directory}})
	for _, p := range paths {
		err = firstError(err, s.add(&item{Entry: filecopy.Entry{Path: p, Kind: filecopy.File, Size: number}}))
	}
	l, lerr := s.listing()
	if err = firstError(err, lerr); err != nil {
		t.Fatal(err)
	}
	return l
}

// spelled writes a source: directories end in a slash, keys of the second listing are marked so, and what vanished is.
func spelled(in stream) (string, error) {
	var all []string
	for {
		it, ok, err := in.next()
		if !ok || err != nil {
			return strings.Join(all, " "), err
		}
		text := string(it.Path)
		if it.Kind == filecopy.Directory {
			text += "/"
		}
		if it.Size > 0 {
			text += "+"
		}
		if it.vanished {
			text += "!"
		}
		all = append(all, text)
	}
}

// TestTwoListingsAreOne has keys in one listing or the other, and wants the directories that they imply to be there once.
func TestTwoListingsAreOne(t *testing.T) {
	for name, c := range map[string]struct {
		older, newer []filecopy.Path
		want         string
		err          error
	}{
		"nothing":                          {want: "/"},
		"some in each":                     {older: []filecopy.Path{"d/a", "d/c"}, newer: []filecopy.Path{"d/b", "d/c"}, want: "/ d/ d/a! d/b+ d/c+"},
		"a directory vanished":             {older: []filecopy.Path{"d/a", "e"}, newer: []filecopy.Path{"e"}, want: "/ d/! d/a! e+"},
		"a directory is new":               {newer: []filecopy.Path{"d/a"}, want: "/ d/ d/a+"},
		"a file makes way for a directory": {older: []filecopy.Path{"d"}, newer: []filecopy.Path{"d/a"}, want: "/", err: errDoubt},
		"a directory makes way for a file": {older: []filecopy.Path{"d/a"}, newer: []filecopy.Path{"d"}, want: "/", err: errDoubt},
	} {
		r := &run{desk: &desk{job: filecopy.Job{Source: flat{}}}}
		var both []listing
		for _, paths := range [][]filecopy.Path{c.older, c.newer} {
			both = append(both, listed(t, int64(len(both)), paths))
		}
		for range 2 { // a listing can be read again
			in, err := r.whole(both)
			if err != nil {
				t.Fatal(err)
			}
			got, err := spelled(in)
			in.close()
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("%s: %q, %v, want %q, %v", name, got, err, c.want, c.err)
			}
		}
	}
}

// TestAListingThatBreaksOffChangesNothing breaks the first listing and the second at every entry, when there is something to remove and something new.
func TestAListingThatBreaksOffChangesNothing(t *testing.T) {
	memory, _ := restlessScene(t, false)
	memory.job.Source = memory.source
	p := newPair(t)
	p.write(t, "a", "1", "m", "2", "q", "3", "w/v/x", "4", "w/y", "5", "z", "6")
	disk := &scene{T: t, mover: p.mover, job: p.job}
	disk.run()
	p.write(t, "n", "new")
	if err := errors.Join(write("n", "new")(memory.source), remove("q")(memory.source), os.Remove(filepath.Join(p.source, "q"))); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*scene{"memory": memory, "local": disk} {
		source := s.job.Source
		before := tree(t, s.job.Target)
		for at := range 16 {
			// After so many entries of the first listing, and of the second.
			s.job.Source = &brittle{Store: source, breaks: 1 + at/8, after: at % 8}
			if err := s.tries(); !errors.Is(err, errBroken) {
				t.Fatalf("%s: at %d the run gave %v", name, at, err)
			}
			standing, err := s.mover.Standing(t.Context(), s.job)
			if err != nil || standing.Ready != nil || standing.Shown || standing.Published.Number != 1 {
				t.Errorf("%s: standing %+v, %v", name, standing, err)
			}
			if got := tree(t, s.job.Target); !maps.Equal(got, before) {
				t.Errorf("%s: the target has %v, had %v", name, got, before)
			}
			if gone, err := s.job.Target.Quarantines(t.Context(), time.Time{}); err != nil || len(gone) != 0 {
				t.Errorf("%s: quarantines %v, %v", name, gone, err)
			}
		}
		s.job.Source = source
		set := s.run()
		if want, got := tree(t, source), tree(t, s.job.Target); !maps.Equal(got, want) || set.Number != 2 {
			t.Errorf("%s: set %+v; the target has %v, want %v", name, set, got, want)
		}
	}
}

// shrinking is a generated source that lost its last files.
type shrinking struct {
	generated
	lists *int
}

func (g shrinking) Open(context.Context, filecopy.Pin) (filecopy.View, error) { return g, nil }
func (g shrinking) List(ctx context.Context, dir filecopy.Path, found func(filecopy.Entry) error) error {
	*g.lists++
	return g.generated.List(ctx, dir, found)
}

// TestMemoryIsFlatWhenASourceIsListedTwice removes a tenth of few files, and of ten times as many.
func TestMemoryIsFlatWhenASourceIsListedTwice(t *testing.T) {
	var peaks []uint64
	for _, files := range []int{3_000, 30_000} {
		target := &disk{Target: open(t, filepath.Join(t.TempDir(), "target"))}
		job := filecopy.Job{Name: "many", Source: generated{files}, Target: target, Guard: filecopy.Guard{MaxDeletes: int64(files), MaxShare: 1}}
		peakHeap(t, job)
		lists := 0
		job.Source = shrinking{generated{files * 9 / 10}, &lists}
		set, peak := peakHeap(t, job)
		if set.Files != int64(files*9/10) || lists != 2 {
			t.Fatalf("listed %d times, set %+v", lists, set)
		}
		peaks = append(peaks, peak)
	}
	t.Logf("heap in use: %d MiB, and %d MiB of ten times as many files", peaks[0]>>20, peaks[1]>>20)
	if peaks[1] > peaks[0]+flatHeap {
		t.Errorf("heap in use grew from %d MiB to %d MiB", peaks[0]>>20, peaks[1]>>20)
	}
}
