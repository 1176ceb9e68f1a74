package filecopy

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Path names an entry below a store's root: elements separated by '/', without one at either end. The root is the empty
// path. It is bytes, not text: every byte but NUL and '/' may stand in an element, and no element is ".", ".." or empty.
type Path string

// Check refuses what is no path. The root passes.
func (p Path) Check() error {
	if p == "" {
		return nil
	}
	for _, element := range strings.Split(string(p), "/") {
		if element == "" || element == "." || element == ".." || strings.IndexByte(element, 0) >= 0 {
			return fmt.Errorf("%q is no path below a root", string(p))
		}
	}
	return nil
}

// IsText says whether the path is UTF-8, as JSON and people can have it. encoding/json puts U+FFFD in the place of other bytes, and says nothing.
func (p Path) IsText() bool { return utf8.ValidString(string(p)) }

// Text gives the path as text. One that IsText is as it stands. In another each byte that is no UTF-8 is \xHH and each backslash \\, as Go and
// printf %b of bash read it, and FromText gives it back; whoever keeps the text keeps beside it which of the two it is.
func (p Path) Text() string {
	if p.IsText() {
		return string(p)
	}
	var out strings.Builder
	for rest := string(p); rest != ""; {
		r, n := utf8.DecodeRuneInString(rest)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&out, `\x%02x`, rest[0])
		case r == '\\':
			out.WriteString(`\\`)
		default:
			out.WriteString(rest[:n])
		}
		rest = rest[n:]
	}
	return out.String()
}

// FromText gives the path whose Text is an escaped one, and refuses what is none.
func FromText(escaped string) (Path, error) {
	var out strings.Builder
	for rest := escaped; rest != ""; {
		plain, after, more := strings.Cut(rest, `\`)
		out.WriteString(plain)
		if !more {
			break
		}
		switch {
		case strings.HasPrefix(after, `\`):
			out.WriteByte('\\')
			rest = after[1:]
		case len(after) >= 3 && after[0] == 'x':
			b, err := strconv.ParseUint(after[1:3], 16, 8)
			if err != nil {
				return "", fmt.Errorf("%q is no escaped path: %w", escaped, err)
			}
			out.WriteByte(byte(b))
			rest = after[3:]
		default:
			return "", fmt.Errorf("%q is no escaped path", escaped)
		}
	}
	p := Path(out.String())
	return p, p.Check()
}

// Base gives the last element; empty for the root.
func (p Path) Base() string { return string(p[strings.LastIndexByte(string(p), '/')+1:]) }

// Dir gives the path of the directory that holds p; the root's is the root.
func (p Path) Dir() Path {
	if i := strings.LastIndexByte(string(p), '/'); i >= 0 {
		return p[:i]
	}
	return ""
}

// Join gives the path of an entry of the directory p.
func (p Path) Join(name string) Path {
	if p == "" {
		return Path(name)
	}
	return p + "/" + Path(name)
}

// Below says whether p is dir or lies below it. Everything lies below the root.
func (p Path) Below(dir Path) bool {
	if dir == "" || p == dir {
		return true
	}
	return len(p) > len(dir) && p[len(dir)] == '/' && p[:len(dir)] == dir
}

// Rebase gives the path that p has after the directory from, at or above p, was renamed to to.
func (p Path) Rebase(from, to Path) Path {
	if p == from {
		return to
	}
	rest := p
	if from != "" {
		rest = p[len(from)+1:]
	}
	return to.Join(string(rest))
}

// Compare orders paths as a walk of the tree meets them: a directory right before all that is below it, and the entries
// of one directory by the bytes of their names. It is the order of manifests. It differs from the order of bytes in that
// '/' comes before every other byte.
func (p Path) Compare(q Path) int {
	n := min(len(p), len(q))
	for i := range n {
		a, b := p[i], q[i]
		if a == b {
			continue
		}
		if a == '/' {
			return -1
		}
		if b == '/' || a > b {
			return 1
		}
		return -1
	}
	return len(p) - len(q)
}

// Unlisted gives the first character of a name that XML 1.0 has no place for, or the one that some servers list in its stead; -1 when
// there is none. Not every server of objects encodes such names in listings, so none of these stores takes them.
func Unlisted(name string) rune {
	for _, r := range name {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r >= '\ufffd' && r <= '\uffff' {
			return r
		}
	}
	return -1
}

// Nesting finds objects that would be files and directories at once, in a listing in the order of the bytes of their keys: all that
// begin with one key follow it without a gap.
type Nesting struct{ prefixes []string }

// Add takes the next key, and says which earlier one is a file where this one needs a directory.
func (n *Nesting) Add(key string) (file string, clash bool) {
	for len(n.prefixes) > 0 && !strings.HasPrefix(key, n.prefixes[len(n.prefixes)-1]) {
		n.prefixes = n.prefixes[:len(n.prefixes)-1]
	}
	for _, p := range n.prefixes {
		if len(key) > len(p) && key[len(p)] == '/' {
			return p, true
		}
	}
	n.prefixes = append(n.prefixes, key)
	return "", false
}
