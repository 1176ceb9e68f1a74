package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/filecopy"
)

const (
	// retireParallel is how many objects of one directory go into a quarantine at once.
	retireParallel = 16
	// removeBatch is how many objects one request removes.
	removeBatch = 1000
)

// MakeDirectory does nothing: the manifest keeps directories.
func (s *Store) MakeDirectory(context.Context, filecopy.Entry) error { return nil }

// MakeLink does nothing: the manifest keeps links.
func (s *Store) MakeLink(context.Context, filecopy.Entry) error { return nil }

// SetAttributes does nothing: the manifest keeps attributes.
func (s *Store) SetAttributes(context.Context, filecopy.Path, filecopy.Attributes, filecopy.Fields) error {
	return nil
}

// Move is not to be had.
func (s *Store) Move(context.Context, filecopy.Path, filecopy.Path) error {
	return filecopy.ErrUnsupported
}

// Retire copies an object, and all below the path, into the quarantine, and removes each when its copy is there.
func (s *Store) Retire(ctx context.Context, p filecopy.Path, quarantine string) error {
	if err := filecopy.CheckRetired(p, quarantine); err != nil {
		return err
	}
	o, err := s.head(ctx, s.key(p), "")
	if err == nil {
		o.Key = s.key(p)
		err = s.retire(ctx, o, quarantine)
	}
	if err = s.absentIsFine(err); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(retireParallel)
	err = s.each(gctx, s.below(p), func(o minio.ObjectInfo) error {
		if !s.ours(o.Key) {
			g.Go(func() error { return s.absentIsFine(s.retire(gctx, o, quarantine)) })
		}
		return nil
	})
	return firstOf(g.Wait(), err)
}

