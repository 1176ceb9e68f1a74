package proto

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// errTruncated is given when a message ends in the middle of what it announced.
var errTruncated = errors.New("protocol message is cut short")

// Decoder walks over the fields of one message. The first thing that cannot be read ends the walk and is what Err gives;
// until then a caller need not look at errors.
type Decoder struct {
	rest   []byte
	err    error
	number protowire.Number
	kind   protowire.Type
	value  uint64
	data   []byte
}

// Parse reads a whole message with the given function.
func Parse[T any](b []byte, read func(*Decoder) T) (T, error) {
	d := Decoder{rest: b}
	v := read(&d)
	return v, d.err
}

// Sub reads the current field as an embedded message with the given function. What goes wrong inside is an error of d.
func Sub[T any](d *Decoder, read func(*Decoder) T) T {
	s := Decoder{rest: d.Raw()}
	v := read(&s)
	if d.err == nil {
		d.err = s.err
	}
	return v
}

// Next goes to the next field, and says false at the end of the message or at the first error.
func (d *Decoder) Next() bool {
	if d.err != nil || len(d.rest) == 0 {
		return false
	}
	number, kind, n := protowire.ConsumeTag(d.rest)
	if n < 0 {
		return d.fail(protowire.ParseError(n))
	}
	d.rest = d.rest[n:]
	d.number, d.kind, d.value, d.data = number, kind, 0, nil
	switch kind {
	case protowire.VarintType:
		d.value, n = protowire.ConsumeVarint(d.rest)
	case protowire.Fixed32Type:
		var v uint32
		v, n = protowire.ConsumeFixed32(d.rest)
		d.value = uint64(v)
	case protowire.Fixed64Type:
		d.value, n = protowire.ConsumeFixed64(d.rest)
	case protowire.BytesType:
		d.data, n = protowire.ConsumeBytes(d.rest)
	default:
		// Groups were never used by Hadoop; they are skipped whole.
		n = protowire.ConsumeFieldValue(number, kind, d.rest)
	}
	if n < 0 {
		return d.fail(protowire.ParseError(n))
	}
	d.rest = d.rest[n:]
	return true
}

// Number is the number of the current field.
func (d *Decoder) Number() int { return int(d.number) }

// Err gives what ended the walk before the end of the message.
func (d *Decoder) Err() error { return d.err }

// Fail ends the walk with an error of the caller.
func (d *Decoder) Fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// Uint reads the current field as an unsigned number, an enum or a fixed-size number.
func (d *Decoder) Uint() uint64 {
	if d.kind == protowire.BytesType || d.kind == protowire.StartGroupType {
		d.wrong("a number")
	}
	return d.value
}

// Int reads the current field as int32, int64 or sfixed; a 32-bit negative number is sent with all 64 bits.
func (d *Decoder) Int() int64 { return int64(d.Uint()) }

// Fixed32 reads the current field as a signed number of four bytes.
func (d *Decoder) Fixed32() int32 { return int32(uint32(d.Uint())) }

// Sint reads the current field as a zigzag number.
func (d *Decoder) Sint() int64 { return protowire.DecodeZigZag(d.Uint()) }

// Bool reads the current field as a truth value.
func (d *Decoder) Bool() bool { return d.Uint() != 0 }

// Raw gives the bytes of the current field where they lie: they are valid only as long as the message is.
func (d *Decoder) Raw() []byte {
	if d.kind != protowire.BytesType {
		d.wrong("bytes")
	}
	return d.data
}

// Bytes gives a copy of the bytes of the current field.
func (d *Decoder) Bytes() []byte { return bytes.Clone(d.Raw()) }

// String gives the current field as a string. Hadoop's names are not checked to be UTF-8: they go back as they came.
func (d *Decoder) String() string { return string(d.Raw()) }

// Uints appends the current field to list: one number, or many in the packed form.
func (d *Decoder) Uints(list []uint64) []uint64 {
	if d.kind != protowire.BytesType {
		return append(list, d.Uint())
	}
	for b := d.data; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			d.fail(protowire.ParseError(n))
			return list
		}
		list, b = append(list, v), b[n:]
	}
	return list
}

// wrong records a field that has another form than the one it is read in.
func (d *Decoder) wrong(want string) {
	d.fail(fmt.Errorf("field %d of a protocol message is not %s", d.number, want))
	d.value, d.data = 0, nil
}

// fail records the first error.
func (d *Decoder) fail(err error) bool {
	if d.err == nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errTruncated
		}
		d.err = err
	}
	return false
}

// Rest gives what is not read yet, where it lies.
func (d *Decoder) Rest() []byte { return d.rest }
