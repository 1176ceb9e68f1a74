package blob

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"golang.org/x/sync/semaphore"

	"github.com/understudy-dr/understudy/filecopy"
)

// Config says which tree a store is.
type Config struct {
	// URL is the account's: https://ACCOUNT.blob.core.windows.net.
	URL string
	// Keys looks the account's key up where it is kept. It is asked again every few minutes, so that keys can be changed while a job runs.
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
type Keys struct {
	Account string
	// Key is in base64.
	Key string
}

// Limits of the service, and of our handles, which hold a path.
const (
	maxName   = 1024
	maxPath   = 800
	maxBlocks = 50_000
	maxBlock  = 4000 << 20
	maxObject = maxBlocks * maxBlock
)

const (
	defaultPart   = 16 << 20
	largestPart   = 100 << 20
	defaultMemory = 256 << 20
	// areaRoom is what the names of quarantines may add to a name in the area.
	areaRoom = 160
	// keysLive is how long keys are used before they are looked up again.
	keysLive = 5 * time.Minute
	// tries of one request after the first, with growing pauses between.
	tries    = 4
	maxPause = 2 * time.Second
)

// Store is a tree in a container. It implements filecopy.Target.
type Store struct {
	config Config
	host   string
	root   string
	area   string
	part   int64
	room   int64
	memory *semaphore.Weighted
	// staged remembers files of one block that were just written, which spares a request for each.
	staged sync.Map

	mu     sync.Mutex
	client *container.Client
	until  time.Time
}

var _ filecopy.Target = &Store{}

// New gives the store of a prefix. It asks nothing.
func New(c Config) (*Store, error) {
	root, area := strings.Trim(c.Root, "/"), strings.Trim(c.Area, "/")
	at, err := url.Parse(c.URL)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" || at.User != nil || at.RawQuery != "" {
		return nil, fmt.Errorf("an account is a URL such as https://ACCOUNT.blob.core.windows.net, not %q", c.URL)
	}
	if c.Container == "" || c.Keys == nil {
		return nil, errors.New("a tree in Blob Storage needs a container and the key of the account")
	}
	if area == "" {
		area = path.Join(path.Dir("/"+root), "."+path.Base("/"+root)+".understudy")[1:]
		if root == "" {
			area = ".understudy"
		}
	}
	for _, p := range []string{root, area} {
		if filecopy.Path(p).Check() != nil || !utf8.ValidString(p) {
			return nil, fmt.Errorf("%q cannot be the prefix of a tree in Blob Storage", p)
		}
	}
	if root != "" && filecopy.Path(area).Below(filecopy.Path(root)) || filecopy.Path(root).Below(filecopy.Path(area)) {
		return nil, fmt.Errorf("the mover's area must be outside of the tree, not %q", area)
	}
	s := &Store{config: c, host: strings.TrimSuffix(at.Host+at.Path, "/"), root: root, area: area, part: c.PartSize, room: c.Memory}
	if s.part == 0 {
		s.part = defaultPart
	}
	if s.part < 1 || s.part > largestPart {
		return nil, fmt.Errorf("a block has between 1 and %d bytes, not %d", largestPart, s.part)
	}
	if s.room <= 0 {
		s.room = defaultMemory
	}
	s.memory = semaphore.NewWeighted(s.room)
	return s, nil
}

// Describe says what Blob Storage can do. What it took it has checked; it computes no CRC32C.
func (s *Store) Describe() filecopy.Description {
	return filecopy.Description{Kind: "blob", Name: s.identity(), Capabilities: filecopy.Capabilities{
		Proof:    filecopy.ProofServer,
		PartSize: s.partSize,
	}}
}

func (s *Store) identity() string { return path.Join(s.host, s.config.Container, s.root) }

// partSize grows in whole MiB where blocks of the usual size would be too many.
func (s *Store) partSize(size int64) int64 {
	const step = 1 << 20
	need := (size + maxBlocks - 1) / maxBlocks
	if need <= s.part {
		return s.part
	}
	return (need + step - 1) / step * step
}

// CheckName refuses what cannot be a name, here or in the quarantine, and the mover's own area.
func (s *Store) CheckName(p filecopy.Path) error {
	if err := p.Check(); err != nil {
		return errors.Join(filecopy.ErrName, err)
	}
	if why := unfit(string(p)); why != "" {
		return fmt.Errorf("%w: %q %s", filecopy.ErrName, string(p), why)
	}
	if len(p) > maxPath || len(s.name(p)) > maxName || len(s.area)+areaRoom+len(p) > maxName {
		return fmt.Errorf("%w: %q is too long", filecopy.ErrName, string(p))
	}
	if s.ours(s.name(p)) {
		return fmt.Errorf("%w: %q lies in the mover's area", filecopy.ErrName, string(p))
	}
	return nil
}

// unfit says what keeps a name from being a blob's, or being listed as it is; empty for nothing. The service and its clients change
// names whose elements end with a dot, and backslashes.
func unfit(name string) string {
	switch {
	case !utf8.ValidString(name):
		return "is not UTF-8"
	case filecopy.Unlisted(name) >= 0 || strings.ContainsRune(name, 0x7f):
		return "holds a control character"
	case strings.Contains(name, `\`):
		return "holds a backslash"
	case strings.HasSuffix(name, ".") || strings.Contains(name, "./"):
		return "has an element that ends with a dot"
	}
	return ""
}

// name gives the name of a path's blob.
func (s *Store) name(p filecopy.Path) string {
	return string(filecopy.Path(s.root).Join(string(p)))
}

// below gives the prefix of all names below a path.
func (s *Store) below(p filecopy.Path) string {
	if name := s.name(p); p != "" {
		return name + "/"
	}
	if s.root == "" {
		return ""
	}
	return s.root + "/"
}

// ours says whether a name lies in the mover's area.
func (s *Store) ours(name string) bool { return filecopy.Path(name).Below(filecopy.Path(s.area)) }

// place gives a name in the area.
func (s *Store) place(elements ...string) string { return s.area + "/" + strings.Join(elements, "/") }

// open gives the container, with keys that are not too old.
func (s *Store) open(ctx context.Context) (*container.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil && time.Now().Before(s.until) {
		return s.client, nil
	}
	keys, err := s.config.Keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("look up the keys: %w", err)
	}
	credential, err := container.NewSharedKeyCredential(keys.Account, keys.Key)
	if err != nil {
		return nil, fmt.Errorf("look up the keys: %w", err)
	}
	options := &container.ClientOptions{ClientOptions: patience()}
	at := strings.TrimSuffix(s.config.URL, "/") + "/" + s.config.Container
	if s.client, err = container.NewClientWithSharedKeyCredential(at, credential, options); err != nil {
		return nil, err
	}
	s.until = time.Now().Add(keysLive)
	return s.client, nil
}

// patience says how requests are tried again.
func patience() policy.ClientOptions {
	return policy.ClientOptions{Retry: policy.RetryOptions{MaxRetries: tries, RetryDelay: 100 * time.Millisecond, MaxRetryDelay: maxPause}}
}

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
	root := filecopy.Root{Identity: s.identity(), Now: time.Now(), Free: -1}
	if p.Date != nil {
		root.Now = *p.Date
	}
	return root, nil
}

// Open gives the live tree.
func (s *Store) Open(_ context.Context, at filecopy.Pin) (filecopy.View, error) {
	if at != (filecopy.Pin{}) {
		return nil, fmt.Errorf("%w: a tree in Blob Storage has none", filecopy.ErrPinLost)
	}
	return &view{s}, nil
}
