package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/understudy-dr/understudy/filecopy"
)

// Bucket is a bucket as a whole: its trees, which share connections, and what is done in it beside them. It is safe for concurrent use.
type Bucket struct {
	// all is the store of everything in the bucket, for calls by key.
	all   *Store
	clock *clock
}

// Facts are what a bucket says about itself. What its keys may not ask stays unknown.
type Facts struct {
	// Versions says that old versions are kept.
	Versions bool
	// Expiring are the rules that remove objects by their age, by the prefix for which each holds.
	Expiring []string
	// Skew is how far the server's clock is before ours, to the second; HTTP tells no more.
	Skew time.Duration
}

// OpenBucket gives a bucket. It asks nothing.
func OpenBucket(e Endpoint, name string) (*Bucket, error) {
	b := &Bucket{clock: &clock{}}
	e.through = b.clock
	all, err := New(Config{Endpoint: e, Bucket: name, Area: bucketArea})
	if err != nil {
		return nil, err
	}
	b.all = all
	return b, nil
}

// bucketArea is only there because a store has one.
const bucketArea = ".understudy"

// Tree gives the store of a tree; endpoint and bucket are this one's.
func (b *Bucket) Tree(c Config) (*Store, error) {
	c.Bucket = b.all.bucket
	s, err := c.store()
	if err != nil {
		return nil, err
	}
	s.staging, s.other, s.endpoint, s.room, s.removals = b.all.staging, b.all.other, b.all.endpoint, b.all.room, b.all.removals
	return s, nil
}

// Name gives host and bucket.
func (b *Bucket) Name() string { return b.all.endpoint + "/" + b.all.bucket }

// Look asks whether the bucket is there and may be used; filecopy.ErrNotFound, fs.ErrPermission, or ErrElsewhere when it is in another region.
func (b *Bucket) Look(ctx context.Context) (Facts, error) {
	ok, err := b.all.staging.BucketExists(ctx, b.all.bucket)
	if err != nil {
		return Facts{}, b.elsewhere(err)
	}
	if !ok {
		return Facts{}, fmt.Errorf("%w: there is no bucket %s at %s", filecopy.ErrNotFound, b.all.bucket, b.all.endpoint)
	}
	return Facts{Skew: b.clock.skew()}, nil
}

// Settings asks how the bucket is set up. What may not be asked, or what the server does not know, stays unknown.
func (b *Bucket) Settings(ctx context.Context) (Facts, error) {
	f, err := b.Look(ctx)
	if err != nil {
		return f, err
	}
	if v, err := b.all.staging.GetBucketVersioning(ctx, b.all.bucket); err == nil {
		f.Versions = v.Enabled()
	}
	rules, err := b.all.staging.GetBucketLifecycle(ctx, b.all.bucket)
	if err != nil {
		return f, ctx.Err()
	}
	for _, r := range rules.Rules {
		if r.Status != "Enabled" || r.Expiration.IsNull() {
			continue
		}
		prefix := r.RuleFilter.Prefix
		if prefix == "" {
			prefix = r.RuleFilter.And.Prefix
		}
		if prefix == "" {
			prefix = r.Prefix
		}
		f.Expiring = append(f.Expiring, prefix)
	}
	return f, ctx.Err()
}

// ErrElsewhere means that the bucket is in another region than requests are signed for.
var ErrElsewhere = errors.New("the bucket is in another region")

// elsewhere tells a wrong region from other refusals.
func (b *Bucket) elsewhere(err error) error {
	said := minio.ToErrorResponse(err)
	wrong := slices.Contains([]string{"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"}, said.Code)
	if wrong || said.StatusCode == http.StatusMovedPermanently {
		return fmt.Errorf("%w: %s: %w", ErrElsewhere, said.Region, b.all.tell(err))
	}
	return b.all.tell(err)
}

