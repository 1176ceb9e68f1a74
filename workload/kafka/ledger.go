package kafka

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

// scanDivergence lists, for each partition of the old primary, what stands there from the cut on. It changes
// nothing. What the reverse link wrote is not divergent: then the partition goes on where it was.
func scanDivergence(ctx context.Context, j *job) (understudy.Receipt, error) {
	a, err := args[scanArgs](j.step)
	if err != nil {
		return understudy.Receipt{}, err
	}
	ranges, err := j.diverged(ctx, a)
	if err != nil {
		return understudy.Receipt{}, err
	}
	r := understudy.Receipt{Warnings: gone(ranges)}
	var records int64
	for _, d := range ranges {
		e, err := j.measure(ctx, d, nil)
		if err != nil {
			return understudy.Receipt{}, err
		}
		records += e.Records
		r.Ledger = append(r.Ledger, e)
	}
	r.Summary = fmt.Sprintf("nothing diverged on %s", j.step.Site)
	if len(ranges) > 0 {
		r.Summary = fmt.Sprintf("%d records in %d partitions stand on %s only", records, len(ranges), j.step.Site)
	}
	return detailed(r, scanDetail{plain(ranges)}), nil
}

// reach is a divergent range and where to read it.
type reach struct {
	divergedRange
	at cluster.Partition
}

func plain(list []reach) []divergedRange {
	out := []divergedRange{}
	for _, r := range list {
		out = append(out, r.divergedRange)
	}
	return out
}

// gone names the ranges whose head the old primary's own retention removed before they could be saved.
func gone(list []reach) []string {
	var out []string
	for _, r := range list {
		if r.Gone > 0 {
			out = append(out, fmt.Sprintf("%s: %d offsets after the cut, up to %d, were removed by retention before they could be saved", r.TP, r.Gone, r.Start-1))
		}
	}
	return out
}

// diverged finds the partitions of the old primary that go on beyond the cut by other hands than ours.
func (j *job) diverged(ctx context.Context, a scanArgs) ([]reach, error) {
	_, parts, err := j.matched(ctx, j.site)
	if err != nil {
		return nil, err
	}
	return j.divergedIn(ctx, a, parts)
}

// divergedIn finds those among the given partitions.
func (j *job) divergedIn(ctx context.Context, a scanArgs, parts []cluster.Partition) ([]reach, error) {
	end, err := j.site.admin.ListOffsets(ctx, j.run.Lease, cluster.End, parts)
	if err != nil {
		return nil, err
	}
	start, err := j.site.admin.ListOffsets(ctx, j.run.Lease, cluster.Start, parts)
	if err != nil {
		return nil, err
	}
	var out []reach
	for _, p := range parts {
		cut, known := a.Cut.Offsets.at(p.TP)
		if !known {
			cut = 0 // the topic or partition came into being after the cut, here only
		}
		from := max(cut, start[p.TP])
		if end[p.TP] <= from {
			continue
		}
		foreign := false
		err := readLog(ctx, j.run.Lease, j.site.admin, p, from, end[p.TP], func(b batch.Batch) (bool, error) {
			foreign = b.Producer().ID != a.PID
			return !foreign, nil
		})
		if err != nil {
			return nil, err
		}
		if foreign {
			out = append(out, reach{divergedRange{TP: p.TP, Start: from, End: end[p.TP], Gone: from - cut}, p})
		}
	}
	return out, nil
}

// measure reads a divergent range and counts it; each stored batch is handed to keep as well.
func (j *job) measure(ctx context.Context, d reach, keep func(batch.Batch) error) (understudy.LedgerEntry, error) {
	e := understudy.LedgerEntry{Shard: d.TP.String(), Site: j.step.Site, First: d.Start, Last: d.End - 1}
	next := d.Start
	err := readLog(ctx, j.run.Lease, j.site.admin, d.at, d.Start, d.End, func(b batch.Batch) (bool, error) {
		next = b.NextOffset()
		e.Bytes += int64(len(b))
		if !b.Control() {
			e.Records += recordsFrom(b, d.Start)
			e.FirstAt, e.LastAt = earlier(e.FirstAt, millis(b.BaseTimestamp())), later(e.LastAt, millis(b.MaxTimestamp()))
		}
		if keep == nil {
			return true, nil
		}
		return true, keep(b)
	})
	if err != nil {
		return e, err
	}
	if next < d.End {
		return e, &understudy.Error{
			Code: "US126", Kind: understudy.KindBroken, Op: "kafka.ledger", Object: j.object(d.TP.String()),
			Summary: fmt.Sprintf("offsets %d to %d could not be read", next, d.End-1),
			Why:     "they vanished while they were read, by retention or compaction", Fix: "retry",
		}
	}
	return e, nil
}

// recordsFrom counts the records of a batch from an offset on; of a batch that lies across it, by decoding.
func recordsFrom(b batch.Batch, from int64) int64 {
	if b.BaseOffset() >= from {
		return int64(b.Count())
	}
	return min(int64(b.Count()), b.NextOffset()-from)
}

