package hdfs

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/packet"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// Operations of DataNodes (datatransfer.Op).
const (
	opWriteBlock         = 0x50
	opReadBlock          = 0x51
	opBlockChecksum      = 0x55
	opTransferBlock      = 0x56
	opBlockGroupChecksum = 0x5a
	dataVersion          = 28
)

// Outcomes of operations (datatransfer.proto, Status).
const (
	statusSuccess     = 0
	statusChecksum    = 2
	statusAccessToken = 5
	statusChecksumOK  = 6
	statusUnsupported = 7
	statusInProgress  = 12
)

const (
	// keepIdle is how long an unused connection is worth keeping: the DataNode closes it after 4 s (dfs.datanode.socket.reuse.keepalive).
	keepIdle = 3 * time.Second
	// maxIdle is how many unused connections are kept to one DataNode.
	maxIdle = 16
	// readBuffer is small on purpose: what is longer goes straight into the packet.
	readBuffer = 8 << 10
	// packetData is how much data goes into a packet that we fill, and what DataNodes put into theirs.
	packetData = 64 << 10
	// wideData is how much goes into a packet behind the first wideFrom bytes of a block: each packet costs every DataNode of the chain a few
	// changes of threads, and one that is four times as long costs no more.
	wideData = 256 << 10
	wideFrom = 1 << 20
	// maxReply is longer than any answer of a DataNode that is not data.
	maxReply = 1 << 20
)

// dataError is a refusal by a DataNode.
type dataError struct {
	op      string
	status  uint64
	message string
	// firstBad is the DataNode of a pipeline that could not be reached, as host:port.
	firstBad string
}

// Error gives the status and the server's words.
func (e *dataError) Error() string {
	text := fmt.Sprintf("%s refused with status %d", e.op, e.status)
	if e.message != "" {
		text += ": " + e.message
	}
	if e.firstBad != "" {
		text += "; first bad DataNode " + e.firstBad
	}
	return text
}

// Is finds the sentinel in a status.
func (e *dataError) Is(target error) bool {
	return target == ErrUnsupported && e.status == statusUnsupported || target == ErrChecksum && e.status == statusChecksum
}

// dataNodes keeps connections to DataNodes, and buffers for packets.
type dataNodes struct {
	client *Client
	frames sync.Pool
	// wide are buffers for long packets, of wideSize bytes at least.
	wide     sync.Pool
	wideSize int

	mu     sync.Mutex
	idle   map[string][]*dataConn
	closed bool
	key    *encryptionKey
}

func newDataNodes(c *Client) *dataNodes {
	return &dataNodes{
		client: c, idle: map[string][]*dataConn{},
		frames: sync.Pool{New: func() any { return packet.NewFrame(packetData, chunk) }},
		wide:   sync.Pool{New: func() any { return packet.NewFrame(wideData, chunk) }}, wideSize: packet.NewFrame(wideData, chunk).Size(),
	}
}

// frame gives an empty packet.
func (n *dataNodes) frame() *packet.Frame { return n.frames.Get().(*packet.Frame) }

// wideFrame gives an empty packet for wideData bytes.
func (n *dataNodes) wideFrame() *packet.Frame { return n.wide.Get().(*packet.Frame) }

// release takes a packet back.
func (n *dataNodes) release(f *packet.Frame) {
	// A buffer may have grown to any size for what a DataNode sent.
	if f.Size() >= n.wideSize {
		n.wide.Put(f)
		return
	}
	n.frames.Put(f)
}

// dataConn is one connection to a DataNode, used by one operation at a time.
type dataConn struct {
	nc      net.Conn
	in      *bufio.Reader
	out     io.Writer
	address string
	timeout time.Duration
	since   time.Time
	// stop ends the watch over the context of the operation.
	stop func() bool
}

// address is where a DataNode is reached.
func (n *dataNodes) address(d *DataNode) string {
	if n.client.opts.DatanodeHostnames {
		return d.HostAddress()
	}
	return d.Address()
}

// dial opens a connection to a DataNode, protected as the cluster demands; t lets us at the block that it is for.
// The end of ctx closes the connection.
func (n *dataNodes) dial(ctx context.Context, d *DataNode, t token) (*dataConn, error) {
	c, err := n.open(ctx, d, t, false)
	if errors.Is(err, errUnknownKey) {
		c, err = n.open(ctx, d, t, true)
	}
	return c, err
}

