package kafkasim

import (
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// writeMarkers carries out a request for transaction markers. The right to it is CLUSTER_ACTION or ALTER on
// the cluster. Answers are merged per producer id, as brokers do.
func (cl *client) writeMarkers(in inbound, req *kmsg.WriteTxnMarkersRequest) ([]byte, error) {
	c := cl.cluster
	c.log.Lock()
	defer c.log.Unlock()
	m := &marking{cluster: c, limits: map[string]int64{}, resp: req.ResponseKind().(*kmsg.WriteTxnMarkersResponse)}
	allowed, err := cl.mayWriteMarkers(in.clientID)
	if err != nil {
		return nil, err
	}
	switch {
	case !allowed:
		m.all(req, kerr.ClusterAuthorizationFailed.Code)
	case slices.ContainsFunc(req.Markers, repeats):
		m.all(req, kerr.InvalidRequest.Code)
	default:
		for i := range req.Markers {
			if err := m.entry(&req.Markers[i]); err != nil {
				return nil, err
			}
		}
	}
	if err := m.write(); err != nil {
		return nil, err
	}
	return encode(m.resp, in.corr), nil
}

// repeats says whether an entry names a partition twice, which real brokers never answer.
func repeats(m kmsg.WriteTxnMarkersRequestMarker) bool {
	seen := map[shard]bool{}
	for _, t := range m.Topics {
		for _, p := range t.Partitions {
			at := shard{t.Topic, p}
			if seen[at] {
				return true
			}
			seen[at] = true
		}
	}
	return false
}

// mayWriteMarkers asks kfake what this client may do to the cluster.
func (cl *client) mayWriteMarkers(clientID string) (bool, error) {
	if !cl.cluster.opts.Authorizer {
		return true, nil
	}
	req := kmsg.NewPtrDescribeClusterRequest()
	req.IncludeClusterAuthorizedOperations = true
	answer, err := cl.up.ask(req, clientID)
	if err != nil {
		return false, err
	}
	ops := answer.(*kmsg.DescribeClusterResponse).ClusterAuthorizedOperations
	return ops&(1<<kmsg.ACLOperationClusterAction|1<<kmsg.ACLOperationAlter) != 0, nil
}

// marking is one request for markers on its way.
type marking struct {
	cluster  *Cluster
	limits   map[string]int64
	accepted []kmsg.WriteTxnMarkersRequestMarker
	resp     *kmsg.WriteTxnMarkersResponse
}

// entry decides about each partition of an entry, in order, as if the earlier ones were written.
func (m *marking) entry(e *kmsg.WriteTxnMarkersRequestMarker) error {
	for _, t := range e.Topics {
		for _, p := range t.Partitions {
			at := shard{t.Topic, p}
			code, err := m.judge(at, e)
			if err != nil {
				return err
			}
			m.report(e.ProducerID, at, code)
			if code == 0 {
				m.accept(at, e)
			}
		}
	}
	return nil
}

func (m *marking) judge(at shard, e *kmsg.WriteTxnMarkersRequestMarker) (int16, error) {
	p, err := m.cluster.partition(at)
	if err != nil {
		return 0, err
	}
	limit, err := m.limit(at.topic)
	if err != nil {
		return 0, err
	}
	_, stalled := m.cluster.stalls.watermark(at)
	switch {
	case p == nil:
		return kerr.UnknownTopicOrPartition.Code, nil
	case stalled:
		return kerr.NotEnoughReplicas.Code, nil
	case limit < markerSize:
		return kerr.MessageTooLarge.Code, nil
	case e.ProducerID < 0:
		return kerr.UnknownServerError.Code, nil
	}
	return p.judgeMarker(e.ProducerID, e.ProducerEpoch, e.CoordinatorEpoch), nil
}

// limit is the topic's append limit, asked for once a request.
func (m *marking) limit(topic string) (int64, error) {
	if limit, ok := m.limits[topic]; ok {
		return limit, nil
	}
	limit, err := m.cluster.appendLimit(topic)
	m.limits[topic] = limit
	return limit, err
}

// appendLimit is a topic's max.message.bytes.
func (c *Cluster) appendLimit(topic string) (int64, error) {
	value, err := c.topicConfig(topic, "max.message.bytes")
	if err != nil || value == "" {
		return markerSize, err
	}
	return strconv.ParseInt(value, 10, 64)
}

func (m *marking) accept(at shard, e *kmsg.WriteTxnMarkersRequestMarker) {
	p := m.cluster.parts[at]
	p.fold(batchView{
		base: p.next, pid: e.ProducerID, epoch: e.ProducerEpoch, control: true, commit: e.Committed, coordinator: e.CoordinatorEpoch,
		maxTime: time.Now().UnixMilli(),
	})
	one := *e
	t := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
	t.Topic, t.Partitions = at.topic, []int32{at.partition}
	one.Topics = []kmsg.WriteTxnMarkersRequestMarkerTopic{t}
	m.accepted = append(m.accepted, one)
}

// write lets kfake append what was accepted.
func (m *marking) write() error {
	if len(m.accepted) == 0 {
		return nil
	}
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	req.Markers = m.accepted
	answer, err := m.cluster.ask(req)
	if err != nil {
		return err
	}
	for _, e := range answer.(*kmsg.WriteTxnMarkersResponse).Markers {
		for _, t := range e.Topics {
			if err := firstError(t.Partitions); err != nil {
				return err
			}
		}
	}
	return nil
}

func firstError(partitions []kmsg.WriteTxnMarkersResponseMarkerTopicPartition) error {
	for _, p := range partitions {
		if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
			return err
		}
	}
	return nil
}

