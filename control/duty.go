package control

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// standingDuty probes, all the time, the sites that must not take writes, and fences them at first contact.
func (s *session) standingDuty(ctx context.Context) {
	for ctx.Err() == nil {
		if err := s.dutyRound(ctx); err != nil && ctx.Err() == nil {
			s.opt.Log.Warn("the standing duty towards old sites", "error", err)
		}
		pause(ctx, s.opt.ProbeEvery)
	}
}

// dutyRound looks once at all of them, the workloads side by side.
func (s *session) dutyRound(ctx context.Context) error {
	s.use.RLock()
	defer s.use.RUnlock()
	plans, err := s.c.plans(ctx)
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	defer group.Wait()
	for _, plan := range plans {
		for _, p := range plan.Workloads {
			group.Go(func() {
				if err := s.dutyOf(ctx, p); err != nil && ctx.Err() == nil {
					s.opt.Log.Warn("the standing duty towards an old site", "object", objectOf(p).String(), "error", err)
				}
			})
		}
	}
	return nil
}

// dutyOf looks at the old sites of one workload.
func (s *session) dutyOf(ctx context.Context, p workload.Planned) error {
	role, version, err := s.role(ctx, objectOf(p))
	if err != nil || version == 0 {
		return err
	}
	var sites []understudy.Site
	for _, site := range p.Sites {
		err := s.due(ctx, p, role, site)
		switch {
		case err == nil:
			sites = append(sites, site)
		case errors.Is(err, errMoot):
			err = s.endDuty(ctx, p, site)
		}
		if err != nil && !errors.Is(err, errYielded) {
			return err
		}
	}
	if len(sites) == 0 {
		return nil
	}
	h, err := s.handles.get(ctx, p)
	if err != nil {
		return err
	}
	obs, err := s.observe(ctx, h, objectOf(p))
	if err != nil {
		return err
	}
	for _, site := range sites {
		if err := s.meet(ctx, p, role, site, obs.Sites[site]); err != nil {
			return err
		}
	}
	return nil
}

// due says whether a site is to be fenced now: errYielded when an operation has it in hand, errMoot when it is not to be
// fenced at all.
func (s *session) due(ctx context.Context, p workload.Planned, role understudy.Role, site understudy.Site) error {
	recs, err := readAll[linkRecord](ctx, s.opt.Journal, linkPrefix(p))
	if err != nil {
		return err
	}
	op, err := s.current(ctx, p.Plan)
	if err != nil {
		return err
	}
	if role.None() && op != nil && op.State == Running {
		// The operation itself is on its way to the fence, or back from it.
		return errYielded
	}
	due := len(recs) > 0 && oldSite(role, site)
	if due && pass(Guards(), GateDuty, dutyFacts(role, recs, op, site), objectOf(p)) == nil {
		return nil
	}
	if op != nil {
		return errYielded
	}
	return errMoot
}

// stillDue asks again, for a walk that is a standing duty. What was decided under another role is moot: the duty begins
// anew if there is still something to fence.
func (w *walk) stillDue(ctx context.Context, p workload.Planned) error {
	if w.op.Verb != understudy.Duty {
		return nil
	}
	role, _, err := w.s.role(ctx, objectOf(p))
	if err != nil {
		return err
	}
	if err := w.s.due(ctx, p, role, w.op.From); err != nil {
		return err
	}
	if !role.Equal(w.op.part(p.Name).Before) {
		return errMoot
	}
	return nil
}

func dutyID(p workload.Planned, site understudy.Site) understudy.OperationID {
	return understudy.OperationID("duty-" + string(p.Plan) + "-" + string(p.Name) + "-" + string(site))
}

// mootNote says why a duty ended before it was done.
const mootNote = "the role has moved on: what was decided is not to be done any more"

// endDuty ends a duty that was interrupted, or had failed, and has nothing to fence any more.
func (s *session) endDuty(ctx context.Context, p workload.Planned, site understudy.Site) error {
	op, version, err := read[Operation](ctx, s.opt.Journal, keyOp(dutyID(p, site)))
	if err != nil || version == 0 || op.State.Final() {
		return err
	}
	_, _, err = s.amend(ctx, op.ID, func(op *Operation, _ *change) ([]Event, error) {
		if op.State.Final() {
			return nil, errGone
		}
		e, err := op.enter(Supersede, "", mootNote)
		return []Event{e}, err
	})
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}

// oldSite says whether the site is one the duty is about: while nobody is active those that were, else any other.
func oldSite(role understudy.Role, site understudy.Site) bool {
	return !role.None() || slices.Contains(role.From, site)
}

// dutyFacts is what the guards of the duty ask.
func dutyFacts(role understudy.Role, recs []linkRecord, op *Operation, site understudy.Site) Facts {
	f := Facts{SiteActive: role.IsActive(site)}
	for _, r := range recs {
		f.SiteFed = f.SiteFed || r.Wanted && r.Link.To == site
	}
	if op != nil {
		becomesTarget := TableVerb(op.Verb) == understudy.Switchover && op.Promoted && site == op.From
		// A takeover has its new side from the first stage on. A reprotect or an unprotect that waits for an approval has
		// nothing in hand yet, and a reprotect that rests before its fence is done wants just that: an old primary that comes back meanwhile is fenced.
		waits := !op.takeover() && (op.looksOn() || op.restsAtFence())
		f.SiteRising = site == op.To && !waits || becomesTarget
	}
	return f
}

// restsAtFence says that a reprotect waits for the old primary, which it could not fence.
func (op *Operation) restsAtFence() bool {
	return op.Verb == understudy.Reprotect && op.Stage == understudy.StageFence && !op.Aborting && op.State.Resting()
}

