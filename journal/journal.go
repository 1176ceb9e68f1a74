// Package journal is the contract for what the control plane remembers: guarded transactions, linearizable
// reads, watches and leadership with a lease. It must not know what the entries mean; control does.
//
// Guarantees, which every implementation shows in journaltest:
//
//   - Commit is atomic and durable: after a nil error its writes survive a crash of the process and of the
//     machine's power; after an error other than ErrConflict, ErrDeposed or ErrInvalid it may or may not have
//     happened, and never in part.
//   - Commit under a Leadership fails with ErrDeposed once the leadership has ended, even if its holder has not
//     noticed; the store decides this, never a clock.
//   - Get and List are linearizable: they see every commit that returned before they were called.
//   - Watch delivers every change after its revision, in order, without gaps, or ends with an error. Changes of
//     one commit come in the order of its writes.
//   - At most one leadership of a name exists at a time. Leadership.Deadline lies before the moment at which
//     another leader can be elected without Resign, measured from the sending of the newest renewal, on a clock
//     that does not stop while the process is paused.
//
// Every error is an *understudy.Error (US300 to US399) that wraps one of the Err values of this package where one
// applies; only the context's own errors are returned as they are.
package journal

import (
	"context"
	"errors"
	"time"
)

// The errors that callers decide upon; others are failures of the store.
var (
	// ErrConflict means that a guard did not hold: read again and decide again.
	ErrConflict = errors.New("journal: a guard did not hold")
	// ErrDeposed means that another leader has been elected.
	ErrDeposed = errors.New("journal: no longer the leader")
	// ErrClosed means that the journal was closed.
	ErrClosed = errors.New("journal: closed")
	// ErrStopped means that the store met an error from which it does not go on, such as a full disk: it must be opened
	// anew when the cause is gone.
	ErrStopped = errors.New("journal: it has stopped")
	// ErrCompacted means that a watch asked for changes that are no longer kept: list again.
	ErrCompacted = errors.New("journal: the changes asked for are no longer kept")
	// ErrLocked means that another process uses the same data directory.
	ErrLocked = errors.New("journal: the data directory is in use by another process")
	// ErrInvalid means that a transaction breaks a limit of the contract; nothing was written.
	ErrInvalid = errors.New("journal: not a valid transaction")
)

// Limits of one transaction; every implementation refuses what exceeds them with ErrInvalid. With them, guards, writes
// and the leader's guard fit an etcd with its own defaults: 128 operations (--max-txn-ops) and 1.5 MiB
// (--max-request-bytes) a request. What is larger, the caller splits.
const (
	// MaxValue is the size of the largest value, and of all values of one transaction together, in bytes.
	MaxValue = 1 << 20
	// MaxKey is the length of the longest key in bytes.
	MaxKey = 1 << 10
	// MaxOps is the highest number of guards, and of writes, of one transaction.
	MaxOps = 100
)

// LeaderPrefix begins the keys under which leaderships show themselves; Commit refuses to write them.
const LeaderPrefix = "/leader/"

// LeaderKey is the key of the leadership of a name. While somebody leads, its value is the holder and its version
// the term, so that Get says who leads and Watch says when that changes.
func LeaderKey(name string) string { return LeaderPrefix + name }

// Revision orders all commits of a journal.
type Revision int64

// Entry is one key with its value. Keys are slash-separated paths such as "/role/contoso/orders"; any byte may
// occur in them, and they sort by bytes.
type Entry struct {
	Key   string
	Value []byte
	// Version is the revision of the newest change of this key; it is what Guard compares.
	Version Revision
}

// Guard holds while the key's version is the given one; zero means that the key does not exist. A key that was
// deleted and written again has another version than before.
type Guard struct {
	Key     string
	Version Revision
}

// Write puts a value, or deletes the key when Value is nil; an empty value that is not nil is a value. Deleting an
// absent key changes nothing.
type Write struct {
	Key   string
	Value []byte
}

// Txn is a guarded transaction: all writes, if all guards hold and the leader still leads; else none. No key may be
// written twice. Without writes it only asks whether the guards hold.
type Txn struct {
	// Leader, when set, must still be the leader; it must come from the same Journal or another handle of its store.
	Leader Leadership
	Guards []Guard
	Writes []Write
}

// Event is one change. Deleted entries have a nil value, and the revision of the deletion as their version.
type Event struct {
	Entry
	Revision Revision
}

// Leadership is the right to lead, held under a lease that renews itself in the background until Resign.
type Leadership interface {
	// Term grows with every new leader of the same name; it is the version of LeaderKey(name).
	Term() int64
	// Deadline is the moment after which the holder must not cause effects; it moves forward with renewals.
	Deadline() time.Time
	// Lost is closed when the leadership has certainly ended, its deadline has passed without renewal, or the
	// journal was closed. A leadership that was lost never comes back.
	Lost() <-chan struct{}
	// Resign gives the leadership up, so that the next Lead need not wait, and stops renewing. The holder must have
	// stopped all effects before. Resigning twice, or after the loss, does nothing. After an error renewing has
	// stopped all the same, and the lease runs out by itself.
	Resign(ctx context.Context) error
}

// Journal stores small state. It is safe for concurrent use.
type Journal interface {
	// Get reads one key; an absent key gives an Entry with Version zero and no error.
	Get(ctx context.Context, key string) (Entry, error)
	// List reads all keys with the prefix, in key order, at one revision, which it also returns: a Watch after it
	// misses nothing. The empty prefix lists everything.
	List(ctx context.Context, prefix string) ([]Entry, Revision, error)
	// Commit applies a transaction and returns its revision; one that changes nothing returns the current revision.
	Commit(ctx context.Context, t Txn) (Revision, error)
	// Watch calls each for every change under the prefix after the revision, in order, until ctx ends or each
	// returns an error, which it returns. It fails with ErrCompacted where the changes are no longer kept, or where
	// the store has not come as far as the revision, as after a restore from a backup.
	Watch(ctx context.Context, prefix string, after Revision, each func(Event) error) error
	// Lead waits until it becomes the leader of name, with a lease of the given length, which a store may round up
	// to whole seconds; the deadline is always reckoned with the length asked for.
	Lead(ctx context.Context, name, holder string, lease time.Duration) (Leadership, error)
	// Close ends all calls with ErrClosed, waits for them, and releases the store. Leaderships that were not
	// resigned are lost to their holders at once, and to the store when their leases have run out.
	Close() error
}
