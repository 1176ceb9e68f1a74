package mirror

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

// startEvery says how many polls of the source's end go by between two of its log start.
const startEvery = 5

// pollSources asks every source leader where its partitions end, several times a second.
func (m *Mirror) pollSources(ctx context.Context) {
	lines := map[int32]*line{}
	defer closeAll(lines)
	round := 0
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		round++
		err := m.byLeader(ctx, m.source, lines, func(ctx context.Context, l *line, group []*shard, parts []cluster.Partition) error {
			return m.pollBroker(ctx, l, group, parts, round%startEvery == 1)
		})
		if ctx.Err() != nil {
			return
		}
		if isLease(err) {
			m.abandon(leaseOver(m.source.c.Object()))
			return
		}
		m.trouble("poll", err)
		if err != nil {
			m.reroute(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func closeAll(lines map[int32]*line) {
	for _, l := range lines {
		l.close()
	}
}

// byLeader asks all leaders of a side at the same time, each about its own partitions.
func (m *Mirror) byLeader(ctx context.Context, s *side, lines map[int32]*line,
	ask func(context.Context, *line, []*shard, []cluster.Partition) error,
) error {
	groups, parts := map[int32][]*shard{}, map[int32][]cluster.Partition{}
	var missing error
	for _, sh := range m.list() {
		p, err := s.partition(sh.tp)
		if err != nil {
			missing = err
			continue
		}
		groups[p.Leader] = append(groups[p.Leader], sh)
		parts[p.Leader] = append(parts[p.Leader], p)
	}
	errs := make(chan error, len(groups))
	var wg sync.WaitGroup
	for id := range groups {
		if lines[id] == nil {
			lines[id] = &line{side: s, broker: id}
		}
		wg.Add(1)
		go func(l *line) {
			defer wg.Done()
			errs <- ask(ctx, l, groups[id], parts[id])
		}(lines[id])
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		missing = errors.Join(err, missing)
	}
	return missing
}

func (m *Mirror) pollBroker(ctx context.Context, l *line, group []*shard, parts []cluster.Partition, starts bool) error {
	asked := time.Now()
	got, err := l.offsets(ctx, parts, latest)
	if err != nil {
		return err
	}
	var bad error
	for i, s := range group {
		o, ok := got[parts[i].TP]
		if !ok || o.code != 0 {
			bad = m.source.c.Refused("kafka.listoffsets", s.tp.String(), o.code, "DESCRIBE on topic "+s.tp.Topic)
			continue
		}
		if parts[i].ID == s.id {
			s.track.polled(asked, o.at)
		}
	}
	m.mu.Lock()
	m.lastPoll = asked
	m.mu.Unlock()
	if !starts {
		return bad
	}
	if got, err = l.offsets(ctx, parts, earliest); err != nil {
		return err
	}
	for i, s := range group {
		if o, ok := got[parts[i].TP]; ok && o.code == 0 && parts[i].ID == s.id {
			s.track.trimmed(o.at)
		}
	}
	return bad
}

// checkTargets looks again and again for appends that are not ours, and follows the source's log start.
func (m *Mirror) checkTargets(ctx context.Context) {
	lines := map[int32]*line{}
	defer closeAll(lines)
	m.every(ctx, checkEvery, "check", func(ctx context.Context) error {
		return m.byLeader(ctx, m.target, lines, m.checkBroker)
	})
}

func (m *Mirror) checkBroker(ctx context.Context, l *line, group []*shard, parts []cluster.Partition) error {
	ends, err := l.offsets(ctx, parts, latest)
	if err != nil {
		return err
	}
	starts, err := l.offsets(ctx, parts, earliest)
	if err != nil {
		return err
	}
	var bad error
	for i, s := range group {
		end, start := ends[s.tp], starts[s.tp]
		if end.code != 0 || start.code != 0 {
			continue
		}
		// What was sent is read after the answer, so that it cannot be less than what the answer holds.
		at := s.track.state()
		if at.known && end.at > at.sent {
			bad = errors.Join(bad, s.intruded(ctx, parts[i], start.at, end.at))
			continue
		}
		if _, stopped := s.status(); stopped != nil || !at.known || at.start <= start.at || at.acked < at.start {
			continue
		}
		if _, err := m.target.c.DeleteRecords(ctx, m.o.Lease, parts[i], at.start); err != nil {
			bad = err
		}
	}
	return bad
}

// intruded looks at an end beyond what was sent, and stops the partition where somebody else wrote. What an
// earlier mover of the same assignment had under way is no intrusion: the next append finds the new end.
func (s *shard) intruded(ctx context.Context, p cluster.Partition, start, end int64) error {
	tail, err := s.tailHeader(ctx, p, start, end)
	if err != nil {
		return err
	}
	at := s.track.state()
	if end <= at.sent {
		return nil // it was sent meanwhile
	}
	why := s.foreign("the target ends at %d, and no more than %d was copied", end, at.sent)
	if tail != nil && tail.Producer().ID == s.m.pid {
		if tail.Producer().Epoch <= s.m.epoch {
			return nil
		}
		why = s.newer(tail)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped == nil {
		s.stopped, s.err = why, why.err
		s.leave()
	}
	return nil
}
