package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/journal"
	"github.com/understudy-dr/understudy/workload"
)

// bySchedule is who starts a run that is due.
const bySchedule = "schedule"

// keptRuns is how many runs of a workload the journal keeps.
const keptRuns = 50

// runRecord is when a link is replicated, as the journal keeps it.
type runRecord struct {
	Link understudy.Link `json:"link"`
	// Schedule is the text that Next was reckoned from, and Anchor the beginning that "every" counts from.
	Schedule string    `json:"schedule"`
	Anchor   time.Time `json:"anchor"`
	Next     time.Time `json:"next"`
	// Due is the first moment that came and was not served yet, and Merged counts those that came after it.
	Due    time.Time `json:"due,omitzero"`
	Merged int       `json:"merged,omitempty"`
	// Run is the newest run, and Began when it began.
	Run   understudy.OperationID `json:"run,omitempty"`
	Began time.Time              `json:"began,omitzero"`
	// Error is why the newest run that came to a result failed; nil when it published.
	Error *understudy.Error `json:"error,omitempty"`
	// Missed is when the first of the runs began that did not find the source, one after another up to the newest; zero
	// when that one found it.
	Missed time.Time `json:"missed,omitzero"`
	// Sweeps are what runs do beside, each at its own times.
	Sweeps []sweepRecord `json:"sweeps,omitempty"`
}

func keySchedule(l understudy.Link) string { return "/schedule/" + linkPath(l) }

// turn brings the record up to a moment, and says whether a run should begin. Newest is the newest run; nil when there
// is none. It changes nothing but the record.
func (r *runRecord) turn(s workload.Schedule, now time.Time, newest *Operation) (begin bool) {
	open := newest != nil && !newest.State.Final()
	failed := open && newest.State == PausedByStep
	if r.Schedule != s.String() {
		r.Schedule, r.Next = s.String(), s.Next(now, r.Anchor)
	}
	if r.Began.After(now.Add(clockSlack)) {
		// The clock was set back behind the last run: how old the published set is cannot be told any more.
		r.Began, r.Next = time.Time{}, now
	}
	if latest := s.Next(now, r.Anchor); r.Next.After(latest) {
		r.Next = latest
	}
	switch {
	case failed:
		// What came due while it ran would only fail again at once.
		r.Due, r.Merged = time.Time{}, 0
		if r.Error == nil || newest.Error != nil && r.Error.Error() != newest.Error.Error() {
			r.Error = newest.Error
		}
	case newest != nil && newest.State == Committed:
		r.Error = nil
	}
	r.Missed = r.missed(newest)
	r.come(s, now)
	return !r.Due.IsZero() && (!open || failed)
}

// missed is since when the source does not answer, as far as runs have looked. Nobody polls it between them.
func (r *runRecord) missed(newest *Operation) time.Time {
	switch {
	case newest == nil || newest.State != PausedByStep && newest.State != Committed:
		return r.Missed // it has come to no result yet
	case newest.Error == nil || newest.Error.Kind != understudy.KindUnreachable || newest.Error.Object.Site != r.Link.From:
		return time.Time{}
	case r.Missed.IsZero():
		return newest.Created
	default:
		return r.Missed
	}
}

// come counts the moments that have come. More than a year of minutes is not counted.
func (r *runRecord) come(s workload.Schedule, now time.Time) {
	const most = 366 * 24 * 60
	for range most {
		if r.Next.IsZero() || r.Next.After(now) {
			return
		}
		if r.Due.IsZero() {
			r.Due = r.Next
		} else {
			r.Merged++
		}
		r.Next = s.Next(r.Next, r.Anchor)
	}
	r.Next = s.Next(now, r.Anchor)
}

// why says what a run that is due serves.
func (r *runRecord) why(now time.Time) string {
	text := "due at " + r.Due.UTC().Format(time.RFC3339)
	if late := now.Sub(r.Due); late >= time.Minute {
		text += fmt.Sprintf(", %s late", late.Round(time.Second))
	}
	if r.Merged > 0 {
		text += fmt.Sprintf("; %d later ones are merged into it", r.Merged)
	}
	return text
}

// schedules begins runs that are due, all the time.
func (s *session) schedules(ctx context.Context) {
	for ctx.Err() == nil {
		if err := s.scheduleRound(ctx); err != nil && ctx.Err() == nil {
			s.opt.Log.Warn("the schedule", "error", err)
		}
		pause(ctx, s.opt.ProbeEvery)
	}
}

