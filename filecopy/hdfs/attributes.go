package hdfs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/wire/hdfs"
)

// setAttributes sets fields of a path in the area.
func (s *Store) setAttributes(ctx context.Context, name string, kind filecopy.EntryKind, a filecopy.Attributes, f filecopy.Fields) error {
	return s.style(ctx, name, kind, a, f, context.Context.Err)
}

// style sets fields of a path, and asks before each call. Times come last, since some of the others change them.
func (s *Store) style(ctx context.Context, name string, kind filecopy.EntryKind, a filecopy.Attributes, f filecopy.Fields, before func(context.Context) error) error {
	f &= s.fields
	for _, step := range []struct {
		field filecopy.Fields
		set   func() error
	}{
		{filecopy.FieldOwner | filecopy.FieldGroup, func() error { return s.setOwner(ctx, name, a, f) }},
		{filecopy.FieldMode, func() error { return s.client.SetPermission(ctx, name, uint16(a.Mode&0o1777)) }},
		{filecopy.FieldACL, func() error { return s.setACL(ctx, name, a) }},
		{filecopy.FieldXattrs, func() error { return s.setXattrs(ctx, name, a.Xattrs) }},
		{filecopy.FieldReplication, func() error { return s.setReplication(ctx, name, kind, a) }},
		{filecopy.FieldStoragePolicy, func() error { return s.setPolicy(ctx, name, a.StoragePolicy) }},
		{filecopy.FieldModified | filecopy.FieldAccessed, func() error { return s.setTimes(ctx, name, kind, a, f) }},
	} {
		if f&step.field == 0 {
			continue
		}
		if err := before(ctx); err != nil {
			return err
		}
		if err := step.set(); err != nil {
			return tell(err)
		}
	}
	return nil
}

func (s *Store) setOwner(ctx context.Context, name string, a filecopy.Attributes, f filecopy.Fields) error {
	owner, group := a.Owner, a.Group
	if !f.Has(filecopy.FieldOwner) {
		owner = ""
	}
	if !f.Has(filecopy.FieldGroup) {
		group = ""
	}
	if owner == "" && group == "" {
		return nil
	}
	err := s.client.SetOwner(ctx, name, owner, group)
	if !hdfs.IsPermission(err) {
		return err
	}
	// A NameNode also refuses who gives what he is no superuser or member for where it is there already.
	now, look := s.client.Stat(ctx, name)
	if look == nil && (owner == "" || now.Owner == owner) && (group == "" || now.Group == group) {
		return nil
	}
	return err
}

// belonging is an owner with a group.
type belonging struct{ owner, group string }

// triedName is the file in the area that is given away to find out whether the NameNode lets us.
const triedName = "given"

// Gives gives an empty file in the area away. The answer holds as long as the store.
func (s *Store) Gives(ctx context.Context, owner, group string) error {
	if !s.ordinary || owner == "" && group == "" {
		return nil
	}
	to := belonging{owner, group}
	if known, ok := s.given.Load(to); ok {
		refused, _ := known.(error)
		return refused
	}
	err := s.tryGiving(ctx, to)
	switch {
	case err == nil:
		s.given.Store(to, nil)
	case hdfs.IsPermission(err):
		s.given.Store(to, err)
	}
	return tell(err)
}

func (s *Store) tryGiving(ctx context.Context, to belonging) error {
	if err := s.client.Mkdirs(ctx, s.area, privateMode); err != nil {
		return err
	}
	w, err := s.client.Create(ctx, s.place(triedName), hdfs.CreateOptions{Overwrite: true, Mode: 0o600})
	if err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	err = s.setOwner(ctx, s.place(triedName), filecopy.Attributes{Owner: to.owner, Group: to.group}, filecopy.FieldOwner|filecopy.FieldGroup)
	if gone := s.client.Delete(ctx, s.place(triedName), false); err == nil && !hdfs.IsNotFound(gone) {
		err = gone
	}
	return err
}

func (s *Store) setReplication(ctx context.Context, name string, kind filecopy.EntryKind, a filecopy.Attributes) error {
	if kind != filecopy.File || a.Replication == 0 {
		return nil
	}
	return s.client.SetReplication(ctx, name, int(a.Replication))
}

