package versitygw

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Client is MinIO's own client with the keys of one user.
type Client struct{ c *minio.Client }

// Client gives the client of a user; of the account itself with its keys. Each request has a connection of its own: the server leaves the body of
// a request that it denies unread, and would take it for the next one.
func (s *Server) Client(access, secret string) (*Client, error) {
	transport, err := minio.DefaultTransport(false)
	if err != nil {
		return nil, err
	}
	transport.DisableKeepAlives = true
	c, err := minio.New(s.Addr(), &minio.Options{Creds: credentials.NewStaticV4(access, secret, ""), Region: Region, Transport: transport})
	return &Client{c}, err
}

// AddUser makes a user without rights of their own: a bucket's policy gives them some.
func (s *Server) AddUser(ctx context.Context, access, secret string) error {
	out, err := exec.CommandContext(ctx, s.path, "admin", "--access", AccessKey, "--secret", SecretKey, "--region", Region,
		"--endpoint-url", s.Endpoint(), "create-user", "-a", access, "-s", secret, "-r", "user").CombinedOutput()
	if err != nil {
		return fmt.Errorf("add user %s: %w: %s", access, err, out)
	}
	return nil
}

// Make makes a bucket by the server's own call: one that is a mere directory has no list of who owns it, without which the server copies for nobody
// but the account.
func (c *Client) Make(ctx context.Context, bucket string) error {
	return c.c.MakeBucket(ctx, bucket, minio.MakeBucketOptions{Region: Region})
}

// Put writes an object.
func (c *Client) Put(ctx context.Context, bucket, key string, content []byte) error {
	_, err := c.c.PutObject(ctx, bucket, key, bytes.NewReader(content), int64(len(content)), minio.PutObjectOptions{})
	return err
}

// Get reads an object.
func (c *Client) Get(ctx context.Context, bucket, key string) ([]byte, error) {
	o, err := c.c.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = o.Close() }()
	return io.ReadAll(o)
}

// Remove removes an object.
func (c *Client) Remove(ctx context.Context, bucket, key string) error {
	return c.c.RemoveObject(ctx, bucket, key, minio.RemoveObjectOptions{})
}

// List gives the keys below a prefix with their sizes.
func (c *Client) List(ctx context.Context, bucket, prefix string) (map[string]int64, error) {
	all := map[string]int64{}
	for o := range c.c.ListObjects(ctx, bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if o.Err != nil {
			return nil, o.Err
		}
		all[o.Key] = o.Size
	}
	return all, ctx.Err()
}

// Policy reads a bucket's policy; empty when it has none.
func (c *Client) Policy(ctx context.Context, bucket string) (string, error) {
	return c.c.GetBucketPolicy(ctx, bucket)
}

// SetPolicy replaces it.
func (c *Client) SetPolicy(ctx context.Context, bucket, text string) error {
	return c.c.SetBucketPolicy(ctx, bucket, text)
}

// Denied says whether an error is the server's refusal of a right.
func Denied(err error) bool { return minio.ToErrorResponse(err).Code == minio.AccessDenied }
