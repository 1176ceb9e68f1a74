package mem

import (
	"context"
	"sync"
	"time"

	"github.com/understudy-dr/understudy/journal"
)

// Journal is one handle of a Store, as one process holds it.
type Journal struct {
	store   *Store
	options Options

	// calls counts the calls under way; Close waits for them. mu orders their beginning before Close.
	mu     sync.Mutex
	calls  sync.WaitGroup
	over   bool
	closed chan struct{}
}

var _ journal.Journal = (*Journal)(nil)

// begin counts a call; each begin that returns nil needs a calls.Done.
func (j *Journal) begin(ctx context.Context, op string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.over {
		return journal.Closed(op)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	j.calls.Add(1)
	return nil
}

// Get reads one key.
func (j *Journal) Get(ctx context.Context, key string) (journal.Entry, error) {
	if err := journal.CheckKey(key); err != nil {
		return journal.Entry{}, err
	}
	if err := j.begin(ctx, "journal.get"); err != nil {
		return journal.Entry{}, err
	}
	defer j.calls.Done()
	return j.store.get(key), nil
}

// List reads all keys with the prefix.
func (j *Journal) List(ctx context.Context, prefix string) ([]journal.Entry, journal.Revision, error) {
	if err := j.begin(ctx, "journal.list"); err != nil {
		return nil, 0, err
	}
	defer j.calls.Done()
	entries, rev := j.store.list(prefix)
	return entries, rev, nil
}

// Commit applies a transaction, between the handle's hooks.
func (j *Journal) Commit(ctx context.Context, t journal.Txn) (journal.Revision, error) {
	if err := t.Check(); err != nil {
		return 0, err
	}
	if err := j.begin(ctx, "journal.commit"); err != nil {
		return 0, err
	}
	defer j.calls.Done()
	if before := j.options.BeforeCommit; before != nil {
		if err := before(t); err != nil {
			return 0, err
		}
	}
	rev, err := j.store.commit(t)
	if err != nil {
		return 0, err
	}
	if after := j.options.AfterCommit; after != nil {
		if err := after(t); err != nil {
			return 0, err
		}
	}
	return rev, nil
}

// Watch calls each for every change under the prefix after the revision.
func (j *Journal) Watch(ctx context.Context, prefix string, after journal.Revision, each func(journal.Event) error) error {
	const op = "journal.watch"
	if err := j.begin(ctx, op); err != nil {
		return err
	}
	defer j.calls.Done()
	for {
		events, reached, more, err := j.store.since(prefix, after)
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := each(e); err != nil {
				return err
			}
		}
		after = reached
		if err := j.wait(ctx, op, more); err != nil {
			return err
		}
	}
}

// Lead waits until it becomes the leader of name.
func (j *Journal) Lead(ctx context.Context, name, holder string, lease time.Duration) (journal.Leadership, error) {
	const op = "journal.lead"
	if err := journal.CheckLead(name, holder, lease); err != nil {
		return nil, err
	}
	if err := j.begin(ctx, op); err != nil {
		return nil, err
	}
	defer j.calls.Done()
	for {
		l, taken := j.store.elect(j, name, holder, lease)
		if l != nil {
			return l, nil
		}
		if err := j.wait(ctx, op, taken); err != nil {
			return nil, err
		}
	}
}

// Close ends the handle's calls and stops the renewals of its leaderships. The store stays. It waits for the calls
// under way, so a hook or a watcher's function must not call it.
func (j *Journal) Close() error {
	j.mu.Lock()
	first := !j.over
	j.over = true
	j.mu.Unlock()
	if first {
		close(j.closed)
	}
	j.calls.Wait()
	j.store.abandon(j)
	return nil
}
