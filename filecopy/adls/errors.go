package adls

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
	if said.ErrorCode == "HierarchicalNamespaceNotEnabled" {
		return &understudy.Error{
			Code: "US640", Kind: understudy.KindInvalid, Op: "filecopy.open", Err: &told{nil, said},
			Summary: "the account has no hierarchical namespace, so a rename in it is many steps",
			Fix:     "use it as Blob Storage, or upgrade the account",
		}
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
		{filecopy.ErrNotFound, http.StatusNotFound, nil},
		{filecopy.ErrChanged, http.StatusPreconditionFailed, nil},
		{filecopy.ErrChanged, http.StatusConflict, nil},
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

// refused says whether the service found a request wrong.
func refused(err error) bool {
	var said *azcore.ResponseError
	return errors.As(err, &said) && said.StatusCode == http.StatusBadRequest && meaning(said) == nil
}

// absentIsFine takes what is not there as removed.
func absentIsFine(err error) error {
	if err = tell(err); errors.Is(err, filecopy.ErrNotFound) {
		return nil
	}
	return err
}

// noPath refuses a name.
func noPath(fileSystem, name, why string) error {
	return &understudy.Error{
		Code: "US641", Kind: understudy.KindInvalid, Op: "filecopy.list",
		Summary: fmt.Sprintf("%q in the file system %s cannot be copied: it %s", name, fileSystem, why),
		Fix:     "rename or remove it, or leave it out",
	}
}

// tooLarge refuses a file.
func tooLarge(e filecopy.Entry) error {
	return &understudy.Error{
		Code: "US642", Kind: understudy.KindInvalid, Op: "filecopy.copy",
		Summary: fmt.Sprintf("%q has %d bytes, and a file in ADLS has at most %d", string(e.Path), e.Size, int64(maxFile)),
		Fix:     "split the file, or leave it out",
	}
}

// notTaken says that the service refused owners or a list.
func notTaken(name string, cause error) error {
	return &understudy.Error{
		Code: "US643", Kind: understudy.KindInvalid, Op: "filecopy.publish", Err: cause,
		Summary: fmt.Sprintf("the account did not take the owner, the group or the access control list of %q", name),
		Fix:     "map the principals of the source to those of the account, or leave owners to the manifest",
	}
}
