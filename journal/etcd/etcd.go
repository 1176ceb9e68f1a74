// Package etcd keeps the journal in etcd: embedded in this process without any network listener, or in an etcd of
// the customer's own. It must not know what the entries mean, and it starts no work of its own but renewing the
// leases it was asked for.
//
// A leadership is a key that lives as long as a lease, and its term is the revision at which the key was created.
// Every commit under a leadership compares that revision inside etcd's own transaction, so a leader that was paused
// past its lease is refused without any clock being asked.
package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/namespace"

	"github.com/understudy-dr/understudy/journal"
)

// Journal is a journal in etcd, made by OpenEmbedded or OpenEndpoints.
type Journal struct {
	client *clientv3.Client
	// kv, leases and watcher are the client's, under the prefix.
	kv      clientv3.KV
	leases  clientv3.Lease
	watcher clientv3.Watcher
	// remote says that etcd is reached over the network, through whichever of its members answers.
	remote bool
	// timeout bounds every request to a remote etcd, whose client would wait for it to come back as long as it is let.
	timeout time.Duration
	// room makes room in the etcd of this process; nil for a remote one, which belongs to somebody else.
	room *room
	// release frees what Open made besides the client.
	release func()

	// ctx ends with closed or with the failure of the store; its cause is what calls under way return.
	ctx    context.Context
	cancel context.CancelCauseFunc

	// mu orders the beginning of calls and renewals before Close, which waits for them.
	mu   sync.Mutex
	over bool
	work sync.WaitGroup
	once sync.Once
}

var _ journal.Journal = (*Journal)(nil)

// newJournal puts a journal on a client. An empty prefix uses the whole key space.
func newJournal(client *clientv3.Client, prefix string, release func()) *Journal {
	j := &Journal{client: client, kv: client.KV, leases: client.Lease, watcher: client.Watcher, release: release}
	if prefix != "" {
		j.kv = namespace.NewKV(client.KV, prefix)
		j.watcher = namespace.NewWatcher(client.Watcher, prefix)
		j.leases = namespace.NewLease(client.Lease, prefix)
	}
	j.ctx, j.cancel = context.WithCancelCause(context.Background())
	return j
}

