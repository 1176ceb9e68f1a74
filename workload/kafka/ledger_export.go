package kafka

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
)

// exported is one record of a ledger as a JSON line. Keys, values and header values are base64.
type exported struct {
	Topic     string            `json:"topic"`
	Partition string            `json:"partition"`
	Offset    int64             `json:"offset"`
	Time      time.Time         `json:"time"`
	Key       []byte            `json:"key"`
	Value     []byte            `json:"value"`
	Headers   []exportedHeader  `json:"headers,omitempty"`
	Producer  *exportedProducer `json:"producer,omitempty"`
}

type exportedHeader struct {
	Key   string `json:"key"`
	Value []byte `json:"value"`
}

// exportedProducer tells who wrote a record and whether in a transaction, which may have been aborted.
type exportedProducer struct {
	ID            int64 `json:"id"`
	Epoch         int16 `json:"epoch"`
	Transactional bool  `json:"transactional,omitempty"`
}

// exportLedger writes the records saved under a ledger folder as JSON lines, in order of partition and offset.
// Every file is checked against its digest before a line of it is written. A ledger whose files are not on this
// member is an error (US131), never an empty one.
func exportLedger(ctx context.Context, dir string, write func(line []byte) error) error {
	entries, err := readManifest(dir)
	if errors.Is(err, os.ErrNotExist) {
		return missing(filepath.Join(dir, manifestName), err)
	}
	if err != nil {
		return damaged(manifestName, err)
	}
	coder, err := batch.NewCoder(decodedMax)
	if err != nil {
		return bug("kafka.ledger", err.Error())
	}
	for _, e := range entries {
		if err := exportFile(ctx, coder, dir, e, write); err != nil {
			return err
		}
	}
	return nil
}

func missing(path string, err error) error {
	return &understudy.Error{
		Code: "US131", Kind: understudy.KindNotFound, Op: "kafka.ledger",
		Summary: "the ledger's file " + path + " is not on this member", Err: err,
		Why: "a ledger's files are written on the member that ran the operation, and stay in its data directory",
		Fix: "ask the member that ran the operation, or put the folder back from a copy of its data directory",
	}
}

func damaged(file string, err error) error {
	return &understudy.Error{Code: "US129", Kind: understudy.KindBroken, Op: "kafka.ledger", Summary: "the ledger's file " + file + " is damaged", Err: err}
}

// exportFile reads a file twice, once for its digest and once for its records, and holds one batch of it at a time.
func exportFile(ctx context.Context, coder *batch.Coder, dir string, e understudy.LedgerEntry, write func(line []byte) error) error {
	path := filepath.Join(dir, filepath.Base(e.File))
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return missing(path, err)
	}
	if err != nil {
		return damaged(e.File, err)
	}
	err = exportFrom(ctx, coder, f, e, write)
	return errors.Join(err, f.Close())
}

func exportFrom(ctx context.Context, coder *batch.Coder, f *os.File, e understudy.LedgerEntry, write func(line []byte) error) error {
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return damaged(e.File, err)
	}
	if hex.EncodeToString(sum.Sum(nil)) != e.SHA256 {
		return damaged(e.File, errors.New("its digest is not the one of the receipt"))
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return damaged(e.File, err)
	}
	cut := strings.LastIndexByte(e.Shard, '-')
	for in := bufio.NewReaderSize(f, 1<<20); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := nextBatch(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return damaged(e.File, err)
		}
		if b.Control() {
			continue
		}
		if err := exportBatch(coder, b, e, e.Shard[:cut], e.Shard[cut+1:], write); err != nil {
			return err
		}
	}
}

// nextBatch reads one stored batch; io.EOF when there is none after the last.
func nextBatch(in *bufio.Reader) (batch.Batch, error) {
	head, err := in.Peek(batchPrefix)
	if err != nil {
		if len(head) > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	size := batchPrefix + int64(int32(binary.BigEndian.Uint32(head[batchPrefix-4:])))
	if size < batch.HeaderSize {
		return nil, fmt.Errorf("a batch of %d bytes", size)
	}
	raw := make([]byte, size)
	if _, err := io.ReadFull(in, raw); err != nil {
		return nil, errors.Join(io.ErrUnexpectedEOF, err)
	}
	b, _, err := batch.Next(raw)
	if err == nil && b == nil {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

// batchPrefix is the size of a batch's base offset and length, which the length does not count.
const batchPrefix = 12

func exportBatch(coder *batch.Coder, b batch.Batch, e understudy.LedgerEntry, topic, partition string, write func(line []byte) error) error {
	for r, err := range coder.Records(b) {
		if err != nil {
			return damaged(e.File, err)
		}
		if r.Offset < e.First || r.Offset > e.Last {
			continue
		}
		x := exported{Topic: topic, Partition: partition, Offset: r.Offset, Time: millis(r.Timestamp), Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			x.Headers = append(x.Headers, exportedHeader{h.Key, h.Value})
		}
		if p := b.Producer(); p.ID >= 0 {
			x.Producer = &exportedProducer{p.ID, p.Epoch, b.Transactional()}
		}
		line, err := json.Marshal(x)
		if err != nil {
			return bug("kafka.ledger", err.Error())
		}
		if err := write(line); err != nil {
			return err
		}
	}
	return nil
}
