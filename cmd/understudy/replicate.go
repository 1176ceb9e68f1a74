package main

import (
	"context"
	"strings"

	"github.com/understudy-dr/understudy"
)

// replicate runs one workload, or every workload of the plan that is replicated by schedule, one after the other.
func (a *app) replicate(ctx context.Context, p understudy.PlanName, f *operateFlags) error {
	if plan, name, ok := strings.Cut(string(p), "/"); ok && f.workload == "" {
		p, f.workload = understudy.PlanName(plan), name
	}
	if f.workload != "" {
		return a.operate(ctx, understudy.Replicate, p, f)
	}
	cl := a.client()
	st, err := cl.Status(ctx, p)
	cl.Close()
	if err != nil {
		return err
	}
	var run []string
	for _, w := range st.Workloads {
		if len(w.Links) > 0 && w.Links[0].Schedule != nil {
			run = append(run, string(w.Workload))
		}
	}
	if len(run) > 1 && len(f.consents.given()) > 0 {
		return &understudy.Error{Code: "US500", Kind: understudy.KindInvalid,
			Summary: "an acceptance is for one workload", Fix: "understudy replicate " + string(p) + "/" + run[0] + " with the acceptance that its refused run told"}
	}
	for _, name := range run {
		each := *f
		each.workload = name
		if err := a.operate(ctx, understudy.Replicate, p, &each); err != nil {
			return err
		}
	}
	if len(run) > 0 {
		return nil
	}
	// Control says why there is none.
	return a.operate(ctx, understudy.Replicate, p, f)
}
