package storage_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
)

// TestALostControlPlane does what docs/running.md tells a person to do when the data directory of the control plane is gone for good: a new one is
// refused, takes nothing over by itself, and protects again once understudy's folders are out of the way; also where the lost one was amid showing
// a set, and amid a takeover, when nobody was active.
func TestALostControlPlane(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]story{
		"at rest":      {prepare: (*stagehand).protected},
		"amid showing": {prepare: (*stagehand).beginsToShow},
		"amid a takeover": {hooked: true, prepare: func(s *stagehand) {
			s.protected()
			s.do(understudy.Switchover, control.PausedByStep)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var hand *stagehand
			leave := s.prepare
			s.prepare = func(s *stagehand) { hand = s; leave(s) }
			e := s.estate(t)
			old := controltest.Start(t, e.Setup)
			old.Apply()
			e.Prepare(old)
			old.Kill()
			e.Setup.DataDir, e.Setup.Plan.Hooks = t.TempDir(), nil
			hand.p = controltest.Start(t, e.Setup)
			t.Cleanup(hand.p.Stop)
			hand.p.Apply()
			hand.protectsByHand()
		})
	}
}

// beginsToShow has a run that is cut off when it shows its first file.
func (s *stagehand) beginsToShow() {
	s.stages()
	s.showsInPart("e1")
}

// protectsByHand protects with a control plane that knows nothing, and takes the other side over.
func (s *stagehand) protectsByHand() {
	op := s.p.Do(control.StartRequest{Verb: understudy.Protect}, control.PausedByStep)
	if op.Error.Code != "US252" || op.Stage != understudy.StageCheck {
		s.t.Fatalf("a new control plane is paused at %s: %v", op.Stage, op.Error)
	}
	for _, tree := range trees() {
		s.opens(s.root[east] + tree)
		for site := range s.root {
			must(s.t, os.Rename(s.folder(site, tree), s.folder(site, tree)+".lost"))
		}
	}
	if op = s.p.Act(s.p.Retry, control.ActRequest{Operation: op.ID}); op.State != control.Committed {
		s.t.Fatalf("protect is %s at %s: %v", op.State, op.Stage, op.Error)
	}
	must(s.t, s.same(s.t.Context()))
	s.lacks(trees()[1])
	s.writes(east, 2)
	s.do(understudy.Replicate, control.Committed)
	verified := s.p.Do(control.StartRequest{Verb: understudy.Verify}, control.Committed)
	if v := verified.Parts[0].Verdict; v == nil || v.Outcome != understudy.Match {
		s.t.Fatalf("after protecting again: %+v", v)
	}
	s.do(understudy.Switchover, control.CommitWindow)
	must(s.t, s.same(s.t.Context()))
	for _, tree := range trees() {
		info, err := os.Stat(s.root[west] + tree)
		must(s.t, err)
		if info.Mode().Perm() != 0o755 {
			s.t.Errorf("the new primary's %s is %v", tree, info.Mode())
		}
	}
}

// opens gives a root back to its users.
func (s *stagehand) opens(root string) {
	must(s.t, os.Chmod(root, 0o755))
	if os.Geteuid() == 0 {
		must(s.t, os.Chown(root, app, app))
	}
}

// TestAFileComesBackFromItsQuarantine restores a deleted file by hand, as docs/running.md tells: what is put into the secondary stays until a repair,
// and what is put into the active side is everywhere after the next run.
func TestAFileComesBackFromItsQuarantine(t *testing.T) {
	h := newHouse(t, 1000)
	all, err := filepath.Glob(h.root[east] + "/jars/d*/f*")
	must(t, err)
	gone, err := filepath.Rel(h.root[east]+"/jars", all[0])
	must(t, err)
	content, err := os.ReadFile(all[0])
	must(t, err)
	must(t, os.Remove(all[0]))
	h.succeeds(h.runs(), control.Committed)
	there := func(site understudy.Site) bool {
		b, err := os.ReadFile(filepath.Join(h.root[site], "jars", gone))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return err == nil && string(b) == string(content)
	}
	restore := func(to understudy.Site) {
		t.Helper()
		kept, err := filepath.Glob(h.root[west] + "/.jars.understudy/e1/quarantine/*/" + gone)
		must(t, err)
		if len(kept) != 1 {
			t.Fatalf("the quarantine holds %q", kept)
		}
		must(t, os.Rename(kept[0], filepath.Join(h.root[to], "jars", gone)))
	}
	restore(west)
	if op := h.runs(); op.State != control.Committed || !there(west) || there(east) {
		t.Fatalf("after a run that is %s: at east %v, at west %v", op.State, there(east), there(west))
	}
	verified := h.p.Do(control.StartRequest{Verb: understudy.Verify}, control.Committed)
	if v := verified.Parts[0].Verdict; v == nil || v.Outcome != understudy.Different {
		t.Errorf("verify says %+v", v)
	}
	op := h.p.Rest(h.p.Begin(control.StartRequest{Verb: understudy.Replicate, Sweeps: []understudy.Sweep{understudy.Repair}}).ID)
	if op.State != control.Committed || there(west) {
		t.Fatalf("after a repair that is %s it is at west: %v", op.State, there(west))
	}
	restore(east)
	h.succeeds(h.runs(), control.Committed)
	if !there(east) || !there(west) {
		t.Errorf("in the end at east %v, at west %v", there(east), there(west))
	}
}
