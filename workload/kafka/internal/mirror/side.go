package mirror

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload/kafka/internal/cluster"
	"github.com/understudy-dr/understudy/workload/kafka/internal/conn"
)

// refreshMin keeps many partitions that lose their leader at once from asking for the same metadata.
const refreshMin = 150 * time.Millisecond

// side is one cluster of the link and what it last said about itself.
type side struct {
	c     *cluster.Cluster
	lease understudy.Lease

	asking sync.Mutex
	mu     sync.RWMutex
	meta   cluster.Metadata
	asked  time.Time // when meta was asked for
	at     time.Time // when it was answered
}

// refresh asks for metadata, unless somebody just did.
func (s *side) refresh(ctx context.Context) error {
	asked := time.Now()
	s.asking.Lock()
	defer s.asking.Unlock()
	s.mu.RLock()
	at := s.at
	s.mu.RUnlock()
	if at.After(asked) || time.Since(at) < refreshMin {
		return nil
	}
	return s.look(ctx)
}

// look asks for metadata now.
func (s *side) look(ctx context.Context) error {
	asked := time.Now()
	meta, err := s.c.Metadata(ctx, s.lease)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.meta.ClusterID != "" && meta.ClusterID != "" && s.meta.ClusterID != meta.ClusterID {
		o := s.c.Object()
		return &understudy.Error{
			Code: "US101", Kind: understudy.KindConflict, Op: "kafka.mirror", Object: o,
			Summary: fmt.Sprintf("cluster %s answers where %s was", meta.ClusterID, s.meta.ClusterID),
			Fix:     "correct the site's addresses",
		}
	}
	s.meta, s.asked, s.at = meta, asked, time.Now()
	return nil
}

func (s *side) metadata() cluster.Metadata {
	meta, _ := s.listing()
	return meta
}

// listing gives the metadata, and when it was asked for.
func (s *side) listing() (cluster.Metadata, time.Time) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.meta, s.asked
}

// partition gives the partition with its leader; an error to retry when there is none now.
func (s *side) partition(tp cluster.TP) (cluster.Partition, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t, ok := s.meta.Topics[tp.Topic]
	if !ok || int(tp.Partition) >= len(t.Partitions) {
		return cluster.Partition{}, s.c.Refused("kafka.metadata", tp.String(), cluster.CodeUnknownTopic, "")
	}
	p := t.Partitions[tp.Partition]
	if p.Leader < 0 {
		return p, s.c.Refused("kafka.metadata", tp.String(), 5, "")
	}
	return p, nil
}

// line is a connection to one broker that is dialled when it is needed. It has one owner.
type line struct {
	side   *side
	broker int32
	tune   func(*conn.Options)
	c      *conn.Conn
}

func (l *line) open(ctx context.Context) (*conn.Conn, error) {
	if l.c != nil {
		select {
		case <-l.c.Broken():
			l.close()
		default:
			return l.c, nil
		}
	}
	l.side.mu.RLock()
	addr, ok := l.side.meta.Brokers[l.broker]
	l.side.mu.RUnlock()
	if !ok {
		return nil, l.side.silent(l.broker, fmt.Errorf("broker %d is not in the cluster's metadata", l.broker))
	}
	c, err := l.side.c.Dial(ctx, l.side.lease, addr, func(o *conn.Options) {
		// Newer fetches differ only in fields that an ordinary client does not set.
		o.MaxVersions = map[int16]int16{int16(kmsg.Fetch): 16}
		if l.tune != nil {
			l.tune(o)
		}
	})
	if err != nil {
		return nil, err
	}
	l.c = c
	return c, nil
}

func (l *line) do(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	c, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := c.Do(ctx, req)
	if err != nil {
		return nil, l.side.silent(l.broker, err)
	}
	return resp, nil
}

func (l *line) close() {
	if l.c != nil {
		_ = l.c.Close()
		l.c = nil
	}
}

// silent is the error of a broker that did not answer; an expired lease stays what it is.
func (s *side) silent(broker int32, err error) error {
	if isLease(err) {
		return leaseOver(s.c.Object())
	}
	o := s.c.Object()
	return &understudy.Error{
		Code: "US151", Kind: understudy.KindUnreachable, Op: "kafka.mirror", Object: o,
		Summary: fmt.Sprintf("broker %d does not answer", broker), Err: err,
	}
}
