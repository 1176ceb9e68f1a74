package hdfs

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/crc"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/packet"
)

// stripes is how the bytes of a block group lie in its parts: cell after cell, in turn over the data units.
type stripes struct {
	units int64
	cell  int64
}

// locate gives the unit that holds a byte of the group, where in the unit it lies, and how many bytes of the cell are left from there on.
func (s stripes) locate(pos int64) (unit int, at, left int64) {
	row := pos / (s.units * s.cell)
	in := pos % s.cell
	return int(pos / s.cell % s.units), row*s.cell + in, s.cell - in
}

// length gives how many bytes of a unit belong to the first size bytes of the group.
func (s stripes) length(unit int, size int64) int64 {
	row := s.units * s.cell
	rest := size%row - int64(unit)*s.cell
	return size/row*s.cell + min(max(rest, 0), s.cell)
}

// groupSource reads the data units of a block group in the order of the file. Parity is not read, so each data unit must be there.
type groupSource struct {
	reader *FileReader
	block  *Block
	stripes
	pos, end int64
	streams  []*unitStream
}

// unitStream reads one unit of a group.
type unitStream struct {
	*stream
	block   *Block
	replica Replica
	// rest is what a packet holds of the next cell.
	rest *Packet
}

// openGroup begins to read a block group. Its units are opened when their turn comes.
func (r *FileReader) openGroup(b *Block, policy *ErasurePolicy, from, end int64) (source, error) {
	if policy.Data <= 0 || policy.CellSize <= 0 || policy.CellSize%chunk != 0 {
		return nil, fmt.Errorf("%w: policy %d with %d data units and cells of %d bytes is unknown", ErrStriped, policy.ID, policy.Data, policy.CellSize)
	}
	g := &groupSource{
		reader: r, block: b, stripes: stripes{units: int64(policy.Data), cell: policy.CellSize},
		pos: from, end: end, streams: make([]*unitStream, policy.Data),
	}
	// The first one is opened now, so that a group that cannot be read is known here.
	_, err := g.stream(from)
	return g, err
}

// stream gives the stream of the unit that holds a byte of the group.
func (g *groupSource) stream(pos int64) (*unitStream, error) {
	unit, at, _ := g.locate(pos)
	if s := g.streams[unit]; s != nil {
		return s, nil
	}
	failed := []error{}
	for _, replica := range g.block.Replicas {
		if replica.Index != unit {
			continue
		}
		s, err := g.open(unit, replica, at)
		if err == nil {
			g.streams[unit] = s
			return s, nil
		}
		failed = append(failed, err)
		if g.reader.ctx.Err() != nil {
			return nil, context.Cause(g.reader.ctx)
		}
	}
	return nil, fmt.Errorf("%w of data unit %d of block group %d, and this client does not rebuild it from parity: %w",
		ErrNoReplica, unit, g.block.ID, errors.Join(failed...))
}

// open opens a unit at one DataNode.
func (g *groupSource) open(unit int, replica Replica, at int64) (*unitStream, error) {
	b := *g.block
	b.ID, b.Length = g.block.ID+uint64(unit), g.length(unit, g.block.Length)
	if err := g.reader.failedWith(&b, replica); err != nil {
		return nil, err
	}
	s, err := g.reader.client.openStream(g.reader.ctx, part{
		node: replica.Node, block: b.encode(b.Generation, b.Length), token: replica.token, from: at, end: g.length(unit, g.end),
	})
	if err != nil {
		return nil, g.reader.blame(&b, replica, err)
	}
	return &unitStream{stream: s, block: &b, replica: replica}, nil
}

// next gives the next packet, with its offset in the file.
func (g *groupSource) next() (*Packet, error) {
	if g.pos >= g.end {
		return nil, io.EOF
	}
	s, err := g.stream(g.pos)
	if err != nil {
		return nil, err
	}
	_, at, left := g.locate(g.pos)
	p, err := s.take(at, min(left, g.end-g.pos))
	if err != nil {
		if g.reader.ctx.Err() == nil {
			err = g.reader.blame(s.block, s.replica, err)
		}
		return nil, err
	}
	p.Offset = g.block.Offset + g.pos
	g.pos += int64(len(p.Data()))
	return p, nil
}

// take gives the next packet of a unit, cut where its cell ends; what lies behind is kept for when its turn comes.
func (s *unitStream) take(at, left int64) (*Packet, error) {
	p := s.rest
	s.rest = nil
	if p == nil {
		var err error
		if p, err = s.next(); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	if p.Offset != at {
		p.Release()
		return nil, fmt.Errorf("%w: data at %d of a unit where %d was expected", ErrProtocol, p.Offset, at)
	}
	if size := int64(len(p.Data())); size > left {
		s.rest = p.split(int(left))
	}
	return p, nil
}

// split cuts the packet at n and gives the rest as another one.
func (p *Packet) split(n int) *Packet {
	data := p.Data()
	rest := &Packet{Offset: p.Offset, frame: p.owner.frame(), owner: p.owner}
	if len(data)-n > packetData {
		rest.frame = packet.NewFrame(len(data)-n, chunk)
	}
	rest.frame.Reset(chunk)
	rest.frame.Fill(data[n:], len(data))
	rest.Offset += int64(n)
	rest.sum = crc.Sum(rest.Data())
	p.trim(0, n)
	return rest
}

// finish ends the streams of all units.
func (g *groupSource) finish() {
	for _, s := range g.streams {
		if s == nil {
			continue
		}
		if s.rest != nil {
			s.rest.Release()
		}
		s.finish()
	}
}
