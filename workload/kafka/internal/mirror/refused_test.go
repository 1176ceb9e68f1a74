package mirror_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

// faked is a simulated target whose answers a test can change.
func faked(t *testing.T) (*end, *kfake.Cluster) {
	t.Helper()
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID("faked"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	c := cluster.Open(cluster.Config{Brokers: fake.ListenAddrs()})
	t.Cleanup(func() { _ = c.Close() })
	cl, err := kgo.NewClient(kgo.SeedBrokers(fake.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return &end{addr: fake.ListenAddrs()[0], c: c, cl: cl, a: kadm.NewClient(cl)}, fake
}

// failing is a simulated target that answers a produce request with the code when the number of those that came, this
// one included, is one that fails; and that number.
func failing(t *testing.T, code int16, fails func(int32) bool) (*end, *atomic.Int32) {
	t.Helper()
	to, fake := faked(t)
	var seen atomic.Int32
	fake.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		fake.KeepControl()
		if !fails(seen.Add(1)) {
			return nil, nil, false
		}
		in := req.(*kmsg.ProduceRequest)
		out := in.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range in.Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
			for _, p := range topic.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition, rp.ErrorCode, rp.BaseOffset = p.Partition, code, -1
				rt.Partitions = append(rt.Partitions, rp)
			}
			out.Topics = append(out.Topics, rt)
		}
		return out, nil, true
	})
	return to, &seen
}

// A broker that fails with −1, UNKNOWN_SERVER_ERROR, on the batch itself, as 3.9 and 4.4 do on compressed batches with odd offsets, would fail for
// ever: the partition stops after one retry, and names the batch.
func TestUnknownServerErrorIsTriedTwice(t *testing.T) {
	from, _ := simulated(t)
	to, seen := failing(t, -1, func(int32) bool { return true })
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
	to, _ := failing(t, -1, func(n int32) bool { return n == 1 })
	topic := from.topic(t, 1, nil)
	from.write(t, topic, 1, 5)
	r := run(t, options(from, to, 1, topic))
	r.caughtUp(from, to, topic)
}

// A missing right and a topic that is closed by its append limit are the owner's to change: the partition says what is
// refused, goes on trying, and goes on when it may.
func TestARefusedAppendIsTriedUntilItIsTaken(t *testing.T) {
	for name, c := range map[string]struct {
		code int16
		want string
	}{
		"a right is missing":      {29, "the right WRITE on topic "},
		"the topic takes nothing": {10, "the broker refused the request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, _ := simulated(t)
			var granted atomic.Bool
			to, _ := failing(t, c.code, func(int32) bool { return !granted.Load() })
			topic := from.topic(t, 1, nil)
			from.write(t, topic, 1, 5)
			r := run(t, options(from, to, 1, topic))
			until(t, func() (bool, string) {
				p := r.progress()
				refused := len(p.Shards) == 1 && p.Shards[0].Error != nil && p.Shards[0].Error.Code == "US146"
				return refused && strings.HasPrefix(p.Shards[0].Error.Summary, c.want) && p.State != understudy.Protected, fmt.Sprintf("%+v", p)
			})
			granted.Store(true)
			r.caughtUp(from, to, topic)
			until(t, func() (bool, string) {
				p := r.progress()
				return p.State == understudy.Protected && p.Shards[0].Error == nil, fmt.Sprintf("%+v", p)
			})
		})
	}
}

// A topic with more partitions on the target than on the source is told and not touched, and the link does not count
// as protected; the topics beside it are followed.
func TestATopicOfAnotherShapeIsNotFollowed(t *testing.T) {
	from, to := simulated(t)
	good, odd := from.topic(t, 2, nil), from.topic(t, 2, nil)
	to.create(t, odd, 3, nil)
	from.write(t, good, 2, 5)
	from.write(t, odd, 2, 5)
	r := run(t, options(from, to, 1, good, odd))
	r.caughtUp(from, to, good)
	want := fmt.Sprintf("US148: topic %s has 3 partitions on the target and 2 on the source; it is not followed", odd)
	until(t, func() (bool, string) {
		p := r.progress()
		return slices.Contains(p.Notes, want) && len(p.Shards) == 2, fmt.Sprintf("%+v", p)
	})
	if p := r.progress(); p.State == understudy.Protected || sum(to.ends(t, odd)) != 0 {
		t.Fatalf("%+v, and the target ends at %v", p, to.ends(t, odd))
	}
}

// Positions that the target refuses are told with the missing right, data goes on, and the positions follow when they
// may.
func TestRefusedPositionsAreToldAndFollowLater(t *testing.T) {
	from, _ := simulated(t)
	to, fake := faked(t)
	var granted atomic.Bool
	fake.ControlKey(int16(kmsg.OffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		fake.KeepControl()
		if granted.Load() {
			return nil, nil, false
		}
		in := req.(*kmsg.OffsetCommitRequest)
		out := in.ResponseKind().(*kmsg.OffsetCommitResponse)
		for _, topic := range in.Topics {
			rt := kmsg.NewOffsetCommitResponseTopic()
			rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
			for _, p := range topic.Partitions {
				rp := kmsg.NewOffsetCommitResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, cluster.CodeGroupDenied
				rt.Partitions = append(rt.Partitions, rp)
			}
			out.Topics = append(out.Topics, rt)
		}
		return out, nil, true
	})
	topic := from.topic(t, 1, nil)
	group := "group-" + topic
	from.write(t, topic, 1, 5)
	from.commit(t, group, topic, 3)
	r := run(t, options(from, to, 1, topic))
	r.caughtUp(from, to, topic)
	until(t, func() (bool, string) {
		p := r.progress()
		told := slices.ContainsFunc(p.Notes, func(n string) bool {
			return strings.HasPrefix(n, "groups: US150: ") && strings.Contains(n, "the right READ on group "+group+" is missing")
		})
		return told && p.State == understudy.Protected, fmt.Sprintf("%+v", p)
	})
	granted.Store(true)
	to.waitPositions(t, group, topic, from.positions(t, group, topic, 1))
	until(t, func() (bool, string) {
		p := r.progress()
		return !slices.ContainsFunc(p.Notes, func(n string) bool { return strings.Contains(n, "US150") }), fmt.Sprintf("%+v", p)
	})
}
