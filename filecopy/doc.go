// Package filecopy is the contract for bringing a tree of files whole from one store to another: what a store must
// guarantee, what a mover is asked for, and what it answers. It must not know any particular store or mover, nor when
// or why a copy runs; a workload does.
//
// The words. A *store* is one tree at one endpoint, below one root. A *view* is what it shows at a pin: at a snapshot,
// or live. A *set* is the state of a tree at one source time, with a manifest that names every entry and its CRC32C.
// A mover *stages* what changed where no reader looks, *verifies* it, *publishes* it file by file, each in one atomic
// step, applies deletes last and then replaces the manifest: from then on the set is the published one.
//
// Guarantees of every mover, which filecopytest shows with every store:
//
//   - At every moment a reader of the target sees each file whole, old or new: never partial, and never absent in
//     between. A rename is one step of the store; no rename passes through a third name.
//   - Nothing is visible before its CRC32C was compared with what the target holds: by a checksum that the target
//     computed over what it stored, by the target's own check at the commit, or by reading back.
//   - A crash at any point leaves the last published set (nothing of the new one is visible), or a ready set: all of it
//     is staged and verified at the target, and Finish rolls it forward without the source.
//   - Every file is read as it was listed. One that changed meanwhile is listed and read again, or the run fails.
//   - A delete is applied only from a complete diff or listing, last, within the guard's count and share, and into a
//     quarantine. A source that is missing, unmounted, replaced or emptied deletes nothing.
//   - What a store cannot hold is not lost: the manifest keeps it, and a copy back from that store restores it.
//
// A set as a whole is not published in one step: between the first file and the manifest a reader sees files of both
// sets. Standing says when that is so.
//
// The stores. Local trees, HDFS and ADLS Gen2 stage in a hidden directory beside the root and publish by a rename over
// the old file. S3 stages small files as objects beside the root, published by a copy within the server, and large ones as an
// uncommitted multipart upload, published by the commit; Azure Blob stages all as uncommitted blocks, published by committing their list.
//
// A *carrier* may bring the bytes in the mover's place, such as a job on a cluster: nothing else changes by it.
//
// Errors are *understudy.Error (US600 to US699) wrapping one of the Err values of this package where one applies; only
// the context's own errors are returned as they are.
package filecopy

import "errors"

// The errors that callers decide upon; others are failures of a store.
var (
	// ErrNotFound means that a path, a snapshot or a kept object does not exist.
	ErrNotFound = errors.New("filecopy: not found")
	// ErrChanged means that an entry is no longer what was listed: list it again.
	ErrChanged = errors.New("filecopy: no longer what was listed")
	// ErrCorrupt means that bytes differ from their checksum.
	ErrCorrupt = errors.New("filecopy: content differs from its checksum")
	// ErrUnsupported means that the store cannot do this; Capabilities says so beforehand.
	ErrUnsupported = errors.New("filecopy: not supported by this store")
	// ErrPinLost means that a snapshot is gone, or is not the one that it was; a full listing is needed.
	ErrPinLost = errors.New("filecopy: the snapshot is gone")
	// ErrGuard means that a safety check refused to delete or to go on.
	ErrGuard = errors.New("filecopy: refused by a guard")
	// ErrName means that the store cannot hold a name.
	ErrName = errors.New("filecopy: the store cannot hold this name")
	// ErrFull means that a disk, a quota or another bound of the store is used up. Full says which, where the store does.
	ErrFull = errors.New("filecopy: the store is full")
	// ErrBusy means that the store asks for fewer requests: the mover lowers its concurrency and tries again.
	ErrBusy = errors.New("filecopy: the store asks for fewer requests")
	// ErrStranger means that an answer bears no sign of the store itself, beside what it says: what stands between may have given it.
	ErrStranger = errors.New("filecopy: the answer bears no sign of the store")
	// ErrNothingReady means that there is no ready set to finish.
	ErrNothingReady = errors.New("filecopy: no set is ready")
)

// Full is a bound that is used up, with what raises it. It is found by errors.As, and is ErrFull.
type Full struct {
	// Bound ends a sentence that begins with what failed, and Fix begins one that says what a person does.
	Bound, Fix string
}

// Error says which bound it is.
func (f *Full) Error() string { return "filecopy: " + f.Bound }

// Unwrap gives ErrFull.
func (f *Full) Unwrap() error { return ErrFull }
