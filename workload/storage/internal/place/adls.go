package place

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"path"
	"strings"
	"sync"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/adls"
)

// ADLSConfig says how a file system of ADLS Gen2 is reached.
type ADLSConfig struct {
	URL, Account, FileSystem, Prefix string
	// Key names the secret with the account's key.
	Key string
	// NoOwners leaves owners, groups and lists to the manifest.
	NoOwners bool
	Secret   func(ctx context.Context, name string) ([]byte, error)
}

// adlsSite is a file system with real directories and a rename in one step, so its trees lie as on HDFS and are halted as there. It has
// owners, modes and lists too; but understudy's own credential, like every key and signature, passes them, so they are no fence of ours.
type adlsSite struct {
	cfg ADLSConfig

	mu sync.Mutex
	fs *adls.FileSystem
}

// ADLS gives the site of trees in a file system of ADLS Gen2.
func ADLS(cfg ADLSConfig) Site {
	cfg.Secret = secrets(cfg.Secret)
	return &adlsSite{cfg: cfg}
}

// open gives the file system.
func (s *adlsSite) open() (*adls.FileSystem, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fs != nil {
		return s.fs, nil
	}
	keys := func(ctx context.Context) (adls.Keys, error) {
		b, err := s.cfg.Secret(ctx, s.cfg.Key)
		if err != nil {
			return adls.Keys{}, err
		}
		key, err := keyOf(s.cfg.Key, b)
		return adls.Keys{Account: s.cfg.Account, Key: key}, err
	}
	fs, err := adls.OpenFileSystem(adls.Config{URL: s.cfg.URL, FileSystem: s.cfg.FileSystem, Keys: keys, NoOwners: s.cfg.NoOwners})
	s.fs = fs
	return fs, err
}

// Close has nothing to close: connections that nobody uses end by themselves.
func (s *adlsSite) Close() error { return nil }

// prefix gives the path that stands before those of trees.
func (s *adlsSite) prefix() string { return strings.Trim(s.cfg.Prefix, "/") }

// mark gives the path of the file by which the file system is known again, as objectSite has one: its own name passes to another one that is
// made under it.
func (s *adlsSite) mark() string { return path.Join(s.prefix(), ownDir, markName) }

// anybody are those whom nothing here keeps out.
func anybody() []string {
	return []string{"whoever holds a key of the account, or a signature made with one", "users of Entra ID whom roles, owners, modes and lists let write"}
}

// Look asks who answers, and reads the mark. What the key of an account makes belongs to $superuser.
func (s *adlsSite) Look(ctx context.Context) (Identity, error) {
	return meet(ctx, s.look, func(ctx context.Context) (bool, error) {
		return hello(ctx, strings.TrimSuffix(s.cfg.URL, "/")+"/"+s.cfg.FileSystem+"?resource=filesystem", nil)
	})
}

func (s *adlsSite) look(ctx context.Context) (Identity, error) {
	fs, err := s.open()
	if err != nil {
		return Identity{}, err
	}
	skew, err := fs.Look(ctx)
	if err != nil {
		return Identity{}, unusable(err, "the file system "+s.cfg.FileSystem, "")
	}
	id := Identity{Name: strings.TrimSuffix("adls."+fs.Name()+"/"+s.prefix(), "/"), User: "$superuser", Super: true, Skew: skew, CouldPass: anybody()}
	mark, err := fs.Get(ctx, s.mark())
	switch {
	case errors.Is(err, filecopy.ErrNotFound):
		id.Unnamed = true
	case err != nil:
		return id, tellObject(err)
	default:
		id.Name += "#" + string(mark)
	}
	return id, nil
}

// Name gives the file system a mark to know it by. One that it has stays.
func (s *adlsSite) Name(ctx context.Context) error {
	fs, err := s.open()
	if err == nil {
		err = fs.Private(ctx, path.Dir(s.mark()))
	}
	if err == nil {
		err = fs.PutNew(ctx, s.mark(), []byte(filecopy.NewID()))
	}
	if errors.Is(err, filecopy.ErrChanged) {
		return nil
	}
	return tellObject(err)
}

// Tree gives a tree below the prefix.
func (s *adlsSite) Tree(p string) Tree {
	return adlsTree{s, strings.TrimPrefix(path.Join("/", s.prefix(), p), "/")}
}

// adlsTree is a tree of a file system.
type adlsTree struct {
	site *adlsSite
	root string
}

func (t adlsTree) at(elements ...string) string {
	return path.Join(append([]string{folderOf(t.root)}, elements...)...)
}

