package native

import (
	"context"
	"errors"
	"io"
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

// restless is a source whose live tree is listed in the order of paths, as it is at each moment: something happens once a path was given.
type restless struct {
	*filecopytest.Memory
	lists int
	turns []turn
}

// turn happens in the nth listing, counted from one, once all up to a path was given; in every listing when n is zero.
type turn struct {
	n     int
	after filecopy.Path
	do    change
}

type change func(*filecopytest.Memory) error

func (r *restless) Open(ctx context.Context, at filecopy.Pin) (filecopy.View, error) {
	v, err := r.Memory.Open(ctx, at)
	return &restlessView{v, r}, err
}

type restlessView struct {
	filecopy.View
	of *restless
}

func (v *restlessView) List(ctx context.Context, dir filecopy.Path, found func(filecopy.Entry) error) error {
	v.of.lists++
	due := slices.DeleteFunc(slices.Clone(v.of.turns), func(t turn) bool { return t.n != 0 && t.n != v.of.lists })
	for last := dir; ; {
		next, err := v.behind(ctx, last)
		for len(due) > 0 && err == nil && (next == nil || next.Path.Compare(due[0].after) > 0) {
			if err = due[0].do(v.of.Memory); err == nil {
				next, err = v.behind(ctx, last)
			}
			due = due[1:]
		}
		if err != nil || next == nil {
			return err
		}
		if err := found(*next); err != nil {
			return err
		}
		last = next.Path
	}
}

// behind gives the entry with the next path.
func (v *restlessView) behind(ctx context.Context, p filecopy.Path) (next *filecopy.Entry, err error) {
	err = v.View.List(ctx, "", func(e filecopy.Entry) error {
		if e.Path.Compare(p) > 0 && (next == nil || e.Path.Compare(next.Path) < 0) {
			next = &e
		}
		return nil
	})
	return next, err
}

func all(steps ...change) change {
	return func(m *filecopytest.Memory) error {
		for _, do := range steps {
			if err := do(m); err != nil {
				return err
			}
		}
		return nil
	}
}

func move(from, to filecopy.Path) change {
	return func(m *filecopytest.Memory) error { return m.Move(context.Background(), from, to) }
}

func remove(p filecopy.Path) change {
	return func(m *filecopytest.Memory) error { return m.Retire(context.Background(), p, "20200101T000000Z-x-1") }
}

func write(p filecopy.Path, content string) change {
	return func(m *filecopytest.Memory) error { return put(m, p, content) }
}

func mkdir(p filecopy.Path) change {
	return func(m *filecopytest.Memory) error {
		return m.MakeDirectory(context.Background(), filecopy.Entry{Path: p, Kind: filecopy.Directory})
	}
}

func link(p filecopy.Path, to string) change {
	return func(m *filecopytest.Memory) error {
		return m.MakeLink(context.Background(), filecopy.Entry{Path: p, Kind: filecopy.Symlink, Attributes: filecopy.Attributes{Link: to}})
	}
}

// tree is what a store has: the content of files, "/" for directories, an arrow for links.
func tree(t *testing.T, s filecopy.Store) map[filecopy.Path]string {
	t.Helper()
	v, err := s.Open(t.Context(), filecopy.Pin{})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	out := map[filecopy.Path]string{}
	err = v.List(t.Context(), "", func(e filecopy.Entry) error {
		switch e.Kind {
		case filecopy.Directory:
			out[e.Path] = "/"
			return nil
		case filecopy.Symlink:
			out[e.Path] = "-> " + e.Link
			return nil
		}
		r, err := v.Read(t.Context(), e, 0)
		if err != nil {
			return err
		}
		defer r.Close()
		b, err := io.ReadAll(r)
		out[e.Path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// restlessScene has a set of six files published.
func restlessScene(t *testing.T, snapshots bool) (*scene, *restless) {
	t.Helper()
	s := newScene(t, snapshots)
	if err := all(mkdir("w"), mkdir("w/v"))(s.source); err != nil {
		t.Fatal(err)
	}
	for _, p := range []filecopy.Path{"a", "m", "q", "w/v/x", "w/y", "z"} {
		s.put(s.source, p, "content of "+string(p))
	}
	r := &restless{Memory: s.source}
	s.job.Source = r
	s.run()
	r.lists = 0
	return s, r
}

// settled runs once more with nobody changing anything: then both sides are alike, the manifest says so, and another run changes nothing.
func settled(s *scene, r *restless) {
	s.Helper()
	r.turns = nil
	set := s.run()
	want, got := tree(s.T, s.source), tree(s.T, s.target)
	if !maps.Equal(want, got) {
		s.Errorf("in the end the target has %v, the source %v", got, want)
	}
	if int(set.Entries) != len(want)+1 || set.Vanished != 0 {
		s.Errorf("set = %+v of %d entries", set, len(want))
	}
	out, err := s.mover.Compare(s.Context(), s.job, true, func(d filecopy.Difference) error {
		s.Errorf("difference: %+v", d)
		return nil
	})
	if err != nil || out.Compared != set.Entries-1 {
		s.Errorf("compare = %+v, %v", out, err)
	}
	r.lists = 0
	if again := s.run(); again.ID != set.ID || r.lists != 1 {
		s.Errorf("without a change: %+v after %+v, listed %d times", again, set, r.lists)
	}
}

// TestWhatIsRenamedPastAListingIsNotLost renames from where a listing was not yet to where it was already. What the source had at every moment has
// to be at the target after the run, and what was gone before goes.
func TestWhatIsRenamedPastAListingIsNotLost(t *testing.T) {
	for name, c := range map[string]struct {
		before change
		turns  []turn
		// wants has what differs from the six files; an empty text is for what is not there.
		wants    map[filecopy.Path]string
		lists    int
		vanished int64
	}{
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
		t.Run(name, func(t *testing.T) {
			s, r := restlessScene(t, false)
			want := tree(t, s.target)
			for p, content := range c.wants {
				if want[p] = content; content == "" {
					delete(want, p)
				}
			}
			if c.before != nil {
				if err := c.before(s.source); err != nil {
					t.Fatal(err)
				}
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
		})
	}
}

// TestWhatStandsStillInOneListingIsNotLost renames something, anywhere, at any moment of two listings, after some files were removed.
func TestWhatStandsStillInOneListingIsNotLost(t *testing.T) {
	names := []filecopy.Path{"a", "b", "b/c", "b/n", "c", "n", "w/b", "w/n", "w/v/b", "w/v/z", "zz", "zz/n"}
	for seed := range uint64(300) {
		s, r := restlessScene(t, false)
		dice := rand.New(rand.NewPCG(seed, 1))
		for _, p := range []filecopy.Path{"b", "c/n"} {
			if dice.IntN(2) == 0 {
				if err := errors.Join(mkdir(p.Dir())(s.source), write(p, "content of "+string(p))(s.source)); err != nil {
					t.Fatal(err)
				}
			}
		}
		s.run()
		if dice.IntN(2) == 0 {
			if err := remove("q")(s.source); err != nil {
				t.Fatal(err)
			}
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
	if err := remove("q")(s.source); err != nil {
		t.Fatal(err)
	}
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
	if err := remove("q")(s.source); err != nil {
		t.Fatal(err)
	}
	s.job.Guard = filecopy.Guard{MaxDeletes: 1, MaxShare: 0.13} // one of nine
	r.turns = []turn{{2, "a", move("z", "A")}}
	if set := s.run(); set.Vanished != 1 {
		t.Errorf("set = %+v", set)
	}
	if err := remove("m")(s.source); err != nil {
		t.Fatal(err)
	}
	r.turns = nil
	s.wants("US605", s.tries)
}

// TestARunThatResumesListsNothing stops when the source was listed twice.
func TestARunThatResumesListsNothing(t *testing.T) {
	s, r := restlessScene(t, false)
	if err := all(remove("q"), write("a", "other"))(s.source); err != nil {
		t.Fatal(err)
	}
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
		if err := remove(p)(s.source); err != nil {
			t.Fatal(err)
		}
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

// flat is a store without directories.
type flat struct{ generated }

func (flat) Describe() filecopy.Description { return filecopy.Description{} }

// TestTwoListingsAreOne has keys in one listing or the other, and wants the directories that they imply to be there once.
func TestTwoListingsAreOne(t *testing.T) {
	for name, c := range map[string]struct {
		older, newer []filecopy.Path
		// want has a mark behind what vanished.
		want string
		err  error
	}{
		"nothing":                          {want: "/"},
		"some in each":                     {older: []filecopy.Path{"d/a", "d/c"}, newer: []filecopy.Path{"d/b", "d/c"}, want: "/ d/ d/a! d/b d/c"},
		"a directory vanished":             {older: []filecopy.Path{"d/a", "e"}, newer: []filecopy.Path{"e"}, want: "/ d/! d/a! e"},
		"a directory is new":               {newer: []filecopy.Path{"d/a"}, want: "/ d/ d/a"},
		"a file makes way for a directory": {older: []filecopy.Path{"d"}, newer: []filecopy.Path{"d/a"}, want: "/", err: errDoubt},
		"a directory makes way for a file": {older: []filecopy.Path{"d/a"}, newer: []filecopy.Path{"d"}, want: "/", err: errDoubt},
	} {
		r := &run{desk: &desk{job: filecopy.Job{Source: flat{}}}}
		var both []listing
		for _, paths := range [][]filecopy.Path{c.older, c.newer} {
			s := newSorter(t.TempDir(), "x", sortMemory)
			for _, p := range append(paths, "") {
				e := filecopy.Entry{Path: p, Kind: filecopy.File, Size: int64(len(both))}
				if p == "" {
					e.Kind = filecopy.Directory
				}
				if err := s.add(&item{Entry: e}); err != nil {
					t.Fatal(err)
				}
			}
			l, err := s.listing()
			if err != nil {
				t.Fatal(err)
			}
			both = append(both, l)
		}
		for range 2 { // a listing can be read again
			in, err := r.whole(both)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			it, ok, err := in.next()
			for ; ok && err == nil; it, ok, err = in.next() {
				text := string(it.Path)
				if it.Kind == filecopy.Directory {
					text += "/"
				} else if it.vanished != (it.Size == 0) {
					t.Errorf("%s: %q is of the listing %d", name, it.Path, it.Size)
				}
				if it.vanished {
					text += "!"
				}
				got = append(got, text)
			}
			in.close()
			if strings.Join(got, " ") != c.want || !errors.Is(err, c.err) {
				t.Errorf("%s: %q, %v, want %q, %v", name, got, err, c.want, c.err)
			}
		}
	}
}

// brittle is a source of which one listing breaks off.
type brittle struct {
	filecopy.Store
	breaks, after, lists int
}

var errBroken = errors.New("the connection broke")

func (b *brittle) Open(ctx context.Context, at filecopy.Pin) (filecopy.View, error) {
	v, err := b.Store.Open(ctx, at)
	return &brittleView{v, b}, err
}

type brittleView struct {
	filecopy.View
	of *brittle
}

func (v *brittleView) List(ctx context.Context, dir filecopy.Path, found func(filecopy.Entry) error) error {
	v.of.lists++
	left := v.of.after
	return v.View.List(ctx, dir, func(e filecopy.Entry) error {
		if left--; left < 0 && v.of.lists == v.of.breaks {
			return errBroken
		}
		return found(e)
	})
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
		for breaks := 1; breaks <= 2; breaks++ {
			for after := range 8 {
				s.job.Source = &brittle{Store: source, breaks: breaks, after: after}
				if err := s.tries(); !errors.Is(err, errBroken) {
					t.Fatalf("%s: listing %d broke off after %d entries, and the run gave %v", name, breaks, after, err)
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
	for _, files := range []int{5_000, 50_000} {
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
