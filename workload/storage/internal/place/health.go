package place

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
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
	// untried counts those of which nothing is known, since time was over before they were tried to the end.
	untried int
	dead    []string
	// unheard is that data cannot be asked for there, and hung that a DataNode hung up on the handshake which the site file wants.
	unheard error
	hung    bool
}

const (
	// healthHolds is how long a look at all DataNodes is good for, knock how long one of them may take to accept a connection.
	healthHolds = time.Minute
	knock       = 2 * time.Second
	// greetingHolds is how long a DataNode is known to take what it is spoken to with: each greeting is an error in its log.
	greetingHolds = time.Hour
	// knocking is how many are tried at once.
	knocking = 32
)

// roll asks the NameNode for its DataNodes, unless that was done moments ago, and gives those that are still to be tried. Only superusers get their
// list: hdfs.ErrPermission.
func (s *hdfsSite) roll(ctx context.Context, c *hdfs.Client) (health, []hdfs.DataNode, error) {
	s.mu.Lock()
	h := s.health
	s.mu.Unlock()
	if time.Since(h.at) < healthHolds {
		return h, nil, nil
	}
	alive, err := c.DataNodes(ctx, hdfs.LiveDataNodes)
	if err != nil {
		return h, nil, err
	}
	dead, err := c.DataNodes(ctx, hdfs.DeadDataNodes)
	if err != nil {
		return h, nil, err
	}
	h = health{at: time.Now(), nodes: len(alive)}
	h.skew, h.timed = skew(h.at, alive)
	for _, n := range dead {
		h.dead = append(h.dead, n.Address())
	}
	return h, alive, nil
}

// checkup tries the DataNodes, which is what may take all the time that there is, and remembers what is known then.
func (s *hdfsSite) checkup(ctx context.Context, ask asking, h health, nodes []hdfs.DataNode) health {
	if len(nodes) == 0 {
		return h
	}
	h.unreachable, h.untried = s.unreachable(ctx, nodes)
	h.hung, h.unheard = s.greet(ctx, ask, h.unreachable, nodes)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health = h
	return h
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

// unreachable tries the DataNodes, and gives those that accept no connection from here, and how many were not tried to the end because ctx was over
// before: of them nothing is known.
func (s *hdfsSite) unreachable(ctx context.Context, nodes []hdfs.DataNode) (out []string, untried int) {
	var mu sync.Mutex
	var all sync.WaitGroup
	room := make(chan struct{}, knocking)
	for _, n := range nodes {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			address := s.address(n)
			err := s.knock(ctx, address)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
			case ctx.Err() != nil:
				untried++
			default:
				out = append(out, address)
			}
		})
	}
	all.Wait()
	slices.Sort(out)
	return out, untried
}

// knock connects and hangs up.
func (s *hdfsSite) knock(ctx context.Context, address string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, knock)
	defer cancel()
	conn, err := s.cfg.Options.Dialer()(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// address is where a DataNode is reached.
func (s *hdfsSite) address(n hdfs.DataNode) string {
	if s.cfg.Options.DatanodeHostnames {
		return n.HostAddress()
	}
	return n.Address()
}

// greetings is how many DataNodes are greeted before all are held to be alike.
const greetings = 3

// asking asks a DataNode which protections it takes.
type asking func(ctx context.Context, d *hdfs.DataNode) ([]hdfs.Protection, error)

// asksDataNodes gives how to ask what the DataNodes take; nil where that needs no asking: one that encrypts all data says so itself, and is followed.
func (s *hdfsSite) asksDataNodes(c *hdfs.Client) asking {
	if s.cfg.Login.Kerberos == nil || c.Defaults().EncryptData {
		return nil
	}
	return c.DataProtections
}

// greet begins the handshake with DataNodes in reach, and holds what they take against what the site file says of all of them, until one takes that. Where
// none does one may demand another, or have hung up where it was asked for any. Nothing is known of those that do not answer.
func (s *hdfsSite) greet(ctx context.Context, ask asking, unreachable []string, nodes []hdfs.DataNode) (hung bool, unheard error) {
	if ask == nil || time.Since(s.greetedAt()) < greetingHolds {
		return false, nil
	}
	want := s.cfg.Login.Kerberos.DataProtection
	tried := 0
	for _, n := range nodes {
		if slices.Contains(unreachable, s.address(n)) {
			continue
		}
		if tried++; tried > greetings || ctx.Err() != nil {
			break
		}
		takes, err := askOne(ctx, ask, &n)
		switch {
		case err != nil:
		case slices.Contains(takes, want), len(takes) == 0 && want == "":
			s.mu.Lock()
			defer s.mu.Unlock()
			s.greeted = time.Now()
			return false, nil
		case len(takes) == 0:
			hung = true
		default:
			unheard = &UnheardError{Server: s.address(n), Takes: takes, Said: want}
		}
	}
	return hung && unheard == nil, unheard
}

func askOne(ctx context.Context, ask asking, n *hdfs.DataNode) ([]hdfs.Protection, error) {
	ctx, cancel := context.WithTimeout(ctx, knock)
	defer cancel()
	return ask(ctx, n)
}

func (s *hdfsSite) greetedAt() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.greeted
}

// UnheardError means that the DataNodes of a cluster demand another protection than the site file says: the NameNode lets us in, and no data goes in or
// out. It is ErrTurnedAway.
type UnheardError struct {
	// Server is the DataNode that was asked, Takes what it takes, and Said what the site file says; empty for nothing.
	Server string
	Takes  []hdfs.Protection
	Said   hdfs.Protection
}

// Error names the demand.
func (e *UnheardError) Error() string {
	said := "none"
	if e.Said != "" {
		said = string(e.Said)
	}
	return fmt.Sprintf("DataNode %s takes the protection %s (dfs.data.transfer.protection), and the site file says %s", e.Server, e.Demand(), said)
}

// Demand gives what is taken in the words of the site file.
func (e *UnheardError) Demand() string {
	var all []string
	for _, p := range e.Takes {
		all = append(all, string(p))
	}
	return strings.Join(all, " or ")
}

// Is finds the sentinel.
func (e *UnheardError) Is(target error) bool { return target == ErrTurnedAway }
