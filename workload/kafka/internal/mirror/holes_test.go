package mirror_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

// hollow is a source whose log ends further than its records: a cleaner took the last ones. Local is the
// first offset that is not in remote storage.
func hollow(t *testing.T, last int64, local *atomic.Int64) *end {
	t.Helper()
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID("hollow"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	fake.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
		fake.KeepControl()
		req := r.(*kmsg.ListOffsetsRequest)
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, rt := range req.Topics {
			st := kmsg.NewListOffsetsResponseTopic()
			st.Topic = rt.Topic
			for _, rp := range rt.Partitions {
				sp := kmsg.NewListOffsetsResponseTopicPartition()
				sp.Partition = rp.Partition
				sp.Offset = map[int64]int64{-1: last, -2: 0, -4: local.Load()}[rp.Timestamp]
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
		return resp, nil, true
	})
	fake.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		fake.KeepControl()
		req := r.(*kmsg.FetchRequest)
		at := req.Topics[0].Partitions[0]
		if at.FetchOffset < 10 {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		st := kmsg.NewFetchResponseTopic()
		st.Topic, st.TopicID = req.Topics[0].Topic, req.Topics[0].TopicID
		sp := kmsg.NewFetchResponseTopicPartition()
		sp.Partition, sp.HighWatermark, sp.LastStableOffset, sp.LogStartOffset = at.Partition, last, last, 0
		st.Partitions = append(st.Partitions, sp)
		resp.Topics = append(resp.Topics, st)
		return resp, nil, true
	})
	c := cluster.Open(cluster.Config{Brokers: fake.ListenAddrs()})
	t.Cleanup(func() { _ = c.Close() })
	cl, err := kgo.NewClient(kgo.SeedBrokers(fake.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return &end{addr: fake.ListenAddrs()[0], c: c, cl: cl, a: kadm.NewClient(cl)}
}

func TestEmptyTailIsFilledWithMarkers(t *testing.T) {
	var local atomic.Int64
	from := hollow(t, 12, &local)
	_, to := simulated(t)
	topic := from.topic(t, 1, nil)
	from.write(t, topic, 1, 10)
	r := run(t, options(from, to, 1, topic))
	until(t, func() (bool, string) {
		p := r.progress()
		return to.ends(t, topic)[0] == 12 && !p.Safe.IsZero(), fmt.Sprintf("%+v", p)
	})
	if n := len(to.read(t, topic)); n != 10 {
		t.Fatalf("%d records", n)
	}
}

func TestSlowRemoteStorageIsNotAnEmptyTail(t *testing.T) {
	var local atomic.Int64
	local.Store(12) // what seems to be missing lies in remote storage
	from := hollow(t, 12, &local)
	_, to := simulated(t)
	topic := from.topic(t, 1, nil)
	from.write(t, topic, 1, 10)
	r := run(t, options(from, to, 1, topic))
	if sh := r.stopped("US151"); to.ends(t, topic)[0] != 10 {
		t.Fatalf("%+v", sh)
	}
}
