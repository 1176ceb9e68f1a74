package control

import (
	"context"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

const (
	// silenceHolds is how long a walk takes a side for silent that it has given its full time.
	silenceHolds = time.Minute
	// silenceFresh is how old a full look may be for PROMOTE to rest on it, with a short one behind it.
	silenceFresh = 5 * time.Second
)

// silences says when the old side of each workload was last given its full time, and let it go by.
type silences map[understudy.WorkloadName]time.Time

// look observes a workload now. In a failover, an old side that has just been silent gets a short time only: every stage
// looks, and a side that accepts connections and answers nothing would cost its full time at each.
func (w *walk) look(ctx context.Context, p workload.Planned) (workload.Observation, error) {
	return w.lookAgain(ctx, p, silenceHolds)
}

// lookAgain observes a workload, and gives the old side its full time unless it had that, in vain, within the given time.
func (w *walk) lookAgain(ctx context.Context, p workload.Planned, within time.Duration) (workload.Observation, error) {
	h, err := w.s.handles.get(ctx, p)
	if err != nil {
		return workload.Observation{}, err
	}
	began := w.s.opt.Now()
	since, silent := w.silences[p.Name]
	short := silent && began.Sub(since) < within
	if short {
		ctx = workload.WithSilent(ctx, w.op.From)
	}
	obs, err := w.s.observe(ctx, h, objectOf(p))
	if err != nil {
		return obs, err
	}
	switch {
	case obs.Sites[w.op.From].Presence != workload.Unreachable:
		delete(w.silences, p.Name)
	case !short && TableVerb(w.op.Verb) == understudy.Failover && !w.op.Aborting:
		if w.silences == nil {
			w.silences = silences{}
		}
		w.silences[p.Name] = w.s.opt.Now()
	}
	return obs, nil
}