// Names lists what lies right below a prefix that ends with a slash: objects, and the first elements of longer keys.
func (b *Bucket) Names(ctx context.Context, prefix string) ([]string, error) {
	noOwner := false
	var names []string
	for o := range b.all.other.ListObjectsIter(ctx, b.all.bucket, minio.ListObjectsOptions{Prefix: prefix, FetchOwner: &noOwner}) {
		if o.Err != nil {
			return nil, b.all.tell(o.Err)
		}
		if name := strings.Trim(strings.TrimPrefix(o.Key, prefix), "/"); name != "" {
			names = append(names, name)
		}
	}
	return names, ctx.Err()
}

// Put stores a small object; with fresh only where none is, and filecopy.ErrChanged where one is.
func (b *Bucket) Put(ctx context.Context, key string, content []byte, fresh bool) error {
	if fresh {
		return b.all.putWith(ctx, b.all.other, key, content, func(o *minio.PutObjectOptions) { o.SetMatchETagExcept("*") })
	}
	return b.all.put(ctx, b.all.other, key, content)
}

// Get reads a small object; filecopy.ErrNotFound.
func (b *Bucket) Get(ctx context.Context, key string) ([]byte, error) { return b.all.get(ctx, key) }

// Copy copies all objects below a prefix to another, within the server.
func (b *Bucket) Copy(ctx context.Context, from, to string) error {
	return b.all.each(ctx, from, func(o minio.ObjectInfo) error {
		_, err := b.all.copy(ctx, object{o.Key, o.ETag, o.Size, filecopy.Checksum{}}, to+strings.TrimPrefix(o.Key, from), "")
		return err
	})
}

// Remove removes all objects whose keys begin with a prefix.
func (b *Bucket) Remove(ctx context.Context, prefix string) error {
	return b.all.removeAll(ctx, prefix, func(minio.ObjectInfo) error { return nil })
}

// Forget removes an object, with the version that it was where there are versions; an absent one is no error.
func (b *Bucket) Forget(ctx context.Context, key string) error {
	o, err := b.all.head(ctx, key, "")
	if err == nil {
		err = b.all.other.RemoveObject(ctx, b.all.bucket, key, minio.RemoveObjectOptions{VersionID: o.VersionID})
	}
	return b.all.absentIsFine(err)
}

// HoldsRemovals tries whether the server removes an object only in the version that a request names, as Retire asks of it, with an empty object of the
// given key that comes and goes. What it finds holds for the trees of the bucket too.
func (b *Bucket) HoldsRemovals(ctx context.Context, key string) (bool, error) {
	return b.all.holdsRemovals(ctx, key, true)
}

// Denied tries to make an empty object, and says whether the server refused it to keys that it knows. Other refusals are errors.
func (b *Bucket) Denied(ctx context.Context, key string) (bool, error) {
	err := b.all.put(ctx, b.all.other, key, nil)
	return saidOf(err) == "AccessDenied", err
}

// saidOf gives the code with which a server refused.
func saidOf(err error) string {
	var t *told
	if errors.As(err, &t) {
		return t.said.Code
	}
	return ""
}

// Policy reads the bucket's policy; empty when it has none.
func (b *Bucket) Policy(ctx context.Context) (string, error) {
	text, err := b.all.other.GetBucketPolicy(ctx, b.all.bucket)
	return text, b.all.tell(err)
}

// SetPolicy replaces the bucket's policy, and removes it when there is no text.
func (b *Bucket) SetPolicy(ctx context.Context, text string) error {
	return b.all.tell(b.all.other.SetBucketPolicy(ctx, b.all.bucket, text))
}

// clock notes what time a server says that it is.
type clock struct {
	next http.RoundTripper
	mu   sync.Mutex
	off  time.Duration
}

// RoundTrip notes the date of an answer against the middle of the exchange.
func (c *clock) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := time.Now()
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return resp, err
	}
	said, bad := http.ParseTime(resp.Header.Get("Date"))
	if bad != nil {
		return resp, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = said.Sub(sent.Add(time.Since(sent) / 2)).Round(time.Second)
	return resp, nil
}

func (c *clock) skew() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.off
}
