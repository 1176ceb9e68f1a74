package kafkasim

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

// asker asks a broker one thing after the other about a topic of its own and writes down what it answers. The
// first failure to get any answer sticks, and fails the case.
type asker struct {
	ctx   context.Context
	to    Target
	as    string // a principal of AnswerUsers, or empty for the plain listener
	topic string
	id    [16]byte
	epoch int32 // of the leader of partition 0
	node  int   // that leads it; of no topic yet, any
	cl    *kgo.Client
	err   error
	said  []string
}

// say adds to the answer of the case.
func (a *asker) say(what string, answer any) {
	a.said = append(a.said, fmt.Sprintf("%s=%v", what, answer))
}

func (a *asker) answer() (string, error) { return strings.Join(a.said, " "), a.err }

func (a *asker) fail(err error) {
	if a.err == nil && err != nil {
		a.err = err
	}
}

// connect dials the broker, as an ordinary principal where user is not empty.
func connect(ctx context.Context, to Target, user string, more ...kgo.Opt) *asker {
	a := &asker{ctx: ctx, to: to, as: user}
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.AddPartitionsToTxn), 3) // later versions are for brokers
	versions.SetMaxKeyVersion(int16(kmsg.OffsetCommit), 9)       // later versions know topics by id only
	opts := []kgo.Opt{kgo.SeedBrokers(to.Addr), kgo.MaxVersions(versions), kgo.RequestRetries(0), kgo.MetadataMinAge(10 * time.Millisecond), kgo.DisableClientMetrics()}
	opts = append(opts, more...)
	if user != "" {
		auth := plain.Auth{User: user, Pass: AnswerUsers()[user]}
		opts = append(opts, kgo.SeedBrokers(to.SASLAddr), kgo.SASL(auth.AsMechanism()))
	}
	if a.cl, a.err = kgo.NewClient(opts...); a.err != nil {
		return a
	}
	resp, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, a.cl)
	if err != nil {
		a.fail(err)
		return a
	}
	for _, b := range resp.Brokers {
		a.node = int(b.NodeID)
	}
	return a
}

func (a *asker) close() {
	if a.cl != nil {
		a.cl.Close()
	}
}

// alias is a second connection of another principal to the same topic, with its own part of the answer.
func (a *asker) alias(user string, more ...kgo.Opt) *asker {
	other := connect(a.ctx, a.to, user, more...)
	other.topic, other.id = a.topic, a.id
	return other
}

// request sends one request to the broker, without retries.
func (a *asker) request(req kmsg.Request) kmsg.Response {
	if a.err != nil {
		return req.ResponseKind()
	}
	ctx, cancel := context.WithTimeout(a.ctx, 15*time.Second)
	defer cancel()
	resp, err := a.cl.Broker(a.node).Request(ctx, req)
	if err != nil {
		a.fail(fmt.Errorf("%s: %w", kmsg.NameForKey(req.Key()), err))
		return req.ResponseKind()
	}
	return resp
}

// errNever means that a broker did not come to an expected state in time.
var errNever = errors.New("the broker never got there")

