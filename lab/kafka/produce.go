package kafka

import (
	"context"
	"maps"
	"sync"
)

// Out is a record to send. A negative Partition lets the client choose; a Timestamp of 0 lets it set the
// time.
type Out struct {
	// Ref is any text; it comes back with the answer.
	Ref       string   `json:"ref"`
	Topic     string   `json:"topic"`
	Partition int32    `json:"partition"`
	Timestamp int64    `json:"timestamp"`
	Key       []byte   `json:"key"`
	Value     []byte   `json:"value"`
	Headers   []Header `json:"headers"`
}

// Ack is a record that the cluster acknowledged. Sent and Answered are the client's clock, in milliseconds
// since 1970.
type Ack struct {
	Ref       string `json:"ref"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Timestamp int64  `json:"timestamp"`
	Sent      int64  `json:"sent"`
	Answered  int64  `json:"answered"`
}

// Refusal is a record that was not acknowledged; it may be in the log all the same when the answer was lost.
type Refusal struct {
	Ref      string `json:"ref"`
	Error    string `json:"error"`
	Sent     int64  `json:"sent"`
	Answered int64  `json:"answered"`
}

// Answers are the outcome of some sends, in the order of the answers.
type Answers struct {
	Acks     []Ack
	Refusals []Refusal
}

// add takes a line of the Java side.
func (a *Answers) add(r reply) {
	if r.Ack != nil {
		a.Acks = append(a.Acks, *r.Ack)
	}
	if r.Refused != nil {
		a.Refusals = append(a.Refusals, *r.Refused)
	}
}

// Producer is a producer of Kafka's own client, open until Close.
type Producer struct {
	client *Client
	name   string
}

// Producer opens a producer with the given properties over these: acks=all, and no record is tried for
// longer than 10 s. With transactional.id its transactions are initialised.
func (c *Client) Producer(ctx context.Context, a Access, properties map[string]string) (*Producer, error) {
	config := map[string]string{
		"acks": "all", "delivery.timeout.ms": "10000", "request.timeout.ms": "5000", "max.block.ms": "10000",
		"reconnect.backoff.max.ms": "200",
	}
	maps.Copy(config, properties)
	p := &Producer{client: c, name: c.session()}
	if err := c.call(ctx, "producer", request{"session": p.name, "config": a.config(config)}, nil); err != nil {
		return nil, err
	}
	return p, nil
}

// Send sends the records in order and waits until each is acknowledged or refused. In a transaction an
// acknowledged record counts only after Commit.
func (p *Producer) Send(ctx context.Context, records ...Out) (Answers, error) {
	var all Answers
	err := p.client.call(ctx, "send", request{"session": p.name, "records": records}, all.add)
	return all, err
}

// Begin begins a transaction.
func (p *Producer) Begin(ctx context.Context) error { return p.control(ctx, "begin") }

// Commit commits the open transaction.
func (p *Producer) Commit(ctx context.Context) error { return p.control(ctx, "commit") }

// Abort aborts the open transaction.
func (p *Producer) Abort(ctx context.Context) error { return p.control(ctx, "abort") }

// Close closes the producer; an open transaction is left to the coordinator's timeout.
func (p *Producer) Close(ctx context.Context) error { return p.control(ctx, "close") }

func (p *Producer) control(ctx context.Context, do string) error {
	return p.client.call(ctx, do, request{"session": p.name}, nil)
}

// Steady describes a load: numbered records in turn over the partitions. Ref and key of the n-th are
// PREFIX-n, and its value begins with that.
type Steady struct {
	Topic      string
	Partitions int32
	// Rate is in records per second; Size in bytes per value, at least what the number needs.
	Rate   int
	Size   int
	Prefix string
}

// Load is a running load.
type Load struct {
	client *Client
	name   string
	done   <-chan error

	mu      sync.Mutex
	answers Answers
	// more is closed, and made anew, with every answer.
	more chan struct{}
}

// Load starts a load on the producer. It goes on through failures of the cluster until Stop.
func (p *Producer) Load(ctx context.Context, s Steady) (*Load, error) {
	l := &Load{client: p.client, name: p.client.session(), more: make(chan struct{})}
	started := make(chan struct{})
	done, err := p.client.begin("load", request{
		"session": l.name, "producer": p.name, "topic": s.Topic, "partitions": s.Partitions,
		"rate": s.Rate, "size": s.Size, "prefix": s.Prefix,
	}, func(r reply) {
		if r.Started {
			close(started)
			return
		}
		l.take(r)
	})
	if err != nil {
		return nil, err
	}
	l.done = done
	select {
	case <-started:
		return l, nil
	case err := <-done:
		return nil, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *Load) take(r reply) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers.add(r)
	close(l.more)
	l.more = make(chan struct{})
}

// Answers are those so far. The slices must not be changed.
func (l *Load) Answers() Answers {
	a, _ := l.look()
	return a
}

func (l *Load) look() (Answers, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answers, l.more
}

// WaitAcks waits until n records are acknowledged, counted from the beginning.
func (l *Load) WaitAcks(ctx context.Context, n int) error {
	for {
		a, more := l.look()
		if len(a.Acks) >= n {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Stop ends the load, waits until every record sent was acknowledged or refused, and returns all answers.
func (l *Load) Stop(ctx context.Context) (Answers, error) {
	if err := l.client.call(ctx, "stop", request{"session": l.name}, nil); err != nil {
		return l.Answers(), err
	}
	select {
	case err := <-l.done:
		return l.Answers(), err
	case <-ctx.Done():
		return l.Answers(), ctx.Err()
	}
}
