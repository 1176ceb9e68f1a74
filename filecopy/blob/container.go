package blob

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/understudy-dr/understudy/filecopy/internal/azure"
)

// Container is a container as a whole: its trees, and what is done in it beside them. It is safe for concurrent use.
type Container struct {
	config Config
	all    *Store
}

// OpenContainer gives a container; root and area of the configuration are ignored. It asks nothing.
func OpenContainer(c Config) (*Container, error) {
	c.Root, c.Area = "", ".understudy"
	all, err := New(c)
	if err != nil {
		return nil, err
	}
	return &Container{c, all}, nil
}

// Tree gives the store of a tree.
func (c *Container) Tree(root, area string) (*Store, error) {
	config := c.config
	config.Root, config.Area = root, area
	return New(config)
}

// Name gives host, account where the URL has it in its path, and container.
func (c *Container) Name() string { return c.all.identity() }

// Look asks whether the container is there and may be used, and how far the service's clock is before ours, to the second.
// filecopy.ErrNotFound, fs.ErrPermission.
func (c *Container) Look(ctx context.Context) (skew time.Duration, err error) {
	return azure.Skew(ctx, c.all.Probe)
}

// Names lists what lies right below a prefix that ends with a slash: blobs, and the first elements of longer names.
func (c *Container) Names(ctx context.Context, prefix string) ([]string, error) {
	at, err := c.all.open(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	add := func(name string) {
		if name = strings.Trim(strings.TrimPrefix(name, prefix), "/"); name != "" {
			names = append(names, name)
		}
	}
	for pages := at.NewListBlobsHierarchyPager("/", &container.ListBlobsHierarchyOptions{Prefix: &prefix}); pages.More(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, tell(err)
		}
		for _, p := range page.Segment.BlobPrefixes {
			add(*p.Name)
		}
		for _, b := range page.Segment.BlobItems {
			add(*b.Name)
		}
	}
	return names, nil
}

// Put stores a small blob; with fresh only where none is, and filecopy.ErrChanged where one is.
func (c *Container) Put(ctx context.Context, name string, content []byte, fresh bool) error {
	b, err := c.all.blob(ctx, name)
	if err != nil {
		return err
	}
	o := &blockblob.UploadOptions{}
	if fresh {
		whatever := azcore.ETagAny
		o.AccessConditions = &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: &whatever}}
	}
	_, err = b.Upload(ctx, streaming.NopCloser(bytes.NewReader(content)), o)
	return tell(err)
}

// Get reads a small blob; filecopy.ErrNotFound.
func (c *Container) Get(ctx context.Context, name string) ([]byte, error) {
	r, err := c.all.rest(name).Begin(ctx)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

// Copy copies all blobs below a prefix to another, within the account.
func (c *Container) Copy(ctx context.Context, from, to string) error {
	return c.all.each(ctx, from, func(h held) error {
		_, err := c.all.copy(ctx, h, to+strings.TrimPrefix(h.name, from), nil)
		return err
	})
}

// Remove removes all blobs whose names begin with a prefix.
func (c *Container) Remove(ctx context.Context, prefix string) error {
	return c.all.all(ctx, prefix, c.all.remove)
}

// Forget removes a blob; an absent one is no error.
func (c *Container) Forget(ctx context.Context, name string) error { return c.all.remove(ctx, name) }

// Policies are the stored access policies of a container: signatures that name one end with it.
type Policies struct {
	access *container.PublicAccessType
	all    []*container.SignedIdentifier
}

// stored is one of them, for people and for keeping.
type stored struct {
	ID         string     `json:"id"`
	Permission string     `json:"permission"`
	Start      *time.Time `json:"start,omitempty"`
	Expiry     *time.Time `json:"expiry,omitempty"`
}

// Policies reads them.
func (c *Container) Policies(ctx context.Context) (Policies, error) {
	at, err := c.all.open(ctx)
	if err != nil {
		return Policies{}, err
	}
	a, err := at.GetAccessPolicy(ctx, nil)
	if err != nil {
		return Policies{}, tell(err)
	}
	return Policies{access: a.BlobPublicAccess, all: a.SignedIdentifiers}, nil
}

// Permission gives what a policy lets its holders do, a letter for each right; false when there is no such policy.
func (p Policies) Permission(id string) (string, bool) {
	for _, s := range p.all {
		if s.ID == nil || *s.ID != id {
			continue
		}
		if s.AccessPolicy == nil || s.AccessPolicy.Permission == nil {
			return "", true
		}
		return *s.AccessPolicy.Permission, true
	}
	return "", false
}

// MarshalJSON writes all of them.
func (p Policies) MarshalJSON() ([]byte, error) {
	out := []stored{}
	for _, s := range p.all {
		id := ""
		if s.ID != nil {
			id = *s.ID
		}
		one := stored{ID: id}
		one.Permission, _ = p.Permission(id)
		if s.AccessPolicy != nil {
			one.Start, one.Expiry = s.AccessPolicy.Start, s.AccessPolicy.Expiry
		}
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b stored) int { return strings.Compare(a.ID, b.ID) })
	return json.Marshal(out)
}

// SetPermissions gives some policies other permissions and leaves all else as it was read. The service offers no condition for this call that
// would show a change in between.
func (c *Container) SetPermissions(ctx context.Context, read Policies, permissions map[string]string) error {
	at, err := c.all.open(ctx)
	if err != nil {
		return err
	}
	var next []*container.SignedIdentifier
	for _, s := range read.all {
		one := *s
		if to, ok := permissions[*s.ID]; ok {
			changed := container.AccessPolicy{Permission: &to}
			if s.AccessPolicy != nil {
				changed.Start, changed.Expiry = s.AccessPolicy.Start, s.AccessPolicy.Expiry
			}
			one.AccessPolicy = &changed
		}
		next = append(next, &one)
	}
	_, err = at.SetAccessPolicy(ctx, &container.SetAccessPolicyOptions{Access: read.access, ContainerACL: next})
	return tell(err)
}

// Denied tries to make an empty blob with a shared access signature, and says whether the service refused it because the signature gives no
// right to. Other refusals are errors: one that is not accepted at all was never a writer's.
func (c *Container) Denied(ctx context.Context, signature, name string) (bool, error) {
	at := c.all.url() + "?" + strings.TrimPrefix(signature, "?")
	as, err := container.NewClientWithNoCredential(at, &container.ClientOptions{ClientOptions: c.all.clients.Stranger()})
	if err != nil {
		return false, err
	}
	_, err = as.NewBlockBlobClient(name).Upload(ctx, streaming.NopCloser(bytes.NewReader(nil)), nil)
	var said *azcore.ResponseError
	return errors.As(err, &said) && said.ErrorCode == "AuthorizationPermissionMismatch", tell(unsigned(err))
}

// unsigned takes the signature out of the URL that an error of the way there names.
func unsigned(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		at.URL, _, _ = strings.Cut(at.URL, "?")
	}
	return err
}
