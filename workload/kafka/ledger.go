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
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

// scanDivergence lists what stands on the old primary only. It changes nothing.
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
		r.Summary = fmt.Sprintf("%d records in %d partitions stand on %s only", records, partitions(ranges), j.step.Site)
	}
	return detailed(r, found(ranges)), nil
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
			first := b.BaseTimestamp()
			if b.LogAppendTime() { // then all its records have the broker's time
				first = b.MaxTimestamp()
			}
			e.FirstAt, e.LastAt = earlier(e.FirstAt, millis(first)), later(e.LastAt, millis(b.MaxTimestamp()))
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
		j.count("ledger", int64(i), int64(len(ranges)), "ranges")
		e, err := j.save(ctx, d, ledgerFile(d.TP, d.Start))
		if err != nil {
			return understudy.Receipt{}, err
		}
		records += e.Records
		r.Ledger = append(r.Ledger, e)
	}
	// Also an empty ledger has its list, so that a missing one is never taken for an empty one.
	if err := writeManifest(j.run.LedgerDir, r.Ledger); err != nil {
		return understudy.Receipt{}, j.ledgerError("", err)
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
	proof.Means = fmt.Sprintf("%d records of %d divergent partitions are saved, fsynced and counted up to the log's end", records, partitions(ranges))
	r.Summary, r.Proofs = proof.Means, []understudy.Proof{proof}
	return detailed(r, found(ranges)), nil
}

func (j *job) ledgerError(shard string, err error) error {
	return &understudy.Error{Code: "US129", Kind: understudy.KindRetry, Op: "kafka.ledger", Object: j.object(shard), Summary: "the ledger cannot be written", Err: err, Fix: "check the data directory's disk, and retry"}
}

// save writes one range into its file.
func (j *job) save(ctx context.Context, d reach, name string) (understudy.LedgerEntry, error) {
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

// readManifest reads the list of a ledger's files.
func readManifest(dir string) ([]understudy.LedgerEntry, error) {
	doc, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return nil, err
	}
	var entries []understudy.LedgerEntry
	return entries, json.Unmarshal(doc, &entries)
}

// writeManifest writes the list of the ledger's files beside them.
func writeManifest(dir string, entries []understudy.LedgerEntry) error {
	if entries == nil {
		entries = []understudy.LedgerEntry{}
	}
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