func millis(ms int64) time.Time {
	if ms < 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// saveLedger saves the divergent ranges as raw batches, one file each, durable and counted against the log's
// end, and proves it. A second run writes the same files again.
func saveLedger(ctx context.Context, j *job) (understudy.Receipt, error) {
	a, err := args[scanArgs](j.step)
	if err != nil {
		return understudy.Receipt{}, err
	}
	ranges, err := j.diverged(ctx, a)
	if err != nil {
		return understudy.Receipt{}, err
	}
	r := understudy.Receipt{Warnings: gone(ranges)}
	var records int64
	for i, d := range ranges {
		j.count("ledger", int64(i), int64(len(ranges)), "partitions")
		e, err := j.save(ctx, d)
		if err != nil {
			return understudy.Receipt{}, err
		}
		records += e.Records
		r.Ledger = append(r.Ledger, e)
	}
	if len(ranges) > 0 {
		if err := writeManifest(j.run.LedgerDir, r.Ledger); err != nil {
			return understudy.Receipt{}, j.ledgerError("", err)
		}
	}
	again, err := j.diverged(ctx, a)
	if err != nil {
		return understudy.Receipt{}, err
	}
	if !slices.Equal(plain(ranges), plain(again)) {
		return understudy.Receipt{}, &understudy.Error{
			Code: "US129", Kind: understudy.KindConflict, Op: "kafka.ledger", Object: j.object(""),
			Summary: "the old primary's log moved while it was saved", Why: "somebody writes there, in spite of the fence", Fix: "retry",
		}
	}
	proof := j.proof(understudy.ProofLedger, 0)
	proof.Complete = true
	proof.Means = fmt.Sprintf("%d records of %d divergent partitions are saved, fsynced and counted up to the log's end", records, len(ranges))
	r.Summary, r.Proofs = proof.Means, []understudy.Proof{proof}
	return detailed(r, scanDetail{plain(ranges)}), nil
}

func (j *job) ledgerError(shard string, err error) error {
	return &understudy.Error{Code: "US129", Kind: understudy.KindRetry, Op: "kafka.ledger", Object: j.object(shard), Summary: "the ledger cannot be written", Err: err, Fix: "check the data directory's disk, and retry"}
}

// save writes one range into its file.
func (j *job) save(ctx context.Context, d reach) (understudy.LedgerEntry, error) {
	name := ledgerFile(d.TP, d.Start)
	f, err := createDurable(j.run.LedgerDir, name)
	if err != nil {
		return understudy.LedgerEntry{}, j.ledgerError(d.TP.String(), err)
	}
	e, err := j.measure(ctx, d, f.add)
	if err != nil {
		return e, errors.Join(err, f.abandon())
	}
	e.File = name
	if e.SHA256, err = f.finish(); err != nil {
		return e, j.ledgerError(d.TP.String(), err)
	}
	return e, nil
}

// ledgerFile names the file of a range. A topic's name is safe in a file name by Kafka's own rules.
func ledgerFile(tp cluster.TP, start int64) string {
	return fmt.Sprintf("%s.%020d.batches", tp, start)
}

// durable is a file that appears under its name only when all of it is on the disk.
type durable struct {
	file *os.File
	path string
	sum  hash.Hash
}

func createDurable(dir, name string) (*durable, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, name)
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &durable{file: f, path: path, sum: sha256.New()}, nil
}

func (d *durable) add(b batch.Batch) error {
	_, err := io.MultiWriter(d.file, d.sum).Write(b)
	return err
}

func (d *durable) abandon() error {
	return errors.Join(d.file.Close(), os.Remove(d.path+".part"))
}

// finish makes the file durable and gives its digest.
func (d *durable) finish() (string, error) {
	if err := errors.Join(d.file.Sync(), d.file.Close()); err != nil {
		return "", err
	}
	if err := os.Rename(d.path+".part", d.path); err != nil {
		return "", err
	}
	return hex.EncodeToString(d.sum.Sum(nil)), syncDir(filepath.Dir(d.path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

const manifestName = "manifest.json"

// writeManifest writes the list of the ledger's files beside them.
func writeManifest(dir string, entries []understudy.LedgerEntry) error {
	doc, err := json.MarshalIndent(entries, "", "  ")
	if err != nil {
		return err
	}
	f, err := createDurable(dir, manifestName)
	if err != nil {
		return err
	}
	if err := f.add(doc); err != nil {
		return errors.Join(err, f.abandon())
	}
	_, err = f.finish()
	return err
}

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
// Every file is checked against its digest before a line of it is written.
func exportLedger(ctx context.Context, dir string, write func(line []byte) error) error {
	doc, err := os.ReadFile(filepath.Join(dir, manifestName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var entries []understudy.LedgerEntry
	if err == nil {
		err = json.Unmarshal(doc, &entries)
	}
	if err != nil {
		return damaged(manifestName, err)
	}
	coder, err := batch.NewCoder(256 << 20)
	if err != nil {
		return bug("kafka.ledger", err.Error())
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := exportFile(coder, dir, e, write); err != nil {
			return err
		}
	}
	return nil
}

func damaged(file string, err error) error {
	return &understudy.Error{Code: "US129", Kind: understudy.KindBroken, Op: "kafka.ledger", Summary: "the ledger's file " + file + " is damaged", Err: err}
}

func exportFile(coder *batch.Coder, dir string, e understudy.LedgerEntry, write func(line []byte) error) error {
	raw, err := os.ReadFile(filepath.Join(dir, filepath.Base(e.File)))
	if err != nil {
		return damaged(e.File, err)
	}
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != e.SHA256 {
		return damaged(e.File, errors.New("its digest is not the one of the receipt"))
	}
	cut := strings.LastIndexByte(e.Shard, '-')
	for b, err := range batch.Batches(raw) {
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
	return nil
}

func exportBatch(coder *batch.Coder, b batch.Batch, e understudy.LedgerEntry, topic, partition string, write func(line []byte) error) error {
	for r, err := range coder.Records(b) {
		if err != nil {
			return damaged(e.File, err)
		}
		if r.Offset < e.First {
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
