package kafkasim

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/understudy-dr/understudy/lab/kafka"
)

// TestAnswersOfRealBrokers puts the table to Apache Kafka: where it fails, the simulator and the product stand
// on something that is not so.
func TestAnswersOfRealBrokers(t *testing.T) {
	for _, version := range []string{kafka.V39, kafka.V44} {
		t.Run(version, func(t *testing.T) {
			open := kafka.Options{Version: version, Name: "open"}
			closed := kafka.Options{Version: version, Name: "closed", Authorizer: true, Users: AnswerUsers()}
			for _, b := range kafka.BootAll(t, open, closed) {
				t.Run(b.Name(), func(t *testing.T) { put(t, targetOf(t, b)) })
			}
		})
	}
}

func targetOf(t *testing.T, b *kafka.Broker) Target {
	t.Helper()
	refusals := func() int {
		log, err := os.ReadFile(b.Log())
		if err != nil {
			t.Error(err)
		}
		return bytes.Count(log, []byte("Received fatal error "))
	}
	return Target{Addr: b.Addr(), SASLAddr: b.SASLAddr(), NoTopicIDs: b.Version() == kafka.V39, Refusals: refusals, Restart: func(ctx context.Context) error {
		if err := b.Kill(); err != nil {
			return err
		}
		return b.Restart(ctx)
	}}
}