// scheduleRound looks once at all links that are replicated by schedule.
func (s *session) scheduleRound(ctx context.Context) error {
	s.use.RLock()
	defer s.use.RUnlock()
	plans, err := s.c.plans(ctx)
	if err != nil {
		return err
	}
	for _, plan := range plans {
		for _, p := range plan.Workloads {
			if !s.scheduled(p) {
				continue
			}
			if err := s.runsDue(ctx, plan, p); err != nil && ctx.Err() == nil {
				s.opt.Log.Warn("a run could not begin", "object", objectOf(p).String(), "error", err)
			}
		}
	}
	return nil
}

// runsDue looks at the links of one workload.
func (s *session) runsDue(ctx context.Context, plan workload.Plan, p workload.Planned) error {
	recs, err := readAll[linkRecord](ctx, s.opt.Journal, linkPrefix(p))
	if err != nil {
		return err
	}
	for _, rec := range recs {
		err = errors.Join(err, s.runIfDue(ctx, plan, p, rec))
	}
	return err
}

// runIfDue begins a run of a link when one is due and may begin; else it keeps what came.
func (s *session) runIfDue(ctx context.Context, plan workload.Plan, p workload.Planned, rec linkRecord) error {
	if !rec.Wanted || p.Schedule.IsZero() {
		return nil
	}
	defer s.locks.lock(string(plan.Name))()
	r, version, err := read[runRecord](ctx, s.opt.Journal, keySchedule(rec.Link))
	if err != nil {
		return err
	}
	if version == 0 {
		r = runRecord{Link: rec.Link, Anchor: s.opt.Now(), Due: s.opt.Now()}
	}
	newest, err := s.named(ctx, r.Run)
	if err != nil {
		return err
	}
	was := r
	r.sweep(s.sweepings(p), s.opt.Now(), newest)
	if r.turn(p.Schedule, s.opt.Now(), newest) {
		begun, err := s.runNow(ctx, plan, p, &r)
		if begun || err != nil {
			return err
		}
	}
	if version != 0 && digest(r) == digest(was) {
		return nil
	}
	var t change
	t.put(keySchedule(rec.Link), version, r)
	if came := r.Merged > was.Merged || was.Due.IsZero() && !r.Due.IsZero(); came && newest != nil && !newest.State.Final() {
		if err := s.tell(&t, newest.ID, "this run is still open: the one "+r.why(s.opt.Now())+" follows it"); err != nil {
			return err
		}
	}
	return s.commit(&t)
}

// tell adds a note to an operation, within the caller's transaction and under the plan's lock.
func (s *session) tell(t *change, id understudy.OperationID, text string) error {
	op, version, err := read[Operation](s.hard, s.opt.Journal, keyOp(id))
	if err != nil || version == 0 || op.State.Final() {
		return err
	}
	s.writeOp(t, &op, version, []Event{{Kind: EventNote, Stage: op.Stage, Pass: op.Pass, Workload: op.Parts[0].Workload, Text: text}})
	return nil
}

// runNow begins a run that is due; false when the guards refuse it now.
func (s *session) runNow(ctx context.Context, plan workload.Plan, p workload.Planned, r *runRecord) (bool, error) {
	_, err := s.begin(ctx, plan, StartRequest{
		Verb: understudy.Replicate, Plan: plan.Name, Workload: p.Name, To: r.Link.To, By: bySchedule, Reason: r.why(s.opt.Now()),
	})
	if understudy.KindOf(err) == understudy.KindRefused {
		return false, nil
	}
	if err == nil {
		err = s.pruneRuns(ctx, objectOf(p))
	}
	return err == nil, err
}

// enlistRun puts a new run into its link's record: it serves all that came, and takes the place of one that failed.
func (s *session) enlistRun(ctx context.Context, a *admission, op *Operation, t *change) error {
	r, version, err := read[runRecord](ctx, s.opt.Journal, keySchedule(a.link()))
	if err != nil {
		return err
	}
	p := a.plan.Workloads[0]
	old, err := s.openRun(ctx, objectOf(p))
	if err != nil {
		return err
	}
	if version == 0 {
		r = runRecord{Link: a.link(), Anchor: op.Created}
	}
	newest, err := s.named(ctx, r.Run)
	if err != nil {
		return err
	}
	r.sweep(s.sweepings(p), op.Created, newest)
	r.give(op, a.req.Sweeps)
	r.turn(p.Schedule, op.Created, newest)
	r.Run, r.Began, r.Due, r.Merged = op.ID, op.Created, time.Time{}, 0
	t.put(keySchedule(a.link()), version, r)
	if old == nil {
		return nil
	}
	failed, version, err := read[Operation](ctx, s.opt.Journal, keyOp(old.ID))
	if err != nil {
		return err
	}
	e, err := failed.enter(Supersede, a.req.By, "superseded by "+string(op.ID)+": the next run begins anew")
	if err != nil {
		return err
	}
	s.writeOp(t, &failed, version, []Event{e})
	return nil
}

