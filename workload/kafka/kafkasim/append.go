package kafkasim

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ruling is what was decided about one partition of a produce request before kfake saw it.
type ruling struct {
	at         shard
	known      bool // at is a topic that exists
	seen       batchView
	spoiled    bool // kfake got a batch with a wrong checksum, so that it checks rights and size only
	verdict    verdict
	wellFormed bool
	alone      bool // the leader has too few replicas in sync for what the batch wants
}

// produce carries out a produce request. Batches that the producer rules refuse reach kfake with a wrong
// checksum: what it refuses before the checksum (rights, size) keeps its place in the order of checks, and
// its CORRUPT_MESSAGE becomes our verdict.
func (cl *client) produce(in inbound, req *kmsg.ProduceRequest) ([]byte, error) {
	c := cl.cluster
	c.log.Lock()
	defer c.log.Unlock()
	names, strangers, err := c.strangers(req)
	if err != nil {
		return nil, err
	}
	rulings := make([][]ruling, len(req.Topics))
	for i, name := range names {
		for j := range req.Topics[i].Partitions {
			p := &req.Topics[i].Partitions[j]
			r, err := c.rule(shard{name, p.Partition}, p)
			if err != nil {
				return nil, err
			}
			if _, stalled := c.stalls.watermark(r.at); stalled && req.Acks < 0 {
				r.forsake(p)
			}
			rulings[i] = append(rulings[i], r)
		}
	}
	silent := req.Acks == 0
	if silent {
		req.Acks = 1
	}
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	if len(req.Topics) > 0 {
		answer, err := cl.exchange(in)
		if err != nil {
			return nil, err
		}
		resp = answer.(*kmsg.ProduceResponse)
	}
	resp.Topics = append(resp.Topics, strangers...)
	for i := range req.Topics {
		if err := c.settle(resp, &req.Topics[i], rulings[i]); err != nil {
			return nil, err
		}
	}
	if silent {
		return nil, nil
	}
	return encode(resp, in.corr), nil
}

// strangers takes the topics out of a request whose ids are those of no topic, and gives what a broker answers for them,
// and the names of the others. kfake itself ends the process when a request has two of them; topics cannot go meanwhile,
// since they are deleted under the same lock.
func (c *Cluster) strangers(req *kmsg.ProduceRequest) (names []string, answers []kmsg.ProduceResponseTopic, err error) {
	var known []kmsg.ProduceRequestTopic
	for _, t := range req.Topics {
		name, err := c.topicName(t.Topic, t.TopicID)
		if err != nil {
			return nil, nil, err
		}
		if name != "" || t.TopicID == ([16]byte{}) {
			known, names = append(known, t), append(names, name)
			continue
		}
		answer := kmsg.NewProduceResponseTopic()
		answer.TopicID = t.TopicID
		for _, p := range t.Partitions {
			refused := kmsg.NewProduceResponseTopicPartition()
			refused.Partition, refused.ErrorCode, refused.BaseOffset = p.Partition, kerr.UnknownTopicID.Code, -1
			answer.Partitions = append(answer.Partitions, refused)
		}
		answers = append(answers, answer)
	}
	req.Topics = known
	return names, answers, nil
}

// rule decides about the records of one partition and prepares them for kfake.
func (c *Cluster) rule(at shard, p *kmsg.ProduceRequestTopicPartition) (ruling, error) {
	r := ruling{at: at, known: at.topic != ""}
	b, rest, ok := cutBatch(p.Records)
	if !ok || !r.known || !intact(b) {
		return r, nil
	}
	r.seen, r.wellFormed = view(b), true
	pid := r.seen.pid
	switch {
	case len(rest) > 0, r.seen.base != 0, r.seen.count < 1, r.seen.count-1 != r.seen.lastDelta, pid >= 0 && r.seen.sequence < 0:
		r.refuse(p, kerr.InvalidRecord.Code)
		return r, nil
	case int64At(b, atProducer) < -1:
		r.refuse(p, kerr.InvalidRequest.Code)
		return r, nil
	case r.seen.control:
		return r, nil
	}
	early, err := c.ahead(at.topic, r.seen.maxTime)
	if err != nil {
		return r, err
	}
	if early {
		r.refuse(p, kerr.InvalidTimestamp.Code)
		return r, nil
	}
	p.Records = slices.Clone(b)
	if p.Records[atAttributes+1]&bitAppendTime != 0 {
		p.Records[atAttributes+1] &^= bitAppendTime // brokers drop the mark on topics with create time
		seal(p.Records)
	}
	if pid < 0 {
		return r, nil
	}
	return r, c.ruleProducer(&r, p)
}

