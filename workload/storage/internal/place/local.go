package place

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/local"
)

// nobody is the number of the user as whom a probe is made; on Linux it owns nothing.
const nobody = 65534

// localSite is a directory of this machine.
type localSite struct {
	root     string
	noXattrs []string
}

// Local gives the site of trees below a directory of this machine. Extended attributes of the named trees are left out.
func Local(root string, noXattrs ...string) Site { return localSite{filepath.Clean(root), noXattrs} }

// Close has nothing to close.
func (localSite) Close() error { return nil }

// Look names the file system and the directory, so that an empty mount point is another site.
func (s localSite) Look(ctx context.Context) (Identity, error) {
	store, err := local.New(local.Config{Root: s.root})
	if err != nil {
		return Identity{}, err
	}
	root, err := store.Probe(ctx)
	if TurnedAway(err) {
		return Identity{}, fmt.Errorf("%w: %w", ErrTurnedAway, err)
	}
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	id := Identity{Name: "local." + root.Identity, User: strconv.Itoa(os.Geteuid()), Super: os.Geteuid() == 0, CouldPass: []string{"root"}}
	if u, err := user.Current(); err == nil {
		id.User = u.Username
	}
	if !id.Super {
		id.CouldPass = append(id.CouldPass, id.User+", as whom understudy runs")
	}
	return id, nil
}

// Tree gives a tree below the directory.
func (s localSite) Tree(path string) Tree {
	return localTree{filepath.Join(s.root, path), slices.Contains(s.noXattrs, path)}
}

// localTree is a tree of this machine.
type localTree struct {
	root     string
	noXattrs bool
}

func (t localTree) at(elements ...string) string {
	return filepath.Join(append([]string{folderOf(t.root)}, elements...)...)
}

// Store opens the tree.
func (t localTree) Store(_ context.Context, folder string, _ bool) (filecopy.Target, error) {
	return local.New(local.Config{Root: t.root, Area: t.at(folder), NoXattrs: t.noXattrs})
}

// Folders lists understudy's folder.
func (t localTree) Folders(context.Context) ([]Folder, error) {
	list, err := os.ReadDir(t.at())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []Folder
	for _, e := range list {
		out = append(out, Folder{Name: e.Name(), Barred: !e.IsDir()})
	}
	return out, err
}

// maxBars is how often a folder that comes back is moved aside.
const maxBars = 100

// Bar puts a file in the place of a folder.
func (t localTree) Bar(ctx context.Context, folder, aside string) error {
	if err := os.MkdirAll(t.at(), 0o700); err != nil {
		return err
	}
	for n := range maxBars {
		if err := ctx.Err(); err != nil {
			return err
		}
		info, err := os.Lstat(t.at(folder))
		switch {
		case err == nil && !info.IsDir():
			return syncDir(t.at())
		case err == nil:
			err = os.Rename(t.at(folder), t.at(free(aside, n)))
		case errors.Is(err, fs.ErrNotExist):
			err = put(t.at(folder))
		}
		if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return fmt.Errorf("%s comes back each time it is moved away", t.at(folder))
}

// free is the nth name to move a folder to.
func free(aside string, n int) string {
	if n == 0 {
		return aside
	}
	return fmt.Sprintf("%s.%d", aside, n)
}

// put makes an empty file where nothing is.
func put(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o400)
	if err != nil {
		return err
	}
	return f.Close()
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Rename gives a folder another name.
func (t localTree) Rename(_ context.Context, from, to string) (bool, error) {
	if _, err := os.Lstat(t.at(to)); err == nil {
		return false, nil
	}
	err := os.Rename(t.at(from), t.at(to))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Remove removes a folder.
func (t localTree) Remove(_ context.Context, folder string) error { return os.RemoveAll(t.at(folder)) }

// Try makes a file below the root.
func (t localTree) Try(_ context.Context, who Who) error {
	if err := t.tidy(); err != nil {
		return err
	}
	name := probe()
	if who == Ordinary {
		err := local.TryCreate(t.root, name, nobody)
		switch {
		case errors.Is(err, errors.ErrUnsupported):
			return ErrUnproven
		case errors.Is(err, fs.ErrPermission):
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
		return err
	}
	path := filepath.Join(t.root, name)
	err := put(path)
	if err == nil {
		err = os.Remove(path)
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return err
}

// namesAtOnce is how many names of a directory are read at once.
const namesAtOnce = 1000

// tidy removes probes whose makers were killed.
func (t localTree) tidy() error {
	d, err := os.Open(t.root)
	if err != nil {
		return absent(err)
	}
	defer func() { _ = d.Close() }()
	for {
		some, err := d.ReadDir(namesAtOnce)
		for _, e := range some {
			if err := t.remove(e); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// remove removes an entry of the root if it is a probe whose maker was killed.
func (t localTree) remove(e fs.DirEntry) error {
	if !left(e.Name()) {
		return nil
	}
	info, err := e.Info()
	if err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		err = os.Remove(filepath.Join(t.root, e.Name()))
	}
	return absent(err)
}

// absent takes what is not there, or not ours to look at, as done.
func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}
