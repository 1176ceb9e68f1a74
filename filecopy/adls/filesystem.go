package adls

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/file"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/internal/azure"
)

// FileSystem is a file system as a whole: its trees, and what is done in it beside them. It is safe for concurrent use.
type FileSystem struct {
	config Config
	all    *Store
}

// OpenFileSystem gives a file system; root and area of the configuration are ignored. It asks nothing.
func OpenFileSystem(c Config) (*FileSystem, error) {
	c.Root, c.Area = "", ".understudy"
	all, err := New(c)
	if err != nil {
		return nil, err
	}
	return &FileSystem{c, all}, nil
}

// Tree gives the store of a tree.
func (f *FileSystem) Tree(root, area string) (*Store, error) {
	config := f.config
	config.Root, config.Area = root, area
	return New(config)
}

// Name gives host, account where the URL has it in its path, and file system.
func (f *FileSystem) Name() string { return f.all.identity() }

// Look asks whether the file system is there, has real directories and may be used, and how far the service's clock is before ours, to the
// second. filecopy.ErrNotFound, fs.ErrPermission; an account without a hierarchical namespace is US640.
func (f *FileSystem) Look(ctx context.Context) (skew time.Duration, err error) {
	return azure.Skew(ctx, f.all.Probe)
}

// Child is what lies right in a directory.
type Child struct {
	Name      string
	Directory bool
}

// Names lists what lies right in a directory; filecopy.ErrNotFound.
func (f *FileSystem) Names(ctx context.Context, dir string) ([]Child, error) {
	var all []Child
	err := f.all.each(ctx, dir, false, func(h held) error {
		all = append(all, Child{path.Base(h.name), h.dir})
		return nil
	})
	return all, err
}

// Directory says whether a path is one; filecopy.ErrNotFound.
func (f *FileSystem) Directory(ctx context.Context, name string) (bool, error) {
	now, err := f.all.head(ctx, name, "")
	return now.dir, err
}

// Rename moves a path with all below it to a free place, in one step: filecopy.ErrChanged where something is, filecopy.ErrNotFound where the
// path, or the directory above the place, is not there.
func (f *FileSystem) Rename(ctx context.Context, from, to string) error {
	_, err := f.all.rename(ctx, from, to, true)
	return err
}

// Private makes a directory for ourselves, with those above it. One that is there stays as it is.
func (f *FileSystem) Private(ctx context.Context, name string) error {
	if err := f.all.mkdir(ctx, name, privateMode); !errors.Is(err, filecopy.ErrChanged) {
		return err
	}
	return nil
}

// PutNew stores a small file, whole from its first moment, and filecopy.ErrChanged where something is.
func (f *FileSystem) PutNew(ctx context.Context, name string, content []byte) error {
	permissions, umask := "0600", "0000"
	options := &file.CreateOptions{Permissions: &permissions, Umask: &umask, AccessConditions: unless()}
	if len(content) == 0 {
		at, err := f.all.file(ctx, name)
		if err == nil {
			_, err = at.Create(ctx, options)
		}
		return tell(err)
	}
	from := path.Join(path.Dir(name), temporary+filecopy.NewID())
	at, err := f.all.file(ctx, from)
	if err == nil {
		_, err = at.Create(ctx, options)
	}
	if err != nil {
		return tell(err)
	}
	etag, err := f.all.fill(ctx, from, bytes.NewReader(content))
	if err == nil {
		_, err = f.all.rename(ctx, from, name, true)
	}
	if errors.Is(err, filecopy.ErrNotFound) || errors.Is(err, filecopy.ErrChanged) {
		// The answer to a rename that was done may have been lost; a rename keeps the ETag.
		if now, herr := f.all.head(ctx, name, ""); herr == nil && now.etag == etag {
			return nil
		}
	}
	if err != nil {
		return errors.Join(err, f.all.removeAll(ctx, from))
	}
	return nil
}

// Get reads a small file; filecopy.ErrNotFound.
func (f *FileSystem) Get(ctx context.Context, name string) ([]byte, error) {
	now, err := f.all.head(ctx, name, "")
	if err != nil {
		return nil, err
	}
	r := f.all.rest(name, now.etag, 0, now.size).Later(ctx)
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

// Remove removes a path with all below it, for good; an absent one is no error.
func (f *FileSystem) Remove(ctx context.Context, name string) error {
	return f.all.removeAll(ctx, name)
}
