package understudy

import "time"

// Published is what a scheduled run of replication has put in place at the target: one whole set, shown at once.
type Published struct {
	// Set is the engine's own name of what is shown now, such as a snapshot or a manifest.
	Set string `json:"set"`
	// SourceTime is when the request that captured the source was sent, by the clock of the process that sent it:
	// everything acknowledged before is in the set.
	SourceTime time.Time `json:"sourceTime"`
	// Records and Bytes are what the run copied: files, rows or records, and bytes at rest.
	Records int64 `json:"records,omitempty"`
	Bytes   int64 `json:"bytes,omitempty"`
}
