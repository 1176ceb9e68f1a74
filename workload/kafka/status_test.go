package kafka_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
)

// TestStatusTellsWhatATakeoverLeaves wants to read, where no authorizer keeps anybody out, which side is unguarded, before a
// switchover and after, and until commit what the new primary keeps longer than its owner wants.
func TestStatusTellsWhatATakeoverLeaves(t *testing.T) {
	t.Parallel()
	th := simulated(t)
	e := story{req: control.StartRequest{Verb: understudy.Switchover}}.estate(t, th)
	p := controltest.Start(t, e.Setup)
	defer p.Stop()
	p.Apply()
	s := &stagehand{t: t, p: p, th: th}
	s.protected()
	s.tells("west is unguarded", true)
	s.tells("east is unguarded", false)
	s.tells("keeps more than intended until", false)

	const foretold = "east will be unguarded"
	s.foretells(understudy.Switchover, foretold+": after PROMOTE")

	op := p.Do(control.StartRequest{Verb: understudy.Switchover}, control.CommitWindow)
	report, err := p.Report(context.Background(), op.ID)
	if err != nil {
		t.Fatal(err)
	}
	if doc, err := json.Marshal(report); err != nil || !strings.Contains(string(doc), foretold) {
		t.Errorf("its report does not say that %s: %s (%v)", foretold, doc, err)
	}
	s.tells("east is unguarded", true)
	s.tells("west is unguarded", false)
	s.tells("west: topic idle, orders keeps more than intended until the takeover is committed: retention.ms", true)
	s.do(understudy.Commit, control.Committed)
	s.foretells(understudy.Reprotect, foretold+": before the link starts")
	s.tells("keeps more than intended until", false)
	if got := settings(t, th.west, "orders")["retention.ms"]; got == "-1" {
		t.Errorf("after commit retention.ms is %s", got)
	}
}

// foretells wants a dry run to say something at the check, which comes before the approval.
func (s *stagehand) foretells(v understudy.Verb, words string) {
	s.t.Helper()
	planned, err := s.p.Start(context.Background(), control.StartRequest{Verb: v, Plan: "contoso", DryRun: true})
	if err != nil {
		s.t.Fatal(err)
	}
	if !slices.ContainsFunc(planned.DryRun.Stages, func(d control.DryStage) bool {
		return d.Name == understudy.StageCheck && slices.ContainsFunc(d.Steps, func(x control.DryStep) bool { return strings.HasPrefix(x.Step.Summary, words) })
	}) {
		s.t.Fatalf("the dry run of %s does not say that %s: %+v", v, words, planned.DryRun.Stages)
	}
}

// tells wants status to have a finding or a note with the words, or none.
func (s *stagehand) tells(words string, want bool) {
	s.t.Helper()
	st, err := s.p.Status(context.Background(), "contoso")
	if err != nil {
		s.t.Fatal(err)
	}
	w := st.Workloads[0]
	said := slices.Clone(w.Notes)
	for _, f := range w.Findings {
		said = append(said, f.Summary)
	}
	if got := slices.ContainsFunc(said, func(x string) bool { return strings.Contains(x, words) }); got != want {
		s.t.Errorf("says %q: %t, in %q", words, got, said)
	}
}
