package demo

import (
	"context"
	"encoding/json"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

// tally says how often each order was found.
type tally map[id]int

// of counts those of the given orders that were found.
func (t tally) of(ids []id) int64 {
	var n int64
	for _, i := range ids {
		if t[i] > 0 {
			n++
		}
	}
	return n
}

// duplicates counts the copies beyond the first.
func (t tally) duplicates() int64 {
	var n int64
	for _, times := range t {
		n += int64(times - 1)
	}
	return n
}

// read consumes everything that a cluster holds, with a consumer that knows nothing of understudy. It knows that
// it has read to the end by the log's own offsets, the control records included.
func read(ctx context.Context, addr string) (tally, error) {
	admin, err := kgo.NewClient(asShop(addr)...)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	names := []string{"orders", "payments"}
	ends, err := kadm.NewClient(admin).ListEndOffsets(ctx, names...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, err
	}
	from := map[string]map[int32]kgo.Offset{}
	left := map[string]map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset == 0 {
			return
		}
		if from[o.Topic] == nil {
			from[o.Topic], left[o.Topic] = map[int32]kgo.Offset{}, map[int32]int64{}
		}
		from[o.Topic][o.Partition], left[o.Topic][o.Partition] = kgo.NewOffset().AtStart(), o.Offset
	})
	consumer, err := kgo.NewClient(append(asShop(addr), kgo.ConsumePartitions(from), kgo.KeepControlRecords())...)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	return consume(ctx, consumer, left)
}

// consume reads until every partition is read up to its end.
func consume(ctx context.Context, consumer *kgo.Client, left map[string]map[int32]int64) (tally, error) {
	found := tally{}
	for open(left) {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		var bad error
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset+1 >= left[r.Topic][r.Partition] {
				delete(left[r.Topic], r.Partition)
			}
			if r.Attrs.IsControl() {
				return
			}
			n, err := parse(r.Value)
			if err != nil {
				bad = err
				return
			}
			found[n]++
		})
		if bad != nil {
			return nil, bad
		}
	}
	return found, nil
}

// open says whether any partition is not read to its end.
func open(left map[string]map[int32]int64) bool {
	for _, partitions := range left {
		if len(partitions) > 0 {
			return true
		}
	}
	return false
}

// ledgered reads what the control plane saved of a workload in ledgers, line by line, and counts the records that it
// says it saved.
func (h *house) ledgered(ctx context.Context, name understudy.WorkloadName, each func(line []byte) error) (claimed int64, err error) {
	records, err := h.control.Ledgers(ctx, plan)
	if err != nil {
		return 0, err
	}
	for _, r := range records {
		if r.Workload != name {
			continue
		}
		claimed += r.Records
		req := control.LedgerRequest{Plan: plan, Workload: r.Workload, Operation: r.Operation, By: operator}
		if err := h.control.ExportLedger(ctx, req, each); err != nil {
			return 0, err
		}
	}
	return claimed, nil
}

// savedOrders reads the orders that the ledgers hold.
func (h *house) savedOrders(ctx context.Context) (ids []id, claimed int64, err error) {
	claimed, err = h.ledgered(ctx, orders, func(line []byte) error {
		var saved struct{ Value []byte }
		if err := json.Unmarshal(line, &saved); err != nil {
			return err
		}
		n, err := parse(saved.Value)
		ids = append(ids, n)
		return err
	})
	return ids, claimed, err
}

// savedFile is what a ledger says of one path of a tree.
type savedFile struct {
	Path string `json:"path"`
	// Kept is where it is kept, below understudy's folder; empty for what is only listed.
	Kept string `json:"kept"`
}

// savedFiles reads what the ledgers list of the tree.
func (h *house) savedFiles(ctx context.Context) (files []savedFile, claimed int64, err error) {
	claimed, err = h.ledgered(ctx, invoices, func(line []byte) error {
		var f savedFile
		err := json.Unmarshal(line, &f)
		files = append(files, f)
		return err
	})
	return files, claimed, err
}

// verdict gives the answer of a verification about a workload.
func verdict(r control.Report, name understudy.WorkloadName) (understudy.Verdict, error) {
	for _, p := range r.Operation.Parts {
		if p.Workload == name && p.Verdict != nil {
			return *p.Verdict, nil
		}
	}
	return understudy.Verdict{}, failed("the verification gave no verdict for "+string(name), nil)
}
