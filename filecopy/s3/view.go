package s3

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/minio/minio-go/v7"

	"github.com/understudy-dr/understudy/filecopy"
)

// view is the live tree.
type view struct{ store *Store }

// Close releases nothing.
func (v *view) Close() error { return nil }

// List gives the objects below a prefix, in the order of their keys.
func (v *view) List(ctx context.Context, dir filecopy.Path, found func(filecopy.Entry) error) error {
	s, some := v.store, dir == ""
	above := &filecopy.Nesting{}
	err := s.each(ctx, s.below(dir), func(o minio.ObjectInfo) error {
		e, ok, err := s.listed(o)
		if err != nil || !ok {
			return err
		}
		if file, clash := above.Add(o.Key); clash {
			return noPath(s.bucket, o.Key, fmt.Sprintf("%q is a file already", file))
		}
		some = true
		return found(e)
	})
	if err == nil && !some {
		err = fmt.Errorf("%w: nothing lies below %q", filecopy.ErrNotFound, s.below(dir))
	}
	return err
}

// each calls a function for all objects whose keys begin with a prefix.
func (s *Store) each(ctx context.Context, prefix string, do func(minio.ObjectInfo) error) error {
	noOwner := false
	options := minio.ListObjectsOptions{Prefix: prefix, Recursive: true, FetchOwner: &noOwner}
	for o := range s.other.ListObjectsIter(ctx, s.bucket, options) {
		if o.Err != nil {
			return s.tell(o.Err)
		}
		if err := do(o); err != nil {
			return err
		}
	}
	// The client ends a listing in silence when the context has ended.
	return ctx.Err()
}

// listed makes an entry of a listed object, and says false for what is none.
func (s *Store) listed(o minio.ObjectInfo) (filecopy.Entry, bool, error) {
	if s.ours(o.Key) {
		return filecopy.Entry{}, false, nil
	}
	rest := s.at.Inner(o.Key)
	p := filecopy.Path(rest)
	switch {
	case (rest == "" || strings.HasSuffix(rest, "/")) && s.marks && o.Size == 0:
		return filecopy.Entry{}, false, nil
	case rest == "" || strings.HasSuffix(rest, "/"):
		return filecopy.Entry{}, false, noPath(s.bucket, o.Key, "it ends with a slash")
	case !utf8.ValidString(rest):
		return filecopy.Entry{}, false, noPath(s.bucket, o.Key, "it is not UTF-8")
	case filecopy.Unlisted(rest) >= 0:
		return filecopy.Entry{}, false, noPath(s.bucket, o.Key, "it holds a control character, or the server cannot list it as it is")
	case p.Check() != nil:
		return filecopy.Entry{}, false, noPath(s.bucket, o.Key, "an element is empty, '.' or '..'")
	}
	e, err := entry(p, o)
	return e, err == nil, err
}

func entry(p filecopy.Path, o minio.ObjectInfo) (filecopy.Entry, error) {
	if o.ETag == "" {
		return filecopy.Entry{}, fmt.Errorf("the server gave no ETag of %q", o.Key)
	}
	return filecopy.Entry{Path: p, Kind: filecopy.File, Size: o.Size, Version: o.ETag}, nil
}

// Stat gives one object; a path that has only others below it is not there.
func (v *view) Stat(ctx context.Context, p filecopy.Path) (filecopy.Entry, error) {
	s := v.store
	if p == "" {
		_, err := s.Probe(ctx)
		return filecopy.Entry{Kind: filecopy.Directory}, err
	}
	if p.Check() != nil {
		return filecopy.Entry{}, fmt.Errorf("%w: %q", filecopy.ErrNotFound, string(p))
	}
	o, err := s.head(ctx, s.key(p), "")
	if err != nil {
		return filecopy.Entry{}, err
	}
	e, err := entry(p, o)
	e.Sum = sumOf(o.ChecksumCRC32C, o.ChecksumMode)
	return e, err
}

// head asks for an object, in one version where one is named.
func (s *Store) head(ctx context.Context, key, etag string) (minio.ObjectInfo, error) {
	options := minio.StatObjectOptions{Checksum: !s.readBack}
	if etag != "" {
		if err := options.SetMatchETag(etag); err != nil {
			return minio.ObjectInfo{}, err
		}
	}
	o, err := s.other.StatObject(ctx, s.bucket, key, options)
	if err == nil && etag != "" && o.ETag != etag {
		return o, fmt.Errorf("%w: %q", filecopy.ErrChanged, key)
	}
	return o, s.tell(err)
}

// sumOf reads a checksum; that of parts, which is no checksum of the bytes, counts as none.
func sumOf(text, mode string) filecopy.Checksum {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != 4 || strings.EqualFold(mode, minio.ChecksumCompositeMode.String()) {
		return filecopy.Checksum{}
	}
	return filecopy.SumOf(binary.BigEndian.Uint32(raw))
}

// textOf writes a checksum as the protocol has it.
func textOf(c filecopy.Checksum) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, c.CRC32C))
}

// Sum gives the checksum that the server computed when the object was written.
func (v *view) Sum(ctx context.Context, e filecopy.Entry) (filecopy.Checksum, error) {
	if v.store.readBack {
		return filecopy.Checksum{}, filecopy.ErrUnsupported
	}
	o, err := v.store.head(ctx, v.store.key(e.Path), e.Version)
	if err != nil {
		return filecopy.Checksum{}, err
	}
	sum := sumOf(o.ChecksumCRC32C, o.ChecksumMode)
	if !sum.Known {
		return sum, fmt.Errorf("%w: nobody had the server compute a CRC32C of %q", filecopy.ErrUnsupported, string(e.Path))
	}
	return sum, nil
}

// Read reads one version of an object.
func (v *view) Read(ctx context.Context, e filecopy.Entry, offset int64) (io.ReadCloser, error) {
	r := v.store.rest(v.store.key(e.Path))
	r.Version, r.Size, r.At = e.Version, e.Size, offset
	if offset > 0 && offset >= e.Size {
		_, err := v.store.head(ctx, r.Name, e.Version)
		return r.Later(ctx), err
	}
	return r.Begin(ctx)
}

// rest reads an object, in whatever version it is.
func (s *Store) rest(key string) *filecopy.Rest {
	return &filecopy.Rest{Name: key, Ask: func(ctx context.Context, etag string, at int64) (filecopy.Answer, error) {
		options := minio.GetObjectOptions{Checksum: at == 0 && !s.readBack}
		if etag != "" {
			if err := options.SetMatchETag(etag); err != nil {
				return filecopy.Answer{}, err
			}
		}
		if at > 0 {
			if err := options.SetRange(at, 0); err != nil {
				return filecopy.Answer{}, err
			}
		}
		content, o, _, err := s.staging.GetObject(ctx, s.bucket, key, options)
		if err != nil {
			return filecopy.Answer{}, s.tell(err)
		}
		return filecopy.Answer{Body: body{content}, Version: o.ETag, Size: o.Size, Sum: sumOf(o.ChecksumCRC32C, o.ChecksumMode)}, nil
	}}
}

// body is an answer of the client, which reads it once more when it is closed.
type body struct{ io.ReadCloser }

func (b body) Close() error {
	err := b.ReadCloser.Close()
	if errors.Is(err, http.ErrBodyReadAfterClose) {
		err = nil
	}
	return err
}
