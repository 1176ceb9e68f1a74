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

// handle is an open workload. Its mutex keeps steps of operations and of the standing duty apart.
type handle struct {
	workload.Workload
	kind workload.Kind
	do   sync.Mutex
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
	kind, w, err := h.s.c.open(ctx, p, h.s.id)
	if err != nil {
		return nil, err
	}
	h.open[o] = &handle{Workload: w, kind: kind}
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
func (c *Controller) open(ctx context.Context, p workload.Planned, id string) (workload.Kind, workload.Workload, error) {
	kind, ok := c.opt.Registry.Kind(p.Kind)
	if !ok {
		return kind, nil, notFound("kind", string(p.Kind))
	}
	w, err := kind.Open(ctx, p.Spec, workload.Opening{
		Secret: c.opt.Secret, FetchBudget: c.opt.FetchBudget, ControlPlane: id,
	})
	return kind, w, err
}
