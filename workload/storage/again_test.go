package storage_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// stagedToPause is staged, and the hook behind a stage fails once.
func stagedToPause(t *testing.T, behind understudy.StageName) *stagehand {
	var hand *stagehand
	e := story{prepare: func(s *stagehand) { hand = s }}.estate(t)
	e.Setup.Plan.Hooks = map[understudy.StageName]understudy.HookName{behind: "fails-once"}
	p := controltest.Start(t, e.Setup)
	t.Cleanup(p.Stop)
	p.Apply()
	e.Prepare(p)
	hand.writes(east, 6)
	return hand
}

// protectedAgain is protected, unprotected while what a run deleted lies in the quarantine of its link, and protected once more, under the same role.
func (s *stagehand) protectedAgain() {
	s.t.Helper()
	s.do(understudy.Protect, control.Committed)
	for _, tree := range trees() {
		s.lacks(tree)
	}
	s.do(understudy.Replicate, control.Committed)
	s.do(understudy.Unprotect, control.Committed)
	for _, tree := range trees() {
		s.has(tree, "halted-e1/quarantine/*/*", 1)
		s.has(tree, "halted-e1/kept", 0)
	}
	s.do(understudy.Protect, control.Committed)
	s.writes(east, 4)
	s.do(understudy.Replicate, control.Committed)
	must(s.t, s.same(s.t.Context()))
}

// has wants as many names of a pattern in understudy's folder of a tree at west.
func (p *pair) has(tree, pattern string, n int) {
	p.t.Helper()
	if all, err := filepath.Glob(p.folder(west, tree) + "/" + pattern); err != nil || len(all) != n {
		p.t.Errorf("%s: of %s there are %d: %q, %v", tree, pattern, len(all), all, err)
	}
}

// failsOver loses east, and makes it the secondary when it is back.
func (s *stagehand) failsOver(before func()) {
	s.t.Helper()
	s.loses()
	s.p.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{east}}, control.CommitWindow)
	s.do(understudy.Commit, control.Committed)
	before()
	must(s.t, s.back())
	s.do(understudy.Reprotect, control.Committed)
}

// TestProtectedAgainAndTakenOver makes the old primary, which nobody wrote to, the secondary: what its link kept is found, also where an earlier version's
// halt left it beside the folder of before.
func TestProtectedAgainAndTakenOver(t *testing.T) {
	for name, before := range map[string]func(*stagehand){
		"by this version": func(s *stagehand) {
			for _, tree := range trees() {
				s.has(tree, "halted-e1/kept/*/head.json", 1)
				s.has(tree, "halted-e1.1/quarantine/*/*", 1)
			}
		},
		"by an earlier version": func(s *stagehand) {
			for _, tree := range trees() {
				at := s.folder(west, tree)
				must(s.t, os.Rename(at+"/halted-e1", at+"/other"))
				must(s.t, os.Rename(at+"/halted-e1.1", at+"/halted-e1"))
				must(s.t, os.Rename(at+"/other", at+"/halted-e1.1"))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := staged(t)
			s.protectedAgain()
			s.failsOver(func() { before(s) })
			for _, tree := range trees() {
				kept, err := filepath.Glob(s.folder(east, tree) + "/quarantine/*/*")
				if must(t, err); len(kept) > 0 {
					t.Errorf("nobody wrote to east since, and its ledger has %q", kept)
				}
			}
			must(t, s.same(t.Context()))
			// Retention finds the quarantine of before under either name.
			for _, tree := range trees() {
				old, err := filepath.Glob(s.folder(west, tree) + "/halted-e1*/quarantine/*")
				if must(t, err); len(old) != 1 {
					t.Fatalf("of before there are %q", old)
				}
				must(t, os.Rename(old[0], filepath.Dir(old[0])+"/20200101T000000Z-1"))
			}
			s.do(understudy.Replicate, control.Committed)
			for _, tree := range trees() {
				s.has(tree, "halted-e1*/quarantine/*", 0)
			}
		})
	}
}

