package control

import (
	"context"
	"fmt"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// silence is how long a source may leave polls unanswered before it counts as unreachable.
const silence = 15 * time.Second

// clockSlack is how far a safe time may lie ahead of now, for clocks of two members.
const clockSlack = time.Second

// progress gives the newest progress of a link: that of the running mover, or else the stored one.
func (s *session) progress(ctx context.Context, l understudy.Link) (understudy.Progress, bool, error) {
	if f := s.links.find(l); f != nil {
		f.mu.Lock()
		p := f.progress
		f.mu.Unlock()
		if p != nil {
			return *p, true, nil
		}
	}
	p, version, err := read[understudy.Progress](ctx, s.opt.Journal, keyProgress(l))
	return p, version != 0, err
}

// fresh gives the progress of the running mover under an epoch not older than the given one.
func (s *session) fresh(_ context.Context, l understudy.Link, epoch understudy.RoleEpoch) (understudy.Progress, bool, error) {
	f := s.links.find(l)
	if f == nil {
		return understudy.Progress{}, false, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.progress == nil || f.progress.Epoch < epoch {
		return understudy.Progress{}, false, nil
	}
	return *f.progress, true, nil
}

// exposureOf bounds what would be lost if the site took over: everything acknowledged after the safe time.
func (s *session) exposureOf(ctx context.Context, p workload.Planned, role understudy.Role, to understudy.Site, until time.Time) (understudy.Exposure, error) {
	kind, _ := s.opt.Registry.Kind(p.Kind)
	rec, _, err := read[planRecord](ctx, s.opt.Journal, keyPlan(p.Plan))
	if err != nil {
		return understudy.Exposure{}, err
	}
	for _, l := range kind.Links(p.Spec, role) {
		if l.To != to {
			continue
		}
		progress, ok, err := s.progress(ctx, l)
		if err != nil {
			return understudy.Exposure{}, err
		}
		if ok && progress.At.After(rec.Promoted) {
			return exposed(progress, until, s.opt.Now()), nil
		}
	}
	if rec.PromotedFrom == to && !rec.Promoted.IsZero() {
		// No link has written this side since it was given up: it lacks what was written since, and no more
		// than that is claimed to be known.
		return understudy.Exposure{Safe: rec.Promoted, Known: true, Bound: nonNegative(until.Sub(rec.Promoted)), SourceReachable: true}, nil
	}
	return understudy.Exposure{}, nil
}

// exposed is the exposure that a progress proves at a moment, which is now, or when the source took its last write: a
// link of a fenced source goes on proving beyond that.
func exposed(p understudy.Progress, at, now time.Time) understudy.Exposure {
	e := understudy.Exposure{
		Safe: p.Safe, Known: !p.Safe.IsZero(), Records: p.Records, Bytes: p.Bytes,
		SourceReachable: p.State != understudy.LinkDown && (p.Published != nil || at.Sub(p.LastPoll) < silence),
	}
	if p.Published != nil {
		e.Set = p.Published.Set
	}
	if p.Safe.After(now.Add(clockSlack)) {
		// The clock was set back: how much was written since is not known.
		e.Known = false
	}
	if e.Known {
		e.Bound = nonNegative(at.Sub(p.Safe))
	}
	return e
}

func nonNegative(d time.Duration) time.Duration { return max(d, 0) }

// exposureText is the bound for people.
func exposureText(e understudy.Exposure) string {
	if !e.Known {
		return "unknown: nothing is proven yet"
	}
	bound := "at most " + e.Bound.Round(time.Millisecond).String() + " of acknowledged writes"
	if e.Set != "" {
		return bound + ": what came after the set " + e.Set + " was captured"
	}
	if !e.SourceReachable {
		return bound + "; how many records those are nobody can know, as the source does not answer"
	}
	return fmt.Sprintf("%s, about %d records and %d bytes", bound, e.Records, e.Bytes)
}