// all answers every partition with one code.
func (m *marking) all(req *kmsg.WriteTxnMarkersRequest, code int16) {
	for _, e := range req.Markers {
		for _, t := range e.Topics {
			for _, p := range t.Partitions {
				m.report(e.ProducerID, shard{t.Topic, p}, code)
			}
		}
	}
}

// report puts a code into the answer, over an earlier one for the same producer and partition.
func (m *marking) report(pid int64, at shard, code int16) {
	i := slices.IndexFunc(m.resp.Markers, func(e kmsg.WriteTxnMarkersResponseMarker) bool { return e.ProducerID == pid })
	if i < 0 {
		i = len(m.resp.Markers)
		e := kmsg.NewWriteTxnMarkersResponseMarker()
		e.ProducerID = pid
		m.resp.Markers = append(m.resp.Markers, e)
	}
	topics := &m.resp.Markers[i].Topics
	j := slices.IndexFunc(*topics, func(t kmsg.WriteTxnMarkersResponseMarkerTopic) bool { return t.Topic == at.topic })
	if j < 0 {
		j = len(*topics)
		t := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
		t.Topic = at.topic
		*topics = append(*topics, t)
	}
	parts := &(*topics)[j].Partitions
	k := slices.IndexFunc(*parts, func(p kmsg.WriteTxnMarkersResponseMarkerTopicPartition) bool { return p.Partition == at.partition })
	if k < 0 {
		k = len(*parts)
		p := kmsg.NewWriteTxnMarkersResponseMarkerTopicPartition()
		p.Partition = at.partition
		*parts = append(*parts, p)
	}
	(*parts)[k].ErrorCode = code
}

// describeProducers lets kfake check rights and names and fills in what it does not know.
func (cl *client) describeProducers(in inbound) ([]byte, error) {
	c := cl.cluster
	c.log.Lock()
	defer c.log.Unlock()
	answer, err := cl.exchange(in)
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.DescribeProducersResponse)
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			got := &resp.Topics[i].Partitions[j]
			if got.ErrorCode != 0 {
				continue
			}
			p, err := c.current(shard{resp.Topics[i].Topic, got.Partition})
			if err != nil {
				return nil, err
			}
			got.ActiveProducers = p.active()
		}
	}
	return encode(resp, in.corr), nil
}

// current gives a partition that exists, read up to the end of its log.
func (c *Cluster) current(at shard) (*partition, error) {
	p, err := c.partition(at)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return newPartition(), nil
	}
	return p, c.catchUp(at, p)
}