func firstOf(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

// retire moves one object. A copy of it that an interrupted call left is found by its ETag and size.
func (s *Store) retire(ctx context.Context, o minio.ObjectInfo, quarantine string) error {
	path := s.at.Inner(o.Key)
	to := s.place(quarantineDir, quarantine, path)
	return filecopy.Twins(to, func(free string) (bool, error) {
		there, err := s.head(ctx, free, "")
		if err == nil && (there.ETag != o.ETag || there.Size != o.Size) {
			return false, nil
		}
		if errors.Is(err, filecopy.ErrNotFound) {
			_, err = s.copy(ctx, object{o.Key, o.ETag, o.Size, filecopy.Checksum{}}, free, "")
		}
		if err != nil {
			return true, err
		}
		// What somebody wrote since has no copy there, and stays.
		return true, s.removeVersion(ctx, o.Key, o.ETag, s.place(quarantineDir, quarantine, filecopy.NewProbe(time.Now())))
	})
}

// object is one version of an object, with its sum where that is known.
type object struct {
	key  string
	etag string
	size int64
	sum  filecopy.Checksum
}

// copy copies within the server and gives the ETag of the copy, which appears in one step.
func (s *Store) copy(ctx context.Context, from object, to, id string) (string, error) {
	if from.size > s.copyPart {
		return s.copyParts(ctx, from, to, id)
	}
	dst := minio.CopyDestOptions{Bucket: s.bucket, Object: to}
	if !s.readBack {
		dst.ChecksumType = minio.ChecksumCRC32C
	}
	info, err := s.other.Client.CopyObject(ctx, dst, minio.CopySrcOptions{Bucket: s.bucket, Object: from.key, MatchETag: from.etag})
	if err != nil {
		return "", s.tell(err)
	}
	if got := sumOf(info.ChecksumCRC32C, info.ChecksumMode); got.Known && from.sum.Known && got != from.sum {
		return "", fmt.Errorf("%w: the server copied %s as %s", filecopy.ErrCorrupt, from.sum, got)
	}
	return info.ETag, nil
}

// copyParts copies an object that is too large for one request. What an interrupted call left of the same copy is ended first.
func (s *Store) copyParts(ctx context.Context, from object, to, id string) (etag string, err error) {
	if id == "" {
		id = filecopy.NewID()
	}
	if err := s.abort(ctx, to); err != nil {
		return "", err
	}
	upload, err := s.other.NewMultipartUpload(ctx, s.bucket, to, s.options(id, filecopy.Checksum{}))
	if err != nil {
		return "", s.tell(err)
	}
	var parts []minio.CompletePart
	pinned := map[string]string{"x-amz-copy-source-if-match": from.etag}
	for at := int64(0); err == nil && at < from.size; at += s.copyPart {
		var p minio.CompletePart
		p, err = s.other.CopyObjectPart(ctx, s.bucket, from.key, s.bucket, to, upload, len(parts)+1, at, min(s.copyPart, from.size-at), pinned)
		parts = append(parts, p)
	}
	if err == nil {
		etag, err = s.finish(ctx, to, upload, parts, from.sum)
	}
	// Of the objects only the source can be missing; all else that is not there is the upload.
	if err = s.tell(err); errors.Is(err, filecopy.ErrNotFound) && !noObject(err) {
		etag, err = s.copied(ctx, to, id, err)
	}
	if err != nil {
		return "", errors.Join(err, s.absentIsFine(s.other.AbortMultipartUpload(ctx, s.bucket, to, upload)))
	}
	return etag, nil
}

// copied looks for a copy whose upload is gone: the answer to its completion may have been lost, and the client's next try finds none; or somebody ended
// it amid the copying. A copy that is not there must not be taken for an object that is not.
func (s *Store) copied(ctx context.Context, to, id string, gone error) (string, error) {
	o, err := s.head(ctx, to, "")
	switch {
	case err == nil && o.UserMetadata[mark] == id:
		return o.ETag, nil
	case err == nil, errors.Is(err, filecopy.ErrNotFound):
		return "", fmt.Errorf("the upload of the copy %q ended before it was done: %v", to, gone)
	}
	return "", err
}

// abort ends all uploads whose keys begin with a prefix.
func (s *Store) abort(ctx context.Context, prefix string) error {
	for key, id := "", ""; ; {
		page, err := s.other.ListMultipartUploads(ctx, s.bucket, prefix, key, id, "", removeBatch)
		if err != nil {
			return s.tell(err)
		}
		for _, u := range page.Uploads {
			// The prefix of a single key also begins longer ones.
			if !strings.HasSuffix(prefix, "/") && u.Key != prefix {
				continue
			}
			if err := s.absentIsFine(s.other.AbortMultipartUpload(ctx, s.bucket, u.Key, u.UploadID)); err != nil {
				return err
			}
		}
		if !page.IsTruncated {
			return nil
		}
		key, id = page.NextKeyMarker, page.NextUploadIDMarker
	}
}

// abortNoted ends the upload that a note names; one that was published is gone.
func (s *Store) abortNoted(ctx context.Context, note string) error {
	b, err := s.get(ctx, note)
	if err != nil {
		return s.absentIsFine(err)
	}
	upload, key, _ := strings.Cut(string(b), "\n")
	return s.absentIsFine(s.other.AbortMultipartUpload(ctx, s.bucket, key, upload))
}

// removeAll removes the objects whose keys begin with a prefix; before each of them something else may be done.
func (s *Store) removeAll(ctx context.Context, prefix string, before func(minio.ObjectInfo) error) error {
	var batch []minio.ObjectInfo
	remove := func() error {
		results, err := s.other.RemoveObjectsWithIter(ctx, s.bucket, slices.Values(batch), minio.RemoveObjectsOptions{})
		if err != nil {
			return err
		}
		for r := range results {
			if r.Err != nil && err == nil {
				err = s.absentIsFine(r.Err)
			}
		}
		batch = batch[:0]
		return err
	}
	err := s.each(ctx, prefix, func(o minio.ObjectInfo) error {
		if err := before(o); err != nil {
			return err
		}
		if batch = append(batch, minio.ObjectInfo{Key: o.Key}); len(batch) < removeBatch {
			return nil
		}
		return remove()
	})
	if err != nil || len(batch) == 0 {
		return err
	}
	return firstOf(remove(), ctx.Err())
}

// Quarantines lists the quarantines, and removes old ones.
func (s *Store) Quarantines(ctx context.Context, removeBefore time.Time) ([]filecopy.Quarantine, error) {
	prefix := s.place(quarantineDir) + "/"
	noOwner := false
	var names []string
	for o := range s.other.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: prefix, FetchOwner: &noOwner}) {
		if o.Err != nil {
			return nil, s.tell(o.Err)
		}
		names = append(names, strings.Trim(strings.TrimPrefix(o.Key, prefix), "/"))
	}
	return filecopy.Outdated(names, removeBefore, func(name string) error {
		return s.removeAll(ctx, prefix+name+"/", func(minio.ObjectInfo) error { return nil })
	})
}

