package understudy

import "time"

// Outcome is the answer of a verification. Only Different claims that data differs.
type Outcome string

// The outcomes.
const (
	Match          Outcome = "MATCH"
	Lagging        Outcome = "LAGGING"
	Different      Outcome = "DIVERGED"
	SchemaMismatch Outcome = "SCHEMA_MISMATCH"
	Unknown        Outcome = "UNKNOWN"
)

// Scope bounds a verification.
type Scope struct {
	From, To Site
	// Shards limits it to shards that match one of these anchored RE2 patterns; empty means all.
	Shards []string
	// Quick compares the newest part of each shard only, and says so in the verdict.
	Quick bool
	// Kept is the workload's memory in the journal, by which it recognises the clusters: where another one answers than
	// was protected, nothing is compared, and Verify returns the refusal.
	Kept Keep
	// Lease bounds its requests.
	Lease Lease
	// Report tells how far it is.
	Report func(StepProgress)
}

// Verdict says what a comparison by content found.
type Verdict struct {
	Outcome Outcome   `json:"outcome"`
	From    Site      `json:"from"`
	To      Site      `json:"to"`
	At      time.Time `json:"at"`
	// Compared counts the records whose content was compared on both sides, and Bytes their size.
	Compared int64 `json:"compared"`
	Bytes    int64 `json:"bytes"`
	// Coverage says in words what was and was not compared.
	Coverage    string       `json:"coverage"`
	Shards      int          `json:"shards"`
	Differences []Difference `json:"differences,omitempty"`
}

// Difference is one range of a shard in which the sides are not the same.
type Difference struct {
	Shard   string  `json:"shard"`
	Outcome Outcome `json:"outcome"`
	First   int64   `json:"first"`
	Last    int64   `json:"last"`
	Text    string  `json:"text"`
}

// LedgerEntry is one divergent or lost range of a shard: what one side had that nobody else has.
type LedgerEntry struct {
	Shard string `json:"shard"`
	Site  Site   `json:"site"`
	// First and Last are the positions of the range's first and last record.
	First   int64 `json:"first"`
	Last    int64 `json:"last"`
	Records int64 `json:"records"`
	Bytes   int64 `json:"bytes"`
	// FirstAt and LastAt are the records' own times, measured at the source.
	FirstAt time.Time `json:"firstAt"`
	LastAt  time.Time `json:"lastAt"`
	// File is where the records are saved, relative to the ledger's folder; empty until they are.
	File string `json:"file,omitempty"`
	// SHA256 is the file's digest, in hex.
	SHA256 string `json:"sha256,omitempty"`
}
