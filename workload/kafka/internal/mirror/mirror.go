package mirror

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

const (
	// DefaultBudget bounds the memory of data on its way where nothing else is configured, in bytes.
	DefaultBudget = 64 << 20
	// alignAtOnce bounds the partitions that ask where they stand at the same time: each takes a dozen requests.
	alignAtOnce = 32
	// decodedMax bounds the records of one batch, decompressed.
	decodedMax = 256 << 20

	scanEvery   = time.Second
	pollEvery   = 200 * time.Millisecond
	checkEvery  = time.Second
	reportEvery = 300 * time.Millisecond
	groupsEvery = 500 * time.Millisecond
)

// Options are one assignment and what it works on.
type Options struct {
	Link  understudy.Link
	Epoch understudy.RoleEpoch
	// Lease bounds every request to either cluster.
	Lease understudy.Lease
	// Frozen says that nothing but data and positions is to be copied now.
	Frozen func() bool
	// Reverse sets the groups' positions exactly once, also backwards.
	Reverse bool
	// Late says that the source was the target of the link the other way until a takeover halted that link's mover, of
	// which requests may still be under way: what they change on the source is put right.
	Late bool
	// Unsettled is until when an earlier mover's requests may still be applied: no marker is written before it.
	Unsettled time.Time
	// Kept is the workload's memory as the assignment began.
	Kept           understudy.Keep
	Source, Target *cluster.Cluster
	// SourceID and TargetID are the ids that the clusters had when they were protected; empty where none is known.
	SourceID, TargetID string
	// Topic and Group say what belongs to the workload.
	Topic, Group func(string) bool
	// Guard keeps ordinary writers off topics of the target that are about to be made, where others of the workload are
	// guarded. It gives what must be remembered first, and what then does it; both are nil where nothing is to be done.
	Guard func(ctx context.Context, topics []string, fence []byte) (fenced []byte, do func(context.Context) error, err error)
	// Fence is the name under which the memory of the target's guard is kept.
	Fence string
	// Replication is the replication factor of topics made on the target; 0 means as on the source.
	Replication int
	// Settle is how long a request may be under way after its connection broke; 0 means cluster.RequestTimeout.
	Settle time.Duration
	// Budget bounds the memory of data on its way, in bytes: as it was fetched, taken apart, and made anew; 0 means
	// DefaultBudget. A batch that needs more than its share passes alone.
	Budget int64
	// Report takes the progress; what it keeps is durable when it returns.
	Report func(understudy.Progress)
	Log    *slog.Logger
}

// Mirror follows one link. It is used once.
type Mirror struct {
	o     Options
	pid   int64
	epoch int16
	coder *batch.Coder
	// budget is for fetched data, and workshop for batches that are looked into: half of Options.Budget, and three eighths. The
	// rest is left to requests that are being written.
	budget   *budget
	workshop *workshop
	// aligning is held by the partitions that ask where they stand.
	aligning *semaphore.Weighted
	// fetchMax and partitionMax bound one fetch, in bytes.
	fetchMax, partitionMax int32

	source, target             *side
	fetchers                   *crew[*fetcher]
	writers                    *crew[*writer]
	fillers                    *crew[*filler]
	conf                       *conf
	groups                     *Groups
	copiedRecords, copiedBytes atomic.Int64
	filled                     atomic.Int64
	identified                 atomic.Bool // both clusters are the right ones
	end                        context.CancelCauseFunc
	reporting                  sync.Mutex
	mu                         sync.Mutex
	shards                     map[cluster.TP]*shard
	lastPoll                   time.Time
	// listed is when the newest listing of the source was asked for in which every partition was followed.
	listed   time.Time
	troubles map[string]error // by what is being done
}

