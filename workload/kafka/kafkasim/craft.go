package kafkasim

import (
	"encoding/binary"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// craft is a batch for the table of answers, right or wrong in one thing.
type craft struct {
	pid   int64
	epoch int16
	seq   int32
	n     int32
	pad   int // bytes in each value

	base       int64
	attributes int16
	count      int32 // added to the count field
	delta      int32 // added to the last offset delta field
	ahead      int64 // of the clock, in milliseconds
}

func (c craft) bytes() []byte {
	stamp := time.Now().UnixMilli() + c.ahead // old records would fall to retention at once
	var records []byte
	for i := range c.n {
		r := kmsg.Record{OffsetDelta: i, Key: []byte("k"), Value: make([]byte, c.pad)}
		one := r.AppendTo(nil) // with a length of 0, one byte
		r.Length = int32(len(one) - 1)
		records = r.AppendTo(records)
	}
	b := kmsg.RecordBatch{
		FirstOffset: c.base, PartitionLeaderEpoch: -1, Magic: 2, Attributes: c.attributes, LastOffsetDelta: c.n - 1 + c.delta,
		FirstTimestamp: stamp, MaxTimestamp: stamp, ProducerID: c.pid, ProducerEpoch: c.epoch, FirstSequence: c.seq,
		NumRecords: c.n + c.count, Records: records,
	}
	out := b.AppendTo(nil)
	binary.BigEndian.PutUint32(out[atLength:], uint32(len(out)-12))
	seal(out)
	return out
}
