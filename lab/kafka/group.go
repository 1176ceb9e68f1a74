package kafka

import (
	"context"
	"maps"
	"sync"
)

// Membership describes a member of a consumer group.
type Membership struct {
	Group  string
	Topics []string
	// Commit commits after every poll that returned records.
	Commit bool
	// Properties go over these: auto.offset.reset=earliest, isolation.level=read_committed.
	Properties map[string]string
}

// Member is a live member of a consumer group in Kafka's own client.
type Member struct {
	client *Client
	name   string
	done   <-chan error

	mu       sync.Mutex
	records  []Record
	assigned []Partition
	more     chan struct{}
}

// Join starts a member and returns when it runs; WaitAssigned waits for its partitions.
func (c *Client) Join(ctx context.Context, a Access, m Membership) (*Member, error) {
	config := map[string]string{"group.id": m.Group, "auto.offset.reset": "earliest", "isolation.level": "read_committed"}
	maps.Copy(config, m.Properties)
	member := &Member{client: c, name: c.session(), more: make(chan struct{})}
	started := make(chan struct{})
	done, err := c.begin("member", request{
		"session": member.name, "topics": m.Topics, "commit": m.Commit, "config": a.config(config),
	}, func(r reply) {
		if r.Started {
			close(started)
			return
		}
		member.take(r)
	})
	if err != nil {
		return nil, err
	}
	member.done = done
	select {
	case <-started:
		return member, nil
	case err := <-done:
		return nil, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (m *Member) take(r reply) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.Record != nil {
		m.records = append(m.records, *r.Record)
	}
	if len(r.Assigned) > 0 {
		m.assigned = append(m.assigned, r.Assigned...)
	}
	close(m.more)
	m.more = make(chan struct{})
}

// Records are those it was given so far.
func (m *Member) Records() []Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.records
}

// WaitAssigned waits until the member holds at least one partition and returns them.
func (m *Member) WaitAssigned(ctx context.Context) ([]Partition, error) {
	err := m.wait(ctx, func() bool { return len(m.assigned) > 0 })
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.assigned, err
}

// WaitRecords waits until the member was given n records, counted from the beginning.
func (m *Member) WaitRecords(ctx context.Context, n int) error {
	return m.wait(ctx, func() bool { return len(m.records) >= n })
}

func (m *Member) wait(ctx context.Context, enough func() bool) error {
	for {
		m.mu.Lock()
		ok, more := enough(), m.more
		m.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Stop leaves the group and returns when the member has gone, with the error that ended it earlier, if any.
func (m *Member) Stop(ctx context.Context) error {
	if err := m.client.call(ctx, "stop", request{"session": m.name}, nil); err != nil {
		return err
	}
	select {
	case err := <-m.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
