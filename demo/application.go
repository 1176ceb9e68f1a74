package demo

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// tick is the time between two sends, and busy the orders a second of a busy shop.
	tick = 5 * time.Millisecond
	busy = 2000
	// padding makes an order as long as a small document.
	padding = 120
)

// id is the number of an order. No number is ever sent twice, so one that is found twice was duplicated by others.
type id int64

// book remembers every order that the application sent, and when it was acknowledged. Orders count from 0.
type book struct {
	mu sync.Mutex
	// acknowledged has a zero time for an order that was sent and never acknowledged.
	acknowledged []time.Time
}

func (b *book) next() id {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.acknowledged = append(b.acknowledged, time.Time{})
	return id(len(b.acknowledged) - 1)
}

func (b *book) acknowledge(n id) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.acknowledged[n] = now
}

// page is a copy of the book from one order on.
type page struct {
	first id
	// times are those of the acknowledgements, zero for none.
	times []time.Time
}

// since copies the book from an order on.
func (b *book) since(first id) page {
	b.mu.Lock()
	defer b.mu.Unlock()
	return page{first, slices.Clone(b.acknowledged[first:])}
}

// sent says how many orders were sent by now.
func (b *book) sent() id {
	b.mu.Lock()
	defer b.mu.Unlock()
	return id(len(b.acknowledged))
}

// acknowledged lists the orders of the page that were acknowledged.
func (p page) acknowledged() []id {
	var out []id
	for i, at := range p.times {
		if !at.IsZero() {
			out = append(out, p.first+id(i))
		}
	}
	return out
}

// after counts the orders that were acknowledged after a moment.
func (p page) after(moment time.Time) int64 {
	var n int64
	for _, at := range p.times {
		if at.After(moment) {
			n++
		}
	}
	return n
}

// application is an ordinary program: it sends orders to a site and keeps book.
type application struct {
	book book
	// perTick orders are sent every tick.
	perTick int
}

// write sends orders to one address until ctx ends or the cluster refuses one. It gives the refusal, nil when ctx
// ended. What is unanswered at the end stays unacknowledged.
func (a *application) write(ctx context.Context, addr string) error {
	client, err := kgo.NewClient(append(asShop(addr), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(2*time.Millisecond))...)
	if err != nil {
		return err
	}
	// Close waits for nothing: records without an answer are given up.
	defer client.Close()
	refused := make(chan error, 1)
	clock := time.NewTicker(tick)
	defer clock.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-refused:
			return err
		case <-clock.C:
			a.send(client, refused)
		}
	}
}

// send sends the orders of one tick, one in four of them as a payment.
func (a *application) send(client *kgo.Client, refused chan<- error) {
	for range a.perTick {
		n := a.book.next()
		client.Produce(context.Background(), order(n), func(_ *kgo.Record, err error) {
			if err == nil {
				a.book.acknowledge(n)
				return
			}
			select {
			case refused <- err:
			default:
			}
		})
	}
}

// roam writes to the first address that lets it, and looks for the next one whenever it is refused, until ctx ends:
// as an application that knows both sites.
func (a *application) roam(ctx context.Context, addrs ...string) {
	for i := 0; ctx.Err() == nil; i++ {
		_ = a.write(ctx, addrs[i%len(addrs)])
		_ = rest(ctx, tick)
	}
}

// order is the record of an order.
func order(n id) *kgo.Record {
	topic := "orders"
	if n%4 == 3 {
		topic = "payments"
	}
	return &kgo.Record{
		Topic: topic, Key: []byte(fmt.Sprintf("customer-%d", n%97)),
		Value: []byte(fmt.Sprintf("order %d %s", n, strings.Repeat(".", padding))),
	}
}

// parse reads the number of an order back.
func parse(value []byte) (id, error) {
	fields := strings.Fields(string(value))
	if len(fields) < 2 || fields[0] != "order" {
		return 0, failed(fmt.Sprintf("a record that the application never wrote: %.40q", value), nil)
	}
	n, err := strconv.ParseInt(fields[1], 10, 64)
	return id(n), err
}