// TestProtectedAgainAndGivenBack aborts a takeover behind its halt: the link goes on in its folder.
func TestProtectedAgainAndGivenBack(t *testing.T) {
	t.Parallel()
	s := stagedToPause(t, understudy.StageCut)
	s.protectedAgain()
	op := s.p.Do(control.StartRequest{Verb: understudy.Switchover}, control.PausedByStep)
	if op = s.p.Act(s.p.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted {
		t.Fatalf("the abort is %s: %v", op.State, op.Error)
	}
	for _, tree := range trees() {
		s.has(tree, fmt.Sprintf("e%d/kept/*/head.json", s.p.Role("curated").Epoch), 1)
		s.has(tree, "halted-e1.1/quarantine/*/*", 1)
		s.has(tree, "halted-e1.1/kept", 0)
	}
	s.writes(east, 2)
	s.do(understudy.Replicate, control.Committed)
	must(t, s.same(t.Context()))
}

// TestRoomForAHaltedFolder halts a link whose name is taken, from each state that a halt which was cut off leaves behind, and one time more.
func TestRoomForAHaltedFolder(t *testing.T) {
	for name, c := range map[string]struct {
		// left are folders that keep a quarantine alone.
		left  []string
		state func(at string) error
		// aside are the folders beside the link's own.
		aside string
	}{
		"nothing is done":  {[]string{"halted-e1"}, func(string) error { return nil }, "halted-e1.1"},
		"more are left":    {[]string{"halted-e1", "halted-e1.1"}, func(string) error { return nil }, "halted-e1.1 halted-e1.2"},
		"the name is free": {[]string{"halted-e1.1"}, func(string) error { return nil }, "halted-e1.1"},
		"the folder is moved": {[]string{"halted-e1.1"}, func(at string) error {
			return os.Rename(at+"/e1", at+"/halted-e1")
		}, "halted-e1.1"},
		"it is moved, and a late mover made another": {[]string{"halted-e1.1"}, func(at string) error {
			if err := os.Rename(at+"/e1", at+"/halted-e1"); err != nil {
				return err
			}
			return os.MkdirAll(at+"/e1/staging/lot", 0o700)
		}, "halted-e1.1 halted-e1.2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			w := p.opened(t)
			must(t, p.write(t.Context(), east, 6))
			p.runsUnder(w, 1, "op-1", append(ready(), understudy.StagePublish)...)
			for _, tree := range trees() {
				for _, folder := range c.left {
					must(t, os.MkdirAll(p.folder(west, tree)+"/"+folder+"/quarantine/20200101T000000Z-1/d", 0o700))
				}
			}
			halt := p.under(1, understudy.Failover, understudy.StageHalt)
			steps, err := p.decided(w, halt)
			must(t, err)
			for _, tree := range trees() {
				must(t, c.state(p.folder(west, tree)))
			}
			for range 2 {
				p.doesUnder(w, halt, steps)
				for _, tree := range trees() {
					folders, err := place.Local(p.root[west]).Tree(tree).Folders(t.Context())
					must(t, err)
					if !slices.Contains(folders, place.Folder{Name: "e1", Barred: true}) {
						t.Errorf("%s: e1 is not barred: %v", tree, folders)
					}
					p.has(tree, "halted-e1/kept/*/head.json", 1)
					p.has(tree, "halted-e1.*", len(strings.Fields(c.aside)))
					for _, folder := range strings.Fields(c.aside) {
						p.has(tree, folder, 1)
						p.has(tree, folder+"/kept", 0)
					}
				}
			}
			p.cutShowsBoth(w)
		})
	}
}

// cutShowsBoth reads the cut: each tree shows a set.
func (p *pair) cutShowsBoth(w workload.Workload) {
	p.t.Helper()
	cut := p.under(2, understudy.Failover, understudy.StageCut)
	steps, err := p.decided(w, cut)
	must(p.t, err)
	if r, err := w.Do(p.t.Context(), steps[0], p.runOf(cut)); err != nil || !strings.HasPrefix(r.Summary, "2 trees show ") {
		p.t.Errorf("the cut: %q, %v", r.Summary, err)
	}
}

// TestBarsAreLeftLast ends the leaving of a site half way: while something is left of what a link kept, the bar of its folder is.
func TestBarsAreLeftLast(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	w := p.opened(t)
	must(t, p.write(t.Context(), east, 6))
	p.runsUnder(w, 1, "op-1", append(ready(), understudy.StagePublish)...)
	halt := p.under(1, understudy.Unprotect, understudy.StageHalt)
	steps, err := p.decided(w, halt)
	must(t, err)
	p.doesUnder(w, halt, steps)
	tree := trees()[0]
	must(t, os.WriteFile(p.folder(west, tree)+"/halted-e1/quarantine", nil, 0o600))
	release := p.under(1, understudy.Unprotect, understudy.StageRelease)
	steps, err = p.decided(w, release)
	must(t, err)
	_, err = w.Do(t.Context(), steps[1], p.runOf(release))
	if steps[1].Site != west || err == nil {
		t.Fatalf("leaving %s: %v", steps[1].Site, err)
	}
	p.has(tree, "halted-e1/kept/*/head.json", 1)
	p.has(tree, "e1", 1)
	must(t, os.Remove(p.folder(west, tree)+"/halted-e1/quarantine"))
	p.doesUnder(w, release, steps)
	p.has(tree, "", 0)
}

// TestALaterLinkHasShownNothing aborts a takeover whose last stage does not reach the target, so that the link is not handed on. The next run has begun in a
// folder of its own, and shown nothing yet, when the source is lost. What the target shows is the older link's, and so is what the old primary is held against.
func TestALaterLinkHasShownNothing(t *testing.T) {
	t.Parallel()
	s := stagedToPause(t, understudy.StageFence)
	s.do(understudy.Protect, control.Committed)
	op := s.p.Do(control.StartRequest{Verb: understudy.Switchover}, control.PausedByStep)
	if op = s.p.Act(s.p.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted {
		t.Fatalf("the abort is %s at %s: %v", op.State, op.Stage, op.Error)
	}
	epoch := s.p.Role("curated").Epoch
	for _, tree := range trees() {
		// As it is where the target was silent at that stage.
		at := s.folder(west, tree)
		must(t, os.Remove(at+"/e1"))
		must(t, os.Rename(fmt.Sprintf("%s/e%d", at, epoch), at+"/e1"))
	}
	must(t, os.WriteFile(s.root[east]+trees()[0]+"/mine", []byte("mine alone"), 0o600))
	s.runsUnder(s.opened(t), epoch, "op-9", understudy.StageCapture)
	s.failsOver(func() {})
	for tree, want := range map[string]string{trees()[0]: "mine", trees()[1]: ""} {
		kept, err := filepath.Glob(s.folder(east, tree) + "/quarantine/*/*")
		must(t, err)
		for i := range kept {
			kept[i] = filepath.Base(kept[i])
		}
		if got := strings.Join(kept, " "); got != want {
			t.Errorf("%s: the ledger has %q, and not %q", tree, got, want)
		}
	}
	must(t, s.same(t.Context()))
}
