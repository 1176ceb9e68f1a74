package hdfs

import (
	"bytes"
	"context"
)

// File is a file to write, in the JSON form that the Java side reads.
type File struct {
	Path string `json:"path"`
	// Data are its bytes; after them come Size bytes of the random sequence of Seed.
	Data []byte `json:"data,omitempty"`
	Size int64  `json:"size,omitempty"`
	Seed int64  `json:"seed,omitempty"`
	// Replication and BlockSize in bytes are the cluster's when 0.
	Replication int   `json:"replication,omitempty"`
	BlockSize   int64 `json:"blockSize,omitempty"`
	// Append adds to an existing file.
	Append bool `json:"append,omitempty"`
}

// Put writes files, eight side by side, over what was there; missing directories are made.
func (c *Client) Put(ctx context.Context, a Access, files ...File) error {
	return c.call(ctx, a, "put", request{"files": files}, nil)
}

// Users change the tree below a root by Hadoop's own client.
type Users struct {
	*Client
	Access Access
	Root   string
}

// Put writes files over what is there, by their paths in the tree; missing directories are made.
func (u Users) Put(ctx context.Context, files map[string]string) error {
	var all []File
	for p, content := range files {
		all = append(all, File{Path: u.Root + "/" + p, Data: []byte(content)})
	}
	return u.Client.Put(ctx, u.Access, all...)
}

// Move renames a file or a directory to a free place.
func (u Users) Move(ctx context.Context, from, to string) error {
	return u.Rename(ctx, u.Access, u.Root+"/"+from, u.Root+"/"+to)
}

// Remove removes a path with all below it.
func (u Users) Remove(ctx context.Context, path string) error {
	return u.Client.Remove(ctx, u.Access, u.Root+"/"+path)
}

// Held is a file under construction.
type Held struct {
	client *Client
	access Access
	name   string
}

// Hold begins a file, makes what was written visible and keeps it open until Release, or until the client's
// JVM ends.
func (c *Client) Hold(ctx context.Context, a Access, file File) (*Held, error) {
	h := &Held{client: c, access: a, name: c.session()}
	if err := c.call(ctx, a, "hold", request{"session": h.name, "file": file}, nil); err != nil {
		return nil, err
	}
	return h, nil
}

// Release closes the file.
func (h *Held) Release(ctx context.Context) error {
	return h.client.call(ctx, h.access, "release", request{"session": h.name}, nil)
}

// Read returns a file's bytes, whose checksums Hadoop's client has checked.
func (c *Client) Read(ctx context.Context, a Access, path string) ([]byte, error) {
	var all bytes.Buffer
	if err := c.call(ctx, a, "read", request{"path": path}, func(r reply) { all.Write(r.Data) }); err != nil {
		// The Java side may still be answering a call that was given up, into the buffer.
		return nil, err
	}
	return all.Bytes(), nil
}

// MkdirAll makes directories of mode 0755 with their parents.
func (c *Client) MkdirAll(ctx context.Context, a Access, paths ...string) error {
	return c.call(ctx, a, "mkdirs", request{"paths": paths}, nil)
}

// Remove deletes a path with what is below it. A path that is not there is an error.
func (c *Client) Remove(ctx context.Context, a Access, path string) error {
	return c.call(ctx, a, "remove", request{"path": path}, nil)
}

// Rename moves a path; to must not exist.
func (c *Client) Rename(ctx context.Context, a Access, path, to string) error {
	return c.call(ctx, a, "rename", request{"path": path, "to": to}, nil)
}

// Replace moves a path over another in one step.
func (c *Client) Replace(ctx context.Context, a Access, path, to string) error {
	return c.call(ctx, a, "rename", request{"path": path, "to": to, "overwrite": true}, nil)
}

// Symlink makes a symbolic link to a target; it needs the option Symlinks.
func (c *Client) Symlink(ctx context.Context, a Access, path, target string) error {
	return c.call(ctx, a, "symlink", request{"path": path, "to": target}, nil)
}

// Concat moves the blocks of files to the end of another, in order; the files are gone then.
func (c *Client) Concat(ctx context.Context, a Access, path string, from ...string) error {
	return c.call(ctx, a, "concat", request{"path": path, "paths": from}, nil)
}

// Truncate cuts a file to a size in bytes.
func (c *Client) Truncate(ctx context.Context, a Access, path string, size int64) error {
	return c.call(ctx, a, "truncate", request{"path": path, "size": size}, nil)
}

// SetQuota limits a directory's number of names and its bytes, each replica counted; -1 lifts a limit.
func (c *Client) SetQuota(ctx context.Context, a Access, path string, names, bytes int64) error {
	return c.call(ctx, a, "quota", request{"path": path, "names": names, "bytes": bytes}, nil)
}

// Attributes are what to set on a path; nil fields stay as they are.
type Attributes struct {
	Owner, Group *string
	// Mode are the permission bits with the sticky bit.
	Mode *int
	// ACL is a full access control list, such as "user::rw-,user:bob:r--,group::r--,other::---"; an empty one removes
	// what goes beyond the mode.
	ACL *string
	// XAttrs are set, or removed where the value is nil.
	XAttrs map[string][]byte
	// MTime and ATime are in milliseconds since 1970.
	MTime, ATime *int64
	Replication  *int
	// Policy is a storage policy's name, such as "HOT".
	Policy *string
}

// Set changes attributes of a path, its times last.
func (c *Client) Set(ctx context.Context, a Access, path string, to Attributes) error {
	r := request{"path": path}
	put(r, "owner", to.Owner)
	put(r, "group", to.Group)
	put(r, "mode", to.Mode)
	put(r, "acl", to.ACL)
	put(r, "mtime", to.MTime)
	put(r, "atime", to.ATime)
	put(r, "replication", to.Replication)
	put(r, "policy", to.Policy)
	if to.XAttrs != nil {
		r["xattrs"] = to.XAttrs
	}
	return c.call(ctx, a, "set", r, nil)
}

// put adds a field where there is one.
func put[T any](r request, name string, value *T) {
	if value != nil {
		r[name] = *value
	}
}
