package native

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"testing"

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
		case filecopy.File:
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

// change changes the source.
func (s *scene) change(do change) {
	s.Helper()
	if err := do(s.source); err != nil {
		s.Fatal(err)
	}
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