func (s *Store) setPolicy(ctx context.Context, name, policy string) error {
	if policy == "" {
		return s.client.UnsetStoragePolicy(ctx, name)
	}
	return s.client.SetStoragePolicy(ctx, name, policy)
}

func (s *Store) setTimes(ctx context.Context, name string, kind filecopy.EntryKind, a filecopy.Attributes, f filecopy.Fields) error {
	var modified, accessed time.Time
	if f.Has(filecopy.FieldModified) && a.Modified != 0 {
		modified = time.UnixMilli(a.Modified)
	}
	if f.Has(filecopy.FieldAccessed) && a.Accessed != 0 && kind == filecopy.File {
		accessed = time.UnixMilli(a.Accessed)
	}
	if modified.IsZero() && accessed.IsZero() {
		return nil
	}
	return s.client.SetTimes(ctx, name, modified, accessed)
}

// setACL replaces the list; the group bits of the mode are its mask, unless all entries are defaults for what will be made below.
func (s *Store) setACL(ctx context.Context, name string, a filecopy.Attributes) error {
	if len(a.ACL) == 0 {
		return s.client.RemoveACL(ctx, name)
	}
	bits := func(shift uint) uint8 { return uint8(a.Mode >> shift & 7) }
	list := []hdfs.ACLEntry{
		{Kind: hdfs.ACLUser, Permission: bits(6)},
		{Kind: hdfs.ACLOther, Permission: bits(0)},
	}
	if slices.ContainsFunc(a.ACL, func(text string) bool { return !strings.HasPrefix(text, "default:") }) {
		list = append(list, hdfs.ACLEntry{Kind: hdfs.ACLMask, Permission: bits(3)})
	}
	for _, text := range a.ACL {
		e, err := parseACL(text)
		if err != nil {
			return err
		}
		list = append(list, e)
	}
	if !slices.ContainsFunc(list, func(e hdfs.ACLEntry) bool { return e.Kind == hdfs.ACLGroup && e.Name == "" && !e.Default }) {
		list = append(list, hdfs.ACLEntry{Kind: hdfs.ACLGroup, Permission: bits(3)})
	}
	return s.client.SetACL(ctx, name, list)
}

// parseACL reads one entry, such as default:user:ada:r-x.
func parseACL(text string) (hdfs.ACLEntry, error) {
	var e hdfs.ACLEntry
	rest, isDefault := strings.CutPrefix(text, "default:")
	e.Default = isDefault
	kind, rest, _ := strings.Cut(rest, ":")
	name, permission, ok := strings.Cut(rest, ":")
	at := slices.Index([]string{"user", "group", "mask", "other"}, kind)
	if !ok || at < 0 || len(permission) != 3 {
		return e, fmt.Errorf("%q is no entry of an access control list", text)
	}
	e.Name, e.Kind = name, []hdfs.ACLKind{hdfs.ACLUser, hdfs.ACLGroup, hdfs.ACLMask, hdfs.ACLOther}[at]
	for i, bit := range []uint8{4, 2, 1} {
		if permission[i] != '-' {
			e.Permission |= bit
		}
	}
	return e, nil
}

// setXattrs makes the extended attributes what they should be.
func (s *Store) setXattrs(ctx context.Context, name string, want []filecopy.Xattr) error {
	have, err := s.client.GetXAttrs(ctx, name)
	if err != nil {
		return err
	}
	for _, x := range want {
		if !ours(x.Name) {
			continue
		}
		if err := s.client.SetXAttr(ctx, name, hdfs.XAttr{Name: x.Name, Value: x.Value}); err != nil {
			return err
		}
	}
	for _, x := range have {
		kept := slices.ContainsFunc(want, func(w filecopy.Xattr) bool { return w.Name == x.Name })
		if kept || !ours(x.Name) {
			continue
		}
		if err := s.client.RemoveXAttr(ctx, name, x.Name); err != nil {
			return err
		}
	}
	return nil
}

