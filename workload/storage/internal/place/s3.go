package place

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/s3"
)

// S3Config says how a bucket is reached.
type S3Config struct {
	URL, Region, Bucket, Prefix string
	// Keys, CA and Writer name secrets: understudy's own keys, the certificates that sign the server's, and the keys of an ordinary writer.
	Keys, CA, Writer string
	// ReadBack and Marks are the store's.
	ReadBack, Marks bool
	// Policy says that the bucket's policy may be changed to deny ordinary writers, and Principal is the name under which it lets us pass.
	Policy    bool
	Principal string
	Secret    func(ctx context.Context, name string) ([]byte, error)
}

// S3 gives the site of trees in a bucket.
func S3(cfg S3Config) Site {
	v := &vault{read: secrets(cfg.Secret)}
	cfg.Secret = v.secret
	s := &objectSite{prefix: strings.Trim(cfg.Prefix, "/"), late: "a copy or a completion that is still in flight finds nothing to show"}
	s.greets = func(ctx context.Context) (bool, error) {
		at := strings.TrimSuffix(cfg.URL, "/") + "/" + cfg.Bucket + "?max-keys=1"
		if cfg.CA == "" {
			return hello(ctx, at, nil)
		}
		half, cancel := inHalf(ctx)
		ca, err := cfg.Secret(half, cfg.CA)
		cancel()
		if err != nil {
			return helloUnknown(ctx, at)
		}
		return hello(ctx, at, ca)
	}
	s.connect = func(ctx context.Context) (shelf, warden, error) {
		e := s3.Endpoint{URL: cfg.URL, Region: cfg.Region, Keys: cfg.keys(cfg.Keys)}
		if cfg.CA != "" {
			ca, err := cfg.Secret(ctx, cfg.CA)
			if err == nil {
				e.CA, err = certificates(cfg.CA, ca)
			}
			if err != nil {
				return nil, nil, err
			}
		}
		b, err := s3.OpenBucket(e, cfg.Bucket)
		if err != nil {
			return nil, nil, err
		}
		w := &s3Warden{cfg: cfg, bucket: b, site: s, vault: v}
		if cfg.Writer != "" {
			e.Keys = cfg.keys(cfg.Writer)
			if w.writer, err = s3.OpenBucket(e, cfg.Bucket); err != nil {
				return nil, nil, err
			}
		}
		return &s3Shelf{b, cfg}, w, nil
	}
	return s
}

// keys reads a secret of the form ACCESS:SECRET, or ACCESS:SECRET:TOKEN.
func (c S3Config) keys(name string) func(context.Context) (s3.Keys, error) {
	return func(ctx context.Context) (s3.Keys, error) {
		b, err := c.Secret(ctx, name)
		if err != nil {
			return s3.Keys{}, err
		}
		return keysOf(name, b)
	}
}

// s3Shelf is a bucket.
type s3Shelf struct {
	*s3.Bucket
	cfg S3Config
}

// Tree opens a tree.
func (s *s3Shelf) Tree(root, area string) (filecopy.Target, error) {
	return s.Bucket.Tree(s3.Config{Root: root, Area: area, ReadBack: s.cfg.ReadBack, Marks: s.cfg.Marks})
}

// Remove removes what lies below a prefix, or one object.
func (s *s3Shelf) Remove(ctx context.Context, what string) error {
	if strings.HasSuffix(what, "/") {
		return s.Bucket.Remove(ctx, what)
	}
	return s.Forget(ctx, what)
}

// s3Warden looks after a bucket. Its means of denying is a statement in the bucket's policy.
type s3Warden struct {
	cfg    S3Config
	bucket *s3.Bucket
	// writer is the bucket as an ordinary writer has it; nil where none is named.
	writer *s3.Bucket
	site   *objectSite
	vault  *vault
}

