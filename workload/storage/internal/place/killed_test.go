package place

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/understudy-dr/understudy/filecopy"
)

// mortal is an object store in memory. Who works with it is killed before one of the changes: what is copied or removed goes object by object.
type mortal struct {
	all map[string]string
	// left counts the changes until then.
	left int
}

var errKilled = errors.New("killed")

func (s *mortal) change(do func()) error {
	if s.left--; s.left < 0 {
		return errKilled
	}
	do()
	return nil
}

// below lists the keys with a prefix.
func (s *mortal) below(prefix string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(s.all)), func(key string) bool { return !strings.HasPrefix(key, prefix) })
}

func (s *mortal) Tree(string, string) (filecopy.Target, error) { return nil, nil }

func (s *mortal) Names(_ context.Context, prefix string) (out []string, err error) {
	for _, key := range s.below(prefix) {
		name, _, _ := strings.Cut(strings.TrimPrefix(key, prefix), "/")
		out = append(out, name)
	}
	return slices.Compact(out), nil
}

func (s *mortal) Put(_ context.Context, key string, content []byte, _ bool) error {
	return s.change(func() { s.all[key] = string(content) })
}

func (s *mortal) Get(_ context.Context, key string) ([]byte, error) {
	if v, ok := s.all[key]; ok {
		return []byte(v), nil
	}
	return nil, filecopy.ErrNotFound
}

func (s *mortal) Copy(_ context.Context, from, to string) error {
	for _, key := range s.below(from) {
		if err := s.change(func() { s.all[to+strings.TrimPrefix(key, from)] = s.all[key] }); err != nil {
			return err
		}
	}
	return nil
}

func (s *mortal) Remove(_ context.Context, what string) error {
	keys := []string{what}
	if strings.HasSuffix(what, "/") {
		keys = s.below(what)
	}
	for _, key := range keys {
		if err := s.change(func() { delete(s.all, key) }); err != nil {
			return err
		}
	}
	return nil
}

// beside is where understudy's folder of the tree lies.
const beside = ".t.understudy/"

// keeps tells all that a folder keeps, and where it stages.
func (s *mortal) keeps(folder string) string {
	var out []string
	for _, key := range s.below(beside + folder + "/") {
		if name := strings.TrimPrefix(key, beside+folder+"/"); !strings.HasPrefix(name, stagingDir) {
			out = append(out, name+"="+s.all[key])
		}
	}
	return strings.Join(out, " ")
}

// a link's folder, and what it keeps under another name.
const kept5 = "kept/head=5 kept/list=5 kept/more=5 stages=e5"

// linked is the store with the link of epoch 5, in its live folder or halted, and one that was halted long ago.
func linked(folder string) *mortal {
	s := &mortal{all: map[string]string{
		beside + "bars/e1": barDone, beside + "halted-e1/kept/head": "1", beside + "halted-e1/kept/old": "1", beside + "halted-e1/stages": "e1",
		beside + folder + "/kept/head": "5", beside + folder + "/kept/list": "5", beside + folder + "/kept/more": "5", beside + "e5/staging/lot/file": "5",
	}}
	if folder != "e5" {
		s.all[beside+"bars/e5"], s.all[beside+folder+"/stages"] = barDone, "e5"
	}
	return s
}

// counting lists the folders that are there, without those of which nobody knows who halted them long ago.
func counting(ctx context.Context, tree objectTree) (out []string, err error) {
	folders, err := tree.Folders(ctx)
	for _, f := range folders {
		if !f.Barred && f.Name != "halted-e1" {
			out = append(out, f.Name)
		}
	}
	return out, err
}

// handsOn does as an abort: the last link gets the name e7.
func handsOn(ctx context.Context, tree objectTree) error {
	there, err := counting(ctx, tree)
	switch {
	case err != nil || slices.Contains(there, "e7"):
		return err
	case slices.Contains(there, "e5"):
		return tree.Bar(ctx, "e5", "e7")
	case slices.Contains(there, "halted-e5"):
		if err := tree.Bar(ctx, "e5", "halted-e5"); err != nil {
			return err
		}
		_, err := tree.Rename(ctx, "halted-e5", "e7")
		return err
	}
	_, err = tree.Rename(ctx, "halted-e1", "e7")
	return err
}

func halts(ctx context.Context, tree objectTree) error { return tree.Bar(ctx, "e5", "halted-e5") }

// haltsAll does as the halt of a failover that takes the place of an abort: it opens the folders, and bars them.
func haltsAll(ctx context.Context, tree objectTree) error {
	for _, folder := range []string{"e7", "e5"} {
		if _, err := tree.Store(ctx, folder, false); err != nil {
			return err
		}
	}
	return errors.Join(tree.Bar(ctx, "e5", "halted-e5"), tree.Bar(ctx, "e7", "halted-e7"))
}

