package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdserver"

	"github.com/understudy-dr/understudy/journal"
)

const (
	// quotaBytes bounds the file of the embedded etcd: the most that etcd calls healthy. The journal holds some
	// megabytes, and what is compacted away leaves its pages in the file, so this is room for bursts.
	quotaBytes = 8 << 30
	// roomEvery is how often the size of the file is looked at.
	roomEvery = time.Minute
)

// room makes room in the embedded etcd. An etcd that met its quota takes no write until somebody compacts and
// defragments it and disarms its alarm; this one has no listener at which anybody could.
type room struct {
	server *etcdserver.EtcdServer
	client *clientv3.Client
	quota  int64
	log    *slog.Logger

	mu sync.Mutex
	// limit is the size of the file at which room is made before any write is refused, in bytes. When that was done last,
	// the file had left bytes, and the store the revision at.
	limit, left, at int64
}

func newRoom(m *member, c *clientv3.Client, o Options) *room {
	quota := o.quotaBytes()
	return &room{server: m.server.Server, client: c, quota: quota, log: o.logger(), limit: quota / 2}
}

// cramped says whether etcd refuses writes, or the file is so large that it may soon.
func (r *room) cramped() (refuses, soon bool) {
	for _, a := range r.server.Alarms() {
		refuses = refuses || a.Alarm == etcdserverpb.AlarmType_NOSPACE
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return refuses, r.server.Backend().Size() > r.limit
}

// keep makes room whenever the file has grown large, until the journal ends.
func (r *room) keep(j *Journal) {
	tick := time.NewTicker(roomEvery)
	defer tick.Stop()
	for {
		select {
		case <-j.ctx.Done():
			return
		case <-tick.C:
		}
		if _, soon := r.cramped(); !soon {
			continue
		}
		if err := r.make(j.ctx); err != nil && j.ctx.Err() == nil {
			r.log.Warn("no room could be made in the journal; it is tried again", "error", err)
		}
	}
}

// make drops all history, gives the free pages back to the disk, and lets etcd take writes again. A reader that is
// behind lists anew, as the contract wants. It can run at any moment and twice: nothing that is current is touched.
func (r *room) make(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.server.Backend().Size()
	now, err := r.client.KV.Get(ctx, journal.LeaderPrefix, clientv3.WithCountOnly())
	if err != nil {
		return err
	}
	if r.left >= r.quota && now.Header.Revision == r.at {
		return rpctypes.ErrNoSpace // it was done, what is current does not fit, and nothing was deleted since
	}
	_, err = r.client.KV.Compact(ctx, now.Header.Revision, clientv3.WithCompactPhysical())
	if err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
		return err
	}
	if err := r.server.Defragment(); err != nil {
		return fmt.Errorf("defragment: %w", err)
	}
	r.left, r.at = r.server.Backend().Size(), now.Header.Revision
	r.limit = max(r.quota/2, 2*r.left)
	r.log.Info("made room in the journal", "before", before, "after", r.left, "quota", r.quota)
	if r.left >= r.quota {
		return rpctypes.ErrNoSpace
	}
	_, err = r.client.Maintenance.AlarmDisarm(ctx, &clientv3.AlarmMember{MemberID: uint64(r.server.MemberID()), Alarm: etcdserverpb.AlarmType_NOSPACE})
	return err
}

// roomy writes, and where the quota is in the way once more after making room: what it refused was not written.
func (j *Journal) roomy(ctx context.Context, write func() error) error {
	err := write()
	if j.room == nil || !errors.Is(err, rpctypes.ErrNoSpace) {
		return err
	}
	if err := j.room.make(ctx); err != nil {
		return err
	}
	return write()
}

// reopen makes room at the start, where a former process left etcd without.
func (r *room) reopen(ctx context.Context) error {
	refuses, soon := r.cramped()
	if !refuses && !soon {
		return nil
	}
	err := r.make(ctx)
	if err != nil && !refuses {
		r.log.Warn("no room could be made in the journal; it is tried again", "error", err)
		return nil
	}
	return err
}