// Look says which bucket answers.
func (w *s3Warden) Look(ctx context.Context) (Identity, error) {
	f, err := w.bucket.Look(ctx)
	if err != nil {
		return Identity{}, unusable(w.vault.blame(err, w.cfg.Keys), "the bucket "+w.cfg.Bucket, "region in the site file")
	}
	id := Identity{Name: "s3." + w.bucket.Name(), Skew: f.Skew}
	if w.cfg.Policy {
		id.CouldPass = append(id.CouldPass, "whoever may change the bucket's policy, and whom no policy binds")
		if w.cfg.Principal != "" {
			id.CouldPass = append(id.CouldPass, "understudy itself, as "+w.cfg.Principal)
		}
	}
	return id, nil
}

// unusable gives what keeps a bucket or a container from being used a code.
func unusable(err error, what, where string) error {
	e := &understudy.Error{Code: "US730", Kind: understudy.KindInvalid, Op: "storage.look", Err: err}
	switch {
	case strange(err):
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	case errors.Is(err, s3.ErrElsewhere):
		e.Summary, e.Fix = what+" is in another region than requests are signed for", "write the bucket's "+where+", or leave it out to have the server asked"
	case errors.Is(err, filecopy.ErrNotFound):
		e.Summary, e.Fix = what+" is not there", "make it, or correct its name in the site file"
	case errors.Is(err, fs.ErrPermission):
		e.Code, e.Kind = "US705", understudy.KindDenied
		e.Summary, e.Fix = what+" may not be looked at with the keys that the site file names", "correct the secret, or give its keys the right to list, read, write and delete"
	default:
		return tellObject(err)
	}
	return e
}

// Check tries to write, read, list and delete below our own prefix, and reads the settings that matter to us.
func (w *s3Warden) Check(ctx context.Context) []Note {
	notes := tryRights(ctx, &s3Shelf{w.bucket, w.cfg}, w.site)
	f, err := w.bucket.Settings(ctx)
	if err != nil {
		return notes
	}
	if f.Versions {
		notes = append(notes, Note{"warning", "US733", "the bucket keeps old versions: each run adds some, and what understudy removes stays as a version",
			"let a lifecycle rule remove noncurrent versions after some days"})
	}
	for _, prefix := range f.Expiring {
		notes = append(notes, Note{"warning", "US733", fmt.Sprintf("a lifecycle rule removes objects by age below %q", "/"+prefix),
			"make sure that it covers no tree of a plan, nor understudy's folder beside it: what it removes is a drift of the copy"})
	}
	if held, err := w.bucket.HoldsRemovals(ctx, w.site.own(probe())); err == nil && !held {
		notes = append(notes, Note{"warning", "US633", "the server does not hold the removal of an object to the version that was read (If-Match): what somebody writes " +
			"at the very moment in which the object goes into the quarantine is removed with it",
			"use a server that knows conditional deletes, or let nobody but understudy write to the tree of a secondary"})
	}
	return notes
}

// tryRights writes, reads, lists and deletes one object of ours.
func tryRights(ctx context.Context, sh shelf, site *objectSite) []Note {
	key := site.own(probe())
	failed := func(doing string, err error) []Note {
		return []Note{{"refuse", "US705", fmt.Sprintf("understudy's keys may not %s below %s: %v", doing, site.own(""), err),
			"give them the rights to list, read, write and delete objects"}}
	}
	if err := sh.Put(ctx, key, nil, false); err != nil {
		return failed("write", err)
	}
	if _, err := sh.Get(ctx, key); err != nil {
		return failed("read", err)
	}
	if _, err := sh.Names(ctx, path.Dir(key)+"/"); err != nil {
		return failed("list", err)
	}
	if err := errors.Join(sh.Remove(ctx, key), tidy(ctx, sh, site.own(filecopy.ProbeName))); err != nil {
		return failed("delete", err)
	}
	return nil
}

// Rules reads the bucket's policy.
func (w *s3Warden) Rules(ctx context.Context, root string) (Standing, error) {
	if !w.cfg.Policy {
		return Standing{State: GateNone, Means: "the site file does not let understudy change the bucket's policy (s3.fence: policy)"}, nil
	}
	text, err := w.bucket.Policy(ctx)
	if err != nil {
		return Standing{}, err
	}
	closed, err := denies(text, sidOf(root))
	s := Standing{State: GateOpen, Means: "a statement in the bucket's policy", Writer: w.writer != nil}
	if closed {
		s.State = GateClosed
	}
	if text != "" {
		s.Rules = json.RawMessage(text)
	}
	return s, err
}