// Store opens the tree.
func (t adlsTree) Store(_ context.Context, folder string, _ bool) (filecopy.Target, error) {
	fs, err := t.site.open()
	if err != nil {
		return nil, err
	}
	return fs.Tree(t.root, t.at(folder))
}

// Folders lists understudy's folder.
func (t adlsTree) Folders(ctx context.Context) ([]Folder, error) {
	fs, err := t.site.open()
	if err != nil {
		return nil, err
	}
	all, err := fs.Names(ctx, t.at())
	if errors.Is(err, filecopy.ErrNotFound) {
		return nil, nil
	}
	var out []Folder
	for _, c := range all {
		out = append(out, Folder{Name: c.Name, Barred: !c.Directory})
	}
	return out, tellObject(err)
}

// Bar puts a file in the place of a folder.
func (t adlsTree) Bar(ctx context.Context, folder, aside string) error {
	fs, err := t.site.open()
	if err == nil {
		err = fs.Private(ctx, t.at())
	}
	if err != nil {
		return tellObject(err)
	}
	for n := range maxBars {
		dir, err := fs.Directory(ctx, t.at(folder))
		switch {
		case err == nil && !dir:
			return nil
		case err == nil:
			err = fs.Rename(ctx, t.at(folder), t.at(free(aside, n)))
		case errors.Is(err, filecopy.ErrNotFound):
			err = fs.PutNew(ctx, t.at(folder), nil)
		}
		if err != nil && !errors.Is(err, filecopy.ErrChanged) && !errors.Is(err, filecopy.ErrNotFound) {
			return tellObject(err)
		}
	}
	return fmt.Errorf("%s comes back each time it is moved away", t.at(folder))
}

// Rename gives a folder another name.
func (t adlsTree) Rename(ctx context.Context, from, to string) (bool, error) {
	fs, err := t.site.open()
	if err == nil {
		err = fs.Rename(ctx, t.at(from), t.at(to))
	}
	if errors.Is(err, filecopy.ErrNotFound) || errors.Is(err, filecopy.ErrChanged) {
		return false, nil
	}
	return err == nil, tellObject(err)
}

// Remove removes a folder.
func (t adlsTree) Remove(ctx context.Context, folder string) error {
	fs, err := t.site.open()
	if err == nil {
		err = fs.Remove(ctx, t.at(folder))
	}
	return tellObject(err)
}

// Try makes a file below the root, and removes it. The key of an account can act as nobody else.
func (t adlsTree) Try(ctx context.Context, who Who) error {
	if who == Ordinary {
		return ErrUnproven
	}
	fs, err := t.site.open()
	if err != nil {
		return tellObject(err)
	}
	if err := t.tidy(ctx, fs); err != nil && !errors.Is(err, iofs.ErrPermission) {
		return tellObject(err)
	}
	name := path.Join(t.root, probe())
	put := func(ctx context.Context) error { return fs.PutNew(ctx, name, nil) }
	return tellObject(tried(ctx, put, func(ctx context.Context) error { return fs.Remove(ctx, name) }))
}

// tidy removes probes whose makers were killed.
func (t adlsTree) tidy(ctx context.Context, fs *adls.FileSystem) error {
	all, err := fs.Names(ctx, t.root)
	if err != nil {
		return filecopy.AbsentIsFine(err)
	}
	for _, c := range all {
		if c.Directory || !left(c.Name) {
			continue
		}
		name := path.Join(t.root, c.Name)
		content, err := fs.Get(ctx, name)
		if err == nil && len(content) == 0 {
			err = fs.Remove(ctx, name)
		}
		if filecopy.AbsentIsFine(err) != nil {
			return err
		}
	}
	return nil
}

// Rules says that nothing closes the tree.
func (t adlsTree) Rules(context.Context) (Standing, error) {
	return Standing{
		State: GateNone,
		Means: "keys of the account and signatures pass owners, modes and lists, and of the users of Entra ID, whom these bind, " +
			"understudy has no credential with which a refused write could be proved",
		Fix: "a switchover away from here is refused, and foreign writes to a secondary show as drift; to leave this side, take the account out of all writers' " +
			"reach, for instance by renewing its keys, and out of ours, so that it does not answer here, and fail over",
	}, nil
}

// Shut has nothing to do.
func (t adlsTree) Shut(context.Context) error { return nil }

// Lift has nothing to take back.
func (t adlsTree) Lift(context.Context) error { return nil }
