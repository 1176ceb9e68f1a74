package place

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
)

// scene is one tree of this machine, with a link's folder in which a file is staged.
type scene struct {
	*testing.T
	root, beside string
	tree         Tree
	target       filecopy.Target
	entry        filecopy.Entry
	sealed       filecopy.Sealed
}

func newScene(t *testing.T) *scene {
	dir := t.TempDir()
	s := &scene{T: t, root: filepath.Join(dir, "tree"), beside: filepath.Join(dir, ".tree.understudy"), tree: Local(dir).Tree("/tree")}
	s.must(os.MkdirAll(s.root, 0o755))
	s.must(os.WriteFile(filepath.Join(s.root, "old"), []byte("old"), 0o644))
	var err error
	s.target, err = s.tree.Store(t.Context(), "e3", false)
	s.must(err)
	s.entry = filecopy.Entry{Path: "old", Kind: filecopy.File, Size: 4, Attributes: filecopy.Attributes{Mode: 0o644, Modified: 1}}
	h, err := s.target.Begin(t.Context(), "lot", s.entry)
	s.must(err)
	s.must(s.target.Write(t.Context(), h, filecopy.Part{Size: 4}, strings.NewReader("late")))
	s.sealed, err = s.target.Seal(t.Context(), h, s.entry, filecopy.Checksum{})
	s.must(err)
	return s
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// TestALateMoverIsBarred has a mover go on after its folder was barred, at every call that shows something or takes it away.
func TestALateMoverIsBarred(t *testing.T) {
	s := newScene(t)
	for range 2 {
		s.must(s.tree.Bar(t.Context(), "e3", "halted-e3"))
	}
	for name, late := range map[string]func() error{
		"publish": func() error { _, err := s.target.Publish(t.Context(), s.sealed, s.entry); return err },
		"begin":   func() error { _, err := s.target.Begin(t.Context(), "lot", s.entry); return err },
		"keep":    func() error { return s.target.Keep(t.Context(), "job/head.json", strings.NewReader("late")) },
		"retire":  func() error { return s.target.Retire(t.Context(), "old", "20260102T150405Z-1") },
		"link": func() error {
			return s.target.MakeLink(t.Context(), filecopy.Entry{Path: "old", Kind: filecopy.Symlink, Attributes: filecopy.Attributes{Link: "x"}})
		},
	} {
		if err := late(); err == nil {
			t.Errorf("a late %s was accepted", name)
		}
	}
	if b, err := os.ReadFile(filepath.Join(s.root, "old")); err != nil || string(b) != "old" {
		t.Errorf("the tree shows %q, %v", b, err)
	}
	folders, err := s.tree.Folders(t.Context())
	s.must(err)
	if len(folders) != 2 || !folders[0].Barred || folders[1].Name != "halted-e3" || folders[1].Barred {
		t.Errorf("understudy's folder holds %+v", folders)
	}
}

// TestTheBarIsNeeded is the negative control: without it the same late call is accepted.
func TestTheBarIsNeeded(t *testing.T) {
	s := newScene(t)
	if _, err := s.target.Publish(t.Context(), s.sealed, s.entry); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(filepath.Join(s.root, "old")); string(b) != "late" {
		t.Errorf("the tree shows %q", b)
	}
}

// TestWhatComesBackIsMovedAsideToo has the folder made anew while it is barred.
func TestWhatComesBackIsMovedAsideToo(t *testing.T) {
	s := newScene(t)
	s.must(os.MkdirAll(filepath.Join(s.beside, "halted-e3"), 0o700))
	s.must(os.WriteFile(filepath.Join(s.beside, "halted-e3", "there"), nil, 0o600))
	s.must(s.tree.Bar(t.Context(), "e3", "halted-e3"))
	if info, err := os.Stat(filepath.Join(s.beside, "e3")); err != nil || info.IsDir() {
		t.Errorf("the folder is not barred: %v, %v", info, err)
	}
	if _, err := os.Stat(filepath.Join(s.beside, "halted-e3.1")); err != nil {
		t.Error(err)
	}
}

// TestOrdinaryUsersAreTriedAs lets the kernel decide.
func TestOrdinaryUsersAreTriedAs(t *testing.T) {
	s := newScene(t)
	// Others have to get as far as the tree.
	for dir := s.root; len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
		s.must(os.Chmod(dir, 0o755))
	}
	s.must(os.Chmod(s.root, 0o777))
	switch err := s.tree.Try(t.Context(), Ordinary); {
	case os.Geteuid() != 0:
		if !errors.Is(err, ErrUnproven) {
			t.Errorf("without root's rights: %v", err)
		}
		return
	case err != nil:
		t.Errorf("an open root refused: %v", err)
	}
	s.must(os.Chmod(s.root, 0o700))
	if err := s.tree.Try(t.Context(), Ordinary); !errors.Is(err, ErrRefused) {
		t.Errorf("a closed root: %v", err)
	}
	s.must(s.tree.Try(t.Context(), Ourselves))
	if list, err := os.ReadDir(s.root); err != nil || len(list) != 1 {
		t.Errorf("probes left %v, %v", list, err)
	}
}

// leaves puts into a root what a trial must remove, a probe of a process that was killed long ago, and what it must not, and gives the names of the
// latter. Make makes a file.
func leaves(make func(name, content string)) (stay []string) {
	make(filecopy.NewProbe(time.Now().Add(-2*forgotten)), "")
	stay = []string{filecopy.NewProbe(time.Now()), filecopy.NewProbe(time.Now().Add(-3 * forgotten)), filecopy.ProbeName + "mine"}
	make(stay[0], "")
	make(stay[1], "somebody's")
	make(stay[2], "")
	slices.Sort(stay)
	return stay
}

// TestForgottenProbesAreRemoved tries a write where an earlier process was killed as it did.
func TestForgottenProbesAreRemoved(t *testing.T) {
	s := newScene(t)
	stay := leaves(func(name, content string) { s.must(os.WriteFile(filepath.Join(s.root, name), []byte(content), 0o600)) })
	s.must(os.Mkdir(filepath.Join(s.root, filecopy.NewProbe(time.Unix(1, 0))), 0o700))
	s.must(s.tree.Try(t.Context(), Ourselves))
	list, err := os.ReadDir(s.root)
	s.must(err)
	var there []string
	for _, e := range list {
		if e.Type().IsRegular() && e.Name() != "old" {
			there = append(there, e.Name())
		}
	}
	if !slices.Equal(there, stay) || len(list) != len(stay)+2 {
		t.Errorf("the root holds %v, want %q and a directory", list, stay)
	}
	if err := Local(t.TempDir()).Tree("/absent").Try(t.Context(), Ourselves); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("where no root is: %v", err)
	}
}

func TestNobodyAnswersWhereNothingIs(t *testing.T) {
	if _, err := Local(filepath.Join(t.TempDir(), "absent")).Look(t.Context()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("looking gives %v", err)
	}
}
