package native

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
)

// tally is what a plan adds up to.
type tally struct {
	// Listed counts entries of the source that were looked at.
	Listed int64 `json:"listed"`
	// Copies and CopyBytes are to be staged; Items are all lines of the plan.
	Copies    int64 `json:"copies"`
	CopyBytes int64 `json:"copyBytes"`
	Items     int64 `json:"items"`
	// Deletes counts entries that go, one by one also below a directory that goes at once.
	Deletes int64 `json:"deletes"`
	// FileDeletes are those of them that are files of the published set.
	FileDeletes int64 `json:"fileDeletes"`
	// Clears counts directories that go at once, and whatever goes for an entry of another kind.
	Clears int64 `json:"clears,omitempty"`
	// Vanished counts entries that stay although the source no longer had them when it was listed again.
	Vanished int64 `json:"vanished,omitempty"`
	// Present counts entries of the target, where it was listed.
	Present int64 `json:"present"`
	// Entries, Files and Bytes are the change of the set.
	Entries int64 `json:"entries"`
	Files   int64 `json:"files"`
	Bytes   int64 `json:"bytes"`
}

// planner decides, path by path, what brings the target to the state of the source. It sees three sorted streams: the source's entries,
// the manifest of the published set, and, when drift is to be repaired or nothing is published yet, the target's entries.
type planner struct {
	// comparable says that versions of the source mean the same as in the manifest.
	comparable bool
	// looked says that there is a listing of the target.
	looked bool
	// seeded says that what is kept comes from the manifest of a job in the other direction: it says what both trees held alike, and
	// belongs to no set of this job.
	seeded bool
	// once says that the source was listed once, and not held still: what seems to be gone may have been renamed past the listing.
	once bool
	// leaveRoot leaves the attributes of the root alone.
	leaveRoot bool
	source    filecopy.Capabilities
	target    filecopy.Capabilities
	names     filecopy.Principals
	check     func(filecopy.Path) error
	// gives says whether the target can have entries of an entry's owner and group; nil where it can have any.
	gives func(filecopy.Entry) error
	emit  func(*item) error
	// touch notes a directory whose times have to be set again when all is done.
	touch func(*item) error
	tally tally
	// above are the directories of the source above the present path.
	above []ancestor
	// retiring is the topmost path that is being retired; what lies below goes with it.
	retiring  filecopy.Path
	collapse  bool
	collapsed bool
}

// ancestor is a directory above the present path.
type ancestor struct {
	item    item
	touched bool
}

// sight is what is seen of one path; a nil pointer means that it is not there.
type sight struct {
	path    filecopy.Path
	source  *item
	kept    *item
	present *item
}

// run walks the streams to their ends.
func (p *planner) run(source, kept, present stream) error {
	s, m, t := peek(source), peek(kept), peek(present)
	for {
		if err := firstError(s.err, m.err, t.err); err != nil {
			return err
		}
		if !s.ok && !m.ok && !t.ok {
			return nil
		}
		seen := sight{path: lowest(s, m, t)}
		seen.source, seen.kept, seen.present = grab(s, seen.path), grab(m, seen.path), grab(t, seen.path)
		if err := p.path(seen); err != nil {
			return err
		}
	}
}

func lowest(all ...*peeked) filecopy.Path {
	var best *peeked
	for _, s := range all {
		if s.ok && (best == nil || s.head.Path.Compare(best.head.Path) < 0) {
			best = s
		}
	}
	return best.head.Path
}

// grab takes the head of a stream when it is of the path.
func grab(s *peeked, path filecopy.Path) *item {
	if !s.at(path) {
		return nil
	}
	it := s.head
	s.advance()
	return &it
}

// path decides for one path.
func (p *planner) path(seen sight) error {
	for len(p.above) > 0 && !seen.path.Below(p.above[len(p.above)-1].item.Path) {
		p.above = p.above[:len(p.above)-1]
	}
	if p.collapsed && !seen.path.Below(p.retiring) {
		p.collapsed = false
	}
	if p.seeded && seen.source == nil && seen.present == nil {
		return nil
	}
	if !p.stays(seen) {
		return nil
	}
	p.count(seen)
	if seen.source == nil {
		return p.absent(seen)
	}
	p.tally.Listed++
	if err := p.check(seen.path); err != nil {
		return named("plan", seen.path, err)
	}
	if err := p.owned(seen.source); err != nil {
		return err
	}
	seen.source.Inherits = p.inherits(seen.source)
	it := p.decide(seen)
	if seen.path == "" && p.leaveRoot && it != nil && it.Op != opMake {
		it.Op = opKeep
	}
	if it == nil && p.seeded {
		// No earlier set of this job holds the line.
		it = &item{Entry: seen.source.Entry, Inherits: seen.source.Inherits, Op: opKeep, TargetVersion: seen.kept.TargetVersion}
		it.Sum = seen.kept.Sum
	}
	if it != nil {
		if err := p.put(it, seen); err != nil {
			return err
		}
	}
	if seen.source.Kind == filecopy.Directory {
		p.above = append(p.above, ancestor{item: *seen.source})
	}
	return nil
}

