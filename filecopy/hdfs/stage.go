package hdfs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/wire/hdfs"
)

// The area has four places.
const (
	stagingDir    = "staging"
	quarantineDir = "quarantine"
	keptDir       = "kept"
	// carriedDir is where others bring files, below the name of their lot.
	carriedDir = "carried"
)

// place gives a path in the area.
func (s *Store) place(elements ...string) string {
	return path.Join(append([]string{s.area}, elements...)...)
}

// copyBuffer is the size of one write, and leastBuffer that of a buffer for the smallest files.
const (
	copyBuffer  = 256 << 10
	leastBuffer = 512
)

// inZone is why nothing is read or written: what lies there is encrypted by keys that the mover does not have.
const inZone = "lies in an encryption zone"

// unfit refuses what cannot be copied, by its full path.
func unfit(at, why string) *understudy.Error {
	return &understudy.Error{
		Code: "US618", Kind: understudy.KindInvalid, Op: "filecopy.hdfs",
		Summary: fmt.Sprintf("%q %s", at, why), Fix: "leave it out of the tree, or let the tree lie elsewhere",
	}
}

// staged is a handle taken apart: what has to be known when the file is made, and the path of its first part. All parts lie in one
// directory, as concat wants it. The handle of a sealed file says, too, whose it was made.
type staged struct {
	name         string
	path         string
	blockSize    int64
	replication  int
	mode         uint16
	owner, group string
	// placed says that it is written right where an assembly will have it.
	placed bool
}

// Begin makes up a name; the file is made when its first part is written.
func (s *Store) Begin(_ context.Context, lot string, e filecopy.Entry) (filecopy.Handle, error) {
	if h := s.inPlace(lot, e); h != "" {
		return h, nil
	}
	return handle(lot, e, uint16(e.Mode&0o777))
}

func handle(lot string, e filecopy.Entry, mode uint16) (filecopy.Handle, error) {
	if err := safe(lot); err != nil {
		return "", err
	}
	id := make([]byte, 12)
	if _, err := rand.Read(id); err != nil {
		return "", err
	}
	name := hex.EncodeToString(id)
	return filecopy.Handle(fmt.Sprintf("%s/%s/%s~%d~%d~%o", lot, name[:2], name[2:], e.BlockSize, e.Replication, mode)), nil
}

// safe refuses names that would leave the area.
func safe(name string) error {
	if name == "" || filecopy.Path(name).Check() != nil || strings.Contains(name, "~") {
		return fmt.Errorf("%w: %q cannot be used in the mover's area", filecopy.ErrName, name)
	}
	return nil
}

func (s *Store) staged(h filecopy.Handle) (staged, error) {
	var st staged
	name, rest, ok := strings.Cut(string(h), "~")
	if _, err := fmt.Sscanf(rest, "%d~%d~%o", &st.blockSize, &st.replication, &st.mode); !ok || err != nil {
		return st, fmt.Errorf("%w: %q is no handle", filecopy.ErrName, string(h))
	}
	if fields := strings.Split(rest, "~"); len(fields) == 5 {
		st.owner, st.group = fields[3], fields[4]
	}
	st.placed, st.mode = st.mode&placed != 0, st.mode&^placed
	st.path = s.place(stagingDir, name)
	st.name = name
	return st, safe(name)
}

// part gives the path of a part.
func (st staged) part(number int) string {
	if number == 0 {
		return st.path
	}
	return fmt.Sprintf("%s.%d", st.path, number)
}

