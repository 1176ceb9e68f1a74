package kafkasim

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Target is a broker that the table of answers is put to.
type Target struct {
	// Addr is the listener without SASL; with an authorizer, its User:ANONYMOUS is a super user.
	Addr string
	// SASLAddr admits AnswerUsers with SASL/PLAIN. Empty where there is no authorizer.
	SASLAddr string
	// Restart kills the broker and starts it again. Nil where a case that needs it is to be left out.
	Restart func(context.Context) error
	// Refusals counts how often a transaction's coordinator has been refused a marker. A broker answers a commit before
	// it sends the markers, and no request tells when they came back. Nil where they are sent before the answer.
	Refusals func() int
	// NoTopicIDs says that the broker knows no topic ids in Produce, as before Kafka 4.
	NoTopicIDs bool
	// Replicas are the brokers that have the topics of the table, the one at Addr first; any one when empty.
	Replicas []int32
	// Stall leaves the leader of a topic's partitions alone, until the function that it gives is called. Nil where a case
	// that needs it is to be left out.
	Stall func(topic string) (func(), error)
}

// Fits says whether a case is for the target.
func (c Case) Fits(to Target) bool {
	secured := to.SASLAddr != ""
	switch {
	case c.Authorizer && !secured, c.Open && secured, c.Restart && to.Restart == nil, c.TopicIDs && to.NoTopicIDs, c.Stall && to.Stall == nil:
		return false
	}
	return true
}

// Case is one question to a broker and the answer of Apache Kafka 3.9.1 and 4.4.0: codes and offsets in the
// order of what was done.
type Case struct {
	// Name says what is asked.
	Name string
	// Authorizer says that the target must have one, Open that it must not; all others run with and without.
	Authorizer bool
	Open       bool
	// Restart says that the target must be able to restart.
	Restart bool
	// TopicIDs says that the target must know topic ids in Produce.
	TopicIDs bool
	// Stall says that the leader of a topic must be able to lose its replicas.
	Stall bool
	// Want is what real brokers answer.
	Want string

	ask func(a *asker)
}

// Run puts the case to a target. The error says that no answer came, not that it was the wrong one.
func (c Case) Run(ctx context.Context, to Target) (string, error) {
	a := connect(ctx, to, "")
	a.to = to
	defer a.close()
	name := "answers-" + strings.ReplaceAll(c.Name, " ", "-")
	if code := a.create(name, 2); code != 0 {
		return "", fmt.Errorf("create %s: code %d", name, code)
	}
	a.ask(c)
	return a.answer()
}

func (a *asker) ask(c Case) {
	if a.err == nil {
		c.ask(a)
	}
}

// AnswerUsers are the principals that a target with an authorizer must know, with their passwords. The table
// gives and takes their rights.
func AnswerUsers() map[string]string {
	return map[string]string{"writer": "writer-secret", "alterer": "alterer-secret", "actor": "actor-secret"}
}

// Answers is the table that holds simulated clusters against real brokers. Each case makes a topic of its
// own, so that a target can be asked all of them once.
func Answers() []Case {
	return slices.Concat(appendAnswers(), fenceAnswers(), openAnswers(), markerAnswers(), replicaAnswers(), adminAnswers())
}
