package adls

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// grant is one entry of an access control list.
type grant struct {
	inherited  bool
	kind, name string
	bits       uint8
}

// list is an access control list: user, group and other are always in it, and a mask when somebody is named.
type list []grant

var errList = errors.New("the access control list is not valid")

func (g grant) String() string {
	scope := ""
	if g.inherited {
		scope = "default:"
	}
	return scope + g.kind + ":" + g.name + ":" + letters(g.bits)
}

func (l list) String() string {
	texts := make([]string, 0, len(l))
	for _, g := range l {
		texts = append(texts, g.String())
	}
	return strings.Join(texts, ",")
}

func letters(bits uint8) string {
	text := []byte("---")
	for i, c := range []byte("rwx") {
		if bits&(4>>i) != 0 {
			text[i] = c
		}
	}
	return string(text)
}

// plain is the list that a mode stands for.
func plain(mode uint16) list {
	return list{{kind: "user", bits: uint8(mode >> 6 & 7)}, {kind: "group", bits: uint8(mode >> 3 & 7)}, {kind: "other", bits: uint8(mode & 7)}}
}

// parseList reads the text of a whole list.
func parseList(text string) (list, error) {
	var l list
	for entry := range strings.SplitSeq(text, ",") {
		g, err := parseGrant(strings.TrimSpace(entry))
		if err != nil {
			return nil, err
		}
		if l.find(g.inherited, g.kind, g.name) != nil {
			return nil, fmt.Errorf("%w: %s is in it twice", errList, entry)
		}
		l = append(l, g)
	}
	return l.completed()
}

func parseGrant(text string) (grant, error) {
	var g grant
	rest, isDefault := strings.CutPrefix(text, "default:")
	g.inherited = isDefault
	fields := strings.Split(rest, ":")
	if len(fields) != 3 || !slices.Contains([]string{"user", "group", "mask", "other"}, fields[0]) || len(fields[2]) != 3 {
		return g, fmt.Errorf("%w: %q", errList, text)
	}
	if fields[1] != "" && (fields[0] == "mask" || fields[0] == "other") {
		return g, fmt.Errorf("%w: %q names somebody", errList, text)
	}
	g.kind, g.name = fields[0], fields[1]
	for i := range 3 {
		switch fields[2][i] {
		case "rwx"[i]:
			g.bits |= 4 >> i
		case '-':
		default:
			return g, fmt.Errorf("%w: %q", errList, text)
		}
	}
	return g, nil
}

// completed wants the three entries that every list has, takes those of the defaults from them, and adds the masks.
func (l list) completed() (list, error) {
	defaults := slices.ContainsFunc(l, func(g grant) bool { return g.inherited })
	for _, kind := range []string{"user", "group", "other"} {
		own := l.find(false, kind, "")
		if own == nil {
			return nil, fmt.Errorf("%w: %s:: is missing", errList, kind)
		}
		if defaults && l.find(true, kind, "") == nil {
			l = append(l, grant{inherited: true, kind: kind, bits: own.bits})
		}
	}
	for _, inherited := range []bool{false, true} {
		if l.find(inherited, "mask", "") == nil && l.named(inherited) {
			l = append(l, grant{inherited: inherited, kind: "mask", bits: l.union(inherited)})
		}
	}
	return l, nil
}

func (l list) find(inherited bool, kind, name string) *grant {
	for i := range l {
		if l[i].inherited == inherited && l[i].kind == kind && l[i].name == name {
			return &l[i]
		}
	}
	return nil
}

func (l list) named(inherited bool) bool {
	return slices.ContainsFunc(l, func(g grant) bool { return g.inherited == inherited && g.name != "" })
}

// union is what all but the owner and others may do together.
func (l list) union(inherited bool) (bits uint8) {
	for _, g := range l {
		if g.inherited == inherited && (g.kind == "group" || g.name != "") {
			bits |= g.bits
		}
	}
	return bits
}

// chmod sets the bits of owner, group and others; where there is a mask, the group's bits are the mask's.
func (l list) chmod(mode uint16) list {
	l = slices.Clone(l)
	l.find(false, "user", "").bits = uint8(mode >> 6 & 7)
	l.find(false, "other", "").bits = uint8(mode & 7)
	l.middle().bits = uint8(mode >> 3 & 7)
	return l
}

// middle is the entry that the permissions show for the group.
func (l list) middle() *grant {
	if mask := l.find(false, "mask", ""); mask != nil {
		return mask
	}
	return l.find(false, "group", "")
}

// permissions is the text of the bits, with a plus sign when there is more to the list.
func (l list) permissions(sticky bool) string {
	text := []byte(letters(l.find(false, "user", "").bits) + letters(l.middle().bits) + letters(l.find(false, "other", "").bits))
	if sticky {
		text[8] = map[byte]byte{'x': 't', '-': 'T'}[text[8]]
	}
	if len(l) > 3 {
		text = append(text, '+')
	}
	return string(text)
}

// heir is the list of something made below a directory with this list: that of its mode where nothing is inherited.
func (l list) heir(mode, umask uint16, dir bool) list {
	var made list
	for _, g := range l {
		if !g.inherited {
			continue
		}
		g.inherited = false
		made = append(made, g)
	}
	if made == nil {
		return plain(mode &^ umask)
	}
	made.find(false, "user", "").bits &= uint8(mode >> 6 & 7)
	made.middle().bits &= uint8(mode >> 3 & 7)
	made.find(false, "other", "").bits &= uint8(mode & 7)
	for _, g := range l {
		if g.inherited && dir {
			made = append(made, g)
		}
	}
	return made
}

// parseMode reads permissions in octal, as in "1750", or in letters, as in "rwxr-x---".
func parseMode(text string) (mode uint16, sticky bool, err error) {
	if n, err := strconv.ParseUint(text, 8, 12); err == nil {
		return uint16(n & 0o777), n&0o1000 != 0, nil
	}
	text = strings.TrimSuffix(text, "+")
	if len(text) != 9 {
		return 0, false, fmt.Errorf("%q is no permission", text)
	}
	for i := range 9 {
		c := text[i]
		switch {
		case c == "rwxrwxrwx"[i]:
			mode |= 1 << (8 - i)
		case i == 8 && c == 't':
			mode, sticky = mode|1, true
		case i == 8 && c == 'T':
			sticky = true
		case c != '-':
			return 0, false, fmt.Errorf("%q is no permission", text)
		}
	}
	return mode, sticky, nil
}
