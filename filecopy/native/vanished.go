package native

import (
	"context"
	"errors"
	"fmt"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
)

// errDoubt means that what the source was seen to hold is not enough to remove anything: a listing of a live tree takes its time, and what is renamed
// meanwhile, from where it has not been yet to where it was, is in it under neither name. What stands still during one of two listings is in that one.
var errDoubt = errors.New("one more listing has to say what is gone")

// undecided says that no listings came to agree.
func undecided(err error) error {
	e := failure("US607", understudy.KindConflict, "plan", fmt.Sprintf("a path of the source was of another kind at each of %d listings", maxTries), errors.Join(filecopy.ErrChanged, err))
	e.Fix = "stop who replaces it for a while, or use a source with snapshots"
	return e
}

// again lists the source once more. With the listing before, that is the source: only what neither has is gone.
func (r *run) again(ctx context.Context, p places, n int) (places, error) {
	if len(p.listed) > 1 {
		p.listed[0].remove()
		p.listed = p.listed[1:]
	}
	l, err := r.listing(ctx, r.view, fmt.Sprintf("source-%d", n), func(p *filecopy.Progress) { p.Relisted++ })
	if err != nil {
		return p, err
	}
	return r.beside(ctx, p.listed[0], l)
}

// united gives two listings as one: each path as the newer one has it. What the newer one lacks has vanished, or was renamed past it.
type united struct {
	older, newer *peeked
}

func (u *united) next() (item, bool, error) {
	if err := firstError(u.older.err, u.newer.err); err != nil || !u.older.ok && !u.newer.ok {
		return item{}, false, err
	}
	order := compareHeads(u.older, u.newer)
	if order < 0 {
		it := u.older.head
		it.vanished = true
		u.older.advance()
		return it, true, nil
	}
	it := u.newer.head
	if order == 0 {
		if it.Kind != u.older.head.Kind {
			// The older thing would have to go, and only one listing says so.
			return item{}, false, fmt.Errorf("%w: %q is %s, and was %s", errDoubt, string(it.Path), it.Kind, u.older.head.Kind)
		}
		u.older.advance()
	}
	u.newer.advance()
	return it, true, nil
}

func (u *united) close() {
	u.older.close()
	u.newer.close()
}
