package place

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
	store "github.com/understudy-dr/understudy/filecopy/hdfs"
	"github.com/understudy-dr/understudy/wire/hdfs"
)

// HDFSConfig says how an HDFS cluster is reached.
type HDFSConfig struct {
	Options hdfs.Options
	// Login is understudy's own, Writer an ordinary user's; Secret reads the keytabs that they name.
	Login, Writer Login
	SuperUsers    []string
	// NoXattrs are the trees whose extended attributes are left out.
	NoXattrs []string
	Secret   func(ctx context.Context, name string) ([]byte, error)
}

// Login is a user, or a principal with the name of the secret that holds its keytab.
type Login struct {
	User     string
	Kerberos *hdfs.Kerberos
	Keytab   string
}

// hdfsSite is an HDFS cluster.
type hdfsSite struct {
	cfg HDFSConfig

	mu     sync.Mutex
	admin  *hdfs.Client
	writer *hdfs.Client
	id     Identity
	health health
	// greeted is when a DataNode took what the site file says that it demands.
	greeted time.Time
	// stale are clients whose keys are no longer good; who still uses one may finish.
	stale []*hdfs.Client
}

// HDFS gives the site of an HDFS cluster.
func HDFS(cfg HDFSConfig) Site { return &hdfsSite{cfg: cfg} }

// probeUser is the ordinary user where the site names none: with simple authentication anybody may be anybody.
const probeUser = "understudy-probe"

// retryFor bounds how long a call looks for a NameNode that answers: those who call have patience of their own.
const retryFor = 10 * time.Second

// client gives the client of a login, connecting when it is first used.
func (s *hdfsSite) client(ctx context.Context, ordinary bool) (*hdfs.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held, login := &s.admin, s.cfg.Login
	if ordinary {
		held, login = &s.writer, s.cfg.Writer
		if login.User == "" && login.Kerberos == nil && s.cfg.Login.Kerberos == nil {
			login.User = probeUser
		}
		if login.User == "" && login.Kerberos == nil {
			return nil, ErrUnproven
		}
	}
	if *held != nil {
		return *held, nil
	}
	var err error
	*held, err = s.dial(ctx, login, s.cfg.Options.NameNodes)
	return *held, err
}

// dial connects to some of the NameNodes.
func (s *hdfsSite) dial(ctx context.Context, login Login, nameNodes []string) (*hdfs.Client, error) {
	o := s.cfg.Options
	o.NameNodes, o.User, o.Kerberos, o.RetryFor = nameNodes, login.User, nil, retryFor
	if login.Kerberos == nil {
		c, err := hdfs.Dial(ctx, o)
		return c, tell(err)
	}
	k := *login.Kerberos
	o.Kerberos = &k
	var err error
	if k.Keytab, err = s.keytab(ctx, login.Keytab); err != nil {
		return nil, err
	}
	c, err := hdfs.Dial(ctx, o)
	// The client has read it.
	return c, errors.Join(tell(err), os.Remove(k.Keytab))
}

// keytab writes a secret where the Kerberos library can read it.
func (s *hdfsSite) keytab(ctx context.Context, secret string) (string, error) {
	b, err := s.cfg.Secret(ctx, secret)
	if err != nil {
		return "", &unread{err}
	}
	f, err := os.CreateTemp("", "understudy-keytab-*")
	if err != nil {
		return "", &unread{err}
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", &unread{errors.Join(err, os.Remove(f.Name()))}
	}
	return f.Name(), nil
}

// relogin lets the next call log in with the keytab as it is then: keys are changed while understudy runs.
func (s *hdfsSite) relogin(err error) {
	var login *hdfs.LoginError
	if !errors.As(err, &login) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, held := range []**hdfs.Client{&s.admin, &s.writer} {
		if *held != nil {
			s.stale = append(s.stale, *held)
			*held = nil
		}
	}
}

// Close ends the connections.
func (s *hdfsSite) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range append(s.stale, s.admin, s.writer) {
		if c != nil {
			c.Close()
		}
	}
	s.admin, s.writer, s.stale = nil, nil, nil
	return nil
}

// Look asks the NameNode who it is. A NameNode that starts answers when it has left its safe mode.
func (s *hdfsSite) Look(ctx context.Context) (Identity, error) {
	return meet(ctx, s.lookEach, func(ctx context.Context) (bool, error) { return hdfs.Greets(ctx, s.cfg.Options), nil })
}

