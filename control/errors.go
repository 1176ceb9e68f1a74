package control

import (
	"errors"
	"fmt"

	"github.com/understudy-dr/understudy"
)

// refused is the answer of a safety check.
func refused(code understudy.Code, o understudy.Object, summary, fix string) *understudy.Error {
	return &understudy.Error{Code: code, Kind: understudy.KindRefused, Op: "control", Object: o, Summary: summary, Fix: fix}
}

func invalid(code understudy.Code, o understudy.Object, summary, fix string) *understudy.Error {
	return &understudy.Error{Code: code, Kind: understudy.KindInvalid, Op: "control", Object: o, Summary: summary, Fix: fix}
}

// notFound says that there is no such thing, and where those that are there are listed.
func notFound(what, name string) *understudy.Error {
	list, ok := map[string]string{
		"plan": "understudy get plans", "workload": "understudy get plans", "operation": "understudy get operations",
		"kind": "understudy schema",
	}[what]
	if !ok {
		list = "understudy status"
	}
	return &understudy.Error{
		Code: "US202", Kind: understudy.KindNotFound, Op: "control", Summary: fmt.Sprintf("there is no %s named %q", what, name), Fix: list,
	}
}

func bug(format string, args ...any) *understudy.Error {
	return &understudy.Error{Code: "US200", Kind: understudy.KindBug, Op: "control", Summary: fmt.Sprintf(format, args...)}
}

// The reasons for which a walk stops without a failure.
var (
	errDrained = errors.New("control: draining")
	errPaused  = errors.New("control: paused by an operator")
	errAwaits  = errors.New("control: awaiting approval")
	errGone    = errors.New("control: superseded")
	errTurned  = errors.New("control: turned back by an operator")
	// errYielded stops the standing duty in favour of an operation, as a crash would; errMoot ends it.
	errYielded = errors.New("control: yielded to an operation")
	errMoot    = errors.New("control: the site is not one to fence any more")
)

// detour sends an operation back to an earlier stage.
type detour struct {
	to  understudy.StageName
	why string
}

// Error gives the reason.
func (d *detour) Error() string { return "back to " + string(d.to) + ": " + d.why }
