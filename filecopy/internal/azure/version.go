package azure

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/understudy-dr/understudy/filecopy"
)

// Mark and SumMark are the names of the metadata that say which staged file a file was, and the CRC32C of its content.
const (
	Mark    = "understudy"
	SumMark = "understudycrc32c"
)

// Metadata gives a value; servers change the case of names.
func Metadata(all map[string]*string, name string) string {
	for k, v := range all {
		if strings.EqualFold(k, name) && v != nil {
			return *v
		}
	}
	return ""
}

// SumOf reads a checksum of eight digits; any other text is none.
func SumOf(text string) filecopy.Checksum {
	n, err := strconv.ParseUint(text, 16, 32)
	if err != nil || len(text) != 8 {
		return filecopy.Checksum{}
	}
	return filecopy.SumOf(uint32(n))
}

// Plain takes the quotes off an ETag: answers have them, listings do not.
func Plain(e azcore.ETag) string { return strings.Trim(string(e), `"`) }

// Quoted puts them on.
func Quoted(etag string) *azcore.ETag {
	quoted := azcore.ETag(`"` + etag + `"`)
	return &quoted
}

// Pinned holds a request to a version, where one is named.
func Pinned(etag string) *blob.AccessConditions {
	if etag == "" {
		return nil
	}
	return &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: Quoted(etag)}}
}

// Space is where names are read: a container, which a file system is too.
type Space struct {
	Open func(context.Context) (*container.Client, error)
	// Tell gives errors their meaning, Sum reads the sum that metadata tells of so many bytes.
	Tell func(error) error
	Sum  func(text string, size int64) filecopy.Checksum
}

// Rest reads a name, in whatever version it is.
func (s Space) Rest(name string) *filecopy.Rest {
	return &filecopy.Rest{Name: name, Ask: func(ctx context.Context, etag string, at int64) (filecopy.Answer, error) {
		c, err := s.Open(ctx)
		if err != nil {
			return filecopy.Answer{}, err
		}
		answer, err := c.NewBlobClient(name).DownloadStream(ctx, &blob.DownloadStreamOptions{
			Range: blob.HTTPRange{Offset: at}, AccessConditions: Pinned(etag),
		})
		if err != nil {
			return filecopy.Answer{}, s.Tell(err)
		}
		if answer.ETag == nil || answer.ContentLength == nil {
			return filecopy.Answer{}, errors.Join(fmt.Errorf("the service gave no ETag of %q", name), answer.Body.Close())
		}
		size := *answer.ContentLength
		return filecopy.Answer{
			Body: answer.Body, Version: Plain(*answer.ETag), Size: size, Sum: s.Sum(Metadata(answer.Metadata, SumMark), size),
		}, nil
	}}
}
