package control

import (
	"time"

	"github.com/understudy-dr/understudy"
)

// State is where an operation stands. The table in transitions.go says which states follow which.
type State string

// The states of an operation.
const (
	Validated        State = "validated"
	AwaitingApproval State = "awaiting-approval"
	Running          State = "running"
	// PausedByOperator waits for resume; PausedByStep for retry, skip or abort.
	PausedByOperator State = "paused-by-operator"
	PausedByStep     State = "paused-by-failed-step"
	// CommitWindow means that a takeover is finished and can still be undone; it stays until commit, rollback
	// or a new failover.
	CommitWindow State = "commit-window"
	// Committed is the good end of every verb.
	Committed  State = "committed"
	RolledBack State = "rolled-back"
	Aborted    State = "aborted"
	Superseded State = "superseded"
)

// Final says that nothing more will happen to the operation.
func (s State) Final() bool {
	switch s {
	case Committed, RolledBack, Aborted, Superseded:
		return true
	default:
		return false
	}
}

// Resting says that the operation does nothing until a person acts, or nothing any more.
func (s State) Resting() bool { return s != Validated && s != Running }

// PartState is where one workload of an operation stands.
type PartState string

// The states of a workload within an operation.
const (
	// Included takes part; Quarantined was left out before PROMOTE; Impaired failed where the plan says
	// continue, and its report names what; Left went back by its own abort.
	Included    PartState = "included"
	Quarantined PartState = "quarantined"
	Impaired    PartState = "impaired"
	Left        PartState = "left"
)

// Part is one workload of an operation.
type Part struct {
	Workload understudy.WorkloadName `json:"workload"`
	State    PartState               `json:"state"`
	// Before is its role when the operation began.
	Before understudy.Role `json:"before"`
	// Error is the failure that quarantined or impaired it.
	Error *understudy.Error `json:"error,omitempty"`
	// Bound is the proven exposure at the stage bound, and Rebound after fence and salvage: what may be lost.
	Bound   *understudy.Exposure `json:"bound,omitempty"`
	Rebound *understudy.Exposure `json:"rebound,omitempty"`
	// Verdict is the answer of a verification.
	Verdict *understudy.Verdict `json:"verdict,omitempty"`
}

// Operation is one run of a verb on a plan, as the journal keeps it. Times are the control plane's clock.
type Operation struct {
	ID    understudy.OperationID `json:"id"`
	Verb  understudy.Verb        `json:"verb"`
	Plan  understudy.PlanName    `json:"plan"`
	State State                  `json:"state"`
	// Stage is where it stands, and Stages the whole way. While Aborting, both are those of the way back.
	Stage  understudy.StageName   `json:"stage"`
	Stages []understudy.StageName `json:"stages"`
	// Pass counts how often the stage was begun; a stage begins again when control sends the operation back.
	Pass     int  `json:"pass"`
	Aborting bool `json:"aborting,omitempty"`
	// Promoted means that the point of no return lies behind.
	Promoted bool `json:"promoted,omitempty"`
	// From is the site that is or was active, and To the one that takes over; in protect and reprotect they
	// are the source and the target of the link.
	From     understudy.Site     `json:"from"`
	To       understudy.Site     `json:"to"`
	Envelope understudy.Envelope `json:"envelope"`
	Parts    []Part              `json:"parts"`
	// Error is why it is paused.
	Error *understudy.Error `json:"error,omitempty"`
	By    string            `json:"by"`
	// Reason is what the person said, if anything.
	Reason string `json:"reason,omitempty"`
	// Inherits names the operation whose receipts count here: a superseded switchover.
	Inherits understudy.OperationID `json:"inherits,omitempty"`
	// Undoes names the takeover that a commit or rollback ends.
	Undoes understudy.OperationID `json:"undoes,omitempty"`
	// Joins names the takeover whose quarantined workload this operation takes back in, or lets go.
	Joins understudy.OperationID `json:"joins,omitempty"`
	// Approved says who approved the envelope, and of what digest.
	Approved *Approval `json:"approved,omitempty"`
	Created  time.Time `json:"created"`
	Ended    time.Time `json:"ended,omitzero"`
	Marks    Marks     `json:"marks"`
	// Sweeps are what a run of replication does beyond copying what changed.
	Sweeps []understudy.Sweep `json:"sweeps,omitempty"`
	// Scope narrows a verification.
	Shards []string `json:"shards,omitempty"`
	Quick  bool     `json:"quick,omitempty"`
	// Seq is the number of its newest journal entry.
	Seq int64 `json:"seq"`
	// Now is what the running step says of itself; it is not durable.
	Now *understudy.StepProgress `json:"now,omitempty"`
	// Retrying is set while a step of it is tried again by itself; it is not durable.
	Retrying *Retrying `json:"retrying,omitempty"`
	// Next is the command that a person would give now, if one is needed.
	Next string `json:"next,omitempty"`
}