// ahead says whether a batch's latest time lies further ahead of the clock than its topic admits.
func (c *Cluster) ahead(topic string, latest int64) (bool, error) {
	by := latest - time.Now().UnixMilli()
	if by <= 0 {
		return false, nil
	}
	value, err := c.topicConfig(topic, "message.timestamp.after.max.ms")
	if err != nil || value == "" {
		return false, err
	}
	limit, err := strconv.ParseInt(value, 10, 64)
	return by > limit, err
}

// ruleProducer decides about a batch that has a producer. Transactional ones are left to kfake beyond the
// epoch, since its coordinator must see them.
func (c *Cluster) ruleProducer(r *ruling, p *kmsg.ProduceRequestTopicPartition) error {
	log, err := c.partition(r.at)
	if err != nil || log == nil {
		return err
	}
	if r.seen.transactional {
		if known, ok := log.producers[r.seen.pid]; ok && r.seen.epoch < known.epoch {
			r.refuse(p, kerr.InvalidProducerEpoch.Code)
		}
		if c.hangs(r.seen.pid) {
			r.refuse(p, kerr.ConcurrentTransactions.Code)
		}
		return nil
	}
	switch v := log.judge(r.seen); {
	case v.code != 0:
		r.refuse(p, v.code)
	case v.duplicate:
		r.refuse(p, 0)
		r.verdict = v
	default:
		disguise(p.Records)
	}
	return nil
}

func (r *ruling) refuse(p *kmsg.ProduceRequestTopicPartition, code int16) {
	p.Records = slices.Clone(p.Records)
	p.Records[atCRC] ^= 0xff
	r.spoiled, r.verdict = true, verdict{code: code}
}

// settle turns kfake's answers for a topic into the broker's and folds what was appended.
func (c *Cluster) settle(resp *kmsg.ProduceResponse, asked *kmsg.ProduceRequestTopic, rulings []ruling) error {
	for i := range resp.Topics {
		if resp.Topics[i].Topic != asked.Topic || resp.Topics[i].TopicID != asked.TopicID {
			continue
		}
		for j := range resp.Topics[i].Partitions {
			got := &resp.Topics[i].Partitions[j]
			at := slices.IndexFunc(rulings, func(r ruling) bool { return r.at.partition == got.Partition })
			if at < 0 {
				return fmt.Errorf("kfake answered for %s/%d, which was not asked", asked.Topic, got.Partition)
			}
			if err := c.settlePartition(got, rulings[at]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Cluster) settlePartition(got *kmsg.ProduceResponseTopicPartition, r ruling) error {
	switch {
	case r.forsaken(got.ErrorCode):
		got.ErrorCode, got.ErrorMessage, got.BaseOffset, got.LogAppendTime = kerr.NotEnoughReplicas.Code, nil, -1, -1
		return nil
	case r.spoiled && got.ErrorCode == kerr.CorruptMessage.Code:
		got.ErrorCode, got.ErrorMessage = r.verdict.code, nil
		got.BaseOffset, got.LogAppendTime = -1, -1
		if r.verdict.duplicate {
			got.BaseOffset, got.LogStartOffset = r.verdict.base, 0
		}
		return nil
	case got.ErrorCode != 0:
		got.BaseOffset = -1
		return nil
	case !r.known || !r.wellFormed:
		return nil
	}
	return c.folded(r.at, got.BaseOffset, r.seen)
}

// folded takes an append at base into account.
func (c *Cluster) folded(at shard, base int64, v batchView) error {
	p := c.parts[at]
	if p == nil {
		return nil
	}
	if p.next != base {
		return c.catchUp(at, p)
	}
	v.base = base
	p.fold(v)
	return nil
}

// fetch relays a fetch and shows producer ids as they were sent.
func (cl *client) fetch(in inbound) ([]byte, error) {
	answer, err := cl.up.relay(in.frame)
	if err != nil {
		return nil, err
	}
	resp, err := decode(in.req, answer)
	if err != nil {
		return nil, err
	}
	for _, t := range resp.(*kmsg.FetchResponse).Topics {
		for _, p := range t.Partitions {
			reveal(p.RecordBatches) // aliases the frame
		}
	}
	if _, stalled := cl.cluster.stalls.any(); stalled {
		return cl.hide(in, resp.(*kmsg.FetchResponse))
	}
	return answer, nil
}
