package storage_test

import (
	"strings"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/native"
	"github.com/understudy-dr/understudy/lab/adls"
	"github.com/understudy-dr/understudy/workload/storage"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// cutOff are moments at which an abort may have been killed, or the halt before it, as the folders tell them.
func cutOff(t *testing.T) map[string]func(place.Tree) {
	renames := func(tree place.Tree, to string) {
		done, err := tree.Rename(t.Context(), "e1", to)
		must(t, err)
		if !done {
			t.Fatalf("e1 is no %s", to)
		}
	}
	return map[string]func(place.Tree){
		"nothing is done":             func(place.Tree) {},
		"the folder has its name":     func(tree place.Tree) { renames(tree, "e3") },
		"a halt has moved the folder": func(tree place.Tree) { renames(tree, "halted-e1") },
		"a halt is done":              func(tree place.Tree) { must(t, tree.Bar(t.Context(), "e1", "halted-e1")) },
		"what a halt moved came again": func(tree place.Tree) {
			renames(tree, "halted-e1")
			must(t, keepsLate(t, tree))
		},
		"nothing is done where an unprotect left a folder": func(tree place.Tree) {
			store, err := tree.Store(t.Context(), "halted-e1", false)
			must(t, err)
			must(t, store.Keep(t.Context(), "kept", strings.NewReader("kept")))
			must(t, store.Forget(t.Context(), "kept"))
		},
	}
}

// keepsLate keeps something in the name of the old link.
func keepsLate(t *testing.T, tree place.Tree) error {
	store, err := tree.Store(t.Context(), "e1", false)
	if err != nil {
		return err
	}
	return store.Keep(t.Context(), "late", strings.NewReader("late"))
}

// handedOn wants the link to go on in e3 with what it has shown, and nothing to be possible in e1.
func handedOn(t *testing.T, tree place.Tree) {
	t.Helper()
	folders, err := tree.Folders(t.Context())
	must(t, err)
	barred, live := 0, 0
	for _, f := range folders {
		switch {
		case f == place.Folder{Name: "e1", Barred: true}:
			barred++
		case f == place.Folder{Name: "e3"}:
			live++
		case f.Name == "e1" || f.Name == "halted-e1":
			store, err := tree.Store(t.Context(), f.Name, false)
			must(t, err)
			if left, err := store.KeptNames(t.Context(), ""); err != nil || len(left) > 0 {
				t.Errorf("%s still keeps %q, %v", f.Name, left, err)
			}
		}
	}
	if barred != 1 || live != 1 {
		t.Errorf("beside the tree are %v", folders)
	}
	if keepsLate(t, tree) == nil {
		t.Error("a late mover of e1 is let do")
	}
	store, err := tree.Store(t.Context(), "e3", false)
	must(t, err)
	now, err := native.New(t.TempDir()).Standing(t.Context(), filecopy.Job{Name: "contoso.curated.east.west", LeaveRoot: true, Target: store})
	if err != nil || now.Published == nil {
		t.Errorf("the link shows %+v, %v", now, err)
	}
}

// TestAHandingOnIsKilled repeats, and decides anew, the step of an abort that lets the link go on, from each moment at which it may have been killed.
func TestAHandingOnIsKilled(t *testing.T) {
	for name, killed := range cutOff(t) {
		for _, anew := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				p := newPair(t)
				w := p.opened(t)
				must(t, p.write(t.Context(), east, 6))
				p.runsUnder(w, 1, "op-1", append(ready(), understudy.StagePublish)...)
				s := p.under(3, understudy.Abort, understudy.StageFollow)
				steps, err := p.decided(w, s)
				must(t, err)
				for _, tree := range trees() {
					killed(place.Local(p.root[west]).Tree(tree))
				}
				if anew {
					steps, err = p.decided(w, s)
					must(t, err)
				}
				for range 2 {
					p.doesUnder(w, s, steps)
					for _, tree := range trees() {
						handedOn(t, place.Local(p.root[west]).Tree(tree))
					}
				}
			})
		}
	}
}

// TestAHandingOnIsKilledOnADLS does so where nothing is a directory of this machine.
func TestAHandingOnIsKilledOnADLS(t *testing.T) {
	s := adlsShop(t)
	for name, killed := range cutOff(t) {
		t.Run(name, func(t *testing.T) {
			p := lakes(s.pair(t))
			w := p.opened()
			must(t, p.write(t.Context(), east, 6))
			p.runsUnder(w, 1, understudy.Replicate, "op-1", append(ready(), understudy.StagePublish)...)
			e := p.spec.Clusters[west].(*storage.ADLS)
			site := place.ADLS(place.ADLSConfig{URL: e.URL, Account: adls.AccountName, FileSystem: e.FileSystem, Prefix: e.Prefix, Key: "adls", Secret: p.open.Secret})
			for _, tree := range trees() {
				killed(site.Tree(tree))
			}
			for range 2 {
				p.runsUnder(w, 3, understudy.Abort, "op-2", understudy.StageFollow)
				for _, tree := range trees() {
					handedOn(t, site.Tree(tree))
				}
			}
		})
	}
}
