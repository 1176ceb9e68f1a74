package batch

import "encoding/binary"

// Control is the record of a control batch. In a topic of users only transaction markers occur.
type Control struct {
	// Marker says whether it ends a transaction; other control records have types this package does not know.
	Marker bool
	// Commit says which way a marker ends it.
	Commit bool
	// CoordinatorEpoch is the epoch of the transaction coordinator that had a marker written.
	CoordinatorEpoch int32
	// Type is the type field of the key: 0 ABORT, 1 COMMIT.
	Type int16
}

const (
	typeAbort  = 0
	typeCommit = 1

	controlKeySize   = 4 // version and type
	controlValueSize = 6 // version and coordinator epoch
)

// ReadControl gives the control record of a control batch. The error wraps ErrCorrupt, also when the batch
// is not a control batch or holds more or less than one record.
func (c *Coder) ReadControl(b Batch) (Control, error) {
	if !b.Control() || b.Count() != 1 {
		return Control{}, corrupt("no control record at offset %d", b.BaseOffset())
	}
	recs, err := c.Decode(b)
	if err != nil {
		return Control{}, err
	}
	key, value := recs[0].Key, recs[0].Value
	if len(key) < controlKeySize {
		return Control{}, corrupt("control record with a key of %d bytes at offset %d", len(key), b.BaseOffset())
	}
	out := Control{Type: int16(binary.BigEndian.Uint16(key[2:]))}
	if out.Type != typeAbort && out.Type != typeCommit {
		return out, nil
	}
	if len(value) < controlValueSize {
		return Control{}, corrupt("marker with a value of %d bytes at offset %d", len(value), b.BaseOffset())
	}
	out.Marker, out.Commit = true, out.Type == typeCommit
	out.CoordinatorEpoch = int32(binary.BigEndian.Uint32(value[2:]))
	return out, nil
}

// Marker makes the batch of a transaction marker as a broker writes it, MarkerSize bytes. Brokers take it
// from no client: it is what a log holds, for simulators and tests. Only p's ID and Epoch count.
func Marker(p Producer, commit bool, coordinatorEpoch int32, timestamp int64) Batch {
	key, value := make([]byte, controlKeySize), make([]byte, controlValueSize)
	if commit {
		binary.BigEndian.PutUint16(key[2:], typeCommit)
	}
	binary.BigEndian.PutUint32(value[2:], uint32(coordinatorEpoch))
	record := appendRecord(nil, Record{Key: key, Value: value}, 0, 0)
	body := binary.AppendVarint(make([]byte, HeaderSize), int64(len(record)))
	b := Batch(append(body, record...))
	p.Sequence = -1
	b.fill(shape{
		producer: p, attributes: controlBit | transactionalBit, baseTimestamp: timestamp, maxTimestamp: timestamp, count: 1,
	}, None)
	return b
}
