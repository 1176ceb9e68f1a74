package control

import (
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// Each guard refuses alone, by its own code, and says why: everything else about the facts is as it should be. A
// guard that no row names fails the test.
func TestEachGuardRefusesByItsCode(t *testing.T) {
	t.Parallel()
	good := Facts{Verb: understudy.Switchover, Waited: true, InPlace: true, Fenced: true, Drained: true, Halted: true, NeverEnabled: true, Level: true, Whole: true, Opened: true, Saved: true}
	rows := []struct {
		gate   Gate
		code   understudy.Code
		change func(*Facts)
	}{
		{GateEffect, "US211", func(f *Facts) { f.Waited = false }},
		{GateStart, "US212", func(f *Facts) { f.Busy = true }},
		{GateStart, "US213", func(f *Facts) { f.Uncommitted = true }},
		{GateStart, "US214", func(f *Facts) { f.TargetIsOld = true }},
		{GateTurn, "US215", func(f *Facts) { f.Promoted = true }},
		{GateSettle, "US216", func(f *Facts) { f.Whole = false }},
		{GateHalt, "US220", func(f *Facts) { f.Drained = false }},
		{GatePromote, "US221", func(f *Facts) { f.Fenced, f.Silent = false, true }},
		{GatePromote, "US222", func(f *Facts) { f.Verb, f.Fenced, f.Accepted = understudy.Failover, false, true }},
		{GatePromote, "US223", func(f *Facts) { f.Halted = false }},
		{GatePromote, "US224", func(f *Facts) { f.InPlace = false }},
		{GateRestore, "US226", func(f *Facts) { f.NeverEnabled = false }},
		{GateRestore, "US227", func(f *Facts) { f.Level = false }},
		{GateRestore, "US228", func(f *Facts) { f.InPlace = false }},
		{GateAssign, "US230", func(f *Facts) { f.InPlace = false }},
		{GateArrive, "US253", func(f *Facts) { f.Opened = false }},
		{GateResolve, "US254", func(f *Facts) { f.Saved = false }},
		{GateDuty, "US232", func(f *Facts) { f.SiteActive = true }},
		{GateDuty, "US233", func(f *Facts) { f.SiteFed = true }},
		{GateDuty, "US234", func(f *Facts) { f.SiteRising = true }},
		{GateRun, "US272", func(f *Facts) { f.InPlace = false }},
		{GateRun, "US273", func(f *Facts) { f.Replicating = true }},
		{GateRun, "US274", func(f *Facts) { f.Busy = true }},
		{GatePublish, "US275", func(f *Facts) { f.InPlace = false }},
	}
	o := understudy.Object{Plan: "contoso", Workload: "orders"}
	named := map[understudy.Code]bool{}
	for _, r := range rows {
		named[r.code] = true
		if e := pass(Guards(), r.gate, good, o); e != nil {
			t.Fatalf("%s is refused when all is well: %v", r.gate, e)
		}
		f := good
		r.change(&f)
		e := pass(Guards(), r.gate, f, o)
		if e == nil || e.Code != r.code || e.Kind != understudy.KindRefused || e.Object != o || e.Summary == "" {
			t.Errorf("%s: %+v, want %s", r.gate, e, r.code)
		}
	}
	for _, g := range Guards() {
		if !named[g.Code] {
			t.Errorf("no row for %s, %q at %s", g.Code, g.Name, g.Gate)
		}
	}
}

// Two steps that a crash could mistake for each other are a mistake of ours, and nothing of them runs.
func TestStepsThatLookAlikeAreABug(t *testing.T) {
	t.Parallel()
	for _, steps := range [][]understudy.Step{{{ID: ""}}, {{ID: "a"}, {ID: "b"}, {ID: "a"}}} {
		if e := understudy.AsError(distinct(steps)); e.Code != "US200" || e.Kind != understudy.KindBug {
			t.Errorf("%v: %v", steps, e)
		}
	}
	if err := distinct([]understudy.Step{{ID: "a"}, {ID: "b"}}); err != nil {
		t.Error(err)
	}
}

// What only a state between others shows, each by its own code.
func TestRefusalsOfRareStates(t *testing.T) {
	t.Parallel()
	orders := workload.Planned{Spec: workload.Spec{Plan: "contoso", Name: "orders"}}
	curated := workload.Planned{Spec: workload.Spec{Plan: "contoso", Name: "curated"}}
	apart := &admission{plan: workload.Plan{Name: "contoso", Workloads: []workload.Planned{orders, curated}}, roles: map[understudy.WorkloadName]understudy.Role{
		"orders": {Active: []understudy.Site{"west"}}, "curated": {Active: []understudy.Site{"east"}},
	}}
	_, err := apart.active()
	for _, c := range []struct {
		code understudy.Code
		err  error
	}{
		{"US209", err},
		{"US255", stopped(orders, understudy.Progress{State: understudy.Broken})},
		{"US277", (&walk{}).needPublished(t.Context(), orders)},
	} {
		if c.err == nil || understudy.AsError(c.err).Code != c.code {
			t.Errorf("%v, want %s", c.err, c.code)
		}
	}
}
