package blob

import (
	"context"
	"fmt"
	"io"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/internal/azure"
)

// view is the live tree.
type view struct{ store *Store }

// Close releases nothing.
func (v *view) Close() error { return nil }

// Sum is not known to the service.
func (v *view) Sum(context.Context, filecopy.Entry) (filecopy.Checksum, error) {
	return filecopy.Checksum{}, filecopy.ErrUnsupported
}

// held is one version of a blob.
type held struct {
	name string
	etag string
	size int64
	mark string
	sum  filecopy.Checksum
}

// List gives the blobs below a prefix, in the order of their names.
func (v *view) List(ctx context.Context, dir filecopy.Path, found func(filecopy.Entry) error) error {
	s, some := v.store, dir == ""
	above := &filecopy.Nesting{}
	err := s.each(ctx, s.below(dir), func(h held) error {
		if s.ours(h.name) {
			return nil
		}
		p, err := s.path(h.name)
		if err != nil {
			return err
		}
		if file, clash := above.Add(h.name); clash {
			return noPath(s.config.Container, h.name, fmt.Sprintf("lies below %q, which is a file", file))
		}
		some = true
		return found(h.entry(p))
	})
	if err == nil && !some {
		err = fmt.Errorf("%w: nothing lies below %q", filecopy.ErrNotFound, s.below(dir))
	}
	return err
}

// each calls a function for all blobs whose names begin with a prefix.
func (s *Store) each(ctx context.Context, prefix string, do func(held) error) error {
	c, err := s.open(ctx)
	if err != nil {
		return err
	}
	for pages := c.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix}); pages.More(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return tell(err)
		}
		for _, b := range page.Segment.BlobItems {
			h := held{name: *b.Name}
			if p := b.Properties; p != nil && p.ETag != nil && p.ContentLength != nil {
				h.etag, h.size = plain(*p.ETag), *p.ContentLength
			}
			if err := do(h); err != nil {
				return err
			}
		}
	}
	return nil
}

// path gives the path of a name.
func (s *Store) path(name string) (filecopy.Path, error) {
	rest := s.at.Inner(name)
	p := filecopy.Path(rest)
	if rest == "" || p.Check() != nil {
		return "", noPath(s.config.Container, name, "has an empty element, '.' or '..'")
	}
	if why := unfit(rest); why != "" {
		return "", noPath(s.config.Container, name, why)
	}
	return p, nil
}

func (h held) entry(p filecopy.Path) filecopy.Entry {
	return filecopy.Entry{Path: p, Kind: filecopy.File, Size: h.size, Version: h.etag, Sum: h.sum}
}

// Stat gives one blob; a path that has only others below it is not there.
func (v *view) Stat(ctx context.Context, p filecopy.Path) (filecopy.Entry, error) {
	if p == "" {
		_, err := v.store.Probe(ctx)
		return filecopy.Entry{Kind: filecopy.Directory}, err
	}
	if p.Check() != nil {
		return filecopy.Entry{}, fmt.Errorf("%w: %q", filecopy.ErrNotFound, string(p))
	}
	h, err := v.store.head(ctx, v.store.name(p), "")
	return h.entry(p), err
}

// head asks for a blob, in one version where one is named.
func (s *Store) head(ctx context.Context, name, etag string) (held, error) {
	b, err := s.blob(ctx, name)
	if err != nil {
		return held{}, err
	}
	p, err := b.GetProperties(ctx, &blob.GetPropertiesOptions{AccessConditions: azure.Pinned(etag)})
	if err != nil {
		return held{}, tell(err)
	}
	h := held{name: name, mark: metadata(p.Metadata, mark), sum: sumOf(metadata(p.Metadata, sumMark))}
	if p.ETag == nil || p.ContentLength == nil {
		return held{}, fmt.Errorf("the service gave no ETag of %q", name)
	}
	h.etag, h.size = plain(*p.ETag), *p.ContentLength
	return h, nil
}

// plain takes the quotes off an ETag: answers have them, listings do not.
func plain(e azcore.ETag) string { return azure.Plain(e) }

func metadata(all map[string]*string, name string) string { return azure.Metadata(all, name) }

// sumOf reads what a blob says about its own content. Who writes other content takes it away.
func sumOf(text string) filecopy.Checksum { return azure.SumOf(text) }

// Read reads one version of a blob.
func (v *view) Read(ctx context.Context, e filecopy.Entry, offset int64) (io.ReadCloser, error) {
	r := v.store.rest(v.store.name(e.Path))
	r.Version, r.Size, r.At = e.Version, e.Size, offset
	if offset > 0 && offset >= e.Size {
		_, err := v.store.head(ctx, r.Name, e.Version)
		return r.Later(ctx), err
	}
	return r.Begin(ctx)
}

// rest reads a blob, in whatever version it is.
func (s *Store) rest(name string) *filecopy.Rest {
	sum := func(text string, _ int64) filecopy.Checksum { return sumOf(text) }
	return azure.Space{Open: s.open, Tell: tell, Sum: sum}.Rest(name)
}
