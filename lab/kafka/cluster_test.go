package kafka_test

import (
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/lab/kafka"
)

// TestClusterGoesOnWithoutOne kills one of three brokers, of which two must have each record, and brings it back.
func TestClusterGoesOnWithoutOne(t *testing.T) {
	three := kafka.BootClusters(t, kafka.Options{Version: kafka.V44, Name: "three", Brokers: 3, Replication: 3, MinInsync: 2})[0]
	c, last := kafka.OpenClient(t, kafka.V44), three.Node(3)
	if three.Node(4) != nil || last.ClusterID() != three.Node(1).ClusterID() || len(three.Addrs()) != 3 {
		t.Errorf("the brokers are %v, of clusters %s and %s", three.Addrs(), three.Node(1).ClusterID(), last.ClusterID())
	}
	a := kafka.Access{Addr: strings.Join(three.Addrs(), ",")}
	must(t, c.CreateTopics(t.Context(), a, kafka.Topic{Name: "kept", Partitions: 3}))
	p, err := c.Producer(t.Context(), a, nil)
	must(t, err)
	must(t, last.Kill())
	var all []kafka.Out
	for i, r := range values("kept", 30) {
		r.Partition = int32(i % 3)
		all = append(all, r)
	}
	if answers, err := p.Send(t.Context(), all...); err != nil || len(answers.Acks) != 30 {
		t.Errorf("without one: %+v, %v", answers, err)
	}
	must(t, p.Close(t.Context()))
	before := dump(t, c, a, "kept")
	must(t, last.Restart(t.Context()))
	if d := before.Diff(dump(t, c, last.Access(), "kept"), 5); d != nil {
		t.Errorf("after its return: %s", strings.Join(d, "\n"))
	}
}

func TestClusterOfOneIsRefused(t *testing.T) {
	if _, err := kafka.StartCluster(t.Context(), kafka.Options{Version: kafka.V44, Name: "x", Dir: t.TempDir(), Brokers: 1}); err == nil {
		t.Error("a cluster of one was started")
	}
}
