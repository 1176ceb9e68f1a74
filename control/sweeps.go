package control

import (
	"slices"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// sweepRecord is when runs of a link do a sweep, as the journal keeps it. A sweep begins no run: the next one that begins does it.
type sweepRecord struct {
	Sweep understudy.Sweep `json:"sweep"`
	// Schedule is the text that Next was reckoned from; empty where the sweep comes on demand only.
	Schedule string    `json:"schedule,omitempty"`
	Next     time.Time `json:"next,omitzero"`
	// Due is the first moment that came and was not served yet.
	Due time.Time `json:"due,omitzero"`
	// Run is the newest run that was to do it, and Done when the newest began that did.
	Run  understudy.OperationID `json:"run,omitempty"`
	Done time.Time              `json:"done,omitzero"`
	// Error is why a guard refused the newest one; it is tried again when its time comes, and the runs until then go without it.
	Error *understudy.Error `json:"error,omitempty"`
}

// sweepings lists what runs of a workload offer.
func (s *session) sweepings(p workload.Planned) []workload.Sweeping {
	kind, _ := s.opt.Registry.Kind(p.Kind)
	if kind.Sweeps == nil || !kind.Scheduled(p.Architecture) {
		return nil
	}
	return kind.Sweeps(p.Spec)
}

// sweep brings the records of the sweeps up to a moment, beside the schedule of the runs. Newest is the newest run; nil when there is none.
func (r *runRecord) sweep(offered []workload.Sweeping, now time.Time, newest *Operation) {
	var out []sweepRecord
	for _, o := range offered {
		rec := sweepRecord{Sweep: o.Sweep}
		if i := slices.IndexFunc(r.Sweeps, func(x sweepRecord) bool { return x.Sweep == o.Sweep }); i >= 0 {
			rec = r.Sweeps[i]
		}
		rec.come(o.Schedule, now, r.Anchor)
		rec.learn(newest)
		out = append(out, rec)
	}
	r.Sweeps = out
}

// come looks whether the sweep's time has come. Moments that came while it was due are one.
func (r *sweepRecord) come(s workload.Schedule, now, anchor time.Time) {
	latest := s.Next(now, anchor)
	if r.Schedule != s.String() || r.Next.After(latest) {
		r.Schedule, r.Next = s.String(), latest
	}
	if r.Next.IsZero() || r.Next.After(now) {
		return
	}
	if r.Due.IsZero() {
		r.Due = r.Next
	}
	r.Next = latest
}

// learn takes in what became of the newest run.
func (r *sweepRecord) learn(newest *Operation) {
	if newest == nil || r.Run != newest.ID {
		return
	}
	switch {
	case newest.State == Committed && r.Done.Before(newest.Created):
		r.Done, r.Due, r.Error = newest.Created, time.Time{}, nil
	case newest.State == PausedByStep && newest.Error != nil && newest.Error.Kind == understudy.KindRefused && r.Error == nil:
		// What a person has to look at must not keep the runs from bringing what changed.
		r.Error, r.Due = newest.Error, time.Time{}
	}
}

// give hands what is due, and what is asked for, to a run that begins.
func (r *runRecord) give(op *Operation, asked []understudy.Sweep) {
	for i := range r.Sweeps {
		s := &r.Sweeps[i]
		if s.Due.IsZero() && !slices.Contains(asked, s.Sweep) {
			continue
		}
		s.Run, s.Error = op.ID, nil
		op.Sweeps = append(op.Sweeps, s.Sweep)
	}
}

// guardSweeps refuses sweeps that runs of the workload do not offer, and words that nobody could mean.
func (s *session) guardSweeps(a *admission) error {
	o := understudy.Object{Plan: a.req.Plan, Workload: a.req.Workload}
	if a.req.Verb != understudy.Replicate {
		if len(a.req.Sweeps)+len(a.req.Accept) > 0 {
			return invalid("US278", o, "sweeps, and acceptances of what a guard refuses, are for runs of replication", "understudy replicate "+string(a.req.Plan))
		}
		return nil
	}
	offered := s.sweepings(a.plan.Workloads[0])
	for _, want := range a.req.Sweeps {
		if !slices.ContainsFunc(offered, func(o workload.Sweeping) bool { return o.Sweep == want }) {
			return invalid("US278", o, "a run of this workload does not "+string(want), "leave it out")
		}
	}
	return meant(o, a.req.Accept)
}

// meant refuses an acceptance that accepts nothing, or all.
func meant(o understudy.Object, all []understudy.Consent) error {
	for _, c := range all {
		if c.Deletes < 0 || c.Deletes == 0 && c.Source == "" {
			return invalid("US278", o, "an acceptance names a number of deletes, or the identity of a source", "take both from the message of the run that was refused")
		}
	}
	return nil
}

// consents puts a person's acceptances under their own name.
func consents(all []understudy.Consent, by string, at time.Time) []understudy.Consent {
	out := slices.Clone(all)
	for i := range out {
		out[i].By, out[i].At = by, at
	}
	return out
}

// SweepStatus is when runs of a link do a sweep.
type SweepStatus struct {
	Sweep understudy.Sweep `json:"sweep"`
	// Schedule is as the plan says it, and Next when it comes next; both are empty where it comes on demand only.
	Schedule string    `json:"schedule,omitempty"`
	Next     time.Time `json:"next,omitzero"`
	// Due is since when the next run is to do it, and Done when the newest run began that did.
	Due  time.Time `json:"due,omitzero"`
	Done time.Time `json:"done,omitzero"`
	// Error is why a guard refused the newest one.
	Error *understudy.Error `json:"error,omitempty"`
}

// sweepStatus gives the records as status shows them.
func (r *runRecord) sweepStatus(newest *Operation) []SweepStatus {
	var out []SweepStatus
	for _, s := range r.Sweeps {
		s.learn(newest)
		out = append(out, SweepStatus{Sweep: s.Sweep, Schedule: s.Schedule, Next: s.Next, Due: s.Due, Done: s.Done, Error: s.Error})
	}
	return out
}
