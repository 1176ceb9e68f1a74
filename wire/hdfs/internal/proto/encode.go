// Package proto writes and reads the fields of protocol buffer messages, one by one, as Hadoop puts them on the wire.
// It knows the encoding and nothing of what the messages mean.
package proto

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Message is an encoded message that grows by a field with each call. Its zero value is the empty message.
type Message []byte

// String appends a string field.
func (m Message) String(n protowire.Number, s string) Message {
	return protowire.AppendString(protowire.AppendTag(m, n, protowire.BytesType), s)
}

// Strings appends one field for each string.
func (m Message) Strings(n protowire.Number, list []string) Message {
	for _, s := range list {
		m = m.String(n, s)
	}
	return m
}

// Bytes appends a field of bytes, or an embedded message.
func (m Message) Bytes(n protowire.Number, b []byte) Message {
	return protowire.AppendBytes(protowire.AppendTag(m, n, protowire.BytesType), b)
}

// Uint appends an unsigned number or an enum.
func (m Message) Uint(n protowire.Number, v uint64) Message {
	return protowire.AppendVarint(protowire.AppendTag(m, n, protowire.VarintType), v)
}

// Int appends a number that may be negative, in the two's complement of int32 and int64 fields.
func (m Message) Int(n protowire.Number, v int64) Message {
	return m.Uint(n, uint64(v))
}

// Sint appends a number in the zigzag form of sint32 and sint64 fields.
func (m Message) Sint(n protowire.Number, v int64) Message {
	return m.Uint(n, protowire.EncodeZigZag(v))
}

// Bool appends a truth value.
func (m Message) Bool(n protowire.Number, v bool) Message {
	return m.Uint(n, protowire.EncodeBool(v))
}

// Fixed32 appends four bytes, little-endian.
func (m Message) Fixed32(n protowire.Number, v uint32) Message {
	return protowire.AppendFixed32(protowire.AppendTag(m, n, protowire.Fixed32Type), v)
}

// Fixed64 appends eight bytes, little-endian.
func (m Message) Fixed64(n protowire.Number, v uint64) Message {
	return protowire.AppendFixed64(protowire.AppendTag(m, n, protowire.Fixed64Type), v)
}

// Delimited appends the message to b with its length before it, as Hadoop frames messages in a stream.
func (m Message) Delimited(b []byte) []byte {
	return protowire.AppendBytes(b, m)
}

// SplitDelimited takes one length-delimited message from the front of b.
// The error says that b is shorter than its own length claims.
func SplitDelimited(b []byte) (message, rest []byte, err error) {
	n, used := binary.Uvarint(b)
	if used <= 0 || n > math.MaxInt32 || uint64(len(b)-used) < n {
		return nil, nil, errTruncated
	}
	return b[used : used+int(n)], b[used+int(n):], nil
}
