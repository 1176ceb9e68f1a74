package control

import (
	"context"

	"github.com/understudy-dr/understudy"
)

// settleTakeover makes the takeover final that a commit is about.
func (w *walk) settleTakeover(context.Context) error {
	return w.amend(func(op *Operation, t *change) ([]Event, error) {
		return []Event{{Kind: EventNote, Stage: op.Stage, Pass: op.Pass, Text: string(op.Undoes) + " is final"}},
			w.s.conclude(op.Undoes, Settle, op.By, t, nil)
	})
}

// undone ends the takeover that a rollback has undone; the rollback itself waits for its commit.
func (w *walk) undone(op *Operation, t *change) error {
	return w.s.conclude(op.Undoes, Undo, op.By, t, op)
}

// conclude moves another operation to its end, within the caller's transaction. The plan's record is written by
// the caller when it has one in hand (with), and here otherwise.
func (s *session) conclude(id understudy.OperationID, on Trigger, by string, t *change, with *Operation) error {
	other, version, err := read[Operation](s.hard, s.opt.Journal, keyOp(id))
	if err != nil {
		return err
	}
	if version == 0 {
		return notFound("operation", string(id))
	}
	if other.State.Final() {
		return nil
	}
	e, err := other.enter(on, by, "")
	if err != nil {
		return err
	}
	s.writeOp(t, &other, version, []Event{e})
	if with != nil {
		return nil
	}
	return s.release(s.hard, &other, t)
}
