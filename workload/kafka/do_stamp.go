package kafka

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
)

// decodeLimit bounds one batch of understudy's own topic, decompressed.
const decodeLimit = 16 << 20

// makeOwnTopic makes understudy's one topic on a cluster: one partition, compacted. One that is there stays.
func makeOwnTopic(ctx context.Context, j *job) (understudy.Receipt, error) {
	md, err := j.metadata(ctx, j.site)
	if err != nil {
		return understudy.Receipt{}, err
	}
	if _, ok := md.Topics[cluster.OwnTopic]; ok {
		return understudy.Receipt{Summary: "understudy's own topic is there"}, nil
	}
	_, err = j.site.admin.CreateTopic(ctx, j.run.Lease, cluster.NewTopic{
		Name: cluster.OwnTopic, Partitions: 1, Replication: int16(min(3, max(len(md.Brokers), 1))),
		Configs: map[string]string{
			"cleanup.policy": "compact",
			// The broker's own time, beside ours in a header, tells how far the clocks are apart.
			"message.timestamp.type": "LogAppendTime",
		},
	})
	if err != nil {
		return understudy.Receipt{}, err
	}
	_, err = j.ownPartition(ctx, j.site)
	return understudy.Receipt{}, err
}

// ownPartition waits until understudy's own topic has a leader, as it may take a moment after its creation.
func (j *job) ownPartition(ctx context.Context, s *site) (cluster.Partition, error) {
	return ownPartition(ctx, j.run.Lease, s)
}

func ownPartition(ctx context.Context, lease understudy.Lease, s *site) (cluster.Partition, error) {
	for try := 0; ; try++ {
		md, err := s.admin.Metadata(ctx, lease, cluster.OwnTopic)
		if err != nil {
			return cluster.Partition{}, err
		}
		if t, ok := md.Topics[cluster.OwnTopic]; ok && len(t.Partitions) > 0 && t.Partitions[0].Leader >= 0 {
			return t.Partitions[0], nil
		}
		if try == 50 {
			return cluster.Partition{}, s.admin.Refused("kafka.metadata", cluster.OwnTopic+"-0", 5, "")
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return cluster.Partition{}, err
		}
	}
}

func (w *Workload) stampKey() string { return fmt.Sprintf("stamp/%s/%s", w.spec.Plan, w.spec.Name) }
func (w *Workload) probeKey() string { return fmt.Sprintf("probe/%s/%s", w.spec.Plan, w.spec.Name) }

// ownTopic is what understudy's own topic of a site says.
type ownTopic struct {
	// stamp is the newest stamp of the workload; nil when there is none.
	stamp *understudy.Stamp
	// others are the newest stamps of other workloads, by key.
	others map[string]understudy.Stamp
	// skew is the broker's clock minus ours, as of the newest record that tells; it holds the time of the request. That was
	// sent at measured, by our clock; zero where no record tells.
	skew     time.Duration
	measured time.Time
}

// sentHeader is the header with our own time in milliseconds.
const sentHeader = "sent"

// readStamp gives the newest stamp of the workload on a site; nil when there is none.
func (w *Workload) readStamp(ctx context.Context, lease understudy.Lease, s *site) (*understudy.Stamp, error) {
	own, err := w.readOwn(ctx, lease, s)
	return own.stamp, err
}

// readOwn reads understudy's own topic of a site from its start to its end; it is compacted, and small.
func (w *Workload) readOwn(ctx context.Context, lease understudy.Lease, s *site) (ownTopic, error) {
	var own ownTopic
	p, err := ownPartition(ctx, lease, s)
	if err != nil {
		return own, err
	}
	coder, err := w.coder()
	if err != nil {
		return own, bug("kafka.stamp", err.Error())
	}
	edges := []cluster.Partition{p}
	start, err := s.admin.ListOffsets(ctx, lease, cluster.Start, edges)
	if err != nil {
		return own, err
	}
	end, err := s.admin.ListOffsets(ctx, lease, cluster.End, edges)
	if err != nil {
		return own, err
	}
	err = readLog(ctx, lease, s.admin, p, start[p.TP], end[p.TP], func(b batch.Batch) (bool, error) {
		return true, own.add(coder, b, w.stampKey())
	})
	return own, err
}

// add takes in one stored batch.
func (o *ownTopic) add(coder *batch.Coder, b batch.Batch, key string) error {
	if b.Control() {
		return nil
	}
	for r, err := range coder.Records(b) {
		if err != nil {
			return err
		}
		if b.LogAppendTime() {
			o.clock(r, b.MaxTimestamp())
		}
		if string(r.Key) != key {
			o.other(r)
			continue
		}
		o.stamp = nil
		if r.Value == nil {
			continue
		}
		o.stamp = &understudy.Stamp{}
		if err := json.Unmarshal(r.Value, o.stamp); err != nil {
			return err
		}
	}
	return nil
}

