package adls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"path"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/file"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/internal/azure"
)

// The area has three places.
const (
	stagingDir    = "staging"
	quarantineDir = "quarantine"
	keptDir       = "kept"
)

// staged is a handle taken apart: a name nobody else has, where the file lies, and how many bytes it will have.
type staged struct {
	handle filecopy.Handle
	id     string
	name   string
	size   int64
}

// sent is what the service took of a file from this process, and what that sums to.
type sent struct {
	size int64
	sum  filecopy.Checksum
}

// Begin makes up a name; the file is made with its first part.
func (s *Store) Begin(_ context.Context, lot string, e filecopy.Entry) (filecopy.Handle, error) {
	if err := filecopy.CheckOwn(lot); err != nil {
		return "", err
	}
	if e.Size > maxFile {
		return "", tooLarge(e)
	}
	return handle(lot, filecopy.NewID(), e.Size), nil
}

func handle(lot, id string, size int64) filecopy.Handle {
	return filecopy.Handle(fmt.Sprintf("%s/%.2s/%s~%d", lot, id, id, size))
}

func (s *Store) taken(h filecopy.Handle) (staged, error) {
	st := staged{handle: h}
	name, rest, ok := strings.Cut(string(h), "~")
	if _, err := fmt.Sscan(rest, &st.size); !ok || err != nil {
		return st, fmt.Errorf("%w: %q is no handle", filecopy.ErrName, string(h))
	}
	st.id, st.name = path.Base(name), s.at.Place(stagingDir, name)
	return st, filecopy.CheckOwn(name)
}

// Write appends one part, which the service holds against its CRC64, and shows it in the staged file. It is held in memory, so that it can
// be sent again.
func (s *Store) Write(ctx context.Context, h filecopy.Handle, p filecopy.Part, r io.Reader) error {
	st, err := s.taken(h)
	if err != nil {
		return err
	}
	return s.room.Hold(ctx, p, r, func(content []byte) error { return s.send(ctx, st, p, content) })
}

// send appends what a part holds, and remembers what was sent so far.
func (s *Store) send(ctx context.Context, st staged, p filecopy.Part, content []byte) error {
	var err error
	before := sent{sum: filecopy.SumOf(0)}
	if p.Offset == 0 {
		err = s.create(ctx, st, content)
	} else {
		before, err = s.before(ctx, st, p.Offset)
	}
	if err == nil && p.Size > 0 {
		_, err = s.append(ctx, st.name, p.Offset, content)
	}
	if err != nil {
		s.staged.Delete(st.handle)
		return err
	}
	now := sent{size: p.Offset + p.Size}
	if before.sum.Known {
		now.sum = before.sum.Append(filecopy.SumOf(0).Extend(content), p.Size)
	}
	s.staged.Store(st.handle, now)
	return nil
}

// create makes the staged file, in place of one of an earlier try. A file of one part says at once what it sums to.
func (s *Store) create(ctx context.Context, st staged, content []byte) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	f, err := s.file(ctx, st.name)
	if err != nil {
		return err
	}
	said := map[string]string{azure.Mark: st.id}
	if int64(len(content)) == st.size {
		said[azure.SumMark] = sumText(filecopy.SumOf(0).Extend(content), st.size)
	}
	permissions, umask := "0600", "0000"
	_, err = f.Create(words{properties: said}.in(ctx), &file.CreateOptions{Permissions: &permissions, Umask: &umask})
	return tell(err)
}

// before gives what was sent up to an offset; what another process sent has no known sum.
func (s *Store) before(ctx context.Context, st staged, offset int64) (sent, error) {
	if was, ok := s.staged.Load(st.handle); ok && was.(sent).size == offset {
		return was.(sent), nil
	}
	now, err := s.head(ctx, st.name, "")
	if err == nil && now.size < offset {
		err = fmt.Errorf("%w: what comes before byte %d is not staged", filecopy.ErrNotFound, offset)
	}
	return sent{size: offset}, err
}

// polynomial of the service's CRC64, reversed as hash/crc64 wants it.
const polynomial = 0x9A6C9329AC4BC9B5

// append sends bytes to where a file must end, and gives its ETag where the service tells it. When it ends behind them already, they were sent
// before, and must be the same.
func (s *Store) append(ctx context.Context, name string, offset int64, content []byte) (string, error) {
	f, err := s.file(ctx, name)
	if err != nil {
		return "", err
	}
	flush := true
	answer, err := f.AppendData(ctx, offset, streaming.NopCloser(bytes.NewReader(content)), &file.AppendDataOptions{
		Flush: &flush, TransactionalValidation: file.TransferValidationTypeCRC64(crc64.Checksum(content, crc64.MakeTable(polynomial))),
	})
	if err == nil && answer.ETag != nil {
		return azure.Plain(*answer.ETag), nil
	}
	if !azure.Refused(err) {
		return "", tell(err)
	}
	etag, same, rerr := s.holds(ctx, name, offset, content)
	if rerr != nil || same {
		return etag, rerr
	}
	return "", fmt.Errorf("%w: other bytes are staged at %d: %w", filecopy.ErrNotFound, offset, tell(err))
}

