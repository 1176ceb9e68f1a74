package adls

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/file"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/filesystem"
	"golang.org/x/sync/semaphore"

	"github.com/understudy-dr/understudy/filecopy"
)

// Config says which tree a store is.
type Config struct {
	// URL is the account's: https://ACCOUNT.dfs.core.windows.net.
	URL string
	// Keys looks the account's key up where it is kept. It is asked again every few minutes, so that keys can be changed while a job runs.
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
type Keys struct {
	Account string
	// Key is in base64.
	Key string
}

// Limits of the service, and of our handles.
const (
	maxName     = 1024
	maxElement  = 255
	maxSegments = 61
	maxAppends  = 50_000
	maxFile     = 4 << 40
)

const (
	defaultPart   = 16 << 20
	largestPart   = 100 << 20
	defaultMemory = 256 << 20
	// areaRoom and areaDepth are what the names of quarantines may add to a path in the area.
	areaRoom  = 160
	areaDepth = 3
	// keysLive is how long keys are used before they are looked up again.
	keysLive = 5 * time.Minute
	// tries of one request after the first, with growing pauses between.
	tries    = 4
	maxPause = 2 * time.Second
)

// Store is a tree in a file system. It implements filecopy.Target.
type Store struct {
	config Config
	host   string
	// prefix is the path of the file system in URLs.
	prefix string
	root   string
	area   string
	part   int64
	room   int64
	fields filecopy.Fields
	memory *semaphore.Weighted
	// staged remembers what was sent of files that are being written, by handle.
	staged sync.Map
	// private says that the mover's own directory was made.
	private atomic.Bool
	// asked is when the area was last asked for and was no file.
	asked atomic.Pointer[time.Time]

	mu     sync.Mutex
	client *filesystem.Client
	// reads goes to the same files by the Blob endpoint, as the SDK's own reads do; those panic when no answer comes.
	reads *container.Client
	until time.Time
}

var _ filecopy.Target = &Store{}

// New gives the store of a directory. It asks nothing.
func New(c Config) (*Store, error) {
	root, area := strings.Trim(c.Root, "/"), strings.Trim(c.Area, "/")
	at, err := url.Parse(c.URL)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" || at.User != nil || at.RawQuery != "" {
		return nil, fmt.Errorf("an account is a URL such as https://ACCOUNT.dfs.core.windows.net, not %q", c.URL)
	}
	if c.FileSystem == "" || c.Keys == nil {
		return nil, errors.New("a tree in ADLS needs a file system and the key of the account")
	}
	if area == "" {
		area = path.Join(path.Dir("/"+root), "."+path.Base("/"+root)+".understudy")[1:]
		if root == "" {
			area = ".understudy"
		}
	}
	for _, p := range []string{root, area} {
		if filecopy.Path(p).Check() != nil || unfit(p) != "" {
			return nil, fmt.Errorf("%q cannot be the directory of a tree in ADLS", p)
		}
	}
	if root != "" && filecopy.Path(area).Below(filecopy.Path(root)) || filecopy.Path(root).Below(filecopy.Path(area)) {
		return nil, fmt.Errorf("the mover's area must be outside of the tree, not %q", area)
	}
	s := &Store{
		config: c, host: strings.TrimSuffix(at.Host+at.Path, "/"), prefix: strings.TrimSuffix(at.Path, "/") + "/" + c.FileSystem,
		root: root, area: area, part: c.PartSize, room: c.Memory,
		fields: filecopy.FieldOwner | filecopy.FieldGroup | filecopy.FieldMode | filecopy.FieldACL,
	}
	if c.NoOwners {
		s.fields = filecopy.FieldMode
	}
	return s, s.bound()
}

