package filecopy

import (
	"context"
	"io"
	"strings"
	"time"
)

// Target is a store that can be written. Nothing but Publish, MakeDirectory, MakeLink, SetAttributes, Move and Retire changes what
// a reader of the tree sees. Each of these is one atomic step for a reader and harmless to repeat; after an error it has
// happened or not, never in part. All of them are durable once a later Keep returned nil.
type Target interface {
	Store
	Stager
	Tree
	Keeper
}

// Stager takes the bytes of one file where no reader looks.
type Stager interface {
	// Begin makes the place for one file and gives its handle, which is all that is needed to go on after a crash, in any
	// process. The lot (of the characters of kept names) holds all that one run stages; "lot/plan" lies in "lot". The entry's path, size
	// and attributes say what is coming.
	Begin(ctx context.Context, lot string, e Entry) (Handle, error)
	// Write writes one part, which is durable when it returned nil. It may be repeated, and then replaces. Parts of one file may be
	// written concurrently unless Capabilities.OrderedParts. ErrNotFound when the staged file is gone: begin again.
	Write(ctx context.Context, h Handle, p Part, r io.Reader) error
	// Seal ends the writing once all parts are there, and gives what is proven about them. sum is what was read at the source. It is
	// harmless to repeat. A wrong length or, with a server's proof, a wrong checksum gives ErrCorrupt.
	Seal(ctx context.Context, h Handle, e Entry, sum Checksum) (Sealed, error)
	// ReadSealed reads a sealed file back from what the store keeps; ErrUnsupported with ProofAtCommit, and where it is staged in a way that
	// cannot be read. ErrCorrupt when the store finds by itself that it has rotted. The reader may be Flawed.
	ReadSealed(ctx context.Context, s Sealed) (io.ReadCloser, error)
	// Publish makes a sealed file visible at e.Path with e's attributes, replacing a file that stands there, in one step. The
	// directory above must exist. Repeated after it happened, it finds that out by s.Identity. It gives the entry's Version at the
	// target from now on. ErrCorrupt when the target's check at the commit fails; ErrNotFound when neither the staged file nor
	// its published form is there.
	Publish(ctx context.Context, s Sealed, e Entry) (version string, err error)
	// Discard removes everything that is staged in a lot and in those within it, also what nobody has a handle of; an absent lot is no error.
	Discard(ctx context.Context, lot string) error
}

// Rescuer is a store at which a sealed file can be taken over from a process that was lost, and may still have requests on their way.
type Rescuer interface {
	// Rescue takes a sealed file into another lot in one step, under a handle that nobody else has: whatever comes late for the old handle,
	// or for the old lot, does not reach it. It is durable when it returned nil. The file is proven by the Seal that follows, which gives the Identity
	// that it had. The entry says what the file will be now. At the target of an assembly the file may go right where its path is in the
	// tree. ErrNotFound when nothing is staged under the handle, or its place is taken.
	Rescue(ctx context.Context, lot string, s Sealed, e Entry) (Handle, error)
}

// Flawed is a reader of a store that keeps replicas. It reads on from good ones, or gives ErrCorrupt.
type Flawed interface {
	// Flaws says, once the reader is closed, how many bad replicas it met and told the store of.
	Flaws() int
}

// Legible is a target that usually stages some files where nobody can read them, such as the parts of an open upload.
type Legible interface {
	// Legible gives the same target, which stages every file so that ReadSealed reads it. The handles of one are good for the other.
	Legible() Target
}

// Giver is a target at which it depends on our rights to whom entries can be given.
type Giver interface {
	// Gives tries whether entries can be given to an owner and a group; of an empty name nothing is wanted. fs.ErrPermission when not. Readers
	// of the tree see nothing of it.
	Gives(ctx context.Context, owner, group string) error
}

// Holder is a target that may hold directories in their places, as HDFS does with those of which somebody took snapshots: Move and Retire fail for
// one, and for what lies above it.
type Holder interface {
	// Held looks once, and gives what says of a path why neither would succeed; nil when nothing of the tree is held, as far as we are let see.
	Held(ctx context.Context) (func(Path) error, error)
}

// Handle names one staged file: a path in the staging directory, an upload id. It is opaque and at most 1 KiB.
type Handle string

// Part is one piece of a file.
type Part struct {
	// Number counts from zero; Offset is Number times the part size.
	Number int
	Offset int64
	Size   int64
	// Sum is the checksum of the part, where it is known before the part is sent; else unknown.
	Sum Checksum
}

// Proof says how it is known that a staged file holds what was read.
type Proof uint8

// The proofs.
const (
	// ProofNone means that the mover must read the sealed file back.
	ProofNone Proof = iota
	// ProofServer means that the store computed Sealed.Sum over what it holds.
	ProofServer
	// ProofAtCommit means that the store compares at Publish, and refuses with ErrCorrupt.
	ProofAtCommit
)