// Policies of a bucket take a while to hold everywhere.
const (
	policySettles = 30 * time.Second
	policyPoll    = 500 * time.Millisecond
)

// Shut adds our statement to the policy, and looks that it does not deny ourselves.
func (w *s3Warden) Shut(ctx context.Context, root string) error {
	if !w.cfg.Policy {
		return nil
	}
	before, err := w.bucket.Policy(ctx)
	if err != nil {
		return err
	}
	next, err := closing(before, w.cfg.Bucket, root, w.cfg.Principal)
	if err != nil {
		return err
	}
	if next != "" {
		// What the policy was goes beside the tree before it is changed, for people; a repeat finds it there.
		err = w.bucket.Put(ctx, w.site.own("policy-before-"+sidOf(root)), []byte(before), true)
		if err == nil || errors.Is(err, filecopy.ErrChanged) {
			err = w.bucket.SetPolicy(ctx, next)
		}
		if err != nil {
			return err
		}
	}
	err = w.stillIn(ctx, root)
	if understudy.AsError(err) != nil && understudy.AsError(err).Code == "US732" {
		return errors.Join(err, w.Lift(ctx, root))
	}
	if err != nil {
		return err
	}
	return w.settle(ctx, root)
}

// stillIn makes and removes an object below the root as ourselves.
func (w *s3Warden) stillIn(ctx context.Context, root string) error {
	key := path.Join(root, probe())
	put := func(ctx context.Context) error { return w.bucket.Put(ctx, key, nil, true) }
	err := tried(ctx, put, func(ctx context.Context) error { return w.bucket.Forget(ctx, key) })
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return &understudy.Error{
		Code: "US732", Kind: understudy.KindRefused, Op: "storage.close", Err: err,
		Summary: "the statement that denies ordinary writers denies understudy's own keys too; it was taken back",
		Fix:     "name the ARN of understudy's user or role as s3.principal in the site file",
	}
}

// settle waits until an ordinary writer is refused, as far as one is named, and not for long: the proof tells.
func (w *s3Warden) settle(ctx context.Context, root string) error {
	if w.writer == nil {
		return nil
	}
	for end := time.Now().Add(policySettles); time.Now().Before(end); {
		key := path.Join(root, probe())
		put := func(ctx context.Context) error { return w.Try(ctx, key) }
		err := tried(ctx, put, func(ctx context.Context) error { return w.bucket.Forget(ctx, key) })
		if errors.Is(err, ErrRefused) {
			return nil
		}
		if err == nil {
			err = wait(ctx, policyPoll)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Lift takes our statement out of the policy.
func (w *s3Warden) Lift(ctx context.Context, root string) error {
	if !w.cfg.Policy {
		return nil
	}
	now, err := w.bucket.Policy(ctx)
	if err != nil {
		return err
	}
	next, changed, err := opening(now, sidOf(root))
	if err == nil && changed {
		err = w.bucket.SetPolicy(ctx, next)
	}
	if err != nil {
		return err
	}
	return w.bucket.Forget(ctx, w.site.own("policy-before-"+sidOf(root)))
}

// Try makes an object with the ordinary writer's keys.
func (w *s3Warden) Try(ctx context.Context, key string) error {
	if w.writer == nil {
		return ErrUnproven
	}
	denied, err := w.writer.Denied(ctx, key)
	if denied {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if errors.Is(err, fs.ErrPermission) {
		// Keys that the server does not know are refused everywhere: that proves nothing.
		return &understudy.Error{
			Code: "US731", Kind: understudy.KindDenied, Op: "storage.fence.prove", Err: err,
			Summary: "the server does not know the keys of the ordinary writer, so their refusal proves nothing",
			Fix:     "correct the secret that s3.writer names",
		}
	}
	return err
}
