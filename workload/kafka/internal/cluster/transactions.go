package cluster

import (
	"context"
	"crypto/rand"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
)

// Transaction is a transaction that has not ended on all of its partitions.
type Transaction struct {
	// ID is the transactional id.
	ID       string
	Producer int64
	// State is Kafka's word: Ongoing, PrepareCommit, PrepareAbort, PrepareEpochFence.
	State string
	// Partitions are those that wait for the transaction's marker, whether it wrote there or not. Only
	// OpenTransactions tells.
	Partitions []TP
}

// openStates are the states in which a coordinator has yet to write markers.
func openStates() []string {
	return []string{"Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence"}
}

// ListTransactions lists the transactions that are not finished (KIP-664), as all coordinators know them. Brokers
// before 3.0 do not know the request: then it says so by false. Transactional ids that we may not DESCRIBE are
// left out by the brokers.
func (c *Cluster) ListTransactions(ctx context.Context, lease understudy.Lease) ([]Transaction, bool, error) {
	const op = "kafka.listtransactions"
	if known, err := c.knows(ctx, lease, kmsg.ListTransactions); err != nil || !known {
		return nil, false, err
	}
	shards, err := c.sharded(ctx, lease, op, kmsg.NewPtrListTransactionsRequest())
	if err != nil {
		return nil, false, err
	}
	var out []Transaction
	for _, resp := range shards {
		r := resp.(*kmsg.ListTransactionsResponse)
		if err := c.Refused(op, "", r.ErrorCode, ""); err != nil {
			return nil, false, err
		}
		for _, t := range r.TransactionStates {
			if slices.Contains(openStates(), t.TransactionState) {
				out = append(out, Transaction{ID: t.TransactionalID, Producer: t.ProducerID, State: t.TransactionState})
			}
		}
	}
	slices.SortFunc(out, func(a, b Transaction) int { return compareStrings(a.ID, b.ID) })
	return out, true, nil
}

// OpenTransactions is ListTransactions with the partitions of each, also those to which it has not written. A
// transaction that ends meanwhile is left out.
func (c *Cluster) OpenTransactions(ctx context.Context, lease understudy.Lease) ([]Transaction, bool, error) {
	all, known, err := c.ListTransactions(ctx, lease)
	if err != nil || !known || len(all) == 0 {
		return nil, known, err
	}
	req := kmsg.NewPtrDescribeTransactionsRequest()
	for _, t := range all {
		req.TransactionalIDs = append(req.TransactionalIDs, t.ID)
	}
	shards, err := c.sharded(ctx, lease, describeTransactions, req)
	if err != nil {
		return nil, false, err
	}
	var out []Transaction
	for _, resp := range shards {
		for _, t := range resp.(*kmsg.DescribeTransactionsResponse).TransactionStates {
			if t.ErrorCode == codeNoTransaction {
				continue
			}
			if err := c.Refused(describeTransactions, "", t.ErrorCode, DescribeTransactional); err != nil {
				return nil, false, err
			}
			if slices.Contains(openStates(), t.State) {
				out = append(out, Transaction{t.TransactionalID, t.ProducerID, t.State, partitionsOf(t.Topics)})
			}
		}
	}
	slices.SortFunc(out, func(a, b Transaction) int { return compareStrings(a.ID, b.ID) })
	return out, true, nil
}

const (
	describeTransactions = "kafka.describetransactions"
	// codeNoTransaction is TRANSACTIONAL_ID_NOT_FOUND.
	codeNoTransaction = 105
	// DescribeTransactional is the right that listing all transactions needs.
	DescribeTransactional = "DESCRIBE on all transactional ids"
)

func partitionsOf(topics []kmsg.DescribeTransactionsResponseTransactionStateTopic) []TP {
	var out []TP
	for _, t := range topics {
		for _, p := range t.Partitions {
			out = append(out, TP{t.Topic, p})
		}
	}
	return out
}

// SeesTransactions says whether a broker shows us all transactions: it leaves out the transactional ids that we may
// not DESCRIBE, without a word. So it is asked for an id that nobody has, and whoever may not know says so before it
// is looked up. A rule that denies single ids stays unseen. Brokers before 3.0 list no transactions: then it says so
// by the second false.
func (c *Cluster) SeesTransactions(ctx context.Context, lease understudy.Lease, broker int32) (sees, known bool, err error) {
	if known, err = c.knows(ctx, lease, kmsg.DescribeTransactions); err != nil || !known {
		return false, false, err
	}
	req := kmsg.NewPtrDescribeTransactionsRequest()
	req.TransactionalIDs = []string{"understudy-" + rand.Text()}
	// Not to its coordinator: the question for that would make a broker without transactions create a topic.
	resp, err := c.ask(ctx, lease, broker, req)
	if err != nil {
		return false, true, err
	}
	for _, t := range resp.(*kmsg.DescribeTransactionsResponse).TransactionStates {
		return t.ErrorCode != codeTransactionalDenied, true, nil
	}
	return false, true, nil
}

// sharded sends a request that changes nothing to each broker that has a part of the answer.
func (c *Cluster) sharded(ctx context.Context, lease understudy.Lease, op string, req kmsg.Request) ([]kmsg.Response, error) {
	bounded, cancel, cl, err := c.bounded(ctx, lease, op)
	if err != nil {
		return nil, err
	}
	defer cancel()
	var out []kmsg.Response
	for _, shard := range cl.RequestSharded(bounded, req) {
		if shard.Err != nil {
			return nil, c.failed(ctx, lease, op, shard.Err)
		}
		out = append(out, shard.Resp)
	}
	return out, nil
}
