package hdfs

import (
	"bytes"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// Bits of the mode that older servers use as flags (FsPermissionExtension), and the flags of newer ones (HdfsFileStatusProto.Flags).
const (
	modeBits      = 0o1777
	modeACL       = 1 << 12
	modeEncrypted = 1 << 13
	flagACL       = 1
	flagEncrypted = 2
	flagSnapshots = 8
)

// places reads messages with block locations. The same few DataNodes come with every block, so each is made only once.
type places struct {
	nodes map[string]*DataNode
}

func newPlaces() *places { return &places{nodes: map[string]*DataNode{}} }

// fileInfo reads HdfsFileStatusProto. The path stays to be filled in: the server gives only the name, and only in listings.
func (p *places) fileInfo(d *proto.Decoder) FileInfo {
	f := FileInfo{Children: -1}
	var flags uint64
	for d.Next() {
		switch d.Number() {
		case 1:
			f.Type = FileType(d.Uint())
		case 2:
			f.Name = d.String()
		case 3:
			f.Length = d.Int()
		case 4:
			mode := proto.Sub(d, readInt)
			f.Mode = uint16(mode & modeBits)
			f.HasACL, f.Encrypted = mode&modeACL != 0, mode&modeEncrypted != 0
		case 5:
			f.Owner = d.String()
		case 6:
			f.Group = d.String()
		case 7:
			f.ModTime = millis(d.Int())
		case 8:
			f.AccessTime = millis(d.Int())
		case 9:
			f.Symlink = d.String()
		case 18:
			flags = d.Uint()
		default:
			p.moreInfo(&f, d)
		}
	}
	f.HasACL = f.HasACL || flags&flagACL != 0
	f.Encrypted = f.Encrypted || flags&flagEncrypted != 0
	f.Snapshottable = flags&flagSnapshots != 0
	return f
}

// moreInfo reads the optional fields of HdfsFileStatusProto.
func (p *places) moreInfo(f *FileInfo, d *proto.Decoder) {
	switch d.Number() {
	case 10:
		f.Replication = int(d.Uint())
	case 11:
		f.BlockSize = d.Int()
	case 12:
		b := proto.Sub(d, p.blocks)
		f.Blocks = &b
	case 13:
		f.ID = d.Uint()
	case 14:
		f.Children = int(int32(d.Int()))
	case 15:
		f.Encrypted = true
	case 16:
		f.StoragePolicy = int(d.Uint())
	case 17:
		f.ErasureCoding = readPolicyOf(d)
	}
}

// blocks reads LocatedBlocksProto.
func (p *places) blocks(d *proto.Decoder) Blocks {
	var b Blocks
	for d.Next() {
		switch d.Number() {
		case 1:
			b.Length = d.Int()
		case 2:
			b.List = append(b.List, proto.Sub(d, p.block))
		case 3:
			b.UnderConstruction = d.Bool()
		case 4:
			last := proto.Sub(d, p.block)
			b.last = &last
		case 6:
			b.Encrypted = true
		case 7:
			b.ErasureCoding = readPolicyOf(d)
		}
	}
	return b
}

// lists are the parallel lists of LocatedBlockProto.
type lists struct {
	types   []uint64
	ids     []string
	indices []byte
	tokens  []token
}

// block reads LocatedBlockProto.
func (p *places) block(d *proto.Decoder) Block {
	var b Block
	var l lists
	for d.Next() {
		switch d.Number() {
		case 1:
			proto.Sub(d, b.readID)
		case 2:
			b.Offset = d.Int()
		case 3:
			b.Replicas = append(b.Replicas, Replica{Node: proto.Sub(d, p.node)})
		case 4:
			b.Corrupt = d.Bool()
		case 5:
			b.token = proto.Sub(d, readToken)
		case 7:
			l.types = d.Uints(l.types)
		case 8:
			l.ids = append(l.ids, d.String())
		case 9:
			l.indices = d.Bytes()
		case 10:
			l.tokens = append(l.tokens, proto.Sub(d, readToken))
		}
	}
	for i := range b.Replicas {
		b.Replicas[i].fill(l, i)
	}
	return b
}

// fill takes a replica's share of the parallel lists; older servers leave some out.
func (r *Replica) fill(l lists, i int) {
	if i < len(l.types) {
		r.StorageType = int(l.types[i])
	}
	if i < len(l.ids) {
		r.StorageID = l.ids[i]
	}
	if i < len(l.indices) {
		r.Index = int(l.indices[i])
	}
	if i < len(l.tokens) {
		r.token = l.tokens[i]
	}
}

// readID reads ExtendedBlockProto.
func (b *Block) readID(d *proto.Decoder) struct{} {
	for d.Next() {
		switch d.Number() {
		case 1:
			b.Pool = d.String()
		case 2:
			b.ID = d.Uint()
		case 3:
			b.Generation = d.Uint()
		case 4:
			b.Length = d.Int()
		}
	}
	return struct{}{}
}

// node reads DatanodeInfoProto.
func (p *places) node(d *proto.Decoder) *DataNode {
	n := &DataNode{}
	for d.Next() {
		if d.Number() != 1 {
			n.readState(d)
			continue
		}
		id := d.Raw()
		if known := p.nodes[string(id)]; known != nil {
			return known
		}
		p.nodes[string(id)] = n
		proto.Sub(d, n.readID)
	}
	return n
}

// readID reads DatanodeIDProto.
func (n *DataNode) readID(d *proto.Decoder) struct{} {
	for d.Next() {
		switch d.Number() {
		case 1:
			n.IP = d.String()
		case 2:
			n.Host = d.String()
		case 3:
			n.UUID = d.String()
		case 4:
			n.Port = int(d.Uint())
		case 5:
			n.InfoPort = int(d.Uint())
		case 6:
			n.IPCPort = int(d.Uint())
		case 7:
			n.InfoSecurePort = int(d.Uint())
		}
	}
	return struct{}{}
}

// readState reads what DatanodeInfoProto says beyond the identity.
func (n *DataNode) readState(d *proto.Decoder) {
	switch d.Number() {
	case 2:
		n.Capacity = d.Int()
	case 3:
		n.Used = d.Int()
	case 4:
		n.Remaining = d.Int()
	case 6:
		n.LastUpdate = millis(d.Int())
	case 7:
		n.Transfers = int(d.Uint())
	case 8:
		n.Rack = d.String()
	case 9:
		n.NonDFSUsed = d.Int()
	case 10:
		n.State = int(d.Uint())
	}
}

// readErasurePolicy reads ErasureCodingPolicyProto.
func readErasurePolicy(d *proto.Decoder) ErasurePolicy {
	e := ErasurePolicy{State: 2, raw: bytes.Clone(d.Rest())}
	for d.Next() {
		switch d.Number() {
		case 1:
			e.Name = d.String()
		case 2:
			proto.Sub(d, e.readSchema)
		case 3:
			e.CellSize = d.Int()
		case 4:
			e.ID = int(d.Uint())
		case 5:
			e.State = int(d.Uint())
		}
	}
	return e.known()
}

// replicationPolicy is the number of the policy that says: replicated, although the folder above is erasure-coded.
const replicationPolicy = 63

// known fills in the policies that every server has, of which it sends only the number (SystemErasureCodingPolicies).
func (e ErasurePolicy) known() ErasurePolicy {
	system := map[int]ErasurePolicy{
		1: {Name: "RS-6-3-1024k", Codec: "rs", Data: 6, Parity: 3},
		2: {Name: "RS-3-2-1024k", Codec: "rs", Data: 3, Parity: 2},
		3: {Name: "RS-LEGACY-6-3-1024k", Codec: "rs-legacy", Data: 6, Parity: 3},
		4: {Name: "XOR-2-1-1024k", Codec: "xor", Data: 2, Parity: 1},
		5: {Name: "RS-10-4-1024k", Codec: "rs", Data: 10, Parity: 4},
	}
	s, ok := system[e.ID]
	if !ok || e.CellSize != 0 {
		return e
	}
	s.ID, s.State, s.CellSize, s.raw = e.ID, e.State, 1<<20, e.raw
	return s
}

// readPolicyOf reads the policy of a path; nil when the policy is to replicate.
func readPolicyOf(d *proto.Decoder) *ErasurePolicy {
	e := proto.Sub(d, readErasurePolicy)
	if e.ID == replicationPolicy {
		return nil
	}
	return &e
}

// readSchema reads ECSchemaProto.
func (e *ErasurePolicy) readSchema(d *proto.Decoder) struct{} {
	for d.Next() {
		switch d.Number() {
		case 1:
			e.Codec = d.String()
		case 2:
			e.Data = int(d.Uint())
		case 3:
			e.Parity = int(d.Uint())
		}
	}
	return struct{}{}
}
