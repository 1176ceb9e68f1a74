package mirror_test

import (
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

// failing is a simulated target that answers the first produce requests with −1, UNKNOWN_SERVER_ERROR, and how many
// of them came.
func failing(t *testing.T, times int32) (*end, *atomic.Int32) {
	t.Helper()
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID("failing"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	var seen atomic.Int32
	fake.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		fake.KeepControl()
		if seen.Add(1) > times {
			return nil, nil, false
		}
		in := req.(*kmsg.ProduceRequest)
		out := in.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range in.Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
			for _, p := range topic.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition, rp.ErrorCode, rp.BaseOffset = p.Partition, -1, -1
				rt.Partitions = append(rt.Partitions, rp)
			}
			out.Topics = append(out.Topics, rt)
		}
		return out, nil, true
	})
	c := cluster.Open(cluster.Config{Brokers: fake.ListenAddrs()})
	t.Cleanup(func() { _ = c.Close() })
	cl, err := kgo.NewClient(kgo.SeedBrokers(fake.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return &end{addr: fake.ListenAddrs()[0], c: c, cl: cl, a: kadm.NewClient(cl)}, &seen
}

// A broker that fails on the batch itself, as 3.9 and 4.4 do on compressed batches with odd offsets, would fail for
// ever: the partition stops after one retry, and names the batch.
func TestUnknownServerErrorIsTriedTwice(t *testing.T) {
	from, _ := simulated(t)
	to, seen := failing(t, 1<<30)
	topic := from.topic(t, 1, nil)
	from.write(t, topic, 1, 5)
	r := run(t, options(from, to, 1, topic))
	r.stopped("US145")
	if n := seen.Load(); n != 2 {
		t.Fatalf("the batch was sent %d times, not twice", n)
	}
}

func TestUnknownServerErrorOnce(t *testing.T) {
	from, _ := simulated(t)
	to, _ := failing(t, 1)
	topic := from.topic(t, 1, nil)
	from.write(t, topic, 1, 5)
	r := run(t, options(from, to, 1, topic))
	r.caughtUp(from, to, topic)
}
