package place

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/blob"
)

// BlobConfig says how a container is reached.
type BlobConfig struct {
	URL, Account, Container, Prefix string
	// Key and Writer name secrets: the account's key, and the shared access signature of an ordinary writer.
	Key, Writer string
	// Policies are the stored access policies by which ordinary writers write.
	Policies []string
	Secret   func(ctx context.Context, name string) ([]byte, error)
}

// Blob gives the site of trees in a container.
func Blob(cfg BlobConfig) Site {
	cfg.Secret = secrets(cfg.Secret)
	s := &objectSite{
		prefix: strings.Trim(cfg.Prefix, "/"),
		late:   "a commit that is still in flight replaces nothing but the version before the set that the halt has finished; an empty file that somebody deletes may come back by one",
	}
	s.greets = func(ctx context.Context) (bool, error) {
		return hello(ctx, strings.TrimSuffix(cfg.URL, "/")+"/"+cfg.Container+"?restype=container", nil)
	}
	s.connect = func(context.Context) (shelf, warden, error) {
		c, err := blob.OpenContainer(blob.Config{URL: cfg.URL, Container: cfg.Container, Keys: func(ctx context.Context) (blob.Keys, error) {
			b, err := cfg.Secret(ctx, cfg.Key)
			if err != nil {
				return blob.Keys{}, err
			}
			key, err := keyOf(cfg.Key, b)
			return blob.Keys{Account: cfg.Account, Key: key}, err
		}})
		if err != nil {
			return nil, nil, err
		}
		return &blobShelf{c}, &blobWarden{cfg, c, s}, nil
	}
	return s
}

// blobShelf is a container.
type blobShelf struct{ *blob.Container }

// Tree opens a tree.
func (s *blobShelf) Tree(root, area string) (filecopy.Target, error) {
	return s.Container.Tree(root, area)
}

// Remove removes what lies below a prefix, or one blob.
func (s *blobShelf) Remove(ctx context.Context, what string) error {
	if strings.HasSuffix(what, "/") {
		return s.Container.Remove(ctx, what)
	}
	return s.Forget(ctx, what)
}

// blobWarden looks after a container. A key of the account cannot be denied anything. What can be taken away are the rights of stored access
// policies, and with them those of all signatures that name one.
type blobWarden struct {
	cfg  BlobConfig
	c    *blob.Container
	site *objectSite
}

// Look says which container answers.
func (w *blobWarden) Look(ctx context.Context) (Identity, error) {
	skew, err := w.c.Look(ctx)
	if err != nil {
		return Identity{}, unusable(err, "the container "+w.cfg.Container, "")
	}
	return Identity{Name: "blob." + w.c.Name(), Skew: skew, CouldPass: []string{"whoever holds a key of the account, or a signature that names no stored access policy"}}, nil
}

// Check tries to write, read, list and delete below our own prefix.
func (w *blobWarden) Check(ctx context.Context) []Note {
	return tryRights(ctx, &blobShelf{w.c}, w.site)
}

// reading are the rights that a closed policy leaves: to read and to list.
const reading = "rl"

// reduced leaves of some rights those to read.
func reduced(permission string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(reading, r) {
			return r
		}
		return -1
	}, permission)
}

// Rules reads the container's policies.
func (w *blobWarden) Rules(ctx context.Context, _ string) (Standing, error) {
	if len(w.cfg.Policies) == 0 {
		return Standing{State: GateNone, Means: "a key of the account cannot be denied anything, and the site file names no stored access policies by which writers write (blob.policies)"}, nil
	}
	now, err := w.c.Policies(ctx)
	if err != nil {
		return Standing{}, err
	}
	s := Standing{State: GateClosed, Means: "the rights of the container's stored access policies " + strings.Join(w.cfg.Policies, ", "), Writer: w.cfg.Writer != ""}
	for _, id := range w.cfg.Policies {
		have, ok := now.Permission(id)
		if !ok {
			return s, w.noPolicy(id)
		}
		if reduced(have) != have {
			s.State = GateOpen
		}
	}
	s.Rules, err = json.Marshal(now)
	return s, err
}

func (w *blobWarden) noPolicy(id string) error {
	return &understudy.Error{
		Code: "US730", Kind: understudy.KindInvalid, Op: "storage.look",
		Summary: fmt.Sprintf("the container %s has no stored access policy called %s", w.cfg.Container, id),
		Fix:     "make it, or correct blob.policies in the site file",
	}
}

// beforeName is where the policies are kept from before they were reduced. They are the whole container's.
const beforeName = ownDir + "/policies-before"

// Shut takes away from the named policies what is more than reading. Each keeps its times.
func (w *blobWarden) Shut(ctx context.Context, _ string) error {
	if len(w.cfg.Policies) == 0 {
		return nil
	}
	now, err := w.c.Policies(ctx)
	if err != nil {
		return err
	}
	before, next := map[string]string{}, map[string]string{}
	for _, id := range w.cfg.Policies {
		have, ok := now.Permission(id)
		if !ok {
			return w.noPolicy(id)
		}
		if to := reduced(have); to != have {
			before[id], next[id] = have, to
		}
	}
	if len(next) == 0 {
		return nil
	}
	doc, err := json.Marshal(before)
	if err != nil {
		return err
	}
	// Kept before anything is changed; what an earlier pass kept is the original, and stays.
	if err := w.c.Put(ctx, beforeName, doc, true); err != nil && !errors.Is(err, filecopy.ErrChanged) {
		return err
	}
	return w.c.SetPermissions(ctx, now, next)
}

// Lift gives the policies back the rights that they had, unless somebody gave them others since.
func (w *blobWarden) Lift(ctx context.Context, _ string) error {
	doc, err := w.c.Get(ctx, beforeName)
	if errors.Is(err, filecopy.ErrNotFound) {
		return nil
	}
	before := map[string]string{}
	if err == nil {
		err = json.Unmarshal(doc, &before)
	}
	if err != nil {
		return err
	}
	now, err := w.c.Policies(ctx)
	if err != nil {
		return err
	}
	next := map[string]string{}
	for id, permission := range before {
		if have, ok := now.Permission(id); ok && have == reduced(permission) && have != permission {
			next[id] = permission
		}
	}
	if len(next) > 0 {
		if err := w.c.SetPermissions(ctx, now, next); err != nil {
			return err
		}
	}
	return w.c.Forget(ctx, beforeName)
}

// Try makes a blob with the ordinary writer's signature.
func (w *blobWarden) Try(ctx context.Context, key string) error {
	if w.cfg.Writer == "" {
		return ErrUnproven
	}
	signature, err := w.cfg.Secret(ctx, w.cfg.Writer)
	if err != nil {
		return err
	}
	denied, err := w.c.Denied(ctx, strings.TrimSpace(string(signature)), key)
	if denied {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if errors.Is(err, fs.ErrPermission) {
		return &understudy.Error{
			Code: "US731", Kind: understudy.KindDenied, Op: "storage.fence.prove", Err: err,
			Summary: "the service does not accept the ordinary writer's signature at all, so its refusal proves nothing",
			Fix:     "correct the secret that blob.writer names: a signature that names a stored access policy and nothing that the policy says",
		}
	}
	return err
}
