package hdfs

import (
	"context"
	"time"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// SetPermission sets the nine bits and the sticky bit.
func (c *Client) SetPermission(ctx context.Context, name string, mode uint16) error {
	return c.do(ctx, "setPermission", name, proto.Message(nil).String(1, name).Bytes(2, encodeMode(mode)))
}

// SetOwner sets owner and group; an empty one stays as it is. Only a superuser changes owners.
func (c *Client) SetOwner(ctx context.Context, name, owner, group string) error {
	m := proto.Message(nil).String(1, name)
	if owner != "" {
		m = m.String(2, owner)
	}
	if group != "" {
		m = m.String(3, group)
	}
	return c.do(ctx, "setOwner", name, m)
}

// SetTimes sets the times of a file in milliseconds; a zero time stays as it is. Folders have a time of change only, on servers that allow it.
func (c *Client) SetTimes(ctx context.Context, name string, modified, accessed time.Time) error {
	return c.do(ctx, "setTimes", name, proto.Message(nil).String(1, name).Int(2, wireTime(modified)).Int(3, wireTime(accessed)))
}

// wireTime gives a time in milliseconds; -1 is "as it is".
func wireTime(t time.Time) int64 {
	if t.IsZero() {
		return -1
	}
	return t.UnixMilli()
}

// SetReplication sets how many copies the blocks of a file shall have. It returns before there are as many.
func (c *Client) SetReplication(ctx context.Context, name string, copies int) error {
	return c.sure(ctx, "setReplication", name, proto.Message(nil).String(1, name).Uint(2, uint64(copies)))
}

// Values of quotas with a meaning of their own (HdfsConstants).
const (
	// QuotaNone removes a quota. QuotaKeep leaves it as it is.
	QuotaNone int64 = -1
	QuotaKeep int64 = 1<<63 - 1
)

// SetQuota sets the most names and the most bytes, with replication, below a folder. Only for superusers.
func (c *Client) SetQuota(ctx context.Context, dir string, names, space int64) error {
	return c.do(ctx, "setQuota", dir, proto.Message(nil).String(1, dir).Int(2, names).Int(3, space))
}

// QuotaUsage is the quota of a folder and how much of it is used. The server has the answer at hand where a quota is set, and else counts all that lies below.
type QuotaUsage struct {
	// Names and SpaceConsumed are used of Quota and SpaceQuota; -1 is no quota.
	Names, Quota, SpaceConsumed, SpaceQuota int64
}

// QuotaUsage gives the quota of a path.
func (c *Client) QuotaUsage(ctx context.Context, name string) (*QuotaUsage, error) {
	u, err := ask(ctx, c, "getQuotaUsage", name, proto.Message(nil).String(1, name), field(readUsage))
	if err == nil && u == nil {
		err = missing("getQuotaUsage", name)
	}
	return u, err
}

// readUsage reads QuotaUsageProto.
func readUsage(d *proto.Decoder) QuotaUsage {
	var u QuotaUsage
	for d.Next() {
		switch d.Number() {
		case 1:
			u.Names = d.Int()
		case 2:
			u.Quota = d.Int()
		case 3:
			u.SpaceConsumed = d.Int()
		case 4:
			u.SpaceQuota = d.Int()
		}
	}
	return u
}

// StoragePolicy is a rule for which kinds of volumes blocks go to.
type StoragePolicy struct {
	ID   int
	Name string
}

// StoragePolicy gives the policy that applies to a path, be it set there or above.
func (c *Client) StoragePolicy(ctx context.Context, name string) (StoragePolicy, error) {
	p, err := ask(ctx, c, "getStoragePolicy", name, proto.Message(nil).String(1, name), field(readStoragePolicy))
	if err != nil || p == nil {
		return StoragePolicy{}, err
	}
	return *p, nil
}

// StoragePolicies gives all policies that the server knows; FileInfo names them by number.
func (c *Client) StoragePolicies(ctx context.Context) ([]StoragePolicy, error) {
	return ask(ctx, c, "getStoragePolicies", "", nil, func(d *proto.Decoder) []StoragePolicy {
		var list []StoragePolicy
		for d.Next() {
			if d.Number() == 1 {
				list = append(list, proto.Sub(d, readStoragePolicy))
			}
		}
		return list
	})
}

// readStoragePolicy reads BlockStoragePolicyProto.
func readStoragePolicy(d *proto.Decoder) StoragePolicy {
	var p StoragePolicy
	for d.Next() {
		switch d.Number() {
		case 1:
			p.ID = int(d.Uint())
		case 2:
			p.Name = d.String()
		}
	}
	return p
}

// SetStoragePolicy sets the policy of a path by name, such as COLD. Data that is there already stays where it lies.
func (c *Client) SetStoragePolicy(ctx context.Context, name, policy string) error {
	return c.do(ctx, "setStoragePolicy", name, proto.Message(nil).String(1, name).String(2, policy))
}

// UnsetStoragePolicy lets the policy from above apply again.
func (c *Client) UnsetStoragePolicy(ctx context.Context, name string) error {
	return c.do(ctx, "unsetStoragePolicy", name, proto.Message(nil).String(1, name))
}
