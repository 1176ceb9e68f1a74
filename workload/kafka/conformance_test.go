package kafka_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/kafka"
	"github.com/understudy-dr/understudy/workload/kafka/kafkasim"
	"github.com/understudy-dr/understudy/workload/workloadtest"
)

// TestConformance holds Kafka to the contract of workloads, on simulated clusters.
func TestConformance(t *testing.T) { workloadtest.Run(t, stand) }

// bench is two simulated clusters under the conformance suite.
type bench struct {
	t    *testing.T
	sims map[understudy.Site]*kafkasim.Cluster
	n    atomic.Int64
}

func stand(t *testing.T) workloadtest.Harness {
	t.Helper()
	b := &bench{t: t, sims: map[understudy.Site]*kafkasim.Cluster{}}
	spec := workload.Spec{
		Plan: "contoso", Name: "orders", Kind: "kafka", Architecture: understudy.ActivePassive, Engine: understudy.Native,
		Home: east, Sites: []understudy.Site{east, west}, Config: &kafka.Config{Topics: []string{"orders"}}, Clusters: map[understudy.Site]any{},
	}
	for _, s := range spec.Sites {
		o := kafkasim.Options{ClusterID: string(s) + "-id"}
		if s == east {
			o.Topics = map[string]int32{"orders": 1}
		}
		c, err := kafkasim.Start(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		b.sims[s] = c
		spec.Clusters[s] = &kafka.Endpoint{Brokers: []string{c.Addr()}}
	}
	return workloadtest.Harness{
		Kind: kafka.Kind(), Spec: spec,
		Opening: workload.Opening{ControlPlane: "cp-1", FetchBudget: 16 << 20, Secret: func(context.Context, string) ([]byte, error) { return nil, nil }},
		Write:   b.write, Refused: b.refused, Same: b.same, Damage: b.damage, Late: b.late, Gap: b.gap,
	}
}

func (b *bench) write(ctx context.Context, site understudy.Site, n int) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.sims[site].Addr()), kgo.RecordDeliveryTimeout(5*time.Second))
	if err != nil {
		return err
	}
	defer cl.Close()
	for range n {
		id := b.n.Add(1)
		r := &kgo.Record{Topic: "orders", Key: fmt.Appendf(nil, "k%d", id), Value: fmt.Appendf(nil, "value %d", id)}
		if err := cl.ProduceSync(ctx, r).FirstErr(); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) refused(ctx context.Context, site understudy.Site) (bool, error) {
	return b.write(ctx, site, 1) != nil, nil
}

func (b *bench) same(context.Context) error {
	x, y := rows(b.t, b.sims[east].Addr(), "orders"), rows(b.t, b.sims[west].Addr(), "orders")
	if !slices.Equal(x, y) {
		return fmt.Errorf("%d records and %d records: %v and %v", len(x), len(y), x, y)
	}
	return nil
}

// damage makes the topic of a site anew, with one difference or none, and no other: every record keeps its time.
func (b *bench) damage(ctx context.Context, site understudy.Site, how workloadtest.Damage) error {
	if how == workloadtest.Extra {
		return b.write(ctx, site, 1)
	}
	all := rows(b.t, b.sims[site].Addr(), "orders")
	switch how {
	case workloadtest.Missing:
		all = all[:len(all)-1]
	case workloadtest.Flip:
		all[len(all)/2].value += "'"
	case workloadtest.None:
	default:
		return errors.New("unknown damage")
	}
	cl := client(b.t, b.sims[site].Addr(), late())
	adm := kadm.NewClient(cl)
	if _, err := adm.DeleteTopics(ctx, "orders"); err != nil {
		return err
	}
	if _, err := adm.CreateTopic(ctx, 1, 1, nil, "orders"); err != nil {
		return err
	}
	for _, r := range all {
		if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "orders", Key: []byte(r.key), Value: []byte(r.value), Timestamp: time.UnixMilli(r.at)}).FirstErr(); err != nil {
			return err
		}
	}
	return nil
}

// late holds the mover's next data back on the target.
func (b *bench) late(context.Context) (<-chan struct{}, func() (int, int), error) {
	var held atomic.Int64
	gate := b.sims[west].Pause(func(r kmsg.Request) bool {
		mine := fromMover(r)
		if mine {
			held.Add(1)
		}
		return mine
	})
	return gate.Held(), func() (int, int) {
		before := b.end(west)
		gate.Release()
		// Whatever was held is decided when a request behind it has been answered.
		if err := b.write(context.Background(), east, 0); err != nil {
			b.t.Error(err)
		}
		accepted := int(b.end(west) - before)
		return int(held.Load()) - accepted, accepted
	}, nil
}

// fromMover says whether a produce request carries data of a mover: our producer id, and a sequence that is
// not the halt probe's.
func fromMover(r kmsg.Request) bool {
	p, ok := r.(*kmsg.ProduceRequest)
	if !ok || len(p.Topics) == 0 || len(p.Topics[0].Partitions) == 0 {
		return false
	}
	raw := p.Topics[0].Partitions[0].Records
	if len(raw) < 61 {
		return false
	}
	pid, sequence := int64(binary.BigEndian.Uint64(raw[43:])), int32(binary.BigEndian.Uint32(raw[53:]))
	return pid>>48 == 0x4D52 && sequence < 1<<29
}

func (b *bench) end(site understudy.Site) int64 {
	ends, err := kadm.NewClient(client(b.t, b.sims[site].Addr())).ListEndOffsets(context.Background(), "orders")
	if err != nil {
		b.t.Fatal(err)
	}
	o, _ := ends.Lookup("orders", 0)
	return o.Offset
}

// gap writes records and lets the source forget them before they are copied.
func (b *bench) gap(ctx context.Context) error {
	if err := b.write(ctx, east, 5); err != nil {
		return err
	}
	at := kadm.Offsets{}
	at.Add(kadm.Offset{Topic: "orders", Partition: 0, At: b.end(east)})
	_, err := kadm.NewClient(client(b.t, b.sims[east].Addr())).DeleteRecords(ctx, at)
	return err
}
