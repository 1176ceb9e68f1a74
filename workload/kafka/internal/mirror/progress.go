package mirror

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/understudy-dr/understudy"
)

const (
	// fresh is how old a partition's safe moment may be while it counts as protected.
	fresh = 5 * time.Second
	// silence is how long a source may leave polls unanswered before the link counts as down.
	silence = 5 * time.Second
)

func (m *Mirror) reports(ctx context.Context) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		m.report()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// report tells control how far everything is.
func (m *Mirror) report() {
	m.reporting.Lock()
	defer m.reporting.Unlock()
	m.o.Report(m.Progress(time.Now()))
}

// keep makes changes of the workload's memory durable before it returns.
func (m *Mirror) keep(k understudy.Keep) {
	m.reporting.Lock()
	defer m.reporting.Unlock()
	p := m.Progress(time.Now())
	p.Keep = k
	m.o.Report(p)
}

// Progress gives the state of the link at a moment.
func (m *Mirror) Progress(now time.Time) understudy.Progress {
	p := understudy.Progress{Link: m.o.Link, Epoch: m.o.Epoch, At: now, State: understudy.Protected}
	m.mu.Lock()
	p.LastPoll = m.lastPoll
	listed, stuck := m.listed, m.troubles["scan"] != nil
	for _, what := range slices.Sorted(maps.Keys(m.troubles)) {
		p.Notes = append(p.Notes, fmt.Sprintf("%s: %v", what, m.troubles[what]))
	}
	m.mu.Unlock()
	down := now.Sub(p.LastPoll) > silence
	for _, s := range m.list() {
		sp := s.progress(now, down)
		p.Shards = append(p.Shards, sp)
		p.State = worse(p.State, sp.State)
		p.Records += max(sp.Source-sp.Target, 0)
		if _, end := s.status(); end != nil && end.need > p.NeedEpoch {
			p.NeedEpoch = end.need
		}
	}
	sort.Slice(p.Shards, func(i, j int) bool { return p.Shards[i].Shard < p.Shards[j].Shard })
	// A topic or partition that is not followed yet may hold records, too: nothing is safe beyond the last
	// listing in which there was none.
	p.Safe = oldest(listed, p.Shards)
	switch {
	case stuck && now.Sub(listed) > silence:
		p.State = worse(p.State, understudy.LinkDown)
	case listed.IsZero():
		p.State = worse(p.State, understudy.Bootstrapping)
	case now.Sub(listed) > fresh:
		p.State = worse(p.State, understudy.CatchingUp)
	}
	if len(p.Shards) == 0 {
		p.LastPoll = listed
	}
	p.CopiedRecords, p.CopiedBytes = m.copiedRecords.Load(), m.copiedBytes.Load()
	if p.CopiedRecords > 0 {
		p.Bytes = int64(float64(p.Records) * float64(p.CopiedBytes) / float64(p.CopiedRecords))
	}
	p.Notes = append(p.Notes, m.conf.notes()...)
	p.Notes = append(p.Notes, m.groups.Notes()...)
	return p
}

func oldest(listed time.Time, list []understudy.ShardProgress) time.Time {
	out := listed
	for _, s := range list {
		if s.Safe.Before(out) {
			out = s.Safe
		}
	}
	return out
}

func (s *shard) progress(now time.Time, down bool) understudy.ShardProgress {
	at := s.track.state()
	err, end := s.status()
	out := understudy.ShardProgress{Shard: s.tp.String(), Safe: at.safe, Source: at.last.end, Target: at.acked, Error: err}
	switch {
	case end != nil:
		out.State = end.state
	case !at.caught:
		out.State = understudy.Bootstrapping
	case down || err != nil && now.Sub(at.safe) > fresh:
		out.State = understudy.LinkDown
	case now.Sub(at.safe) > fresh:
		out.State = understudy.CatchingUp
	default:
		out.State = understudy.Protected
	}
	return out
}

// worse gives the state that a person must know of first.
func worse(a, b understudy.Protection) understudy.Protection {
	order := []understudy.Protection{
		understudy.Protected, understudy.CatchingUp, understudy.Bootstrapping, understudy.LinkDown, understudy.Broken, understudy.Diverged,
	}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}
