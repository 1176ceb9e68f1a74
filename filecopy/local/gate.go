package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// gateName is the link in the area through which every change of the tree leads that takes nothing out of the area and puts nothing into it.
const gateName = "gate"

// gate gives the path of a name in an open directory of the tree, for one call of the kernel. The path leads through the area first and on to
// the open directory: who puts a file in the area's place bars every call that is made later, whatever was opened before. Links within the
// tree are not followed on the way, as the directory was opened without. On systems without open directories as paths it gives the name alone,
// and the directory in which it is to be looked up.
func (s *Store) gate(call string, fd int, name string) (int, string, error) {
	defer s.reach(call)
	if gateTarget == "" {
		return fd, name, nil
	}
	if !s.gated.Load() {
		link := s.place(gateName)
		err := os.Symlink(gateTarget, link)
		if errors.Is(err, fs.ErrNotExist) {
			err = firstOf(os.MkdirAll(s.area, 0o700), os.Symlink(gateTarget, link))
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return fd, name, tell(err, "pass", link)
		}
		s.gated.Store(true)
	}
	return unix.AT_FDCWD, fmt.Sprintf("%s/%d/%s", s.place(gateName), fd, name), nil
}

// reach lets a test stop right before a call of the kernel that changes what readers see.
func (s *Store) reach(call string) {
	if s.reached != nil {
		s.reached(call)
	}
}
