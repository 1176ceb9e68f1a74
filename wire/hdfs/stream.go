package hdfs

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/crc"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/packet"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// Packet is a piece of a file as a DataNode sent it, checked. It holds a buffer: Release gives it back, and so does FileWriter.WritePacket.
type Packet struct {
	// Offset is where the piece begins in the file.
	Offset int64
	frame  *packet.Frame
	owner  *dataNodes
	sum    uint32
	// whole says that the checksums in the frame fit the data and the chunks of our writers, so that it may go on as it is.
	whole bool
}

// Data is the piece. It is valid until Release.
func (p *Packet) Data() []byte { return p.frame.Data() }

// CRC32C is the checksum of Data.
func (p *Packet) CRC32C() uint32 { return p.sum }

// Release gives the buffer back. The packet must not be used afterwards.
func (p *Packet) Release() {
	if p.frame != nil {
		p.owner.release(p.frame)
		p.frame = nil
	}
}

// trim cuts the packet down to a part of its data.
func (p *Packet) trim(from, to int) {
	if from == 0 && to == len(p.frame.Data()) {
		return
	}
	p.frame.Trim(from, to)
	p.Offset += int64(from)
	p.sum, p.whole = crc.Sum(p.frame.Data()), false
}

// stream reads a part of one replica of a block, packet by packet.
type stream struct {
	client *Client
	conn   *dataConn
	// at is the next byte of the block that is expected, from and end bound what was asked for.
	at, from, end int64
	kind          packet.Checksum
	joiner        *crc.Joiner
	relay         bool
}

// part is what a stream reads: bytes of a block, or of one part of a block group, at one DataNode.
type part struct {
	node      *DataNode
	block     proto.Message
	token     token
	from, end int64
}

// openStream asks a DataNode for a part. An unused connection may have been closed by the other side, in which case a new one is opened.
func (c *Client) openStream(ctx context.Context, p part) (*stream, error) {
	for {
		conn := c.data.idleConn(ctx, p.node)
		reused := conn != nil
		var err error
		if !reused {
			if conn, err = c.data.dial(ctx, p.node, p.token); err != nil {
				return nil, err
			}
		}
		s, err := c.startStream(conn, p)
		if err == nil {
			return s, nil
		}
		conn.close()
		if _, refused := err.(*dataError); refused || !reused || ctx.Err() != nil {
			return nil, err
		}
	}
}

// startStream makes the request and reads how the data will come.
func (c *Client) startStream(conn *dataConn, p part) (*stream, error) {
	request := proto.Message(nil).Bytes(1, c.operationHeader(p.block, p.token)).Int(2, p.from).Int(3, p.end-p.from).Bool(4, true)
	if err := conn.start(opReadBlock, request); err != nil {
		return nil, err
	}
	reply, err := conn.reply("read")
	if err != nil {
		return nil, err
	}
	s := &stream{client: c, conn: conn, at: reply.first, from: p.from, end: p.end, kind: reply.kind, joiner: c.joiner}
	if reply.kind != packet.None {
		if reply.chunk <= 0 || reply.chunk > packetData*16 {
			return nil, fmt.Errorf("%w: chunks of %d bytes", ErrProtocol, reply.chunk)
		}
		if reply.chunk != chunk {
			s.joiner = crc.NewJoiner(reply.chunk)
		}
	}
	s.relay = reply.kind == packet.CRC32C && reply.chunk == chunk
	if s.at > s.from {
		return nil, fmt.Errorf("%w: data begins at %d where %d was asked for", ErrProtocol, s.at, s.from)
	}
	return s, nil
}

// next gives the next packet, trimmed to what was asked for; Offset is within the block. io.EOF when all came.
func (s *stream) next() (*Packet, error) {
	for s.at < s.end {
		p := &Packet{frame: s.client.data.frame(), owner: s.client.data}
		h, err := s.read(p)
		if err != nil {
			p.Release()
			return nil, err
		}
		size := int64(h.Length)
		begin := s.at
		s.at += size
		if s.at <= s.from || size == 0 {
			p.Release()
			continue
		}
		p.Offset, p.whole = begin, s.relay
		p.trim(int(max(s.from-begin, 0)), int(min(size, s.end-begin)))
		return p, nil
	}
	return nil, io.EOF
}

// read reads and checks one packet.
func (s *stream) read(p *Packet) (packet.Header, error) {
	s.conn.extend()
	h, err := p.frame.Read(s.conn.in)
	if err != nil {
		if errors.Is(err, io.EOF) {
			// The connection ended between two packets, and not the block.
			err = io.ErrUnexpectedEOF
		}
		return h, err
	}
	if h.Offset != s.at || h.Length == 0 && h.Last {
		return h, fmt.Errorf("%w: packet at %d of %d bytes where %d was expected", ErrProtocol, h.Offset, h.Length, s.at)
	}
	p.sum, err = p.frame.Check(s.kind, s.joiner, s.joiner.Size())
	if err != nil {
		_ = s.report(statusChecksum)
		return h, fmt.Errorf("%w at %d of the block: %w", ErrChecksum, h.Offset, err)
	}
	return h, nil
}

// finish ends the operation; after all data came the connection is clean and serves again.
func (s *stream) finish() {
	if s.at < s.end || !s.drained() || s.report(statusChecksumOK) != nil {
		s.conn.close()
		return
	}
	s.client.data.keep(s.conn)
}

// drained reads the packet without data that ends the block.
func (s *stream) drained() bool {
	f := s.client.data.frame()
	defer s.client.data.release(f)
	s.conn.extend()
	h, err := f.Read(s.conn.in)
	return err == nil && h.Last && h.Length == 0
}

// report tells the DataNode what came of its data (ClientReadStatusProto).
func (s *stream) report(status uint64) error {
	return s.conn.send(proto.Message(nil).Uint(1, status))
}
