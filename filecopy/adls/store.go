package adls

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/file"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/filesystem"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/internal/azure"
)

// Config says which tree a store is.
type Config struct {
	// URL is the account's: https://ACCOUNT.dfs.core.windows.net.
	URL string
	// Keys looks the account's key up where it is kept. It is asked again every few minutes, and when the service
	// refused a request, so that keys can be changed while a job runs.
	Keys func(ctx context.Context) (Keys, error)
	// FileSystem holds the tree, and Root is the path of its directory, without a slash at either end; empty for the whole file system.
	FileSystem string
	Root       string
	// Area is the path of the mover's own directory in the same file system; empty for ".NAME.understudy" beside the root. It must not be
	// the root nor lie below it, unless the root is the whole file system: then what it holds belongs to no tree.
	Area string
	// NoOwners leaves owners, groups and lists to the manifest, for accounts that do not take the names of the source.
	NoOwners bool
	// PartSize is the size of the appends of large files, at most 100 MiB; zero means 16 MiB. It grows for files that would have more
	// than 50,000.
	PartSize int64
	// Memory bounds the bytes of appends in flight; zero means 256 MiB. One append may always be.
	Memory int64
}

// Keys are an account's.
type Keys = azure.Keys

// Limits of the service, and of our handles.
const (
	maxName     = 1024
	maxElement  = 255
	maxSegments = 61
	maxAppends  = 50_000
	maxFile     = 4 << 40
)

// areaRoom and areaDepth are what the names of quarantines may add to a path in the area.
const (
	areaRoom  = 160
	areaDepth = 3
)

// Store is a tree in a file system. It implements filecopy.Target.
type Store struct {
	config Config
	host   string
	// prefix is the path of the file system in URLs.
	prefix string
	at     filecopy.Layout
	// hidden says that the tree lies in the area itself.
	hidden bool
	part   int64
	room   *filecopy.Room
	fields filecopy.Fields
	// staged remembers what was sent of files that are being written, by handle.
	staged sync.Map
	// private says that the mover's own directory was made.
	private atomic.Bool
	// asked is when the area was last asked for and was no file.
	asked atomic.Pointer[time.Time]

	clients *azure.Clients[clients]
}

// clients go to a file system. Reads go to the same files by the Blob endpoint, as the SDK's own do; those panic when no answer comes.
type clients struct {
	files *filesystem.Client
	blobs *container.Client
}

var _ filecopy.Target = &Store{}

// New gives the store of a directory. It asks nothing.
func New(c Config) (*Store, error) {
	account, err := azure.Account(c.URL, "dfs")
	if err != nil {
		return nil, err
	}
	if c.FileSystem == "" || c.Keys == nil {
		return nil, errors.New("a tree in ADLS needs a file system and the key of the account")
	}
	s := &Store{
		config: c, host: account.Host + account.Path, prefix: account.Path + "/" + c.FileSystem, room: filecopy.NewRoom(c.Memory),
		clients: &azure.Clients[clients]{}, fields: filecopy.FieldOwner | filecopy.FieldGroup | filecopy.FieldMode | filecopy.FieldACL,
	}
	if c.NoOwners {
		s.fields = filecopy.FieldMode
	}
	if s.at, err = filecopy.LayOut(c.Root, c.Area, func(name string) bool { return unfit(name) == "" }); err != nil {
		return nil, err
	}
	s.part, err = azure.Part(c.PartSize)
	return s, err
}

// Describe says what ADLS can do. What it took it has checked; it computes no CRC32C.
func (s *Store) Describe() filecopy.Description {
	return filecopy.Description{Kind: "adls", Name: s.identity(), Capabilities: filecopy.Capabilities{
		RenameOver:   true,
		Directories:  true,
		Attributes:   s.fields,
		Proof:        filecopy.ProofServer,
		OrderedParts: true,
		PartSize:     s.partSize,
	}}
}

func (s *Store) identity() string { return path.Join(s.host, s.config.FileSystem, s.at.Root) }

// partSize grows where appends of the usual size would be too many.
func (s *Store) partSize(size int64) int64 { return azure.PartSize(size, s.part, maxAppends) }

