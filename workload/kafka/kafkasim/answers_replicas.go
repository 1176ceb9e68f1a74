package kafkasim

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func replicaAnswers() []Case {
	return []Case{
		{
			Name: "where a leader epoch ends", ask: askEpochEnds,
			Want: "empty=0@0 wrote=0@0 marker=0 end=4 current=0@4 later=-1@-1 from-this-one=0@4 from-a-later-one=75 no-topic=3",
		},
		{
			Name: "what replicas do not have", Stall: true, ask: askStalled,
			Want: "wrote=0@0 content-with-one=0@3 all=19 all-damaged=19 marker=19 producer={epoch 0 seq 2 coordinator -1 txn -1} end=3 lso=3 log=5 " +
				"seen=3 at-the-end=0 caught-up=5 log=5 seen=5 all=0@5",
		},
	}
}

func askEpochEnds(a *asker) {
	a.say("empty", a.epochEnd(a.topic, -1, 0))
	a.say("wrote", a.write(crafted, 0, 0, 3))
	a.say("marker", a.markers(crafted, 0, 0, 1))
	a.say("end", a.end())
	a.say("current", a.epochEnd(a.topic, -1, 0))
	a.say("later", a.epochEnd(a.topic, -1, 1))
	a.say("from-this-one", a.epochEnd(a.topic, 0, 0))
	a.say("from-a-later-one", a.epochEnd(a.topic, 1, 0))
	a.say("no-topic", a.epochEnd("answers-no-such-topic", -1, 0))
}

// epochEnd gives epoch@end of a leader epoch (OffsetForLeaderEpoch, KIP-320), or the code; current is the epoch that we take
// for the leader's.
func (a *asker) epochEnd(topic string, current, epoch int32) string {
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	req.ReplicaID = -1
	t := kmsg.NewOffsetForLeaderEpochRequestTopic()
	t.Topic = topic
	p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
	p.CurrentLeaderEpoch, p.LeaderEpoch = current, epoch
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	for _, t := range a.request(req).(*kmsg.OffsetForLeaderEpochResponse).Topics {
		if len(t.Partitions) > 0 {
			p := t.Partitions[0]
			if p.ErrorCode != 0 {
				return fmt.Sprint(p.ErrorCode)
			}
			return fmt.Sprintf("%d@%d", p.LeaderEpoch, p.EndOffset)
		}
	}
	return "nothing"
}

// logEnd is where the leader's log ends, whoever has it.
func (a *asker) logEnd() (end int64) {
	var epoch int32
	if _, err := fmt.Sscanf(a.epochEnd(a.topic, -1, a.epoch), "%d@%d", &epoch, &end); err != nil {
		a.fail(err)
	}
	return end
}

func askStalled(a *asker) {
	one := craft{pid: -1, epoch: -1, seq: -1, n: 2}
	a.say("wrote", a.write(crafted, 0, 0, 3))
	end, err := a.to.Stall(a.topic)
	if err != nil {
		a.fail(err)
		return
	}
	a.until(a.led)
	hasty := a.alias("", kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	defer hasty.close()
	hasty.until(hasty.led)
	a.say("content-with-one", hasty.produce(one.bytes()))
	a.say("all", a.write(crafted, 0, 3, 1))
	damaged := one.bytes()
	damaged[atCRC] ^= 0xff
	a.say("all-damaged", a.produce(damaged))
	a.say("marker", a.markers(crafted, 1, 0, 1))
	a.say("producer", a.producers(crafted))
	a.say("end", a.end())
	a.say("lso", a.lso())
	a.say("log", a.logEnd())
	a.say("seen", a.seen())
	a.say("at-the-end", a.fetchCode(5))
	end()
	a.until(a.led)
	a.say("caught-up", a.reaches(a.end, 5))
	a.say("log", a.logEnd())
	a.say("seen", a.seen())
	a.say("all", a.produce(one.bytes()))
	a.fail(hasty.err)
}

// seen is the offset up to which a consumer that begins at 0 is given records.
func (a *asker) seen() int64 {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxBytes, req.SessionEpoch = -1, 1<<20, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = a.topic, a.id
	p := kmsg.NewFetchRequestTopicPartition()
	p.PartitionMaxBytes, p.CurrentLeaderEpoch, p.LastFetchedEpoch, p.LogStartOffset = 1<<20, -1, -1, -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	next := int64(-1)
	for _, t := range a.request(req).(*kmsg.FetchResponse).Topics {
		for _, p := range t.Partitions {
			for b, rest, ok := cutBatch(p.RecordBatches); ok; b, rest, ok = cutBatch(rest) {
				v := view(b)
				next = v.base + int64(v.lastDelta) + 1
			}
		}
	}
	return next
}
