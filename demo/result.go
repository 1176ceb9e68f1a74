package demo

import (
	"fmt"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

// Result is what the story came to, counted by the application and not by understudy, except where it says claimed.
// Counts are orders: records of the application.
type Result struct {
	// Servers are "simulated", or the versions of Apache Kafka.
	Servers string `json:"servers"`
	// Acknowledged counts the orders that the primary acknowledged before it was lost, and Survived those of them
	// that a consumer finds on the new primary; Lost is the difference.
	Acknowledged int64 `json:"acknowledged"`
	Survived     int64 `json:"survived"`
	Lost         int64 `json:"lost"`
	// Unacknowledged counts the orders that were sent before the loss and never acknowledged.
	Unacknowledged int64 `json:"unacknowledged"`
	// LostBoundClaimed counts the orders acknowledged after the last moment that understudy had proven safe, and
	// LostBoundSeconds is how long ago that was when it said so: the bound stated before the failover.
	LostBoundClaimed int64   `json:"lost_bound_claimed"`
	LostBoundSeconds float64 `json:"lost_bound_seconds"`
	// Ledgered counts the records that understudy saved from the returned primary before it was overwritten:
	// LedgeredLost of them had been acknowledged and were lost, LedgeredUnacknowledged had never been acknowledged.
	Ledgered               int64 `json:"ledgered"`
	LedgeredLost           int64 `json:"ledgered_lost"`
	LedgeredUnacknowledged int64 `json:"ledgered_unacknowledged"`
	// SwitchoverAcknowledged counts the orders that were acknowledged around the switchover home, and SwitchoverLost
	// those of them that are not there.
	SwitchoverAcknowledged int64 `json:"switchover_acknowledged"`
	SwitchoverLost         int64 `json:"switchover_lost"`
	// Duplicates counts orders found more than once, and Invented those that nobody had sent, at any count.
	Duplicates int64              `json:"duplicates"`
	Invented   int64              `json:"invented"`
	Verdict    understudy.Outcome `json:"verdict"`
	// Compared counts the records that the verification compared.
	Compared int64 `json:"compared"`
	// Tree is what became of the directory tree.
	Tree Tree `json:"tree"`
	// Order is that in which the plan's workloads failed over, at each stage.
	Order []understudy.WorkloadName `json:"order"`
	// Exposure is what understudy could prove while the application wrote, in seconds.
	Exposure float64 `json:"exposure_seconds"`
	// RTO is the recovery time of the failover, split, and SwitchoverRTO that of the switchover home; in seconds.
	RTO           RTO `json:"rto"`
	SwitchoverRTO RTO `json:"switchover_rto"`
	// Fence is the proof that the old primary was fenced when it came back.
	Fence understudy.Proof `json:"fence"`
	Steps []Step           `json:"steps"`
	// Violated lists the promises that were not kept; it is empty, or the demonstration has failed.
	Violated []string `json:"violated"`
	// NotShown lists guarantees that these servers cannot show.
	NotShown []string `json:"not_shown"`
	Seconds  float64  `json:"seconds"`
}

// RTO is a recovery time in seconds: from the last good poll of the source to the first verified write.
type RTO struct {
	Total   float64 `json:"total"`
	Detect  float64 `json:"detect"`
	Confirm float64 `json:"confirm"`
	Approve float64 `json:"approve"`
	Fence   float64 `json:"fence"`
	Promote float64 `json:"promote"`
	Verify  float64 `json:"verify"`
	Route   float64 `json:"route"`
}

func seconds(r control.RTO) RTO {
	return RTO{
		Total: r.Total.Seconds(), Detect: r.Detect.Seconds(), Confirm: r.Confirm.Seconds(), Approve: r.Approve.Seconds(),
		Fence: r.Fence.Seconds(), Promote: r.Promote.Seconds(), Verify: r.Verify.Seconds(), Route: r.Route.Seconds(),
	}
}

// judge holds the counts against what understudy promised.
func (r *Result) judge() {
	r.Violated = []string{}
	must := func(kept bool, format string, v ...any) {
		if !kept {
			r.Violated = append(r.Violated, fmt.Sprintf(format, v...))
		}
	}
	must(r.Acknowledged > 0, "nothing was acknowledged before the loss")
	must(r.Lost <= r.LostBoundClaimed, "%d acknowledged orders were lost, more than the %d of the bound", r.Lost, r.LostBoundClaimed)
	must(r.LedgeredLost == r.Lost, "%d acknowledged orders were lost, and the ledger has %d of them", r.Lost, r.LedgeredLost)
	must(r.Ledgered == r.LedgeredLost+r.LedgeredUnacknowledged, "the ledger has %d records, which are not the %d lost and the %d unacknowledged ones",
		r.Ledgered, r.LedgeredLost, r.LedgeredUnacknowledged)
	must(r.SwitchoverAcknowledged > 0, "nothing was acknowledged around the switchover")
	must(r.SwitchoverLost == 0, "the switchover lost %d acknowledged orders", r.SwitchoverLost)
	must(r.Duplicates == 0, "%d orders were duplicated", r.Duplicates)
	must(r.Invented == 0, "%d orders were found that nobody had sent", r.Invented)
	must(r.Verdict == understudy.Match, "the verdict of the verification is %s", r.Verdict)
	must(r.Fence.Complete && r.Fence.Site == east, "the fence of the returned primary is not proven")
	r.Tree.judge(must)
}

// err is the failure of the demonstration, nil when every promise was kept.
func (r *Result) err() error {
	if len(r.Violated) == 0 {
		return nil
	}
	return &understudy.Error{
		Code: "US514", Kind: understudy.KindBug, Op: "demo", Summary: fmt.Sprintf("%d promises were not kept", len(r.Violated)),
		Why: r.Violated[0], Fix: "please report this with the output of understudy demo -o json",
	}
}

// notShown says what these servers and trees cannot show.
func notShown(real bool) []string {
	trees := []string{
		"that nobody but understudy's user, and superusers, gets into a closed tree: on a directory of this machine root and the user of the process pass whatever its permissions say, so the clerk is stopped by a hook of the plan",
		"snapshots, and how HDFS stores, replicates and recovers files: the trees are directories of one machine",
	}
	if real {
		return trees
	}
	return append([]string{
		"how real brokers store, replicate and recover data: each simulated cluster is one broker in memory",
		"throughput, and recovery times over a real network",
		"that Apache Kafka refuses writes, markers and stale movers as simulated here: the product's tests hold the simulation against real brokers",
	}, trees...)
}

// failed wraps what ended the story early.
func failed(summary string, err error) error {
	return &understudy.Error{Code: "US515", Kind: understudy.KindBug, Op: "demo", Summary: summary, Err: err, Fix: "run understudy demo again; if it stays, please report it"}
}

// short rounds a duration to what a person reads.
func short(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
