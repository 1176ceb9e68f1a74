package demo

import (
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
)

// kept is a result in which every promise is kept.
func kept() Result {
	return Result{
		Acknowledged: 100, Survived: 90, Lost: 10, LostBoundClaimed: 12, Ledgered: 11, LedgeredLost: 10, LedgeredUnacknowledged: 1,
		SwitchoverAcknowledged: 50, Verdict: understudy.Match,
		Fence: understudy.Proof{Kind: understudy.ProofFence, Site: east, Complete: true},
		Tree: Tree{
			Files: 40, Survived: 33, Lost: 7, LostBoundClaimed: 8, Ledgered: 3, LedgeredListed: 3, LedgeredLost: 7, LedgeredOther: 1,
			SwitchoverFiles: 20, Verdict: understudy.Match,
			Fence: understudy.Proof{Kind: understudy.ProofFence, Site: east, Complete: true},
		},
	}
}

func TestEveryBrokenPromiseIsNamed(t *testing.T) {
	for want, spoil := range map[string]func(*Result){
		"nothing was acknowledged before":        func(r *Result) { r.Acknowledged = 0 },
		"more than the 9 of the bound":           func(r *Result) { r.LostBoundClaimed = 9 },
		"the ledger has 9 of them":               func(r *Result) { r.LedgeredLost, r.Ledgered = 9, 10 },
		"which are not the 10 lost":              func(r *Result) { r.Ledgered = 12 },
		"nothing was acknowledged around":        func(r *Result) { r.SwitchoverAcknowledged = 0 },
		"the switchover lost 1":                  func(r *Result) { r.SwitchoverLost = 1 },
		"2 orders were duplicated":               func(r *Result) { r.Duplicates = 2 },
		"3 orders were found that nobody":        func(r *Result) { r.Invented = 3 },
		"the verdict of the verification is LAG": func(r *Result) { r.Verdict = understudy.Lagging },
		"the fence of the returned primary":      func(r *Result) { r.Fence.Complete = false },
		"no invoice was written before":          func(r *Result) { r.Tree.Files = 0 },
		"7 invoices were lost, more than the 6":  func(r *Result) { r.Tree.LostBoundClaimed = 6 },
		"6 of them came back from the ledger":    func(r *Result) { r.Tree.LedgeredLost = 6 },
		"has 3 paths, and lists 2":               func(r *Result) { r.Tree.LedgeredListed = 2 },
		"no invoice was written around":          func(r *Result) { r.Tree.SwitchoverFiles = 0 },
		"the switchover lost 1 invoices":         func(r *Result) { r.Tree.SwitchoverLost = 1 },
		"2 invoices were not as they were":       func(r *Result) { r.Tree.Torn = 2 },
		"3 invoices were found that nobody":      func(r *Result) { r.Tree.Invented = 3 },
		"of the tree is LAGGING":                 func(r *Result) { r.Tree.Verdict = understudy.Lagging },
		"the fence of the returned tree":         func(r *Result) { r.Tree.Fence.Site = west },
	} {
		t.Run(want, func(t *testing.T) {
			r := kept()
			spoil(&r)
			r.judge()
			if len(r.Violated) != 1 || !strings.Contains(r.Violated[0], want) {
				t.Fatalf("violated: %q", r.Violated)
			}
			if e := understudy.AsError(r.err()); e.Code != "US514" || e.Kind != understudy.KindBug {
				t.Fatalf("got %+v", e)
			}
		})
	}
	r := kept()
	if r.judge(); r.err() != nil {
		t.Fatalf("violated without reason: %q", r.Violated)
	}
}

func TestBookCountsWhatWasAcknowledgedAfterAMoment(t *testing.T) {
	var b book
	for range 4 {
		b.next()
	}
	b.acknowledge(2)
	moment := time.Now()
	b.acknowledge(0)
	p := b.since(0)
	if got := p.acknowledged(); len(got) != 2 || got[0] != 0 || got[1] != 2 {
		t.Fatalf("acknowledged: %v", got)
	}
	if n := p.after(moment); n != 1 {
		t.Fatalf("%d after the moment, not 1", n)
	}
	if got := b.since(1).acknowledged(); len(got) != 1 || got[0] != 2 {
		t.Fatalf("acknowledged from 1 on: %v", got)
	}
}

func TestTallyCountsCopies(t *testing.T) {
	found := tally{1: 1, 2: 3, 9: 1}
	if n := found.duplicates(); n != 2 {
		t.Fatalf("%d duplicates, not 2", n)
	}
	if n := found.of([]id{1, 2, 3}); n != 2 {
		t.Fatalf("%d found, not 2", n)
	}
}

func TestOrdersAreReadBack(t *testing.T) {
	for _, n := range []id{0, 3, 123456} {
		if got, err := parse(order(n).Value); err != nil || got != n {
			t.Fatalf("order %d is read back as %d, %v", n, got, err)
		}
	}
	if _, err := parse([]byte("something else")); err == nil {
		t.Fatal("a foreign record is taken for an order")
	}
}
