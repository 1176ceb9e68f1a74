package native

import (
	"bytes"
	"slices"
	"strings"

	"github.com/understudy-dr/understudy/filecopy"
)

// compared are the fields whose difference matters. Access times change by reading, and a block size cannot be changed.
const compared = filecopy.AllFields &^ (filecopy.FieldAccessed | filecopy.FieldBlockSize)

// differing gives the fields of mask in which a and b differ.
func differing(a, b filecopy.Attributes, mask filecopy.Fields) filecopy.Fields {
	var f filecopy.Fields
	note := func(field filecopy.Fields, differs bool) {
		if differs && mask.Has(field) {
			f |= field
		}
	}
	// What a store does not tell, such as an owner in a store of objects, or the time of a root which every snapshot moves, differs from
	// nothing.
	note(filecopy.FieldOwner, a.Owner != b.Owner && a.Owner != "" && b.Owner != "")
	note(filecopy.FieldGroup, a.Group != b.Group && a.Group != "" && b.Group != "")
	note(filecopy.FieldMode, a.Mode != b.Mode)
	note(filecopy.FieldACL, !slices.Equal(a.ACL, b.ACL))
	note(filecopy.FieldXattrs, !slices.EqualFunc(a.Xattrs, b.Xattrs, sameXattr))
	note(filecopy.FieldModified, a.Modified != b.Modified && a.Modified != 0 && b.Modified != 0)
	note(filecopy.FieldAccessed, a.Accessed != b.Accessed)
	note(filecopy.FieldReplication, a.Replication != b.Replication && a.Replication != 0 && b.Replication != 0)
	note(filecopy.FieldBlockSize, a.BlockSize != b.BlockSize)
	note(filecopy.FieldStoragePolicy, a.StoragePolicy != b.StoragePolicy)
	return f
}

func sameXattr(a, b filecopy.Xattr) bool { return a.Name == b.Name && bytes.Equal(a.Value, b.Value) }

// take sets the given fields of a from b.
func take(a *filecopy.Attributes, b filecopy.Attributes, f filecopy.Fields) {
	set := func(field filecopy.Fields, apply func()) {
		if f.Has(field) {
			apply()
		}
	}
	set(filecopy.FieldOwner, func() { a.Owner = b.Owner })
	set(filecopy.FieldGroup, func() { a.Group = b.Group })
	set(filecopy.FieldMode, func() { a.Mode = b.Mode })
	set(filecopy.FieldACL, func() { a.ACL = b.ACL })
	set(filecopy.FieldXattrs, func() { a.Xattrs = b.Xattrs })
	set(filecopy.FieldModified, func() { a.Modified = b.Modified })
	set(filecopy.FieldAccessed, func() { a.Accessed = b.Accessed })
	set(filecopy.FieldReplication, func() { a.Replication = b.Replication })
	set(filecopy.FieldBlockSize, func() { a.BlockSize = b.BlockSize })
	set(filecopy.FieldStoragePolicy, func() { a.StoragePolicy = b.StoragePolicy })
}

// shown gives an entry as the target is to show it.
func shown(it item, p filecopy.Principals) filecopy.Entry {
	if it.Inherits {
		it.StoragePolicy = ""
	}
	return translate(it.Entry, p)
}

// translate maps principals for the target.
func translate(e filecopy.Entry, p filecopy.Principals) filecopy.Entry {
	if len(p.Users) == 0 && len(p.Groups) == 0 {
		return e
	}
	e.Owner, e.Group = mapped(p.Users, e.Owner), mapped(p.Groups, e.Group)
	if len(e.ACL) == 0 {
		return e
	}
	acl := make([]string, 0, len(e.ACL))
	for _, a := range e.ACL {
		acl = append(acl, translateACL(a, p))
	}
	slices.Sort(acl)
	e.ACL = acl
	return e
}

// translateACL maps the name in one entry, such as "default:user:ada:rwx". Names of HDFS and POSIX hold no colon.
func translateACL(a string, p filecopy.Principals) string {
	scope := ""
	if rest, ok := strings.CutPrefix(a, "default:"); ok {
		scope, a = "default:", rest
	}
	kind, rest, _ := strings.Cut(a, ":")
	name, perm, ok := strings.Cut(rest, ":")
	if !ok || name == "" {
		return scope + a
	}
	switch kind {
	case "user":
		name = mapped(p.Users, name)
	case "group":
		name = mapped(p.Groups, name)
	}
	return scope + kind + ":" + name + ":" + perm
}

func mapped(table map[string]string, name string) string {
	if to, ok := table[name]; ok {
		return to
	}
	return name
}

// restored gives the listing of a store that was the target of an earlier job, with what that store could not hold: fields from
// the manifest for entries that nobody changed since, and the directories and links that it has no place for.
type restored struct {
	listing *peeked
	kept    *peeked
	can     filecopy.Capabilities
}

func restore(listing, kept stream, can filecopy.Capabilities) stream {
	return &restored{listing: peek(listing), kept: peek(kept), can: can}
}

func (r *restored) next() (item, bool, error) {
	for {
		if r.listing.err != nil || r.kept.err != nil {
			return item{}, false, firstError(r.listing.err, r.kept.err)
		}
		switch order := compareHeads(r.listing, r.kept); {
		case !r.listing.ok && !r.kept.ok:
			return item{}, false, nil
		case order < 0:
			it := r.listing.head
			r.listing.advance()
			return it, true, nil
		case order > 0:
			it := r.kept.head
			r.kept.advance()
			if r.onlyKept(it.Kind) {
				return source(it), true, nil
			}
		default:
			it, kept := r.listing.head, r.kept.head
			r.listing.advance()
			r.kept.advance()
			return r.complete(it, kept), true, nil
		}
	}
}

// onlyKept says whether the store has no place for a kind.
func (r *restored) onlyKept(k filecopy.EntryKind) bool {
	return k == filecopy.Directory && !r.can.Directories || k == filecopy.Symlink && !r.can.Symlinks
}

// complete adds what the store could not hold.
func (r *restored) complete(it, kept item) item {
	if it.Kind != kept.Kind || it.Kind == filecopy.File && it.Version != kept.TargetVersion {
		return it
	}
	take(&it.Attributes, kept.Attributes, filecopy.AllFields&^r.can.Attributes)
	return it
}

func (r *restored) close() {
	r.listing.close()
	r.kept.close()
}

// source strips a manifest's item down to what a listing gives.
func source(it item) item { return item{Entry: it.Entry} }

// compareHeads orders the heads of two streams; one that ended comes last.
func compareHeads(a, b *peeked) int {
	switch {
	case a.ok && b.ok:
		return a.head.Path.Compare(b.head.Path)
	case a.ok:
		return -1
	case b.ok:
		return 1
	}
	return 0
}

func firstError(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}
