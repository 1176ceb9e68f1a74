package journal

import (
	"fmt"

	"github.com/understudy-dr/understudy"
)

// Conflict is ErrConflict as users see it: the key whose guard did not hold.
func Conflict(key string) error {
	return &understudy.Error{
		Code: "US302", Kind: understudy.KindConflict, Op: "journal.commit", Err: ErrConflict,
		Summary: fmt.Sprintf("%q was changed by another writer", key),
		Fix:     "read again and decide again",
	}
}

// Deposed is ErrDeposed as users see it: the leadership that has ended, and its term.
func Deposed(name string, term int64) error {
	return &understudy.Error{
		Code: "US303", Kind: understudy.KindFenced, Op: "journal.commit", Err: ErrDeposed,
		Summary: fmt.Sprintf("the leadership of %q with term %d has ended", name, term),
		Why:     "its lease was not renewed in time, or it was given up",
	}
}

// Closed is ErrClosed as users see it: the call that came too late or was ended by Close.
func Closed(op string) error {
	return &understudy.Error{
		Code: "US304", Kind: understudy.KindFenced, Op: op, Err: ErrClosed,
		Summary: "the journal was closed",
	}
}

// Compacted is ErrCompacted as users see it: the revision that was asked for, and the range that is kept.
func Compacted(asked, first, last Revision) error {
	return &understudy.Error{
		Code: "US305", Kind: understudy.KindConflict, Op: "journal.watch", Err: ErrCompacted,
		Summary: fmt.Sprintf("changes after revision %d were asked for", asked),
		Why:     fmt.Sprintf("the journal keeps the revisions %d to %d", first, last),
		Fix:     "list again and watch from there",
	}
}

// invalid is ErrInvalid as users see it.
func invalid(format string, args ...any) error {
	return &understudy.Error{
		Code: "US301", Kind: understudy.KindInvalid, Op: "journal.check", Err: ErrInvalid,
		Summary: fmt.Sprintf(format, args...),
	}
}
