package understudy

import "time"

// Protection is the health of a workload's replication.
type Protection string

// The states of protection. Broken names a gap that must be re-copied; diverged means that both sides took writes.
const (
	Unprotected   Protection = "unprotected"
	Bootstrapping Protection = "bootstrapping"
	CatchingUp    Protection = "catching-up"
	Protected     Protection = "protected"
	AtRisk        Protection = "at-risk"
	Paused        Protection = "paused"
	LinkDown      Protection = "link-down"
	Broken        Protection = "broken"
	Diverged      Protection = "diverged"
)

// Progress is what a mover reports about its link. Reports are cumulative: the newest one stands alone.
type Progress struct {
	Link  Link      `json:"link"`
	Epoch RoleEpoch `json:"epoch"`
	At    time.Time `json:"at"`
	// State is the mover's own view: bootstrapping, catching-up, protected, link-down, broken or diverged.
	State Protection `json:"state"`
	// LastPoll is when the newest answered poll of the source was sent.
	LastPoll time.Time `json:"lastPoll"`
	// Safe is the earliest of the shards' safe times: a shard is safe up to the send time of the latest poll
	// whose answered end the target by now holds durably. Zero means nothing is proven yet.
	Safe   time.Time       `json:"safe"`
	Shards []ShardProgress `json:"shards,omitempty"`
	// Records and Bytes estimate the backlog, in engine records (offsets) and bytes on the wire.
	Records int64 `json:"records"`
	Bytes   int64 `json:"bytes"`
	// CopiedRecords and CopiedBytes count since the assignment began.
	CopiedRecords int64 `json:"copiedRecords"`
	CopiedBytes   int64 `json:"copiedBytes"`
	// Notes are facts for status, such as over-retained topics and what is not copied, and why.
	Notes []string `json:"notes,omitempty"`
	// Keep changes the workload's memory: it is durable when report returns. A nil value removes the name.
	Keep Keep `json:"keep,omitempty"`
	// Published is the set that the target shows, in architectures without a mover: control makes this progress
	// of it. Safe and LastPoll are its SourceTime.
	Published *Published `json:"published,omitempty"`
	// NeedEpoch says that the engine has seen a fencing token above ours: control must end the assignment
	// and make a new one above it.
	NeedEpoch RoleEpoch `json:"needEpoch,omitempty"`
}

// ShardProgress is one shard's part of a Progress.
type ShardProgress struct {
	Shard string     `json:"shard"`
	State Protection `json:"state"`
	Safe  time.Time  `json:"safe"`
	// Source and Target are the ends, in the engine's positions (Kafka: offsets).
	Source int64 `json:"source"`
	Target int64 `json:"target"`
	// Error says why the shard stopped, and how to repair it.
	Error *Error `json:"error,omitempty"`
}

// Exposure is what would be lost now, proven: a bound in seconds for writes that the source acknowledged in
// its durable mode. Records and bytes beside it are estimates.
type Exposure struct {
	// Safe is the moment up to which everything acknowledged is proven to be at the target.
	Safe time.Time `json:"safe"`
	// Known is false while nothing is proven, for instance before the first full copy.
	Known   bool          `json:"known"`
	Bound   time.Duration `json:"bound"`
	Records int64         `json:"records"`
	Bytes   int64         `json:"bytes"`
	// SourceReachable is false while the source does not answer: the bound then grows with time.
	SourceReachable bool `json:"sourceReachable"`
	// Set is the published set that would be shown, in architectures without a mover. Records and Bytes are not
	// known then, and zero.
	Set string `json:"set,omitempty"`
}
