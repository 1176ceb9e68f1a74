package etcd

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/understudy-dr/understudy/journal"
)

// leadership is a key that lives as long as its lease.
type leadership struct {
	journal *Journal
	name    string
	key     string
	term    int64
	id      clientv3.LeaseID
	lease   time.Duration

	mu       sync.Mutex
	deadline time.Time

	lostOnce sync.Once
	lost     chan struct{}
	stopOnce sync.Once
	stop     chan struct{}
	stopped  chan struct{}
}

// Lead waits until it becomes the leader of name.
func (j *Journal) Lead(ctx context.Context, name, holder string, lease time.Duration) (journal.Leadership, error) {
	const op = "journal.lead"
	if err := journal.CheckLead(name, holder, lease); err != nil {
		return nil, err
	}
	bound, done, err := j.begin(ctx, op)
	if err != nil {
		return nil, err
	}
	defer done()
	for {
		if err := j.vacant(bound, journal.LeaderKey(name)); err != nil {
			return nil, j.wrap(ctx, op, err)
		}
		var l *leadership
		err := j.roomy(bound, func() (err error) {
			l, err = j.elect(bound, name, holder, lease)
			return err
		})
		if err != nil {
			return nil, j.wrap(ctx, op, err)
		}
		if l != nil {
			return l, nil
		}
	}
}

// vacant waits until nobody leads under the key.
func (j *Journal) vacant(ctx context.Context, key string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	asking, answered := j.request(ctx)
	r, err := j.kv.Get(asking, key, clientv3.WithKeysOnly())
	answered()
	if err != nil || len(r.Kvs) == 0 {
		return err
	}
	watching := ctx
	if j.remote {
		watching = clientv3.WithRequireLeader(ctx)
	}
	gone := j.watcher.Watch(watching, key, clientv3.WithRev(r.Header.Revision+1), clientv3.WithFilterPut())
	w, open := <-gone
	if !open {
		return errors.Join(ctx.Err(), errors.New("etcd ended the watch of the leader"))
	}
	if err := w.Err(); err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
		return err
	}
	return nil
}

// elect tries to become the leader; nil without error means that another was faster.
func (j *Journal) elect(ctx context.Context, name, holder string, lease time.Duration) (*leadership, error) {
	ctx, cancel := j.request(ctx)
	defer cancel()
	// Taken before the lease is asked for: etcd's own count begins later, so the deadline is never too late.
	sent := time.Now()
	seconds := int64((lease + time.Second - 1) / time.Second)
	granted, err := j.leases.Grant(ctx, seconds)
	if err != nil {
		return nil, err
	}
	l := &leadership{
		journal: j, name: name, key: journal.LeaderKey(name), id: granted.ID, lease: lease,
		lost: make(chan struct{}), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	l.extend(sent)
	r, err := j.kv.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(l.key), "=", 0)).
		Then(clientv3.OpPut(l.key, holder, clientv3.WithLease(l.id))).
		Commit()
	if err != nil || !r.Succeeded {
		j.forget(l.id)
		return nil, err
	}
	l.term = r.Header.Revision
	if !j.background(l.keep) {
		j.forget(l.id)
		return nil, journal.ErrClosed
	}
	return l, nil
}

// forget revokes a lease nobody leads by. Where that fails it runs out by itself.
func (j *Journal) forget(id clientv3.LeaseID) {
	ctx, cancel := context.WithTimeout(j.ctx, time.Second)
	defer cancel()
	_, _ = j.leases.Revoke(ctx, id)
}

// background runs work that Close waits for; false when the journal is closed.
func (j *Journal) background(work func()) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.over {
		return false
	}
	j.work.Go(work)
	return true
}

// keep renews the lease until it is told to stop, is lost, or the journal ends.
func (l *leadership) keep() {
	defer close(l.stopped)
	defer l.lose()
	tick := time.NewTicker(journal.RenewEvery(l.lease))
	defer tick.Stop()
	for {
		expiry := time.NewTimer(time.Until(l.Deadline()))
		select {
		case <-l.stop:
		case <-l.lost:
		case <-l.journal.ctx.Done():
		case <-expiry.C:
		case <-tick.C:
			expiry.Stop()
			if l.renew() {
				continue
			}
		}
		expiry.Stop()
		return
	}
}

// renew sends one renewal, and reports whether there is any sense in going on. An answer is counted from the moment
// of sending: one that comes late does not move the deadline to where etcd has let go already.
func (l *leadership) renew() bool {
	sent := time.Now()
	if !sent.Before(l.Deadline()) {
		return false
	}
	// Less than until the deadline, so that a renewal that got stuck leaves time to send another.
	ctx, cancel := context.WithTimeout(l.journal.ctx, journal.RenewEvery(l.lease))
	defer cancel()
	_, err := l.journal.leases.KeepAliveOnce(ctx, l.id)
	if err == nil {
		l.extend(sent)
		return true
	}
	return !errors.Is(err, rpctypes.ErrLeaseNotFound)
}

// extend moves the deadline after a renewal that was sent at the given moment. time.Now carries the monotonic clock,
// which goes on while the process is stopped.
func (l *leadership) extend(sent time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deadline = sent.Add(l.lease - journal.Margin(l.lease))
}

// Term is the revision at which the leader's key was created.
func (l *leadership) Term() int64 { return l.term }

// Deadline lies a lease less its margin after the sending of the newest renewal that was answered.
func (l *leadership) Deadline() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.deadline
}

// Lost is closed when the leadership has ended.
func (l *leadership) Lost() <-chan struct{} { return l.lost }

func (l *leadership) lose() { l.lostOnce.Do(func() { close(l.lost) }) }

// Resign stops renewing and revokes the lease, which deletes the key.
func (l *leadership) Resign(ctx context.Context) error {
	const op = "journal.resign"
	l.stopOnce.Do(func() { close(l.stop) })
	<-l.stopped
	bound, done, err := l.journal.begin(ctx, op)
	if err != nil {
		return err
	}
	defer done()
	bound, cancel := l.journal.request(bound)
	defer cancel()
	_, err = l.journal.leases.Revoke(bound, l.id)
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return nil
	}
	return l.journal.wrap(ctx, op, err)
}
