package main

import (
	"context"
	"strings"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/api"
	"github.com/understudy-dr/understudy/control"
)

// consented tells, before consent is given, what it binds: the operation, its objects and order, the bounds and words in
// its envelope, and what its stages have said so far. Of an operation that waits for no approval it tells nothing: the
// answer says why there is nothing to approve.
func (a *app) consented(ctx context.Context, cl *api.Client, id understudy.OperationID) error {
	r, err := cl.Report(ctx, id)
	if err != nil || r.Operation.State != control.AwaitingApproval {
		return err
	}
	p := &printer{w: a.errs}
	p.envelope(r.Operation)
	for _, s := range r.Stages {
		for _, n := range s.Notes {
			p.line("  note: %s", n)
		}
	}
	for _, n := range r.Warnings {
		p.line("  note: %s", n)
	}
	return p.err
}

// envelope tells what an approval binds.
func (p *printer) envelope(op control.Operation) {
	e := op.Envelope
	p.line("to be approved: %s %s of %s, ordered by %s; it %s", op.Verb, op.ID, op.Plan, op.By, consequence(op.Verb))
	if op.From != "" && op.To != "" {
		p.line("  from %s to %s", op.From, op.To)
	}
	var names []string
	for _, w := range e.Workloads {
		names = append(names, string(w))
	}
	p.line("  workloads, in this order: %s", strings.Join(names, ", "))
	if e.MaxLoss != nil {
		p.line("  refused when more than %s may be lost", *e.MaxLoss)
	} else if control.TableVerb(op.Verb) == understudy.Failover {
		p.line("  no highest loss is named")
	}
	if e.FenceFloor != "" {
		p.line("  the lowest fence level that is enough: %s", e.FenceFloor)
	}
	for _, w := range e.Acceptances {
		if op.Verb == understudy.Unprotect {
			p.line("  %s is let go, on the word of %s: what was put in place there stays", w.Site, w.By)
			continue
		}
		p.line("  the word of %s that nobody writes %s while it does not answer", w.By, w.Site)
	}
	if op.Reason != "" {
		p.line("  because: %s", op.Reason)
	}
}
