package kafka_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload"
)

// TestASiteThatWasJustSilentIsWaitedForShortly shows that the hint is taken, and that it hides nothing for good.
func TestASiteThatWasJustSilentIsWaitedForShortly(t *testing.T) {
	th := simulated(t)
	h := newHouse(t, th.at, topics())
	gate := th.sims[east].Pause(func(kmsg.Request) bool { return true })
	look := func(sites ...understudy.Site) (time.Duration, workload.Presence) {
		began := time.Now()
		seen, err := h.w.Observe(workload.WithSilent(t.Context(), sites...))
		mustLoad(t, err)
		return time.Since(began), seen.Sites[east].Presence
	}
	whole, first := look()
	short, second := look(east)
	if first != workload.Unreachable || second != workload.Unreachable {
		t.Fatalf("a site that answers nothing is %s, then %s", first, second)
	}
	t.Logf("waited %s, then %s", whole, short)
	// The other site may be slow on a busy machine, but not twice by as much as the wait is shorter.
	if short >= whole && short >= 3*time.Second {
		t.Errorf("waited %s for a site that had just been silent for %s", short, whole)
	}
	gate.Release()
	if _, now := look(); now != workload.Present {
		t.Errorf("a site that answers again is %s", now)
	}
}

// TestFailoverBehindABlackHole takes over from a site that accepts connections and answers nothing.
func TestFailoverBehindABlackHole(t *testing.T) {
	th := simulated(t)
	e := story{}.estate(t, th)
	p := controltest.Start(t, e.Setup)
	p.Apply()
	hand := &stagehand{t: t, p: p, th: th}
	hand.protected()
	gate := th.sims[east].Pause(func(kmsg.Request) bool { return true })
	defer gate.Release()
	op := p.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{east}}, control.CommitWindow)
	r, err := p.Report(t.Context(), op.ID)
	mustLoad(t, err)
	t.Logf("%s until the first verified write: %+v", op.Marks.Verified.Sub(op.Marks.Started), r.RTO)
}
