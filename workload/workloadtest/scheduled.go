package workloadtest

import (
	"maps"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// How many records are written: lot before the first set, few at a time after it. A kind may lay the records of a few to more than one tree and
// directory; what more of them would cost is time.
const (
	lot = 6
	few = 3
)

// RunScheduled holds a kind to the contract of architectures without a mover. Each case gets fresh clusters from make.
func RunScheduled(t *testing.T, make func(t *testing.T) Harness) {
	for name, f := range map[string]func(*testing.T, Harness){
		"runs show what was captured":            publishes,
		"every step runs twice":                  func(t *testing.T, h Harness) { changesSides(t, h, func(d *driver) { d.twice = true }) },
		"every step survives a crash":            func(t *testing.T, h Harness) { changesSides(t, h, func(d *driver) { d.cut = true }) },
		"a halted run stays out":                 haltsRuns,
		"a run that is aborted shows nothing":    abortsRuns,
		"a lost source loses what was not shown": losesSource,
		"verify sees a flipped byte":             verifiesRuns(Flip),
		"verify sees a missing record":           verifiesRuns(Missing),
		"verify sees an extra record":            verifiesRuns(Extra),
		"looking changes nothing":                looksAtRuns,
	} {
		t.Run(name, func(t *testing.T) { f(t, make(t)) })
	}
}

// protectOnce walks the stages of protect, the whole first run among them.
func (d *driver) protectOnce() understudy.Published {
	d.t.Helper()
	d.begin()
	obs := d.observe()
	d.stage(understudy.Protect, understudy.StageCheck)
	d.stage(understudy.Protect, understudy.StageProvision)
	d.role = understudy.Role{Epoch: obs.HighestEpoch}.Promoted(d.old)
	d.stage(understudy.Protect, understudy.StageCreate)
	d.stage(understudy.Protect, understudy.StageGuard)
	d.stage(understudy.Protect, understudy.StageBootstrap)
	d.stage(understudy.Protect, understudy.StageProve)
	return d.published()
}

// published gives the newest set that the operation's receipts say is shown.
func (d *driver) published() understudy.Published {
	d.t.Helper()
	for i := len(d.receipts) - 1; i >= 0; i-- {
		if p := d.receipts[i].Published; p != nil {
			if p.Set == "" || p.SourceTime.IsZero() || p.SourceTime.After(time.Now()) {
				d.t.Fatalf("published is %+v", p)
			}
			return *p
		}
	}
	d.t.Fatal("nothing was published")
	return understudy.Published{}
}

// staged walks a run up to the moment before anything is shown.
func (d *driver) staged() {
	d.t.Helper()
	d.begin()
	for _, s := range []understudy.StageName{
		understudy.StageCheck, understudy.StageProvision, understudy.StageCapture, understudy.StageCopy, understudy.StageApply, understudy.StageProve,
	} {
		d.stage(understudy.Replicate, s)
	}
	d.proof(understudy.ProofStaged)
}

// replicate walks a whole run.
func (d *driver) replicate() understudy.Published {
	d.t.Helper()
	d.staged()
	d.stage(understudy.Replicate, understudy.StagePublish)
	p := d.published()
	d.stage(understudy.Replicate, understudy.StageRelease)
	return p
}

func publishes(t *testing.T, h Harness) {
	d := newDriver(t, h)
	d.write(d.old, lot)
	before := time.Now()
	first := d.protectOnce()
	d.same()
	if first.SourceTime.Before(before.Add(-time.Second)) {
		t.Errorf("the first set is of %s, and was asked for after %s", first.SourceTime, before)
	}
	d.write(d.old, lot)
	d.staged()
	if err := h.Same(t.Context()); err == nil {
		t.Error("what is staged is visible")
	}
	d.stage(understudy.Replicate, understudy.StagePublish)
	second := d.published()
	d.stage(understudy.Replicate, understudy.StageRelease)
	d.same()
	if !second.SourceTime.After(first.SourceTime) || second.Set == first.Set {
		t.Errorf("the second set is %+v after %+v", second, first)
	}
	third := d.replicate()
	d.same()
	if !third.SourceTime.After(second.SourceTime) {
		t.Errorf("a run without a change shows %+v after %+v", third, second)
	}
}

// shift walks a switchover to the first write on the new side.
func (d *driver) shift() {
	d.t.Helper()
	d.begin()
	d.stage(understudy.Switchover, understudy.StageCheck)
	d.stage(understudy.Switchover, understudy.StageProvision)
	d.stage(understudy.Switchover, understudy.StageFreeze)
	d.role = d.role.Fenced()
	d.stage(understudy.Switchover, understudy.StageFence)
	d.proof(understudy.ProofFence)
	d.refused(d.old)
	d.stage(understudy.Switchover, understudy.StageDrain)
	d.proof(understudy.ProofDrain)
	d.stage(understudy.Switchover, understudy.StageHalt)
	d.proof(understudy.ProofHalt)
	d.enable(understudy.Switchover)
	d.stage(understudy.Switchover, understudy.StageGuard)
	d.stage(understudy.Switchover, understudy.StageReverse)
	d.stage(understudy.Switchover, understudy.StageUnfreeze)
	d.old, d.to = d.to, d.old
}

// enable walks from cut to the proof of the opened side.
func (d *driver) enable(v understudy.Verb) {
	d.t.Helper()
	d.stage(v, understudy.StageCut)
	d.stage(v, understudy.StagePromote)
	d.proof(understudy.ProofHalt)
	d.role = d.role.Promoted(d.to)
	d.stage(v, understudy.StageEnable)
	d.stage(v, understudy.StageProve)
	d.proof(understudy.ProofOpen)
	d.stage(v, understudy.StageRoute)
}

// refused wants an ordinary write to be refused.
func (d *driver) refused(s understudy.Site) {
	d.t.Helper()
	if d.h.Refused == nil {
		return
	}
	if refused, err := d.h.Refused(d.t.Context(), s); err != nil || !refused {
		d.t.Fatalf("an ordinary write to %s: refused %v, %v", s, refused, err)
	}
}

// changesSides goes over and back, and wants every write of either side to arrive at the other.
func changesSides(t *testing.T, h Harness, change func(*driver)) {
	d := newDriver(t, h)
	d.write(d.old, lot)
	change(d)
	d.protectOnce()
	d.refused(d.to)
	d.write(d.old, few)
	d.replicate()
	d.write(d.old, few)
	for range 2 {
		if d.h.Unfenced {
			d.unfenced()
			d.flee()
		} else {
			d.shift()
		}
		d.same()
		d.refused(d.to)
		d.write(d.old, few)
		d.replicate()
		d.same()
	}
}

// haltsRuns lets the last steps of a run come after the halt.
func haltsRuns(t *testing.T, h Harness) {
	d := newDriver(t, h)
	d.write(d.old, lot)
	d.protectOnce()
	d.write(d.old, few)
	d.staged()
	late := d.decide(understudy.Replicate, understudy.StagePublish)
	run := d.run(understudy.Replicate, understudy.StagePublish)
	d.begin()
	d.role = d.role.Fenced()
	d.stage(understudy.Failover, understudy.StageFence)
	d.stage(understudy.Failover, understudy.StageHalt)
	d.proof(understudy.ProofHalt)
	before := d.verdict()
	for _, s := range late {
		if r, err := d.w.Do(t.Context(), s, run); err == nil && r.Published != nil {
			t.Errorf("after the halt %s showed %+v", s.ID, r.Published)
		}
	}
	if after := d.verdict(); before.Outcome == understudy.Different || after.Outcome != before.Outcome || len(after.Differences) != len(before.Differences) {
		t.Errorf("late steps changed the target: %+v, then %+v", before, after)
	}
}

func abortsRuns(t *testing.T, h Harness) {
	d := newDriver(t, h)
	d.write(d.old, lot)
	d.protectOnce()
	d.write(d.old, few)
	d.staged()
	d.stage(understudy.Replicate, understudy.StageRelease)
	if err := h.Same(t.Context()); err == nil {
		t.Error("an aborted run was shown")
	}
	d.replicate()
	d.same()
}

// losesSource fails over to the set that was shown last, opens it, and takes the old side back.
func losesSource(t *testing.T, h Harness) {
	if h.Lose == nil {
		t.Skip("the harness cannot lose a site")
	}
	d := newDriver(t, h)
	d.write(d.old, lot)
	d.protectOnce()
	d.flee()
	d.refused(d.to)
}

// unfenced wants a switchover to be refused at its check.
func (d *driver) unfenced() {
	d.t.Helper()
	d.begin()
	_, err := d.w.Decide(understudy.Stage{
		Name: understudy.StageCheck, Operation: d.operation(), Verb: understudy.Switchover, Workload: d.h.Spec.Name, Plan: d.h.Spec.Plan,
		ControlPlane: d.h.Opening.ControlPlane, Before: d.before(), Now: d.role, After: d.role.Promoted(d.to), Old: d.old, To: d.to,
		Kept: maps.Clone(d.kept),
	}, d.observe())
	if err == nil {
		d.t.Error("a switchover away from a side that nothing closes is not refused")
	}
}

// flee writes what is not copied any more, loses the old side, opens the other, and takes the old one back, with what it alone had in the ledger.
func (d *driver) flee() {
	d.t.Helper()
	d.write(d.old, few)
	back, err := d.h.Lose(d.t.Context(), d.old)
	if err != nil {
		d.t.Fatal(err)
	}
	d.begin()
	d.stage(understudy.Failover, understudy.StageProvision)
	d.role = d.role.Fenced()
	d.stage(understudy.Failover, understudy.StageFence)
	d.stage(understudy.Failover, understudy.StageSalvage)
	d.stage(understudy.Failover, understudy.StageHalt)
	d.proof(understudy.ProofHalt)
	d.enable(understudy.Failover)
	d.write(d.to, few)
	d.begin()
	d.stage(understudy.Commit, understudy.StageRelease)
	d.old, d.to = d.to, d.old
	if err := back(); err != nil {
		d.t.Fatal(err)
	}
	d.begin()
	for _, s := range []understudy.StageName{
		understudy.StageCheck, understudy.StageFence, understudy.StageScan, understudy.StageLedger, understudy.StageGuard, understudy.StageResolve, understudy.StageReverse,
	} {
		d.stage(understudy.Reprotect, s)
	}
	d.proof(understudy.ProofLedger)
	saved := int64(0)
	for _, r := range d.receipts {
		for _, l := range r.Ledger {
			if l.File != "" {
				saved += l.Records
			}
		}
	}
	if saved == 0 {
		d.t.Error("what only the old side had is in no ledger")
	}
	d.published()
	d.same()
}

// verdict compares the sides.
func (d *driver) verdict() understudy.Verdict {
	d.t.Helper()
	v, err := d.w.Verify(d.t.Context(), understudy.Scope{From: d.old, To: d.to, Lease: lease(1), Report: func(understudy.StepProgress) {}})
	if err != nil {
		d.t.Fatal(err)
	}
	return v
}

// verifiesRuns has one case per damage: each must turn the verdict.
func verifiesRuns(how Damage) func(*testing.T, Harness) {
	return func(t *testing.T, h Harness) {
		d := newDriver(t, h)
		d.write(d.old, lot)
		d.protectOnce()
		if v := d.verdict(); v.Outcome != understudy.Match || v.Compared == 0 {
			t.Fatalf("before the damage: %+v", v)
		}
		if err := h.Damage(t.Context(), d.to, how); err != nil {
			t.Fatal(err)
		}
		if v := d.verdict(); v.Outcome == understudy.Match || how != Missing && v.Outcome != understudy.Different {
			t.Fatalf("after the damage: %+v", v)
		}
	}
}

func looksAtRuns(t *testing.T, h Harness) {
	d := newDriver(t, h)
	d.write(d.old, few)
	d.protectOnce()
	first, second := d.observe(), d.observe()
	if len(first.Sites) != len(h.Spec.Sites) || first.HighestEpoch != second.HighestEpoch {
		t.Fatalf("two looks differ: %+v and %+v", first, second)
	}
	for site, facts := range first.Sites {
		if facts.Presence != workload.Present || facts.Identity == "" {
			t.Fatalf("%s: %+v", site, facts)
		}
	}
	d.same()
}
