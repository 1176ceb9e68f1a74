package place

import (
	"context"
	"errors"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/understudy-dr/understudy/wire/hdfs"
)

// health is what is known of a cluster's DataNodes and of its clock.
type health struct {
	at          time.Time
	skew        time.Duration
	timed       bool
	nodes       int
	unreachable []string
	dead        []string
}

const (
	// healthHolds is how long a look at all DataNodes is good for, knock how long one of them may take to accept a connection.
	healthHolds = time.Minute
	knock       = 2 * time.Second
	// knocking is how many are tried at once.
	knocking = 32
)

// checkup looks at the DataNodes, unless it did so moments ago. Only superusers get their list: hdfs.ErrPermission.
func (s *hdfsSite) checkup(ctx context.Context, c *hdfs.Client) (health, error) {
	s.mu.Lock()
	h := s.health
	s.mu.Unlock()
	if time.Since(h.at) < healthHolds {
		return h, nil
	}
	alive, err := c.DataNodes(ctx, hdfs.LiveDataNodes)
	if err != nil {
		return h, err
	}
	dead, err := c.DataNodes(ctx, hdfs.DeadDataNodes)
	if err != nil {
		return h, err
	}
	h = health{at: time.Now(), nodes: len(alive)}
	h.skew, h.timed = skew(h.at, alive)
	h.unreachable = s.unreachable(ctx, alive)
	for _, n := range dead {
		h.dead = append(h.dead, n.Address())
	}
	s.mu.Lock()
	s.health = h
	s.mu.Unlock()
	return h, nil
}

// boundless is what a NameNode calls the quota of names that its root has from the beginning.
const boundless = 1 << 62

// Quotas asks for the root and each directory above it. A NameNode counts what is below a directory that has no quota before it answers.
func (t hdfsTree) Quotas(ctx context.Context) ([]Quota, error) {
	c, err := t.site.client(ctx, false)
	if err != nil {
		return nil, err
	}
	var out []Quota
	for dir := t.root; ; dir = path.Dir(dir) {
		u, err := c.QuotaUsage(ctx, dir)
		switch {
		case hdfs.IsNotFound(err), hdfs.IsPermission(err), errors.Is(err, hdfs.ErrUnsupported):
			// Not made yet, not for us to see, or a server that cannot tell.
		case err != nil:
			return nil, tell(err)
		case u.Quota >= 0 && u.Quota < boundless || u.SpaceQuota >= 0:
			out = append(out, quota(dir, u, c.Defaults().Replication))
		}
		if dir == "/" {
			return out, nil
		}
	}
}

// Size asks the NameNode to count what lies below the root.
func (t hdfsTree) Size(ctx context.Context) (int64, error) {
	c, err := t.site.client(ctx, false)
	if err != nil {
		return -1, err
	}
	sum, err := c.ContentSummary(ctx, t.root)
	switch {
	case hdfs.IsNotFound(err), hdfs.IsPermission(err):
		return -1, nil
	case err != nil:
		return -1, tell(err)
	}
	return sum.Length, nil
}

// Room is that of the whole cluster.
func (t hdfsTree) Room(ctx context.Context) (int64, error) {
	c, err := t.site.client(ctx, false)
	if err != nil {
		return -1, err
	}
	stats, err := c.FsStats(ctx)
	if err != nil {
		return -1, tell(err)
	}
	return stats.Remaining / int64(max(1, c.Defaults().Replication)), nil
}

func quota(dir string, u *hdfs.QuotaUsage, replicas int) Quota {
	q := Quota{Path: dir, Names: -1, NamesLeft: -1, Space: -1, SpaceLeft: -1, Replicas: max(1, replicas)}
	if u.Quota >= 0 && u.Quota < boundless {
		q.Names, q.NamesLeft = u.Quota, max(0, u.Quota-u.Names)
	}
	if u.SpaceQuota >= 0 {
		q.Space, q.SpaceLeft = u.SpaceQuota, max(0, u.SpaceQuota-u.SpaceConsumed)
	}
	return q
}

// beat is how old the newest heartbeat may be: by default DataNodes send one every three seconds.
const beat = 3 * time.Second

// skew guesses how far the NameNode's clock is before ours: it stamps heartbeats with it, and some DataNode has just sent one. False where none
// ever did.
func skew(now time.Time, nodes []hdfs.DataNode) (ahead time.Duration, known bool) {
	newest := time.Time{}
	for _, n := range nodes {
		if n.LastUpdate.After(newest) {
			newest = n.LastUpdate
		}
	}
	if newest.IsZero() {
		return 0, false
	}
	if ahead = newest.Sub(now); ahead < 0 {
		ahead = min(ahead+beat, 0)
	}
	return ahead, true
}

// unreachable tries every DataNode, and gives those that accept no connection from here.
func (s *hdfsSite) unreachable(ctx context.Context, nodes []hdfs.DataNode) []string {
	dial := s.cfg.Options.Dialer()
	var mu sync.Mutex
	var out []string
	var all sync.WaitGroup
	room := make(chan struct{}, knocking)
	for _, n := range nodes {
		all.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			ctx, cancel := context.WithTimeout(ctx, knock)
			defer cancel()
			address := n.Address()
			if s.cfg.Options.DatanodeHostnames {
				address = n.HostAddress()
			}
			conn, err := dial(ctx, "tcp", address)
			if err == nil {
				err = conn.Close()
			}
			if err != nil {
				mu.Lock()
				out = append(out, address)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	slices.Sort(out)
	return out
}
