package adls

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/internal/azure"
)

// tell gives an error of the service the meaning that it has in the contract.
func tell(err error) error {
	var said *azcore.ResponseError
	if errors.As(err, &said) && said.ErrorCode == "HierarchicalNamespaceNotEnabled" {
		return &understudy.Error{
			Code: "US640", Kind: understudy.KindInvalid, Op: "filecopy.open", Err: azure.Tell(said),
			Summary: "the account has no hierarchical namespace, so a rename in it is many steps",
			Fix:     "use it as Blob Storage, or upgrade the account",
		}
	}
	return azure.Tell(err, azure.Meaning{Means: filecopy.ErrChanged, Status: http.StatusConflict})
}

// absentIsFine takes what is not there as removed.
func absentIsFine(err error) error { return filecopy.AbsentIsFine(tell(err)) }

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