// Write writes one part as a file.
func (s *Store) Write(ctx context.Context, h filecopy.Handle, p filecopy.Part, r io.Reader) error {
	st, err := s.staged(h)
	if err != nil {
		return err
	}
	w, err := s.client.Create(ctx, st.part(p.Number), hdfs.CreateOptions{
		Overwrite: !st.placed, Parents: true, Mode: st.mode | 0o600, Replication: st.replication, BlockSize: st.blockSize,
	})
	if err != nil {
		return st.taken(err)
	}
	s.fresh.Delete(h)
	err = fill(w, r, p.Size)
	known := fresh{id: w.ID()}
	if err == nil && p.Number == 0 && p.Size < s.part {
		// Now and not later: while the DataNodes answer, they have the time to tell the NameNode of the block.
		if sum, serr := w.Sum(); serr == nil {
			known.sum = &sum
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil && st.placed {
		// The name is the file's for good: a removal that comes late would meet what was put there instead.
		w.Abandon()
		return tell(err)
	}
	if err != nil {
		return errors.Join(tell(err), w.Abort())
	}
	if p.Number == 0 {
		known.blocks = w.Blocks()
		known.owner, known.group = w.Owner()
		s.fresh.Store(h, known)
	}
	return nil
}

// fresh is what is known of the first part of a file that was just written.
type fresh struct {
	id           uint64
	blocks       *hdfs.Blocks
	owner, group string
	// sum is what the DataNodes said of it when it was written; nil when they were not asked, or gave none.
	sum *hdfs.FileSum
}

// owned is the handle of a file that says whose it was made: publishing, perhaps in another process, then need not give it to them. A
// handle that says so already, and names that it cannot hold, leave it as it is.
func (f fresh) owned(h filecopy.Handle) filecopy.Handle {
	if f.owner == "" || f.group == "" || strings.Count(string(h), "~") != 3 {
		return h
	}
	if owned := filecopy.Handle(fmt.Sprintf("%s~%s~%s", h, f.owner, f.group)); strings.Count(string(owned), "~") == 5 && len(owned) <= mostHandle {
		return owned
	}
	return h
}

// mostHandle is the longest handle that the contract allows.
const mostHandle = 1 << 10

// fill writes all, and waits until the DataNodes have it.
func fill(w *hdfs.FileWriter, r io.Reader, size int64) error {
	if from, ok := r.(filecopy.Piecewise); ok {
		return relay(w, from)
	}
	buffer := make([]byte, min(copyBuffer, max(size, leastBuffer)))
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, buffer); err != nil {
		return err
	}
	return w.Finish()
}

// relay writes all pieces of a reader, and waits until the DataNodes have them. A packet of another cluster goes on in its own buffer and with its
// own checksums: so the DataNodes there and here hold each chunk against the same sum, and nothing is copied in between.
func relay(w *hdfs.FileWriter, from filecopy.Piecewise) error {
	for {
		piece, err := from.Piece(copyBuffer)
		if errors.Is(err, io.EOF) {
			return w.Finish()
		}
		if err != nil {
			return err
		}
		if p, ok := piece.(*hdfs.Packet); ok {
			err = w.WritePacket(p)
		} else {
			_, err = w.Write(piece.Data())
			piece.Release()
		}
		if err != nil {
			return err
		}
	}
}

// Seal makes one file of the parts, and asks the DataNodes for its checksum.
func (s *Store) Seal(ctx context.Context, h filecopy.Handle, e filecopy.Entry, _ filecopy.Checksum) (filecopy.Sealed, error) {
	st, err := s.staged(h)
	if err != nil {
		return filecopy.Sealed{}, err
	}
	if e.Size > s.part {
		if err := s.join(ctx, st, e.Size); err != nil {
			return filecopy.Sealed{}, err
		}
	}
	file, err := s.written(ctx, h, st)
	if err != nil {
		return filecopy.Sealed{}, err
	}
	sealed := filecopy.Sealed{Handle: file.owned(h), Identity: fmt.Sprint(file.id)}
	sum, err := s.sum(ctx, st, e.Size, file)
	switch {
	case errors.Is(err, hdfs.ErrUnsupported):
		return sealed, nil
	case err != nil:
		return filecopy.Sealed{}, tell(err)
	case sum.Length != e.Size:
		return filecopy.Sealed{}, fmt.Errorf("%w: %d bytes are staged of %d", filecopy.ErrCorrupt, sum.Length, e.Size)
	}
	sealed.Proof, sealed.Sum = filecopy.ProofServer, filecopy.SumOf(sum.CRC32C)
	return sealed, nil
}

// join appends the other parts to the first one, in one transaction; when that happened already, the first has the whole length.
func (s *Store) join(ctx context.Context, st staged, size int64) error {
	info, err := s.client.Stat(ctx, st.path)
	if err != nil {
		return tell(err)
	}
	if info.Length == size {
		return nil
	}
	var parts []string
	for n := 1; int64(n)*s.part < size; n++ {
		parts = append(parts, st.part(n))
	}
	return tell(s.client.Concat(ctx, st.path, parts))
}

// written gives what is known of a staged file; of one that was not just written here, the number of its inode.
func (s *Store) written(ctx context.Context, h filecopy.Handle, st staged) (fresh, error) {
	if known, ok := s.fresh.LoadAndDelete(h); ok {
		return known.(fresh), nil
	}
	info, err := s.client.Stat(ctx, st.path)
	if err != nil {
		return fresh{}, tell(err)
	}
	if st.mode&brought != 0 && info.Replication != st.replication {
		// Others may have made it with another one.
		err = tell(s.client.SetReplication(ctx, st.path, st.replication))
	}
	return fresh{id: info.ID}, err
}

// sum gives the checksum that the DataNodes told the writer, or asks them, those that the writer knows first.
func (s *Store) sum(ctx context.Context, st staged, size int64, known fresh) (hdfs.FileSum, error) {
	if known.sum != nil && size < s.part {
		return *known.sum, nil
	}
	if known.blocks != nil && size <= s.part {
		if sum, err := s.client.ChecksumOf(ctx, st.path, known.blocks); err == nil {
			return sum, nil
		}
	}
	return s.client.Checksum(ctx, st.path)
}

// Rescue renames a sealed file into another lot, or into its tree, where that takes files in place. The NameNode closed it when it was sealed, so
// nobody has a block of it open; late calls name the old path, where they find nothing, or make something that nobody asks for.
func (s *Store) Rescue(ctx context.Context, lot string, sealed filecopy.Sealed, e filecopy.Entry) (filecopy.Handle, error) {
	was, err := s.staged(sealed.Handle)
	if err != nil {
		return "", err
	}
	h, err := s.heir(lot, sealed.Handle, was, e)
	if err != nil {
		return "", err
	}
	st, err := s.staged(h)
	if err == nil && !st.placed {
		err = s.shelve(ctx, path.Dir(st.path))
	}
	if err != nil {
		return "", err
	}
	err = s.client.Rename(ctx, was.path, st.path)
	if st.placed && hdfs.IsNotFound(err) {
		// Most often the directory in the tree is there: those of a large tree are too many to remember.
		if err = s.client.Mkdirs(ctx, path.Dir(st.path), privateMode); err == nil {
			err = s.client.Rename(ctx, was.path, st.path)
		}
	}
	if errors.Is(err, hdfs.ErrExists) {
		return "", &told{filecopy.ErrNotFound, err}
	}
	return h, tell(err)
}

// heir gives the new handle of a sealed file. What it was made with stays.
func (s *Store) heir(lot string, old filecopy.Handle, was staged, e filecopy.Entry) (filecopy.Handle, error) {
	h, mode := s.inPlace(lot, e), was.mode|placed
	if h == "" {
		var err error
		if h, err = handle(lot, e, 0); err != nil {
			return "", err
		}
		mode = was.mode
	}
	name, _, _ := strings.Cut(string(h), "~")
	h = filecopy.Handle(fmt.Sprintf("%s~%d~%d~%o", name, was.blockSize, was.replication, mode))
	return fresh{owner: was.owner, group: was.group}.owned(h), nil
}

// ReadSealed reads a staged file: one replica of each block, and another where that one cannot be read.
func (s *Store) ReadSealed(ctx context.Context, sealed filecopy.Sealed) (io.ReadCloser, error) {
	st, err := s.staged(sealed.Handle)
	if err != nil {
		return nil, err
	}
	from, err := s.client.Open(ctx, st.path)
	if err != nil {
		return nil, tell(err)
	}
	return &sealedReader{ctx: ctx, client: s.client, from: from}, nil
}

// sealedReader reads a staged file, and tells the NameNode of replicas that it found rotten.
type sealedReader struct {
	ctx    context.Context
	client *hdfs.Client
	from   *hdfs.FileReader
	flaws  int
}

var _ filecopy.Flawed = &sealedReader{}

// Read gives ErrCorrupt when no replica of a block is whole.
func (r *sealedReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	return n, tell(err)
}

// Close ends the reading and reports.
func (r *sealedReader) Close() error {
	bad, err := closeAndReport(r.ctx, r.client, r.from)
	r.flaws = bad
	return err
}

// Flaws counts the replicas that were reported.
func (r *sealedReader) Flaws() int { return r.flaws }

// closeAndReport ends a reading, tells the NameNode of replicas that were found rotten on the way, so that it makes new ones, and counts them.
func closeAndReport(ctx context.Context, client *hdfs.Client, from *hdfs.FileReader) (int, error) {
	bad := slices.DeleteFunc(from.BadReplicas(), func(b hdfs.BadReplica) bool { return !b.Corrupt })
	err := from.Close()
	if len(bad) > 0 && ctx.Err() == nil {
		err = errors.Join(err, client.ReportBad(ctx, bad))
	}
	return len(bad), err
}

// Publish gives the staged file its attributes and renames it over what stands at the path, unless it is there already.
func (s *Store) Publish(ctx context.Context, sealed filecopy.Sealed, e filecopy.Entry) (string, error) {
	st, err := s.staged(sealed.Handle)
	if err != nil {
		return "", err
	}
	// What the file was made with need not be set again, and what is empty on a new file need not be cleared.
	f := s.fields &^ (filecopy.FieldReplication | filecopy.FieldBlockSize)
	skip := func(field filecopy.Fields, same bool) {
		if same {
			f &^= field
		}
	}
	skip(filecopy.FieldOwner|filecopy.FieldGroup, st.owner != "" && st.owner == e.Owner && st.group == e.Group)
	skip(filecopy.FieldMode, e.Mode == uint32(st.mode|0o600))
	skip(filecopy.FieldACL, len(e.ACL) == 0)
	skip(filecopy.FieldXattrs, len(e.Xattrs) == 0)
	skip(filecopy.FieldStoragePolicy, e.StoragePolicy == "")
	to := s.at(e.Path)
	if st.placed && st.path != to {
		err = s.still(ctx, st, sealed)
	}
	if err == nil {
		err = s.setAttributes(ctx, st.path, filecopy.File, e.Attributes, f)
	}
	if err == nil && st.path != to {
		err = tell(s.client.Replace(ctx, st.path, to))
	}
	if errors.Is(err, filecopy.ErrNotFound) {
		if !st.placed {
			f = 0
		}
		return s.published(ctx, sealed, e, f, err)
	}
	if err != nil {
		return "", err
	}
	var id uint64
	if _, err := fmt.Sscan(sealed.Identity, &id); err != nil {
		return "", err
	}
	if e.Modified == 0 {
		return s.published(ctx, sealed, e, 0, nil)
	}
	return version(id, e.Modified, e.Size), nil
}

// still is ErrNotFound unless a file is still where it was written in an assembly: once that was shown, its place is free, and a create by a mover
// that was thought dead may come.
func (s *Store) still(ctx context.Context, st staged, sealed filecopy.Sealed) error {
	info, err := s.client.Stat(ctx, st.path)
	if err == nil && fmt.Sprint(info.ID) != sealed.Identity {
		err = &told{filecopy.ErrNotFound, fmt.Errorf("%s holds another file than the one that was sealed", st.path)}
	}
	return tell(err)
}

// published looks whether the file that stands at the path is the one that was staged. A directory that was shown before its time took files along
// whose attributes were not set yet: the fields are theirs.
func (s *Store) published(ctx context.Context, sealed filecopy.Sealed, e filecopy.Entry, f filecopy.Fields, missing error) (string, error) {
	at := s.at(e.Path)
	info, err := s.client.Stat(ctx, at)
	if err == nil && fmt.Sprint(info.ID) != sealed.Identity {
		return "", missing
	}
	if err == nil && f != 0 {
		if err = s.style(ctx, at, filecopy.File, e.Attributes, f&^s.settled(info, e.Attributes), s.open); err == nil {
			info, err = s.client.Stat(ctx, at)
		}
	}
	if err != nil {
		return "", tell(err)
	}
	return version(info.ID, info.ModTime.UnixMilli(), info.Length), nil
}

// Discard removes a lot.
func (s *Store) Discard(ctx context.Context, lot string) error {
	if err := safe(lot); err != nil {
		return err
	}
	if err := absentIsFine(s.client.Delete(ctx, s.place(carriedDir, lot), true)); err != nil {
		return err
	}
	return absentIsFine(s.client.Delete(ctx, s.place(stagingDir, lot), true))
}

// absentIsFine takes what is not there as removed.
func absentIsFine(err error) error {
	if hdfs.IsNotFound(err) {
		return nil
	}
	return tell(err)
}
