package adls

import (
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/directory"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/file"
	sdk "github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/filesystem"
)

// Client is Microsoft's own client of one file system, with the key of the account. Its reads are those of the Blob endpoint, as the SDK's own are
// inside; those panic when no answer comes.
type Client struct {
	c     *sdk.Client
	reads *container.Client
}

// OpenClient gives the client of a file system of the account at an endpoint.
func OpenClient(endpoint, name string) (*Client, error) {
	key, err := azdatalake.NewSharedKeyCredential(AccountName, Key())
	if err != nil {
		return nil, err
	}
	c, err := sdk.NewClientWithSharedKeyCredential(endpoint+"/"+name, key, nil)
	if err != nil {
		return nil, err
	}
	blobs, err := container.NewSharedKeyCredential(AccountName, Key())
	if err != nil {
		return nil, err
	}
	reads, err := container.NewClientWithSharedKeyCredential(endpoint+"/"+name, blobs, nil)
	return &Client{c, reads}, err
}

// Make makes the file system.
func (c *Client) Make(ctx context.Context) error {
	_, err := c.c.Create(ctx, nil)
	return err
}

// Put writes a file, with the directories above it.
func (c *Client) Put(ctx context.Context, path string, content []byte) error {
	f := c.c.NewFileClient(path)
	_, err := f.Create(ctx, nil)
	if err == nil && len(content) > 0 {
		flush := true
		_, err = f.AppendData(ctx, 0, streaming.NopCloser(bytes.NewReader(content)), &file.AppendDataOptions{Flush: &flush})
	}
	return err
}

// Get reads a file.
func (c *Client) Get(ctx context.Context, path string) ([]byte, error) {
	r, err := c.reads.NewBlobClient(path).DownloadStream(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Body.Close() }()
	return io.ReadAll(r.Body)
}

// Remove removes a path with all below it.
func (c *Client) Remove(ctx context.Context, path string) error {
	_, err := c.c.NewDirectoryClient(path).Delete(ctx, nil)
	return err
}

// Dress gives a path owner, group and access control list.
func (c *Client) Dress(ctx context.Context, path, owner, group, list string) error {
	_, err := c.c.NewDirectoryClient(path).SetAccessControl(ctx, &directory.SetAccessControlOptions{Owner: &owner, Group: &group, ACL: &list})
	return err
}

// List gives the files below a directory with their sizes.
func (c *Client) List(ctx context.Context, dir string) (map[string]int64, error) {
	all := map[string]int64{}
	err := c.each(ctx, dir, func(p *sdk.Path) {
		if p.IsDirectory == nil || !*p.IsDirectory {
			all[*p.Name] = *p.ContentLength
		}
	})
	return all, err
}

// Looks gives what lies below a directory, with owner, group and permissions as "ada:science rwxr-x---+".
func (c *Client) Looks(ctx context.Context, dir string) (map[string]string, error) {
	all := map[string]string{}
	err := c.each(ctx, dir, func(p *sdk.Path) {
		all[*p.Name] = *p.Owner + ":" + *p.Group + " " + *p.Permissions
	})
	return all, err
}

// each calls a function for all that lies below a directory.
func (c *Client) each(ctx context.Context, dir string, do func(*sdk.Path)) error {
	dir = strings.Trim(dir, "/")
	for pages := c.c.NewListPathsPager(true, &sdk.ListPathsOptions{Prefix: &dir}); pages.More(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, p := range page.Paths {
			do(p)
		}
	}
	return nil
}
