package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/journal"
	"github.com/understudy-dr/understudy/workload"
)

// linkRecord is an assignment as the journal keeps it.
type linkRecord struct {
	Link  understudy.Link      `json:"link"`
	Epoch understudy.RoleEpoch `json:"epoch"`
	// Term grows with every new holder of the assignment.
	Term    int64 `json:"term"`
	Reverse bool  `json:"reverse,omitempty"`
	// Wanted is false once the assignment has ended.
	Wanted bool `json:"wanted"`
	// Scheduled means that no mover follows the link: runs by schedule copy along it.
	Scheduled bool      `json:"scheduled,omitempty"`
	Since     time.Time `json:"since"`
}

// follows runs the movers of this term.
type follows struct {
	s       *session
	mu      sync.Mutex
	running map[understudy.Link]*follow
	frozen  map[understudy.PlanName]map[understudy.OperationID]bool
	group   sync.WaitGroup
}

// follow is one link being followed.
type follow struct {
	p      workload.Planned
	cancel context.CancelCauseFunc
	done   chan struct{}

	mu       sync.Mutex
	rec      linkRecord
	progress *understudy.Progress
	// safe and polled are what movers of this assignment have proven, under former leaders too: a mover that
	// starts while the source is down can prove nothing, and what is proven does not become untrue by that.
	safe, polled time.Time
	stored       time.Time
	err          error
}

func newFollows(s *session) *follows {
	return &follows{
		s: s, running: map[understudy.Link]*follow{},
		frozen: map[understudy.PlanName]map[understudy.OperationID]bool{},
	}
}

// resume takes up all assignments that a former leader left, each under a new term.
func (f *follows) resume() error {
	ops, err := readAll[Operation](f.s.hard, f.s.opt.Journal, prefixOps)
	if err != nil {
		return err
	}
	for i := range ops {
		f.freeze(&ops[i])
	}
	recs, err := readAll[linkRecord](f.s.hard, f.s.opt.Journal, prefixLinks)
	if err != nil {
		return err
	}
	plans, err := f.s.c.plans(f.s.hard)
	if err != nil {
		return nil
	}
	for _, rec := range recs {
		plan, _ := plans.Find(rec.Link.Plan)
		p, ok := plan.Workload(rec.Link.Workload)
		if !ok || !rec.Wanted || rec.Scheduled {
			continue
		}
		if err := f.renew(p, rec.Link); err != nil {
			return err
		}
	}
	return nil
}

// assign starts the mover of an assignment whose record is written; that of the former one has ended before.
func (f *follows) assign(p workload.Planned, rec linkRecord) error {
	former, _, err := read[understudy.Progress](f.s.hard, f.s.opt.Journal, keyProgress(rec.Link))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(f.s.hard)
	one := &follow{p: p, cancel: cancel, done: make(chan struct{}), rec: rec}
	if former.Epoch == rec.Epoch {
		one.safe, one.polled = former.Safe, former.LastPoll
	}
	f.mu.Lock()
	f.running[rec.Link] = one
	f.mu.Unlock()
	f.group.Go(func() {
		defer cancel(nil)
		defer close(one.done)
		f.keepUp(ctx, one)
	})
	return nil
}

// renew gives an assignment that a former leader left a new term, and starts its mover.
func (f *follows) renew(p workload.Planned, l understudy.Link) error {
	defer f.s.locks.lock(string(l.Plan))()
	rec, version, err := read[linkRecord](f.s.hard, f.s.opt.Journal, keyLink(l))
	if err != nil {
		return err
	}
	rec.Term++
	rec.Since = f.s.opt.Now()
	var t change
	t.put(keyLink(l), version, rec)
	if err := f.s.commit(&t); err != nil {
		return err
	}
	return f.assign(p, rec)
}

// find gives the mover of a link; nil when none runs here.
func (f *follows) find(l understudy.Link) *follow {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.running[l]
}

// errEnded ends an assignment for good, errEpoch because the engine has seen a higher epoch.
var (
	errEnded = errors.New("control: the assignment has ended")
	errEpoch = errors.New("control: the engine has seen a higher epoch")
)

