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
	free map[int][][]byte // by capacity, a power of two
	kept int64
}

func newBudget(size int64) *budget {
	return &budget{size: size, sem: semaphore.NewWeighted(size), free: map[int][][]byte{}}
}

// chunk is the memory of one fetch answer; it goes back when the last batch in it is no longer needed.
type chunk struct {
	b    *budget
	buf  []byte
	refs atomic.Int64
}

// get waits until n bytes are within the budget. An answer larger than all of it may pass alone.
func (b *budget) get(ctx context.Context, n int) (*chunk, error) {
	size := class(n)
	if err := b.sem.Acquire(ctx, min(int64(size), b.size)); err != nil {
		return nil, err
	}
	c := &chunk{b: b}
	c.refs.Store(1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if list := b.free[size]; len(list) > 0 {
		c.buf = list[len(list)-1][:n]
		b.free[size] = list[:len(list)-1]
		b.kept -= int64(size)
		return c, nil
	}
	c.buf = make([]byte, n, size)
	return c, nil
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

func (c *chunk) release() {
	if c == nil || c.refs.Add(-1) != 0 {
		return
	}
	size := cap(c.buf)
	c.b.mu.Lock()
	if c.b.kept+int64(size) <= c.b.size/2 {
		c.b.free[size] = append(c.b.free[size], c.buf[:0])
		c.b.kept += int64(size)
	}
	c.buf = nil
	c.b.mu.Unlock()
	c.b.sem.Release(min(int64(size), c.b.size))
}
