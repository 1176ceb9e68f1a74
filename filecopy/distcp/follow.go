package distcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/offload/yarn"
)

// memo is what is remembered at the target. It is written before anything is submitted under its application's id.
type memo struct {
	Load string `json:"load"`
	// Attempt counts the applications of the load from one.
	Attempt     int    `json:"attempt"`
	Application string `json:"application,omitempty"`
	// Done says that an application ended well.
	Done bool `json:"done,omitempty"`
}

func (t *trip) recall(ctx context.Context) error {
	b, err := t.load.Recall(ctx)
	if err != nil || len(b) == 0 {
		return err
	}
	return json.Unmarshal(b, &t.memo)
}

func (t *trip) remember(ctx context.Context, m memo) error {
	b, err := json.Marshal(m)
	if err == nil {
		err = t.load.Remember(ctx, b)
	}
	if err == nil {
		t.memo = m
	}
	return err
}

// Carry runs a job to its end, or takes up the one that runs.
func (c *Carrier) Carry(ctx context.Context, l filecopy.Load, report func(filecopy.Carried)) error {
	t, err := c.open(ctx, l, report)
	if err != nil {
		return err
	}
	if t.memo.Load != "" && t.memo.Load != l.Name {
		if err := t.drop(ctx); err != nil {
			return err
		}
		t.memo = memo{}
	}
	if t.memo.Done {
		return nil
	}
	for tries := 1; ; tries++ {
		r, err := t.once(ctx)
		if err != nil || r.Succeeded() {
			return err
		}
		if err := t.ended(r); tries >= t.Jobs || r.State == yarn.StateKilled {
			return err
		}
	}
}

// once follows an application to its end, one that runs or a new one.
func (t *trip) once(ctx context.Context) (yarn.Report, error) {
	if err := t.name(ctx); err != nil {
		return yarn.Report{}, err
	}
	r, err := t.follow(ctx)
	if err != nil {
		return r, err
	}
	t.final(ctx, r)
	if err := t.at("ended"); err != nil {
		return r, err
	}
	if err := t.tidy(ctx, r.ID); err != nil {
		return r, err
	}
	next := memo{Load: t.load.Name, Attempt: t.memo.Attempt, Done: r.Succeeded()}
	return r, t.remember(ctx, next)
}

// name makes sure that there is an application's id: the remembered one, that of an application which carries our tag, or a new one.
func (t *trip) name(ctx context.Context) error {
	if t.memo.Application != "" {
		return nil
	}
	found, err := t.YARN.Find(ctx, t.loadTag())
	if err != nil {
		return err
	}
	m := memo{Load: t.load.Name, Attempt: max(t.memo.Attempt, len(found))}
	at := slices.IndexFunc(found, func(r yarn.Report) bool { return !r.State.Over() || r.Succeeded() })
	if at >= 0 {
		m.Application = found[at].ID
		return t.remember(ctx, m)
	}
	granted, err := t.YARN.NewApplication(ctx)
	if err != nil {
		return err
	}
	if err := t.at("granted"); err != nil {
		return err
	}
	m.Application, m.Attempt = granted.ID, m.Attempt+1
	if err := t.remember(ctx, m); err != nil {
		return err
	}
	return t.at("remembered")
}

// follow looks at the application until it is over.
func (t *trip) follow(ctx context.Context) (yarn.Report, error) {
	for {
		r, err := t.look(ctx)
		if err == nil {
			t.heard = time.Now()
			if r.State.Over() {
				return r, nil
			}
			t.count(ctx, r)
			err = t.at("followed")
		} else if patient(err) && time.Since(t.heard) < t.Patience {
			err = nil
		}
		if err == nil {
			err = t.pause(ctx)
		}
		if err != nil {
			return r, err
		}
	}
}

// patient says whether an error may pass while the job goes on.
func patient(err error) bool {
	kind := understudy.KindOf(err)
	return kind == understudy.KindUnreachable || kind == understudy.KindRetry
}