// until asks again until ok, or the time is up: brokers take changes of configuration and rights over
// asynchronously.
func (a *asker) until(ok func() bool) {
	deadline := time.Now().Add(30 * time.Second)
	for a.err == nil && !ok() {
		if time.Now().After(deadline) {
			a.fail(errNever)
			return
		}
		select {
		case <-a.ctx.Done():
			a.fail(a.ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// create makes the topic of the case, of one partition unless said otherwise.
func (a *asker) create(name string, partitions int32, configs ...string) int16 {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 10_000
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, 1
	if len(a.to.Replicas) > 0 {
		t.NumPartitions, t.ReplicationFactor = -1, -1
	}
	for p := int32(0); p < partitions && len(a.to.Replicas) > 0; p++ {
		r := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		r.Partition, r.Replicas = p, a.to.Replicas
		t.ReplicaAssignment = append(t.ReplicaAssignment, r)
	}
	for i := 0; i+1 < len(configs); i += 2 {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = configs[i], kmsg.StringPtr(configs[i+1])
		t.Configs = append(t.Configs, c)
	}
	req.Topics = append(req.Topics, t)
	var code int16
	for _, t := range a.request(req).(*kmsg.CreateTopicsResponse).Topics {
		code = t.ErrorCode
	}
	if code != 0 {
		return code
	}
	a.topic = name
	a.until(a.ready)
	return 0
}

// ready says whether the topic takes writes: a broker names a leader a moment before it has the log.
func (a *asker) ready() bool { return a.led() && a.probe() == "2" }

// led says whether the topic has its leader, and keeps its id.
func (a *asker) led() bool {
	req := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &a.topic
	req.Topics = append(req.Topics, t)
	topics := a.request(req).(*kmsg.MetadataResponse).Topics
	if len(topics) == 0 {
		return false
	}
	a.id = topics[0].TopicID
	parts := topics[0].Partitions
	i := slices.IndexFunc(parts, func(p kmsg.MetadataResponseTopicPartition) bool { return p.Partition == 0 })
	if topics[0].ErrorCode != 0 || i < 0 || parts[i].Leader < 0 || parts[i].ErrorCode != 0 {
		return false
	}
	a.node, a.epoch = int(parts[i].Leader), parts[i].LeaderEpoch
	return true
}

func (a *asker) delete() int16 {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = 10_000
	req.TopicNames = []string{a.topic}
	t := kmsg.NewDeleteTopicsRequestTopic()
	t.Topic = &a.topic
	req.Topics = append(req.Topics, t)
	for _, t := range a.request(req).(*kmsg.DeleteTopicsResponse).Topics {
		return t.ErrorCode
	}
	return kerr.UnknownServerError.Code
}

// produce sends the bytes to partition 0 and gives code@base, or the code alone.
func (a *asker) produce(b []byte) string { return a.produceTo(a.id, "", b) }

func (a *asker) produceTo(id [16]byte, txn string, b []byte) string {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 10_000 // the client puts its own acks there
	if txn != "" {
		req.TransactionID = &txn
	}
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.TopicID = a.topic, id
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = b
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	for _, t := range a.request(req).(*kmsg.ProduceResponse).Topics {
		if len(t.Partitions) > 0 {
			p := t.Partitions[0]
			if p.ErrorCode == 0 {
				return fmt.Sprintf("0@%d", p.BaseOffset)
			}
			return fmt.Sprint(p.ErrorCode)
		}
	}
	return "nothing"
}

// write appends n records of a producer.
func (a *asker) write(pid int64, epoch int16, seq, n int32) string {
	return a.produce(craft{pid: pid, epoch: epoch, seq: seq, n: n}.bytes())
}

// probe sends the harmless write probe, of more than 78 bytes.
func (a *asker) probe() string {
	b := craft{pid: -1, epoch: -1, seq: -1, n: 1, pad: 40}.bytes()
	b[atCRC] ^= 0xff
	return a.produce(b)
}

// markers writes n COMMIT markers of a producer in one request and gives the code of each partition named.
func (a *asker) markers(pid int64, epoch int16, coordinator int32, n int, partitions ...int32) string {
	return a.markersAs(kmsg.WriteTxnMarkersRequestMarker{ProducerID: pid, ProducerEpoch: epoch, CoordinatorEpoch: coordinator, Committed: true}, n, partitions...)
}

func (a *asker) markersAs(m kmsg.WriteTxnMarkersRequestMarker, n int, partitions ...int32) string {
	if partitions == nil {
		partitions = []int32{0}
	}
	t := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
	t.Topic, t.Partitions = a.topic, partitions
	m.Topics = append(m.Topics, t)
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	for range n {
		req.Markers = append(req.Markers, m)
	}
	codes := map[int32]int16{}
	for _, m := range a.request(req).(*kmsg.WriteTxnMarkersResponse).Markers {
		for _, t := range m.Topics {
			for _, p := range t.Partitions {
				codes[p.Partition] = p.ErrorCode
			}
		}
	}
	var out []string
	for _, p := range partitions {
		out = append(out, fmt.Sprint(codes[p]))
	}
	return strings.Join(out, ",")
}

// offset asks for the start (−2) or the end (−1) of partition 0; committed asks for the last stable offset.
func (a *asker) offset(which int64, committed bool) int64 {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	if committed {
		req.IsolationLevel = 1
	}
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = a.topic
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Timestamp, p.CurrentLeaderEpoch = which, -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	for _, t := range a.request(req).(*kmsg.ListOffsetsResponse).Topics {
		for _, p := range t.Partitions {
			return p.Offset
		}
	}
	return math.MinInt64
}

func (a *asker) start() int64 { return a.offset(-2, false) }
func (a *asker) end() int64   { return a.offset(-1, false) }
func (a *asker) lso() int64   { return a.offset(-1, true) }

// producers gives what DescribeProducers says about one producer of partition 0.
func (a *asker) producers(pid int64) string {
	if p := a.describeProducers(); p != nil {
		return describe(*p, pid)
	}
	return "nothing"
}

// lastTime is the time of the newest batch of a producer of partition 0, in milliseconds since 1970; 0 when there is none.
func (a *asker) lastTime(pid int64) int64 {
	p := a.describeProducers()
	if p == nil {
		return 0
	}
	for _, got := range p.ActiveProducers {
		if got.ProducerID == pid {
			return got.LastTimestamp
		}
	}
	return 0
}

func (a *asker) describeProducers() *kmsg.DescribeProducersResponseTopicPartition {
	req := kmsg.NewPtrDescribeProducersRequest()
	t := kmsg.NewDescribeProducersRequestTopic()
	t.Topic, t.Partitions = a.topic, []int32{0}
	req.Topics = append(req.Topics, t)
	for _, t := range a.request(req).(*kmsg.DescribeProducersResponse).Topics {
		for i := range t.Partitions {
			return &t.Partitions[i]
		}
	}
	return nil
}

func describe(p kmsg.DescribeProducersResponseTopicPartition, pid int64) string {
	if p.ErrorCode != 0 {
		return fmt.Sprint(p.ErrorCode)
	}
	for _, got := range p.ActiveProducers {
		if got.ProducerID == pid {
			return fmt.Sprintf("{epoch %d seq %d coordinator %d txn %d}", got.ProducerEpoch, got.LastSequence, got.CoordinatorEpoch, got.CurrentTxnStartOffset)
		}
	}
	return "none"
}

// set sets a configuration of the topic, or removes it when value is empty.
func (a *asker) set(name, value string) int16 {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, a.topic
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Value = name, &value
	if value == "" {
		c.Op, c.Value = kmsg.IncrementalAlterConfigOpDelete, nil
	}
	r.Configs = append(r.Configs, c)
	req.Resources = append(req.Resources, r)
	for _, r := range a.request(req).(*kmsg.IncrementalAlterConfigsResponse).Resources {
		return r.ErrorCode
	}
	return kerr.UnknownServerError.Code
}

// config gives value and source of a configuration of the topic.
func (a *asker) config(name string) string {
	req := kmsg.NewPtrDescribeConfigsRequest()
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, a.topic
	req.Resources = append(req.Resources, r)
	for _, r := range a.request(req).(*kmsg.DescribeConfigsResponse).Resources {
		for _, c := range r.Configs {
			if c.Name == name {
				return fmt.Sprintf("%s/%s", text(c.Value), c.Source)
			}
		}
	}
	return "none"
}

// limit sets the append limit and waits until the broker answers the probe with code.
func (a *asker) limit(value, code string) {
	if got := a.set("max.message.bytes", value); got != 0 {
		a.fail(kerr.ErrorForCode(got))
	}
	a.until(func() bool { return a.probe() == code })
}

// reaches waits until an offset is what is wanted, where a broker works asynchronously.
func (a *asker) reaches(get func() int64, want int64) int64 {
	a.until(func() bool { return get() == want })
	return get()
}
