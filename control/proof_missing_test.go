package control_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload"
)

// mute is a workload whose first receipt with a proof of a kind lacks it.
type mute struct {
	workload.Workload
	kind  understudy.ProofKind
	muted *atomic.Bool
}

func (m mute) Do(ctx context.Context, step understudy.Step, run understudy.Run) (understudy.Receipt, error) {
	r, err := m.Workload.Do(ctx, step, run)
	of := func(p understudy.Proof) bool { return p.Kind == m.kind }
	if slices.ContainsFunc(r.Proofs, of) && m.muted.CompareAndSwap(false, true) {
		r.Proofs = slices.DeleteFunc(r.Proofs, of)
	}
	return r, err
}

// lacking has the toy leave out a proof once.
func lacking(kind understudy.ProofKind) func(*controltest.Setup) {
	return func(c *controltest.Setup) {
		toy, _ := c.Registry.Kind(c.Plan.Workloads[0].Kind)
		open, muted := toy.Open, new(atomic.Bool)
		toy.Open = func(ctx context.Context, s workload.Spec, o workload.Opening) (workload.Workload, error) {
			w, err := open(ctx, s, o)
			return mute{w, kind, muted}, err
		}
		c.Registry = workload.NewRegistry(toy)
	}
}

// stopsAt wants an operation that was refused at a stage with a code.
func (s *scene) stopsAt(verb understudy.Verb, stage understudy.StageName, code understudy.Code) control.Operation {
	s.t.Helper()
	op := s.do(verb, control.PausedByStep)
	if op.Stage != stage || op.Error.Code != code {
		s.t.Fatalf("paused at %s: %v", op.Stage, op.Error)
	}
	return op
}

// Steps that all succeed do not make a takeover done: somebody must have seen that the new side takes writes.
func TestATakeoverIsDoneOnlyWhenTheNewSideProvablyTakesWrites(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, lacking(understudy.ProofOpen))
		s.protected()
		op := s.stopsAt(understudy.Switchover, understudy.StageProve, "US253")
		if !op.Promoted || !op.Marks.Verified.IsZero() {
			t.Fatalf("promoted %v, verified %v", op.Promoted, op.Marks.Verified)
		}
		refusedWith(t, s.order(control.StartRequest{Verb: understudy.Commit}), "US208")
		if op = s.Act(s.Retry, control.ActRequest{Operation: op.ID}); op.State != control.CommitWindow || op.Marks.Verified.IsZero() {
			t.Fatalf("%s, verified %v: %v", op.State, op.Marks.Verified, op.Error)
		}
	})
}

// What only the old primary has is not discarded before a ledger of it is proved.
func TestNothingIsDiscardedWithoutALedger(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, lacking(understudy.ProofLedger))
		s.protected()
		s.world.Force("west", "stray", "v")
		op := s.stopsAt(understudy.Reprotect, understudy.StageLedger, "US254")
		if !slices.Contains(s.world.IDs("west"), "stray") {
			t.Fatal("the stray record is gone")
		}
		if op = s.Act(s.Retry, control.ActRequest{Operation: op.ID}); op.State != control.Committed {
			t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
		}
		r, err := s.Report(t.Context(), op.ID)
		if err != nil || len(r.Ledger) != 1 || r.Ledger[0].Records != 1 || slices.Contains(s.world.IDs("west"), "stray") {
			t.Fatalf("%+v, %v, west has %v", r.Ledger, err, s.world.IDs("west"))
		}
	})
}