// CheckName refuses what cannot be a path, here or in the quarantine, and the mover's own area.
func (s *Store) CheckName(p filecopy.Path) error {
	if err := p.Check(); err != nil {
		return errors.Join(filecopy.ErrName, err)
	}
	if why := unfit(string(p)); why != "" {
		return fmt.Errorf("%w: %q %s", filecopy.ErrName, string(p), why)
	}
	if len(s.at.Name(p)) > maxName || len(s.at.Area)+areaRoom+len(p) > maxName {
		return fmt.Errorf("%w: %q is too long", filecopy.ErrName, string(p))
	}
	if depth(s.at.Name(p)) > maxSegments || depth(s.at.Area)+areaDepth+depth(string(p)) > maxSegments {
		return fmt.Errorf("%w: %q is too deep", filecopy.ErrName, string(p))
	}
	if !s.hidden && s.at.Ours(s.at.Name(p)) {
		return fmt.Errorf("%w: %q lies in the mover's area", filecopy.ErrName, string(p))
	}
	return nil
}

func depth(name string) int { return strings.Count(name, "/") + 1 }

// unfit says what keeps a path from being the service's, or being listed as it is; empty for nothing.
func unfit(name string) string {
	if why := azure.Unfit(name, "\x7f\t\n\r"); why != "" {
		return why
	}
	for element := range strings.SplitSeq(name, "/") {
		if len(element) > maxElement {
			return "has an element that is too long"
		}
	}
	return ""
}

// open gives the file system, with keys that are not too old.
func (s *Store) open(ctx context.Context) (*filesystem.Client, error) {
	c, err := s.clients.Get(ctx, s.config.Keys, s.dial)
	return c.files, err
}

// blobs gives the client for reads.
func (s *Store) blobs(ctx context.Context) (*container.Client, error) {
	c, err := s.clients.Get(ctx, s.config.Keys, s.dial)
	return c.blobs, err
}

func (s *Store) dial(k Keys) (c clients, err error) {
	credential, err := azdatalake.NewSharedKeyCredential(k.Account, k.Key)
	if err != nil {
		return c, fmt.Errorf("look up the keys: %w", err)
	}
	patience := s.clients.Options(exactly{})
	at := strings.TrimSuffix(s.config.URL, "/") + "/" + s.config.FileSystem
	if c.files, err = filesystem.NewClientWithSharedKeyCredential(at, credential, &filesystem.ClientOptions{ClientOptions: patience}); err != nil {
		return c, err
	}
	c.blobs, err = azure.Container(c.files.BlobURL(), k, patience)
	return c, err
}

// file gives the client of one path, which serves for directories too.
func (s *Store) file(ctx context.Context, name string) (*file.Client, error) {
	c, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	return c.NewFileClient(name), nil
}

// Probe looks at the directory. Its identity has the time at which it was made. It refuses an account without a hierarchical namespace,
// where renames are many steps.
func (s *Store) Probe(ctx context.Context) (filecopy.Root, error) {
	root := filecopy.Root{Identity: s.identity(), Now: time.Now(), Free: -1}
	c, err := s.open(ctx)
	if err != nil {
		return root, err
	}
	if s.at.Root == "" {
		p, err := c.GetProperties(ctx, nil)
		if err != nil {
			return root, tell(err)
		}
		root.Now = azure.Clock(p.Date)
	} else {
		p, err := c.NewFileClient(s.at.Root).GetProperties(ctx, nil)
		if err != nil {
			return root, tell(err)
		}
		if !isDirectory(p.ResourceType) {
			return root, fmt.Errorf("%w: %s is no directory", filecopy.ErrNotFound, s.at.Root)
		}
		root.Now = azure.Clock(p.Date)
		if p.CreationTime != nil {
			root.Identity += "@" + p.CreationTime.UTC().Format(time.RFC3339)
		}
	}
	_, err = c.NewDirectoryClient(s.at.Root).GetAccessControl(ctx, nil)
	return root, tell(err)
}

// Open gives the live tree.
func (s *Store) Open(_ context.Context, at filecopy.Pin) (filecopy.View, error) {
	if at != (filecopy.Pin{}) {
		return nil, fmt.Errorf("%w: a tree in ADLS has none", filecopy.ErrPinLost)
	}
	return &view{s}, nil
}
