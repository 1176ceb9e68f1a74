package mirror

import (
	"context"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// budget bounds the memory of fetched data, and uses it again.
type budget struct {
	size int64
	sem  *semaphore.Weighted

	mu   sync.Mutex
	free map[int][][]byte // by capacity, a class
	kept int64
	used int64
}

func newBudget(size int64) *budget {
	return &budget{size: size, sem: semaphore.NewWeighted(size), free: map[int][][]byte{}}
}

// chunk is the memory of one fetch answer, or of a piece of work; it goes back when the last batch in it is no longer needed.
type chunk struct {
	b *budget
	// buf is nil where the memory is only counted.
	buf []byte
	// weight is what is taken of the budget: less than the memory where that is larger than all of it.
	weight int64
	refs   atomic.Int64
}

// get waits until n bytes are within the budget. An answer larger than all of it may pass alone.
func (b *budget) get(ctx context.Context, n int) (*chunk, error) {
	size := class(n)
	c, err := b.reserve(ctx, int64(size))
	if err != nil {
		return nil, err
	}
	c.buf = b.buffer(size)[:n]
	return c, nil
}

// reserve waits until n bytes that somebody else makes are within the budget, or until it is all free where n is more.
func (b *budget) reserve(ctx context.Context, n int64) (*chunk, error) {
	c := &chunk{b: b, weight: min(n, b.size)}
	if err := b.sem.Acquire(ctx, c.weight); err != nil {
		return nil, err
	}
	c.refs.Store(1)
	return c, nil
}

// buffer gives one that was used before, or lets go of others for a new one: those kept count, too.
func (b *budget) buffer(size int) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used += int64(size)
	if list := b.free[size]; len(list) > 0 {
		b.free[size] = list[:len(list)-1]
		b.kept -= int64(size)
		return list[len(list)-1]
	}
	for class, list := range b.free {
		for len(list) > 0 && b.used+b.kept > b.size {
			list[len(list)-1] = nil
			list = list[:len(list)-1]
			b.kept -= int64(class)
		}
		b.free[class] = list
	}
	return make([]byte, size)
}

// class is the capacity in which n bytes are kept: the next power of two, or a quarter between, so that a
// fifth at most is wasted.
func class(n int) int {
	size := 4 << 10
	for size < n {
		for _, part := range []int{size / 4, size / 4, size / 4, size / 4} {
			if size >= n {
				return size
			}
			size += part
		}
	}
	return size
}

func (c *chunk) hold() *chunk {
	c.refs.Add(1)
	return c
}

// shrink gives back all but n bytes. Whoever shrinks a chunk holds it.
func (c *chunk) shrink(n int64) {
	if n < c.weight {
		c.b.sem.Release(c.weight - n)
		c.weight = n
	}
}

func (c *chunk) release() {
	if c == nil || c.refs.Add(-1) != 0 {
		return
	}
	if c.buf != nil {
		c.b.keep(c.buf[:cap(c.buf)])
		c.buf = nil
	}
	c.b.sem.Release(c.weight)
}

// keep takes a buffer back.
func (b *budget) keep(buf []byte) {
	size := int64(len(buf))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= size
	if b.used+b.kept+size > b.size {
		return
	}
	b.free[len(buf)] = append(b.free[len(buf)], buf)
	b.kept += size
}
