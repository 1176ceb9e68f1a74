package blob

import (
	"fmt"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/internal/azure"
)

// tell gives an error of the service the meaning that it has in the contract.
func tell(err error) error {
	return azure.Tell(err,
		azure.Meaning{Means: filecopy.ErrNotFound, Codes: []string{"InvalidBlockList"}},
		// What was to be there only where nothing is.
		azure.Meaning{Means: filecopy.ErrChanged, Codes: []string{"BlobAlreadyExists"}})
}

// absentIsFine takes what is not there as removed.
func absentIsFine(err error) error { return filecopy.AbsentIsFine(tell(err)) }

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
