package control

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/journal"
	"github.com/understudy-dr/understudy/workload"
)

// session is one term of leadership: everything that runs because this member leads.
type session struct {
	c    *Controller
	opt  *Options
	lead journal.Leadership
	// hard ends when everything must stop at once: a second signal, a lost lease, a failed commit. drain ends
	// when running steps may finish and nothing new may begin.
	hard  context.Context
	fail  context.CancelCauseFunc
	drain context.Context
	id    string
	// unsettled is until when requests of a predecessor that did not leave in order may still be applied.
	unsettled time.Time

	// locks serialise the changes of one plan's records.
	locks   keyedLocks
	handles *handles
	links   *follows
	runs    *runs
	// patience spaces the tries of standing duties that fail.
	patience patience
	// facts are the newest observations, for status.
	seen seen
	// absent are the clusters that the plans want absent now.
	absent absences
	// changed wakes those who wait for progress.
	changed signal
	// parts are the values that are too large for their entries.
	parts parts
	// memories are those that were read already.
	memories memories
	// use is held by whatever uses handles, and taken wholly while documents change.
	use sync.RWMutex
}

// leadingRecord lets a successor know how long to wait.
type leadingRecord struct {
	Holder  string        `json:"holder"`
	Term    int64         `json:"term"`
	Lease   time.Duration `json:"lease"`
	Request time.Duration `json:"request"`
	// Clean means that the holder left with nothing in flight.
	Clean bool `json:"clean"`
}

func newSession(c *Controller, l journal.Leadership, hard context.Context, fail context.CancelCauseFunc, drain context.Context) *session {
	s := &session{c: c, opt: &c.opt, lead: l, hard: hard, fail: fail, drain: drain}
	s.handles = newHandles(s)
	s.links = newFollows(s)
	s.runs = newRuns(s)
	return s
}

// run does everything until the term ends; clean means that nothing can be in flight any more.
func (s *session) run() (clean bool, err error) {
	s.c.set(nil, true)
	if err := s.settle(); err != nil {
		return false, err
	}
	if s.id, err = s.controlPlane(); err != nil {
		return false, err
	}
	if err := s.recall(); err != nil {
		return false, err
	}
	if _, err := s.c.plans(s.hard); err != nil {
		// Documents that no longer compile, after an upgrade, must not stop the control plane: nothing runs
		// until they are applied again.
		s.opt.Log.Error("the applied documents do not compile", "error", err)
	}
	defer s.handles.close()
	quiet, cancel := context.WithCancel(s.hard)
	defer cancel()
	var duties sync.WaitGroup
	duties.Go(func() { s.standingDuty(quiet) })
	duties.Go(func() { s.schedules(quiet) })
	if err := s.recover(); err != nil {
		s.fail(err)
	}
	s.c.set(s, false)
	s.runs.serve()
	// Links go on until the operations have come to a boundary: a drain needs them.
	cancel()
	duties.Wait()
	s.links.stopAll()
	if cause := context.Cause(s.hard); cause != nil {
		return false, cause
	}
	return true, nil
}

// settle waits until a former leader can have nothing in flight, and records this one.
func (s *session) settle() error {
	last, version, err := read[leadingRecord](s.hard, s.opt.Journal, keyLeader)
	if err != nil {
		return err
	}
	if version != 0 && !last.Clean {
		// A killed process is dead, but what it sent may still wait on a server.
		s.unsettled = time.Now().Add(last.Request)
	}
	waited := version == 0 || last.Clean || s.opt.Exclusive
	if !waited {
		pause(s.hard, last.Lease+last.Request)
		waited = s.hard.Err() == nil
	}
	if refusal := pass(Guards(), GateEffect, Facts{Waited: waited}, understudy.Object{}); refusal != nil {
		return refusal
	}
	var t change
	t.put(keyLeader, version, leadingRecord{Holder: s.opt.Holder, Term: s.lead.Term(), Lease: s.opt.Lease, Request: s.opt.RequestTimeout})
	return s.commit(&t)
}

// leaveClean tells a successor that it need not wait.
func (s *session) leaveClean() {
	last, version, err := read[leadingRecord](s.hard, s.opt.Journal, keyLeader)
	if err != nil || last.Term != s.lead.Term() {
		return
	}
	last.Clean = true
	var t change
	t.put(keyLeader, version, last)
	if err := s.commit(&t); err != nil {
		s.opt.Log.Warn("the successor will wait out the lease", "error", err)
	}
}

// controlPlane gives the identity that stamps carry, made once.
func (s *session) controlPlane() (string, error) {
	id, version, err := read[string](s.hard, s.opt.Journal, keyControlPlane)
	if err != nil || version != 0 {
		return id, err
	}
	id = "cp-" + randomName(10)
	var t change
	t.put(keyControlPlane, 0, id)
	return id, s.commit(&t)
}

// recover takes up what a former leader left.
func (s *session) recover() error {
	ops, err := readAll[Operation](s.hard, s.opt.Journal, prefixOps)
	if err != nil {
		return err
	}
	for _, op := range ops {
		if op.State == Running || op.State == Validated {
			s.runs.kick(op.ID)
		}
	}
	return s.links.resume()
}

// commit applies a transaction as the leader. Whoever asked may have gone; the transaction is not cut short for that.
func (s *session) commit(t *change) error {
	if t.err != nil {
		return t.err
	}
	st, err := s.stage(t)
	if err == nil {
		err = s.apply(t.guards, t.writes)
	}
	if s.hard.Err() == nil {
		s.settled(st, err == nil)
	}
	return err
}

// apply applies guards and writes as they stand. After any failure but a refused input nobody knows what is written,
// or somebody else leads: this term ends, and the next one reads everything again.
func (s *session) apply(guards []journal.Guard, writes []journal.Write) error {
	_, err := s.opt.Journal.Commit(s.hard, journal.Txn{Leader: s.lead, Guards: guards, Writes: writes})
	if err == nil {
		return nil
	}
	if !errors.Is(err, journal.ErrInvalid) && !errors.Is(err, journal.ErrConflict) {
		s.fail(fmt.Errorf("control: a commit failed: %w", err))
	}
	return err
}

// deadline is the moment after which nothing may be sent in the name of this term.
func (s *session) deadline() time.Time { return s.lead.Deadline().Add(-s.opt.Margin) }

// lease is what steps and verifications act under.
func (s *session) lease() understudy.Lease {
	return understudy.Lease{Term: s.lead.Term(), Deadline: s.deadline}
}

// role reads a workload's role linearizably.
func (s *session) role(ctx context.Context, o understudy.Object) (understudy.Role, journal.Revision, error) {
	return read[understudy.Role](ctx, s.opt.Journal, keyRole(o))
}

// observe asks a workload what is there, and keeps the answer for status.
func (s *session) observe(ctx context.Context, w *handle, o understudy.Object) (workload.Observation, error) {
	obs, err := w.Observe(ctx)
	if err == nil {
		markAbsent(w.p, &s.absent, obs)
		s.seen.put(o, obs)
	}
	return obs, err
}

func objectOf(w workload.Planned) understudy.Object {
	return understudy.Object{Plan: w.Plan, Workload: w.Name}
}

func (op *Operation) object() understudy.Object { return understudy.Object{Plan: op.Plan} }