// other takes in the stamp of another workload. One that cannot be read is not ours to judge.
func (o *ownTopic) other(r batch.Record) {
	key := string(r.Key)
	if !strings.HasPrefix(key, "stamp/") {
		return
	}
	delete(o.others, key)
	var s understudy.Stamp
	if r.Value == nil || json.Unmarshal(r.Value, &s) != nil {
		return
	}
	if o.others == nil {
		o.others = map[string]understudy.Stamp{}
	}
	o.others[key] = s
}

// clock compares the broker's time of a record with ours.
func (o *ownTopic) clock(r batch.Record, broker int64) {
	for _, h := range r.Headers {
		if sent, err := strconv.ParseInt(string(h.Value), 10, 64); h.Key == sentHeader && err == nil {
			o.skew, o.measured = time.Duration(broker-sent)*time.Millisecond, time.UnixMilli(sent)
		}
	}
}

// put writes one acknowledged record into understudy's own topic of a site, and gives its offset.
func (j *job) put(ctx context.Context, s *site, key string, value []byte) (int64, error) {
	p, err := j.ownPartition(ctx, s)
	if err != nil {
		return 0, err
	}
	coder, err := j.w.coder()
	if err != nil {
		return 0, bug("kafka.put", err.Error())
	}
	now := time.Now().UnixMilli()
	b, err := coder.Encode(batch.None, batch.NoProducer(), []batch.Record{{
		Timestamp: now, Key: []byte(key), Value: value,
		Headers: []batch.Header{{Key: sentHeader, Value: strconv.AppendInt(nil, now, 10)}},
	}})
	if err != nil {
		return 0, bug("kafka.put", err.Error())
	}
	answer, err := s.admin.Produce(ctx, j.run.Lease, p, b)
	if err != nil {
		return 0, err
	}
	return answer.Base, s.admin.Refused("kafka.produce", p.TP.String(), answer.Code, "WRITE on topic "+cluster.OwnTopic)
}

// writeStamp writes the role onto a site. A stamp of another control plane, or of a later role, is never
// replaced. Writing the same stamp twice leaves the same stamp: the topic is compacted.
func writeStamp(ctx context.Context, j *job) (understudy.Receipt, error) {
	a, err := args[stampArgs](j.step)
	if err != nil {
		return understudy.Receipt{}, err
	}
	old, err := j.w.readStamp(ctx, j.run.Lease, j.site)
	if err != nil {
		return understudy.Receipt{}, err
	}
	stamp := understudy.Stamp{ControlPlane: j.run.ControlPlane, Plan: j.w.spec.Plan, Workload: j.w.spec.Name, Role: j.run.Now}
	if old != nil {
		switch {
		case old.ControlPlane != stamp.ControlPlane:
			return understudy.Receipt{}, &understudy.Error{
				Code: "US104", Kind: understudy.KindRefused, Op: "kafka.stamp", Object: j.object(""),
				Summary: fmt.Sprintf("the cluster carries the stamp of control plane %q", old.ControlPlane),
				Fix:     otherPlane,
			}
		case old.Role.Epoch > stamp.Role.Epoch:
			return understudy.Receipt{}, &understudy.Error{
				Code: "US115", Kind: understudy.KindConflict, Op: "kafka.stamp", Object: j.object(""),
				Summary: fmt.Sprintf("the cluster's stamp says %s, which is later than %s", old.Role, stamp.Role),
				Fix:     "look at `understudy status`",
			}
		case old.Role.Equal(stamp.Role):
			return understudy.Receipt{Summary: "the stamp is there"}, nil
		}
	}
	doc, err := json.Marshal(stamp)
	if err != nil {
		return understudy.Receipt{}, bug("kafka.stamp", err.Error())
	}
	off, err := j.put(ctx, j.site, j.w.stampKey(), doc)
	if e := understudy.AsError(err); a.Spare && e != nil && e.Code == "US121" {
		return understudy.Receipt{Warnings: []string{fmt.Sprintf("%s keeps the stamp that it has: fewer replicas are in sync there than a write needs", j.step.Site)}}, nil
	}
	return understudy.Receipt{Summary: j.step.Summary + " (offset " + strconv.FormatInt(off, 10) + ")"}, err
}

// clearStamp removes the workload's stamp. Removing it twice leaves two tombstones, of which one is compacted.
func clearStamp(ctx context.Context, j *job) (understudy.Receipt, error) {
	old, err := j.w.readStamp(ctx, j.run.Lease, j.site)
	if err != nil || old == nil {
		return understudy.Receipt{Summary: "there is no stamp"}, err
	}
	if old.ControlPlane != j.run.ControlPlane {
		return understudy.Receipt{Warnings: []string{fmt.Sprintf("the stamp on %s belongs to control plane %q and stays", j.step.Site, old.ControlPlane)}}, nil
	}
	_, err = j.put(ctx, j.site, j.w.stampKey(), nil)
	return understudy.Receipt{}, err
}
