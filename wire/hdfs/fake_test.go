package hdfs

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/crc"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/packet"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// dataNode is the server's side of connections to one DataNode, played byte by byte by the function of a test.
func dataNode(t *testing.T, play func(nc net.Conn, in *bufio.Reader)) *DataNode {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	group.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, nc)
			mu.Unlock()
			group.Go(func() {
				defer nc.Close()
				play(nc, bufio.NewReader(nc))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, nc := range open {
			nc.Close()
		}
		mu.Unlock()
		group.Wait()
	})
	a := l.Addr().(*net.TCPAddr)
	return &DataNode{IP: "127.0.0.1", Host: "localhost", UUID: a.String(), Port: a.Port}
}

// alone is a client that knows no NameNode.
func alone(t *testing.T, timeout time.Duration) *Client {
	t.Helper()
	o := Options{CallTimeout: timeout, RetryFor: -1, NameNodes: []string{"127.0.0.1:1"}}
	c := &Client{opts: o.filled(), joiner: crc.NewJoiner(chunk), name: "test"}
	c.closing, c.stop = context.WithCancel(context.Background())
	c.servers, c.data = newServers(c), newDataNodes(c)
	t.Cleanup(c.Close)
	return c
}

// operation reads a request: its operation, and the message.
func operation(in *bufio.Reader) (byte, []byte) {
	var head [3]byte
	if _, err := io.ReadFull(in, head[:]); err != nil || head[1] != dataVersion {
		return 0, nil
	}
	b, _ := delimited(in)
	return head[2], b
}

// reading is the answer that data follows, from a byte of the block on.
func reading(first int64) []byte {
	sum := proto.Message(nil).Uint(1, checksumCRC32C).Uint(2, chunk)
	return proto.Message(nil).Uint(1, statusSuccess).Bytes(4, proto.Message(nil).Bytes(1, sum).Int(2, first)).Delimited(nil)
}

// dataPacket is a packet as a DataNode sends it.
func dataPacket(at int64, data string, last bool) []byte {
	f := packet.NewFrame(packetData, chunk)
	f.Reset(chunk)
	f.Fill([]byte(data), len(data))
	f.Sum(crc.NewJoiner(chunk))
	return slices.Clone(f.Seal(packet.Header{Offset: at, Last: last}))
}

// served reads a block of the given length that one DataNode plays.
func served(t *testing.T, length int64, bytes ...[]byte) (string, *FileReader, error) {
	t.Helper()
	node := dataNode(t, func(nc net.Conn, in *bufio.Reader) {
		if op, _ := operation(in); op != opReadBlock {
			return
		}
		for _, b := range bytes {
			_, _ = nc.Write(b)
		}
	})
	c := alone(t, time.Minute)
	b := &Blocks{Length: length, List: []Block{{Length: length, Replicas: []Replica{{Node: node}}}}}
	r, err := c.OpenInfo(t.Context(), &FileInfo{Path: "/f", Blocks: b})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	return string(got), r, err
}

func TestAPlayedBlockIsRead(t *testing.T) {
	a, b := strings.Repeat("a", 512), "tail"
	got, r, err := served(t, 516, reading(0), dataPacket(0, a, false), dataPacket(512, b, false), dataPacket(516, "", true))
	if err != nil || got != a+b || len(r.BadReplicas()) != 0 {
		t.Errorf("%d bytes, %v, %v", len(got), err, r.BadReplicas())
	}
}

