package s3_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/s3"
	"github.com/understudy-dr/understudy/lab/versitygw"
)

// moment says where in the exchange somebody else writes.
type moment int32

const (
	never moment = iota
	// afterCopy is when the copy in the quarantine is answered, beforeRemoval when the removal of the object is on its way.
	afterCopy
	beforeRemoval
)

// between is the way to a real server: somebody writes in between once, and the server may take conditions on removals in another way.
type between struct {
	*testing.T
	key   string
	write func() error
	// when is the moment that is still to come.
	when atomic.Int32
	// removal answers or changes a removal with a condition; true when it has answered.
	removal func(http.ResponseWriter, *http.Request) bool
	// completion does so with the completion of an upload, part with a copy of a part.
	completion, part func(http.ResponseWriter, *http.Request) bool
	forward          http.Handler
	probes           atomic.Int64
}

func (b *between) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.URL.Path, filecopy.ProbeName) {
		b.probes.Add(1)
	}
	if r.Method == http.MethodDelete && r.URL.Path == "/"+bucket+"/"+b.key {
		b.at(beforeRemoval)
	}
	if r.Method == http.MethodDelete && r.Header.Get("If-Match") != "" && b.removal != nil && b.removal(w, r) {
		return
	}
	if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") && b.completion != nil && b.completion(w, r) {
		return
	}
	if r.Method == http.MethodPut && r.URL.Query().Has("partNumber") && b.part != nil && b.part(w, r) {
		return
	}
	b.forward.ServeHTTP(w, r)
	if r.Header.Get("X-Amz-Copy-Source") != "" {
		b.at(afterCopy)
	}
}

func (b *between) at(now moment) {
	if !b.when.CompareAndSwap(int32(now), int32(never)) {
		return
	}
	if err := b.write(); err != nil {
		b.Error(err)
	}
}

// unread is a server that does not read the condition, as MinIO's.
func unread(_ http.ResponseWriter, r *http.Request) bool {
	r.Header.Del("If-Match")
	return false
}

// says is a server that answers every removal with a condition in one way.
func says(status int, code string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		answer(status, code).ServeHTTP(w, r)
		return true
	}
}

// retiring is an object that is retired on such a way.
type retiring struct {
	*testing.T
	site *site
	root string
	by   *s3.Store
	way  *between
}

const quarantined = "20260102T150405Z-1"

func newRetiring(t *testing.T, site *site, when moment, removal func(http.ResponseWriter, *http.Request) bool) retiring {
	t.Helper()
	at, err := url.Parse(site.server.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	r := retiring{T: t, site: site, root: strings.ToLower(t.Name()) + "/tree"}
	b := &between{T: t, key: r.root + "/d/f", removal: removal}
	r.way = b
	b.write = func() error { return bare(t.Context(), site.server.Addr(), b.key, "in between") }
	// The signature covers the host that the client named.
	b.forward = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(at)
		r.Out.Host = r.In.Host
	}}
	way := httptest.NewServer(b)
	t.Cleanup(way.Close)
	c := site.config(r.root)
	c.Endpoint.URL = way.URL
	if r.by, err = s3.New(c); err != nil {
		t.Fatal(err)
	}
	plant(t, r.by, "d/f", "listed")
	b.when.Store(int32(when))
	return r
}

// client is the server's own, past the way.
func (r retiring) client() *versitygw.Client {
	r.Helper()
	c, err := r.site.server.Client(versitygw.AccessKey, versitygw.SecretKey)
	if err != nil {
		r.Fatal(err)
	}
	return c
}

// holds wants these objects, with their contents, and no others: below the root, and in the quarantine.
func (r retiring) holds(tree, quarantine map[string]string) {
	r.Helper()
	c := r.client()
	for prefix, want := range map[string]map[string]string{
		r.root + "/": tree, strings.TrimSuffix(r.root, "tree") + ".tree.understudy/quarantine/" + quarantined + "/": quarantine,
	} {
		all, err := c.List(r.Context(), bucket, prefix)
		if err != nil || len(all) != len(want) {
			r.Errorf("%s holds %v, %v, want %.99q", prefix, all, err, want)
		}
		for name, content := range want {
			if got, err := c.Get(r.Context(), bucket, prefix+name); err != nil || string(got) != content {
				r.Errorf("%s is %.99q, %v, want %.99q", name, got, err, content)
			}
		}
	}
}

