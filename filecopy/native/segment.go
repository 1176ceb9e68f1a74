package native

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/understudy-dr/understudy/filecopy"
)

// A segment is a file of items sorted by path:
//
//	"USFC" version(1 byte) · blocks · end
//	block: length(4, little endian, > 0) crc32c(4) payload: items one after the other
//	end:   0(4) crc32c(4) of the 40 bytes that follow: count(8), SHA-256 of all before the end(32)
//
// A reader gives no item of a block whose checksum is wrong, and takes a segment without its end as torn.
const (
	segmentMagic   = "USFC"
	segmentVersion = 1
	blockSize      = 64 << 10
	maxBlock       = 16 << 20
	endSize        = 40
)

// errTorn means that a segment or journal ends in the middle.
var errTorn = errors.New("ends in the middle")

// errDamaged means that bytes differ from their checksum.
var errDamaged = errors.New("checksum of a block is wrong")

// errNewer means that a later version of the product wrote it.
var errNewer = errors.New("written by a newer version")

func castagnoli(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// segmentWriter writes one segment.
type segmentWriter struct {
	to     io.Writer
	digest hash.Hash
	block  []byte
	count  int64
	bytes  int64
	first  filecopy.Path
	last   filecopy.Path
}

func newSegmentWriter(w io.Writer) (*segmentWriter, error) {
	s := &segmentWriter{to: w, digest: sha256.New()}
	return s, s.write(append([]byte(segmentMagic), segmentVersion))
}

func (s *segmentWriter) write(b []byte) error {
	s.digest.Write(b)
	s.bytes += int64(len(b))
	_, err := s.to.Write(b)
	return err
}

// add appends an item; the caller gives them in order.
func (s *segmentWriter) add(it *item) error {
	if s.count == 0 {
		s.first = it.Path
	}
	s.last = it.Path
	s.count++
	s.block = appendItem(s.block, it)
	if len(s.block) < blockSize {
		return nil
	}
	return s.flush()
}

func (s *segmentWriter) flush() error {
	if len(s.block) == 0 {
		return nil
	}
	if err := s.write(blockHead(s.block)); err != nil {
		return err
	}
	err := s.write(s.block)
	s.block = s.block[:0]
	return err
}

func blockHead(block []byte) []byte {
	head := binary.LittleEndian.AppendUint32(nil, uint32(len(block)))
	return binary.LittleEndian.AppendUint32(head, castagnoli(block))
}

// end completes the segment and gives its digest in hex.
func (s *segmentWriter) end() (string, error) {
	if err := s.flush(); err != nil {
		return "", err
	}
	tail := binary.LittleEndian.AppendUint64(nil, uint64(s.count))
	tail = s.digest.Sum(tail)
	head := binary.LittleEndian.AppendUint32(make([]byte, 4), castagnoli(tail))
	if _, err := s.to.Write(append(head, tail...)); err != nil {
		return "", err
	}
	return hex.EncodeToString(tail[8:]), nil
}

// segmentReader reads one segment from its beginning.
type segmentReader struct {
	from   *bufio.Reader
	digest hash.Hash
	block  cursor
	count  int64
	buffer []byte
	ended  bool
	// want is the digest the segment must have, empty for any; sum is the one it has, once it was read to its end.
	want string
	sum  string
}

func newSegmentReader(r io.Reader, want string) (*segmentReader, error) {
	s := &segmentReader{from: bufio.NewReaderSize(r, blockSize), digest: sha256.New(), want: want}
	head := make([]byte, len(segmentMagic)+1)
	if _, err := io.ReadFull(s.from, head); err != nil {
		return nil, torn(err)
	}
	if !bytes.HasPrefix(head, []byte(segmentMagic)) {
		return nil, errDamaged
	}
	if v := head[len(segmentMagic)]; v != segmentVersion {
		return nil, fmt.Errorf("%w: format %d, known is %d", errNewer, v, segmentVersion)
	}
	s.digest.Write(head)
	return s, nil
}

func torn(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errTorn
	}
	return err
}

// next gives the next item; false at the end of a segment that is whole.
func (s *segmentReader) next() (item, bool, error) {
	for len(s.block.rest) == 0 {
		if s.ended {
			return item{}, false, nil
		}
		if err := s.readBlock(); err != nil {
			return item{}, false, err
		}
	}
	it, err := readItem(&s.block)
	s.count++
	return it, err == nil, err
}

func (s *segmentReader) readBlock() error {
	var head [8]byte
	if _, err := io.ReadFull(s.from, head[:]); err != nil {
		return torn(err)
	}
	n := binary.LittleEndian.Uint32(head[:4])
	if n == 0 {
		return s.readEnd(head[:])
	}
	if n > maxBlock {
		return errDamaged
	}
	if uint32(cap(s.buffer)) < n {
		s.buffer = make([]byte, n)
	}
	s.buffer = s.buffer[:n]
	if _, err := io.ReadFull(s.from, s.buffer); err != nil {
		return torn(err)
	}
	if castagnoli(s.buffer) != binary.LittleEndian.Uint32(head[4:]) {
		return errDamaged
	}
	s.digest.Write(head[:])
	s.digest.Write(s.buffer)
	s.block = cursor{rest: s.buffer}
	return nil
}

func (s *segmentReader) readEnd(head []byte) error {
	tail := make([]byte, endSize)
	if _, err := io.ReadFull(s.from, tail); err != nil {
		return torn(err)
	}
	sum := s.digest.Sum(nil)
	whole := castagnoli(tail) == binary.LittleEndian.Uint32(head[4:]) &&
		binary.LittleEndian.Uint64(tail) == uint64(s.count) && bytes.Equal(tail[8:], sum)
	if !whole || s.want != "" && s.want != hex.EncodeToString(sum) {
		return errDamaged
	}
	s.ended, s.sum = true, hex.EncodeToString(sum)
	return nil
}
