package main

import (
	"context"

	"github.com/understudy-dr/understudy"
)

// replicate runs one workload, or every workload of the plan that is replicated by schedule, one after the other.
func (a *app) replicate(ctx context.Context, p understudy.PlanName, f *operateFlags) error {
	if f.workload != "" {
		return a.operate(ctx, understudy.Replicate, p, f)
	}
	cl := a.client()
	st, err := cl.Status(ctx, p)
	cl.Close()
	if err != nil {
		return err
	}
	run := false
	for _, w := range st.Workloads {
		if len(w.Links) == 0 || w.Links[0].Schedule == nil {
			continue
		}
		run = true
		each := *f
		each.workload = string(w.Workload)
		if err := a.operate(ctx, understudy.Replicate, p, &each); err != nil {
			return err
		}
	}
	if run {
		return nil
	}
	// Control says why there is none.
	return a.operate(ctx, understudy.Replicate, p, f)
}
