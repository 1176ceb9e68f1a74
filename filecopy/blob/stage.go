package blob

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/internal/azure"
)

// The area has three places. Most of what is staged lies at its final names; the staging place has empty files, and those that have to be read before
// they are published.
const (
	quarantineDir = "quarantine"
	keptDir       = "kept"
	stagingDir    = "staging"
)

// mark and sumMark are the names of the metadata that say which staged file a blob was, and the CRC32C of its content.
const (
	mark    = azure.Mark
	sumMark = azure.SumMark
)

// staged is a handle taken apart: a name nobody else has, and the path of the file.
type staged struct {
	handle filecopy.Handle
	id     string
	path   filecopy.Path
	// beside is the name in the area of a file that is staged as a blob of its own, and apart says that it is, though it is not empty; else blocks of
	// the final name wait.
	beside string
	apart  bool
}

// stagedName is where the blocks of a file are sent.
func (s *Store) stagedName(st staged) string {
	if st.apart {
		return s.place(st.beside)
	}
	return s.name(st.path)
}

// Begin makes up a name. Nothing has to be made: the blocks that carry it find their place by themselves.
func (s *Store) Begin(_ context.Context, lot string, e filecopy.Entry) (filecopy.Handle, error) {
	if err := safe(lot); err != nil {
		return "", err
	}
	if e.Size > maxObject {
		return "", tooLarge(e)
	}
	return filecopy.Handle(lot + "~" + filecopy.NewID() + "~" + string(e.Path)), nil
}

// safe refuses names that would leave the area.
func safe(name string) error { return filecopy.CheckOwn(name) }

func taken(h filecopy.Handle) (staged, error) {
	fields := strings.SplitN(string(h), "~", 3)
	if len(fields) != 3 || fields[2] == "" {
		return staged{}, fmt.Errorf("%w: %q is no handle", filecopy.ErrName, string(h))
	}
	path, apart := strings.CutPrefix(fields[2], "/")
	beside := stagingDir + "/" + fields[0] + "/" + fields[1]
	return staged{handle: h, id: fields[1], path: filecopy.Path(path), beside: beside, apart: apart}, safe(fields[0] + "/" + fields[1])
}

// block is one staged part. Its name carries all that is needed to prove and to commit it: any process can read it back.
type block struct {
	number int
	size   int64
	sum    filecopy.Checksum
}

// Lengths of the fields of a block's name; all names of one blob must have one length.
const (
	numberDigits = 5
	sumDigits    = 8
)

func (b block) name(id string) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%0*d%s%s", numberDigits, b.number, b.sum, id))
}

// parse reads a block's name, and says false for those of other files.
func parse(name, id string) (block, bool) {
	raw, err := base64.StdEncoding.DecodeString(name)
	text, ours := strings.CutSuffix(string(raw), id)
	if err != nil || !ours || len(text) != numberDigits+sumDigits {
		return block{}, false
	}
	number, err := strconv.Atoi(text[:numberDigits])
	sum := sumOf(text[numberDigits:])
	return block{number: number, sum: sum}, err == nil && sum.Known
}

// Write sends one block, which the service holds against its MD5. It is held in memory, so that it can be sent again.
func (s *Store) Write(ctx context.Context, h filecopy.Handle, p filecopy.Part, r io.Reader) error {
	st, err := taken(h)
	if err != nil {
		return err
	}
	return s.room.Hold(ctx, p, r, func(content []byte) error { return s.send(ctx, st, p, content) })
}

// send stages what a part holds, and remembers that of a file of one part.
func (s *Store) send(ctx context.Context, st staged, p filecopy.Part, content []byte) error {
	b := block{number: p.Number, size: p.Size, sum: filecopy.SumOf(0).Extend(content)}
	if p.Number == 0 {
		s.staged.Store(st.handle, b)
	}
	if p.Size == 0 {
		return nil
	}
	to, err := s.blob(ctx, s.stagedName(st))
	if err != nil {
		return err
	}
	sum := md5.Sum(content)
	_, err = to.StageBlock(ctx, b.name(st.id), streaming.NopCloser(bytes.NewReader(content)), &blockblob.StageBlockOptions{
		TransactionalValidation: blob.TransferValidationTypeMD5(sum[:]),
	})
	return tell(err)
}

