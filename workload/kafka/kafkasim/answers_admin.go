package kafkasim

import (
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func adminAnswers() []Case {
	return []Case{
		{
			Name: "configurations of a topic", ask: askConfigs,
			Want: "default=604800000/DEFAULT_CONFIG set=0 value=-1/DYNAMIC_TOPIC_CONFIG removed=0 value=604800000/DEFAULT_CONFIG unknown=40 bad=40 create=40",
		},
		{
			Name: "deleted records", ask: askDeleteRecords,
			Want: "to-4=0@4 start=4 end=6 fetch-2=1 beyond=1 compacted=44",
		},
		{
			Name: "a topic made anew", ask: askRecreate,
			Want: "wrote=0@0 committed=1 deleted=0 created=0 same-id=false committed=-1 fresh-sequence=0@0",
		},
		{
			Name: "commits for a group", ask: askCommit,
			Want: "empty=0 committed=3 beyond-the-end=0 committed=99 backwards=0 committed=3 no-topic=3 text=0 committed-text=4096 longer-text=12 committed-text=4096 active=25 committed=3",
		},
		{Name: "a write under the id of a deleted topic", TopicIDs: true, ask: askStaleID, Want: "stale=100 end=0"},
		{Name: "one write under the ids of several topics that are gone", TopicIDs: true, ask: askStaleIDs, Want: "stale=100 stale=100 ours=0 end=1"},
		{Name: "ACLs without an authorizer", Open: true, ask: askNoACLs, Want: "describe=54 create=54 delete=54 authorizer=/DEFAULT_CONFIG super=none rights=1111110100000"},
		{
			Name: "ACLs", Authorizer: true, ask: askACLs,
			Want: "none=0 create=0 one=1 prefixed=1 delete=0 none=0 super=hidden/STATIC_BROKER_CONFIG rights=1111110100000 writer=0 writer-describe=31 " +
				"authorizer=org.apache.kafka.metadata.authorizer.StandardAuthorizer/STATIC_BROKER_CONFIG",
		},
	}
}

func askConfigs(a *asker) {
	a.say("default", a.config("retention.ms"))
	a.say("set", a.set("retention.ms", "-1"))
	a.until(func() bool { return a.config("retention.ms") == "-1/DYNAMIC_TOPIC_CONFIG" })
	a.say("value", a.config("retention.ms"))
	a.say("removed", a.set("retention.ms", ""))
	a.until(func() bool { return a.config("retention.ms") != "-1/DYNAMIC_TOPIC_CONFIG" })
	a.say("value", a.config("retention.ms"))
	a.say("unknown", a.set("no.such.thing", "1"))
	a.say("bad", a.set("max.message.bytes", "-1"))
	a.say("create", a.create(a.topic+"-bad", 1, "no.such.thing", "1"))
}

func askDeleteRecords(a *asker) {
	for range 2 {
		a.produce(craft{pid: -1, epoch: -1, seq: -1, n: 3}.bytes())
	}
	a.say("to-4", a.deleteTo(4))
	a.say("start", a.start())
	a.say("end", a.end())
	a.say("fetch-2", a.fetchCode(2))
	a.say("beyond", a.deleteTo(9))
	a.create(a.topic+"-compacted", 1, "cleanup.policy", "compact")
	a.produce(craft{pid: -1, epoch: -1, seq: -1, n: 3}.bytes())
	a.say("compacted", a.deleteTo(1))
}

// deleteTo gives code@low watermark, or the code alone.
func (a *asker) deleteTo(offset int64) string {
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = 10_000
	t := kmsg.NewDeleteRecordsRequestTopic()
	t.Topic = a.topic
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Offset = offset
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	for _, t := range a.request(req).(*kmsg.DeleteRecordsResponse).Topics {
		if len(t.Partitions) > 0 {
			p := t.Partitions[0]
			if p.ErrorCode == 0 {
				return fmt.Sprintf("0@%d", p.LowWatermark)
			}
			return fmt.Sprint(p.ErrorCode)
		}
	}
	return "nothing"
}

// fetchCode asks for records from an offset on.
func (a *asker) fetchCode(offset int64) int16 {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxBytes, req.SessionEpoch = -1, 1<<20, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = a.topic, a.id
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes = offset, 1<<20
	p.CurrentLeaderEpoch, p.LastFetchedEpoch, p.LogStartOffset = -1, -1, -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	for _, t := range a.request(req).(*kmsg.FetchResponse).Topics {
		for _, p := range t.Partitions {
			return p.ErrorCode
		}
	}
	return -1
}

func askRecreate(a *asker) {
	a.say("wrote", a.write(crafted, 0, 0, 2))
	a.commit("answers-recreate", 1)
	a.say("committed", a.committed("answers-recreate"))
	stale := a.id
	a.say("deleted", a.delete())
	name, code := a.topic, int16(36)
	a.until(func() bool { code = a.create(name, 2); return code == 0 })
	a.say("created", code)
	a.say("same-id", stale == a.id)
	a.until(func() bool { return a.committed("answers-recreate") == -1 })
	a.say("committed", a.committed("answers-recreate"))
	a.say("fresh-sequence", a.write(crafted, 0, 0, 2))
}

func askCommit(a *asker) {
	a.write(crafted, 0, 0, 5)
	a.say("empty", a.commit("answers-commit", 3))
	a.say("committed", a.committed("answers-commit"))
	a.say("beyond-the-end", a.commit("answers-commit", 99))
	a.say("committed", a.committed("answers-commit"))
	a.say("backwards", a.commit("answers-commit", 3))
	a.say("committed", a.committed("answers-commit"))
	a.say("no-topic", a.commitTo("answers-commit", "answers-no-such-topic", 0, ""))
	text := strings.Repeat("x", 4096)
	a.say("text", a.commitTo("answers-commit", a.topic, 3, text))
	a.say("committed-text", len(a.committedText("answers-commit")))
	a.say("longer-text", a.commitTo("answers-commit", a.topic, 3, text+"x"))
	a.say("committed-text", len(a.committedText("answers-commit")))
	member, err := kgo.NewClient(kgo.SeedBrokers(a.to.Addr), kgo.ConsumerGroup("answers-commit"), kgo.ConsumeTopics(a.topic),
		kgo.DisableAutoCommit(), kgo.FetchMaxWait(200*time.Millisecond))
	if err != nil {
		a.fail(err)
		return
	}
	defer member.Close()
	fetched := member.PollFetches(a.ctx)
	a.fail(fetched.Err())
	a.say("active", a.commit("answers-commit", 1))
	a.say("committed", a.committed("answers-commit"))
}

// commit sets the position of a group from outside, once its coordinator is ready.
func (a *asker) commit(group string, offset int64) (code int16) {
	a.coordinator(0, group)
	a.until(func() bool {
		code = a.commitTo(group, a.topic, offset, "")
		return code < 14 || code > 16 // loading, not available, not coordinator
	})
	return code
}

// commitTo commits by topic name, in the last version that knows names.
func (a *asker) commitTo(group, topic string, offset int64, text string) int16 {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = group, -1
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic = topic
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset, p.LeaderEpoch, p.Metadata = offset, -1, &text
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	for _, t := range a.request(req).(*kmsg.OffsetCommitResponse).Topics {
		for _, p := range t.Partitions {
			return p.ErrorCode
		}
	}
	return kerr.UnknownServerError.Code
}

// committed gives the position of a group; −1 for none.
func (a *asker) committed(group string) int64 {
	at, _ := a.position(group)
	return at
}

// committedText gives the text that was committed with the position of a group.
func (a *asker) committedText(group string) string {
	_, own := a.position(group)
	return own
}

func (a *asker) position(group string) (int64, string) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = group
	t := kmsg.NewOffsetFetchRequestTopic()
	t.Topic, t.Partitions = a.topic, []int32{0}
	req.Topics = append(req.Topics, t)
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	gt := kmsg.NewOffsetFetchRequestGroupTopic()
	gt.Topic, gt.TopicID, gt.Partitions = a.topic, a.id, []int32{0}
	g.Topics = append(g.Topics, gt)
	req.Groups = append(req.Groups, g)
	resp := a.request(req).(*kmsg.OffsetFetchResponse)
	for _, g := range resp.Groups {
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				return p.Offset, text(p.Metadata)
			}
		}
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			return p.Offset, text(p.Metadata)
		}
	}
	return -2, ""
}
