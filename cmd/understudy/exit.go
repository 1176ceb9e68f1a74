package main

import (
	"context"
	"errors"

	"github.com/understudy-dr/understudy"
)

// The exit statuses are frozen: scripts depend on them. An unknown status must be treated as failure.
const (
	exitOK           = 0
	exitFailed       = 1
	exitChanges      = 2
	exitPartial      = 3
	exitUsage        = 4
	exitRefused      = 5
	exitNotFound     = 6
	exitUnauthorised = 7
	exitUnreachable  = 8
	exitTimeout      = 9
	exitDiverged     = 10
	exitInterrupted  = 130
)

// exitError carries an exit status through cobra. A quiet one has already been told to the user.
type exitError struct {
	status int
	err    error
	quiet  bool
}

// Error gives the cause's text.
func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

// Unwrap gives the cause.
func (e *exitError) Unwrap() error { return e.err }

// exitStatus chooses the status of an error by its kind.
func exitStatus(ctx context.Context, err error) int {
	var x *exitError
	if errors.As(err, &x) {
		return x.status
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return exitInterrupted
	}
	switch understudy.KindOf(err) {
	case understudy.KindInvalid:
		return exitUsage
	case understudy.KindRefused, understudy.KindConflict, understudy.KindFenced:
		return exitRefused
	case understudy.KindNotFound:
		return exitNotFound
	case understudy.KindDenied:
		return exitUnauthorised
	case understudy.KindUnreachable:
		return exitUnreachable
	case understudy.KindTimeout:
		return exitTimeout
	default:
		return exitFailed
	}
}