// lookEach asks the NameNode that answers, and all of them where none lets us in.
func (s *hdfsSite) lookEach(ctx context.Context) (Identity, error) {
	each, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan struct{})
	var refused error
	var others sync.WaitGroup
	others.Go(func() { refused = s.askEach(each, failed) })
	id, err := s.look(ctx)
	if err == nil || TurnedAway(err) || unasked(err) {
		cancel()
	}
	close(failed)
	others.Wait()
	if err != nil && !TurnedAway(err) && refused != nil {
		err = refused
	}
	return id, err
}

// askEach logs in at each of several NameNodes by itself, once half of the time is over or failed is closed: one that says nothing must not hide
// that another one refuses us. It gives the refusal, if any.
func (s *hdfsSite) askEach(ctx context.Context, failed <-chan struct{}) error {
	if _, bounded := ctx.Deadline(); !bounded || len(s.cfg.Options.NameNodes) < 2 || !halfway(ctx, failed) {
		return nil
	}
	came := make(chan error, len(s.cfg.Options.NameNodes))
	for _, address := range s.cfg.Options.NameNodes {
		go func() {
			c, err := s.dial(ctx, s.cfg.Login, []string{address})
			if c != nil {
				c.Close()
			}
			came <- err
		}()
	}
	var refused error
	for range s.cfg.Options.NameNodes {
		if err := <-came; TurnedAway(err) {
			refused = err
		}
	}
	return refused
}

// look asks the NameNode that answers.
func (s *hdfsSite) look(ctx context.Context) (Identity, error) {
	c, err := s.client(ctx, false)
	if err != nil {
		return Identity{}, err
	}
	info, err := c.NamespaceInfo(ctx)
	if err != nil {
		s.relogin(err)
		return Identity{}, tell(err)
	}
	safe, err := c.SafeMode(ctx)
	if err == nil && safe {
		err = fmt.Errorf("%w: the NameNode is in safe mode", ErrUnreachable)
	}
	if err != nil {
		return Identity{}, tell(err)
	}
	id := Identity{Name: fmt.Sprintf("hdfs.%s.%d", info.ClusterID, info.NamespaceID), Version: info.Version, CouldPass: s.cfg.SuperUsers}
	id.User, id.Ordinary = nameOf(s.cfg.Login), nameOf(s.cfg.Writer)
	h, nodes, err := s.roll(ctx, c)
	id.Super = err == nil
	if err != nil && !hdfs.IsPermission(err) {
		return Identity{}, tell(err)
	}
	if s.cfg.Login.Kerberos != nil {
		// Before DataNodes are tried: those that say nothing may take all the time.
		if _, err := s.client(ctx, true); err != nil {
			id.Writer = err.Error()
		}
	}
	if h = s.checkup(ctx, s.asksDataNodes(c), h, nodes); h.unheard != nil {
		return Identity{}, h.unheard
	}
	if h.hung {
		id.Notes = append(id.Notes, Note{"warning", "US725", fmt.Sprintf("a DataNode hangs up when it is spoken to with the protection %s that the site file names under kerberos.dataProtection: it may demand none", s.cfg.Login.Kerberos.DataProtection),
			"see what dfs.data.transfer.protection says there, and leave kerberos.dataProtection out of the site file where it says nothing"})
	}
	id.Unlooked, id.Untimed = !id.Super, !h.timed
	id.Skew, id.Nodes, id.Unreachable, id.Untried, id.Dead = h.skew, h.nodes, h.unreachable, h.untried, h.dead
	if s.cfg.Login.Kerberos == nil {
		id.CouldPass = append(id.CouldPass[:len(id.CouldPass):len(id.CouldPass)], "whoever claims to be a superuser: the cluster has simple authentication")
	}
	if len(s.cfg.SuperUsers) == 0 {
		id.CouldPass = append(id.CouldPass, "the cluster's superusers, whom the site file does not name")
	}
	return id, nil
}

// nameOf is the name under which the NameNode knows a login; empty for nobody's.
func nameOf(l Login) string {
	if l.Kerberos == nil {
		return l.User
	}
	name, _, _ := strings.Cut(l.Kerberos.Principal, "@")
	name, _, _ = strings.Cut(name, "/")
	return name
}

