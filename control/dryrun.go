package control

import (
	"context"
	"slices"
	"strings"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// dryRun shows all stages of an operation with today's facts, and changes nothing.
func (s *session) dryRun(ctx context.Context, plan workload.Plan, req StartRequest) (*DryRun, error) {
	if req.By == "" {
		req.By = "dry run"
	}
	a, err := s.admit(ctx, plan, req)
	if err != nil {
		return nil, err
	}
	s.use.RLock()
	defer s.use.RUnlock()
	op := a.operation(s)
	out := &DryRun{Verb: req.Verb, Plan: plan.Name, From: a.from, To: a.to, Exposure: map[understudy.WorkloadName]understudy.Exposure{}}
	for _, row := range op.rows() {
		out.Stages = append(out.Stages, DryStage{
			Name: row.Stage, Does: wordsOf(row), Hook: string(plan.Hooks[row.Stage]),
			Refused: map[understudy.WorkloadName]*understudy.Error{},
		})
	}
	for _, p := range a.plan.Workloads {
		if err := s.dryPart(ctx, op, p, a, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// dryPart asks one workload what it would do at every stage.
func (s *session) dryPart(ctx context.Context, op *Operation, p workload.Planned, a *admission, out *DryRun) error {
	h, err := s.handles.get(ctx, p)
	if err != nil {
		return err
	}
	obs, err := s.observe(ctx, h, objectOf(p))
	if err != nil {
		return err
	}
	if isTakeover(op.Verb) {
		if out.Exposure[p.Name], err = s.exposureOf(ctx, p, a.roles[p.Name], op.To, s.opt.Now()); err != nil {
			return err
		}
	}
	w := &walk{s: s, run: &run{}, op: *op, plan: a.plan}
	role := a.roles[p.Name]
	for i, row := range op.rows() {
		switch {
		case slices.Contains(row.Before, ActFence):
			role = above(role, obs.HighestEpoch).Fenced()
		case slices.Contains(row.Before, ActOpenRole) && role.Epoch == 0:
			role = above(role, obs.HighestEpoch).Promoted(op.From)
		}
		if row.Steps {
			at, err := w.stageFor(ctx, row.Stage, p, obs)
			if err != nil {
				return err
			}
			at.Now = role
			steps, err := h.Decide(at, obs)
			if err != nil {
				out.Stages[i].Refused[p.Name] = understudy.AsError(err)
			}
			for _, st := range steps {
				out.Stages[i].Steps = append(out.Stages[i].Steps, DryStep{Workload: p.Name, Step: st})
			}
		}
		if slices.Contains(row.After, ActPromote) {
			role = role.Promoted(op.To)
		}
	}
	return nil
}

// wordsOf lists what control does at a stage.
func wordsOf(r Row) string {
	var out []string
	for _, a := range slices.Concat(r.Before, r.After) {
		out = append(out, string(a))
	}
	return strings.Join(out, ", ")
}
