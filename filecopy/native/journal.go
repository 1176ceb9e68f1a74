package native

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/understudy-dr/understudy/filecopy"
)

// The journal of a run holds what was done for the items of its plan, by their place in it. It is a row of files, each a sequence of
// records: length(4, little endian) crc32c(4) payload. A file that ends in the middle of a record, or with one whose checksum is
// wrong, was torn by a crash and counts up to there: nothing visible depends on a record, so losing one costs work, not truth.

const (
	// journalFile is where a new file begins.
	journalFile = 64 << 20
	// journalSync is how many bytes may be lost in a crash, beside what the kernel writes by itself.
	journalSync = 1 << 20
)

// recordKind says what a record is about.
type recordKind uint8

const (
	// recordBegun gives the handle of a staged file.
	recordBegun recordKind = iota + 1
	// recordPart says that a part is durable at the target.
	recordPart
	// recordSealed gives the finished item.
	recordSealed
	// recordKept says that a segment of the ready list is kept, which holds all items of the plan before Seq.
	recordKept
	// recordRot says what was found when a staged file was read back: Size is 1 where it differed, Number how many bad replicas were met.
	recordRot
)

// correction is by how much a set differs from its plan, because files of a live source changed or vanished since they were listed.
type correction struct{ Entries, Files, Bytes int64 }

// record is one line of the journal.
type record struct {
	Kind recordKind
	Seq  int64
	// Item is the item as it was begun (with its Sealed.Handle), or finished.
	Item item
	// Number, Size and Sum are of a part.
	Number int
	Size   int64
	Sum    filecopy.Checksum
	// Segment is what was kept, and Fix what the account of the set is corrected by so far.
	Segment segmentInfo
	Fix     correction
}

func appendRecord(b []byte, r *record) []byte {
	b = append(b, byte(r.Kind))
	b = binary.AppendVarint(b, r.Seq)
	switch r.Kind {
	case recordBegun, recordSealed:
		b = appendItem(b, &r.Item)
	case recordRot:
		b = binary.AppendVarint(binary.AppendVarint(b, int64(r.Number)), r.Size)
	case recordPart:
		b = binary.AppendVarint(b, int64(r.Number))
		b = binary.AppendVarint(b, r.Size)
		b = binary.LittleEndian.AppendUint32(b, r.Sum.CRC32C)
	case recordKept:
		s := r.Segment
		b = appendString(appendString(b, s.Name), s.Digest)
		b = binary.AppendVarint(b, s.Items)
		b = appendString(appendString(b, string(s.First)), string(s.Last))
		b = binary.AppendVarint(binary.AppendVarint(binary.AppendVarint(b, r.Fix.Entries), r.Fix.Files), r.Fix.Bytes)
	}
	return b
}

func parseRecord(b []byte) (record, error) {
	c := &cursor{rest: b}
	r := record{Kind: recordKind(c.byte()), Seq: c.varint()}
	var err error
	switch r.Kind {
	case recordBegun, recordSealed:
		r.Item, err = readItem(c)
	case recordRot:
		r.Number, r.Size = int(c.varint()), c.varint()
	case recordPart:
		r.Number, r.Size, r.Sum = int(c.varint()), c.varint(), c.sum()
	case recordKept:
		r.Segment = segmentInfo{Name: c.text(), Digest: c.text(), Items: c.varint(), First: []byte(c.text()), Last: []byte(c.text())}
		r.Fix = correction{c.varint(), c.varint(), c.varint()}
	default:
		err = errMalformed
	}
	if c.bad || len(c.rest) > 0 {
		err = errors.Join(err, errMalformed)
	}
	return r, err
}

// journal appends records. It is not safe for concurrent use.
type journal struct {
	dir     string
	number  int
	file    *os.File
	written int64
	dirty   int64
	// before, when set, runs before each append; a test aborts there.
	before func(recordKind) error
}

func journalName(n int) string { return fmt.Sprintf("journal-%06d", n) }

// openJournal reads all records of a directory's journal in order, and begins a new file behind them.
func openJournal(dir string, each func(record) error) (*journal, error) {
	j := &journal{dir: dir}
	for ; ; j.number++ {
		f, err := os.Open(filepath.Join(dir, journalName(j.number)))
		if errors.Is(err, os.ErrNotExist) {
			return j, nil
		}
		if err != nil {
			return nil, err
		}
		err = replay(f, each)
		_ = f.Close()
		if err != nil {
			return nil, err
		}
	}
}

// replay gives the records of one file, up to a torn end.
func replay(f io.Reader, each func(record) error) error {
	in := bufio.NewReaderSize(f, blockSize)
	var head [8]byte
	for {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return ignoreEnd(err)
		}
		n := binary.LittleEndian.Uint32(head[:4])
		if n > maxBlock {
			return nil
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(in, body); err != nil {
			return ignoreEnd(err)
		}
		if castagnoli(body) != binary.LittleEndian.Uint32(head[4:]) {
			return nil
		}
		r, err := parseRecord(body)
		if err == nil {
			err = each(r)
		}
		if err != nil {
			return err
		}
	}
}

func ignoreEnd(err error) error {
	if errors.Is(torn(err), errTorn) {
		return nil
	}
	return err
}

// append adds a record. It is on disk after sync, or some time later.
func (j *journal) append(r *record) error {
	if j.before != nil {
		if err := j.before(r.Kind); err != nil {
			return err
		}
	}
	if j.file == nil || j.written > journalFile {
		if err := j.rotate(); err != nil {
			return err
		}
	}
	body := appendRecord(nil, r)
	b := append(blockHead(body), body...)
	if _, err := j.file.Write(b); err != nil {
		return err
	}
	j.written += int64(len(b))
	j.dirty += int64(len(b))
	if j.dirty < journalSync {
		return nil
	}
	return j.sync()
}

func (j *journal) rotate() error {
	if err := j.close(); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(j.dir, journalName(j.number)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	j.file, j.written = f, 0
	j.number++
	return nil
}

// sync makes all records durable.
func (j *journal) sync() error {
	j.dirty = 0
	if j.file == nil {
		return nil
	}
	return j.file.Sync()
}

// close makes all records durable and closes the file.
func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	err := j.sync()
	if cerr := j.file.Close(); err == nil {
		err = cerr
	}
	j.file = nil
	return err
}