// TestAMoveOfAnObjectFolderIsKilled kills what gives a link's folder another name before each of its changes, and goes on with the same or with something else. What
// the link keeps is under one name, whole and unmixed.
func TestAMoveOfAnObjectFolderIsKilled(t *testing.T) {
	type act func(context.Context, objectTree) error
	for _, c := range []struct {
		name, folder string
		does, then   act
		want         []string
	}{
		{"a halt", "e5", halts, halts, []string{"halted-e5"}},
		{"a halt, then an abort", "e5", halts, handsOn, []string{"e7"}},
		{"an abort", "e5", handsOn, handsOn, []string{"e7"}},
		{"an abort, then a halt", "e5", handsOn, haltsAll, []string{"halted-e5", "halted-e7"}},
		{"an abort after the halt", "halted-e5", handsOn, handsOn, []string{"e7"}},
		{"an abort after the halt, then a halt", "halted-e5", handsOn, haltsAll, []string{"halted-e5", "halted-e7"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for after, killed := 0, errKilled; killed != nil; after++ {
					s := linked(c.folder)
					tree := objectTree{&objectSite{shelf: s}, "t"}
					s.left = after
					if killed = c.does(t.Context(), tree); killed != nil && !errors.Is(killed, errKilled) {
						t.Fatal(killed)
					}
					s.left = 1000
					s.found(t, tree, fmt.Sprintf("killed after %d changes", after), "e5", "e7", "halted-e5")
					if err := c.then(t.Context(), tree); err != nil {
						t.Fatal(err)
					}
					s.found(t, tree, fmt.Sprintf("killed after %d changes, and gone on", after), c.want...)
					if state := s.all[beside+"bars/e5"]; state != barDone {
						t.Errorf("killed after %d changes, the bar of e5 is %q", after, state)
					}
				}
			})
		})
	}
}

// found wants what the link keeps to be in the newest of the folders that count, which has one of the names.
func (s *mortal) found(t *testing.T, tree objectTree, when string, names ...string) {
	t.Helper()
	there, err := counting(t.Context(), tree)
	if err != nil {
		t.Fatal(err)
	}
	newest := ""
	for _, name := range there {
		if epoch(name) > epoch(newest) {
			newest = name
		}
	}
	if !slices.Contains(names, newest) {
		t.Errorf("%s: %q count, want one of %q to be the newest: %v", when, there, names, s.all)
		return
	}
	if now := s.keeps(newest); strings.TrimSuffix(now, " stages=e5") != strings.TrimSuffix(kept5, " stages=e5") || newest != "e5" && now != kept5 {
		t.Errorf("%s: %s keeps %q, want %q", when, newest, now, kept5)
	}
	if got := s.keeps("halted-e1"); got != "kept/head=1 kept/old=1 stages=e1" {
		t.Errorf("%s: the old folder keeps %q", when, got)
	}
}

// epoch is the number in a folder's name.
func epoch(name string) string { return name[strings.LastIndex(name, "e")+1:] }

// TestAMoveThatIsGivenUp has a link begun anew under the name that another one was to get when its move was killed. It finds nothing there, and keeps what it has.
func TestAMoveThatIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := linked("e5")
		tree := objectTree{&objectSite{shelf: s}, "t"}
		// The bar, the note, and one of three objects.
		s.left = 3
		if err := tree.Bar(t.Context(), "e5", "e7"); !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		s.left = 1000
		for _, own := range []string{"", "kept/head=7"} {
			if _, err := tree.Store(t.Context(), "e7", false); err != nil {
				t.Fatal(err)
			}
			if now := s.keeps("e7"); now != own {
				t.Errorf("e7 keeps %q, want %q", now, own)
			}
			s.all[beside+"e7/kept/head"] = "7"
		}
		if there, err := counting(t.Context(), tree); err != nil || !slices.Equal(there, []string{"e5", "e7"}) {
			t.Errorf("%q count, %v", there, err)
		}
	})
}

// TestALeftoverOfAMoveGoes kills a move when the bar was done, and wants the next one to clear what is left of it, and a removal of the barred folder to leave the
// other one be.
func TestALeftoverOfAMoveGoes(t *testing.T) {
	for name, then := range map[string]func(context.Context, objectTree) error{
		"bar":    func(ctx context.Context, tree objectTree) error { return tree.Bar(ctx, "e7", "halted-e7") },
		"remove": func(ctx context.Context, tree objectTree) error { return tree.Remove(ctx, "e5/kept") },
	} {
		synctest.Test(t, func(t *testing.T) {
			s := linked("e5")
			tree := objectTree{&objectSite{shelf: s}, "t"}
			// The bar, the note, three objects, where it stages, the bar again.
			s.left = 7
			if err := tree.Bar(t.Context(), "e5", "e7"); !errors.Is(err, errKilled) || s.all[beside+"bars/e5"] != barDone {
				t.Fatal(err, s.all)
			}
			delete(s.all, beside+"e5/staging/lot/file")
			s.left = 1000
			if err := then(t.Context(), tree); err != nil {
				t.Fatal(err)
			}
			if left := slices.Concat(s.below(beside+movingDir), s.below(beside+"e5/")); len(left) > 0 {
				t.Errorf("%s leaves %q", name, left)
			}
			s.found(t, tree, name, "e7", "halted-e7")
		})
	}
}
