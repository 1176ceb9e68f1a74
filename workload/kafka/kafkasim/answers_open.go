package kafkasim

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// openAnswers are about transactions that have not ended, as their coordinators tell.
func openAnswers() []Case {
	return []Case{
		{
			Name: "a transaction without records", ask: askAdded,
			Want: "listed=Ongoing described=Ongoing/0 lso=0 end=0 nobody=105 commit=0 end=1 listed=none described=over",
		},
		{
			Name: "an append limit of 0 over a transaction without records", Restart: true, ask: askAddedHung,
			Want: "commit=0 listed=PrepareCommit described=PrepareCommit/0 reopened=2 init=51 listed=PrepareCommit lso=0 end=0 restarted=0",
		},
		{
			Name: "who sees transactions", Authorizer: true, ask: askSeesOpen,
			Want: "nobody=53 listed=none described=53 allowed-nobody=105 allowed-listed=Ongoing topics=Ongoing/ allowed-topics=Ongoing/0",
		},
	}
}

func askAdded(a *asker) {
	const txn = "answers-added"
	pid, epoch := a.begin(txn)
	a.say("listed", a.listed(txn))
	a.say("described", a.described(txn))
	a.say("lso", a.lso())
	a.say("end", a.end())
	a.say("nobody", a.described("answers-nobody"))
	a.say("commit", a.finish(txn, pid, epoch, true))
	a.say("end", a.reaches(a.end, 1))
	a.until(func() bool { return a.listed(txn) == "none" })
	a.say("listed", a.listed(txn))
	a.say("described", a.described(txn))
}

func askAddedHung(a *asker) {
	const txn = "answers-added-hung"
	pid, epoch := a.begin(txn)
	a.limit("0", "10")
	a.say("commit", a.finishRefused(txn, pid, epoch))
	a.say("listed", a.listed(txn))
	a.say("described", a.described(txn))
	a.limit("", "2")
	a.say("reopened", a.probe())
	_, _, code := a.initProducer(txn)
	a.say("init", code)
	a.say("listed", a.listed(txn))
	a.say("lso", a.lso())
	a.say("end", a.end())
	if err := a.to.Restart(a.ctx); err != nil {
		a.fail(err)
		return
	}
	fresh := connect(a.ctx, a.to, "")
	defer fresh.close()
	fresh.topic, fresh.id = a.topic, a.id
	fresh.coordinator(1, txn)
	fresh.until(func() bool { _, _, code = fresh.initProducer(txn); return code == 0 })
	// Where the coordinator starts before the partition has its leader again, it takes the topic for deleted, and
	// the marker is never written: the id goes on, and the log's end tells nothing.
	a.say("restarted", code)
	a.fail(fresh.err)
}

func askSeesOpen(a *asker) {
	const txn = "answers-sees-open"
	a.begin(txn)
	w := a.alias("writer")
	defer w.close()
	w.say("nobody", w.described("answers-nobody"))
	w.say("listed", w.listed(txn))
	w.say("described", w.described(txn))
	a.acl("writer", kmsg.ACLResourceTypeTransactionalId, "*", kmsg.ACLOperationDescribe, kmsg.ACLPermissionTypeAllow)
	w.until(func() bool { return w.described("answers-nobody") != "53" })
	w.say("allowed-nobody", w.described("answers-nobody"))
	w.say("allowed-listed", w.listed(txn))
	w.say("topics", w.described(txn))
	a.acl("writer", kmsg.ACLResourceTypeTopic, a.topic, kmsg.ACLOperationDescribe, kmsg.ACLPermissionTypeAllow)
	w.until(func() bool { return w.described(txn) != "Ongoing/" })
	w.say("allowed-topics", w.described(txn))
	a.said = w.said
	a.fail(w.err)
}

// listed gives the state of a transactional id among the transactions that have not ended, asked for by state.
func (a *asker) listed(txn string) string {
	req := kmsg.NewPtrListTransactionsRequest()
	req.StateFilters = []string{"Ongoing", "PrepareCommit", "PrepareAbort"}
	for _, t := range a.request(req).(*kmsg.ListTransactionsResponse).TransactionStates {
		if t.TransactionalID == txn {
			return t.TransactionState
		}
	}
	return "none"
}

// described gives the state of a transactional id and its partitions of the case's topic that wait for a marker,
// or the code, or that nothing waits.
func (a *asker) described(txn string) string {
	req := kmsg.NewPtrDescribeTransactionsRequest()
	req.TransactionalIDs = []string{txn}
	states := a.request(req).(*kmsg.DescribeTransactionsResponse).TransactionStates
	if len(states) == 0 {
		return "nothing"
	}
	t := states[0]
	switch {
	case t.ErrorCode != 0:
		return fmt.Sprint(t.ErrorCode)
	case t.State != "Ongoing" && !strings.HasPrefix(t.State, "Prepare"):
		return "over"
	}
	var parts list
	for _, topic := range t.Topics {
		for _, p := range topic.Partitions {
			parts.add(fmt.Sprint(p))
		}
	}
	return t.State + "/" + parts.String()
}
