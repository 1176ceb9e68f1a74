package workloadtest

import (
	"context"
	"log/slog"
	"maps"
	"sync/atomic"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// driver walks one workload through stages as control would, without journal or guards, so that the suite can
// repeat and interrupt single steps.
type driver struct {
	t        testing.TB
	h        Harness
	w        workload.Workload
	role     understudy.Role
	old, to  understudy.Site
	receipts []understudy.Receipt
	kept     understudy.Keep
	operated int
	// began is the role when the operation began.
	began understudy.Role
	// twice does every step twice; cut interrupts it first and opens the workload anew. A link has its own then, as if it
	// ran at another member: it goes on while steps are interrupted.
	twice, cut bool
	frozen     atomic.Bool
}

func newDriver(t testing.TB, h Harness) *driver {
	t.Helper()
	d := &driver{t: t, h: h, kept: understudy.Keep{}, old: h.Spec.Sites[0], to: h.Spec.Sites[1]}
	d.open()
	t.Cleanup(func() { d.close() })
	return d
}

func (d *driver) open() {
	d.t.Helper()
	d.w = d.another()
}

// another opens the workload once more.
func (d *driver) another() workload.Workload {
	d.t.Helper()
	w, err := d.h.Kind.Open(d.t.Context(), d.h.Spec, d.h.Opening)
	if err != nil {
		d.t.Fatalf("open: %v", err)
	}
	return w
}

func (d *driver) close() { d.shut(d.w) }

func (d *driver) shut(w workload.Workload) {
	if err := w.Close(); err != nil {
		d.t.Errorf("close: %v", err)
	}
}

func (d *driver) observe() workload.Observation {
	d.t.Helper()
	obs, err := d.w.Observe(d.t.Context())
	if err != nil {
		d.t.Fatalf("observe: %v", err)
	}
	return obs
}

// before is the role when the operation began.
func (d *driver) before() understudy.Role {
	if d.began.Epoch == 0 {
		return d.role
	}
	return d.began
}

// begin forgets the receipts of the operation before.
func (d *driver) begin() {
	d.receipts = nil
	d.operated++
	d.began = d.role
}

// stage does all steps of one stage of a verb.
func (d *driver) stage(verb understudy.Verb, name understudy.StageName) {
	d.t.Helper()
	for _, s := range d.decide(verb, name) {
		d.step(verb, name, s)
	}
}

// decide gives the steps of one stage of a verb.
func (d *driver) decide(verb understudy.Verb, name understudy.StageName) []understudy.Step {
	d.t.Helper()
	obs := d.observe()
	steps, err := d.w.Decide(understudy.Stage{
		Name: name, Operation: d.operation(), Verb: verb, Workload: d.h.Spec.Name, Plan: d.h.Spec.Plan,
		ControlPlane: d.h.Opening.ControlPlane, Before: d.before(), Now: d.role, After: d.role.Promoted(d.to),
		Old: d.old, To: d.to, Receipts: d.receipts, Kept: maps.Clone(d.kept),
		Envelope: understudy.Envelope{Verb: verb, Plan: d.h.Spec.Plan, To: d.to, FenceFloor: understudy.F2},
	}, obs)
	if err != nil {
		d.t.Fatalf("%s %s: decide: %v", verb, name, err)
	}
	return steps
}

func (d *driver) operation() understudy.OperationID {
	return understudy.OperationID("op-suite-" + string(rune('a'+d.operated)))
}

// step does one step, as often and as badly as the driver is told to.
func (d *driver) step(verb understudy.Verb, name understudy.StageName, s understudy.Step) {
	d.t.Helper()
	if d.cut {
		// What a crash leaves is what a cancelled call leaves: the same step must then finish it.
		ctx, cancel := context.WithCancel(d.t.Context())
		timer := time.AfterFunc(5*time.Millisecond, cancel)
		if _, err := d.w.Do(ctx, s, d.run(verb, name)); err != nil && ctx.Err() == nil {
			d.t.Fatalf("%s %s: %s: %v", verb, name, s.ID, err)
		}
		timer.Stop()
		cancel()
		d.close()
		d.open()
	}
	r := d.do(verb, name, s)
	if d.twice {
		r = d.do(verb, name, s)
	}
	r.Step, r.Kind, r.Stage = s.ID, s.Kind, name
	d.receipts = append(d.receipts, r)
	d.keep(r.Keep)
}

func (d *driver) do(verb understudy.Verb, name understudy.StageName, s understudy.Step) understudy.Receipt {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), d.h.patience())
	defer cancel()
	for {
		r, err := d.w.Do(ctx, s, d.run(verb, name))
		kind := understudy.KindOf(err)
		if err == nil {
			return r
		}
		if ctx.Err() != nil || kind != understudy.KindRetry && kind != understudy.KindUnreachable {
			d.t.Fatalf("%s %s: %s: %v", verb, name, s.ID, err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func (d *driver) keep(k understudy.Keep) {
	for n, v := range k {
		if v == nil {
			delete(d.kept, n)
			continue
		}
		d.kept[n] = v
	}
}

func (d *driver) run(verb understudy.Verb, name understudy.StageName) understudy.Run {
	return understudy.Run{
		Operation: d.operation(), Verb: verb, Stage: name, Attempt: 1,
		Link:         understudy.Link{Plan: d.h.Spec.Plan, Workload: d.h.Spec.Name, From: d.old, To: d.to},
		ControlPlane: d.h.Opening.ControlPlane, Now: d.role, Lease: lease(1),
		Role:      func(context.Context) (understudy.Role, error) { return d.role, nil },
		Report:    func(understudy.StepProgress) {},
		LedgerDir: d.t.TempDir(), Log: slog.New(slog.DiscardHandler),
	}
}

func lease(term int64) understudy.Lease {
	return understudy.Lease{Term: term, Deadline: func() time.Time { return time.Now().Add(time.Minute) }}
}

// proof gives the newest proof of a kind, and wants it complete.
func (d *driver) proof(kind understudy.ProofKind) understudy.Proof {
	d.t.Helper()
	for i := len(d.receipts) - 1; i >= 0; i-- {
		for _, p := range d.receipts[i].Proofs {
			if p.Kind != kind {
				continue
			}
			if !p.Complete || p.Epoch < d.role.Epoch || p.Means == "" {
				d.t.Fatalf("the proof of %s is %+v, under role %s", kind, p, d.role)
			}
			return p
		}
	}
	d.t.Fatalf("there is no proof of %s", kind)
	return understudy.Proof{}
}

// following is a link that runs.
type following struct {
	d      *driver
	cancel context.CancelFunc
	ended  chan error
	// reports has the newest progress.
	reports chan understudy.Progress
}

// follow runs the link old → to at an epoch.
func (d *driver) follow(epoch understudy.RoleEpoch, reverse bool) *following {
	d.t.Helper()
	ctx, cancel := context.WithCancel(d.t.Context())
	f := &following{d: d, cancel: cancel, ended: make(chan error, 1), reports: make(chan understudy.Progress, 1)}
	a := understudy.Assignment{
		Link: understudy.Link{Plan: d.h.Spec.Plan, Workload: d.h.Spec.Name, From: d.old, To: d.to}, Epoch: epoch,
		Lease: lease(1), Frozen: func() bool { return d.frozen.Load() }, Reverse: reverse, Kept: maps.Clone(d.kept),
	}
	w, rest := d.w, func() {}
	if d.cut {
		w = d.another()
		rest = func() { d.shut(w) }
	}
	go func() {
		err := w.Replicate(ctx, a, func(p understudy.Progress) {
			select {
			case <-f.reports:
			default:
			}
			f.reports <- p
		})
		rest()
		f.ended <- err
	}()
	return f
}

// until waits for a progress.
func (f *following) until(what string, ok func(understudy.Progress) bool) understudy.Progress {
	f.d.t.Helper()
	timer := time.NewTimer(f.d.h.patience())
	defer timer.Stop()
	var last understudy.Progress
	for {
		select {
		case last = <-f.reports:
			f.d.keep(last.Keep)
			if ok(last) {
				return last
			}
		case err := <-f.ended:
			f.ended <- err
			f.d.t.Fatalf("the link ended before it was %s: %v", what, err)
		case <-timer.C:
			f.d.t.Fatalf("the link is not %s: %+v", what, last)
		}
	}
}

// stop ends the link and wants that it returns.
func (f *following) stop() {
	f.d.t.Helper()
	f.cancel()
	select {
	case err := <-f.ended:
		if err != nil {
			f.d.t.Fatalf("the link ended with %v", err)
		}
	case <-time.After(f.d.h.patience()):
		f.d.t.Fatal("the link did not return when it was cancelled")
	}
}