func TestWhatDataNodesGetWrongIsFound(t *testing.T) {
	good := strings.Repeat("a", 1024)
	flipped := dataPacket(0, good, false)
	flipped[len(flipped)-3] ^= 1
	for name, c := range map[string]struct {
		sent [][]byte
		want error
	}{
		"flipped":       {[][]byte{reading(0), flipped}, ErrChecksum},
		"gap":           {[][]byte{reading(0), dataPacket(512, good, false)}, ErrProtocol},
		"ends early":    {[][]byte{reading(0), dataPacket(0, good[:512], false), dataPacket(512, "", true)}, ErrProtocol},
		"closes":        {[][]byte{reading(0), dataPacket(0, good[:512], false)}, io.ErrUnexpectedEOF},
		"cut short":     {[][]byte{reading(0), dataPacket(0, good, false)[:100]}, io.ErrUnexpectedEOF},
		"begins late":   {[][]byte{reading(512), dataPacket(512, good[:512], false)}, ErrProtocol},
		"not a message": {[][]byte{{0xff, 0xff, 0xff, 0xff, 0x0f}}, ErrProtocol},
		"refuses":       {[][]byte{proto.Message(nil).Uint(1, 1).String(5, "gone").Delimited(nil)}, ErrNoReplica},
	} {
		t.Run(name, func(t *testing.T) {
			_, r, err := served(t, 1024, c.sent...)
			if !errors.Is(err, c.want) || !errors.Is(err, ErrNoReplica) {
				t.Errorf("it ends with %v, want %v", err, c.want)
			}
			bad := r.BadReplicas()
			if len(bad) == 0 || bad[0].Corrupt != (c.want == ErrChecksum) {
				t.Errorf("bad replicas %+v", bad)
			}
		})
	}
}

func TestASilentDataNodeIsGivenUp(t *testing.T) {
	node := dataNode(t, func(_ net.Conn, in *bufio.Reader) { _, _ = io.Copy(io.Discard, in) })
	c := alone(t, 50*time.Millisecond)
	_, err := c.blockSumAt(t.Context(), &Block{}, Replica{Node: node}, nil)
	var n net.Error
	if !errors.As(err, &n) || !n.Timeout() {
		t.Errorf("it ends with %v", err)
	}
}

func TestAReadingCallerCanLeave(t *testing.T) {
	asked := make(chan struct{})
	node := dataNode(t, func(_ net.Conn, in *bufio.Reader) {
		operation(in)
		close(asked)
		_, _ = io.Copy(io.Discard, in)
	})
	c := alone(t, time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	b := &Blocks{Length: 1, List: []Block{{Length: 1, Replicas: []Replica{{Node: node}}}}}
	r, err := c.OpenInfo(ctx, &FileInfo{Path: "/f", Blocks: b})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Next(); !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
}

// A DataNode that answers with something else than a composite CRC32C must not be believed.
func TestOtherSumsAreRefused(t *testing.T) {
	sum := func(kind, value int, composite bool) []byte {
		m := proto.Message(nil).Uint(1, 512).Uint(2, 1).Bytes(3, make([]byte, value)).Uint(4, uint64(kind))
		if composite {
			m = m.Bytes(5, proto.Message(nil).Uint(1, compositeCRC))
		}
		return proto.Message(nil).Uint(1, statusSuccess).Bytes(3, m).Delimited(nil)
	}
	for name, c := range map[string]struct {
		answer []byte
		ok     bool
	}{
		"composite": {sum(2, 4, true), true}, "older kind": {sum(1, 4, true), false}, "MD5": {sum(2, 16, false), false}, "no type": {sum(2, 4, false), false},
	} {
		node := dataNode(t, func(nc net.Conn, in *bufio.Reader) {
			operation(in)
			_, _ = nc.Write(c.answer)
		})
		_, err := alone(t, time.Minute).blockSumAt(t.Context(), &Block{}, Replica{Node: node}, nil)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The operation for blocks gives a wrong sum for a block group, and no sign of it: so it must never be used there.
func TestBlockGroupsAreAskedAsSuch(t *testing.T) {
	ops := make(chan byte, 2)
	node := dataNode(t, func(_ net.Conn, in *bufio.Reader) {
		op, _ := operation(in)
		ops <- op
	})
	c := alone(t, time.Minute)
	for _, policy := range []*ErasurePolicy{nil, {ID: 4}} {
		if _, err := c.blockSumAt(t.Context(), &Block{Replicas: []Replica{{Node: node}}}, Replica{Node: node}, policy); err == nil {
			t.Error("no answer is taken for one")
		}
	}
	if first, second := <-ops, <-ops; first != opBlockChecksum || second != opBlockGroupChecksum {
		t.Errorf("asked with %#x and %#x", first, second)
	}
}
