package blob

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/internal/azure"
)

// Config says which tree a store is.
type Config struct {
	// URL is the account's: https://ACCOUNT.blob.core.windows.net.
	URL string
	// Keys looks the account's key up where it is kept. It is asked again every few minutes, and when the service
	// refused a request, so that keys can be changed while a job runs.
	Keys func(ctx context.Context) (Keys, error)
	// Container holds the tree, and Root is the prefix of its names, without a slash at either end; empty for the whole container.
	Container string
	Root      string
	// Area is the prefix of the mover's own blobs in the same container; empty for ".NAME.understudy" beside the root. It must not be
	// the root nor lie below it, unless the root is the whole container: then its names belong to no tree.
	Area string
	// PartSize is the size of the blocks of large files, at most 100 MiB; zero means 16 MiB. It grows for files that would have more
	// than 50,000.
	PartSize int64
	// Memory bounds the bytes of blocks in flight; zero means 256 MiB. One block may always be.
	Memory int64
}

// Keys are an account's.
type Keys = azure.Keys

// Limits of the service, and of our handles, which hold a path.
const (
	maxName   = 1024
	maxPath   = 800
	maxBlocks = 50_000
	maxBlock  = 4000 << 20
	maxObject = maxBlocks * maxBlock
)

// areaRoom is what the names of quarantines may add to a name in the area.
const areaRoom = 160

// Store is a tree in a container. It implements filecopy.Target.
type Store struct {
	config Config
	host   string
	at     filecopy.Layout
	part   int64
	room   *filecopy.Room
	// staged remembers files of one block that were just written, which spares a request for each.
	staged  sync.Map
	clients azure.Clients[*container.Client]
}

var _ filecopy.Target = &Store{}

// New gives the store of a prefix. It asks nothing.
func New(c Config) (*Store, error) {
	account, err := azure.Account(c.URL, "blob")
	if err != nil {
		return nil, err
	}
	if c.Container == "" || c.Keys == nil {
		return nil, errors.New("a tree in Blob Storage needs a container and the key of the account")
	}
	s := &Store{config: c, host: account.Host + account.Path, room: filecopy.NewRoom(c.Memory)}
	if s.at, err = filecopy.LayOut(c.Root, c.Area, utf8.ValidString); err != nil {
		return nil, err
	}
	s.part, err = azure.Part(c.PartSize)
	return s, err
}

// Describe says what Blob Storage can do. What it took it has checked; it computes no CRC32C.
func (s *Store) Describe() filecopy.Description {
	return filecopy.Description{Kind: "blob", Name: s.identity(), Capabilities: filecopy.Capabilities{
		Proof:    filecopy.ProofServer,
		PartSize: s.partSize,
	}}
}

func (s *Store) identity() string { return path.Join(s.host, s.config.Container, s.at.Root) }

// partSize grows where blocks of the usual size would be too many.
func (s *Store) partSize(size int64) int64 { return azure.PartSize(size, s.part, maxBlocks) }

// unfit says what keeps a name from being a blob's.
func unfit(name string) string { return azure.Unfit(name, "\x7f") }

// CheckName refuses what cannot be a name, here or in the quarantine, and the mover's own area.
func (s *Store) CheckName(p filecopy.Path) error {
	if err := p.Check(); err != nil {
		return errors.Join(filecopy.ErrName, err)
	}
	if why := unfit(string(p)); why != "" {
		return fmt.Errorf("%w: %q %s", filecopy.ErrName, string(p), why)
	}
	if len(p) > maxPath || len(s.name(p)) > maxName || len(s.at.Area)+areaRoom+len(p) > maxName {
		return fmt.Errorf("%w: %q is too long", filecopy.ErrName, string(p))
	}
	if s.ours(s.name(p)) {
		return fmt.Errorf("%w: %q lies in the mover's area", filecopy.ErrName, string(p))
	}
	return nil
}

// name gives the name of a path's blob.
func (s *Store) name(p filecopy.Path) string { return s.at.Name(p) }

// below gives the prefix of all names below a path.
func (s *Store) below(p filecopy.Path) string { return s.at.Below(p) }

// ours says whether a name lies in the mover's area.
func (s *Store) ours(name string) bool { return s.at.Ours(name) }

// place gives a name in the area.
func (s *Store) place(elements ...string) string { return s.at.Place(elements...) }

// open gives the container, with keys that are not too old.
func (s *Store) open(ctx context.Context) (*container.Client, error) {
	return s.clients.Get(ctx, s.config.Keys, func(k Keys) (*container.Client, error) {
		return azure.Container(s.url(), k, s.clients.Options())
	})
}

func (s *Store) url() string { return strings.TrimSuffix(s.config.URL, "/") + "/" + s.config.Container }

// blob gives the client of one name.
func (s *Store) blob(ctx context.Context, name string) (*blockblob.Client, error) {
	c, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	return c.NewBlockBlobClient(name), nil
}

// Probe looks at the container: a prefix is there as soon as its container is.
func (s *Store) Probe(ctx context.Context) (filecopy.Root, error) {
	c, err := s.open(ctx)
	if err != nil {
		return filecopy.Root{}, err
	}
	p, err := c.GetProperties(ctx, nil)
	if err != nil {
		return filecopy.Root{}, tell(err)
	}
	return filecopy.Root{Identity: s.identity(), Now: azure.Clock(p.Date), Free: -1}, nil
}

// Open gives the live tree.
func (s *Store) Open(_ context.Context, at filecopy.Pin) (filecopy.View, error) {
	if at != (filecopy.Pin{}) {
		return nil, fmt.Errorf("%w: a tree in Blob Storage has none", filecopy.ErrPinLost)
	}
	return &view{s}, nil
}
