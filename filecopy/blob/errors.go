package blob

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
)

// tell gives an error of the service the meaning that it has in the contract.
func tell(err error) error {
	var said *azcore.ResponseError
	if err == nil || !errors.As(err, &said) {
		return err
	}
	return &told{meaning(said), said}
}

// meaning goes by the code where the answer had one; an answer to HEAD may have only its status.
func meaning(said *azcore.ResponseError) error {
	for _, m := range []struct {
		means  error
		status int
		codes  []string
	}{
		{filecopy.ErrCorrupt, 0, []string{"Md5Mismatch", "Crc64Mismatch"}},
		{filecopy.ErrNotFound, http.StatusNotFound, []string{"InvalidBlockList"}},
		{filecopy.ErrChanged, http.StatusPreconditionFailed, nil},
		{filecopy.ErrBusy, http.StatusServiceUnavailable, []string{"ServerBusy", "OperationTimedOut"}},
		{filecopy.ErrBusy, http.StatusTooManyRequests, nil},
		{fs.ErrPermission, http.StatusForbidden, nil},
		{fs.ErrPermission, http.StatusUnauthorized, nil},
	} {
		if slices.Contains(m.codes, said.ErrorCode) || m.status != 0 && said.StatusCode == m.status {
			return m.means
		}
	}
	return nil
}

// told is what the service said, with its meaning where it has one.
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
	if t.means == nil {
		return []error{t.said}
	}
	return []error{t.means, t.said}
}

// absentIsFine takes what is not there as removed.
func absentIsFine(err error) error {
	if err = tell(err); errors.Is(err, filecopy.ErrNotFound) {
		return nil
	}
	return err
}

// noPath refuses a name.
func noPath(container, name, why string) error {
	return &understudy.Error{
		Code: "US630", Kind: understudy.KindInvalid, Op: "filecopy.list",
		Summary: fmt.Sprintf("the blob %q of container %s cannot be a file of the tree: it %s", name, container, why),
		Fix:     "rename or remove the blob, or leave it out",
	}
}

// tooLarge refuses a file.
func tooLarge(e filecopy.Entry) error {
	return &understudy.Error{
		Code: "US632", Kind: understudy.KindInvalid, Op: "filecopy.copy",
		Summary: fmt.Sprintf("%q has %d bytes, and a blob has at most %d", string(e.Path), e.Size, int64(maxObject)),
		Fix:     "split the file, or leave it out",
	}
}
