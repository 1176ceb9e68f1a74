package azurite

import (
	"context"
	"io"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
)

// Client is Microsoft's own client of one container.
type Client struct{ c *container.Client }

// Client gives the client that holds the account's key.
func (s *Server) Client(name string) (*Client, error) { return OpenClient(s.Endpoint(), name) }

// OpenClient gives the same client by an address of the account that leads to the server.
func OpenClient(endpoint, name string) (*Client, error) {
	key, err := container.NewSharedKeyCredential(Account, Key())
	if err != nil {
		return nil, err
	}
	c, err := container.NewClientWithSharedKeyCredential(endpoint+"/"+name, key, nil)
	return &Client{c}, err
}

// ClientAs gives the client that holds a shared access signature.
func (s *Server) ClientAs(name, signature string) (*Client, error) {
	c, err := container.NewClientWithNoCredential(s.Endpoint()+"/"+name+"?"+signature, nil)
	return &Client{c}, err
}

// Sign makes a shared access signature of a container that names a stored access policy, and says nothing else.
func Sign(name, policy string) (string, error) {
	key, err := container.NewSharedKeyCredential(Account, Key())
	if err != nil {
		return "", err
	}
	q, err := sas.BlobSignatureValues{ContainerName: name, Identifier: policy, Protocol: sas.ProtocolHTTPSandHTTP}.SignWithSharedKey(key)
	return q.Encode(), err
}

// Make makes the container, with stored access policies and what each permits.
func (c *Client) Make(ctx context.Context, policies map[string]string) error {
	if _, err := c.c.Create(ctx, nil); err != nil {
		return err
	}
	var all []*container.SignedIdentifier
	for id, permission := range policies {
		all = append(all, &container.SignedIdentifier{ID: &id, AccessPolicy: &container.AccessPolicy{Permission: &permission}})
	}
	if len(all) == 0 {
		return nil
	}
	_, err := c.c.SetAccessPolicy(ctx, &container.SetAccessPolicyOptions{ContainerACL: all})
	return err
}

// Policies reads what the stored access policies permit.
func (c *Client) Policies(ctx context.Context) (map[string]string, error) {
	a, err := c.c.GetAccessPolicy(ctx, nil)
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, s := range a.SignedIdentifiers {
		all[*s.ID] = ""
		if s.AccessPolicy != nil && s.AccessPolicy.Permission != nil {
			all[*s.ID] = *s.AccessPolicy.Permission
		}
	}
	return all, nil
}

// Put writes a blob in one step.
func (c *Client) Put(ctx context.Context, name string, content []byte) error {
	_, err := c.c.NewBlockBlobClient(name).UploadBuffer(ctx, content, nil)
	return err
}

// Get reads a blob.
func (c *Client) Get(ctx context.Context, name string) ([]byte, error) {
	r, err := c.c.NewBlobClient(name).DownloadStream(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Body.Close() }()
	return io.ReadAll(r.Body)
}

// Remove removes a blob.
func (c *Client) Remove(ctx context.Context, name string) error {
	_, err := c.c.NewBlobClient(name).Delete(ctx, nil)
	return err
}

// List gives the names below a prefix with their sizes.
func (c *Client) List(ctx context.Context, prefix string) (map[string]int64, error) {
	all := map[string]int64{}
	for pages := c.c.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix}); pages.More(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, b := range page.Segment.BlobItems {
			all[*b.Name] = *b.Properties.ContentLength
		}
	}
	return all, nil
}

// Denied says whether an error is the service's refusal of a right.
func Denied(err error) bool { return bloberror.HasCode(err, bloberror.AuthorizationPermissionMismatch) }

// Addr is the host:port at which the server listens.
func (s *Server) Addr() string { return s.addr() }
