package demo

import (
	"context"
	"fmt"
	"slices"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

// copyNowAndThen orders runs of the tree, one after another, until ctx ends: as the schedule would, whose shortest
// time is too long for a story. A run that the loss cuts off is no failure of the story.
func (s *story) copyNowAndThen(ctx context.Context) {
	for rest(ctx, s.pace().runs) == nil {
		_, err := s.house.operate(ctx, control.StartRequest{Verb: understudy.Replicate}, func(understudy.StepProgress) {})
		if err != nil {
			return
		}
		s.result.Tree.Runs++
	}
}

// orderOf gives the order in which the workloads of an operation did their steps; an error when a stage had another.
func orderOf(r control.Report) ([]understudy.WorkloadName, error) {
	var all []understudy.WorkloadName
	for _, p := range r.Operation.Parts {
		all = append(all, p.Workload)
	}
	for _, stage := range r.Stages {
		last := 0
		for _, step := range stage.Steps {
			if step.Workload == "" {
				continue
			}
			at := slices.Index(all, step.Workload)
			if at < last {
				return nil, failed(fmt.Sprintf("at stage %s %s came before %s", stage.Name, all[last], step.Workload), nil)
			}
			last = at
		}
	}
	return all, nil
}

// boundTree notes what the failover said could be lost of the tree.
func (s *story) boundTree(r control.Report) error {
	bound, err := boundOf(r, invoices)
	if err != nil {
		return err
	}
	t := &s.result.Tree
	t.LostBoundClaimed, t.LostBoundSeconds = s.written.after(bound.Safe), bound.Bound.Seconds()
	s.tell("of the invoices, what came after the set of %s ago: %d of them", short(bound.Bound), t.LostBoundClaimed)
	return nil
}

// look reads the tree of a site, and adds what must not be there to the result.
func (s *story) look(site understudy.Site) (tally, error) {
	found, err := browse(s.lake.tree(site))
	if err != nil {
		return nil, failed("the invoices at "+string(site)+" could not be read", err)
	}
	t := &s.result.Tree
	t.Torn += found.torn
	sent := s.clerk.book.sent()
	for n := range found.whole {
		if n < 0 || n >= sent {
			t.Invented++
		}
	}
	return found.whole, nil
}

// countTree reads every file at west and holds it against the clerk's own book.
func (s *story) countTree() error {
	found, err := s.look(west)
	if err != nil {
		return err
	}
	t := &s.result.Tree
	t.Survived = found.of(s.written.acknowledged())
	t.Lost = t.Files - t.Survived
	s.tell("%d of %d invoices are at west, each to its last byte: %d lost, %d were claimed as the most", t.Survived, t.Files, t.Lost, t.LostBoundClaimed)
	return nil
}

// ledgerTree looks for every lost invoice in the quarantine to which the ledger points.
func (s *story) ledgerTree(ctx context.Context) error {
	files, claimed, err := s.house.savedFiles(ctx)
	if err != nil {
		return err
	}
	t := &s.result.Tree
	t.Ledgered, t.LedgeredListed = claimed, int64(len(files))
	survived, err := browse(s.lake.tree(west))
	if err != nil {
		return failed("the invoices at west could not be read", err)
	}
	lost := slices.DeleteFunc(s.written.acknowledged(), func(n id) bool { return survived.whole[n] > 0 })
	for _, f := range files {
		var kept shelf
		if f.Kept != "" {
			// A directory that is new as a whole is one path, with all that is in it.
			if kept, err = browse(s.lake.kept(east, f.Kept)); err != nil {
				return failed(f.Path+" is not where the ledger says", err)
			}
		}
		back := kept.whole.of(lost)
		t.LedgeredLost += back
		if back == 0 {
			t.LedgeredOther++
		}
	}
	s.tell("and %d paths of the tree: with them %d lost invoices came back whole, in the quarantine beside it; %d hold none", claimed, t.LedgeredLost, t.LedgeredOther)
	return nil
}

// countTreeAgain reads the tree at home.
func (s *story) countTreeAgain() error {
	found, err := s.look(east)
	if err != nil {
		return err
	}
	around := s.clerk.book.since(s.back).acknowledged()
	t := &s.result.Tree
	t.SwitchoverFiles = int64(len(around))
	t.SwitchoverLost = t.SwitchoverFiles - found.of(around)
	if still := found.of(s.written.acknowledged()); still != t.Survived {
		return failed(fmt.Sprintf("%d of the invoices that had survived are at home, not %d", still, t.Survived), nil)
	}
	s.tell("%d invoices were written since: %d lost, %d torn", t.SwitchoverFiles, t.SwitchoverLost, t.Torn)
	return nil
}
