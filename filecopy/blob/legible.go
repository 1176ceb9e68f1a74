package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"

	"github.com/understudy-dr/understudy/filecopy"
)

// signedFor is how long the service may read a staged blob by our signature: one request.
const signedFor = time.Hour

// Legible stages every file as a blob in the area, where it can be read. The service takes its blocks from there into those of the final name,
// which are committed in one step as ever.
func (s *Store) Legible() filecopy.Target { return legible{s} }

// legible is a store that stages blobs.
type legible struct{ *Store }

// Begin marks the handle by a slash before the path, which no path has. Of an empty file there is nothing to read.
func (l legible) Begin(ctx context.Context, lot string, e filecopy.Entry) (filecopy.Handle, error) {
	h, err := l.Store.Begin(ctx, lot, e)
	if err != nil || e.Size == 0 {
		return h, err
	}
	fields := strings.SplitN(string(h), "~", 3)
	return filecopy.Handle(fields[0] + "~" + fields[1] + "~/" + fields[2]), nil
}

// sealApart makes a blob of the blocks in the area. Repeated, it finds the blob.
func (s *Store) sealApart(ctx context.Context, st staged, size int64) (filecopy.Sealed, error) {
	sealed := filecopy.Sealed{Handle: st.handle, Identity: st.id, Proof: filecopy.ProofServer}
	blocks, err := s.sealed(ctx, st, size)
	if errors.Is(err, filecopy.ErrNotFound) {
		now, herr := s.head(ctx, s.stagedName(st), "")
		if herr != nil {
			return sealed, herr
		}
		if now.size != size || !now.sum.Known {
			return sealed, fmt.Errorf("%w: %d bytes are staged of %d", filecopy.ErrCorrupt, now.size, size)
		}
		sealed.Sum = now.sum
		return sealed, nil
	}
	if err != nil {
		return sealed, err
	}
	if sealed.Sum, err = wholeOf(blocks, size); err != nil {
		return sealed, err
	}
	var names []string
	for _, b := range blocks {
		names = append(names, b.name(st.id))
	}
	_, err = s.commitTo(ctx, s.stagedName(st), st, sealed, names)
	return sealed, err
}

// readApart reads a blob in the area, as it is now: what its metadata says about it is what has to be proven.
func (s *Store) readApart(ctx context.Context, st staged) (io.ReadCloser, error) {
	b, err := s.blob(ctx, s.stagedName(st))
	if err != nil {
		return nil, err
	}
	answer, err := b.DownloadStream(ctx, nil)
	if err != nil {
		return nil, tell(err)
	}
	return answer.NewRetryReader(ctx, nil), nil
}

// publishApart has the service take the blocks of a file from its staged blob, and commits them.
func (s *Store) publishApart(ctx context.Context, st staged, sealed filecopy.Sealed, size int64) (string, error) {
	from, err := s.head(ctx, s.stagedName(st), "")
	if err != nil {
		return "", err
	}
	source, err := s.blob(ctx, from.name)
	if err != nil {
		return "", err
	}
	signed, err := source.GetSASURL(sas.BlobPermissions{Read: true}, time.Now().Add(signedFor), nil)
	if err != nil {
		return "", err
	}
	to, err := s.blob(ctx, s.name(st.path))
	if err != nil {
		return "", err
	}
	etag := azcore.ETag(`"` + from.etag + `"`)
	var names []string
	for number, at := 0, int64(0); at < size; number++ {
		b := block{number: number, size: min(s.partSize(size), size-at), sum: sealed.Sum}
		names = append(names, b.name(st.id))
		_, err := to.StageBlockFromURL(ctx, b.name(st.id), signed, &blockblob.StageBlockFromURLOptions{
			Range:                          blob.HTTPRange{Offset: at, Count: b.size},
			SourceModifiedAccessConditions: &blob.SourceModifiedAccessConditions{SourceIfMatch: &etag},
		})
		if err != nil {
			return "", tell(err)
		}
		at += b.size
	}
	return s.commitTo(ctx, s.name(st.path), st, sealed, names)
}
