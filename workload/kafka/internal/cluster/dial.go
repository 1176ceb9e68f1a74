package cluster

import (
	"context"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/conn"
)

// Dial opens a pipelined connection of its own to the broker at addr, with the cluster's transport and login.
// Nothing is written on it after the lease's deadline. Tune may change the options before; nil leaves them.
func (c *Cluster) Dial(ctx context.Context, lease understudy.Lease, addr string, tune func(*conn.Options)) (*conn.Conn, error) {
	const op = "kafka.dial"
	bounded, cancel, err := bound(ctx, lease, op, c.cfg.Object)
	if err != nil {
		return nil, err
	}
	defer cancel()
	o := conn.Options{Addr: addr, ClientID: "understudy-mirror", Deadline: lease.Deadline, Timeout: RequestTimeout}
	o.Dial = conn.TCP(dialTimeout)
	if c.cfg.TLS != nil {
		if o.TLS, err = c.cfg.tls(bounded); err != nil {
			return nil, err
		}
	}
	if c.cfg.SASL != nil {
		if o.SASL, err = c.cfg.mechanism(); err != nil {
			return nil, err
		}
	}
	if tune != nil {
		tune(&o)
	}
	nc, err := conn.Dial(bounded, o)
	if err != nil {
		return nil, c.failed(ctx, lease, op, err)
	}
	return nc, nil
}

// EndOffsets gives where each partition's leader ends, ahead of the high watermark while followers lag
// (OffsetForLeaderEpoch of the current epoch, KIP-320). A partition whose leader is not the one of the given
// epoch, any more or yet, is left out.
func (c *Cluster) EndOffsets(ctx context.Context, lease understudy.Lease, parts []Partition) (map[TP]int64, error) {
	groups, err := c.leaders("kafka.offsetforleaderepoch", parts)
	if err != nil {
		return nil, err
	}
	out := map[TP]int64{}
	for leader, topics := range groups {
		if err := c.endOffsets(ctx, lease, leader, topics, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}
