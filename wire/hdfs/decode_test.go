package hdfs

import (
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/rpc"
)

// located is a block as a NameNode sends it, with two replicas.
func located() proto.Message {
	node := func(ip string) proto.Message {
		n := DataNode{IP: ip, Host: "h" + ip, UUID: "u" + ip, Port: 9866, InfoPort: 9864, IPCPort: 9867}
		return n.encode().Uint(2, 1000).Uint(4, 500).Uint(10, 1)
	}
	b := Block{Pool: "BP-1", ID: 1<<63 + 5, Generation: 7}
	t := token{identifier: []byte("id"), password: []byte("pw"), kind: "k", service: "s"}
	return proto.Message(nil).Bytes(1, b.encode(7, 100)).Uint(2, 4096).Bytes(3, node("1.1.1.1")).Bytes(3, node("2.2.2.2")).Bool(4, false).
		Bytes(5, t.encode()).Uint(7, 1).Uint(7, 2).String(8, "DS-1").String(8, "DS-2").Bytes(9, []byte{3, 4}).Bytes(10, t.encode())
}

// status is a file as a NameNode sends it.
func status() proto.Message {
	blocks := proto.Message(nil).Uint(1, 100).Bytes(2, located()).Bool(3, true).Bool(5, false)
	return proto.Message(nil).Uint(1, 2).String(2, "name").Uint(3, 100).Bytes(4, encodeMode(0o10644|modeACL)).String(5, "o").String(6, "g").
		Uint(7, 1234567890123).Uint(8, 0).Uint(10, 3).Uint(11, 128<<20).Bytes(12, blocks).Uint(13, 99).Int(14, -1).Uint(16, 7).
		Bytes(17, proto.Message(nil).Uint(4, 1)).Uint(18, 9)
}

func TestFileStatus(t *testing.T) {
	f, err := proto.Parse(status(), newPlaces().fileInfo)
	if err != nil {
		t.Fatal(err)
	}
	if f.Type != TypeFile || f.Name != "name" || f.Length != 100 || f.Mode != 0o644 || !f.HasACL || !f.Snapshottable || f.Encrypted ||
		!f.ModTime.Equal(time.UnixMilli(1234567890123)) || !f.AccessTime.IsZero() || f.Replication != 3 || f.ID != 99 || f.StoragePolicy != 7 || f.Children != -1 {
		t.Errorf("file %+v", f)
	}
	if e := f.ErasureCoding; e == nil || e.Name != "RS-6-3-1024k" || e.Data != 6 || e.Parity != 3 || e.CellSize != 1<<20 {
		t.Errorf("policy %+v", e)
	}
	b := f.Blocks.List[0]
	if b.ID != 1<<63+5 || b.Pool != "BP-1" || b.Length != 100 || b.Offset != 4096 || string(b.token.password) != "pw" || len(b.Replicas) != 2 {
		t.Errorf("block %+v", b)
	}
	r := b.Replicas[1]
	if r.Node.Address() != "2.2.2.2:9866" || r.Node.Capacity != 1000 || r.Node.State != 1 || r.StorageID != "DS-2" || r.StorageType != 2 || r.Index != 4 {
		t.Errorf("replica %+v at %+v", r, r.Node)
	}
	if r.token.identifier != nil || string(b.Replicas[0].token.identifier) != "id" {
		t.Error("tokens of parts are mixed up")
	}
}

// A DataNode that comes with many blocks is one value.
func TestDataNodesAreSharedInOneAnswer(t *testing.T) {
	two := proto.Message(nil).Uint(1, 200).Bytes(2, located()).Bytes(2, located())
	b, err := proto.Parse(two, newPlaces().blocks)
	if err != nil || b.List[0].Replicas[0].Node != b.List[1].Replicas[0].Node || b.List[0].Replicas[0].Node == b.List[0].Replicas[1].Node {
		t.Errorf("blocks %+v, %v", b, err)
	}
}

func TestStripesHoldEveryByteOnce(t *testing.T) {
	for _, s := range []stripes{{2, 512}, {3, 1024}, {6, 512}} {
		for _, size := range []int64{1, 511, 512, 513, s.units * s.cell, s.units*s.cell + 1, 10*s.units*s.cell - 7} {
			s.walk(t, size)
		}
	}
}

// walk looks at every byte of a group in turn, and counts those of each unit.
func (s stripes) walk(t *testing.T, size int64) {
	next := make([]int64, s.units)
	for pos := range size {
		unit, at, left := s.locate(pos)
		if at != next[unit] || left != s.cell-pos%s.cell {
			t.Fatalf("%+v: byte %d lies at %d of unit %d, %d expected", s, pos, at, unit, next[unit])
		}
		next[unit]++
	}
	for unit, n := range next {
		if got := s.length(unit, size); got != n {
			t.Fatalf("%+v: unit %d of %d bytes has %d, not %d", s, unit, size, n, got)
		}
	}
}

