package yarn

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/understudy-dr/understudy"
)

func failure(code understudy.Code, kind understudy.ErrorKind, op, summary string, err error) *understudy.Error {
	return &understudy.Error{Code: code, Kind: kind, Op: "yarn." + op, Summary: summary, Err: err}
}

func invalid(summary string, err error) error {
	return failure("US662", understudy.KindInvalid, "configure", summary, err)
}

func unreachable(r request, err error) error {
	e := failure("US661", understudy.KindUnreachable, r.op, "no server of YARN answers", err)
	e.Why = "none of the addresses gave an answer, or all are on standby"
	return e
}

// unauthenticated is a server that does not take our word for who we are.
func unauthenticated(r request, ways []string) error {
	e := failure("US660", understudy.KindDenied, r.op, "YARN does not take simple authentication", nil)
	if strings.Contains(strings.ToLower(strings.Join(ways, ",")), "negotiate") {
		e.Summary = "YARN wants Kerberos, which is not supported"
		e.Fix = "use the native engine for this tree"
	}
	return e
}

func garbled(r request, err error) error {
	return failure("US663", understudy.KindInvalid, r.op, "an answer of YARN cannot be understood", err)
}

// remote is how Hadoop's web servers say no.
type remote struct {
	RemoteException struct {
		Exception string `json:"exception"`
		Message   string `json:"message"`
	} `json:"RemoteException"`
}

// refusal gives an answer that is no success its meaning.
func refusal(r request, status int, text []byte) error {
	var said remote
	why := fmt.Sprintf("status %d", status)
	if json.Unmarshal(text, &said) == nil && said.RemoteException.Exception != "" {
		why = said.RemoteException.Exception + ": " + said.RemoteException.Message
	}
	if status == http.StatusNotFound {
		e := failure("US664", understudy.KindNotFound, r.op, "YARN does not know "+r.about, nil)
		e.Why = why
		return e
	}
	kind := understudy.KindInvalid
	switch {
	case status == http.StatusForbidden:
		kind = understudy.KindDenied
	case status >= http.StatusInternalServerError:
		kind = understudy.KindRetry
	}
	e := failure("US662", kind, r.op, "YARN refused to "+r.op+" "+r.about, nil)
	e.Why = why
	return e
}
