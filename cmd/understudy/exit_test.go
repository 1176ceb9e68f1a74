package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

func statusText(err error) string {
	var x *exec.ExitError
	if errors.As(err, &x) {
		return strconv.Itoa(x.ExitCode())
	}
	return err.Error()
}

// The statuses are frozen; this table is the golden.
func TestExitStatusByKind(t *testing.T) {
	for kind, want := range map[understudy.ErrorKind]int{
		understudy.KindRetry: 1, understudy.KindBroken: 1, understudy.KindBug: 1,
		understudy.KindInvalid: 4, understudy.KindRefused: 5, understudy.KindConflict: 5, understudy.KindFenced: 5,
		understudy.KindNotFound: 6, understudy.KindDenied: 7, understudy.KindUnreachable: 8, understudy.KindTimeout: 9,
	} {
		err := fmt.Errorf("wrapped: %w", &understudy.Error{Kind: kind})
		if got := exitStatus(t.Context(), err); got != want {
			t.Errorf("%s: %d, want %d", kind, got, want)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if got := exitStatus(cancelled, context.Canceled); got != exitInterrupted {
		t.Errorf("interrupted: %d", got)
	}
}

func TestOutcomeOfOperations(t *testing.T) {
	part := func(o understudy.Outcome) []control.Part {
		return []control.Part{{State: control.Included, Verdict: &understudy.Verdict{Outcome: o}}}
	}
	for name, c := range map[string]struct {
		op   control.Operation
		want int
	}{
		"committed":     {control.Operation{State: control.Committed}, exitOK},
		"commit window": {control.Operation{State: control.CommitWindow}, exitOK},
		"awaiting":      {control.Operation{State: control.AwaitingApproval}, exitOK},
		"aborted":       {control.Operation{State: control.Aborted}, exitFailed},
		"paused": {control.Operation{State: control.PausedByStep,
			Error: &understudy.Error{Kind: understudy.KindUnreachable}}, exitUnreachable},
		"quarantined": {control.Operation{State: control.CommitWindow, Parts: []control.Part{{State: control.Quarantined}}}, exitPartial},
		"match":       {control.Operation{State: control.Committed, Parts: part(understudy.Match)}, exitOK},
		"lagging":     {control.Operation{State: control.Committed, Parts: part(understudy.Lagging)}, exitPartial},
		"unknown":     {control.Operation{State: control.Committed, Parts: part(understudy.Unknown)}, exitFailed},
		"different":   {control.Operation{State: control.Committed, Parts: part(understudy.Different)}, exitDiverged},
		"worst wins": {control.Operation{State: control.Committed,
			Parts: append(part(understudy.Different), part(understudy.Lagging)...)}, exitDiverged},
	} {
		got := exitOK
		if err := outcome(c.op); err != nil {
			got = exitStatus(t.Context(), err)
		}
		if got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
