package kafkasim

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// list collects answers of the same kind.
type list []string

func (l *list) add(s string) { *l = append(*l, s) }

// String joins them.
func (l list) String() string { return strings.Join(l, ",") }

// begin starts a transaction with partition 0 in it, once the coordinator is ready.
func (a *asker) begin(txn string) (pid int64, epoch int16) {
	a.coordinator(1, txn)
	a.until(func() bool {
		var code int16
		pid, epoch, code = a.initProducer(txn)
		return code == 0
	})
	a.until(func() bool { return a.addPartition(txn, pid, epoch) == 0 })
	return pid, epoch
}

// coordinator waits until the coordinator of a group (0) or a transactional id (1) is known; the first
// question makes the broker create the topic behind it.
func (a *asker) coordinator(of int8, name string) {
	a.until(func() bool {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.CoordinatorType, req.CoordinatorKey, req.CoordinatorKeys = of, name, []string{name}
		resp := a.request(req).(*kmsg.FindCoordinatorResponse)
		for _, c := range resp.Coordinators {
			return c.ErrorCode == 0
		}
		return resp.ErrorCode == 0
	})
}

func (a *asker) initProducer(txn string) (int64, int16, int16) {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis = &txn, 60_000
	req.ProducerID, req.ProducerEpoch = -1, -1
	resp := a.request(req).(*kmsg.InitProducerIDResponse)
	return resp.ProducerID, resp.ProducerEpoch, resp.ErrorCode
}

// addPartition uses the version of old clients, which all brokers still take.
func (a *asker) addPartition(txn string, pid int64, epoch int16) int16 {
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = txn, pid, epoch
	t := kmsg.NewAddPartitionsToTxnRequestTopic()
	t.Topic, t.Partitions = a.topic, []int32{0}
	req.Topics = append(req.Topics, t)
	for _, t := range a.request(req).(*kmsg.AddPartitionsToTxnResponse).Topics {
		for _, p := range t.Partitions {
			return p.ErrorCode
		}
	}
	return kerr.UnknownServerError.Code
}

func (a *asker) finish(txn string, pid int64, epoch int16, commit bool) int16 {
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = txn, pid, epoch, commit
	return a.request(req).(*kmsg.EndTxnResponse).ErrorCode
}

// finishRefused commits, and waits until the coordinator has been refused the marker: a marker on its way would still
// pass once the topic is open again.
func (a *asker) finishRefused(txn string, pid int64, epoch int16) int16 {
	refusals := a.to.Refusals
	if refusals == nil {
		return a.finish(txn, pid, epoch, true)
	}
	before := refusals()
	code := a.finish(txn, pid, epoch, true)
	a.until(func() bool { return refusals() > before })
	return code
}