type contents = map[string]string

// TestAWriteWhileAnObjectIsRetired has somebody write between the copy and the removal, on a real server as it is, and on one that takes conditions
// on removals otherwise: what was written stays, and goes into the quarantine too when the call is made again.
func TestAWriteWhileAnObjectIsRetired(t *testing.T) {
	site := boot(t)
	for name, c := range map[string]struct {
		when    moment
		removal func(http.ResponseWriter, *http.Request) bool
	}{
		"Held":       {beforeRemoval, nil},
		"Unread":     {afterCopy, unread},
		"Unknown":    {afterCopy, says(http.StatusNotImplemented, "NotImplemented")},
		"AllRefused": {afterCopy, says(http.StatusPreconditionFailed, "PreconditionFailed")},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRetiring(t, site, c.when, c.removal)
			err := r.by.Retire(t.Context(), "d", quarantined)
			if !errors.Is(err, filecopy.ErrChanged) {
				t.Errorf("retired: %v", err)
			}
			r.holds(contents{"d/f": "in between"}, contents{"d/f": "listed"})
			if err := r.by.Retire(t.Context(), "d/f", quarantined); err != nil {
				t.Error(err)
			}
			r.holds(nil, contents{"d/f": "listed", "d/f.1": "in between"})
		})
	}
	askedOnce(t, site)
	t.Run("Conflict", func(t *testing.T) {
		conflict := says(http.StatusConflict, "ConditionalRequestConflict")
		r := newRetiring(t, site, never, func(w http.ResponseWriter, r *http.Request) bool {
			return strings.HasSuffix(r.URL.Path, "/d/f") && conflict(w, r)
		})
		if err := r.by.Retire(t.Context(), "d", quarantined); !errors.Is(err, filecopy.ErrChanged) {
			t.Errorf("retired: %v", err)
		}
	})
	refusedForNothing(t, site)
	// The negative control, and what is left without conditions: what is written after the last look is gone.
	t.Run("Lost", func(t *testing.T) {
		r := newRetiring(t, site, beforeRemoval, unread)
		if err := r.by.Retire(t.Context(), "d", quarantined); err != nil {
			t.Error(err)
		}
		r.holds(nil, contents{"d/f": "listed"})
	})
}

// refusedForNothing has a removal refused though nobody wrote. Two calls retire one object when a directory is retired while files within it still are:
// versitygw refuses a removal for which there is nothing left when it looks for the version.
func refusedForNothing(t *testing.T, site *site) {
	t.Run("Gone", func(t *testing.T) {
		r := newRetiring(t, site, beforeRemoval, func(w http.ResponseWriter, r *http.Request) bool {
			return strings.HasSuffix(r.URL.Path, "/d/f") && says(http.StatusPreconditionFailed, "PreconditionFailed")(w, r)
		})
		r.way.write = func() error { return r.client().Remove(t.Context(), bucket, r.way.key) }
		if err := r.by.Retire(t.Context(), "d", quarantined); err != nil {
			t.Error(err)
		}
		r.holds(nil, contents{"d/f": "listed"})
	})
	t.Run("OneConflict", func(t *testing.T) {
		var refused atomic.Bool
		r := newRetiring(t, site, never, func(w http.ResponseWriter, r *http.Request) bool {
			return strings.HasSuffix(r.URL.Path, "/d/f") && refused.CompareAndSwap(false, true) &&
				says(http.StatusConflict, "ConditionalRequestConflict")(w, r)
		})
		if err := r.by.Retire(t.Context(), "d", quarantined); err != nil {
			t.Error(err)
		}
		r.holds(nil, contents{"d/f": "listed"})
	})
}

