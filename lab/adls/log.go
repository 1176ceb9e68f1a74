package adls

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"time"
)

// logName is the file in the directory.
const logName = "changes.log"

// maxRecord refuses lengths that nobody wrote.
const maxRecord = 1 << 30

// state is all that the server holds, and the log that it can be made from.
type state struct {
	systems map[string]*filesystem
	// file is nil without a directory.
	file *os.File
	last int64
}

// open reads the log of a directory, and cuts off what was torn; without a directory nothing is kept.
func open(dir string) (*state, error) {
	s := &state{systems: map[string]*filesystem{}}
	if dir == "" {
		return s, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, logName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	s.file = file
	good, err := s.replay(bufio.NewReaderSize(file, 1<<20))
	if err == nil {
		err = file.Truncate(good)
	}
	if err == nil {
		_, err = file.Seek(good, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("log of %s: %w", dir, err), file.Close())
	}
	return s, nil
}

// replay applies all whole records, and gives where they end.
func (s *state) replay(r io.Reader) (good int64, err error) {
	for {
		c, size, err := readRecord(r)
		if errors.Is(err, errTorn) {
			return good, nil
		}
		if err != nil {
			return good, err
		}
		if err := s.apply(c); err != nil {
			return good, fmt.Errorf("record at %d: %w", good, err)
		}
		s.last = max(s.last, c.At.UnixNano())
		good += size
	}
}

// errTorn ends a log: nothing of what follows was acknowledged.
var errTorn = errors.New("torn")

// A record is its header (lengths of change and data, and their checksum), the change as JSON, and the data.
const headerSize = 12

func readRecord(r io.Reader) (change, int64, error) {
	var c change
	header := make([]byte, headerSize)
	if _, err := io.ReadFull(r, header); err != nil {
		return c, 0, torn(err)
	}
	said, size := binary.BigEndian.Uint32(header), binary.BigEndian.Uint32(header[4:])
	if said > maxRecord || size > maxRecord {
		return c, 0, errTorn
	}
	body := make([]byte, int(said)+int(size))
	if _, err := io.ReadFull(r, body); err != nil {
		return c, 0, torn(err)
	}
	if crc32.ChecksumIEEE(body) != binary.BigEndian.Uint32(header[8:]) {
		return c, 0, errTorn
	}
	if err := json.Unmarshal(body[:said], &c); err != nil {
		return c, 0, err
	}
	if c.data = body[said:]; size == 0 {
		c.data = nil
	}
	return c, int64(headerSize + len(body)), nil
}

func torn(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errTorn
	}
	return err
}

// stamp gives a change its time, which no other has, and its ETag.
func (s *state) stamp(c *change) {
	s.last = max(s.last+1, time.Now().UnixNano())
	c.At = time.Unix(0, s.last).UTC()
	c.ETag = fmt.Sprintf("0x%016X", s.last)
}

// commit writes a change to the disk, and makes it.
func (s *state) commit(c change) error {
	if s.file != nil {
		said, err := c.encode()
		if err != nil {
			return err
		}
		record := make([]byte, headerSize, headerSize+len(said)+len(c.data))
		record = append(append(record, said...), c.data...)
		binary.BigEndian.PutUint32(record, uint32(len(said)))
		binary.BigEndian.PutUint32(record[4:], uint32(len(c.data)))
		binary.BigEndian.PutUint32(record[8:], crc32.ChecksumIEEE(record[headerSize:]))
		if _, err := s.file.Write(record); err != nil {
			return err
		}
		if err := s.file.Sync(); err != nil {
			return err
		}
	}
	return s.apply(c)
}

func (s *state) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
