package hdfs

import (
	"context"
	"errors"
	"strings"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// checksumCRC32C is the type of checksums that we write (ChecksumTypeProto).
const checksumCRC32C = 2

// ServerDefaults are what a namespace does where a file says nothing.
type ServerDefaults struct {
	// BlockSize and PacketSize are in bytes; BytesPerChecksum of data share a checksum.
	BlockSize, BytesPerChecksum, PacketSize int64
	Replication                             int
	// EncryptData says that the DataNodes speak only encrypted (dfs.encrypt.data.transfer).
	EncryptData bool
	// TrashMinutes is how long the trash keeps what is moved there; 0 is no trash.
	TrashMinutes int64
	// CRC32C says that new blocks carry CRC32C, as is the default; false is the older CRC32 or none.
	CRC32C bool
}

// ServerDefaults asks for the defaults of the namespace.
func (c *Client) ServerDefaults(ctx context.Context) (ServerDefaults, error) {
	d, err := ask(ctx, c, "getServerDefaults", "", nil, field(readDefaults))
	if err == nil && d == nil {
		err = &Error{Op: "getServerDefaults", Err: ErrProtocol}
	}
	if err != nil {
		return ServerDefaults{}, err
	}
	return *d, nil
}

// readDefaults reads FsServerDefaultsProto.
func readDefaults(d *proto.Decoder) ServerDefaults {
	var s ServerDefaults
	for d.Next() {
		switch d.Number() {
		case 1:
			s.BlockSize = d.Int()
		case 2:
			s.BytesPerChecksum = d.Int()
		case 3:
			s.PacketSize = d.Int()
		case 4:
			s.Replication = int(d.Uint())
		case 6:
			s.EncryptData = d.Bool()
		case 7:
			s.TrashMinutes = d.Int()
		case 8:
			s.CRC32C = d.Uint() == checksumCRC32C
		}
	}
	return s
}

// FsStats are the sums over the whole namespace.
type FsStats struct {
	// Capacity, Used and Remaining are in bytes over all DataNodes.
	Capacity, Used, Remaining int64
	// UnderReplicated, Corrupt and Missing count blocks.
	UnderReplicated, Corrupt, Missing int64
}

// FsStats asks for the sums over the whole namespace.
func (c *Client) FsStats(ctx context.Context) (FsStats, error) {
	return ask(ctx, c, "getFsStats", "", nil, func(d *proto.Decoder) FsStats {
		var s FsStats
		for d.Next() {
			switch d.Number() {
			case 1:
				s.Capacity = d.Int()
			case 2:
				s.Used = d.Int()
			case 3:
				s.Remaining = d.Int()
			case 4:
				s.UnderReplicated = d.Int()
			case 5:
				s.Corrupt = d.Int()
			case 6:
				s.Missing = d.Int()
			}
		}
		return s
	})
}

// Which DataNodes a report is about (DatanodeReportTypeProto).
const (
	AllDataNodes  = 1
	LiveDataNodes = 2
	DeadDataNodes = 3
)

// DataNodes lists the DataNodes of the given kind, one of AllDataNodes, LiveDataNodes, DeadDataNodes. Only for superusers.
func (c *Client) DataNodes(ctx context.Context, kind int) ([]DataNode, error) {
	return ask(ctx, c, "getDatanodeReport", "", proto.Message(nil).Uint(1, uint64(kind)), func(d *proto.Decoder) []DataNode {
		var list []DataNode
		p := newPlaces()
		for d.Next() {
			if d.Number() == 1 {
				list = append(list, *proto.Sub(d, p.node))
			}
		}
		return list
	})
}

// HAState is what part a NameNode plays.
type HAState string

// The states of a NameNode. StateSingle is one that has no other beside it.
const (
	StateInitializing HAState = "initializing"
	StateActive       HAState = "active"
	StateStandby      HAState = "standby"
	StateObserver     HAState = "observer"
	StateSingle       HAState = "single"
)

// HAState asks the NameNode that calls go to now what part it plays. One that is not in a highly available set says so by an exception.
func (c *Client) HAState(ctx context.Context) (HAState, error) {
	v, err := ask(ctx, c, "getHAServiceState", "", nil, readInt)
	var refused *RemoteError
	if errors.As(err, &refused) && refused.is("ServiceFailedException") {
		return StateSingle, nil
	}
	if err != nil {
		return "", err
	}
	states := []HAState{StateInitializing, StateActive, StateStandby, StateObserver}
	if v < 0 || v >= int64(len(states)) {
		return "", &Error{Op: "getHAServiceState", Err: ErrProtocol}
	}
	return states[v], nil
}

// NameNode is the address of the NameNode that calls go to now.
func (c *Client) NameNode() string { return c.servers.active() }

// SafeMode says whether the NameNode takes no changes.
func (c *Client) SafeMode(ctx context.Context) (bool, error) {
	const get = 3
	return ask(ctx, c, "setSafeMode", "", proto.Message(nil).Uint(1, get).Bool(2, false), readBool)
}

// EncryptionZone gives the root of the encryption zone that a path lies in; empty when in none.
func (c *Client) EncryptionZone(ctx context.Context, name string) (string, error) {
	zone, err := ask(ctx, c, "getEZForPath", name, proto.Message(nil).String(1, name), field(readZone))
	if err != nil || zone == nil {
		return "", err
	}
	return *zone, nil
}

// readZone reads the path of EncryptionZoneProto.
func readZone(d *proto.Decoder) string {
	var root string
	for d.Next() {
		if d.Number() == 2 {
			root = d.String()
		}
	}
	return strings.TrimSuffix(root, "/")
}

// ErasurePolicies gives the policies that the server knows, enabled or not.
func (c *Client) ErasurePolicies(ctx context.Context) ([]ErasurePolicy, error) {
	return ask(ctx, c, "getErasureCodingPolicies", "", nil, func(d *proto.Decoder) []ErasurePolicy {
		var list []ErasurePolicy
		for d.Next() {
			if d.Number() == 1 {
				list = append(list, proto.Sub(d, readErasurePolicy))
			}
		}
		return list
	})
}

// SetErasurePolicy makes new files below a folder erasure-coded by the named policy; an empty name is the server's default.
// Our own writers go on writing replicated files there.
func (c *Client) SetErasurePolicy(ctx context.Context, dir, policy string) error {
	m := proto.Message(nil).String(1, dir)
	if policy != "" {
		m = m.String(2, policy)
	}
	return c.do(ctx, "setErasureCodingPolicy", dir, m)
}

// EnableErasurePolicy lets folders use a policy. Only for superusers.
func (c *Client) EnableErasurePolicy(ctx context.Context, policy string) error {
	return c.do(ctx, "enableErasureCodingPolicy", "", proto.Message(nil).String(1, policy))
}
