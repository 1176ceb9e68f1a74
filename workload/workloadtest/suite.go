package workloadtest

import (
	"context"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// Harness is what a kind supplies: two fresh clusters, and ways to write, damage and compare them that do not go
// through the kind. A nil function skips the cases that need it, and names them.
type Harness struct {
	Kind workload.Kind
	// Spec is a workload between two sites; the first is home.
	Spec    workload.Spec
	Opening workload.Opening
	// Write has an ordinary client write n new records at a site, and returns when they are acknowledged.
	Write func(ctx context.Context, site understudy.Site, n int) error
	// Refused has an ordinary client write one record and says whether the site refused it.
	Refused func(ctx context.Context, site understudy.Site) (bool, error)
	// Unfenced says that nothing at the sites keeps ordinary writers out: a switchover is refused before anything is changed, and sides change
	// by failovers from sites that are lost. Lose must not be nil then.
	Unfenced bool
	// Same compares both sides with the engine's own client; nil means that they hold the same.
	Same func(ctx context.Context) error
	// Damage changes one side behind everybody's back.
	Damage func(ctx context.Context, site understudy.Site, how Damage) error
	// Late keeps the mover's next writes on their way, past the end of its assignment. Held is closed when there
	// is one; release lets them arrive and says how many were refused and how many accepted.
	Late func(ctx context.Context) (held <-chan struct{}, release func() (refused, accepted int), err error)
	// Gap lets the source forget records that were not copied; the link does not run meanwhile.
	Gap func(ctx context.Context) error
	// Lose makes a site unreachable, with all it holds, and gives what brings it back.
	Lose func(ctx context.Context, site understudy.Site) (back func() error, err error)
	// Patience bounds every wait; zero means 30 s.
	Patience time.Duration
}

// Damage is one way in which two copies come to differ.
type Damage string

// The damages that a verification must see.
const (
	// Flip changes a byte, Missing removes the newest record, Extra adds one that nobody copied.
	Flip    Damage = "flip"
	Missing Damage = "missing"
	Extra   Damage = "extra"
	// None writes one side's copy anew as it was, in the way in which the others do: nothing else of them may turn a verdict.
	None Damage = "none"
)

func (h Harness) patience() time.Duration {
	if h.Patience == 0 {
		return 30 * time.Second
	}
	return h.Patience
}

// Run holds a kind to the contract. Each case gets fresh clusters from make.
func Run(t *testing.T, make func(t *testing.T) Harness) {
	for name, f := range map[string]func(*testing.T, Harness){
		"bootstrap and follow":           follows,
		"every step runs twice":          func(t *testing.T, h Harness) { takesOver(t, h, func(d *driver) { d.twice = true }) },
		"every step survives a crash":    func(t *testing.T, h Harness) { takesOver(t, h, func(d *driver) { d.cut = true }) },
		"a halted mover stays out":       halts,
		"a gap stops the shard":          gaps,
		"a conflict stops the shard":     conflicts,
		"verify sees a flipped byte":     verifies(Flip),
		"verify sees a missing record":   verifies(Missing),
		"verify sees an extra record":    verifies(Extra),
		"verify sees only differences":   verifies(None),
		"looking changes nothing":        looks,
		"an interrupted link goes on":    resumes,
		"a cancelled link comes to rest": rests,
	} {
		t.Run(name, func(t *testing.T) { f(t, make(t)) })
	}
}

// protect walks the stages of protect up to a running link.
func (d *driver) protect() *following {
	d.t.Helper()
	d.begin()
	obs := d.observe()
	d.stage(understudy.Protect, understudy.StageCheck)
	d.stage(understudy.Protect, understudy.StageProvision)
	d.role = understudy.Role{Epoch: obs.HighestEpoch}.Promoted(d.old)
	d.stage(understudy.Protect, understudy.StageCreate)
	d.stage(understudy.Protect, understudy.StageGuard)
	d.stage(understudy.Protect, understudy.StageBootstrap)
	return d.follow(d.role.Epoch, false)
}

func (d *driver) write(site understudy.Site, n int) {
	d.t.Helper()
	if err := d.h.Write(d.t.Context(), site, n); err != nil {
		d.t.Fatalf("write at %s: %v", site, err)
	}
}

// caughtUp waits until everything that was acknowledged before is safe.
func (f *following) caughtUp() {
	f.d.t.Helper()
	since := time.Now()
	f.until("caught up", func(p understudy.Progress) bool {
		return p.State == understudy.Protected && p.Safe.After(since)
	})
}

func (d *driver) same() {
	d.t.Helper()
	if err := d.h.Same(d.t.Context()); err != nil {
		d.t.Fatalf("the sides differ: %v", err)
	}
}

func follows(t *testing.T, h Harness) {
	d := newDriver(t, h)
	d.write(d.old, 20)
	f := d.protect()
	f.caughtUp()
	d.same()
	d.write(d.old, 20)
	f.caughtUp()
	d.same()
	d.stage(understudy.Protect, understudy.StageProve)
	f.stop()
}

// takesOver walks a switchover, and wants its proofs and its result.
func takesOver(t *testing.T, h Harness, change func(*driver)) {
	d := newDriver(t, h)
	d.write(d.old, 10)
	change(d)
	f := d.protect()
	f.caughtUp()
	d.fenceAndDrain()
	f.stop()
	d.stage(understudy.Switchover, understudy.StageHalt)
	d.proof(understudy.ProofHalt)
	d.stage(understudy.Switchover, understudy.StageCut)
	d.stage(understudy.Switchover, understudy.StagePromote)
	d.proof(understudy.ProofFence)
	d.proof(understudy.ProofHalt)
	d.role = d.role.Promoted(d.to)
	d.stage(understudy.Switchover, understudy.StageEnable)
	d.stage(understudy.Switchover, understudy.StageProve)
	d.proof(understudy.ProofOpen)
	d.stage(understudy.Switchover, understudy.StageRoute)
	d.stage(understudy.Switchover, understudy.StageGuard)
	d.stage(understudy.Switchover, understudy.StageReverse)
	d.old, d.to = d.to, d.old
	back := d.follow(d.role.Epoch, true)
	d.frozen.Store(false)
	d.write(d.old, 10)
	back.caughtUp()
	d.same()
	back.stop()
}

// fenceAndDrain walks from freeze to drain, with the link running.
func (d *driver) fenceAndDrain() {
	d.t.Helper()
	d.begin()
	d.frozen.Store(true)
	d.stage(understudy.Switchover, understudy.StageCheck)
	d.stage(understudy.Switchover, understudy.StageFreeze)
	d.role = d.role.Fenced()
	d.stage(understudy.Switchover, understudy.StageFence)
	d.proof(understudy.ProofFence)
	if d.h.Refused != nil {
		if refused, err := d.h.Refused(d.t.Context(), d.old); err != nil || !refused {
			d.t.Fatalf("an ordinary write to the fenced side: refused %v, %v", refused, err)
		}
	}
	d.stage(understudy.Switchover, understudy.StageDrain)
	d.proof(understudy.ProofDrain)
}

func halts(t *testing.T, h Harness) {
	if h.Late == nil {
		t.Skip("the harness cannot keep a mover's write on its way")
	}
	d := newDriver(t, h)
	d.write(d.old, 10)
	f := d.protect()
	f.caughtUp()
	held, release, err := h.Late(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.write(d.old, 5)
	select {
	case <-held:
	case <-time.After(h.patience()):
		t.Fatal("the mover sent nothing")
	}
	f.stop()
	d.begin()
	d.role = d.role.Fenced()
	d.stage(understudy.Failover, understudy.StageFence)
	d.stage(understudy.Failover, understudy.StageHalt)
	d.proof(understudy.ProofHalt)
	if refused, accepted := release(); accepted != 0 || refused == 0 {
		t.Fatalf("after the halt %d late writes were accepted and %d refused", accepted, refused)
	}
}

func gaps(t *testing.T, h Harness) {
	if h.Gap == nil {
		t.Skip("the harness cannot make a gap")
	}
	d := newDriver(t, h)
	d.write(d.old, 10)
	f := d.protect()
	f.caughtUp()
	f.stop()
	if err := h.Gap(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.wantStopped(d.follow(d.role.Epoch, false))
}

func conflicts(t *testing.T, h Harness) {
	if h.Damage == nil {
		t.Skip("the harness cannot write behind the mover's back")
	}
	d := newDriver(t, h)
	d.write(d.old, 10)
	f := d.protect()
	f.caughtUp()
	f.stop()
	if err := h.Damage(t.Context(), d.to, Extra); err != nil {
		t.Fatal(err)
	}
	d.write(d.old, 5)
	d.wantStopped(d.follow(d.role.Epoch, false))
}

// wantStopped wants a shard that stopped with a reason, while the link itself goes on.
func (d *driver) wantStopped(f *following) {
	d.t.Helper()
	p := f.until("stopped", func(p understudy.Progress) bool {
		return p.State == understudy.Broken || p.State == understudy.Diverged
	})
	for _, s := range p.Shards {
		if s.Error != nil {
			f.stop()
			return
		}
	}
	d.t.Fatalf("no shard says why it stopped: %+v", p)
}

// verifies has one case per damage: each must turn the verdict.
func verifies(how Damage) func(*testing.T, Harness) {
	return func(t *testing.T, h Harness) {
		d := newDriver(t, h)
		d.write(d.old, 10)
		f := d.protect()
		f.caughtUp()
		f.stop()
		scope := understudy.Scope{From: d.old, To: d.to, Lease: lease(1), Report: func(understudy.StepProgress) {}}
		v, err := d.w.Verify(t.Context(), scope)
		if err != nil || v.Outcome != understudy.Match || v.Compared == 0 {
			t.Fatalf("before the damage: %+v, %v", v, err)
		}
		if h.Damage == nil {
			t.Skip("the harness cannot damage a side")
		}
		if err := h.Damage(t.Context(), d.to, how); err != nil {
			t.Fatal(err)
		}
		v, err = d.w.Verify(t.Context(), scope)
		if how == None {
			if err != nil || v.Outcome != understudy.Match {
				t.Fatalf("after a rewrite without a difference: %+v, %v", v, err)
			}
			return
		}
		if err != nil || v.Outcome == understudy.Match || how != Missing && v.Outcome != understudy.Different {
			t.Fatalf("after the damage: %+v, %v", v, err)
		}
	}
}

func looks(t *testing.T, h Harness) {
	d := newDriver(t, h)
	d.write(d.old, 5)
	f := d.protect()
	f.caughtUp()
	f.stop()
	first := d.observe()
	second := d.observe()
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

func resumes(t *testing.T, h Harness) {
	d := newDriver(t, h)
	d.write(d.old, 10)
	f := d.protect()
	for range 5 {
		d.write(d.old, 10)
		f.stop()
		d.close()
		d.open()
		f = d.follow(d.role.Epoch, false)
	}
	f.caughtUp()
	d.same()
	f.stop()
}

func rests(t *testing.T, h Harness) {
	d := newDriver(t, h)
	f := d.protect()
	f.stop()
	d.write(d.old, 5)
	f = d.follow(d.role.Epoch, false)
	f.caughtUp()
	f.stop()
	d.same()
}