// bound sets the limits.
func (s *Store) bound() error {
	if s.part == 0 {
		s.part = defaultPart
	}
	if s.part < 1 || s.part > largestPart {
		return fmt.Errorf("an append has between 1 and %d bytes, not %d", largestPart, s.part)
	}
	if s.room <= 0 {
		s.room = defaultMemory
	}
	s.memory = semaphore.NewWeighted(s.room)
	return nil
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

func (s *Store) identity() string { return path.Join(s.host, s.config.FileSystem, s.root) }

// partSize grows in whole MiB where appends of the usual size would be too many.
func (s *Store) partSize(size int64) int64 {
	const step = 1 << 20
	need := (size + maxAppends - 1) / maxAppends
	if need <= s.part {
		return s.part
	}
	return (need + step - 1) / step * step
}

// CheckName refuses what cannot be a path, here or in the quarantine, and the mover's own area.
func (s *Store) CheckName(p filecopy.Path) error {
	if err := p.Check(); err != nil {
		return errors.Join(filecopy.ErrName, err)
	}
	if why := unfit(string(p)); why != "" {
		return fmt.Errorf("%w: %q %s", filecopy.ErrName, string(p), why)
	}
	if len(s.name(p)) > maxName || len(s.area)+areaRoom+len(p) > maxName {
		return fmt.Errorf("%w: %q is too long", filecopy.ErrName, string(p))
	}
	if depth(s.name(p)) > maxSegments || depth(s.area)+areaDepth+depth(string(p)) > maxSegments {
		return fmt.Errorf("%w: %q is too deep", filecopy.ErrName, string(p))
	}
	if s.ours(s.name(p)) {
		return fmt.Errorf("%w: %q lies in the mover's area", filecopy.ErrName, string(p))
	}
	return nil
}

func depth(name string) int { return strings.Count(name, "/") + 1 }

// unfit says what keeps a path from being the service's, or being listed as it is; empty for nothing. The service and its clients change
// names whose elements end with a dot, and backslashes.
func unfit(name string) string {
	switch {
	case !utf8.ValidString(name):
		return "is not UTF-8"
	case filecopy.Unlisted(name) >= 0 || strings.ContainsAny(name, "\x7f\t\n\r"):
		return "holds a control character"
	case strings.Contains(name, `\`):
		return "holds a backslash"
	case strings.HasSuffix(name, ".") || strings.Contains(name, "./"):
		return "has an element that ends with a dot"
	}
	for element := range strings.SplitSeq(name, "/") {
		if len(element) > maxElement {
			return "has an element that is too long"
		}
	}
	return ""
}

// name gives the path in the file system.
func (s *Store) name(p filecopy.Path) string {
	if p == "" {
		return s.root
	}
	return string(filecopy.Path(s.root).Join(string(p)))
}

// ours says whether a path of the file system lies in the mover's area.
func (s *Store) ours(name string) bool { return filecopy.Path(name).Below(filecopy.Path(s.area)) }

// place gives a path in the area.
func (s *Store) place(elements ...string) string { return s.area + "/" + strings.Join(elements, "/") }

// open gives the file system, with keys that are not too old.
func (s *Store) open(ctx context.Context) (*filesystem.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil && time.Now().Before(s.until) {
		return s.client, nil
	}
	keys, err := s.config.Keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("look up the keys: %w", err)
	}
	credential, err := azdatalake.NewSharedKeyCredential(keys.Account, keys.Key)
	if err != nil {
		return nil, fmt.Errorf("look up the keys: %w", err)
	}
	options := &filesystem.ClientOptions{ClientOptions: policy.ClientOptions{
		Retry:           policy.RetryOptions{MaxRetries: tries, RetryDelay: 100 * time.Millisecond, MaxRetryDelay: maxPause},
		PerCallPolicies: []policy.Policy{exactly{}},
	}}
	at := strings.TrimSuffix(s.config.URL, "/") + "/" + s.config.FileSystem
	if s.client, err = filesystem.NewClientWithSharedKeyCredential(at, credential, options); err != nil {
		return nil, err
	}
	if s.reads, err = reader(s.client.BlobURL(), keys, options); err != nil {
		return nil, err
	}
	s.until = time.Now().Add(keysLive)
	return s.client, nil
}

// reader gives the client for reads.
func reader(at string, keys Keys, options *filesystem.ClientOptions) (*container.Client, error) {
	credential, err := container.NewSharedKeyCredential(keys.Account, keys.Key)
	if err != nil {
		return nil, fmt.Errorf("look up the keys: %w", err)
	}
	return container.NewClientWithSharedKeyCredential(at, credential, &container.ClientOptions{ClientOptions: options.ClientOptions})
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
	if s.root == "" {
		p, err := c.GetProperties(ctx, nil)
		if err != nil {
			return root, tell(err)
		}
		root.Now = clock(p.Date)
	} else {
		p, err := c.NewFileClient(s.root).GetProperties(ctx, nil)
		if err != nil {
			return root, tell(err)
		}
		if !isDirectory(p.ResourceType) {
			return root, fmt.Errorf("%w: %s is no directory", filecopy.ErrNotFound, s.root)
		}
		root.Now = clock(p.Date)
		if p.CreationTime != nil {
			root.Identity += "@" + p.CreationTime.UTC().Format(time.RFC3339)
		}
	}
	_, err = c.NewDirectoryClient(s.root).GetAccessControl(ctx, nil)
	return root, tell(err)
}

// clock gives the service's, or ours where it tells none.
func clock(said *time.Time) time.Time {
	if said == nil {
		return time.Now()
	}
	return *said
}

// Open gives the live tree.
func (s *Store) Open(_ context.Context, at filecopy.Pin) (filecopy.View, error) {
	if at != (filecopy.Pin{}) {
		return nil, fmt.Errorf("%w: a tree in ADLS has none", filecopy.ErrPinLost)
	}
	return &view{s}, nil
}
