package hdfs

import (
	"context"
	"fmt"
	"strings"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// ACLKind says whom an entry is about.
type ACLKind int

// The kinds of entries (AclEntryProto.AclEntryTypeProto).
const (
	ACLUser  ACLKind = 0
	ACLGroup ACLKind = 1
	ACLMask  ACLKind = 2
	ACLOther ACLKind = 3
)

// ACLEntry is one entry of an access control list.
type ACLEntry struct {
	// Default says that the entry is for what is made in the folder later.
	Default bool
	Kind    ACLKind
	// Name is the user or group; empty is the owner or owning group.
	Name string
	// Permission holds read 4, write 2, execute 1.
	Permission uint8
}

// String gives the entry as setfacl writes it, such as default:user:ada:r-x.
func (e ACLEntry) String() string {
	kinds := []string{"user", "group", "mask", "other"}
	var b strings.Builder
	if e.Default {
		b.WriteString("default:")
	}
	if int(e.Kind) < len(kinds) && e.Kind >= 0 {
		b.WriteString(kinds[e.Kind])
	}
	fmt.Fprintf(&b, ":%s:", e.Name)
	for i, letter := range "rwx" {
		if e.Permission&(4>>i) == 0 {
			letter = '-'
		}
		b.WriteRune(letter)
	}
	return b.String()
}

// ACL is the access control list of a path.
type ACL struct {
	Owner, Group string
	Sticky       bool
	// Mode holds the nine bits. Where there are named entries, its group bits are the mask.
	Mode uint16
	// Entries are those beyond the nine bits: named users and groups, the owning group when it is masked, and default entries.
	Entries []ACLEntry
}

// GetACL gives the access control list of a path.
func (c *Client) GetACL(ctx context.Context, name string) (*ACL, error) {
	a, err := ask(ctx, c, "getAclStatus", name, proto.Message(nil).String(1, name), field(readACL))
	if err == nil && a == nil {
		err = missing("getAclStatus", name)
	}
	return a, err
}

// SetACL replaces the whole list. It must hold the three entries of owner, owning group and others.
func (c *Client) SetACL(ctx context.Context, name string, entries []ACLEntry) error {
	return c.do(ctx, "setAcl", name, encodeACL(name, entries))
}

// ModifyACL sets the given entries and leaves all others.
func (c *Client) ModifyACL(ctx context.Context, name string, entries []ACLEntry) error {
	return c.do(ctx, "modifyAclEntries", name, encodeACL(name, entries))
}

// RemoveACLEntries removes the given entries; their permissions do not matter.
func (c *Client) RemoveACLEntries(ctx context.Context, name string, entries []ACLEntry) error {
	return c.do(ctx, "removeAclEntries", name, encodeACL(name, entries))
}

// RemoveACL removes all but the nine bits.
func (c *Client) RemoveACL(ctx context.Context, name string) error {
	return c.do(ctx, "removeAcl", name, proto.Message(nil).String(1, name))
}

// RemoveDefaultACL removes all default entries of a folder.
func (c *Client) RemoveDefaultACL(ctx context.Context, name string) error {
	return c.do(ctx, "removeDefaultAcl", name, proto.Message(nil).String(1, name))
}

// encodeACL gives a request with a path and entries; all such requests have one form.
func encodeACL(name string, entries []ACLEntry) proto.Message {
	m := proto.Message(nil).String(1, name)
	for _, e := range entries {
		one := proto.Message(nil).Uint(1, uint64(e.Kind)).Bool(2, e.Default).Uint(3, uint64(e.Permission))
		if e.Name != "" {
			one = one.String(4, e.Name)
		}
		m = m.Bytes(2, one)
	}
	return m
}

// readACL reads AclStatusProto.
func readACL(d *proto.Decoder) ACL {
	var a ACL
	for d.Next() {
		switch d.Number() {
		case 1:
			a.Owner = d.String()
		case 2:
			a.Group = d.String()
		case 3:
			a.Sticky = d.Bool()
		case 4:
			a.Entries = append(a.Entries, proto.Sub(d, readACLEntry))
		case 5:
			a.Mode = uint16(proto.Sub(d, readInt) & modeBits)
		}
	}
	return a
}

// readACLEntry reads AclEntryProto.
func readACLEntry(d *proto.Decoder) ACLEntry {
	var e ACLEntry
	for d.Next() {
		switch d.Number() {
		case 1:
			e.Kind = ACLKind(d.Uint())
		case 2:
			e.Default = d.Bool()
		case 3:
			e.Permission = uint8(d.Uint())
		case 4:
			e.Name = d.String()
		}
	}
	return e
}