// begin counts a call and binds its context to the life of the journal; done must be called when it is nil.
func (j *Journal) begin(ctx context.Context, op string) (bound context.Context, done func(), err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.over {
		return nil, nil, journal.Closed(op)
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	j.work.Add(1)
	bound, cancel := context.WithCancel(ctx)
	unbind := context.AfterFunc(j.ctx, cancel)
	return bound, func() { unbind(); cancel(); j.work.Done() }, nil
}

// wrap gives the error of a call as the contract wants it: the caller's own end, the journal's end, or etcd's answer.
func (j *Journal) wrap(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	if cause := context.Cause(j.ctx); cause != nil {
		return ending(op, cause)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		// Ours, not the caller's: it must not be taken for the caller's own.
		err = fmt.Errorf("no answer within %v", j.timeout)
	}
	return classify(op, err, j.remote)
}

// request bounds one request by the timeout; etcd in this process bounds its own.
func (j *Journal) request(ctx context.Context) (context.Context, context.CancelFunc) {
	if !j.remote {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, j.timeout)
}

// Get reads one key.
func (j *Journal) Get(ctx context.Context, key string) (journal.Entry, error) {
	const op = "journal.get"
	if err := journal.CheckKey(key); err != nil {
		return journal.Entry{}, err
	}
	bound, done, err := j.begin(ctx, op)
	if err != nil {
		return journal.Entry{}, err
	}
	defer done()
	bound, cancel := j.request(bound)
	defer cancel()
	r, err := j.kv.Get(bound, key)
	if err != nil {
		return journal.Entry{}, j.wrap(ctx, op, err)
	}
	if len(r.Kvs) == 0 {
		return journal.Entry{Key: key}, nil
	}
	return entry(r.Kvs[0]), nil
}

// List reads all keys with the prefix, in key order, at one revision.
func (j *Journal) List(ctx context.Context, prefix string) ([]journal.Entry, journal.Revision, error) {
	const op = "journal.list"
	bound, done, err := j.begin(ctx, op)
	if err != nil {
		return nil, 0, err
	}
	defer done()
	bound, cancel := j.request(bound)
	defer cancel()
	r, err := j.kv.Get(bound, prefix, clientv3.WithPrefix())
	if err != nil {
		return nil, 0, j.wrap(ctx, op, err)
	}
	entries := make([]journal.Entry, 0, len(r.Kvs))
	for _, kv := range r.Kvs {
		entries = append(entries, entry(kv))
	}
	return entries, journal.Revision(r.Header.Revision), nil
}

// Commit applies a transaction.
func (j *Journal) Commit(ctx context.Context, t journal.Txn) (journal.Revision, error) {
	const op = "journal.commit"
	if err := t.Check(); err != nil {
		return 0, err
	}
	leader, err := own(t.Leader)
	if err != nil {
		return 0, err
	}
	bound, done, err := j.begin(ctx, op)
	if err != nil {
		return 0, err
	}
	defer done()
	ifs, thens, elses := operations(t, leader)
	bound, cancel := j.request(bound)
	defer cancel()
	var r *clientv3.TxnResponse
	err = j.roomy(bound, func() (err error) {
		r, err = j.kv.Txn(bound).If(ifs...).Then(thens...).Else(elses...).Commit()
		return err
	})
	if err != nil {
		return 0, j.wrap(ctx, op, err)
	}
	if !r.Succeeded {
		return 0, refusal(t, leader, r)
	}
	return journal.Revision(r.Header.Revision), nil
}

// own gives the leadership of a transaction as ours; nil when it has none.
func own(l journal.Leadership) (*leadership, error) {
	if l == nil {
		return nil, nil
	}
	mine, ok := l.(*leadership)
	if !ok {
		return nil, journal.Deposed("unknown", l.Term())
	}
	return mine, nil
}

// operations turns a transaction into etcd's. Its else branch reads what was compared, so that the answer says which
// comparison failed.
func operations(t journal.Txn, leader *leadership) (ifs []clientv3.Cmp, thens, elses []clientv3.Op) {
	if leader != nil {
		ifs = append(ifs, clientv3.Compare(clientv3.CreateRevision(leader.key), "=", leader.term))
		elses = append(elses, clientv3.OpGet(leader.key, clientv3.WithKeysOnly()))
	}
	for _, g := range t.Guards {
		ifs = append(ifs, clientv3.Compare(clientv3.ModRevision(g.Key), "=", int64(g.Version)))
		elses = append(elses, clientv3.OpGet(g.Key, clientv3.WithKeysOnly()))
	}
	for _, w := range t.Writes {
		if w.Value == nil {
			thens = append(thens, clientv3.OpDelete(w.Key))
			continue
		}
		thens = append(thens, clientv3.OpPut(w.Key, string(w.Value)))
	}
	return ifs, thens, elses
}

// refusal says which comparison of a transaction failed.
func refusal(t journal.Txn, leader *leadership, r *clientv3.TxnResponse) error {
	read := func(i int) mvccpb.KeyValue {
		if kvs := r.Responses[i].GetResponseRange().Kvs; len(kvs) > 0 {
			return mvccpb.KeyValue{CreateRevision: kvs[0].CreateRevision, ModRevision: kvs[0].ModRevision}
		}
		return mvccpb.KeyValue{}
	}
	first := 0
	if leader != nil {
		if read(0).CreateRevision != leader.term {
			leader.lose()
			return journal.Deposed(leader.name, leader.term)
		}
		first = 1
	}
	for i, g := range t.Guards {
		if read(first+i).ModRevision != int64(g.Version) {
			return journal.Conflict(g.Key)
		}
	}
	return classify("journal.commit", errors.New("a transaction was refused although all its guards hold"), false)
}

// Watch calls each for every change under the prefix after the revision.
func (j *Journal) Watch(ctx context.Context, prefix string, after journal.Revision, each func(journal.Event) error) error {
	const op = "journal.watch"
	bound, done, err := j.begin(ctx, op)
	if err != nil {
		return err
	}
	defer done()
	// A revision from the future would wait silently for changes to come; only a linearizable read can tell.
	asking, cancel := j.request(bound)
	now, err := j.kv.Get(asking, journal.LeaderPrefix, clientv3.WithCountOnly())
	cancel()
	if err != nil {
		return j.wrap(ctx, op, err)
	}
	if last := journal.Revision(now.Header.Revision); after > last {
		return journal.Compacted(after, 0, last)
	}
	if j.remote {
		// A member cut off from the others would stay silent as well.
		bound = clientv3.WithRequireLeader(bound)
	}
	responses := j.watcher.Watch(bound, prefix, clientv3.WithPrefix(), clientv3.WithRev(int64(after)+1))
	for r := range responses {
		if err := watchError(after, r); err != nil {
			return j.wrapWatch(ctx, err)
		}
		if err := deliver(bound, r.Events, each); err != nil {
			return j.wrapWatch(ctx, err)
		}
	}
	return j.wrap(ctx, op, errors.New("etcd ended the watch"))
}

// wrapWatch leaves the errors of the watcher's own function as they are.
func (j *Journal) wrapWatch(ctx context.Context, err error) error {
	var own calleeError
	if errors.As(err, &own) {
		return own.error
	}
	if errors.Is(err, journal.ErrCompacted) {
		return err
	}
	return j.wrap(ctx, "journal.watch", err)
}

// calleeError marks an error of the function that was given to Watch.
type calleeError struct{ error }

func watchError(after journal.Revision, r clientv3.WatchResponse) error {
	err := r.Err()
	if errors.Is(err, rpctypes.ErrCompacted) {
		return journal.Compacted(after, journal.Revision(r.CompactRevision), journal.Revision(r.Header.Revision))
	}
	return err
}

func deliver(ctx context.Context, events []*clientv3.Event, each func(journal.Event) error) error {
	for _, e := range events {
		if err := ctx.Err(); err != nil {
			return err
		}
		change := journal.Event{Entry: entry(e.Kv), Revision: journal.Revision(e.Kv.ModRevision)}
		if e.Type == clientv3.EventTypeDelete {
			change.Value = nil
		}
		if err := each(change); err != nil {
			return calleeError{err}
		}
	}
	return nil
}

// entry gives etcd's key and value as the contract wants them: an empty value is not nil.
func entry(kv *mvccpb.KeyValue) journal.Entry {
	value := kv.Value
	if value == nil {
		value = []byte{}
	}
	return journal.Entry{Key: string(kv.Key), Value: value, Version: journal.Revision(kv.ModRevision)}
}

// Close ends all calls, waits for them, and releases etcd.
func (j *Journal) Close() error {
	j.mu.Lock()
	j.over = true
	j.mu.Unlock()
	j.cancel(journal.ErrClosed)
	j.work.Wait()
	j.once.Do(func() {
		// The client's only error here is that its context has ended.
		_ = j.client.Close()
		j.release()
	})
	return nil
}
