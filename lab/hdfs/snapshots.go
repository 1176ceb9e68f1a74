package hdfs

import "context"

// AllowSnapshots makes a directory one of which snapshots can be taken.
func (c *Client) AllowSnapshots(ctx context.Context, a Access, path string) error {
	return c.call(ctx, a, "allow-snapshots", request{"path": path}, nil)
}

// DisallowSnapshots takes that back; there must be no snapshot left.
func (c *Client) DisallowSnapshots(ctx context.Context, a Access, path string) error {
	return c.call(ctx, a, "disallow-snapshots", request{"path": path}, nil)
}

// Snapshot takes a snapshot of a directory; it can be read below path/.snapshot/name.
func (c *Client) Snapshot(ctx context.Context, a Access, path, name string) error {
	return c.call(ctx, a, "create-snapshot", request{"path": path, "name": name}, nil)
}

// RemoveSnapshot deletes a snapshot.
func (c *Client) RemoveSnapshot(ctx context.Context, a Access, path, name string) error {
	return c.call(ctx, a, "delete-snapshot", request{"path": path, "name": name}, nil)
}

// RenameSnapshot gives a snapshot another name.
func (c *Client) RenameSnapshot(ctx context.Context, a Access, path, name, to string) error {
	return c.call(ctx, a, "rename-snapshot", request{"path": path, "name": name, "to": to}, nil)
}

// Change is one entry of a snapshot difference, with paths relative to the directory.
type Change struct {
	// Type is create, delete, modify or rename.
	Type string `json:"type"`
	Path string `json:"path"`
	// To is where a renamed path went.
	To string `json:"to"`
}

// Changes are what Hadoop's own client finds between two snapshots of a directory, in its order; an empty name is
// the present.
func (c *Client) Changes(ctx context.Context, a Access, path, from, to string) ([]Change, error) {
	var all []Change
	err := c.call(ctx, a, "snapshot-diff", request{"path": path, "name": from, "to": to}, func(r reply) {
		if r.Change != nil {
			all = append(all, *r.Change)
		}
	})
	return all, err
}