// Keep stores an object, in parts when it is large.
func (s *Store) Keep(ctx context.Context, name string, r io.Reader) error {
	if err := safe(name); err != nil {
		return err
	}
	key := s.place(keptDir, name)
	b, err := io.ReadAll(io.LimitReader(r, s.part))
	if err != nil {
		return err
	}
	if int64(len(b)) < s.part {
		return s.put(ctx, s.other, key, b)
	}
	return s.keepParts(ctx, key, b, r)
}

// keepParts stores an object that begins with a full part.
func (s *Store) keepParts(ctx context.Context, key string, b []byte, r io.Reader) error {
	upload, err := s.other.NewMultipartUpload(ctx, s.bucket, key, s.options("", filecopy.Checksum{}))
	if err != nil {
		return s.tell(err)
	}
	var parts []minio.CompletePart
	sum := filecopy.SumOf(0)
	for last := false; err == nil && len(b) > 0; {
		var p minio.ObjectPart
		if p, err = s.putPart(ctx, s.other, key, upload, len(parts)+1, b); err != nil {
			break
		}
		parts = append(parts, minio.CompletePart{PartNumber: p.PartNumber, ETag: p.ETag, ChecksumCRC32C: p.ChecksumCRC32C})
		if sum = sum.Extend(b); last {
			break
		}
		var n int
		n, err = io.ReadFull(r, b)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			last, err = true, nil
		}
		b = b[:n]
	}
	if err == nil {
		_, err = s.finish(ctx, key, upload, parts, sum)
	}
	if err != nil {
		return errors.Join(s.tell(err), s.absentIsFine(s.other.AbortMultipartUpload(ctx, s.bucket, key, upload)))
	}
	return nil
}

// put stores a small object of the mover.
func (s *Store) put(ctx context.Context, by *minio.Core, key string, b []byte) error {
	return s.putWith(ctx, by, key, b, func(*minio.PutObjectOptions) {})
}

// putWith does so with further options.
func (s *Store) putWith(ctx context.Context, by *minio.Core, key string, b []byte, more func(*minio.PutObjectOptions)) error {
	o, sent := minio.PutObjectOptions{DisableContentSha256: true}, md5Of(b)
	more(&o)
	if !s.readBack {
		o.UserMetadata, sent = map[string]string{sumHeader: textOf(filecopy.SumOf(0).Extend(b))}, ""
	}
	_, err := by.PutObject(ctx, s.bucket, key, bytes.NewReader(b), int64(len(b)), sent, "", o)
	return s.tell(err)
}

// get reads a small object of the mover.
func (s *Store) get(ctx context.Context, key string) ([]byte, error) {
	r, err := s.rest(key).Begin(ctx)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

// Kept reads an object.
func (s *Store) Kept(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := safe(name); err != nil {
		return nil, err
	}
	return s.rest(s.place(keptDir, name)).Begin(ctx)
}

// KeptNames lists the objects.
func (s *Store) KeptNames(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	err := s.each(ctx, s.place(keptDir, prefix), func(o minio.ObjectInfo) error {
		names = append(names, strings.TrimPrefix(o.Key, s.place(keptDir)+"/"))
		return nil
	})
	slices.Sort(names)
	return names, err
}

// Forget removes an object.
func (s *Store) Forget(ctx context.Context, name string) error {
	if err := safe(name); err != nil {
		return err
	}
	return s.remove(ctx, s.place(keptDir, name))
}
