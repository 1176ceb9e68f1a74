package mirror_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/lab/kafka"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

// TestDivergingAnswerStopsThePartition has a source that tells a running mover, on an open connection, that its
// history is another one: so answers a leader that was elected without the records that were copied (KIP-595).
func TestDivergingAnswerStopsThePartition(t *testing.T) {
	_, to := simulated(t)
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID("diverging"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	c := cluster.Open(cluster.Config{Brokers: fake.ListenAddrs()})
	t.Cleanup(func() { _ = c.Close() })
	cl, err := kgo.NewClient(kgo.SeedBrokers(fake.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	from := &end{addr: fake.ListenAddrs()[0], c: c, cl: cl, a: kadm.NewClient(cl)}
	topic := from.topic(t, 1, nil)
	from.write(t, topic, 1, 20)
	r := run(t, options(from, to, 3, topic))
	r.caughtUp(from, to, topic)
	var asked atomic.Int32
	asked.Store(-2)
	fake.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		fake.KeepControl()
		f := req.(*kmsg.FetchRequest)
		resp := f.ResponseKind().(*kmsg.FetchResponse)
		for _, t := range f.Topics {
			rt := kmsg.NewFetchResponseTopic()
			rt.Topic, rt.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				asked.Store(p.LastFetchedEpoch)
				rp := kmsg.NewFetchResponseTopicPartition()
				rp.Partition, rp.HighWatermark, rp.LastStableOffset = p.Partition, 27, 27
				rp.DivergingEpoch.Epoch, rp.DivergingEpoch.EndOffset = 0, 12
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	if sh := r.stopped("US143"); sh.State != understudy.Diverged {
		t.Fatalf("%+v", sh)
	}
	if asked.Load() < 0 {
		t.Errorf("the source was asked with last fetched epoch %d", asked.Load())
	}
	if e := to.ends(t, topic); e[0] != 20 {
		t.Errorf("the target ends at %d", e[0])
	}
}

// TestSourceThatLostRecords gives a source the log back that it had before some of the copied records, as a restored
// disk or an unclean election would, and lets it grow beyond where it was: a plain fetch would go on in another history.
func TestSourceThatLostRecords(t *testing.T) {
	s := live.start(t)
	for _, b := range []*kafka.Broker{s.old, s.new} {
		t.Run(b.Version(), func(t *testing.T) {
			other := s.old
			if b == s.old {
				other = s.new
			}
			from, to := pair(t, b, other)
			topic := from.topic(t, 1, nil)
			from.write(t, topic, 1, 12)
			log := filepath.Join(s.dir, b.Version(), "data", topic+"-0")
			stopBroker(t, b)
			kept := filepath.Join(t.TempDir(), "kept")
			if err := os.CopyFS(kept, os.DirFS(log)); err != nil {
				t.Fatal(err)
			}
			startBroker(t, b)
			from.write(t, topic, 1, 8)
			r := run(t, options(from, to, 3, topic))
			r.caughtUp(from, to, topic)
			epoch := from.leader(t, topic).LeaderEpoch
			stopBroker(t, b)
			if err := os.RemoveAll(log); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(log, os.DirFS(kept)); err != nil {
				t.Fatal(err)
			}
			startBroker(t, b)
			from.write(t, topic, 1, 15)
			if e := from.ends(t, topic); e[0] != 27 {
				t.Fatalf("the source ends at %d", e[0])
			}
			if got := from.diverging(t, topic, 20, epoch); got != 12 {
				t.Errorf("the source says that history differs from %d on, not from 12", got)
			}
			until(t, func() (bool, string) {
				p := r.progress()
				stopped := len(p.Shards) == 1 && p.Shards[0].State == understudy.Diverged && p.Shards[0].Error != nil
				return stopped && (p.Shards[0].Error.Code == "US141" || p.Shards[0].Error.Code == "US143"), fmt.Sprintf("%+v", p)
			})
			if e := to.ends(t, topic); e[0] != 20 {
				t.Errorf("the target ends at %d", e[0])
			}
		})
	}
}

func stopBroker(t *testing.T, b *kafka.Broker) {
	t.Helper()
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func startBroker(t *testing.T, b *kafka.Broker) {
	t.Helper()
	if err := b.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// leader gives the topic's one partition and its leader as they are now.
func (e *end) leader(t *testing.T, topic string) cluster.Partition {
	t.Helper()
	var p cluster.Partition
	until(t, func() (bool, string) {
		md, err := e.c.Metadata(t.Context(), understudy.Lease{}, topic)
		if err != nil || len(md.Topics[topic].Partitions) == 0 {
			return false, fmt.Sprint(md.Topics, err)
		}
		p = md.Topics[topic].Partitions[0]
		return p.Leader >= 0, fmt.Sprint(p)
	})
	return p
}

// diverging fetches as the mover does, and gives the end of the common history that the answer names; -1 for none.
func (e *end) diverging(t *testing.T, topic string, offset int64, epoch int32) int64 {
	t.Helper()
	at := e.leader(t, topic)
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.SessionEpoch, req.MaxBytes = -1, -1, 1<<20
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = topic, at.ID
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.FetchOffset, rp.PartitionMaxBytes = offset, 1<<20
	rp.CurrentLeaderEpoch, rp.LastFetchedEpoch, rp.LogStartOffset = -1, epoch, -1
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := e.cl.Broker(int(at.Leader)).RetriableRequest(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range resp.(*kmsg.FetchResponse).Topics {
		for _, p := range topic.Partitions {
			return p.DivergingEpoch.EndOffset
		}
	}
	return -1
}
