package native

import "github.com/understudy-dr/understudy/filecopy"

// former reads the manifest at rising paths.
type former struct {
	in    stream
	floor *floor
	head  item
	ok    bool
	ended bool
}

// at gives the line of a path, if there is one.
func (f *former) at(p filecopy.Path) (item, bool, error) {
	for !f.ended && (!f.ok || f.head.Path.Compare(p) < 0) {
		f.floor.path = p
		it, ok, err := f.in.next()
		if err != nil {
			return item{}, false, err
		}
		f.head, f.ok, f.ended = it, ok, !ok
	}
	return f.head, f.ok && f.head.Path == p, nil
}

// deepen looks below a directory to which another storage policy applies now, because it was set there, or above, or because the directory
// came from elsewhere: no diff names what inherits it.
func (f *former) deepen(it *item, there bool) error {
	if !there || it.Deep || it.Kind != filecopy.Directory {
		return nil
	}
	was, known, err := f.at(it.Path)
	it.Deep = known && was.Kind == filecopy.Directory && was.StoragePolicy != it.StoragePolicy
	return err
}
