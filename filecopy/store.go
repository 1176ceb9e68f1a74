package filecopy

import (
	"context"
	"io"
	"time"
)

// Store is one tree at one endpoint. It is safe for concurrent use. Every call ends when ctx does.
type Store interface {
	// Describe says what the store is and can do, without asking it.
	Describe() Description
	// CheckName refuses a path that the store cannot hold, with ErrName. It asks nothing.
	CheckName(Path) error
	// Probe looks at the root. ErrNotFound when it is not there.
	Probe(ctx context.Context) (Root, error)
	// Open gives the tree at a pin; the zero pin is the live tree. ErrPinLost when the pin is gone. It must be closed.
	Open(ctx context.Context, at Pin) (View, error)
}

// Description is what a store says about itself.
type Description struct {
	// Kind is local, hdfs, s3, blob or adls.
	Kind string
	// Name is for people: endpoint and root.
	Name         string
	Capabilities Capabilities
}

// Capabilities is what a store can and cannot do. Movers and docs go by it.
type Capabilities struct {
	// Snapshots says that the store is a Snapshotter; Diff that it names the changes between two of its snapshots.
	Snapshots bool
	Diff      bool
	// DiffMisses are the fields whose changes alone the diff does not show, such as FieldModified|FieldAccessed on HDFS. A full
	// listing (Job.Relist) finds them.
	DiffMisses Fields
	// RenameOver says that Move replaces a file in one step, and moves a directory in one.
	RenameOver bool
	// Directories says that directories are entries of their own, also when empty; else the manifest keeps them.
	Directories bool
	// Symlinks says that the store holds symlinks; else the manifest keeps them.
	Symlinks bool
	// Attributes are the fields that the store holds and gives back as they were set.
	Attributes Fields
	// ServerSum says that the store computes the CRC32C over what it holds.
	ServerSum bool
	// Proof is how Seal proves what is staged.
	Proof Proof
	// OrderedParts says that the parts of one file must be written one after the other.
	OrderedParts bool
	// PartSize is the size of all parts of a file but the last, for a file of the given size; nil means one part.
	PartSize func(size int64) int64 `json:"-"`
}

// Root is what a store's root looks like now.
type Root struct {
	// Identity is equal as long as this is the same tree of the same store: device and inode, or cluster id and file id. When it
	// changes, the tree was replaced or is not mounted.
	Identity string
	// Now is the store's own clock at some moment between call and answer; ours where it tells none.
	Now time.Time
	// Free is the room left in bytes as the store tells it at once; negative when unknown. Quotas of HDFS are left out: a NameNode counts whole
	// directories to tell what is left of them.
	Free int64
}

// View is a tree as it stands at a pin. It is safe for concurrent use. A view of a snapshot never changes; a view of the live
// tree does, and says so by ErrChanged.
type View interface {
	// List gives every entry below dir, dir itself excluded, until found returns an error, which it returns. A nil error
	// means that the listing is complete. found is never called concurrently. The order is any. An entry that vanishes while
	// the live tree is listed is left out. ErrNotFound when dir is not there.
	List(ctx context.Context, dir Path, found func(Entry) error) error
	// Stat gives one entry, ErrNotFound when it is not there. The root is a Directory.
	Stat(ctx context.Context, p Path) (Entry, error)
	// Read reads a file from an offset. It gives the bytes of the version in e or ErrChanged, at the latest in place of io.EOF: who
	// reads to io.EOF has read what was listed. A store that checks its own checksums gives ErrCorrupt for bytes that fail.
	Read(ctx context.Context, e Entry, offset int64) (io.ReadCloser, error)
	// Sum gives the CRC32C that the store computes over what it holds; ErrUnsupported without ServerSum, ErrChanged as in Read.
	Sum(ctx context.Context, e Entry) (Checksum, error)
	// Close releases the view. The pin stays.
	Close() error
}

// Piecewise is a reader of a View that can give what follows in its own buffers, for a target that can send it on as it is.
type Piecewise interface {
	// Piece gives the next bytes, most of them at most and one at least. Errors are those of Read, and calls of both may be mixed.
	Piece(most int64) (Piece, error)
}

// Piece is a stretch of a file in a buffer of its reader.
type Piece interface {
	// Data is valid until Release.
	Data() []byte
	// Release gives the buffer back. A target may do so in a way of its own once it has taken the buffer over.
	Release()
}

// Pin names a snapshot. The zero pin is the live tree.
type Pin struct {
	// Name is the snapshot's.
	Name string `json:"name,omitempty"`
	// Identity is equal as long as it is the same snapshot: one that was deleted and made again under its name has another.
	Identity string `json:"identity,omitempty"`
	// Time is when it was made, by the source's clock.
	Time time.Time `json:"time,omitzero"`
}

// Builder is a store that knows which files somebody is writing now. On HDFS a snapshot does not hold such a file still, and later writes of the
// same writer are in no diff: who relies on diffs asks right after the snapshot is made, and looks at these files again next time.
type Builder interface {
	// Building gives each file below the root that is open for writing.
	Building(ctx context.Context, found func(Path) error) error
}

// Snapshotter is a store that can hold its tree still.
type Snapshotter interface {
	// Pin makes a snapshot; when one of the name exists, it gives that one.
	Pin(ctx context.Context, name string) (Pin, error)
	// Unpin removes a snapshot; removing an absent one is no error.
	Unpin(ctx context.Context, p Pin) error
	// Pins lists the snapshots of the root.
	Pins(ctx context.Context) ([]Pin, error)
	// Diff gives every change between two snapshots of the root; the zero pin as to is the live tree. A nil error means that it is
	// complete. ErrPinLost when one is gone.
	Diff(ctx context.Context, from, to Pin, found func(Change) error) error
}
