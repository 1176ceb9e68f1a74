package native

import (
	"context"
	"sync"
)

// window is how many items may be in work or wait behind one that is; it bounds memory, and how far a large file holds up the list.
const window = 4096

// order passes on in order what is finished in any order.
type order struct {
	mu      sync.Mutex
	next    int64
	pending map[int64]item
	pass    func(seq int64, it *item) error
	// moved is closed and replaced whenever next grows, or err is set.
	moved chan struct{}
	// err is what went wrong first. What was taken from the open list then is in none, so nothing is passed on any more.
	err error
}

func newOrder(next int64, pass func(int64, *item) error) *order {
	return &order{next: next, pending: map[int64]item{}, pass: pass, moved: make(chan struct{})}
}

// put hands in the item of a place, and passes on all whose turn has come.
func (o *order) put(seq int64, it item) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return o.err
	}
	o.pending[seq] = it
	before := o.next
	for {
		it, ok := o.pending[o.next]
		if !ok {
			break
		}
		delete(o.pending, o.next)
		if err := o.pass(o.next, &it); err != nil {
			return o.fail(err)
		}
		o.next++
	}
	if o.next != before {
		o.wake()
	}
	return nil
}

func (o *order) wake() {
	close(o.moved)
	o.moved = make(chan struct{})
}

// fail ends the passing on.
func (o *order) fail(err error) error {
	if err != nil && o.err == nil {
		o.err = err
		o.wake()
	}
	return err
}

// room waits until a place is within the window.
func (o *order) room(ctx context.Context, seq int64) error { return o.passed(ctx, seq-window) }

// still does something while nothing is passed on; next is the place whose turn it is.
func (o *order) still(do func(next int64) error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return o.err
	}
	return o.fail(do(o.next))
}

// passed waits until the item of a place, and all before it, are passed on.
func (o *order) passed(ctx context.Context, seq int64) error {
	for {
		o.mu.Lock()
		inside, moved, err := seq < o.next, o.moved, o.err
		o.mu.Unlock()
		if err != nil {
			return err
		}
		if inside {
			return ctx.Err()
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
