// Package packet reads, checks and writes the packets in which DataNodes and clients exchange the data of blocks.
// It knows the form of a packet and the checksums in it, and nothing of connections or files.
package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/crc"
	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// Checksum is how chunks are checked (ChecksumTypeProto).
type Checksum int

// The types of checksums.
const (
	None   Checksum = 0
	CRC32  Checksum = 1
	CRC32C Checksum = 2
)

// Heartbeat is the sequence number of a packet that only says that its sender lives.
const Heartbeat = -1

// ErrChecksum is a chunk that differs from its checksum.
var ErrChecksum = errors.New("chunk differs from its checksum")

const (
	// prefix is the length of the packet and that of its header.
	prefix = 6
	// room is what lies free before the checksums, so that a header can be put there: the longest that we write, with the sync flag.
	room = prefix + 27
	// maxPacket is the longest packet taken; servers themselves take no longer one (dfs.data.transfer.max.packet.size).
	maxPacket = 16 << 20
	// maxHeader is far more than a header needs.
	maxHeader = 256
	// sumSize is the length of one checksum.
	sumSize = 4
)

// Header says what a packet is.
type Header struct {
	// Offset is where its data begins in the block. Seq counts the packets of a block.
	Offset, Seq int64
	// Last ends the block; such a packet has no data.
	Last bool
	// Length is that of the data in bytes.
	Length int
	// Sync asks that the data be forced to disk.
	Sync bool
}

// encode gives the header with fields of fixed length, as the protocol wants them.
func (h Header) encode(b []byte) []byte {
	m := proto.Message(b).Fixed64(1, uint64(h.Offset)).Fixed64(2, uint64(h.Seq)).Bool(3, h.Last).Fixed32(4, uint32(int32(h.Length)))
	if h.Sync {
		m = m.Bool(5, true)
	}
	return m
}

// readHeader reads PacketHeaderProto.
func readHeader(d *proto.Decoder) Header {
	var h Header
	for d.Next() {
		switch d.Number() {
		case 1:
			h.Offset = d.Int()
		case 2:
			h.Seq = d.Int()
		case 3:
			h.Last = d.Bool()
		case 4:
			h.Length = int(d.Fixed32())
		case 5:
			h.Sync = d.Bool()
		}
	}
	return h
}

// Frame is the buffer of one packet: room for a header, the checksums, the data, one behind the other.
// So a packet that was read can be sent on as one piece, with a new header in front.
type Frame struct {
	buf             []byte
	sums, data, end int
}

// NewFrame makes a frame that can hold the given bytes of data and their checksums.
func NewFrame(data, chunk int) *Frame {
	return &Frame{buf: make([]byte, room+sumSize*((data+chunk-1)/chunk)+data)}
}

// Size is how many bytes the buffer holds, with header and checksums.
func (f *Frame) Size() int { return len(f.buf) }

// Data is the data of the packet.
func (f *Frame) Data() []byte { return f.buf[f.data:f.end] }

// Sums are the checksums of its chunks, four bytes each.
func (f *Frame) Sums() []byte { return f.buf[f.sums:f.data] }

// Read reads the next packet from r into the frame, which grows when it must.
func (f *Frame) Read(r io.Reader) (Header, error) {
	var head [prefix + maxHeader]byte
	if _, err := io.ReadFull(r, head[:prefix]); err != nil {
		return Header{}, err
	}
	payload := int64(binary.BigEndian.Uint32(head[:4])) - 4
	size := int(binary.BigEndian.Uint16(head[4:prefix]))
	if payload < 0 || payload > maxPacket || size > maxHeader {
		return Header{}, fmt.Errorf("packet of %d bytes with a header of %d", payload, size)
	}
	if _, err := io.ReadFull(r, head[:size]); err != nil {
		return Header{}, unexpected(err)
	}
	h, err := proto.Parse(head[:size], readHeader)
	if err != nil {
		return Header{}, err
	}
	if h.Length < 0 || int64(h.Length) > payload {
		return Header{}, fmt.Errorf("packet of %d bytes claims %d of data", payload, h.Length)
	}
	if need := room + int(payload); len(f.buf) < need {
		f.buf = make([]byte, need)
	}
	f.sums, f.end = room, room+int(payload)
	f.data = f.end - h.Length
	_, err = io.ReadFull(r, f.buf[f.sums:f.end])
	return h, unexpected(err)
}

