package mirror

import (
	"context"
	"sync"
)

// member works for one broker until its context ends.
type member interface{ run(context.Context) }

// crew has one member for each broker, hired when it is first needed.
type crew[T member] struct {
	ctx  context.Context
	hire func(broker int32) T

	mu      sync.Mutex
	members map[int32]T
	working sync.WaitGroup
}

func newCrew[T member](ctx context.Context, hire func(int32) T) *crew[T] {
	return &crew[T]{ctx: ctx, hire: hire, members: map[int32]T{}}
}

func (c *crew[T]) at(broker int32) T {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, ok := c.members[broker]
	if !ok {
		m = c.hire(broker)
		c.members[broker] = m
		c.working.Add(1)
		go func() {
			defer c.working.Done()
			m.run(c.ctx)
		}()
	}
	return m
}

// wait returns when all members have left; their context has to end for that.
func (c *crew[T]) wait() { c.working.Wait() }