func TestErrorsAreFound(t *testing.T) {
	refusal := func(class, message string, code int) error {
		return wrap("op", "/p", "nn:1", &rpc.ServerError{Class: "org.apache." + class, Message: message, Code: code})
	}
	for _, c := range []struct {
		err  error
		want []error
	}{
		{refusal("FileNotFoundException", "", 1), []error{ErrNotFound, fs.ErrNotExist}},
		{refusal("x.FileAlreadyExistsException", "", 1), []error{ErrExists, fs.ErrExist}},
		{refusal("AccessControlException", "denied", 1), []error{ErrPermission, fs.ErrPermission}},
		{refusal("AccessControlException", "SIMPLE authentication is not enabled", 15), []error{ErrUnauthenticated}},
		{refusal("AccessControlException", "/a (is not a directory)", 1), []error{ErrNotDirectory}},
		{refusal("StandbyException", "", 1), []error{ErrStandby}},
		{refusal("SafeModeException", "It was turned on manually.", 1), []error{ErrSafeMode}},
		{refusal("SafeModeException", "Safe mode will be turned off automatically once", 1), []error{ErrSafeMode, ErrRetriable}},
		{refusal("RetriableException", "org.apache.SafeModeException: x", 1), []error{ErrSafeMode, ErrRetriable}},
		{refusal("protocol.DSQuotaExceededException", "", 1), []error{ErrQuota}},
		{refusal("protocol.AlreadyBeingCreatedException", "", 1), []error{ErrLease}},
		{refusal("RpcNoSuchMethodException", "", 2), []error{ErrUnsupported}},
		{refusal("UnknownCryptoProtocolVersionException", "", 1), []error{ErrEncrypted}},
		{refusal("PathIsNotEmptyDirectoryException", "", 1), []error{ErrNotEmpty}},
		{refusal("SnapshotException", "", 1), []error{ErrSnapshot}},
		{missing("op", "/p"), []error{ErrNotFound, fs.ErrNotExist}},
		{wrap("op", "", "nn:1", errors.Join(ErrUnavailable, errors.New("refused"))), []error{ErrUnavailable}},
	} {
		for _, want := range c.want {
			if !errors.Is(c.err, want) {
				t.Errorf("%v is not %v", c.err, want)
			}
		}
		for _, other := range []error{ErrNotFound, ErrExists, ErrPermission, ErrUnauthenticated, ErrStandby, ErrQuota, ErrLease, ErrEncrypted, ErrNotEmpty, ErrUnavailable} {
			if errors.Is(c.err, other) && other != c.want[0] {
				t.Errorf("%v is %v too", c.err, other)
			}
		}
	}
	if text := refusal("a.b.Some$InnerException", "why", 1).Error(); text != "op /p: InnerException: why (nn:1)" {
		t.Errorf("it reads %s", text)
	}
}

func FuzzDecoders(f *testing.F) {
	f.Add([]byte(status()))
	f.Add([]byte(located()))
	f.Add([]byte(proto.Message(nil).Uint(1, 7).Bytes(2, proto.Message(nil).String(1, "/p"))))
	f.Add([]byte(proto.Message(nil).Bytes(2, proto.Message(nil).String(1, "a").Bool(3, true)).Bytes(5, proto.Message(nil).Bytes(1, nil).Int(2, -1))))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := newPlaces()
		_, _ = proto.Parse(b, p.fileInfo)
		_, _ = proto.Parse(b, p.blocks)
		_, _ = proto.Parse(b, p.block)
		_, _ = proto.Parse(b, readListing)
		_, _ = proto.Parse(b, readErasurePolicy)
		_, _ = proto.Parse(b, readACL)
		_, _ = proto.Parse(b, readXAttrs)
		_, _ = proto.Parse(b, readDiff)
		_, _ = proto.Parse(b, readEvents)
		_, _ = proto.Parse(b, readSummary)
		_, _ = proto.Parse(b, readUsage)
		_, _ = proto.Parse(b, readDefaults)
		_, _ = proto.Parse(b, readSnapshottable)
		_, _ = proto.Parse(b, readAppend)
		_, _ = proto.Parse(b, readReply)
		_, _ = proto.Parse(b, readAck)
		_, _ = proto.Parse(b, readKey)
		_, _ = proto.Parse(b, readSaslReply)
	})
}