// SetAttributes sets fields of an entry.
func (s *Store) SetAttributes(ctx context.Context, p filecopy.Path, a filecopy.Attributes, f filecopy.Fields) error {
	info, err := s.client.Stat(ctx, s.at(p))
	if err != nil {
		return tell(err)
	}
	kind := filecopy.File
	if info.IsDir() {
		kind = filecopy.Directory
	}
	return s.style(ctx, s.at(p), kind, a, f&^s.settled(info, a), s.open)
}

// settled are the fields that need no call because there is nothing to set or to clear.
func (s *Store) settled(info *hdfs.FileInfo, a filecopy.Attributes) filecopy.Fields {
	f := filecopy.FieldBlockSize
	if len(a.ACL) == 0 && !info.HasACL {
		f |= filecopy.FieldACL
	}
	if a.StoragePolicy == "" && info.StoragePolicy == 0 {
		f |= filecopy.FieldStoragePolicy
	}
	if int(a.Replication) == info.Replication {
		f |= filecopy.FieldReplication
	}
	if a.Owner == info.Owner && a.Group == info.Group {
		f |= filecopy.FieldOwner | filecopy.FieldGroup
	}
	if uint16(a.Mode&0o1777) == info.Mode && len(a.ACL) == 0 {
		f |= filecopy.FieldMode
	}
	return f
}

// madeDir is where directories are made, below the staging place.
const madeDir = stagingDir + "/made"

// MakeDirectory makes a directory; the root with all above it. Others are made in the area and come out of it by a rename, so that who has put
// a file in the area's place bars them.
func (s *Store) MakeDirectory(ctx context.Context, e filecopy.Entry) error {
	fields := filecopy.AllFields
	if s.hidden && len(e.Xattrs) == 0 {
		// A new directory has none to clear.
		fields &^= filecopy.FieldXattrs
	}
	info, err := s.client.Stat(ctx, s.at(e.Path))
	switch {
	case !hdfs.IsNotFound(err):
	case e.Path == "":
		err = s.client.Mkdirs(ctx, s.root, uint16(e.Mode&0o1777))
	case s.hidden:
		err = s.client.Mkdir(ctx, s.at(e.Path), uint16(e.Mode&0o1777))
	default:
		if err = s.bringDirectory(ctx, e); err == nil {
			return nil
		}
	}
	if info == nil && (err == nil || errors.Is(err, hdfs.ErrExists)) {
		info, err = s.client.Stat(ctx, s.at(e.Path))
	}
	if err != nil {
		return tell(err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%w: %q is no directory", filecopy.ErrChanged, string(e.Path))
	}
	return s.style(ctx, s.at(e.Path), filecopy.Directory, e.Attributes, fields&^s.settled(info, e.Attributes), s.open)
}

// bringDirectory makes a directory in the area, gives it its attributes, and renames it to its place, which is free.
func (s *Store) bringDirectory(ctx context.Context, e filecopy.Entry) error {
	id := make([]byte, 12)
	if _, err := rand.Read(id); err != nil {
		return err
	}
	name := s.place(madeDir, hex.EncodeToString(id))
	mode := uint16(e.Mode & 0o1777)
	err := s.client.Mkdir(ctx, name, mode)
	if hdfs.IsNotFound(err) {
		if err = s.client.Mkdirs(ctx, s.place(madeDir), privateMode); err == nil {
			err = s.client.Mkdir(ctx, name, mode)
		}
	}
	// What is empty on a new directory need not be cleared.
	made := hdfs.FileInfo{Mode: mode}
	f := filecopy.AllFields &^ s.settled(&made, e.Attributes)
	if len(e.Xattrs) == 0 {
		f &^= filecopy.FieldXattrs
	}
	if err == nil {
		err = s.setAttributes(ctx, name, filecopy.Directory, e.Attributes, f)
	}
	if err == nil {
		err = s.rename(ctx, name, s.at(e.Path))
	}
	if errors.Is(err, hdfs.ErrExists) {
		return errors.Join(err, absentIsFine(s.client.Delete(ctx, name, true)))
	}
	return err
}

// MakeLink does nothing: servers refuse to make links, and the manifest keeps them.
func (s *Store) MakeLink(context.Context, filecopy.Entry) error { return nil }
