package native

import (
	"strings"

	"github.com/understudy-dr/understudy/filecopy"
)

// Modes that files and directories get at the target when nobody knows any: those that a plain copy would give them.
const (
	plainFile      = 0o644
	plainDirectory = 0o755
)

// implied completes the sorted listing of a store without directories or modes: each directory that a path names is there, and what
// has no mode gets a plain one. What an earlier job kept about them is put over it afterwards.
type implied struct {
	*peeked
	can filecopy.Capabilities
	// above are the directories above the last path.
	above []filecopy.Path
}

func imply(listing stream, can filecopy.Capabilities) stream {
	if can.Directories && can.Attributes.Has(filecopy.FieldMode) {
		return listing
	}
	return &implied{peeked: peek(listing), can: can}
}

func (m *implied) next() (item, bool, error) {
	if m.err != nil || !m.ok {
		return item{}, false, m.err
	}
	p := m.head.Path
	for len(m.above) > 0 && !p.Below(m.above[len(m.above)-1]) {
		m.above = m.above[:len(m.above)-1]
	}
	it := item{Entry: filecopy.Entry{Path: m.step(p), Kind: filecopy.Directory}}
	if it.Path == p || m.can.Directories {
		it = m.head
		m.advance()
	}
	if it.Kind == filecopy.Directory {
		m.above = append(m.above, it.Path)
	}
	plain(&it.Entry, m.can)
	return it, true, nil
}

// step gives the first path on the way to p that is not among those above.
func (m *implied) step(p filecopy.Path) filecopy.Path {
	if len(m.above) == 0 || p == "" {
		return ""
	}
	top := m.above[len(m.above)-1]
	rest := string(p)
	if top != "" {
		rest = rest[len(top)+1:]
	}
	element, _, _ := strings.Cut(rest, "/")
	return top.Join(element)
}

// plain gives an entry a mode when its store has none.
func plain(e *filecopy.Entry, can filecopy.Capabilities) {
	if can.Attributes.Has(filecopy.FieldMode) || e.Kind == filecopy.Symlink {
		return
	}
	if e.Mode = plainFile; e.Kind == filecopy.Directory {
		e.Mode = plainDirectory
	}
}