// Seal sums what the service took.
func (s *Store) Seal(ctx context.Context, h filecopy.Handle, e filecopy.Entry, _ filecopy.Checksum) (filecopy.Sealed, error) {
	st, err := taken(h)
	if err != nil {
		return filecopy.Sealed{}, err
	}
	if e.Size == 0 {
		return s.sealEmpty(ctx, st)
	}
	if st.apart {
		return s.sealApart(ctx, st, e.Size)
	}
	blocks, err := s.sealed(ctx, st, e.Size)
	if err != nil {
		return filecopy.Sealed{}, err
	}
	sum, err := wholeOf(blocks, e.Size)
	return filecopy.Sealed{Handle: h, Identity: st.id, Proof: filecopy.ProofServer, Sum: sum}, err
}

// sealEmpty makes an empty blob in the area. Of an empty file no block waits that could be missing after a halt, so it is published by a copy: a late
// request to do so finds no source.
func (s *Store) sealEmpty(ctx context.Context, st staged) (filecopy.Sealed, error) {
	sealed := filecopy.Sealed{Handle: st.handle, Identity: st.id, Proof: filecopy.ProofServer, Sum: filecopy.SumOf(0)}
	_, err := s.commitTo(ctx, s.place(st.beside), st, sealed, nil)
	return sealed, err
}

// wholeOf sums blocks, which must be all.
func wholeOf(blocks []block, want int64) (filecopy.Checksum, error) {
	size, sum := int64(0), filecopy.SumOf(0)
	for _, b := range blocks {
		size, sum = size+b.size, sum.Append(b.sum, b.size)
	}
	if size != want {
		return sum, fmt.Errorf("%w: %d bytes are staged of %d", filecopy.ErrCorrupt, size, want)
	}
	return sum, nil
}

// sealed gives the blocks of a file: those of a file of one block are remembered.
func (s *Store) sealed(ctx context.Context, st staged, size int64) ([]block, error) {
	if first, ok := s.staged.LoadAndDelete(st.handle); ok && size <= s.partSize(size) {
		return []block{first.(block)}, nil
	}
	return s.blocks(ctx, st)
}

// blocks lists what is staged under a handle, in order.
func (s *Store) blocks(ctx context.Context, st staged) ([]block, error) {
	b, err := s.blob(ctx, s.stagedName(st))
	if err != nil {
		return nil, err
	}
	answer, err := b.GetBlockList(ctx, blockblob.BlockListTypeUncommitted, nil)
	if err != nil {
		return nil, tell(err)
	}
	found := map[int]block{}
	for _, u := range answer.UncommittedBlocks {
		if u.Name == nil || u.Size == nil {
			continue
		}
		one, ok := parse(*u.Name, st.id)
		if !ok {
			continue
		}
		if _, twice := found[one.number]; twice {
			return nil, fmt.Errorf("%w: part %d was staged with two contents", filecopy.ErrCorrupt, one.number)
		}
		one.size = *u.Size
		found[one.number] = one
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: nothing is staged of %q", filecopy.ErrNotFound, string(st.path))
	}
	all := make([]block, 0, len(found))
	for n := range len(found) {
		one, ok := found[n]
		if !ok {
			return nil, fmt.Errorf("%w: part %d is not staged", filecopy.ErrCorrupt, n)
		}
		all = append(all, one)
	}
	return all, nil
}

// ReadSealed reads a file that is staged as a blob; uncommitted blocks cannot be read.
func (s *Store) ReadSealed(ctx context.Context, sealed filecopy.Sealed) (io.ReadCloser, error) {
	st, err := taken(sealed.Handle)
	if err != nil {
		return nil, err
	}
	if !st.apart {
		return nil, filecopy.ErrUnsupported
	}
	return s.readApart(ctx, st)
}