// unexpected turns an end in the middle of a packet into what it is.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Check compares every chunk with its checksum, and gives the CRC32C of all the data.
// With CRC32C that is joined from the checksums of the chunks, at no further cost.
func (f *Frame) Check(kind Checksum, j *crc.Joiner, chunk int) (uint32, error) {
	data, sums := f.Data(), f.Sums()
	if kind == None {
		return crc.Sum(data), nil
	}
	if len(sums) != sumSize*((len(data)+chunk-1)/chunk) {
		return 0, fmt.Errorf("packet has %d bytes of checksums for %d of data", len(sums), len(data))
	}
	if kind == CRC32 {
		return crc.Sum(data), checkIEEE(data, sums, chunk)
	}
	var whole uint32
	for i := 0; len(data) > 0; i += sumSize {
		piece := data[:min(chunk, len(data))]
		data = data[len(piece):]
		sum := crc.Sum(piece)
		if sum != binary.BigEndian.Uint32(sums[i:]) {
			return 0, ErrChecksum
		}
		whole = join(j, whole, sum, len(piece))
	}
	return whole, nil
}

// join adds the sum of one chunk; only the last one of a block is shorter than the others.
func join(j *crc.Joiner, whole, sum uint32, size int) uint32 {
	if size == j.Size() {
		return j.Join(whole, sum)
	}
	return crc.Combine(whole, sum, int64(size))
}

// checkIEEE compares chunks with the older kind of checksum.
func checkIEEE(data, sums []byte, chunk int) error {
	for i := 0; len(data) > 0; i += sumSize {
		piece := data[:min(chunk, len(data))]
		data = data[len(piece):]
		if crc32.ChecksumIEEE(piece) != binary.BigEndian.Uint32(sums[i:]) {
			return ErrChecksum
		}
	}
	return nil
}

// Reset empties a frame that is to be filled by Fill, for chunks of the given size.
func (f *Frame) Reset(chunk int) {
	space := len(f.buf) - room
	chunks := (space + chunk + sumSize - 1) / (chunk + sumSize)
	f.data = room + sumSize*chunks
	f.sums, f.end = f.data, f.data
}

// Fill takes bytes of p, up to the given length of data in all, and gives how many it took.
func (f *Frame) Fill(p []byte, limit int) int {
	n := copy(f.buf[f.end:min(f.data+limit, len(f.buf))], p)
	f.end += n
	return n
}

// Free is how many bytes of data the frame still takes.
func (f *Frame) Free() int { return len(f.buf) - f.end }

// Sum computes the checksums of what was filled in, and gives the CRC32C of all of it.
func (f *Frame) Sum(j *crc.Joiner) uint32 {
	data := f.Data()
	chunk := j.Size()
	f.sums = f.data - sumSize*((len(data)+chunk-1)/chunk)
	var whole uint32
	for i := f.sums; len(data) > 0; i += sumSize {
		piece := data[:min(chunk, len(data))]
		data = data[len(piece):]
		sum := crc.Sum(piece)
		binary.BigEndian.PutUint32(f.buf[i:], sum)
		whole = join(j, whole, sum, len(piece))
	}
	return whole
}

// Trim cuts the data down to a part of it. The checksums then fit no longer, unless nothing was cut.
func (f *Frame) Trim(from, to int) {
	f.data, f.end = f.data+from, f.data+to
}

// Seal puts a header before the checksums and gives the packet as it is sent. It may be sealed again with another header.
func (f *Frame) Seal(h Header) []byte {
	h.Length = f.end - f.data
	var head [room]byte
	encoded := h.encode(head[prefix:prefix])
	binary.BigEndian.PutUint32(head[:4], uint32(4+f.end-f.sums))
	binary.BigEndian.PutUint16(head[4:prefix], uint16(len(encoded)))
	n := prefix + len(encoded)
	start := f.sums - n
	copy(f.buf[start:], head[:n])
	return f.buf[start:f.end]
}
