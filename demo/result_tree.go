package demo

import "github.com/understudy-dr/understudy"

// Tree is what became of the tree of invoices, counted by the clerk and not by understudy, except where it says
// claimed. Counts are files; an invoice is written when it has its name.
type Tree struct {
	// Store is what holds the trees: "local" for directories of this machine.
	Store string `json:"store"`
	// Runs counts the sets that were published before the loss, the first copy included.
	Runs int `json:"runs"`
	// Files counts the invoices that were written before the region was lost, and Survived those of them that are
	// whole at the other site; Lost is the difference.
	Files    int64 `json:"files"`
	Survived int64 `json:"survived"`
	Lost     int64 `json:"lost"`
	// LostBoundClaimed counts the invoices written after the moment of the set that was published last, and
	// LostBoundSeconds is how long ago that was when understudy said so: the bound stated before the failover.
	LostBoundClaimed int64   `json:"lost_bound_claimed"`
	LostBoundSeconds float64 `json:"lost_bound_seconds"`
	// Ledgered counts the paths that understudy said it listed of the returned tree before it was overwritten, and
	// LedgeredListed those that are in its list; a new directory is one path, with all that is in it. LedgeredLost
	// counts the lost invoices that are whole in the quarantine to which the list points, and so came back;
	// LedgeredOther the paths with none of them, such as a file that was never finished.
	Ledgered       int64 `json:"ledgered"`
	LedgeredListed int64 `json:"ledgered_listed"`
	LedgeredLost   int64 `json:"ledgered_lost"`
	LedgeredOther  int64 `json:"ledgered_other"`
	// SwitchoverFiles counts the invoices that were written around the switchover home, and SwitchoverLost those of
	// them that are not there.
	SwitchoverFiles int64 `json:"switchover_files"`
	SwitchoverLost  int64 `json:"switchover_lost"`
	// Torn counts files that were found otherwise than they were written, and Invented those that nobody wrote.
	Torn     int64              `json:"torn"`
	Invented int64              `json:"invented"`
	Verdict  understudy.Outcome `json:"verdict"`
	// Compared counts the entries that the verification compared.
	Compared int64 `json:"compared"`
	// Exposure is the age of the set published last when the region was lost, in seconds.
	Exposure float64 `json:"exposure_seconds"`
	// Fence is the proof that the old tree was closed when it came back.
	Fence understudy.Proof `json:"fence"`
}

// judge holds the counts against what understudy promised.
func (t *Tree) judge(must func(kept bool, format string, v ...any)) {
	must(t.Files > 0, "no invoice was written before the loss")
	must(t.Lost <= t.LostBoundClaimed, "%d invoices were lost, more than the %d of the bound", t.Lost, t.LostBoundClaimed)
	must(t.LedgeredLost == t.Lost, "%d invoices were lost, and %d of them came back from the ledger", t.Lost, t.LedgeredLost)
	must(t.Ledgered == t.LedgeredListed, "the ledger of the tree has %d paths, and lists %d", t.Ledgered, t.LedgeredListed)
	must(t.SwitchoverFiles > 0, "no invoice was written around the switchover")
	must(t.SwitchoverLost == 0, "the switchover lost %d invoices", t.SwitchoverLost)
	must(t.Torn == 0, "%d invoices were not as they were written", t.Torn)
	must(t.Invented == 0, "%d invoices were found that nobody had written", t.Invented)
	must(t.Verdict == understudy.Match, "the verdict of the verification of the tree is %s", t.Verdict)
	must(t.Fence.Complete && t.Fence.Site == east, "the fence of the returned tree is not proven")
}
