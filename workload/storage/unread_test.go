package storage_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload"
)

// stampOf is where the stamp of a tree lies.
func (s *stagehand) stampOf(site understudy.Site, tree string) string {
	return filepath.Join(s.folder(site, tree), "kept", "stamp.json")
}

// tears leaves half of a stamp, and hides another where it cannot be read.
func (s *stagehand) tears(site understudy.Site, tree string) {
	s.t.Helper()
	must(s.t, os.WriteFile(s.stampOf(site, tree), []byte(`{"controlPlane":"cp`), 0o600))
}

func (s *stagehand) hides(site understudy.Site, tree string) {
	s.t.Helper()
	must(s.t, os.Remove(s.stampOf(site, tree)))
	must(s.t, os.Mkdir(s.stampOf(site, tree), 0o700))
}

// doubted wants a site to be there with an error, and doctor to say so.
func (s *stagehand) doubted(site understudy.Site, code understudy.Code) {
	s.t.Helper()
	f, err := s.p.Doctor(s.t.Context(), "contoso")
	must(s.t, err)
	seen := f.Workloads[0].Sites[site]
	if seen.Presence != workload.Present || seen.Error == nil || seen.Writable != "unknown" || seen.Identity == "" {
		s.t.Fatalf("%s is %+v", site, seen)
	}
	wants(s.t, code, seen.Error)
	if !slices.ContainsFunc(f.Workloads[0].Findings, func(x workload.Finding) bool {
		return x.Code == code && x.Level == "refuse" && x.Object.Site == site && x.Fix != ""
	}) {
		s.t.Errorf("doctor finds %+v", f.Workloads[0].Findings)
	}
}

// closed wants all roots of a site to be closed, or none.
func (s *stagehand) closed(site understudy.Site, want bool) {
	s.t.Helper()
	for _, tree := range trees() {
		info, err := os.Stat(s.root[site] + tree)
		must(s.t, err)
		if got := info.Mode().Perm() == 0o700; got != want {
			s.t.Errorf("%s%s is %v", site, tree, info.Mode())
		}
	}
}

// told wants a failover to say that it salvaged nothing, and that its fence is proved, not on anybody's word.
func told(t *testing.T, p *controltest.Plane, id understudy.OperationID) {
	t.Helper()
	r, err := p.Report(t.Context(), id)
	must(t, err)
	if !slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "nothing newer is taken from east") }) {
		t.Errorf("it warns of %q", r.Warnings)
	}
	for _, stage := range r.Stages {
		if slices.ContainsFunc(stage.Notes, func(n string) bool { return strings.Contains(n, "(FA)") }) {
			t.Errorf("%s: %q", stage.Name, stage.Notes)
		}
	}
}

// TestATornStampIsNoSilence has a failover of a side that answers, where a stamp is damaged. Nobody's word stands for its fence; once the file is out of the
// way the side is fenced, and what it has is salvaged.
func TestATornStampIsNoSilence(t *testing.T) {
	t.Parallel()
	s := staged(t)
	s.protected()
	s.tears(east, trees()[1])
	s.doubted(east, "US747")
	op := s.p.Rest(s.p.Begin(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{east}}).ID)
	if op.State != control.PausedByStep || op.Stage != understudy.StageFence || op.Promoted {
		t.Fatalf("failover is %s at %s: %v", op.State, op.Stage, op.Error)
	}
	wants(t, "US747", op.Error)
	if !strings.Contains(op.Error.Summary, "/.jars.understudy/kept/stamp.json") || op.Error.Object.Site != east || op.Error.Object.Shard != "/jars" {
		t.Errorf("it says %+v", op.Error)
	}
	s.closed(east, false)
	must(t, os.Remove(s.stampOf(east, trees()[1])))
	if op = s.p.Act(s.p.Retry, control.ActRequest{Operation: op.ID}); op.State != control.CommitWindow {
		t.Fatalf("after the retry failover is %s at %s: %v", op.State, op.Stage, op.Error)
	}
	s.closed(east, true)
	s.closed(west, false)
	must(t, s.same(t.Context()))
}

