package etcd

import (
	"errors"
	"fmt"
	"syscall"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/journal"
)

// unavailable is gRPC's status code UNAVAILABLE: the member has no leader, is stopping, or cannot be reached.
const unavailable = 14

// classify turns an error of etcd into ours.
func classify(op string, err error, remote bool) error {
	var known rpctypes.EtcdError
	isKnown := errors.As(err, &known)
	switch {
	case full(err):
		return noRoom(op, err, remote)
	case denied(err):
		return &understudy.Error{
			Code: "US311", Kind: understudy.KindDenied, Op: op, Err: err,
			Summary: "etcd denied access to the journal",
			Fix:     "give the user read and write permission on the prefix",
		}
	case remote && (!isKnown || known.Code() == unavailable):
		return &understudy.Error{
			Code: "US307", Kind: understudy.KindUnreachable, Op: op, Err: err,
			Summary: "the endpoints of the journal do not answer",
			Fix:     "check the addresses, the network and the health of etcd",
		}
	}
	return &understudy.Error{
		Code: "US300", Kind: understudy.KindRetry, Op: op, Err: err,
		Summary: "the journal could not be used",
	}
}

// noRoom says what is full: a disk, the quota of somebody's etcd, or, although room was made, that of the embedded one.
func noRoom(op string, err error, remote bool) error {
	e := &understudy.Error{
		Code: "US308", Kind: understudy.KindBroken, Op: op, Err: err,
		Summary: "the disk of the journal is full",
		Why:     "what was committed is kept; nothing more can be written",
		Fix:     "make room on the disk of serve's data directory, then start serve again",
	}
	switch {
	case errors.Is(err, rpctypes.ErrNoSpace) && remote:
		e.Summary = "the quota of the journal's etcd is full"
		e.Fix = "on that etcd: compact, defragment, and disarm the alarm NOSPACE; then everything goes on by itself"
	case errors.Is(err, rpctypes.ErrNoSpace):
		e.Summary = "the journal is full: what it holds does not fit into its quota"
		e.Why = "history was dropped already; understudy keeps no such amount, so this is a mistake of the product"
		e.Fix = "stop serve, keep a copy of its data directory, and report it"
	}
	return e
}

func full(err error) bool {
	return errors.Is(err, rpctypes.ErrNoSpace) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func denied(err error) bool {
	for _, d := range []error{
		rpctypes.ErrPermissionDenied, rpctypes.ErrAuthFailed, rpctypes.ErrUserEmpty,
		rpctypes.ErrInvalidAuthToken, rpctypes.ErrAuthNotEnabled,
	} {
		if errors.Is(err, d) {
			return true
		}
	}
	return false
}

// ending gives the error of a call that was under way, or came, when the journal was closed or had failed.
func ending(op string, cause error) error {
	if errors.Is(cause, journal.ErrClosed) {
		return journal.Closed(op)
	}
	return cause
}

// stopped is the error of everything after the embedded etcd met one that it cannot go on from.
func stopped(cause error) error {
	cause = fmt.Errorf("%w: %w", journal.ErrStopped, cause)
	if full(cause) {
		return noRoom("journal.etcd", cause, false)
	}
	return &understudy.Error{
		Code: "US309", Kind: understudy.KindBroken, Op: "journal.etcd", Err: cause,
		Summary: "the embedded journal has stopped",
		Why:     "etcd does not go on after an error of its disk",
		Fix:     "remove the cause and start serve again; what was committed is kept",
	}
}

// unusable is the error of a journal that cannot be opened.
func unusable(err error, what string) error {
	if full(err) {
		return classify("journal.open", err, false)
	}
	return &understudy.Error{
		Code: "US310", Kind: understudy.KindInvalid, Op: "journal.open", Err: err,
		Summary: "the journal cannot be opened: " + what,
	}
}