// stays says whether a path belongs into the set, or is to go from it. What vanished before the second listing is not made anew, but what the target
// has of it stays: it may be under a name that this listing missed, and is not copied yet.
func (p *planner) stays(seen sight) bool {
	if seen.source == nil || !seen.source.vanished {
		return true
	}
	if seen.present == nil && (seen.kept == nil || p.seeded) {
		return false
	}
	p.tally.Vanished++
	return true
}

// owned refuses what the target could not give to whom it belongs: there it would be the mover's, and nobody else's.
func (p *planner) owned(it *item) error {
	if p.gives == nil || p.leaveRoot && it.Path == "" || !p.holds(it.Kind) {
		return nil
	}
	e := translate(it.Entry, p.names)
	err := p.gives(e)
	if !errors.Is(err, fs.ErrPermission) {
		return named("plan", it.Path, err)
	}
	out := failure("US738", understudy.KindDenied, "plan", fmt.Sprintf("%q belongs to %s:%s, and the target's user may not give files to them", string(it.Path), e.Owner, e.Group), err)
	out.Fix = "make understudy's user a superuser of the target, or map the names by principals to its own"
	return out
}

// inherits says whether an entry has its storage policy from the directory above. What lies in a root that is left alone has none from there.
func (p *planner) inherits(it *item) bool {
	if len(p.above) == 0 || it.StoragePolicy == "" {
		return false
	}
	above := &p.above[len(p.above)-1].item
	return above.Path == it.Path.Dir() && above.StoragePolicy == it.StoragePolicy && !p.spares(above)
}

// count keeps the account of the set.
func (p *planner) count(seen sight) {
	add := func(it *item, sign int64) {
		if it == nil {
			return
		}
		p.tally.Entries += sign
		if it.Kind == filecopy.File {
			p.tally.Files += sign
			p.tally.Bytes += sign * it.Size
		}
	}
	if seen.present != nil {
		p.tally.Present++
	}
	add(seen.source, 1)
	if !p.seeded {
		add(seen.kept, -1)
	}
}

// put hands an item of the source to the plan.
func (p *planner) put(it *item, seen sight) error {
	p.tally.Items++
	if it.Op == opKeep && !it.First {
		return p.emit(it)
	}
	if it.Op == opCopy {
		p.tally.Copies++
		p.tally.CopyBytes += it.Size
	}
	if it.First {
		if p.once {
			return errDoubt
		}
		p.tally.Deletes++
		p.tally.Clears++
		p.retiring, p.collapsed = it.Path, true
	}
	if it.Kind == filecopy.Directory && !p.spares(it) {
		if err := p.touch(seen.source); err != nil {
			return err
		}
	}
	if it.Op != opStyle {
		if err := p.touchParent(); err != nil {
			return err
		}
	}
	return p.emit(it)
}

// spares says that an item is the root whose attributes are somebody else's.
func (p *planner) spares(it *item) bool { return p.leaveRoot && it.Path == "" }

// touchParent notes the directory above the present path once.
func (p *planner) touchParent() error {
	if len(p.above) == 0 {
		return nil
	}
	a := &p.above[len(p.above)-1]
	if a.touched || p.spares(&a.item) {
		return nil
	}
	a.touched = true
	return p.touch(&a.item)
}

// absent decides for a path that the source does not have.
func (p *planner) absent(seen sight) error {
	if p.once {
		return errDoubt
	}
	p.tally.Deletes++
	if seen.kept != nil && seen.kept.Kind == filecopy.File && !p.seeded {
		p.tally.FileDeletes++
	}
	it := item{Gone: true, Op: opRetire, Entry: filecopy.Entry{Path: seen.path}}
	if p.collapsed {
		it.Op = opNone
		if seen.kept == nil {
			return nil
		}
	} else if p.holdsDirectory(seen) {
		p.tally.Clears++
		p.retiring, p.collapsed = seen.path, true
	}
	p.tally.Items++
	if it.Op == opRetire {
		if err := p.touchParent(); err != nil {
			return err
		}
	}
	return p.emit(&it)
}

// holdsDirectory says whether the target has a directory at a path, so that all below goes with it.
func (p *planner) holdsDirectory(seen sight) bool {
	was := seen.present
	if was == nil {
		was = seen.kept
	}
	return was.Kind == filecopy.Directory && p.target.Directories
}

