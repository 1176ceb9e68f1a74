package control

import (
	"context"
	"slices"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// facts gathers what the guards of the takeover ask about one workload. It looks at the journal only; whether
// an accepted site is still silent is filled by whoever has just looked.
func (w *walk) facts(p workload.Planned, role understudy.Role) Facts {
	_, accepted := w.op.Envelope.Accepted(w.op.From)
	f := Facts{
		Verb: TableVerb(w.op.Verb), Promoted: w.op.Promoted,
		InPlace:  !w.op.State.Final() && role.None() && role.Epoch == w.heldEpoch(p.Name),
		Accepted: accepted,
		Fenced:   w.fenceProof(p.Name, role) != nil,
	}
	return f
}

// heldEpoch is the epoch of the newest role that this operation, or the one it inherits from, wrote.
func (w *walk) heldEpoch(n understudy.WorkloadName) understudy.RoleEpoch {
	var epoch understudy.RoleEpoch
	for _, e := range slices.Concat(w.before, w.log) {
		if e.Kind == EventRole && e.Workload == n && e.Role != nil {
			epoch = e.Role.Epoch
		}
	}
	return epoch
}

// proof gives the newest proof of a kind about a site that still holds, gained under the present role.
func (w *walk) proof(n understudy.WorkloadName, role understudy.Role, kind understudy.ProofKind, site understudy.Site) *understudy.Proof {
	now := w.s.opt.Now()
	return find(w.proofs(n), func(p understudy.Proof) bool {
		return p.Kind == kind && p.Site == site && p.Epoch >= role.Epoch && p.Holds(now)
	})
}

// fenceProof gives the proof that nobody writes the side to be fenced, at a level that is enough.
func (w *walk) fenceProof(n understudy.WorkloadName, role understudy.Role) *understudy.Proof {
	now, floor := w.s.opt.Now(), w.op.Envelope.FenceFloor
	return find(w.proofs(n), func(p understudy.Proof) bool {
		return p.Kind == understudy.ProofFence && p.Site == w.fenced() && p.Epoch >= role.Epoch &&
			p.Holds(now) && p.Level.Rank() >= max(floor.Rank(), understudy.F1.Rank())
	})
}

// fenced is the side that the operation fences: the old primary, which in a reprotect is the link's target.
func (w *walk) fenced() understudy.Site {
	if w.op.Verb == understudy.Reprotect {
		return w.op.To
	}
	return w.op.From
}

func (w *walk) proofs(n understudy.WorkloadName) []understudy.Proof {
	var out []understudy.Proof
	for _, r := range w.receipts(n) {
		out = append(out, r.Proofs...)
	}
	return out
}

// silent looks whether the old side still does not answer; within is how long ago it may have had its full time.
func (w *walk) silent(ctx context.Context, p workload.Planned, within time.Duration) (bool, error) {
	obs, err := w.lookAgain(ctx, p, within)
	if err != nil {
		return false, err
	}
	return obs.Sites[w.fenced()].Presence != workload.Present, nil
}

// needFence demands proof of the fence, or a named acceptance while the old side is silent.
func (w *walk) needFence(ctx context.Context, p workload.Planned) error {
	role, _, err := w.s.role(ctx, objectOf(p))
	if err != nil {
		return err
	}
	f := w.facts(p, role)
	if !f.Fenced && f.Accepted {
		if f.Silent, err = w.silent(ctx, p, silenceHolds); err != nil {
			return err
		}
	}
	o := objectOf(p)
	o.Site = w.fenced()
	e := demand(Guards(), f, o, "fence", "silence")
	if e == nil && !f.Fenced {
		return w.onTheirWord(p)
	}
	if e == nil {
		return nil
	}
	e.Why = w.lacking(p.Name, understudy.ProofFence)
	return e
}

// onTheirWord journals that there is no proof but a person's word.
func (w *walk) onTheirWord(p workload.Planned) error {
	a, _ := w.op.Envelope.Accepted(w.fenced())
	text := "not proved: " + a.By + " gives their word that nobody writes " + string(a.Site) + ", which does not answer (FA)"
	if w.happened(func(e Event) bool { return e.Kind == EventNote && e.Workload == p.Name && e.Text == text }) {
		return nil
	}
	return w.note(p.Name, text)
}

// lacking says what the newest proof of a kind lacks.
func (w *walk) lacking(n understudy.WorkloadName, kind understudy.ProofKind) string {
	p := find(w.proofs(n), func(p understudy.Proof) bool { return p.Kind == kind })
	switch {
	case p == nil:
		return "there is no proof of it"
	case !p.Complete:
		return "the proof misses " + firstOf(p.Missing)
	case !p.Holds(w.s.opt.Now()):
		return "the proof has aged"
	default:
		return "the proof is of level " + string(p.Level) + " and of an earlier role"
	}
}

func firstOf(names []string) string {
	switch len(names) {
	case 0:
		return "some shards"
	case 1:
		return names[0]
	default:
		return names[0] + " and others"
	}
}

// needDrain demands proof that the new side holds everything.
func (w *walk) needDrain(ctx context.Context, p workload.Planned) error {
	f, role, err := w.linkFacts(ctx, p)
	if err != nil {
		return err
	}
	f.Drained = w.drained(p, role)
	e := pass(Guards(), GateHalt, f, objectOf(p))
	if e == nil {
		return nil
	}
	e.Why = w.lacking(p.Name, understudy.ProofDrain)
	return e
}

func (w *walk) linkFacts(ctx context.Context, p workload.Planned) (Facts, understudy.Role, error) {
	role, _, err := w.s.role(ctx, objectOf(p))
	if err != nil {
		return Facts{}, role, err
	}
	return w.facts(p, role), role, nil
}

// drained says whether every link into the new side is proved to have delivered everything.
func (w *walk) drained(p workload.Planned, role understudy.Role) bool {
	return w.everyLink(p, role, understudy.ProofDrain)
}

// everyLink says whether each link into the new side has a proof of the kind.
func (w *walk) everyLink(p workload.Planned, role understudy.Role, kind understudy.ProofKind) bool {
	now := w.s.opt.Now()
	for _, l := range w.into(p, role) {
		ok := find(w.proofs(p.Name), func(pr understudy.Proof) bool {
			return pr.Kind == kind && pr.Link != nil && *pr.Link == l && pr.Epoch >= role.Epoch && pr.Holds(now)
		})
		if ok == nil {
			return false
		}
	}
	return true
}

// into lists the links of the role that write the new side.
func (w *walk) into(p workload.Planned, role understudy.Role) []understudy.Link {
	kind, _ := w.s.opt.Registry.Kind(p.Kind)
	return slices.DeleteFunc(kind.Links(p.Spec, role), func(l understudy.Link) bool { return l.To != w.op.To })
}

// halted says whether every link into the new side is proved to be halted, or was not assigned since the new
// side was last given up: then nothing of it can be in flight.
func (w *walk) halted(ctx context.Context, p workload.Planned, role understudy.Role) (bool, error) {
	assigned := false
	for _, l := range w.into(p, role) {
		rec, version, err := read[linkRecord](ctx, w.s.opt.Journal, keyLink(l))
		if err != nil {
			return false, err
		}
		assigned = assigned || version != 0 && (rec.Wanted || rec.Epoch >= w.op.part(p.Name).Before.Epoch)
	}
	return !assigned || w.everyLink(p, role, understudy.ProofHalt), nil
}

// needHalt demands proof that the movers' later writes would be refused.
func (w *walk) needHalt(ctx context.Context, p workload.Planned) error {
	f, role, err := w.linkFacts(ctx, p)
	if err != nil {
		return err
	}
	if f.Halted, err = w.halted(ctx, p, role); err != nil {
		return err
	}
	e := demand(Guards(), f, objectOf(p), "halt")
	if e == nil {
		return nil
	}
	e.Why = w.lacking(p.Name, understudy.ProofHalt)
	return e
}

// shown says whether the operation has a complete proof of a kind about the side it goes to.
func (w *walk) shown(n understudy.WorkloadName, kind understudy.ProofKind) bool {
	return find(w.proofs(n), func(pr understudy.Proof) bool {
		return pr.Kind == kind && pr.Site == w.op.To && pr.Complete
	}) != nil
}

// needProof demands, by the guard of a gate, a proof about the side that the operation goes to.
func (w *walk) needProof(p workload.Planned, gate Gate, kind understudy.ProofKind) error {
	f := Facts{Opened: w.shown(p.Name, understudy.ProofOpen), Saved: w.shown(p.Name, understudy.ProofLedger)}
	o := objectOf(p)
	o.Site = w.op.To
	e := pass(Guards(), gate, f, o)
	if e == nil {
		return nil
	}
	e.Why = w.lacking(p.Name, kind)
	return e
}

// needStaged demands proof of what a run has staged.
func (w *walk) needStaged(p workload.Planned) error {
	if w.shown(p.Name, understudy.ProofStaged) {
		return nil
	}
	o := objectOf(p)
	o.Site = w.op.To
	e := refused("US276", o, "nothing proves that what was staged is what was captured", "retry")
	e.Why = w.lacking(p.Name, understudy.ProofStaged)
	return e
}