// open makes one attempt at a connection; with fresh a new encryption key is asked for.
func (n *dataNodes) open(ctx context.Context, d *DataNode, t token, fresh bool) (*dataConn, error) {
	address := n.address(d)
	bounded, cancel := context.WithTimeout(ctx, n.client.opts.CallTimeout)
	defer cancel()
	nc, err := n.client.opts.Dial(bounded, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &dataConn{nc: nc, out: nc, address: address, timeout: n.client.opts.CallTimeout}
	c.watch(ctx)
	c.extend()
	in, out, err := n.protect(bounded, nc, t, fresh)
	if err != nil {
		c.close()
		return nil, err
	}
	c.in, c.out = bufio.NewReaderSize(in, readBuffer), out
	return c, nil
}

// idleConn gives an unused connection, or nil.
func (n *dataNodes) idleConn(ctx context.Context, d *DataNode) *dataConn {
	address := n.address(d)
	n.mu.Lock()
	defer n.mu.Unlock()
	list := n.idle[address]
	for len(list) > 0 {
		c := list[len(list)-1]
		list = list[:len(list)-1]
		n.idle[address] = list
		if time.Since(c.since) < keepIdle {
			c.watch(ctx)
			return c
		}
		c.close()
	}
	return nil
}

// keep takes a connection back after an operation that left it clean.
func (n *dataNodes) keep(c *dataConn) {
	if !c.stop() {
		c.close()
		return
	}
	c.since = time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	list := n.idle[c.address]
	for len(list) > 0 && (time.Since(list[0].since) >= keepIdle || len(list) >= maxIdle) {
		list[0].close()
		list = list[1:]
	}
	if n.closed {
		c.close()
		return
	}
	n.idle[c.address] = append(list, c)
}

// close ends all unused connections.
func (n *dataNodes) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	for _, list := range n.idle {
		for _, c := range list {
			c.close()
		}
	}
	clear(n.idle)
}

// watch closes the connection when ctx ends.
func (c *dataConn) watch(ctx context.Context) {
	c.stop = context.AfterFunc(ctx, func() { _ = c.nc.Close() })
}

// close ends the connection.
func (c *dataConn) close() {
	c.stop()
	_ = c.nc.Close()
}

// extend gives the other side the full time again.
func (c *dataConn) extend() { _ = c.nc.SetDeadline(time.Now().Add(c.timeout)) }

// start sends the request of an operation.
func (c *dataConn) start(op byte, request proto.Message) error {
	c.extend()
	_, err := c.out.Write(request.Delimited([]byte{0, dataVersion, op}))
	return err
}

// send writes one message with its length.
func (c *dataConn) send(m proto.Message) error {
	_, err := c.out.Write(m.Delimited(nil))
	return err
}

// delimited reads one message with its length.
func delimited(r *bufio.Reader) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	if n > maxReply {
		return nil, fmt.Errorf("%w: an answer of %d bytes", ErrProtocol, n)
	}
	b := make([]byte, n)
	if _, err = io.ReadFull(r, b); errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

// opReply is BlockOpResponseProto.
type opReply struct {
	status            uint64
	message, firstBad string
	// kind and chunk are how data that follows is checked; first is where it begins in the block.
	kind  packet.Checksum
	chunk int
	first int64
	sum   blockSum
}

// blockSum is OpBlockChecksumResponseProto.
type blockSum struct {
	value     []byte
	kind      packet.Checksum
	composite bool
}

// reply reads the answer to an operation; a refusal is a *dataError.
func (c *dataConn) reply(op string) (opReply, error) {
	b, err := delimited(c.in)
	if err != nil {
		return opReply{}, err
	}
	r, err := proto.Parse(b, readReply)
	if err == nil && r.status != statusSuccess {
		err = &dataError{op: op, status: r.status, message: r.message, firstBad: r.firstBad}
	}
	return r, err
}

func readReply(d *proto.Decoder) opReply {
	var r opReply
	for d.Next() {
		switch d.Number() {
		case 1:
			r.status = d.Uint()
		case 2:
			r.firstBad = d.String()
		case 3:
			r.sum = proto.Sub(d, readBlockSum)
		case 4:
			proto.Sub(d, r.readInfo)
		case 5:
			r.message = d.String()
		}
	}
	return r
}

// readInfo reads ReadOpChecksumInfoProto.
func (r *opReply) readInfo(d *proto.Decoder) struct{} {
	for d.Next() {
		switch d.Number() {
		case 1:
			proto.Sub(d, r.readChecksum)
		case 2:
			r.first = d.Int()
		}
	}
	return struct{}{}
}

// readChecksum reads ChecksumProto.
func (r *opReply) readChecksum(d *proto.Decoder) struct{} {
	for d.Next() {
		switch d.Number() {
		case 1:
			r.kind = packet.Checksum(d.Uint())
		case 2:
			r.chunk = int(d.Uint())
		}
	}
	return struct{}{}
}

func readBlockSum(d *proto.Decoder) blockSum {
	s := blockSum{kind: packet.CRC32C}
	for d.Next() {
		switch d.Number() {
		case 3:
			s.value = d.Bytes()
		case 4:
			s.kind = packet.Checksum(d.Uint())
		case 5:
			s.composite = proto.Sub(d, readInt) == compositeCRC
		}
	}
	return s
}

// baseHeader gives BaseHeaderProto.
func baseHeader(block proto.Message, t token) proto.Message {
	return proto.Message(make([]byte, 0, 256)).Bytes(1, block).Bytes(2, t.encode())
}

// operationHeader gives ClientOperationHeaderProto.
func (c *Client) operationHeader(block proto.Message, t token) proto.Message {
	return proto.Message(make([]byte, 0, 320)).Bytes(1, baseHeader(block, t)).String(2, c.name)
}
