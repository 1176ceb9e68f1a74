package adls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/file"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/filesystem"
	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/internal/azure"
)

const (
	// dressBatch is how many listed entries wait for their lists, dressParallel how many of these are asked for at once.
	dressBatch    = 512
	dressParallel = 32
)

// view is the live tree.
type view struct{ store *Store }

// Close releases nothing.
func (v *view) Close() error { return nil }

// Sum is not known to the service.
func (v *view) Sum(context.Context, filecopy.Entry) (filecopy.Checksum, error) {
	return filecopy.Checksum{}, filecopy.ErrUnsupported
}

// held is one version of a file, or a directory.
type held struct {
	name string
	dir  bool
	etag string
	size int64
	mark string
	sum  filecopy.Checksum
	filecopy.Attributes
	// more says that the list has to be asked for.
	more bool
}

// entry is what is held as the contract has it.
func (h held) entry(p filecopy.Path) filecopy.Entry {
	e := filecopy.Entry{Path: p, Kind: filecopy.File, Size: h.size, Version: h.etag, Sum: h.sum, Attributes: h.Attributes}
	if h.dir {
		e.Kind, e.Size, e.Version = filecopy.Directory, 0, ""
	}
	return e
}

// each calls a function for all that lies in a directory, or below it.
func (s *Store) each(ctx context.Context, dir string, recursive bool, do func(held) error) error {
	c, err := s.open(ctx)
	if err != nil {
		return err
	}
	options := &filesystem.ListPathsOptions{}
	if dir != "" {
		options.Prefix = &dir
	}
	for pages := c.NewListPathsPager(recursive, options); pages.More(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return tell(err)
		}
		for _, p := range page.Paths {
			if p == nil || p.Name == nil || p.ETag == nil {
				return errors.New("the service listed something without a name or an ETag")
			}
			h := held{name: *p.Name, dir: p.IsDirectory != nil && *p.IsDirectory, etag: strings.Trim(*p.ETag, `"`)}
			if p.ContentLength != nil {
				h.size = *p.ContentLength
			}
			if h.Attributes, err = s.attributes(p.Owner, p.Group, p.Permissions); err != nil {
				return err
			}
			h.more = h.dir || extended(p.Permissions)
			if err := do(h); err != nil {
				return err
			}
		}
	}
	return nil
}

// List gives what lies below a directory.
func (v *view) List(ctx context.Context, dir filecopy.Path, found func(filecopy.Entry) error) error {
	s, b := v.store, &batch{store: v.store, found: found}
	err := s.each(ctx, s.at.Name(dir), true, func(h held) error {
		if s.at.Ours(h.name) {
			return nil
		}
		return b.add(ctx, h)
	})
	if err == nil {
		err = b.flush(ctx)
	}
	return err
}

// path gives the path in the tree.
func (s *Store) path(name string) (filecopy.Path, error) {
	rest := s.at.Inner(name)
	if rest == "" || filecopy.Path(rest).Check() != nil {
		return "", noPath(s.config.FileSystem, name, "has an empty element, '.' or '..'")
	}
	if why := unfit(rest); why != "" {
		return "", noPath(s.config.FileSystem, name, why)
	}
	return filecopy.Path(rest), nil
}

// batch collects listed entries, so that lists, which take a call each, are asked for side by side. A listing tells which files have
// one; of directories all are asked, since it is not documented whether default entries alone are told.
type batch struct {
	store *Store
	found func(filecopy.Entry) error
	list  []held
}

func (b *batch) add(ctx context.Context, h held) error {
	if b.list = append(b.list, h); len(b.list) < dressBatch {
		return nil
	}
	return b.flush(ctx)
}

