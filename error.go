package understudy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// ErrorKind decides what control and the command line do with an error.
type ErrorKind string

// The kinds of errors.
const (
	// KindRetry may go away by itself; the same call is tried again.
	KindRetry ErrorKind = "retry"
	// KindUnreachable means that an endpoint did not answer.
	KindUnreachable ErrorKind = "unreachable"
	// KindInvalid means that input or configuration is wrong.
	KindInvalid ErrorKind = "invalid"
	// KindDenied means that a right is missing.
	KindDenied ErrorKind = "denied"
	// KindRefused means that a safety check refused.
	KindRefused ErrorKind = "refused"
	// KindConflict means that the world changed since it was read.
	KindConflict ErrorKind = "conflict"
	// KindFenced means that this process is no longer the one that may act.
	KindFenced ErrorKind = "fenced"
	// KindNotFound means that the named thing does not exist.
	KindNotFound ErrorKind = "not-found"
	// KindBroken means that data is missing or differs and a person must choose the repair.
	KindBroken ErrorKind = "broken"
	// KindTimeout means that it took too long; what was started may go on.
	KindTimeout ErrorKind = "timeout"
	// KindBug means that an impossible state was seen.
	KindBug ErrorKind = "bug"
)

// Error is the one error type of the product: what failed, on what, why, and what to do.
type Error struct {
	// Code is stable and has an explain page, such as "US142".
	Code Code      `json:"code"`
	Kind ErrorKind `json:"kind"`
	// Op is what was being done, such as "kafka.fence".
	Op     string `json:"op,omitempty"`
	Object Object `json:"object,omitzero"`
	// Summary is one line in the user's words, without the code.
	Summary string `json:"summary"`
	Why     string `json:"why,omitempty"`
	// Fix is the one thing to do, if possible a command.
	Fix string `json:"fix,omitempty"`
	// Err is the cause; of the JSON document its text is part, as Why, where Why is empty.
	Err error `json:"-"`
}

// Error gives the code, the object and the summary on one line, then the cause.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: ", e.Code)
	if o := e.Object.String(); o != "" {
		b.WriteString(o + ": ")
	}
	b.WriteString(e.Summary)
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// MarshalJSON writes the error with its cause's text as why, where nothing else is there: in an answer, a report or the
// journal nobody could see the cause otherwise.
func (e *Error) MarshalJSON() ([]byte, error) {
	type plain Error // without this method
	told := plain(*e)
	if told.Why == "" && told.Err != nil {
		told.Why = told.Err.Error()
	}
	return json.Marshal(told)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf gives the kind of the first Error in err's chain; KindBug when there is none, and empty for nil.
func KindOf(err error) ErrorKind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindBug
}

// AsError gives the first Error in err's chain, or wraps err as an unexpected one; nil for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: "US001", Kind: KindBug, Summary: err.Error(), Err: nil}
}
