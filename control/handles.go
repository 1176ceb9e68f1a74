package control

import (
	"context"
	"sync"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// handles are the workloads that this term has opened, one of each.
type handles struct {
	s    *session
	mu   sync.Mutex
	open map[understudy.Object]*handle
}

// handle is an open workload, of which one step runs at a time. A step of an operation does not wait for one of the
// standing duty to come to its own end: that is cut off, as a crash would cut it off.
type handle struct {
	workload.Workload
	kind workload.Kind
	p    workload.Planned
	do   sync.Mutex

	mu sync.Mutex
	// waiting counts the operations' steps that want their turn, and cut ends the duty's step that has it.
	waiting int
	cut     context.CancelCauseFunc
}

// take gives an operation's step its turn.
func (h *handle) take() {
	h.mu.Lock()
	h.waiting++
	if h.cut != nil {
		h.cut(errYielded)
	}
	h.mu.Unlock()
	h.do.Lock()
	h.mu.Lock()
	h.waiting--
	h.mu.Unlock()
}

// borrow gives a step of the standing duty its turn, with a context that ends when an operation wants it; errYielded
// means that one does already.
func (h *handle) borrow(ctx context.Context) (context.Context, error) {
	h.do.Lock()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting > 0 {
		h.do.Unlock()
		return ctx, errYielded
	}
	ctx, h.cut = context.WithCancelCause(ctx)
	return ctx, nil
}

// give ends a turn.
func (h *handle) give() {
	h.mu.Lock()
	if h.cut != nil {
		h.cut(nil)
		h.cut = nil
	}
	h.mu.Unlock()
	h.do.Unlock()
}

func newHandles(s *session) *handles {
	return &handles{s: s, open: map[understudy.Object]*handle{}}
}

// get opens the workload, or gives it when it is open.
func (h *handles) get(ctx context.Context, p workload.Planned) (*handle, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := objectOf(p)
	if w, ok := h.open[o]; ok {
		return w, nil
	}
	if err := h.s.c.absent(ctx, p, &h.s.absent); err != nil {
		return nil, err
	}
	kind, w, err := h.s.c.open(ctx, p, h.s.id, &h.s.absent)
	if err != nil {
		return nil, err
	}
	h.open[o] = &handle{Workload: w, kind: kind, p: p}
	return h.open[o], nil
}

// close closes all; nothing may use them any more.
func (h *handles) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for o, w := range h.open {
		if err := w.Close(); err != nil {
			h.s.opt.Log.Warn("closing a workload", "object", o.String(), "error", err)
		}
		delete(h.open, o)
	}
}

// open opens a workload of a plan.
func (c *Controller) open(ctx context.Context, p workload.Planned, id string, gone *absences) (workload.Kind, workload.Workload, error) {
	kind, ok := c.opt.Registry.Kind(p.Kind)
	if !ok {
		return kind, nil, notFound("kind", string(p.Kind))
	}
	w, err := kind.Open(ctx, p.Spec, workload.Opening{
		Secret: c.opt.Secret, FetchBudget: c.opt.FetchBudget, ControlPlane: id, DataDir: c.opt.DataDir,
		Absent: func(site understudy.Site) bool { return gone.has(objectOf(p), site) },
	})
	return kind, w, err
}