// plot puts a link's schedule into the transaction that assigns the link: at once after a takeover, by schedule when
// the operation itself has published, and as it stood when an operation goes back.
func (w *walk) plot(t *change, p workload.Planned, rec linkRecord, role understudy.Role) error {
	r, version, err := read[runRecord](w.s.hard, w.s.opt.Journal, keySchedule(rec.Link))
	if err != nil || version != 0 && w.op.Aborting {
		return err
	}
	progress, _, err := read[understudy.Progress](w.s.hard, w.s.opt.Journal, keyProgress(rec.Link))
	if err != nil {
		return err
	}
	now := w.s.opt.Now()
	r = runRecord{Link: rec.Link, Schedule: p.Schedule.String(), Anchor: now, Next: p.Schedule.Next(now, now), Run: r.Run}
	if progress.Published == nil || progress.Epoch < role.Epoch {
		// What an earlier assignment proved is about another time.
		r.Due = now
		t.drop(keyProgress(rec.Link))
	}
	// The first set along a link is a whole one.
	r.sweep(w.s.sweepings(p), now, nil)
	t.put(keySchedule(rec.Link), version, r)
	return nil
}

// pruneRuns drops the oldest runs that have ended from the journal, with their entries, entries first.
func (s *session) pruneRuns(ctx context.Context, o understudy.Object) error {
	runs, err := s.runsOf(ctx, o)
	if err != nil {
		return err
	}
	runs = slices.DeleteFunc(runs, func(op Operation) bool { return !op.State.Final() })
	if len(runs) <= keptRuns {
		return nil
	}
	for _, op := range runs[keptRuns:] {
		entries, _, err := s.opt.Journal.List(ctx, prefixEvents(op.ID))
		if err != nil {
			return err
		}
		for chunk := range slices.Chunk(entries, journal.MaxOps/4) {
			var t change
			for _, e := range chunk {
				t.drop(e.Key)
			}
			if err := s.commit(&t); err != nil {
				return err
			}
		}
		var t change
		t.drop(keyOp(op.ID))
		if err := s.commit(&t); err != nil {
			return err
		}
	}
	return nil
}

// ScheduleStatus is when a link is replicated, in architectures without a mover.
type ScheduleStatus struct {
	// Schedule is as the plan says it, and Next when it comes next.
	Schedule string    `json:"schedule"`
	Next     time.Time `json:"next"`
	// Due is since when a run is due that could not begin yet, and Merged how many more came due meanwhile.
	Due    time.Time `json:"due,omitzero"`
	Merged int       `json:"merged,omitempty"`
	// Run is the newest run, and State and Began are its own.
	Run   understudy.OperationID `json:"run,omitempty"`
	State State                  `json:"state,omitempty"`
	Began time.Time              `json:"began,omitzero"`
	// Now is what the running step of the run says of itself; it is not durable.
	Now *understudy.StepProgress `json:"now,omitempty"`
	// Retrying is set while a step of the open run is tried again by itself.
	Retrying *Retrying `json:"retrying,omitempty"`
	// Error is why the last run failed; the next one tries again.
	Error *understudy.Error `json:"error,omitempty"`
	// Sweeps are what runs do beyond copying what changed, and when.
	Sweeps []SweepStatus `json:"sweeps,omitempty"`
}

// schedule gives a link's schedule; nil when the link has none.
func (v view) schedule(ctx context.Context, l understudy.Link) (*ScheduleStatus, error) {
	r, version, err := read[runRecord](ctx, v.s.opt.Journal, keySchedule(l))
	if err != nil || version == 0 {
		return nil, err
	}
	out := &ScheduleStatus{Schedule: r.Schedule, Next: r.Next, Due: r.Due, Merged: r.Merged, Run: r.Run, Began: r.Began, Error: r.Error}
	newest, err := v.s.named(ctx, r.Run)
	out.Sweeps = r.sweepStatus(newest)
	if err != nil || newest == nil {
		return out, err
	}
	out.State = newest.State
	if v.leading {
		out.Now, out.Retrying = v.s.runs.find(r.Run).now(), v.s.runs.find(r.Run).again()
	}
	switch newest.State {
	case PausedByStep:
		out.Error = newest.Error
	case Committed:
		out.Error = nil
	default:
		// The error, if there is one, is that of the run before.
	}
	return out, nil
}
