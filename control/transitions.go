package control

// Trigger is what changes the state of an operation.
type Trigger string

// The triggers.
const (
	Begin Trigger = "begin"
	// Await comes at the stage approve, Approve from a person.
	Await   Trigger = "await approval"
	Approve Trigger = "approve"
	// Fail is a failed step or a refusing guard, Retry and Skip a person's answer.
	Fail   Trigger = "step fails"
	Retry  Trigger = "retry"
	Skip   Trigger = "skip"
	Pause  Trigger = "pause"
	Resume Trigger = "resume"
	// Turn is abort: the operation goes on, backwards; Home is the end of that way.
	Turn Trigger = "abort"
	Home Trigger = "back home"
	// Arrive is the end of a takeover, Finish that of any other verb.
	Arrive Trigger = "takeover done"
	Finish Trigger = "done"
	// Settle is a commit, Undo the end of a rollback.
	Settle Trigger = "commit"
	Undo   Trigger = "rolled back"
	// Supersede is an operation that takes the place of this one: a failover, or for a run of replication any
	// takeover, and the next run when this one failed.
	Supersede Trigger = "superseded"
)

// Transition is one edge of the state table.
type Transition struct {
	From State
	On   Trigger
	To   State
}

// Transitions is the table of all edges, and the engine takes every one of them. An operation whose step waits for a job
// that somebody else runs is running: the step's progress tells about the job. Turn has the guard "forward only after
// PROMOTE" of the gate turn.
func Transitions() []Transition {
	table := []Transition{
		{Validated, Begin, Running},
		{Running, Await, AwaitingApproval},
		{AwaitingApproval, Approve, Running},
		{Running, Fail, PausedByStep},
		{PausedByStep, Retry, Running},
		{PausedByStep, Skip, Running},
		{Running, Pause, PausedByOperator},
		{PausedByOperator, Resume, Running},
		{Running, Arrive, CommitWindow},
		{Running, Finish, Committed},
		{Running, Home, Aborted},
		{CommitWindow, Settle, Committed},
		{CommitWindow, Undo, RolledBack},
		{CommitWindow, Supersede, Superseded},
	}
	for _, s := range []State{Validated, AwaitingApproval, Running, PausedByStep, PausedByOperator} {
		table = append(table, Transition{s, Turn, Running}, Transition{s, Supersede, Superseded})
	}
	return table
}

// Next gives the state that follows; false when the table has no such edge.
func Next(from State, on Trigger) (State, bool) {
	for _, t := range Transitions() {
		if t.From == from && t.On == on {
			return t.To, true
		}
	}
	return from, false
}

// States lists all states in the order of the design.
func States() []State {
	return []State{
		Validated, AwaitingApproval, Running, PausedByOperator, PausedByStep,
		CommitWindow, Committed, RolledBack, Aborted, Superseded,
	}
}

// move takes the edge, or says that there is none.
func (op *Operation) move(on Trigger) error {
	to, ok := Next(op.State, on)
	if !ok {
		return refused("US210", op.object(), "the operation "+string(op.ID)+" is "+string(op.State)+": it takes no "+string(on), "look at `understudy describe "+string(op.ID)+"`")
	}
	op.State = to
	return nil
}