// holds compares the end of a file with what was to be appended.
func (s *Store) holds(ctx context.Context, name string, offset int64, content []byte) (etag string, same bool, err error) {
	now, err := s.head(ctx, name, "")
	if err != nil || now.size != offset+int64(len(content)) {
		return "", false, err
	}
	r := s.rest(name, now.etag, offset, now.size).Later(ctx)
	there := make([]byte, len(content))
	_, err = io.ReadFull(r, there)
	return now.etag, bytes.Equal(there, content), errors.Join(err, r.Close())
}

// Seal sums what the service took. What another process sent before a crash has to be read back.
func (s *Store) Seal(ctx context.Context, h filecopy.Handle, e filecopy.Entry, sum filecopy.Checksum) (filecopy.Sealed, error) {
	sealed := filecopy.Sealed{Handle: h}
	st, err := s.taken(h)
	if err != nil {
		return sealed, err
	}
	sealed.Identity = st.id
	var is sent
	var said bool
	if was, ok := s.staged.LoadAndDelete(h); ok {
		is, said = was.(sent), was.(sent).size == st.size && st.size <= s.partSize(st.size)
	} else {
		now, err := s.head(ctx, st.name, "")
		if err != nil {
			return sealed, err
		}
		if now.mark != st.id {
			return sealed, fmt.Errorf("%w: %q is another file", filecopy.ErrNotFound, st.name)
		}
		is, said = sent{size: now.size, sum: now.sum}, now.sum.Known
	}
	if is.size != e.Size {
		return sealed, fmt.Errorf("%w: %d bytes are staged of %d", filecopy.ErrCorrupt, is.size, e.Size)
	}
	if is.sum.Known {
		sealed.Proof, sealed.Sum = filecopy.ProofServer, is.sum
		sum = is.sum
	}
	if said {
		return sealed, nil
	}
	f, err := s.file(ctx, st.name)
	if err != nil {
		return sealed, err
	}
	id, text := st.id, sumText(sum, e.Size)
	_, err = f.SetMetadata(ctx, map[string]*string{azure.Mark: &id, azure.SumMark: &text}, nil)
	return sealed, tell(err)
}

// Rescue renames a sealed file into another lot; it keeps its mark, and what it says of its content. Late calls name the old path, and each of them is
// one request. When an answer was lost, the second try finds its own work there.
func (s *Store) Rescue(ctx context.Context, lot string, sealed filecopy.Sealed, _ filecopy.Entry) (filecopy.Handle, error) {
	if err := filecopy.CheckOwn(lot); err != nil {
		return "", err
	}
	was, err := s.taken(sealed.Handle)
	if err != nil {
		return "", err
	}
	h := handle(lot, was.id, was.size)
	st, err := s.taken(h)
	if err != nil {
		return "", err
	}
	if _, err = s.rename(ctx, was.name, st.name, true); !errors.Is(err, filecopy.ErrNotFound) {
		return h, err
	}
	// The place for it may not be there yet.
	if err = s.mkdir(ctx, path.Dir(st.name), privateMode); err != nil && !errors.Is(err, filecopy.ErrChanged) {
		return "", err
	}
	if _, err = s.rename(ctx, was.name, st.name, true); errors.Is(err, filecopy.ErrNotFound) || errors.Is(err, filecopy.ErrChanged) {
		if now, herr := s.head(ctx, st.name, ""); herr == nil && now.mark == st.id {
			return h, nil
		}
	}
	return h, err
}

// ReadSealed reads a staged file, as it is now: what its metadata says about it is not yet proven.
func (s *Store) ReadSealed(ctx context.Context, sealed filecopy.Sealed) (io.ReadCloser, error) {
	st, err := s.taken(sealed.Handle)
	if err != nil {
		return nil, err
	}
	now, err := s.head(ctx, st.name, "")
	if err != nil {
		return nil, err
	}
	return s.rest(st.name, now.etag, 0, now.size).Later(ctx), nil
}

// Publish gives the staged file its attributes and renames it over what stands at the path.
func (s *Store) Publish(ctx context.Context, sealed filecopy.Sealed, e filecopy.Entry) (string, error) {
	st, err := s.taken(sealed.Handle)
	if err != nil {
		return "", err
	}
	a := e.Attributes
	a.Mode &= bitsMask
	version := ""
	err = s.dress(ctx, st.name, a, false)
	if err == nil {
		version, err = s.rename(ctx, st.name, s.at.Name(e.Path), false)
	}
	if err != nil && !errors.Is(err, filecopy.ErrNotFound) {
		return "", err
	}
	now, herr := s.head(ctx, s.at.Name(e.Path), "")
	switch {
	case herr == nil && now.mark == st.id:
		return now.etag, nil
	case err == nil && version != "":
		// Somebody else has written there since.
		return version, nil
	case err == nil:
		return "", herr
	}
	return "", err
}

// Discard removes a lot.
func (s *Store) Discard(ctx context.Context, lot string) error {
	if err := filecopy.CheckOwn(lot); err != nil {
		return err
	}
	return s.removeAll(ctx, s.at.Place(stagingDir, lot))
}
