package s3

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/minio/minio-go/v7"

	"github.com/understudy-dr/understudy/filecopy"
)

// Config says which tree a store is.
type Config struct {
	Endpoint Endpoint
	Bucket   string
	// Root is the prefix of the tree's keys, without a slash at either end; empty for the whole bucket.
	Root string
	// Area is the prefix of the mover's own objects in the same bucket; empty for ".NAME.understudy" beside the root. It must not be
	// the root nor lie below it, unless the root is the whole bucket: then its keys belong to no tree.
	Area string
	// ReadBack is for servers that do not compute the CRC32C of what they hold: what is staged is read back, and published by a copy.
	ReadBack bool
	// Marks takes empty objects whose keys end with a slash for the marks of directories that other programs make, and leaves them
	// out. Without it they are refused, as every key that is no path.
	Marks bool
	// PartSize is the size of the parts of large files, at least 5 MiB; zero means 16 MiB. It grows for files that would have more
	// than 10,000.
	PartSize int64
	// Memory bounds the bytes of parts in flight; zero means 256 MiB. One part may always be.
	Memory int64
}

// Limits of the protocol.
const (
	maxKey   = 1024
	maxParts = 10_000
	minPart  = 5 << 20
	// maxCopy is the largest object that one request copies.
	maxCopy = 5 << 30
	// maxObject is the largest object.
	maxObject = 5 << 40
)

const (
	defaultPart = 16 << 20
	// areaRoom is what the names of quarantines and lots may add to a key in the area.
	areaRoom = 160
)

// Store is a tree in a bucket. It implements filecopy.Target.
type Store struct {
	staging  *minio.Core
	other    *minio.Core
	endpoint string
	bucket   string
	at       filecopy.Layout
	readBack bool
	marks    bool
	part     int64
	copyPart int64
	// single is the size up to which a file of the given size is staged as one object.
	single func(size int64) int64
	room   *filecopy.Room
	// removals is what is known of the server's.
	removals *removals
	// staged remembers what the server said about files in one part that were just written, which spares a request for each; uploads
	// the keys of multipart uploads.
	staged  sync.Map
	uploads sync.Map
}

var _ filecopy.Target = &Store{}

// New gives the store of a prefix. It asks nothing.
func New(c Config) (*Store, error) {
	s, err := c.store()
	if err != nil {
		return nil, err
	}
	if s.staging, s.other, err = c.Endpoint.dial(); err != nil {
		return nil, err
	}
	at, err := url.Parse(c.Endpoint.URL)
	s.endpoint = at.Host
	return s, err
}

// store checks the configuration, and gives the store without its connections.
func (c Config) store() (*Store, error) {
	if c.Bucket == "" {
		return nil, errors.New("a tree in S3 needs a bucket")
	}
	at, err := filecopy.LayOut(c.Root, c.Area, utf8.ValidString)
	if err != nil {
		return nil, err
	}
	s := &Store{
		bucket: c.Bucket, at: at, readBack: c.ReadBack, marks: c.Marks, part: c.PartSize, room: filecopy.NewRoom(c.Memory), copyPart: maxCopy,
		removals: &removals{},
	}
	if s.part == 0 {
		s.part = defaultPart
	}
	if s.part < minPart || s.part > maxCopy {
		return nil, fmt.Errorf("a part in S3 has between %d and %d bytes, not %d", minPart, int64(maxCopy), s.part)
	}
	s.single = s.partSize
	return s, nil
}

// Describe says what S3 can do.
func (s *Store) Describe() filecopy.Description {
	proof := filecopy.ProofServer
	if s.readBack {
		proof = filecopy.ProofNone
	}
	return filecopy.Description{Kind: "s3", Name: s.identity(), Capabilities: filecopy.Capabilities{
		ServerSum: !s.readBack,
		Proof:     proof,
		PartSize:  s.partSize,
	}}
}

func (s *Store) identity() string { return path.Join(s.endpoint, s.bucket, s.at.Root) }

// partSize grows in whole MiB where parts of the usual size would be too many.
func (s *Store) partSize(size int64) int64 {
	const step = 1 << 20
	need := (size + maxParts - 1) / maxParts
	return max(s.part, (need+step-1)/step*step)
}

// CheckName refuses what cannot be a key, here or in the quarantine, and the mover's own area.
func (s *Store) CheckName(p filecopy.Path) error {
	if err := p.Check(); err != nil {
		return errors.Join(filecopy.ErrName, err)
	}
	if !utf8.ValidString(string(p)) {
		return fmt.Errorf("%w: %q is not UTF-8", filecopy.ErrName, string(p))
	}
	if r := filecopy.Unlisted(string(p)); r >= 0 {
		return fmt.Errorf("%w: %q holds %U, which an answer in XML does not", filecopy.ErrName, string(p), r)
	}
	if len(s.key(p)) > maxKey || len(s.at.Area)+areaRoom+len(p) > maxKey {
		return fmt.Errorf("%w: %q is too long: a key has %d bytes, also in the quarantine", filecopy.ErrName, string(p), maxKey)
	}
	if s.ours(s.key(p)) {
		return fmt.Errorf("%w: %q lies in the mover's area", filecopy.ErrName, string(p))
	}
	return nil
}

// key gives the key of a path.
func (s *Store) key(p filecopy.Path) string { return s.at.Name(p) }

// below gives the prefix of all keys below a path.
func (s *Store) below(p filecopy.Path) string { return s.at.Below(p) }

// ours says whether a key lies in the mover's area.
func (s *Store) ours(key string) bool { return s.at.Ours(key) }

// place gives a key in the area.
func (s *Store) place(elements ...string) string { return s.at.Place(elements...) }

// Probe looks at the bucket: a prefix is there as soon as its bucket is. The server tells no clock but with an object, so ours has to do.
func (s *Store) Probe(ctx context.Context) (filecopy.Root, error) {
	ok, err := s.other.BucketExists(ctx, s.bucket)
	if err != nil {
		return filecopy.Root{}, s.tell(err)
	}
	if !ok {
		return filecopy.Root{}, fmt.Errorf("%w: there is no bucket %s at %s", filecopy.ErrNotFound, s.bucket, s.endpoint)
	}
	return filecopy.Root{Identity: s.identity(), Now: time.Now(), Free: -1}, nil
}

// Open gives the live tree.
func (s *Store) Open(_ context.Context, at filecopy.Pin) (filecopy.View, error) {
	if at != (filecopy.Pin{}) {
		return nil, fmt.Errorf("%w: a tree in S3 has none", filecopy.ErrPinLost)
	}
	return &view{s}, nil
}