func (t *trip) pause(ctx context.Context) error {
	timer := time.NewTimer(t.Poll)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// look asks for the application. One that the ResourceManager does not know has ended long ago, and then the history knows it, or was
// never submitted, or is forgotten with all that ran: then it is submitted, under the same id, which makes it one application
// however often that happens.
func (t *trip) look(ctx context.Context) (yarn.Report, error) {
	r, err := t.YARN.Application(ctx, t.memo.Application)
	if understudy.KindOf(err) != understudy.KindNotFound {
		return r, err
	}
	past, err := t.YARN.History(ctx, t.memo.Application)
	if err == nil && past.State == string(yarn.OutcomeSucceeded) {
		return yarn.Report{ID: t.memo.Application, State: yarn.StateFinished, Outcome: yarn.OutcomeSucceeded}, nil
	}
	m, err := t.write(ctx)
	if err != nil {
		return yarn.Report{}, err
	}
	if err := t.at("written"); err != nil {
		return yarn.Report{}, err
	}
	if err := t.YARN.Submit(ctx, m.Application()); err != nil {
		return yarn.Report{}, err
	}
	if err := t.at("submitted"); err != nil {
		return yarn.Report{}, err
	}
	return t.YARN.Application(ctx, t.memo.Application)
}

// The counters of DistCp's maps.
const (
	copyCounters = "org.apache.hadoop.tools.mapred.CopyMapper$Counter"
	copied       = "COPY"
	skipped      = "SKIP"
	bytesCopied  = "BYTESCOPIED"
	bytesSkipped = "BYTESSKIPPED"
)

// finalTries is how often the history server is asked for the counters of a job that has just ended well.
const finalTries = 5

// final reports the counters of a job that is over; the history server may know them a little later than the job ends.
func (t *trip) final(ctx context.Context, r yarn.Report) {
	for range finalTries {
		if t.count(ctx, r) || !r.Succeeded() || t.pause(ctx) != nil {
			return
		}
	}
}

// count reports what the job says it has done. Counters are for people: nothing is decided by them, so none are no error. It says
// whether there were any.
func (t *trip) count(ctx context.Context, r yarn.Report) bool {
	var counters yarn.Counters
	var err error
	switch {
	case r.State == yarn.StateRunning:
		counters, err = t.YARN.LiveCounters(ctx, r.ID)
	case r.State.Over():
		counters, err = t.YARN.FinalCounters(ctx, r.ID)
	}
	said := fmt.Sprintf("%s is %s, %.0f%%", r.ID, r.State, r.Progress)
	if r.State.Over() {
		said = fmt.Sprintf("%s is %s, %s", r.ID, r.State, r.Outcome)
	}
	now := filecopy.Carried{Said: said}
	if err == nil {
		c := counters[copyCounters]
		now.Files, now.Bytes = c[copied]+c[skipped], c[bytesCopied]+c[bytesSkipped]
	}
	t.report(now)
	return counters != nil
}

// ended is the error that an application's end means.
func (t *trip) ended(r yarn.Report) error {
	if r.State == yarn.StateKilled || r.Outcome == yarn.OutcomeKilled {
		e := failure("US666", understudy.KindRefused, "carry", "the copy job "+r.ID+" was killed", nil)
		e.Why, e.Fix = r.Diagnostics, "run the job again when the cluster may be used"
		return e
	}
	e := failure("US665", understudy.KindRetry, "carry", fmt.Sprintf("the copy job failed %d times, last as %s", t.memo.Attempt, r.ID), nil)
	e.Why, e.Fix = r.Diagnostics, "look at its logs (yarn logs -applicationId "+r.ID+"), or use the native engine"
	return e
}

// Drop ends what runs of a lot.
func (c *Carrier) Drop(ctx context.Context, l filecopy.Load) error {
	t, err := c.open(ctx, l, func(filecopy.Carried) {})
	if err != nil {
		return err
	}
	return t.drop(ctx)
}

func (t *trip) drop(ctx context.Context) error {
	found, err := t.YARN.Find(ctx, t.lotTag())
	if err != nil {
		return err
	}
	var ids []string
	for _, r := range found {
		ids = append(ids, r.ID)
	}
	if id := t.memo.Application; id != "" && !slices.Contains(ids, id) {
		ids = append(ids, id)
	}
	for _, id := range ids {
		if err := t.end(ctx, id); err != nil {
			return err
		}
		if err := t.tidy(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// end kills an application and waits until it is over. One that YARN does not know was never submitted.
func (t *trip) end(ctx context.Context, id string) error {
	r, err := t.YARN.Application(ctx, id)
	if understudy.KindOf(err) == understudy.KindNotFound {
		return nil
	}
	if err != nil || r.State.Over() {
		return err
	}
	if err := t.YARN.Kill(ctx, id); err != nil {
		return err
	}
	for !r.State.Over() {
		if err := t.pause(ctx); err != nil {
			return err
		}
		if r, err = t.YARN.Application(ctx, id); err != nil && (!patient(err) || time.Since(t.heard) > t.Patience) {
			return errors.Join(err, ctx.Err())
		}
	}
	return nil
}