// Retrying tells of a step that failed for a cause that may go away, and is tried again until its budget ends.
type Retrying struct {
	Workload understudy.WorkloadName `json:"workload"`
	Step     string                  `json:"step"`
	// Error is why the last try failed, and At when; Since is the first failure in a row of Times.
	Error *understudy.Error `json:"error"`
	At    time.Time         `json:"at"`
	Since time.Time         `json:"since"`
	Times int               `json:"times"`
}

// Approval is a person's consent to an envelope.
type Approval struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Digest string    `json:"digest"`
}

// Marks are the moments from which the recovery time is split. A zero mark was not reached.
type Marks struct {
	// LastGood is when the newest answered poll of the source was sent before the operation began. Where a schedule is
	// all that looks at the source, it is when the first run began that missed it; zero when none had.
	LastGood time.Time `json:"lastGood,omitzero"`
	Started  time.Time `json:"started,omitzero"`
	// Confirmed, Approved, Fenced, Promoted and Routed are the ends of those stages; Verified is the time of
	// the first proof that the new side takes writes.
	Confirmed time.Time `json:"confirmed,omitzero"`
	Approved  time.Time `json:"approved,omitzero"`
	Fenced    time.Time `json:"fenced,omitzero"`
	Promoted  time.Time `json:"promoted,omitzero"`
	Verified  time.Time `json:"verified,omitzero"`
	Routed    time.Time `json:"routed,omitzero"`
}

// EventKind says what an entry of an operation's journal records.
type EventKind string

// The kinds of entries.
const (
	// EventBegan opens an operation, EventStage a pass of a stage, EventDecided lists a workload's steps with
	// their digest, EventIntent comes before an effect and EventResult after it.
	EventBegan   EventKind = "began"
	EventStage   EventKind = "stage"
	EventDecided EventKind = "decided"
	EventIntent  EventKind = "intent"
	EventResult  EventKind = "result"
	// EventFailed says that an attempt failed, EventSkipped that a person skipped the step.
	EventFailed  EventKind = "failed"
	EventSkipped EventKind = "skipped"
	// EventRole records a role transaction, EventState a change of state, EventNote a fact for people.
	EventRole  EventKind = "role"
	EventState EventKind = "state"
	EventNote  EventKind = "note"
	// EventProgress is not kept: it tells how far the running step is.
	EventProgress EventKind = "progress"
)

// Event is one entry of an operation's journal. Fields that do not belong to its kind are empty.
type Event struct {
	Seq   int64                `json:"seq"`
	At    time.Time            `json:"at"`
	Kind  EventKind            `json:"kind"`
	Stage understudy.StageName `json:"stage,omitempty"`
	Pass  int                  `json:"pass,omitempty"`
	// Workload is empty for control's own acts.
	Workload understudy.WorkloadName `json:"workload,omitempty"`
	Step     *understudy.Step        `json:"step,omitempty"`
	Attempt  int                     `json:"attempt,omitempty"`
	Receipt  *understudy.Receipt     `json:"receipt,omitempty"`
	// Steps and Digest are what was decided.
	Steps  []understudy.Step `json:"steps,omitempty"`
	Digest string            `json:"digest,omitempty"`
	Role   *understudy.Role  `json:"role,omitempty"`
	State  State             `json:"state,omitempty"`
	// On is what changed the state.
	On       Trigger                  `json:"on,omitempty"`
	Error    *understudy.Error        `json:"error,omitempty"`
	Progress *understudy.StepProgress `json:"progress,omitempty"`
	By       string                   `json:"by,omitempty"`
	Text     string                   `json:"text,omitempty"`
}