// decide gives what is to be done for a path that the source has; nil for nothing.
func (p *planner) decide(seen sight) *item {
	it := item{Entry: seen.source.Entry, Inherits: seen.source.Inherits}
	if seen.kept != nil && seen.kept.Kind == filecopy.File && !p.seeded {
		it.Before = seen.kept.Size + 1
	}
	was := seen.kept
	if p.looked && !p.unlisted(seen) {
		was = seen.present
	}
	if was != nil && was.Kind != it.Kind && (p.holds(was.Kind) || was.Kind == filecopy.Directory) {
		it.First = true
		was, seen.kept, seen.present = nil, nil, nil
	}
	it.Op = opMake
	if it.Kind == filecopy.File {
		it.Op = opCopy
	}
	switch {
	case !p.holds(it.Kind):
		return p.manifestOnly(it, seen)
	case was == nil:
		p.expect(&it, seen)
		return &it
	case it.Kind == filecopy.File:
		return p.file(it, seen)
	case it.Kind == filecopy.Symlink:
		return p.link(it, seen, was)
	}
	return p.style(it, seen)
}

// unlisted says that the target may hold things below a path without showing a directory there, as stores of objects do.
func (p *planner) unlisted(seen sight) bool {
	return seen.present == nil && seen.kept != nil && seen.kept.Kind == filecopy.Directory && !p.target.Directories
}

// holds says whether the target has a place for a kind.
func (p *planner) holds(k filecopy.EntryKind) bool {
	return k == filecopy.File || k == filecopy.Directory && p.target.Directories || k == filecopy.Symlink && p.target.Symlinks
}

// manifestOnly keeps what the target cannot hold.
func (p *planner) manifestOnly(it item, seen sight) *item {
	if seen.kept != nil && seen.kept.Kind == it.Kind && seen.kept.Link == it.Link && differing(it.Attributes, seen.kept.Attributes, compared) == 0 {
		return nil
	}
	it.Op = opKeep
	return &it
}

// link makes a link anew when it names something else.
func (p *planner) link(it item, seen sight, was *item) *item {
	if was.Link != it.Link {
		return &it
	}
	return p.style(it, seen)
}

// unchanged says that the source's content is the one in the manifest.
func (p *planner) unchanged(it *item, kept *item) bool {
	return p.comparable && kept != nil && kept.Kind == filecopy.File && it.Version != "" && it.Version == kept.Version && it.Size == kept.Size
}

// expect says what content must come, when the listing gives its sum or the manifest knows the sum of this very version.
func (p *planner) expect(it *item, seen sight) {
	it.Expect, it.Sum = it.Sum, filecopy.Checksum{}
	if p.unchanged(it, seen.kept) {
		it.Expect = seen.kept.Sum
	}
}

// file decides for a file that the target should have already in some form.
func (p *planner) file(it item, seen sight) *item {
	intact := !p.looked || seen.kept != nil && seen.present.Version == seen.kept.TargetVersion
	if seen.kept != nil && intact && p.unchanged(&it, seen.kept) {
		it.Sum, it.TargetVersion = seen.kept.Sum, seen.kept.TargetVersion
		return p.style(it, seen)
	}
	p.expect(&it, seen)
	// Staging asks for sums before it copies: equal content may have got a new version, or may stand at the target already.
	if seen.kept != nil && intact && seen.kept.Size == it.Size {
		it.Sum, it.TargetVersion = seen.kept.Sum, seen.kept.TargetVersion
	} else if seen.present != nil && seen.present.Size == it.Size {
		it.TargetVersion = seen.present.Version
	}
	return &it
}

// style decides about attributes where content stays.
func (p *planner) style(it item, seen sight) *item {
	var manifest, target filecopy.Fields
	if seen.kept != nil {
		manifest = differing(it.Attributes, seen.kept.Attributes, compared)
		target = manifest & p.target.Attributes
	} else {
		manifest, target = compared, compared&p.target.Attributes
	}
	if p.looked {
		out := translate(it.Entry, p.names)
		target = differing(out.Attributes, seen.present.Attributes, compared&p.target.Attributes)
	}
	if seen.kept != nil && seen.kept.Inherits != it.Inherits {
		// The policy that applies may be the same; where it comes from is not.
		manifest |= filecopy.FieldStoragePolicy
		target |= filecopy.FieldStoragePolicy & p.target.Attributes
	}
	it.Op, it.Set = opStyle, target
	switch {
	case target != 0:
		return &it
	case manifest != 0 || it.Kind == filecopy.File && it.Version != seen.kept.Version:
		it.Op = opKeep
		return &it
	}
	return nil
}
