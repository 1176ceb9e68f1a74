package filecopy

import "time"

// EntryKind says what an entry is.
type EntryKind uint8

// The kinds of entries. What is none of them (a device, a socket) is reported by a store's listing as an error.
const (
	// File holds bytes.
	File EntryKind = iota + 1
	// Directory holds entries.
	Directory
	// Symlink names another path, which nobody follows.
	Symlink
)

// String gives the kind in one word.
func (k EntryKind) String() string {
	switch k {
	case File:
		return "file"
	case Directory:
		return "directory"
	case Symlink:
		return "symlink"
	}
	return "unknown"
}

// Entry is one thing in a tree.
type Entry struct {
	Path Path
	Kind EntryKind
	// Size is the length in bytes of a file; zero for others.
	Size int64
	// Version is the store's own mark of this content, such as an ETag, or inode with change time, or file id with
	// modification time. As long as it is equal the bytes are; it is compared only within one store. Empty for directories.
	Version string
	// Sum is the checksum where the store gives it with the listing, for nothing.
	Sum Checksum
	// Building says that somebody still writes the file; a listing at a snapshot shows the length at the snapshot.
	Building bool
	Attributes
}

// Attributes is what a tree knows about an entry beside its bytes. A field that a store does not hold is zero there;
// Capabilities.Attributes says which those are.
type Attributes struct {
	Owner string
	Group string
	// Mode is the twelve permission bits (0o7777).
	Mode uint32
	// ACL holds the entries beyond owner, group and others, in the form of POSIX 1003.1e text, such as
	// "user:ada:r-x" and "default:group:etl:rwx", sorted; nil when there are none.
	ACL []string
	// Xattrs are sorted by name; names carry their namespace, such as "user.origin".
	Xattrs []Xattr
	// Modified and Accessed are milliseconds since 1970, UTC. Accessed is zero where it is not kept.
	Modified int64
	Accessed int64
	// Replication is the number of copies of each block, BlockSize the block size in bytes; zero where there is no such thing.
	Replication uint16
	BlockSize   int64
	// StoragePolicy is the name of the policy that applies to the entry, be it set there or above. Where it is set, an empty one means that
	// the entry has none of its own.
	StoragePolicy string
	// Link is what a symlink names.
	Link string
}

// Xattr is one extended attribute.
type Xattr struct {
	Name  string
	Value []byte
}

// ModTime gives the modification time.
func (a Attributes) ModTime() time.Time { return time.UnixMilli(a.Modified).UTC() }

// Fields is a set of fields of Attributes.
type Fields uint16

// The fields. Link belongs to the entry itself and has none.
const (
	FieldOwner Fields = 1 << iota
	FieldGroup
	FieldMode
	FieldACL
	FieldXattrs
	FieldModified
	FieldAccessed
	FieldReplication
	FieldBlockSize
	FieldStoragePolicy

	// AllFields is every field.
	AllFields Fields = 1<<iota - 1
)

// Has says whether all of g is in f.
func (f Fields) Has(g Fields) bool { return f&g == g }

// ChangeKind says what happened to a path between two pins.
type ChangeKind uint8

// The kinds of changes.
const (
	// Created means that the entry is new, with all that is below it; what is below is not named.
	Created ChangeKind = iota + 1
	// Modified means that bytes, attributes, or the list of entries of a directory changed.
	Modified
	// Deleted means that the entry is gone with all that was below it; what was below is not named.
	Deleted
	// Renamed means that the entry moved to Change.To with all that is below it.
	Renamed
)

// Change is one difference between two pins. A mover takes it as the place where to look, and looks: it never relies on
// the order of changes nor on their kind, but for Renamed, which spares a copy.
type Change struct {
	Kind ChangeKind
	// Path is the path in the older view; for Created in the newer.
	Path Path
	// To is the path in the newer view, for Renamed.
	To Path
}