// stop ends a mover and waits until nothing of it can be in flight: it has returned, or its lease and the
// longest request have passed.
func (f *follows) stop(ctx context.Context, l understudy.Link) error {
	f.mu.Lock()
	one := f.running[l]
	delete(f.running, l)
	f.mu.Unlock()
	if one == nil {
		return nil
	}
	one.cancel(errEnded)
	t := time.NewTimer(f.s.opt.Lease + f.s.opt.RequestTimeout)
	defer t.Stop()
	select {
	case <-one.done:
		return nil
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stopAll brings all movers to rest.
func (f *follows) stopAll() {
	f.mu.Lock()
	for l, one := range f.running {
		one.cancel(errDrained)
		delete(f.running, l)
	}
	f.mu.Unlock()
	f.group.Wait()
}

// keepUp runs the mover until its assignment ends, and starts it again when it fails.
func (f *follows) keepUp(ctx context.Context, one *follow) {
	defer func() { _ = f.store(one, true) }() // logged there; the next mover proves anew
	wait := 100 * time.Millisecond
	for ctx.Err() == nil {
		began := f.s.opt.Now()
		err := f.replicate(ctx, one)
		if errors.Is(err, errEpoch) {
			err = f.raise(one)
		}
		if ctx.Err() != nil {
			return
		}
		one.mu.Lock()
		one.err = err
		one.mu.Unlock()
		f.s.changed.fire()
		if err != nil {
			f.s.opt.Log.Warn("a link stopped and is started again", "link", one.rec.Link.String(), "error", err)
		}
		if f.s.opt.Now().Sub(began) > time.Minute {
			wait = 100 * time.Millisecond
		}
		pause(ctx, wait)
		wait = min(2*wait, 10*time.Second)
	}
}

// replicate runs the mover once.
func (f *follows) replicate(ctx context.Context, one *follow) error {
	h, err := f.s.handles.get(ctx, one.p)
	if err != nil {
		return err
	}
	kept, err := f.s.kept(ctx, objectOf(one.p))
	if err != nil {
		return err
	}
	once, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	one.mu.Lock()
	rec := one.rec
	one.mu.Unlock()
	err = h.Replicate(once, understudy.Assignment{
		Link: rec.Link, Epoch: rec.Epoch, Reverse: rec.Reverse, Kept: kept, Unsettled: f.s.unsettled,
		Lease:  understudy.Lease{Term: rec.Term, Deadline: f.s.deadline},
		Frozen: func() bool { return f.isFrozen(rec.Link.Plan) },
	}, func(p understudy.Progress) {
		if err := f.report(one, p); err != nil {
			cancel(err)
		}
	})
	if cause := context.Cause(once); cause != nil && ctx.Err() == nil {
		return cause
	}
	return err
}

// report takes a mover's progress: what it asks to keep is stored now, the rest from time to time. An error ends
// this run of the mover, and the assignment begins another: errEpoch, or that of the store, because a mover goes on
// only while what it was promised to be kept is kept.
func (f *follows) report(one *follow, p understudy.Progress) error {
	one.mu.Lock()
	p.Link, p.Epoch = one.rec.Link, one.rec.Epoch
	one.prove(&p)
	changed := one.progress == nil || one.progress.State != p.State
	due := changed || f.s.opt.Now().Sub(one.stored) >= f.s.opt.ProgressEvery
	one.progress, one.err = &p, nil
	one.mu.Unlock()
	defer f.s.changed.fire()
	if p.NeedEpoch > p.Epoch {
		return errEpoch
	}
	if due || len(p.Keep) > 0 {
		return f.store(one, false)
	}
	return nil
}

// prove carries what was proven into a progress. A broken shard takes it back: the target has lost its place.
func (one *follow) prove(p *understudy.Progress) {
	if p.State != understudy.Broken && p.State != understudy.Diverged {
		p.Safe = latest(p.Safe, one.safe)
		p.LastPoll = latest(p.LastPoll, one.polled)
	}
	one.safe, one.polled = p.Safe, p.LastPoll
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// store writes the newest progress and what the mover asked to keep.
func (f *follows) store(one *follow, last bool) error {
	one.mu.Lock()
	p, rec := one.progress, one.rec
	one.stored = f.s.opt.Now()
	one.mu.Unlock()
	if p == nil || f.s.hard.Err() != nil {
		return nil
	}
	defer f.s.locks.lock(string(rec.Link.Plan))()
	var t change
	t.set(keyProgress(rec.Link), slim(*p))
	err := error(nil)
	if !last {
		err = f.s.keep(&t, objectOf(one.p), p.Keep)
	}
	if err == nil && rec.Reverse && p.State == understudy.Protected {
		err = f.forward(&t, one)
	}
	if err == nil {
		err = f.s.commit(&t)
	}
	if err != nil {
		f.s.opt.Log.Warn("progress could not be stored", "link", rec.Link.String(), "error", err)
	}
	return err
}

// forward ends the time in which positions are set backwards too: the link was protected once.
func (f *follows) forward(t *change, one *follow) error {
	rec, version, err := read[linkRecord](f.s.hard, f.s.opt.Journal, keyLink(one.rec.Link))
	if err != nil || rec.Term != one.rec.Term {
		return err
	}
	rec.Reverse = false
	t.put(keyLink(rec.Link), version, rec)
	one.mu.Lock()
	one.rec.Reverse = false
	one.mu.Unlock()
	return nil
}

// slim leaves out what would make an entry that is written again and again large: of many shards those that have
// nothing to say, and of those that have, and of notes, what exceeds its share. The running mover tells all of it.
func slim(p understudy.Progress) understudy.Progress {
	const most, share = 100, inlineMost / 4
	p.Keep = nil
	if len(p.Shards) > most {
		p.Shards = slices.DeleteFunc(slices.Clone(p.Shards), func(s understudy.ShardProgress) bool { return s.Error == nil })
	}
	p.Shards, _ = within(share, p.Shards)
	notes, left := within(share, p.Notes)
	if left > 0 {
		notes = append(notes, fmt.Sprintf("and %d more notes", left))
	}
	p.Notes = notes
	return p
}

// within gives as many of the first values as take that many bytes as JSON, and how many it left out.
func within[T any](most int, values []T) (taken []T, left int) {
	for i, v := range values {
		b, err := json.Marshal(v)
		if most -= len(b); err != nil || most < 0 {
			return slices.Clone(values[:i]), len(values) - i
		}
	}
	return values, 0
}

// raise lifts the role's epoch above what the engine has seen, and the assignment with it. While no site is
// active an operation has the role in hand: the link waits.
func (f *follows) raise(one *follow) error {
	defer f.s.locks.lock(string(one.p.Plan))()
	o := objectOf(one.p)
	role, version, err := f.s.role(f.s.hard, o)
	if err != nil {
		return err
	}
	one.mu.Lock()
	rec, need := one.rec, one.progress.NeedEpoch
	one.mu.Unlock()
	if role.None() || !role.IsActive(rec.Link.From) {
		return refused("US256", o, "the link needs a new role epoch, and an operation has the role in hand", "finish the operation")
	}
	stored, recVersion, err := read[linkRecord](f.s.hard, f.s.opt.Journal, keyLink(rec.Link))
	if err != nil {
		return err
	}
	if !stored.Wanted || stored.Term != rec.Term {
		return errEnded // by an operation, meanwhile: it must not come back
	}
	role = above(role, need)
	role.Epoch++
	rec.Epoch, rec.Since = role.Epoch, f.s.opt.Now()
	rec.Term++
	var t change
	t.put(keyRole(o), version, role)
	t.put(keyLink(rec.Link), recVersion, rec)
	if err := f.s.commit(&t); err != nil {
		return err
	}
	one.mu.Lock()
	one.rec, one.progress, one.safe = rec, nil, time.Time{}
	one.mu.Unlock()
	return nil
}

// freeze notes whether the operation freezes its plan now.
func (f *follows) freeze(op *Operation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.frozen[op.Plan] == nil {
		f.frozen[op.Plan] = map[understudy.OperationID]bool{}
	}
	if op.freezes() {
		f.frozen[op.Plan][op.ID] = true
	} else {
		delete(f.frozen[op.Plan], op.ID)
	}
}

func (f *follows) isFrozen(p understudy.PlanName) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.frozen[p]) > 0
}

// freezes says whether the operation stands between freeze and unfreeze.
func (op *Operation) freezes() bool {
	if !op.takeover() || op.State.Final() || op.State == CommitWindow || op.Stage == understudy.StageUnfreeze {
		return false
	}
	if op.Aborting || op.Inherits != "" {
		return true
	}
	for _, r := range op.rows() {
		if r.Stage == understudy.StageFreeze {
			return true
		}
		if r.Stage == op.Stage {
			return false
		}
	}
	return false
}

// startLinks assigns the links of the role, at its epoch.
func (w *walk) startLinks(ctx context.Context, p workload.Planned) error {
	if again, err := w.startsAgain(p); !again {
		return err
	}
	role, _, err := w.s.role(ctx, objectOf(p))
	if err != nil {
		return err
	}
	kind, _ := w.s.opt.Registry.Kind(p.Kind)
	scheduled := kind.Scheduled(p.Architecture)
	for _, l := range kind.Links(p.Spec, role) {
		rec, version, err := read[linkRecord](ctx, w.s.opt.Journal, keyLink(l))
		if err != nil {
			return err
		}
		if version != 0 && rec.Wanted && rec.Epoch == role.Epoch && (scheduled || w.s.links.find(l) != nil) {
			continue
		}
		if w.op.Aborting && (version == 0 || rec.Epoch < w.op.part(p.Name).Before.Epoch) {
			// There was no such link when the operation began: its target may be an old side that nobody fenced.
			continue
		}
		f := Facts{InPlace: !w.op.State.Final() && role.IsActive(l.From) && !role.IsActive(l.To)}
		if refusal := pass(Guards(), GateAssign, f, objectOf(p)); refusal != nil {
			return refusal
		}
		if err := w.s.links.stop(ctx, l); err != nil {
			return err
		}
		if err := w.want(p, l, scheduled); err != nil {
			return err
		}
	}
	return nil
}

// want journals an assignment, as long as the operation is in its place, and starts the mover. Role and record are
// read under the plan's lock: until its mover was stopped, a link may have lifted both to a higher epoch by itself.
func (w *walk) want(p workload.Planned, l understudy.Link, scheduled bool) error {
	var rec linkRecord
	err := w.amend(func(op *Operation, t *change) ([]Event, error) {
		role, _, err := w.s.role(w.s.hard, objectOf(p))
		if err != nil {
			return nil, err
		}
		var version journal.Revision
		if rec, version, err = read[linkRecord](w.s.hard, w.s.opt.Journal, keyLink(l)); err != nil {
			return nil, err
		}
		rec.Link, rec.Epoch, rec.Wanted, rec.Since = l, role.Epoch, true, w.s.opt.Now()
		rec.Reverse = l.From != w.plan.Home || op.Promoted
		rec.Term++
		rec.Scheduled = scheduled
		t.put(keyLink(l), version, rec)
		if scheduled {
			if err := w.plot(t, p, rec, role); err != nil {
				return nil, err
			}
		}
		return []Event{{
			Kind: EventNote, Stage: op.Stage, Pass: op.Pass, Workload: p.Name,
			Text: fmt.Sprintf("%s is assigned under role epoch %d", rec.Link, rec.Epoch),
		}}, nil
	})
	if err != nil || scheduled {
		return err
	}
	return w.s.links.assign(p, rec)
}

// endLinks ends every assignment into the operation's target, for good. The way back of a reprotect that has done
// nothing yet finds the link that it met, and lets it run.
func (w *walk) endLinks(ctx context.Context, p workload.Planned) error {
	if w.op.Aborting && w.op.Verb == understudy.Reprotect && !w.tookApart(p.Name) {
		return nil
	}
	entries, _, err := w.s.opt.Journal.List(ctx, linkPrefix(p))
	if err != nil {
		return err
	}
	for _, e := range entries {
		rec, _, err := read[linkRecord](ctx, w.s.opt.Journal, e.Key)
		if err != nil {
			return err
		}
		if rec.Link.To != w.op.To {
			continue
		}
		if rec.Wanted {
			if err := w.unwant(p, rec.Link); err != nil {
				return err
			}
		}
		if err := w.s.links.stop(ctx, rec.Link); err != nil {
			return err
		}
	}
	return nil
}

// forgetCopy forgets what was proven of the copy on the operation's target, before resolve may make it anew: a
// failover in between must not take an emptied side for one that lacks only the newest writes.
func (w *walk) forgetCopy(_ context.Context, p workload.Planned) error {
	return w.amend(func(op *Operation, t *change) ([]Event, error) {
		rec, version, err := read[planRecord](w.s.hard, w.s.opt.Journal, keyPlan(op.Plan))
		if err != nil {
			return nil, err
		}
		rec.PromotedFrom = ""
		t.put(keyPlan(op.Plan), version, rec)
		kind, _ := w.s.opt.Registry.Kind(p.Kind)
		for _, l := range kind.Links(p.Spec, op.part(p.Name).Before) {
			if l.To == op.To {
				t.drop(keyProgress(l))
			}
		}
		return nil, nil
	})
}

// unwant journals the end of an assignment before its mover is stopped, so that no successor starts it again.
func (w *walk) unwant(p workload.Planned, l understudy.Link) error {
	return w.amend(func(op *Operation, t *change) ([]Event, error) {
		var rec linkRecord
		var version journal.Revision
		rec, version, err := read[linkRecord](w.s.hard, w.s.opt.Journal, keyLink(l))
		rec.Wanted = false
		t.put(keyLink(l), version, rec)
		return []Event{{Kind: EventNote, Stage: op.Stage, Pass: op.Pass, Workload: p.Name, Text: linksEndedNote}}, err
	})
}
