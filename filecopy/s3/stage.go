package s3

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/understudy-dr/understudy/filecopy"
)

// The area has three places.
const (
	stagingDir    = "staging"
	quarantineDir = "quarantine"
	keptDir       = "kept"
)

// mark is the name of the metadata that says which staged file an object was.
const mark = "Understudy"

// sumHeader carries the CRC32C of what is sent.
const sumHeader = "X-Amz-Checksum-Crc32c"

// noteSuffix ends the key of a note that names the upload of a final key.
const noteSuffix = ".upload"

// way says how a file is staged.
type way string

const (
	// asObject is one object in the area.
	asObject way = "o"
	// inParts is an object in the area that is uploaded in parts, so that it can be read back before it is published.
	inParts way = "p"
	// inPlace is an upload in parts of the final key, which stays open until it is published.
	inPlace way = "u"
)

// staged is a handle taken apart.
type staged struct {
	handle filecopy.Handle
	// key is the object in the area; for an upload in place, of the note that names the upload.
	key    string
	id     string
	way    way
	upload string
}

// Begin makes up a name, and opens the upload of a file in parts. An upload of a final key is noted in the lot, where Discard finds it,
// before its first part: one that a crash kept from being noted holds nothing.
func (s *Store) Begin(ctx context.Context, lot string, e filecopy.Entry) (filecopy.Handle, error) {
	if s.readBack {
		return s.begin(ctx, lot, e, inParts)
	}
	return s.begin(ctx, lot, e, inPlace)
}

// Legible stages every file as an object in the area, which is read there and published by a copy.
func (s *Store) Legible() filecopy.Target { return legible{s} }

// legible is a store that leaves no upload open.
type legible struct{ *Store }

// Begin opens the upload of a file in parts in the area.
func (l legible) Begin(ctx context.Context, lot string, e filecopy.Entry) (filecopy.Handle, error) {
	return l.begin(ctx, lot, e, inParts)
}

// begin makes up a name. A file in parts is uploaded in one of the two ways.
func (s *Store) begin(ctx context.Context, lot string, e filecopy.Entry, how way) (filecopy.Handle, error) {
	if err := safe(lot); err != nil {
		return "", err
	}
	if e.Size > maxObject {
		return "", tooLarge(e)
	}
	id := filecopy.NewID()
	name := lot + "/" + id
	if e.Size <= s.single(e.Size) {
		return filecopy.Handle(name + "~" + string(asObject) + "~"), nil
	}
	key := s.place(stagingDir, name)
	if how == inPlace {
		key = s.key(e.Path)
	}
	upload, err := s.staging.NewMultipartUpload(ctx, s.bucket, key, s.options(id, filecopy.Checksum{}))
	if err != nil {
		return "", s.tell(err)
	}
	h := filecopy.Handle(name + "~" + string(how) + "~" + upload)
	if how == inPlace {
		s.uploads.Store(h, key)
		err = s.put(ctx, s.staging, s.place(stagingDir, name)+noteSuffix, []byte(upload+"\n"+key))
	}
	return h, err
}

// options are those of an object that will be published: its mark, and that the server is to compute the CRC32C of the whole. Bodies
// are not hashed for the signature, which covers the checksum that goes ahead of them.
func (s *Store) options(id string, sum filecopy.Checksum) minio.PutObjectOptions {
	o := minio.PutObjectOptions{UserMetadata: map[string]string{mark: id}, DisableContentSha256: true}
	switch {
	case s.readBack:
	case sum.Known:
		o.UserMetadata[sumHeader] = textOf(sum)
	default:
		o.UserMetadata["X-Amz-Checksum-Algorithm"] = minio.ChecksumCRC32C.String()
		o.UserMetadata["X-Amz-Checksum-Type"] = minio.ChecksumFullObjectMode.String()
	}
	return o
}

// safe refuses names that would leave the area.
func safe(name string) error { return filecopy.CheckOwn(name) }

func (s *Store) taken(h filecopy.Handle) (staged, error) {
	fields := strings.SplitN(string(h), "~", 3)
	if len(fields) != 3 {
		return staged{}, fmt.Errorf("%w: %q is no handle", filecopy.ErrName, string(h))
	}
	st := staged{handle: h, key: s.place(stagingDir, fields[0]), id: path.Base(fields[0]), way: way(fields[1]), upload: fields[2]}
	if st.way == inPlace {
		st.key += noteSuffix
	}
	return st, safe(fields[0])
}

// target gives the key that an upload in parts will be.
func (s *Store) target(ctx context.Context, st staged) (string, error) {
	if st.way == inParts {
		return st.key, nil
	}
	if key, ok := s.uploads.Load(st.handle); ok {
		return key.(string), nil
	}
	note, err := s.get(ctx, st.key)
	if err != nil {
		return "", err
	}
	_, key, _ := strings.Cut(string(note), "\n")
	s.uploads.Store(st.handle, key)
	return key, nil
}

