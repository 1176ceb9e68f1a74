package native

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
)

// failure makes an error of the mover.
func failure(code understudy.Code, kind understudy.ErrorKind, op, summary string, err error) *understudy.Error {
	return &understudy.Error{Code: code, Kind: kind, Op: "filecopy." + op, Summary: summary, Err: err}
}

// named gives errors of stores a code, and leaves errors that have one, and the context's own, as they are.
func named(op string, p filecopy.Path, err error) error {
	var coded *understudy.Error
	if err == nil || errors.As(err, &coded) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	at := fmt.Sprintf("%s %q", op, string(p))
	switch {
	case errors.Is(err, filecopy.ErrCorrupt):
		return failure("US606", understudy.KindBroken, op, at+" failed: content differs from its checksum", err)
	case errors.Is(err, filecopy.ErrChanged):
		return failure("US607", understudy.KindConflict, op, at+" failed: it is not what was listed", err)
	case errors.Is(err, filecopy.ErrName):
		return failure("US608", understudy.KindInvalid, op, at+": the target cannot hold this name", err)
	case errors.Is(err, filecopy.ErrFull):
		bound := &filecopy.Full{Bound: "the store is full", Fix: "make room, or raise the quota"}
		errors.As(err, &bound)
		e := failure("US621", understudy.KindRetry, op, at+" failed: "+bound.Bound, err)
		e.Fix = bound.Fix + ", then retry: what is staged is not copied again"
		return e
	case errors.Is(err, fs.ErrPermission):
		return failure("US619", understudy.KindDenied, op, at+" was denied", err)
	}
	return failure("US600", understudy.KindRetry, op, at+" failed", err)
}

// manifestDamaged says that what the job keeps at the target cannot be read.
func manifestDamaged(name string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	kind := understudy.KindRetry
	if errors.Is(err, errDamaged) || errors.Is(err, errTorn) || errors.Is(err, errNewer) || errors.Is(err, errMalformed) || errors.Is(err, filecopy.ErrNotFound) {
		kind = understudy.KindBroken
	}
	e := failure("US601", kind, "manifest", "cannot read "+name+", which the job keeps at the target", err)
	e.Fix = "restore the object, or remove everything of the job there and run it anew: it then compares source and target from the beginning"
	return e
}
