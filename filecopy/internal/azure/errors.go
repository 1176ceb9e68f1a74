package azure

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/understudy-dr/understudy/filecopy"
)

// Meaning is what some answers mean in the contract: those with the status, or with one of the codes.
type Meaning struct {
	Means  error
	Status int
	Codes  []string
}

// meanings are those that the services share.
func meanings() []Meaning {
	return []Meaning{
		{filecopy.ErrCorrupt, 0, []string{"Md5Mismatch", "Crc64Mismatch"}},
		{filecopy.ErrNotFound, http.StatusNotFound, nil},
		{filecopy.ErrChanged, http.StatusPreconditionFailed, nil},
		{filecopy.ErrBusy, http.StatusServiceUnavailable, []string{"ServerBusy", "OperationTimedOut"}},
		{filecopy.ErrBusy, http.StatusTooManyRequests, nil},
		{fs.ErrPermission, http.StatusForbidden, nil},
		{fs.ErrPermission, http.StatusUnauthorized, nil},
	}
}

// Tell gives an error of a service the meaning that it has in the contract. It goes by the code where the answer had one; an answer to HEAD may
// have only its status. Further meanings are that service's alone.
func Tell(err error, more ...Meaning) error {
	var said *azcore.ResponseError
	if err == nil || !errors.As(err, &said) {
		return err
	}
	for _, m := range append(meanings(), more...) {
		if slices.Contains(m.Codes, said.ErrorCode) || m.Status != 0 && said.StatusCode == m.Status {
			return &told{m.Means, said}
		}
	}
	return &told{nil, said}
}

// Refused says whether a service found a request wrong.
func Refused(err error) bool {
	var said *azcore.ResponseError
	if !errors.As(err, &said) || said.StatusCode != http.StatusBadRequest {
		return false
	}
	t, ok := Tell(said).(*told)
	return ok && t.means == nil
}

// signed says whether an answer bears a header of the service's own.
func signed(h http.Header) bool {
	return h.Get("x-ms-request-id") != "" || h.Get("x-ms-error-code") != ""
}

// told is what a service said, with its meaning where it has one.
type told struct {
	means error
	said  *azcore.ResponseError
}

// Error leaves out the whole exchange, which the client's own text repeats over many lines.
func (t *told) Error() string {
	at := ""
	if t.said.RawResponse != nil && t.said.RawResponse.Request != nil {
		at = " " + t.said.RawResponse.Request.Method + " " + t.said.RawResponse.Request.URL.Path
	}
	return fmt.Sprintf("the service answered %d %s%s", t.said.StatusCode, t.said.ErrorCode, at)
}

func (t *told) Unwrap() []error {
	all := []error{t.said}
	if t.means != nil {
		all = append(all, t.means)
	}
	if r := t.said.RawResponse; r != nil && !signed(r.Header) {
		all = append(all, filecopy.ErrStranger)
	}
	return all
}