// Write sends one part. It is held in memory, so that its checksum goes ahead of it and it can be sent again.
func (s *Store) Write(ctx context.Context, h filecopy.Handle, p filecopy.Part, r io.Reader) error {
	st, err := s.taken(h)
	if err != nil {
		return err
	}
	return s.room.Hold(ctx, p, r, func(b []byte) error { return s.send(ctx, st, p, b) })
}

// send puts what a part holds to where its way leads.
func (s *Store) send(ctx context.Context, st staged, p filecopy.Part, b []byte) error {
	if st.way == asObject {
		return s.writeObject(ctx, st, b)
	}
	key, err := s.target(ctx, st)
	if err != nil {
		return err
	}
	_, err = s.putPart(ctx, s.staging, key, st.upload, p.Number+1, b)
	return err
}

// putPart sends a part with what the server is to check it by.
func (s *Store) putPart(ctx context.Context, by *minio.Core, key, upload string, number int, b []byte) (minio.ObjectPart, error) {
	options := minio.PutObjectPartOptions{CustomHeader: http.Header{}, DisableContentSha256: true}
	if s.readBack {
		options.Md5Base64 = md5Of(b)
	} else {
		options.CustomHeader.Set(sumHeader, textOf(filecopy.SumOf(0).Extend(b)))
	}
	part, err := by.PutObjectPart(ctx, s.bucket, key, upload, number, bytes.NewReader(b), int64(len(b)), options)
	return part, s.tell(err)
}

// written is what the server said about a staged object.
type written struct {
	etag string
	size int64
	sum  filecopy.Checksum
}

func (s *Store) writeObject(ctx context.Context, st staged, b []byte) error {
	sum, sent := filecopy.SumOf(0).Extend(b), ""
	if s.readBack {
		sent = md5Of(b)
	}
	info, err := s.staging.PutObject(ctx, s.bucket, st.key, bytes.NewReader(b), int64(len(b)), sent, "", s.options(st.id, sum))
	if err != nil {
		return s.tell(err)
	}
	s.staged.Store(st.handle, written{info.ETag, int64(len(b)), sumOf(info.ChecksumCRC32C, info.ChecksumMode)})
	return nil
}

