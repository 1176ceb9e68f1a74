package understudy

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"
)

// StepKind names what a step does, within its workload kind, such as "fence.limit".
type StepKind string

// Class says what makes it safe to run a step again.
type Class string

// The classes of steps.
const (
	// Idempotent steps are harmless to repeat.
	Idempotent Class = "idempotent"
	// ProbeFirst steps look whether they already happened, and then do the rest.
	ProbeFirst Class = "probe-first"
	// AskHuman steps cannot be repeated without a person's decision.
	AskHuman Class = "ask-human"
)

// Step is one effect as data. It is journaled, with the before-image of whatever it changes, before the
// effect happens; after a crash the journaled step runs again as it stands, so that it never mistakes its
// own value for the original.
type Step struct {
	// ID is unique within the stage and workload, and stable for the same facts.
	ID    string   `json:"id"`
	Kind  StepKind `json:"kind"`
	Class Class    `json:"class"`
	// Site is where the effect happens; empty for effects on no site.
	Site Site `json:"site,omitempty"`
	// Summary is one line for people.
	Summary string `json:"summary"`
	// Args are the step's arguments, owned by the workload.
	Args json.RawMessage `json:"args,omitempty"`
	// Before is the before-image of what the step changes.
	Before json.RawMessage `json:"before,omitempty"`
	// Timeout bounds one attempt; zero means control's default.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Skippable steps may be skipped by an operator, with a reason. Never true for a fence, a halt or a proof.
	Skippable bool `json:"skippable,omitempty"`
	// Late marks steps that would do harm if they ran late (unfence, enable, delete, trim): before each call
	// they re-read the role through Run.Role.
	Late bool `json:"late,omitempty"`
}

// Receipt is what a step leaves behind.
type Receipt struct {
	Step    string    `json:"step"`
	Kind    StepKind  `json:"kind"`
	Stage   StageName `json:"stage"`
	Summary string    `json:"summary"`
	// Proofs are the fences, halts, cuts and openings that the step proved.
	Proofs []Proof `json:"proofs,omitempty"`
	// Keep changes the workload's memory in the same transaction as the receipt; a nil value removes the name.
	Keep Keep `json:"keep,omitempty"`
	// Ledger summarises divergent or lost ranges that the step found or saved.
	Ledger []LedgerEntry `json:"ledger,omitempty"`
	// Published says that the operation's target now shows another set, in architectures without a mover. It
	// becomes the link's progress in the same transaction as the receipt.
	Published *Published `json:"published,omitempty"`
	// Warnings are facts that a person should read, such as groups that were still active.
	Warnings []string `json:"warnings,omitempty"`
	// Detail is owned by the workload; later stages read it.
	Detail json.RawMessage `json:"detail,omitempty"`
}

// Run is what control lends to a step while it runs.
type Run struct {
	Operation OperationID
	Verb      Verb
	Stage     StageName
	Attempt   int
	Link      Link
	// ControlPlane is the identity that stamps carry.
	ControlPlane string
	// Now is the role at the stage, as Stage.Now.
	Now Role
	// Lease bounds every request: no request is sent after its deadline, and none may last beyond it.
	Lease Lease
	// Role re-reads the workload's role linearizably; steps marked Late call it before each harmful request.
	Role func(context.Context) (Role, error)
	// Report tells people how far the step is; it never blocks.
	Report func(StepProgress)
	// LedgerDir is where divergent records are saved, durable and private to this operation and workload.
	LedgerDir string
	Log       *slog.Logger
}

// StepProgress is a step's own account of how far it is.
type StepProgress struct {
	Text  string `json:"text"`
	Done  int64  `json:"done,omitempty"`
	Total int64  `json:"total,omitempty"`
	// Unit is what Done and Total count, such as "offsets" or "bytes".
	Unit string `json:"unit,omitempty"`
}
