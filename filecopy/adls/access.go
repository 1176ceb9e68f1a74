package adls

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/file"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/internal/azure"
)

// The permission bits that the service keeps: those of everything, and the sticky bit of directories.
const (
	bitsMask  = 0o777
	stickyBit = 0o1000
)

// access asks for owner, group, permissions and list of a path.
func (s *Store) access(ctx context.Context, name string) (filecopy.Attributes, error) {
	f, err := s.file(ctx, name)
	if err != nil {
		return filecopy.Attributes{}, err
	}
	now, err := f.GetAccessControl(ctx, nil)
	if err != nil {
		return filecopy.Attributes{}, tell(err)
	}
	a, err := s.attributes(now.Owner, now.Group, now.Permissions)
	if err == nil && now.ACL != nil && s.fields.Has(filecopy.FieldACL) {
		a.ACL = beyond(*now.ACL)
	}
	return a, err
}

// attributes are those that a listing tells.
func (s *Store) attributes(owner, group, permissions *string) (filecopy.Attributes, error) {
	var a filecopy.Attributes
	if permissions == nil {
		return a, fmt.Errorf("the service gave no permissions")
	}
	mode, err := parseMode(*permissions)
	if err != nil {
		return a, err
	}
	a.Mode = mode
	if s.fields.Has(filecopy.FieldOwner) && owner != nil && group != nil {
		a.Owner, a.Group = *owner, *group
	}
	return a, nil
}

// parseMode reads permissions such as "rwxr-x--T+".
func parseMode(text string) (uint32, error) {
	letters := strings.TrimSuffix(text, "+")
	if len(letters) != 9 {
		return 0, fmt.Errorf("the service gave the permissions %q", text)
	}
	mode := uint32(0)
	for i := range 9 {
		switch c := letters[i]; {
		case c == "rwxrwxrwx"[i]:
			mode |= 1 << (8 - i)
		case i == 8 && c == 't':
			mode |= 1 | stickyBit
		case i == 8 && c == 'T':
			mode |= stickyBit
		case c != '-':
			return 0, fmt.Errorf("the service gave the permissions %q", text)
		}
	}
	return mode, nil
}

// extended says whether permissions tell of more entries in the list.
func extended(permissions *string) bool {
	return permissions != nil && strings.HasSuffix(*permissions, "+")
}

// beyond gives the entries of a whole list beyond what the mode says: the group's own bits are in the mode unless there is a mask.
func beyond(list string) []string {
	all := strings.Split(list, ",")
	masked := slices.ContainsFunc(all, func(e string) bool { return strings.HasPrefix(e, "mask:") })
	var more []string
	for _, e := range all {
		switch {
		case strings.HasPrefix(e, "user::"), strings.HasPrefix(e, "other:"), strings.HasPrefix(e, "mask:"), e == "":
		case strings.HasPrefix(e, "group::") && !masked:
		default:
			more = append(more, e)
		}
	}
	slices.Sort(more)
	return more
}

// whole gives the list that mode and entries stand for.
func whole(mode uint32, more []string) string {
	bits := func(shift uint) string {
		text := []byte("rwx")
		for i := range text {
			if mode>>shift&(4>>i) == 0 {
				text[i] = '-'
			}
		}
		return string(text)
	}
	list := []string{"user::" + bits(6), "other::" + bits(0)}
	if slices.ContainsFunc(more, func(e string) bool { return !strings.HasPrefix(e, "default:") }) {
		list = append(list, "mask::"+bits(3))
	}
	if !slices.ContainsFunc(more, func(e string) bool { return strings.HasPrefix(e, "group::") }) {
		list = append(list, "group::"+bits(3))
	}
	return strings.Join(append(list, more...), ",")
}

// dress gives a path its attributes. A list takes a request, and the sticky bit one more, since the service takes no list together with
// permissions.
func (s *Store) dress(ctx context.Context, name string, a filecopy.Attributes, sticky bool) error {
	options := &file.SetAccessControlOptions{}
	permissions := fmt.Sprintf("%04o", a.Mode&(bitsMask|stickyBit))
	if !s.fields.Has(filecopy.FieldACL) {
		options.Permissions = &permissions
		return s.control(ctx, name, options)
	}
	list := whole(a.Mode, a.ACL)
	options.ACL = &list
	if a.Owner != "" {
		options.Owner = &a.Owner
	}
	if a.Group != "" {
		options.Group = &a.Group
	}
	err := s.control(ctx, name, options)
	if err == nil && sticky {
		err = s.control(ctx, name, &file.SetAccessControlOptions{Permissions: &permissions})
	}
	return err
}

func (s *Store) control(ctx context.Context, name string, options *file.SetAccessControlOptions) error {
	f, err := s.file(ctx, name)
	if err != nil {
		return err
	}
	_, err = f.SetAccessControl(ctx, options)
	if azure.Refused(err) {
		return notTaken(name, tell(err))
	}
	return tell(err)
}

// SetAttributes sets what the service keeps of the given fields.
func (s *Store) SetAttributes(ctx context.Context, p filecopy.Path, a filecopy.Attributes, f filecopy.Fields) error {
	now, err := s.access(ctx, s.at.Name(p))
	if err != nil {
		return err
	}
	want := now
	if f.Has(filecopy.FieldOwner) && a.Owner != "" {
		want.Owner = a.Owner
	}
	if f.Has(filecopy.FieldGroup) && a.Group != "" {
		want.Group = a.Group
	}
	if f.Has(filecopy.FieldMode) {
		want.Mode = a.Mode & (bitsMask | stickyBit)
	}
	if f.Has(filecopy.FieldACL) && s.fields.Has(filecopy.FieldACL) {
		want.ACL = a.ACL
	}
	if want.Mode == now.Mode && slices.Equal(want.ACL, now.ACL) && (!s.fields.Has(filecopy.FieldOwner) || want.Owner == now.Owner && want.Group == now.Group) {
		return nil
	}
	if err := s.unbarred(ctx); err != nil {
		return err
	}
	return s.dress(ctx, s.at.Name(p), want, (want.Mode|now.Mode)&stickyBit != 0)
}
