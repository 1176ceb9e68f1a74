package mirror

import (
	"context"
	"errors"
	"fmt"

	"github.com/understudy-dr/understudy/workload/kafka/internal/batch"
)

// workshop bounds the memory in which batches are read, and put together again. It is apart from that of fetched data: whoever
// works here holds some of that already, and would wait for itself.
type workshop struct {
	memory *budget
	// benches read batches up to a size each, the smallest first: how much is in a compressed batch no header says.
	benches []bench
}

type bench struct {
	limit int64
	coder *batch.Coder
}

const (
	// workRatio is how many times the size of a compressed batch's records is taken at most: first by two buffers, of which one
	// has outgrown the other; then by the records, the new batch's records, these compressed, and the new batches.
	workRatio = 6
	// plainRatio is the same of a batch that is not compressed, whose records lie in the fetched data.
	plainRatio = 3
	// likelyRatio is how much larger than a compressed batch its records are at first taken to be.
	likelyRatio = 4
	// firstBench is the limit of the smallest bench; each following one has twice that.
	firstBench = 128 << 10
	// besides is what a batch takes however small it is.
	besides = 4 << 10
	// lookMemory is what a look at the last batches of both logs is at first taken to need.
	lookMemory = 3 << 20
	// fillerMemory is what one record of a filler takes while it is made.
	fillerMemory = 24
)

// newWorkshop makes one of size bytes that reads batches of up to limit bytes of records.
func newWorkshop(size, limit int64) (*workshop, error) {
	w := &workshop{memory: newBudget(size)}
	for at := int64(firstBench); ; at *= 2 {
		at = min(at, limit)
		c, err := batch.NewCoder(int(at))
		if err != nil {
			return nil, err
		}
		w.benches = append(w.benches, bench{at, c})
		if at == limit {
			return w, nil
		}
	}
}

// room is memory of the workshop for one piece of work.
type room struct {
	w     *workshop
	chunk *chunk
	// size is what was asked for: more than the chunk's weight where that is more than there is, and the work is done alone.
	size int64
	used int64
}

// crowded means that the work needs a larger room.
type crowded struct{ need int64 }

func (c *crowded) Error() string {
	return fmt.Sprintf("this takes %d bytes of memory", c.need)
}

// within does something in a room of the size, once there is one. Where it proves to be too small, it is left, and all is done
// again from the start in a larger one: until do has opened what it needs, it must not have an effect. What holds the room's
// chunk keeps it. The error is the context's where it ended first.
func (w *workshop) within(ctx context.Context, size int64, do func(*room) error) error {
	for {
		memory, err := w.memory.reserve(ctx, size)
		if err != nil {
			return err
		}
		err = do(&room{w: w, chunk: memory, size: size})
		memory.release()
		var more *crowded
		if !errors.As(err, &more) || more.need <= size {
			return err
		}
		size = max(more.need, 2*size) // seldom more than twice from the start
	}
}

// roomFor is the size of the room that a batch is likely to need.
func (w *workshop) roomFor(b batch.Batch) int64 {
	if b.Codec() == batch.None {
		return plainRatio*int64(len(b)) + besides
	}
	return workRatio*w.benches[w.likely(b)].limit + besides
}

// likely is the bench that a compressed batch is tried on first.
func (w *workshop) likely(b batch.Batch) int {
	for i, x := range w.benches {
		if x.limit >= likelyRatio*int64(len(b)) {
			return i
		}
	}
	return len(w.benches) - 1
}

// take counts n bytes that are in the room already. The error is *crowded.
func (r *room) take(n int64) error {
	if r.used += n; r.used > r.size {
		return &crowded{r.used}
	}
	return nil
}

// open reads a batch. The error is *crowded, or one of batch.Coder's.
func (r *room) open(b batch.Batch) (batch.Body, error) {
	if b.Codec() == batch.None {
		if err := r.take(plainRatio*int64(len(b)) + besides); err != nil {
			return batch.Body{}, err
		}
		return r.w.benches[len(r.w.benches)-1].coder.Open(b)
	}
	at := r.w.likely(b)
	for {
		if need := r.used + workRatio*r.w.benches[at].limit + besides; need > r.size {
			return batch.Body{}, &crowded{need}
		}
		body, err := r.w.benches[at].coder.Open(b)
		if err == nil {
			return body, r.take(max(int64(body.Size()), 2*int64(body.Len())) + (workRatio-2)*int64(body.Len()) + besides)
		}
		// A frame of zstd that names a large window looks broken on a small bench, whatever is in it.
		if at++; at == len(r.w.benches) || !errors.Is(err, batch.ErrTooLarge) && b.Codec() != batch.Zstd {
			return batch.Body{}, err
		}
	}
}

// fit gives back what is not needed after all that is to be opened has been.
func (r *room) fit() { r.chunk.shrink(r.used) }