// New makes a mirror. It connects nowhere. The error is US147 for a role epoch that Kafka cannot hold.
func New(o Options) (*Mirror, error) {
	epoch, err := ProducerEpoch(o.Epoch)
	if err != nil {
		return nil, err
	}
	coder, err := batch.NewCoder(decodedMax)
	if err != nil {
		return nil, err
	}
	if o.Budget <= 0 {
		o.Budget = DefaultBudget
	}
	if o.Settle <= 0 {
		o.Settle = cluster.RequestTimeout
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Frozen == nil {
		o.Frozen = func() bool { return false }
	}
	if o.Group == nil {
		o.Group = func(string) bool { return true }
	}
	shop, err := newWorkshop(o.Budget*3/8, decodedMax)
	if err != nil {
		return nil, err
	}
	fetchMax := int32(min(max(o.Budget/16, 256<<10), 16<<20))
	m := &Mirror{
		o: o, epoch: epoch, coder: coder, budget: newBudget(o.Budget / 2), workshop: shop, aligning: semaphore.NewWeighted(alignAtOnce),
		fetchMax: fetchMax, partitionMax: min(fetchMax, 8<<20),
		source: &side{c: o.Source, lease: o.Lease}, target: &side{c: o.Target, lease: o.Lease},
		shards: map[cluster.TP]*shard{}, troubles: map[string]error{},
	}
	m.conf = newConf(m)
	m.groups = NewGroups(GroupOptions{
		Lease: o.Lease, Source: o.Source, Target: o.Target, Topic: o.Topic, Group: o.Group, Exact: o.Reverse, Late: o.Late,
	})
	return m, nil
}

// Run follows the link until ctx ends, and returns when nothing of it is in flight. The error is nil when ctx
// ended, US003 when the lease did, and US101 when a cluster is not the one that was protected: nothing was written.
func (m *Mirror) Run(ctx context.Context) error {
	work, end := context.WithCancelCause(ctx)
	defer end(nil)
	m.end = end
	// What is in flight is answered after ctx ended, so the connections live longer.
	io, shut := context.WithCancel(context.WithoutCancel(ctx))
	defer shut()
	m.fetchers = newCrew(work, func(id int32) *fetcher { return newFetcher(m, id) })
	m.writers = newCrew(io, func(id int32) *writer { return newWriter(m, id) })
	m.fillers = newCrew(io, func(id int32) *filler { return newFiller(m, id) })

	var duties, movers sync.WaitGroup
	go4 := func(g *sync.WaitGroup, f func(context.Context)) {
		g.Add(1)
		go func() {
			defer g.Done()
			f(work)
		}()
	}
	go4(&duties, func(ctx context.Context) {
		m.every(ctx, scanEvery, "scan", func(ctx context.Context) error {
			return m.scan(ctx, func(s *shard) { go4(&movers, s.run) })
		})
	})
	go4(&duties, m.pollSources)
	go4(&duties, m.checkTargets)
	go4(&duties, func(ctx context.Context) { m.every(ctx, groupsEvery, "groups", m.syncGroups) })
	go4(&duties, m.reports)
	duties.Wait()
	movers.Wait()
	m.fetchers.wait()
	shut()
	m.writers.wait()
	m.fillers.wait()
	m.report()
	if cause := context.Cause(work); ctx.Err() == nil && cause != nil {
		return cause
	}
	return nil
}

// abandon ends the whole mirror: the lease is over, or a cluster is not the one that was protected.
func (m *Mirror) abandon(err error) { m.end(err) }

// every does something again and again, and remembers what is wrong with it.
func (m *Mirror) every(ctx context.Context, pause time.Duration, what string, do func(context.Context) error) {
	for ctx.Err() == nil {
		err := do(ctx)
		if ctx.Err() != nil {
			return
		}
		if isLease(err) {
			m.abandon(leaseOver(m.o.Target.Object()))
			return
		}
		m.trouble(what, err)
		sleep(ctx, pause)
	}
}

func (m *Mirror) trouble(what string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		delete(m.troubles, what)
		return
	}
	if m.troubles[what] == nil {
		m.o.Log.Warn("the mirror has trouble", "doing", what, "error", err)
	}
	m.troubles[what] = err
}

// reroute asks both clusters where their leaders are, unless somebody just did.
func (m *Mirror) reroute(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	for _, s := range []*side{m.source, m.target} {
		if err := s.refresh(ctx); err != nil && isLease(err) {
			m.abandon(leaseOver(m.o.Target.Object()))
		}
	}
}

// copied counts what the target has acknowledged.
func (m *Mirror) copied(it *item) {
	m.copiedRecords.Add(it.next - it.base)
	m.copiedBytes.Add(int64(len(it.batch)))
}

// list gives the shards as they are now.
func (m *Mirror) list() []*shard {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]*shard, 0, len(m.shards))
	for _, s := range m.shards {
		out = append(out, s)
	}
	return out
}