// TestALargeObjectIsRetired loses the answer to the completion of a copy that is made in parts, on a real server: the client's next try finds no upload,
// and the object is removed all the same. Where the copy is not there it is not, also where somebody ended the upload amid the parts.
func TestALargeObjectIsRetired(t *testing.T) {
	site := boot(t)
	content := strings.Repeat("a large one. ", 6<<20/13)
	large := func(t *testing.T) retiring {
		r := newRetiring(t, site, never, nil)
		plant(t, r.by, "d/f", content)
		r.by.InParts(5 << 20)
		return r
	}
	t.Run("TheAnswerIsLost", func(t *testing.T) {
		r := large(t)
		var lost atomic.Int64
		r.way.completion = func(_ http.ResponseWriter, req *http.Request) bool {
			if lost.Add(1) > 1 {
				return false
			}
			r.way.forward.ServeHTTP(httptest.NewRecorder(), req)
			panic(http.ErrAbortHandler)
		}
		if err := r.by.Retire(t.Context(), "d", quarantined); err != nil || lost.Load() != 2 {
			t.Errorf("retired after %d completions: %v", lost.Load(), err)
		}
		r.holds(nil, contents{"d/f": content})
	})
	t.Run("TheUploadIsGone", func(t *testing.T) {
		r := large(t)
		r.way.completion = says(http.StatusNotFound, "NoSuchUpload")
		if err := r.by.Retire(t.Context(), "d", quarantined); err == nil || errors.Is(err, filecopy.ErrNotFound) {
			t.Errorf("retired: %v", err)
		}
		r.holds(contents{"d/f": content}, nil)
	})
	// amid does something before the second part is copied.
	amid := func(t *testing.T, do func(r retiring) error) (retiring, error) {
		r := large(t)
		r.way.part = func(_ http.ResponseWriter, req *http.Request) bool {
			if req.URL.Query().Get("partNumber") == "2" {
				if err := do(r); err != nil {
					t.Error(err)
				}
			}
			return false
		}
		return r, r.by.Retire(t.Context(), "d", quarantined)
	}
	t.Run("TheUploadEndsAmidTheParts", func(t *testing.T) {
		r, err := amid(t, func(r retiring) error { return r.by.EndUploads(t.Context(), quarantined) })
		if err == nil || errors.Is(err, filecopy.ErrNotFound) {
			t.Errorf("retired: %v", err)
		}
		r.holds(contents{"d/f": content}, nil)
	})
	t.Run("TheObjectGoesAmidTheParts", func(t *testing.T) {
		r, err := amid(t, func(r retiring) error { return r.client().Remove(t.Context(), bucket, r.way.key) })
		if err != nil {
			t.Errorf("retired: %v", err)
		}
		r.holds(nil, nil)
	})
}

// TestRemovedByTwoAtOnce has two calls remove each object in its version at once, on a real server, as happens when the directory that it is in is
// retired too: none of the calls fails.
func TestRemovedByTwoAtOnce(t *testing.T) {
	const rounds, objects = 8, 32
	r := newRetiring(t, boot(t), never, nil)
	for round := range rounds {
		path := func(i int) filecopy.Path { return filecopy.Path(fmt.Sprintf("d/%d-%d", round, i)) }
		for i := range objects {
			plant(t, r.by, path(i), "twice removed")
		}
		var all errgroup.Group
		for i := range 2 * objects {
			all.Go(func() error { return r.by.RemoveAsSeen(t.Context(), path(i/2)) })
		}
		if err := all.Wait(); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	r.holds(contents{"d/f": "listed"}, nil)
}

// askedOnce has nobody write: the server is asked once what it does, and what it was asked with is gone.
func askedOnce(t *testing.T, site *site) {
	for name, c := range map[string]struct {
		removal func(http.ResponseWriter, *http.Request) bool
		probes  int64
	}{"Nobody": {nil, 4}, "NobodyUnread": {unread, 4}, "NobodyUnknown": {says(http.StatusNotImplemented, "NotImplemented"), 4}} {
		t.Run(name, func(t *testing.T) {
			r := newRetiring(t, site, never, c.removal)
			plant(t, r.by, "d/g", "another")
			for _, p := range []filecopy.Path{"d/f", "d/g"} {
				if err := r.by.Retire(t.Context(), p, quarantined); err != nil {
					t.Error(err)
				}
			}
			r.holds(nil, contents{"d/f": "listed", "d/g": "another"})
			if n := r.way.probes.Load(); n != c.probes {
				t.Errorf("%d requests to ask the server, want %d", n, c.probes)
			}
		})
	}
}
