// Package journal is the contract for what the control plane remembers: guarded transactions, linearizable
// reads, watches and leadership with a lease. It must not know what the entries mean; control does.
//
// Guarantees, which every implementation shows in journaltest:
//
//   - Commit is atomic and durable: after a nil error its writes survive a crash of the process and of the
//     machine's power; after an error other than ErrConflict or ErrDeposed it may or may not have happened, and
//     never in part.
//   - Commit under a Leadership fails with ErrDeposed once another leader has been elected, even if this one
//     has not noticed.
//   - Get and List are linearizable: they see every commit that returned before they were called.
//   - Watch delivers every change after its revision, in order, without gaps, or ends with an error.
//   - Leadership.Deadline lies before the moment at which another leader can be elected, measured from the
//     sending of the newest renewal, on a clock that does not stop while the process is paused.
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
	// ErrCompacted means that a watch asked for changes that are no longer kept: list again.
	ErrCompacted = errors.New("journal: the changes asked for are no longer kept")
	// ErrLocked means that another process uses the same data directory.
	ErrLocked = errors.New("journal: the data directory is in use by another process")
)

// Revision orders all commits of a journal.
type Revision int64

// Entry is one key with its value. Keys are slash-separated paths such as "/role/contoso/orders".
type Entry struct {
	Key   string
	Value []byte
	// Version is the revision of the newest change of this key; it is what Guard compares.
	Version Revision
}

// Guard holds while the key's version is the given one; zero means that the key does not exist.
type Guard struct {
	Key     string
	Version Revision
}

// Write puts a value, or deletes the key when Value is nil.
type Write struct {
	Key   string
	Value []byte
}

// Txn is a guarded transaction: all writes, if all guards hold and the leader still leads; else none.
type Txn struct {
	// Leader, when set, must still be the leader.
	Leader Leadership
	Guards []Guard
	Writes []Write
}

// Event is one change. Deleted entries have a nil value.
type Event struct {
	Entry
	Revision Revision
}

// Leadership is the right to lead, held under a lease that renews itself in the background until Resign.
type Leadership interface {
	// Term grows with every new leader of the same name.
	Term() int64
	// Deadline is the moment after which the holder must not cause effects; it moves forward with renewals.
	Deadline() time.Time
	// Lost is closed when the leadership has certainly ended or its deadline has passed without renewal.
	Lost() <-chan struct{}
	// Resign gives the leadership up at once, and stops renewing.
	Resign(ctx context.Context) error
}

// Journal stores small state. Its values are at most 1 MiB.
type Journal interface {
	// Get reads one key; an absent key gives an Entry with Version zero and no error.
	Get(ctx context.Context, key string) (Entry, error)
	// List reads all keys with the prefix, in key order, at one revision, which it also returns.
	List(ctx context.Context, prefix string) ([]Entry, Revision, error)
	// Commit applies a transaction and returns its revision.
	Commit(ctx context.Context, t Txn) (Revision, error)
	// Watch calls each for every change under the prefix after the revision, in order, until ctx ends or each
	// returns an error, which it returns.
	Watch(ctx context.Context, prefix string, after Revision, each func(Event) error) error
	// Lead waits until it becomes the leader of name, with a lease of the given length.
	Lead(ctx context.Context, name, holder string, lease time.Duration) (Leadership, error)
	// Close releases the store.
	Close() error
}
