package native

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
)

// TestStagedSetsAreShownByFinish stages in two calls, as a run that waits for a word in between does.
func TestStagedSetsAreShownByFinish(t *testing.T) {
	p := newPair(t)
	p.write(t, "a", "one", "d/b", "two")
	p.job.Run = "op-1"
	before := time.Now()
	planned, err := p.mover.Stage(t.Context(), p.job, filecopy.PhasePlan, nil)
	if err != nil || planned.Run != "op-1" || planned.Asked.Before(before.Add(-time.Millisecond)) {
		t.Fatalf("planned %+v, %v", planned, err)
	}
	p.write(t, "c", "later")
	var ready filecopy.Set
	for range 2 {
		if ready, err = p.mover.Stage(t.Context(), p.job, filecopy.PhaseReady, nil); err != nil {
			t.Fatal(err)
		}
	}
	if !ready.Asked.Equal(planned.Asked) || ready.Files != 2 {
		t.Errorf("ready %+v after %+v", ready, planned)
	}
	if _, err := os.Stat(filepath.Join(p.target, "a")); err == nil {
		t.Error("a staged file is visible")
	}
	other := p.job
	other.Run = "op-2"
	s := &scene{T: t, mover: p.mover, job: other}
	s.wants("US620", func() error { _, err := s.mover.Stage(t.Context(), other, filecopy.PhaseReady, nil); return err })
	s.wants("US609", func() error { _, err := s.mover.Stage(t.Context(), other, filecopy.PhaseDone, nil); return err })
	shown, err := p.mover.Finish(t.Context(), other, nil)
	if err != nil || shown.Run != "op-1" || p.content(t, "d/b") != "two" {
		t.Fatalf("finished %+v, %v", shown, err)
	}
	if again, err := p.mover.Stage(t.Context(), p.job, filecopy.PhaseReady, nil); err != nil || again.Number != shown.Number {
		t.Errorf("staging what is published gives %+v, %v", again, err)
	}
	if next, err := p.mover.Stage(t.Context(), other, filecopy.PhaseReady, nil); err != nil || next.Number != shown.Number+1 || next.Files != 3 {
		t.Errorf("the next run stages %+v, %v", next, err)
	}
}

// TestOtherRunsResumeNothing wants a plan to be made anew under another name.
func TestOtherRunsResumeNothing(t *testing.T) {
	p := newPair(t)
	p.write(t, "a", "one")
	p.job.Run = "op-1"
	first, err := p.mover.Stage(t.Context(), p.job, filecopy.PhasePlan, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "b", "two")
	p.job.Run = "op-2"
	second, err := p.mover.Stage(t.Context(), p.job, filecopy.PhaseReady, nil)
	if err != nil || second.Files != 2 || !second.Asked.After(first.Asked) {
		t.Errorf("the other run staged %+v, %v", second, err)
	}
}

// turn gives the job back from the target, as after a takeover.
func (p *pair) turn(t *testing.T) filecopy.Job {
	t.Helper()
	back := p.job
	back.Name, back.Origin, back.Source, back.Target = "back", p.job.Name, p.job.Target, open(t, p.source)
	return back
}

// TestTheWayBackCopiesWhatChanged wants no byte of what both trees hold alike to be sent again, also where no store computes sums.
func TestTheWayBackCopiesWhatChanged(t *testing.T) {
	p := newPair(t)
	p.write(t, "same", "one", "d/same", "two", "d/changed", "old", "gone", "x", "e/f", "y")
	p.run(t)
	back := p.turn(t)
	for name, content := range map[string]string{"d/changed": "new", "d/more": "more"} {
		if err := os.WriteFile(filepath.Join(p.target, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(p.target, "gone")); err != nil {
		t.Fatal(err)
	}
	var last filecopy.Progress
	set, err := p.mover.Run(t.Context(), back, func(g filecopy.Progress) { last = g })
	if err != nil {
		t.Fatal(err)
	}
	if last.TotalFiles != 2 || set.Files != 5 {
		t.Errorf("%d files were copied for a set of %d", last.TotalFiles, set.Files)
	}
	if _, err := os.Stat(filepath.Join(p.source, "gone")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was deleted is still there: %v", err)
	}
	// The manifest is whole: nothing differs, and the next run copies one file.
	c, err := p.mover.Compare(t.Context(), back, true, func(d filecopy.Difference) error { t.Error(d); return nil })
	if err != nil || c.Compared != 7 {
		t.Errorf("compared %+v, %v", c, err)
	}
	if err := os.WriteFile(filepath.Join(p.target, "same"), []byte("newer"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := p.mover.Run(t.Context(), back, func(g filecopy.Progress) { last = g }); err != nil || last.TotalFiles != 1 {
		t.Errorf("the next run copied %d files, %v", last.TotalFiles, err)
	}
}

// TestTheOldSideIsComparedWithWhatWasTaken finds what a source had that its last published set does not show.
func TestTheOldSideIsComparedWithWhatWasTaken(t *testing.T) {
	p := newPair(t)
	p.write(t, "same", "one", "changed", "old", "gone", "x")
	p.run(t)
	p.write(t, "changed", "late", "d/new", "late")
	if err := os.Remove(filepath.Join(p.source, "gone")); err != nil {
		t.Fatal(err)
	}
	found := map[filecopy.Path]filecopy.DifferenceKind{}
	_, err := p.mover.Compare(t.Context(), p.turn(t), false, func(d filecopy.Difference) error { found[d.Path] = d.Kind; return nil })
	if err != nil || len(found) != 4 || found["changed"] != filecopy.Altered || found["gone"] != filecopy.Missing ||
		found["d"] != filecopy.Foreign || found["d/new"] != filecopy.Foreign {
		t.Errorf("found %v, %v", found, err)
	}
}

// TestTheRootIsLeftAlone closes the target's root, as somebody does who guards it.
func TestTheRootIsLeftAlone(t *testing.T) {
	p := newPair(t)
	p.write(t, "a", "one")
	p.job.LeaveRoot = true
	p.run(t)
	if err := os.Chmod(p.target, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(p.source, 0o750); err != nil {
		t.Fatal(err)
	}
	p.write(t, "b", "two")
	p.job.Repair = true
	p.run(t)
	if info, err := os.Stat(p.target); err != nil || info.Mode().Perm() != 0o700 || p.content(t, "b") != "two" {
		t.Errorf("the root is %v, %v", info.Mode(), err)
	}
}