// Tree gives a tree of the cluster.
func (s *hdfsSite) Tree(root string) Tree { return hdfsTree{s, root} }

// hdfsTree is a tree of a cluster.
type hdfsTree struct {
	site *hdfsSite
	root string
}

func (t hdfsTree) at(elements ...string) string {
	return path.Join(append([]string{folderOf(t.root)}, elements...)...)
}

// Store opens the tree.
func (t hdfsTree) Store(ctx context.Context, folder string, pinned bool) (filecopy.Target, error) {
	c, err := t.site.client(ctx, false)
	if err != nil {
		return nil, err
	}
	id, err := t.site.known(ctx)
	if err != nil {
		return nil, err
	}
	if pinned {
		if pinned, err = t.Snapshottable(ctx); err != nil {
			return nil, err
		}
	}
	return store.New(store.Config{
		Client: c, Namespace: id.Name, Root: t.root, Area: t.at(folder), Snapshots: pinned, Ordinary: !id.Super,
		NoXattrs: slices.Contains(t.site.cfg.NoXattrs, t.root),
	})
}

// known gives who answered, asking once.
func (s *hdfsSite) known(ctx context.Context) (Identity, error) {
	s.mu.Lock()
	id := s.id
	s.mu.Unlock()
	if id.Name != "" {
		return id, nil
	}
	id, err := s.Look(ctx)
	if err == nil {
		s.mu.Lock()
		s.id = id
		s.mu.Unlock()
	}
	return id, err
}

// Folders lists understudy's folder.
func (t hdfsTree) Folders(ctx context.Context) ([]Folder, error) {
	c, err := t.site.client(ctx, false)
	if err != nil {
		return nil, err
	}
	var out []Folder
	for info, err := range c.Entries(ctx, t.at(), hdfs.ListOptions{}) {
		if hdfs.IsNotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, tell(err)
		}
		out = append(out, Folder{Name: info.Name, Barred: !info.IsDir()})
	}
	return out, nil
}

// Bar puts a file in the place of a folder.
func (t hdfsTree) Bar(ctx context.Context, folder, aside string) error {
	c, err := t.site.client(ctx, false)
	if err != nil {
		return err
	}
	if err := c.Mkdirs(ctx, t.at(), 0o700); err != nil {
		return tell(err)
	}
	for n := range maxBars {
		info, err := c.Stat(ctx, t.at(folder))
		switch {
		case err == nil && !info.IsDir():
			return nil
		case err == nil:
			err = c.Rename(ctx, t.at(folder), t.at(free(aside, n)))
		case hdfs.IsNotFound(err):
			err = create(ctx, c, t.at(folder))
		}
		if err != nil && !hdfs.IsExists(err) && !hdfs.IsNotFound(err) {
			return tell(err)
		}
	}
	return fmt.Errorf("%s comes back each time it is moved away", t.at(folder))
}

// create makes an empty file where nothing is.
func create(ctx context.Context, c *hdfs.Client, name string) error {
	w, err := c.Create(ctx, name, hdfs.CreateOptions{Mode: 0o400})
	if err != nil {
		return err
	}
	return w.Close()
}

// Rename gives a folder another name.
func (t hdfsTree) Rename(ctx context.Context, from, to string) (bool, error) {
	c, err := t.site.client(ctx, false)
	if err != nil {
		return false, err
	}
	err = c.Rename(ctx, t.at(from), t.at(to))
	if hdfs.IsNotFound(err) || hdfs.IsExists(err) {
		return false, nil
	}
	return err == nil, tell(err)
}

// Remove removes a folder.
func (t hdfsTree) Remove(ctx context.Context, folder string) error {
	c, err := t.site.client(ctx, false)
	if err != nil {
		return err
	}
	err = c.Delete(ctx, t.at(folder), true)
	if hdfs.IsNotFound(err) {
		return nil
	}
	return tell(err)
}

// Try makes a file below the root. One that an ordinary user could make is removed by ourselves, who may.
func (t hdfsTree) Try(ctx context.Context, who Who) error {
	c, err := t.site.client(ctx, who == Ordinary)
	if err != nil {
		return err
	}
	if err := t.tidy(ctx); err != nil {
		return err
	}
	name := t.root + "/" + probe()
	return tried(ctx, func(ctx context.Context) error { return tell(create(ctx, c, name)) }, func(ctx context.Context) error {
		c, err := t.site.client(ctx, false)
		if err != nil {
			return err
		}
		if err = c.Delete(ctx, name, false); hdfs.IsNotFound(err) {
			return nil
		}
		return tell(err)
	})
}

