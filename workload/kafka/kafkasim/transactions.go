package kafkasim

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// hungTxn is a transaction whose markers an append limit refused: the coordinator believes it ended, the
// partitions do not.
type hungTxn struct {
	pid    int64
	epoch  int16
	commit bool
	// topics are those whose markers were refused; marked says that others got theirs.
	topics []kmsg.DescribeTransactionsResponseTransactionStateTopic
	marked bool
}

// state is what the coordinator says of it.
func (h hungTxn) state() string {
	if h.commit {
		return "PrepareCommit"
	}
	return "PrepareAbort"
}

// transaction relays what the coordinator is asked, except about transactions that hang.
func (cl *client) transaction(in inbound) ([]byte, error) {
	c := cl.cluster
	c.log.Lock()
	defer c.log.Unlock()
	switch req := in.req.(type) {
	case *kmsg.InitProducerIDRequest:
		if _, hangs := c.hung[text(req.TransactionalID)]; hangs {
			resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
			resp.ErrorCode, resp.ProducerID, resp.ProducerEpoch = kerr.ConcurrentTransactions.Code, -1, -1
			return encode(resp, in.corr), nil
		}
	case *kmsg.AddPartitionsToTxnRequest:
		if _, hangs := c.hung[req.TransactionalID]; hangs {
			return encode(concurrent(req), in.corr), nil
		}
	case *kmsg.EndTxnRequest:
		resp, err := c.endBehindLimit(req)
		if err != nil {
			return nil, err
		}
		if resp != nil {
			return encode(resp, in.corr), nil
		}
	}
	return cl.up.relay(in.frame)
}

// concurrent answers CONCURRENT_TRANSACTIONS for every partition.
func concurrent(req *kmsg.AddPartitionsToTxnRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.AddPartitionsToTxnResponse)
	for _, t := range req.Topics {
		rt := kmsg.NewAddPartitionsToTxnResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p, kerr.ConcurrentTransactions.Code
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// endBehindLimit ends a transaction of which some partition is closed to markers: the client hears success,
// the open partitions get their markers, the closed ones never do. It gives nil when no limit is in the
// way, and kfake ends the transaction.
func (c *Cluster) endBehindLimit(req *kmsg.EndTxnRequest) (kmsg.Response, error) {
	topics, err := c.topicsOf(req.TransactionalID)
	if err != nil {
		return nil, err
	}
	open := kmsg.NewWriteTxnMarkersRequestMarker()
	open.ProducerID, open.ProducerEpoch, open.Committed = req.ProducerID, req.ProducerEpoch, req.Commit
	h := hungTxn{pid: req.ProducerID, epoch: req.ProducerEpoch, commit: req.Commit}
	for _, t := range topics {
		limit, err := c.appendLimit(t.Topic)
		if err != nil {
			return nil, err
		}
		if limit < markerSize {
			h.topics = append(h.topics, t)
			continue
		}
		mt := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
		mt.Topic, mt.Partitions = t.Topic, t.Partitions
		open.Topics = append(open.Topics, mt)
	}
	if len(h.topics) == 0 {
		return nil, nil
	}
	h.marked = len(open.Topics) > 0
	c.hung[req.TransactionalID] = h
	if len(open.Topics) > 0 {
		markers := kmsg.NewPtrWriteTxnMarkersRequest()
		markers.Markers = append(markers.Markers, open)
		if _, err := c.ask(markers); err != nil {
			return nil, err
		}
	}
	resp := req.ResponseKind().(*kmsg.EndTxnResponse)
	resp.ProducerID, resp.ProducerEpoch = req.ProducerID, req.ProducerEpoch+1
	return resp, nil
}

// topicsOf asks for the partitions of an open transaction; none when there is none.
func (c *Cluster) topicsOf(txn string) ([]kmsg.DescribeTransactionsResponseTransactionStateTopic, error) {
	req := kmsg.NewPtrDescribeTransactionsRequest()
	req.TransactionalIDs = []string{txn}
	answer, err := c.ask(req)
	if err != nil {
		return nil, err
	}
	for _, state := range answer.(*kmsg.DescribeTransactionsResponse).TransactionStates {
		return state.Topics, nil
	}
	return nil, errSilent
}

// openTransactions relays a question about transactions. Of one that hangs, kfake does not know that it was to end.
func (cl *client) openTransactions(in inbound) ([]byte, error) {
	c := cl.cluster
	c.log.Lock()
	defer c.log.Unlock()
	var states []string
	if req, ok := in.req.(*kmsg.ListTransactionsRequest); ok {
		states, req.StateFilters = req.StateFilters, nil
	}
	answer, err := cl.exchange(in)
	if err != nil {
		return nil, err
	}
	switch resp := answer.(type) {
	case *kmsg.ListTransactionsResponse:
		for i := range resp.TransactionStates {
			if h, hangs := c.hung[resp.TransactionStates[i].TransactionalID]; hangs {
				resp.TransactionStates[i].TransactionState = h.state()
			}
		}
		resp.TransactionStates = slices.DeleteFunc(resp.TransactionStates, func(t kmsg.ListTransactionsResponseTransactionState) bool {
			return len(states) > 0 && !slices.Contains(states, t.TransactionState)
		})
	case *kmsg.DescribeTransactionsResponse:
		for i := range resp.TransactionStates {
			t := &resp.TransactionStates[i]
			if h, hangs := c.hung[t.TransactionalID]; hangs && t.ErrorCode == 0 {
				t.State, t.Topics = h.state(), h.topics
			}
		}
	}
	return encode(answer, in.corr), nil
}

// resume lets the coordinators send the markers again that an append limit refused, as they do when they start.
// The log must be held.
func (c *Cluster) resume() error {
	for txn, h := range c.hung {
		closed := h.marked // kfake would write every marker of it
		for _, t := range h.topics {
			limit, err := c.appendLimit(t.Topic)
			if err != nil {
				return err
			}
			closed = closed || limit < markerSize
		}
		if closed {
			continue
		}
		req := kmsg.NewPtrEndTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = txn, h.pid, h.epoch, h.commit
		if _, err := c.ask(req); err != nil {
			return err
		}
		delete(c.hung, txn)
	}
	return nil
}

// hangs says whether a producer's transaction hangs.
func (c *Cluster) hangs(pid int64) bool {
	for _, h := range c.hung {
		if h.pid == pid {
			return true
		}
	}
	return false
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