// nothing stands for the version of a blob that is not there.
const nothing = "-"

// Expect holds the publishing of a sealed file to the version that stands at its path now, or to there being none: when somebody has published or
// written there since, Publish is ErrChanged. It costs a request.
func (s *Store) Expect(ctx context.Context, sealed filecopy.Sealed, e filecopy.Entry) (filecopy.Sealed, error) {
	now, err := s.head(ctx, s.name(e.Path), "")
	if errors.Is(err, filecopy.ErrNotFound) {
		now.etag, err = nothing, nil
	}
	id, _, _ := strings.Cut(sealed.Identity, " ")
	sealed.Identity = id + " " + now.etag
	return sealed, err
}

// expected is the condition of a commit that Expect has set; nil for none.
func expected(sealed filecopy.Sealed) *blob.AccessConditions {
	_, etag, ok := strings.Cut(sealed.Identity, " ")
	if !ok || etag != nothing {
		return azure.Pinned(etag)
	}
	whatever := azcore.ETagAny
	return &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: &whatever}}
}

// Publish commits the blocks of a file, or copies an empty one: a reader sees the old blob or the new. The service forgets all other blocks of the
// name.
func (s *Store) Publish(ctx context.Context, sealed filecopy.Sealed, e filecopy.Entry) (string, error) {
	st, err := taken(sealed.Handle)
	if err != nil {
		return "", err
	}
	version, err := s.publish(ctx, st, sealed, e.Size)
	if !errors.Is(err, filecopy.ErrNotFound) && !errors.Is(err, filecopy.ErrChanged) {
		return version, err
	}
	now, herr := s.head(ctx, s.name(st.path), "")
	if herr != nil {
		return "", herr
	}
	if now.mark != st.id {
		return "", err
	}
	return now.etag, nil
}

// publish makes a blob of the final name.
func (s *Store) publish(ctx context.Context, st staged, sealed filecopy.Sealed, size int64) (string, error) {
	if size == 0 {
		return s.copy(ctx, held{name: s.place(st.beside)}, s.name(st.path), expected(sealed))
	}
	if st.apart {
		return s.publishApart(ctx, st, sealed, size)
	}
	blocks, err := s.publishable(ctx, st, sealed, size)
	if err != nil {
		return "", err
	}
	var names []string
	for _, b := range blocks {
		names = append(names, b.name(st.id))
	}
	return s.commitTo(ctx, s.name(st.path), st, sealed, names)
}

// publishable gives the blocks to commit; that of a file of one block has the sum of the whole.
func (s *Store) publishable(ctx context.Context, st staged, sealed filecopy.Sealed, size int64) ([]block, error) {
	if size <= s.partSize(size) {
		return []block{{number: 0, size: size, sum: sealed.Sum}}, nil
	}
	return s.blocks(ctx, st)
}

// commitTo makes a blob of the blocks that wait under its name.
func (s *Store) commitTo(ctx context.Context, name string, st staged, sealed filecopy.Sealed, names []string) (string, error) {
	b, err := s.blob(ctx, name)
	if err != nil {
		return "", err
	}
	id, sum := st.id, sealed.Sum.String()
	answer, err := b.CommitBlockList(ctx, names, &blockblob.CommitBlockListOptions{
		Metadata: map[string]*string{mark: &id, sumMark: &sum}, AccessConditions: expected(sealed),
	})
	if err != nil {
		return "", tell(err)
	}
	if answer.ETag == nil {
		return "", fmt.Errorf("the service gave no ETag of %q", string(st.path))
	}
	return plain(*answer.ETag), nil
}

// Discard removes staged blobs. Of blocks that wait under final names there is nothing to remove: the service forgets them when others of the name
// are committed, and all others after a week. It has no call that removes them and leaves the blob as it is.
func (s *Store) Discard(ctx context.Context, lot string) error {
	if err := safe(lot); err != nil {
		return err
	}
	return s.all(ctx, s.place(stagingDir, lot)+"/", s.remove)
}