// tidy removes probes whose makers were killed. The NameNode lists by name, so it is asked for those alone.
func (t hdfsTree) tidy(ctx context.Context) error {
	c, err := t.site.client(ctx, false)
	if err != nil {
		return err
	}
	for info, err := range c.Entries(ctx, t.root, hdfs.ListOptions{After: filecopy.ProbeName}) {
		switch {
		case hdfs.IsNotFound(err), hdfs.IsPermission(err), err == nil && !strings.HasPrefix(info.Name, filecopy.ProbeName):
			return nil
		case err != nil:
			return tell(err)
		case info.IsDir() || info.Length > 0 || !left(info.Name):
			continue
		}
		if err := c.Delete(ctx, t.root+"/"+info.Name, false); err != nil && !hdfs.IsNotFound(err) && !hdfs.IsPermission(err) {
			return tell(err)
		}
	}
	return nil
}

// Snapshottable says whether the root is.
func (t hdfsTree) Snapshottable(ctx context.Context) (bool, error) {
	c, err := t.site.client(ctx, false)
	if err != nil {
		return false, err
	}
	info, err := c.Stat(ctx, t.root)
	if hdfs.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, tell(err)
	}
	return info.Snapshottable, nil
}

// Nested gives the snapshottable directories above and below the root. The NameNode lists all of them to superusers, and to others their own.
func (t hdfsTree) Nested(ctx context.Context) ([]string, error) {
	c, err := t.site.client(ctx, false)
	if err != nil {
		return nil, err
	}
	all, err := c.SnapshottableDirs(ctx)
	if err != nil {
		return nil, tell(err)
	}
	var out []string
	for _, d := range all {
		if d.Path != t.root && (Holds(d.Path, t.root) || Holds(t.root, d.Path)) {
			out = append(out, d.Path)
		}
	}
	slices.Sort(out)
	return out, nil
}

// Allow makes the root snapshottable.
func (t hdfsTree) Allow(ctx context.Context) error {
	c, err := t.site.client(ctx, false)
	if err != nil {
		return err
	}
	return tell(c.AllowSnapshots(ctx, t.root))
}

// Disallow ends it, unless somebody else's snapshots are left.
func (t hdfsTree) Disallow(ctx context.Context) error {
	c, err := t.site.client(ctx, false)
	if err != nil {
		return err
	}
	err = c.DisallowSnapshots(ctx, t.root)
	if errors.Is(err, hdfs.ErrSnapshot) {
		return nil
	}
	return tell(err)
}

// Building lists files under construction.
func (t hdfsTree) Building(ctx context.Context) ([]string, error) {
	target, err := t.Store(ctx, "", false)
	if err != nil {
		return nil, err
	}
	var out []string
	err = target.(filecopy.Builder).Building(ctx, func(p filecopy.Path) error {
		out = append(out, t.root+"/"+string(p))
		return nil
	})
	if hdfs.IsNotFound(err) {
		return nil, nil
	}
	return out, tell(err)
}

// Recover takes a file away from its writer.
func (t hdfsTree) Recover(ctx context.Context, name string) (bool, error) {
	c, err := t.site.client(ctx, false)
	if err != nil {
		return false, err
	}
	done, err := c.RecoverLease(ctx, name)
	if hdfs.IsNotFound(err) {
		return true, nil
	}
	if errors.Is(err, hdfs.ErrLease) || errors.Is(err, hdfs.ErrRetriable) {
		return false, nil
	}
	return done, tell(err)
}

// tell gives an error of the client the meaning that it has here.
func tell(err error) error {
	switch {
	case err == nil:
		return nil
	case hdfs.IsPermission(err):
		return fmt.Errorf("%w: %w", ErrRefused, err)
	case errors.Is(err, hdfs.ErrNotDirectory):
		return fmt.Errorf("%w: %w", ErrBarred, err)
	case errors.Is(err, hdfs.ErrUnavailable), errors.Is(err, hdfs.ErrTimeout), errors.Is(err, hdfs.ErrSafeMode), errors.Is(err, hdfs.ErrStandby):
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return err
}
