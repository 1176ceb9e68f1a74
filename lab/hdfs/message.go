package hdfs

import (
	"encoding/binary"
	"errors"
)

// errBadImage says that an image is not what Hadoop writes.
var errBadImage = errors.New("the image of the NameNode cannot be read")

// message is a protocol buffer that is being written.
type message []byte

func (m message) uint(number int, value uint64) message {
	return binary.AppendUvarint(binary.AppendUvarint(m, uint64(number)<<3), value)
}

func (m message) fixed(number int, value uint64) message {
	return binary.LittleEndian.AppendUint64(binary.AppendUvarint(m, uint64(number)<<3|1), value)
}

func (m message) data(number int, value []byte) message {
	return append(binary.AppendUvarint(binary.AppendUvarint(m, uint64(number)<<3|2), uint64(len(value))), value...)
}

// field is one field of a protocol buffer that is read; raw is all of it.
type field struct {
	number int
	value  uint64
	data   []byte
	raw    []byte
}

// parseMessage takes a protocol buffer apart, as far as images need it.
func parseMessage(b []byte) ([]field, error) {
	var all []field
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, errBadImage
		}
		f := field{number: int(key >> 3)}
		size := 0
		switch key & 7 {
		case 0:
			f.value, size = binary.Uvarint(b[n:])
		case 1:
			if size = 8; len(b) >= n+size {
				f.value = binary.LittleEndian.Uint64(b[n:])
			}
		case 2:
			data, rest, err := delimited(b[n:])
			if err != nil {
				return nil, err
			}
			f.data, size = data, len(b)-n-len(rest)
		}
		if size <= 0 || len(b) < n+size {
			return nil, errBadImage
		}
		f.raw, b = b[:n+size], b[n+size:]
		all = append(all, f)
	}
	return all, nil
}

// find gives the first field of a number; an empty one where there is none.
func find(all []field, number int) field {
	for _, f := range all {
		if f.number == number {
			return f
		}
	}
	return field{}
}

// delimited cuts off what has its length before it.
func delimited(b []byte) (data, rest []byte, err error) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, nil, errBadImage
	}
	return b[n : n+int(size)], b[n+int(size):], nil
}