// md5Of is what servers without CRC32C check on receipt.
func md5Of(b []byte) string {
	sum := md5.Sum(b)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Seal gives what the server computed over what it took.
func (s *Store) Seal(ctx context.Context, h filecopy.Handle, e filecopy.Entry, _ filecopy.Checksum) (filecopy.Sealed, error) {
	st, err := s.taken(h)
	if err != nil {
		return filecopy.Sealed{}, err
	}
	var w written
	switch st.way {
	case asObject:
		w, err = s.sealObject(ctx, st)
	case inParts:
		w, err = s.sealParts(ctx, st, e)
	case inPlace:
		w, err = s.sealUpload(ctx, st)
	default:
		err = fmt.Errorf("%w: %q is no handle", filecopy.ErrName, string(h))
	}
	if err != nil {
		return filecopy.Sealed{}, err
	}
	if w.size != e.Size {
		return filecopy.Sealed{}, fmt.Errorf("%w: %d bytes are staged of %d", filecopy.ErrCorrupt, w.size, e.Size)
	}
	sealed := filecopy.Sealed{Handle: h, Identity: st.id + " " + w.etag}
	if s.readBack {
		return sealed, nil
	}
	if !w.sum.Known {
		return filecopy.Sealed{}, noSum(s.bucket)
	}
	sealed.Proof, sealed.Sum = filecopy.ProofServer, w.sum
	return sealed, nil
}

func (s *Store) sealObject(ctx context.Context, st staged) (written, error) {
	if w, ok := s.staged.LoadAndDelete(st.handle); ok {
		return w.(written), nil
	}
	o, err := s.head(ctx, st.key, "")
	return written{o.ETag, o.Size, sumOf(o.ChecksumCRC32C, o.ChecksumMode)}, err
}

// sealParts makes an object of the parts, out of sight. Repeated after it happened, the upload is gone and the object there.
func (s *Store) sealParts(ctx context.Context, st staged, e filecopy.Entry) (written, error) {
	parts, w, err := s.parts(ctx, st.key, st.upload)
	if err == nil && w.size != e.Size {
		return w, nil
	}
	if err == nil {
		_, err = s.finish(ctx, st.key, st.upload, parts, w.sum)
	}
	if err != nil && !errors.Is(err, filecopy.ErrNotFound) {
		return written{}, err
	}
	return s.sealObject(ctx, st)
}

// sealUpload sums the parts of an open upload.
func (s *Store) sealUpload(ctx context.Context, st staged) (written, error) {
	key, err := s.target(ctx, st)
	if err != nil {
		return written{}, err
	}
	_, w, err := s.parts(ctx, key, st.upload)
	return w, err
}

// parts lists what was uploaded, and sums it.
func (s *Store) parts(ctx context.Context, key, upload string) ([]minio.CompletePart, written, error) {
	var all []minio.CompletePart
	w, known := written{sum: filecopy.SumOf(0)}, true
	for marker := 0; ; {
		page, err := s.other.ListObjectParts(ctx, s.bucket, key, upload, marker, 1000)
		if err != nil {
			return nil, w, s.tell(err)
		}
		for _, p := range page.ObjectParts {
			if p.PartNumber != len(all)+1 {
				return nil, w, fmt.Errorf("%w: part %d is not staged", filecopy.ErrCorrupt, len(all)+1)
			}
			sum := sumOf(p.ChecksumCRC32C, "")
			w.size += p.Size
			w.sum, known = w.sum.Append(sum, p.Size), known && sum.Known
			all = append(all, minio.CompletePart{PartNumber: p.PartNumber, ETag: p.ETag, ChecksumCRC32C: p.ChecksumCRC32C})
		}
		if marker = page.NextPartNumberMarker; page.IsTruncated {
			continue
		}
		w.sum.Known = known
		return all, w, nil
	}
}

// ReadSealed reads a staged object; an open upload cannot be read, and is proven by its parts.
func (s *Store) ReadSealed(ctx context.Context, sealed filecopy.Sealed) (io.ReadCloser, error) {
	st, err := s.taken(sealed.Handle)
	if err != nil {
		return nil, err
	}
	if st.way == inPlace {
		return nil, filecopy.ErrUnsupported
	}
	o, err := s.head(ctx, st.key, "")
	if err != nil {
		return nil, err
	}
	r := s.rest(st.key)
	r.Version, r.Size = o.ETag, o.Size
	return r.Begin(ctx)
}

// Publish makes a staged file visible: by a copy within the server, or by completing its upload.
func (s *Store) Publish(ctx context.Context, sealed filecopy.Sealed, e filecopy.Entry) (string, error) {
	st, err := s.taken(sealed.Handle)
	if err != nil {
		return "", err
	}
	var version string
	if st.way == inPlace {
		version, err = s.complete(ctx, st, sealed, e)
	} else {
		_, etag, _ := strings.Cut(sealed.Identity, " ")
		version, err = s.copy(ctx, object{st.key, etag, e.Size, sealed.Sum}, s.key(e.Path), st.id)
	}
	if errors.Is(err, filecopy.ErrNotFound) {
		return s.published(ctx, st, e, err)
	}
	return version, err
}

// complete ends the upload of a final key. The server checks the whole once more.
func (s *Store) complete(ctx context.Context, st staged, sealed filecopy.Sealed, e filecopy.Entry) (string, error) {
	parts, _, err := s.parts(ctx, s.key(e.Path), st.upload)
	if err != nil {
		return "", err
	}
	s.uploads.Delete(st.handle)
	return s.finish(ctx, s.key(e.Path), st.upload, parts, sealed.Sum)
}

// finish completes an upload whose whole has the given sum, where one is known.
func (s *Store) finish(ctx context.Context, key, upload string, parts []minio.CompletePart, sum filecopy.Checksum) (string, error) {
	var o minio.PutObjectOptions
	if sum.Known && !s.readBack {
		o.UserMetadata = map[string]string{sumHeader: textOf(sum), "X-Amz-Checksum-Type": minio.ChecksumFullObjectMode.String()}
	}
	info, err := s.other.CompleteMultipartUpload(ctx, s.bucket, key, upload, parts, o)
	return info.ETag, s.tell(err)
}

// published looks whether the object that stands at the path is the one that was staged.
func (s *Store) published(ctx context.Context, st staged, e filecopy.Entry, missing error) (string, error) {
	o, err := s.head(ctx, s.key(e.Path), "")
	if err != nil {
		return "", err
	}
	if o.UserMetadata[mark] != st.id {
		return "", missing
	}
	return o.ETag, nil
}

// Discard removes the objects of a lot, and ends the uploads that are noted there or were to become objects there.
func (s *Store) Discard(ctx context.Context, lot string) error {
	if err := safe(lot); err != nil {
		return err
	}
	prefix := s.place(stagingDir, lot) + "/"
	if err := s.abort(ctx, prefix); err != nil {
		return err
	}
	return s.removeAll(ctx, prefix, func(o minio.ObjectInfo) error {
		if !strings.HasSuffix(o.Key, noteSuffix) {
			return nil
		}
		return s.abortNoted(ctx, o.Key)
	})
}
