package hdfs

import (
	"net"
	"strconv"
	"time"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// FileType says what a path is.
type FileType int

// The types of paths (HdfsFileStatusProto.FileType).
const (
	TypeDirectory FileType = 1
	TypeFile      FileType = 2
	TypeSymlink   FileType = 3
)

// FileInfo is what the NameNode keeps of one path.
type FileInfo struct {
	// Path is the full path. Name is its last element; both are bytes as the NameNode gave them, not always UTF-8.
	Path, Name string
	Type       FileType
	// Length is in bytes; 0 for folders.
	Length int64
	// Mode holds the nine permission bits and the sticky bit (01000).
	Mode         uint16
	Owner, Group string
	// ModTime and AccessTime are in milliseconds. AccessTime is only as exact as dfs.namenode.accesstime.precision; folders have none.
	ModTime, AccessTime time.Time
	// Symlink is the target of a symbolic link.
	Symlink string
	// Replication and BlockSize are of files.
	Replication int
	BlockSize   int64
	// ID is the number of the inode.
	ID uint64
	// Children counts the entries of a folder; -1 where the server does not say.
	Children int
	// StoragePolicy is the number of the policy set here; 0 is none.
	StoragePolicy int
	// HasACL says that there are entries beyond the nine bits. Encrypted: in an encryption zone. Snapshottable: a folder that may have snapshots.
	HasACL, Encrypted, Snapshottable bool
	// ErasureCoding is the policy of an erasure-coded file, or of a folder whose new files become so; nil for replicated ones.
	ErasureCoding *ErasurePolicy
	// Blocks is where the data lies, when it was asked for.
	Blocks *Blocks
}

// IsDir says whether the path is a folder.
func (f *FileInfo) IsDir() bool { return f.Type == TypeDirectory }

// Blocks is where the data of one file lies.
type Blocks struct {
	// Length is the length of the file, of what is complete or was made visible by its writer.
	Length int64
	// List holds the blocks in the order of the file.
	List []Block
	// UnderConstruction says that somebody is writing the file, or died while doing so.
	UnderConstruction bool
	// Encrypted says that the data is of no use without keys.
	Encrypted bool
	// ErasureCoding is the policy of an erasure-coded file; nil for replicated ones.
	ErasureCoding *ErasurePolicy
	// last is the last block as its writer sees it.
	last *Block
}

// Block is one block of a file, or one block group of an erasure-coded one.
type Block struct {
	// Pool, ID and Generation name the block.
	Pool       string
	ID         uint64
	Generation uint64
	// Length is in bytes, Offset is where the block begins in the file.
	Length, Offset int64
	// Corrupt says that no replica is good.
	Corrupt bool
	// Replicas are the DataNodes that hold it, nearest first. In a block group each holds another part, named by its Index.
	Replicas []Replica
	token    token
}

// Replica is one copy of a block, or one part of a block group.
type Replica struct {
	Node *DataNode
	// StorageID names the volume, StorageType its kind (1 disk, 2 SSD, 3 archive, 4 memory).
	StorageID   string
	StorageType int
	// Index is the part of the block group that lies here: first the data units, then parity. 0 for replicated blocks.
	Index int
	token token
}

// DataNode is one server that holds blocks.
type DataNode struct {
	IP, Host, UUID string
	// Port is where data flows, InfoPort and InfoSecurePort serve the status page, IPCPort remote calls.
	Port, InfoPort, InfoSecurePort, IPCPort int
	// Rack is the place in the network topology.
	Rack string
	// Capacity, Used, Remaining and NonDFSUsed are in bytes. Reports fill them; those of block locations may be old.
	Capacity, Used, Remaining, NonDFSUsed int64
	// LastUpdate is the last heartbeat that the NameNode saw.
	LastUpdate time.Time
	// Transfers counts the transfers that run there.
	Transfers int
	// State is 0 in service, 1 being decommissioned, 2 decommissioned, 3 entering maintenance, 4 in maintenance.
	State int
}

// Address is host:port of the data port, by the address that the DataNode registered with.
func (d *DataNode) Address() string { return net.JoinHostPort(d.IP, strconv.Itoa(d.Port)) }

// HostAddress is host:port by name.
func (d *DataNode) HostAddress() string { return net.JoinHostPort(d.Host, strconv.Itoa(d.Port)) }

// ErasurePolicy is how files are cut and protected by erasure coding.
type ErasurePolicy struct {
	Name, Codec string
	// Data and Parity count the units of a stripe; CellSize is the length of a unit in bytes.
	Data, Parity int
	CellSize     int64
	// ID is the number of the policy; State is 1 disabled, 2 enabled, 3 removed.
	ID, State int
	// raw is the policy as it came, for DataNodes that need it back.
	raw []byte
}

// token lets its bearer at a block. It goes back as it came.
type token struct {
	identifier, password []byte
	kind, service        string
}

func readToken(d *proto.Decoder) token {
	var t token
	for d.Next() {
		switch d.Number() {
		case 1:
			t.identifier = d.Bytes()
		case 2:
			t.password = d.Bytes()
		case 3:
			t.kind = d.String()
		case 4:
			t.service = d.String()
		}
	}
	return t
}

// encode gives the token as it came; its fields are required even when empty.
func (t token) encode() proto.Message {
	return proto.Message(nil).Bytes(1, t.identifier).Bytes(2, t.password).String(3, t.kind).String(4, t.service)
}

// encode gives the block as ExtendedBlockProto, with the given length.
func (b *Block) encode(generation uint64, length int64) proto.Message {
	return proto.Message(make([]byte, 0, 96)).String(1, b.Pool).Uint(2, b.ID).Uint(3, generation).Uint(4, uint64(length))
}

// encodeID gives the DataNode as DatanodeIDProto.
func (d *DataNode) encodeID() proto.Message {
	return proto.Message(make([]byte, 0, 128)).String(1, d.IP).String(2, d.Host).String(3, d.UUID).
		Uint(4, uint64(d.Port)).Uint(5, uint64(d.InfoPort)).Uint(6, uint64(d.IPCPort)).Uint(7, uint64(d.InfoSecurePort))
}

// encode gives the DataNode as DatanodeInfoProto; nobody looks at more than who it is and where.
func (d *DataNode) encode() proto.Message {
	m := proto.Message(make([]byte, 0, 160)).Bytes(1, d.encodeID())
	if d.Rack != "" {
		m = m.String(8, d.Rack)
	}
	return m
}

// millis gives a time on the wire.
func millis(v int64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMilli(v)
}
