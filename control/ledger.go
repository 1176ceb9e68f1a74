package control

import (
	"context"
	"os"
	"slices"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// Ledgers lists the ledgers of a plan, newest first, those discarded included.
func (c *Controller) Ledgers(ctx context.Context, plan understudy.PlanName) ([]LedgerRecord, error) {
	all, err := readAll[LedgerRecord](ctx, c.opt.Journal, prefixLedger(plan))
	if err == nil && len(all) == 0 {
		// A misspelt name must not look like a plan that lost nothing.
		_, err = c.plan(ctx, plan)
	}
	slices.SortFunc(all, func(a, b LedgerRecord) int { return b.At.Compare(a.At) })
	return all, err
}

func (c *Controller) ledger(ctx context.Context, req LedgerRequest) (LedgerRecord, error) {
	o := understudy.Object{Plan: req.Plan, Workload: req.Workload}
	rec, version, err := read[LedgerRecord](ctx, c.opt.Journal, keyLedger(o, req.Operation))
	if err == nil && version == 0 {
		err = noLedger(req)
	}
	return rec, err
}

// noLedger says that there is none of that name, and which command lists those of the plan.
func noLedger(req LedgerRequest) *understudy.Error {
	o := understudy.Object{Plan: req.Plan, Workload: req.Workload}
	e := notFound("ledger", o.String()+" of "+string(req.Operation))
	e.Fix = "understudy ledger show " + string(req.Plan)
	return e
}

// ExportLedger writes the saved records of one ledger as JSON lines.
func (c *Controller) ExportLedger(ctx context.Context, req LedgerRequest, write func(line []byte) error) error {
	rec, err := c.ledger(ctx, req)
	if err != nil {
		return err
	}
	if !rec.Discarded.IsZero() {
		e := noLedger(req)
		e.Why = "it was discarded by " + rec.By
		return e
	}
	plan, err := c.plan(ctx, req.Plan)
	if err != nil {
		return err
	}
	p, ok := plan.Workload(req.Workload)
	if !ok {
		return notFound("workload", string(req.Workload))
	}
	kind, ok := c.opt.Registry.Kind(p.Kind)
	if !ok || kind.ExportLedger == nil {
		return notFound("export of kind", string(p.Kind))
	}
	return kind.ExportLedger(ctx, rec.Dir, write)
}

// DiscardLedger deletes the saved records of one ledger, and what the workload keeps of it at the sites. It is refused until the takeover is
// committed: until then a rollback may need them. What could not be deleted is by the next call for the same ledger.
func (c *Controller) DiscardLedger(ctx context.Context, req LedgerRequest) (LedgerRecord, error) {
	s, err := c.ordered()
	if err != nil {
		return LedgerRecord{}, err
	}
	rec, err := s.discard(ctx, req)
	if err == nil {
		err = os.RemoveAll(rec.Dir)
	}
	if err == nil {
		err = s.discardAtSites(ctx, rec)
	}
	return rec, err
}

// discard says in the journal that a ledger is discarded.
func (s *session) discard(ctx context.Context, req LedgerRequest) (LedgerRecord, error) {
	rec, err := s.c.ledger(ctx, req)
	if err != nil {
		return rec, err
	}
	o := understudy.Object{Plan: req.Plan, Workload: req.Workload}
	if req.By == "" || req.Reason == "" {
		return rec, invalid("US243", o, "a ledger is discarded by a named person with a reason only", "add --reason")
	}
	defer s.locks.lock(string(req.Plan))()
	state, _, err := read[planRecord](ctx, s.opt.Journal, keyPlan(req.Plan))
	if err != nil {
		return rec, err
	}
	if state.Takeover != "" || state.Current != "" {
		return rec, refused("US249", o, "an operation is open that may need the ledger", "finish and commit it first")
	}
	rec, version, err := read[LedgerRecord](ctx, s.opt.Journal, keyLedger(o, req.Operation))
	if err != nil {
		return rec, err
	}
	// The record goes first: files without a record are rubbish, a record without files would be a lie.
	rec.Discarded, rec.By = s.opt.Now(), req.By+": "+req.Reason
	var t change
	t.put(keyLedger(o, req.Operation), version, rec)
	return rec, s.commit(&t)
}

// discardAtSites has the workload remove what the ledger keeps at the sites. It takes no turn: what runs needs nothing of a discarded ledger,
// and may take hours.
func (s *session) discardAtSites(ctx context.Context, rec LedgerRecord) error {
	s.use.RLock()
	defer s.use.RUnlock()
	plans, err := s.c.plans(ctx)
	if err != nil {
		return err
	}
	plan, _ := plans.Find(rec.Plan)
	p, ok := plan.Workload(rec.Workload)
	if !ok {
		// Who took it out of the plan has left what lies at its sites.
		return nil
	}
	h, err := s.handles.get(ctx, p)
	if err != nil {
		return err
	}
	holder, ok := h.Workload.(workload.LedgerHolder)
	if !ok {
		return nil
	}
	var sites []understudy.Site
	for _, e := range rec.Entries {
		if !slices.Contains(sites, e.Site) {
			sites = append(sites, e.Site)
		}
	}
	return holder.DiscardLedger(ctx, rec.Operation, sites, s.lease())
}