// current gives the open role-changing operation of a plan; nil when there is none.
func (s *session) current(ctx context.Context, plan understudy.PlanName) (*Operation, error) {
	rec, _, err := read[planRecord](ctx, s.opt.Journal, keyPlan(plan))
	if err != nil || rec.Current == "" {
		return nil, err
	}
	op, version, err := read[Operation](ctx, s.opt.Journal, keyOp(rec.Current))
	if err != nil || version == 0 {
		return nil, err
	}
	return &op, nil
}

// meet keeps what is known of an old site, and fences it when it answers and is not provably fenced.
func (s *session) meet(ctx context.Context, p workload.Planned, role understudy.Role, site understudy.Site, facts workload.SiteFacts) error {
	known, _, err := read[OldSite](ctx, s.opt.Journal, keyOld(objectOf(p), site))
	if err != nil {
		return err
	}
	if facts.Presence != workload.Present {
		if known.State == "unreachable" {
			return nil
		}
		known.Site, known.State, known.Error, known.At = site, "unreachable", facts.Error, s.opt.Now()
		known.Text = "old primary: unfenced (it does not answer; it is fenced at first contact)"
		return s.setOld(p, known)
	}
	id := dutyID(p, site)
	op, _, err := read[Operation](ctx, s.opt.Journal, keyOp(id))
	if err != nil {
		return err
	}
	if op.State == Running || op.State == Validated {
		// It runs, or has yielded and goes on.
		s.runs.kick(id)
		return nil
	}
	if known.State == "fenced" && facts.Writable != "open" {
		return nil
	}
	if known.State != "unfenced" || why(known.Error) != why(facts.Error) {
		known.Site, known.State, known.Error, known.At = site, "unfenced", facts.Error, s.opt.Now()
		known.Text = "old primary: unfenced"
		if err := s.setOld(p, known); err != nil {
			return err
		}
	}
	return s.fenceOld(ctx, p, role, site)
}

// why is an error in short; nothing where there is none. Its cause is left out: the journal keeps only the text of that.
func why(e *understudy.Error) string {
	if e == nil {
		return ""
	}
	return string(e.Code) + ": " + e.Summary
}

func (s *session) setOld(p workload.Planned, o OldSite) error {
	defer s.locks.lock(string(p.Plan))()
	var t change
	t.set(keyOld(objectOf(p), o.Site), o)
	return s.commit(&t)
}

// fenceOld runs the duty as an operation of its own, journaled step by step; one that failed is tried again.
func (s *session) fenceOld(ctx context.Context, p workload.Planned, role understudy.Role, site understudy.Site) error {
	id := dutyID(p, site)
	defer s.locks.lock(string(p.Plan))()
	old, version, err := read[Operation](ctx, s.opt.Journal, keyOp(id))
	if err != nil {
		return err
	}
	now := s.opt.Now()
	var t change
	switch {
	case version != 0 && (old.State == Running || old.State == Validated):
		return nil
	case version != 0 && old.State == PausedByStep && !s.patience.over(id, s.opt.ProbeEvery, s.opt.Now()):
		return nil
	case version != 0 && old.State == PausedByStep:
		if err := s.prune(ctx, id, &t); err != nil {
			return err
		}
		e, err := old.enter(Retry, "", "the standing duty tries again")
		if err != nil {
			return err
		}
		s.writeOp(&t, &old, version, []Event{e, old.begin(old.Stage)})
	default:
		op := Operation{
			ID: id, Verb: understudy.Duty, Plan: p.Plan, State: Validated, Stages: stagesOf(Stages(understudy.Duty)),
			From: site, To: other(workload.Plan{Sites: p.Sites}, site), Created: now, Pass: old.Pass, Seq: old.Seq,
			Envelope: understudy.Envelope{Verb: understudy.Duty, Plan: p.Plan, Workloads: []understudy.WorkloadName{p.Name}},
			Parts:    []Part{{Workload: p.Name, State: Included, Before: role}},
			Marks:    Marks{Started: now},
		}
		s.writeOp(&t, &op, version, []Event{{Kind: EventBegan, Text: "first contact with " + string(site)}})
	}
	if version == 0 || old.State.Final() {
		s.patience.forget(id)
	}
	if err := s.commit(&t); err != nil {
		return err
	}
	s.runs.kick(id)
	return nil
}

// keptEntries is how many entries the journal of a standing duty keeps, and pruneMost how many go at once.
const (
	keptEntries = 200
	pruneMost   = 50
)

// prune drops the oldest entries of a duty that is tried again and again.
func (s *session) prune(ctx context.Context, id understudy.OperationID, t *change) error {
	events, err := readAll[Event](ctx, s.opt.Journal, prefixEvents(id))
	if err != nil {
		return err
	}
	for i := 0; i < min(len(events)-keptEntries, pruneMost); i++ {
		t.drop(keyEvent(id, events[i].Seq))
	}
	return nil
}

// longestPatience is the longest that a standing duty waits between two tries.
const longestPatience = 5 * time.Minute

// patience spaces the tries of standing duties that fail, each twice as far from the one before. A new leader begins
// anew. The zero value is ready.
type patience struct {
	mu    sync.Mutex
	tries map[understudy.OperationID]try
}

type try struct {
	next time.Time
	wait time.Duration
}

// over says whether it is time for the next try, and counts it.
func (p *patience) over(id understudy.OperationID, first time.Duration, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tries == nil {
		p.tries = map[understudy.OperationID]try{}
	}
	t, tried := p.tries[id]
	if tried && now.Before(t.next) {
		return false
	}
	t.wait = min(max(2*t.wait, first), longestPatience)
	t.next = now.Add(t.wait)
	p.tries[id] = t
	return true
}

func (p *patience) forget(id understudy.OperationID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.tries, id)
}

// probeBudget bounds one look at a site for status and doctor.
const probeBudget = 30 * time.Second