// Sealed is a staged file that is complete.
type Sealed struct {
	Handle Handle
	// Identity finds the file again after it was published: inode or file id, or a mark in the object's metadata.
	Identity string
	Proof    Proof
	// Sum is the server's, with ProofServer; else the one that Publish will insist on.
	Sum Checksum
}

// Tree changes the visible tree, one entry at a time.
type Tree interface {
	// MakeDirectory makes a directory with its attributes, or sets them where it exists; the one above must exist. A file in its place
	// is ErrChanged. A store without directories does nothing.
	MakeDirectory(ctx context.Context, e Entry) error
	// MakeLink makes a symlink, replacing a file or symlink in one step; a store without symlinks does nothing.
	MakeLink(ctx context.Context, e Entry) error
	// SetAttributes sets the given fields of an entry that exists, as far as the store holds them. A link is not followed.
	SetAttributes(ctx context.Context, p Path, a Attributes, f Fields) error
	// Move renames an entry, with all below it, in one step. ErrNotFound when from is not there, ErrChanged when to is.
	// ErrUnsupported without RenameOver.
	Move(ctx context.Context, from, to Path) error
	// Retire takes an entry, with all below it, out of the tree into the quarantine of the given name, under its path, from where a
	// person can take it back. With RenameOver that is one step. An absent entry is no error.
	Retire(ctx context.Context, p Path, quarantine string) error
	// Quarantines lists the quarantines; with a moment, it first removes, for good, those made before it.
	Quarantines(ctx context.Context, removeBefore time.Time) ([]Quarantine, error)
}

// Quarantine is where the deletes of one run went.
type Quarantine struct {
	// Name begins with the UTC time of the run, as in "20260102T150405Z-7".
	Name string
	Made time.Time
}

// quarantineTime is how the name of a quarantine begins.
const quarantineTime = "20060102T150405Z"

// QuarantineName names the quarantine of a run that began at a time.
func QuarantineName(began time.Time, run string) string {
	return began.UTC().Format(quarantineTime) + "-" + run
}

// QuarantineMade gives the time with which the name of a quarantine begins; an error for other names.
func QuarantineMade(name string) (time.Time, error) {
	at, _, _ := strings.Cut(name, "-")
	return time.Parse(quarantineTime, at)
}

// Keeper keeps small objects of the mover beside the tree, out of sight of its readers: manifests, and what is ready. Names are
// slash-separated elements of ASCII letters, digits, '.', '_' and '-'.
type Keeper interface {
	// Keep stores an object, replacing one of the name in one step; it is durable when it returned nil.
	Keep(ctx context.Context, name string, r io.Reader) error
	// Kept reads an object; ErrNotFound.
	Kept(ctx context.Context, name string) (io.ReadCloser, error)
	// KeptNames lists the objects whose names begin with prefix, sorted.
	KeptNames(ctx context.Context, prefix string) ([]string, error)
	// Forget removes an object; an absent one is no error.
	Forget(ctx context.Context, name string) error
}

// Sweeper is a Keeper that has its objects in directories, and leaves an empty one where a process is killed in the middle of Forget, and half an
// object under a name of its own where it is killed in the middle of Keep.
type Sweeper interface {
	// Sweep removes the directories below a name in which there is no object, and half objects to which nobody comes back: Left. An absent name is no
	// error. Nobody may keep anything there meanwhile; who does nevertheless, such as a member that lost its lease, gets an error for it, or keeps it whole.
	Sweep(ctx context.Context, name string) error
}

// HalfKept begins the names of objects that are not whole yet.
const HalfKept = ".keep-"

// Left says whether a name is that of a half object which was last written to so long ago that its writer was killed: to keep one takes seconds, and
// an hour is more than clocks may differ.
func Left(name string, written time.Time) bool {
	return strings.HasPrefix(name, HalfKept) && time.Since(written) > time.Hour
}

// Assembler is a store that can put a new directory together where no reader looks, and show it with all that it holds in one step.
type Assembler interface {
	// Assembly gives the target with a tree of the lot's own, or with one of several of a lot, named as in "lot/tree": what is put there, under
	// the paths that it will have, no reader sees. Handles and all else are the target's; Discard of the lot removes its trees. Begin, at
	// that target, may stage a small file right where its path is in the tree, so that Publish there need not move it. Whatever stands there,
	// Publish of another staged file at the path replaces it; and as it may be the rest of a writing that was cut off, Write never does.
	Assembly(lot string) (Target, error)
	// Reveal takes a directory out of a lot's assembly to its place in the tree, in one step. ErrNotFound when the assembly has none,
	// ErrChanged when something stands at its place.
	Reveal(ctx context.Context, lot string, p Path) error
}
