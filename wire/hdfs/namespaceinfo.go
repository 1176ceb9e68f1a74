package hdfs

import (
	"context"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/rpc"
)

// nameNodeProtocol is what NameNodes speak with each other and with balancers. It is the only one in which a namespace says its name.
const nameNodeProtocol = "org.apache.hadoop.hdfs.server.protocol.NamenodeProtocol"

// NamespaceInfo names a namespace for good.
type NamespaceInfo struct {
	// ClusterID and NamespaceID are made when a namespace is formatted; BlockPool names its blocks.
	ClusterID   string
	NamespaceID uint64
	BlockPool   string
	// Version is the NameNode's software.
	Version string
}

// NamespaceInfo asks the NameNode that calls go to now who it is, over a connection of its own, and where that one is gone each other one once: so
// a namespace that is out of reach is told at once, and one whose active NameNode died is found. Any user may ask unless service authorization
// (security.namenode.protocol.acl) forbids it, which is ErrPermission.
func (c *Client) NamespaceInfo(ctx context.Context) (NamespaceInfo, error) {
	const method = "versionRequest"
	r := rpc.Request{ID: c.calls.Add(1) & 0x7fffffff, Method: method}
	body, err := c.servers.ask(ctx, method, "", 0, func() attempt { return c.servers.apart(ctx, nameNodeProtocol, r) })
	if err != nil {
		return NamespaceInfo{}, err
	}
	info, err := proto.Parse(body, field(readNamespace))
	if err != nil || info == nil {
		return NamespaceInfo{}, &Error{Op: method, Err: ErrProtocol}
	}
	return *info, nil
}

// readNamespace reads NamespaceInfoProto.
func readNamespace(d *proto.Decoder) NamespaceInfo {
	var n NamespaceInfo
	for d.Next() {
		switch d.Number() {
		case 3:
			n.BlockPool = d.String()
		case 4:
			n.NamespaceID, n.ClusterID = proto.Sub(d, readStorageInfo).split()
		case 5:
			n.Version = d.String()
		}
	}
	return n
}

// storageInfo is a part of StorageInfoProto.
type storageInfo struct {
	namespace uint64
	cluster   string
}

func (s storageInfo) split() (uint64, string) { return s.namespace, s.cluster }

func readStorageInfo(d *proto.Decoder) storageInfo {
	var s storageInfo
	for d.Next() {
		switch d.Number() {
		case 2:
			s.namespace = d.Uint()
		case 3:
			s.cluster = d.String()
		}
	}
	return s
}
