package kafkasim

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// hungTxn is a transaction whose markers an append limit refused: the coordinator believes it ended, the
// partitions do not.
type hungTxn struct {
	pid int64
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
	closed := false
	for _, t := range topics {
		limit, err := c.appendLimit(t.Topic)
		if err != nil {
			return nil, err
		}
		if limit < markerSize {
			closed = true
			continue
		}
		mt := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
		mt.Topic, mt.Partitions = t.Topic, t.Partitions
		open.Topics = append(open.Topics, mt)
	}
	if !closed {
		return nil, nil
	}
	c.hung[req.TransactionalID] = hungTxn{pid: req.ProducerID}
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