func (b *batch) flush(ctx context.Context) error {
	gone := make([]bool, len(b.list))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(dressParallel)
	for i, h := range b.list {
		if !h.more || !b.store.fields.Has(filecopy.FieldACL) {
			continue
		}
		g.Go(func() error {
			a, err := b.store.access(gctx, h.name)
			if gone[i] = errors.Is(err, filecopy.ErrNotFound); gone[i] {
				return nil
			}
			b.list[i].Attributes = a
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, h := range b.list {
		if gone[i] {
			continue
		}
		p, err := b.store.path(h.name)
		if err != nil {
			return err
		}
		if err := b.found(h.entry(p)); err != nil {
			return err
		}
	}
	b.list = b.list[:0]
	return nil
}

// Stat gives one entry.
func (v *view) Stat(ctx context.Context, p filecopy.Path) (filecopy.Entry, error) {
	if p.Check() != nil {
		return filecopy.Entry{}, fmt.Errorf("%w: %q", filecopy.ErrNotFound, string(p))
	}
	s := v.store
	if s.at.Name(p) == "" {
		a, err := s.access(ctx, "")
		return filecopy.Entry{Kind: filecopy.Directory, Attributes: a}, err
	}
	h, err := s.head(ctx, s.at.Name(p), "")
	if err == nil && h.more && s.fields.Has(filecopy.FieldACL) {
		h.Attributes, err = s.access(ctx, h.name)
	}
	return h.entry(p), err
}

// head asks for a path, in one version where one is named.
func (s *Store) head(ctx context.Context, name, etag string) (held, error) {
	f, err := s.file(ctx, name)
	if err != nil {
		return held{}, err
	}
	p, err := f.GetProperties(ctx, &file.GetPropertiesOptions{AccessConditions: pinned(etag)})
	if err != nil {
		return held{}, tell(err)
	}
	if p.ETag == nil || p.ContentLength == nil {
		return held{}, fmt.Errorf("the service gave no ETag of %q", name)
	}
	h := held{
		name: name, dir: isDirectory(p.ResourceType), etag: azure.Plain(*p.ETag), size: *p.ContentLength,
		mark: azure.Metadata(p.Metadata, azure.Mark), sum: sumOf(azure.Metadata(p.Metadata, azure.SumMark), *p.ContentLength),
	}
	h.Attributes, err = s.attributes(p.Owner, p.Group, p.Permissions)
	h.more = h.dir || extended(p.Permissions)
	return h, err
}

func isDirectory(kind *string) bool { return kind != nil && *kind == "directory" }

// sumText is what a file says about its own content: the sum, and of how many bytes. Who writes the file anew takes it away; who appends
// does not, so it holds for this size only.
func sumText(sum filecopy.Checksum, size int64) string { return fmt.Sprintf("%s-%d", sum, size) }

// sumOf reads it.
func sumOf(text string, size int64) filecopy.Checksum {
	sum, of, _ := strings.Cut(text, "-")
	if of != strconv.FormatInt(size, 10) {
		return filecopy.Checksum{}
	}
	return azure.SumOf(sum)
}

// Read reads one version of a file.
func (v *view) Read(ctx context.Context, e filecopy.Entry, offset int64) (io.ReadCloser, error) {
	s := v.store
	r := s.rest(s.at.Name(e.Path), e.Version, offset, e.Size)
	r.End = func(ctx context.Context) error {
		_, err := s.head(ctx, r.Name, e.Version)
		if errors.Is(err, filecopy.ErrNotFound) {
			err = fmt.Errorf("%w: %w", filecopy.ErrChanged, err)
		}
		return err
	}
	if offset >= e.Size {
		h, err := s.head(ctx, r.Name, e.Version)
		if offset == 0 {
			r.Want = h.sum
		}
		return r.Later(ctx), err
	}
	return r.Begin(ctx)
}

// rest reads a version from an offset to its end.
func (s *Store) rest(name, etag string, offset, size int64) *filecopy.Rest {
	r := azure.Space{Open: s.blobs, Tell: tell, Sum: sumOf}.Rest(name)
	r.Version, r.At, r.Size = etag, offset, size
	return r
}