// TestAnUnreadSideIsFenced has a failover of a side that answers, and lets its roots be seen, where what is kept beside a tree cannot be read. It is fenced,
// which needs the roots alone; nothing is salvaged, and that is said. A planned takeover and a run are refused.
func TestAnUnreadSideIsFenced(t *testing.T) {
	t.Parallel()
	s := staged(t)
	s.protected()
	s.hides(east, trees()[0])
	s.doubted(east, "US746")
	for _, v := range []understudy.Verb{understudy.Switchover, understudy.Replicate} {
		op := s.p.Do(control.StartRequest{Verb: v}, control.PausedByStep)
		wants(t, "US746", op.Error)
		s.p.Act(s.p.Abort, control.ActRequest{Operation: op.ID})
	}
	s.closed(east, false)
	op := s.p.Rest(s.p.Begin(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{east}}).ID)
	if op.State != control.CommitWindow {
		t.Fatalf("failover is %s at %s: %v", op.State, op.Stage, op.Error)
	}
	s.closed(east, true)
	s.closed(west, false)
	told(t, s.p, op.ID)
	// Home again, once it can be read.
	must(t, os.Remove(s.stampOf(east, trees()[0])))
	s.do(understudy.Commit, control.Committed)
	s.writes(west, 2)
	s.do(understudy.Reprotect, control.Committed)
	s.rest()
	must(t, s.same(t.Context()))
}

// TestAnAbortOpensAnUnreadSide goes back from a failover whose old side was fenced and cannot be read.
func TestAnAbortOpensAnUnreadSide(t *testing.T) {
	t.Parallel()
	s := staged(t)
	p, role := s.pair, understudy.Role{}.Promoted(east)
	s.protected()
	s.hides(east, trees()[0])
	w := p.opened(t)
	obs, err := w.Observe(t.Context())
	must(t, err)
	steps, err := w.Decide(p.stage(understudy.Failover, understudy.StageFence, nil), obs)
	must(t, err)
	kept := understudy.Keep{}
	for _, step := range steps {
		if step.Kind == "stamp" && step.Site == east {
			t.Error("a stamp is written where none can be read")
		}
		run := p.run()
		run.Now = role
		r, err := w.Do(t.Context(), step, run)
		must(t, err)
		for n, v := range r.Keep {
			kept[n] = v
		}
	}
	s.closed(east, true)
	obs, err = w.Observe(t.Context())
	must(t, err)
	steps, err = w.Decide(p.stage(understudy.Abort, understudy.StageUnfence, kept), obs)
	must(t, err)
	for _, step := range steps {
		_, err := w.Do(t.Context(), step, p.run())
		must(t, err)
	}
	s.closed(east, false)
}

// TestTheDutyFencesWhatItCannotRead has an old primary come back after a failover on a person's word, with a stamp that is damaged, or that cannot be read.
func TestTheDutyFencesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*stagehand, understudy.Site, string){"torn": (*stagehand).tears, "unread": (*stagehand).hides} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := staged(t)
			s.protected()
			spoil(s, east, trees()[0])
			s.loses()
			s.p.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{east}}, control.CommitWindow)
			must(t, s.back())
			s.p.Until(func(st control.WorkloadStatus) bool { return len(st.Old) == 1 && st.Old[0].State == "fenced" })
			s.closed(east, true)
			s.closed(west, false)
		})
	}
}

// TestAnExchangedStoreIsNotFenced does not close the trees of another store in the place of ours, although nothing can be read beside them.
func TestAnExchangedStoreIsNotFenced(t *testing.T) {
	t.Parallel()
	s := staged(t)
	s.protected()
	s.hides(east, trees()[0])
	_, err := s.decided(s.opened(t), s.stage(understudy.Failover, understudy.StageFence, understudy.Keep{"store/east": []byte(`"local.another"`)}))
	wants(t, "US706", err)
}
