package adls_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/file"

	"github.com/understudy-dr/understudy/filecopy"
	lab "github.com/understudy-dr/understudy/lab/adls"
)

// wire is a path to the account on which answers can be lost.
type wire struct {
	*httptest.Server
	mu sync.Mutex
	// lose says whether the answer to a request is kept from the client.
	lose func(*http.Request) bool
}

func newWire(t *testing.T, s *site) *wire {
	to, err := url.Parse("http://" + s.Addr())
	must(t, err)
	w := &wire{lose: func(*http.Request) bool { return false }}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = to.Scheme, to.Host
	}}
	w.Server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if !w.meets(r) {
			proxy.ServeHTTP(out, r)
			return
		}
		proxy.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(w.Close)
	return w
}

// meets says whether the answer to a request is lost.
func (w *wire) meets(r *http.Request) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lose(r)
}

// set changes which answers are lost from now on.
func (w *wire) set(lose func(*http.Request) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lose = lose
}

func (w *wire) endpoint() string { return w.URL + "/" + lab.AccountName }

// TestLostAnswers loses the first answer to each kind of request that changes something: what was done is found done.
func TestLostAnswers(t *testing.T) {
	site := boot(t, lab.Config{})
	w := newWire(t, site)
	seen := site.tree(t)
	store := at(t, w.endpoint(), "t1/tree", smallParts)
	lost := map[string]bool{}
	w.set(func(r *http.Request) bool {
		kind := r.Method + r.URL.Query().Get("action") + r.URL.Query().Get("resource") + r.URL.Query().Get("comp")
		if r.Header.Get("x-ms-rename-source") != "" {
			kind = "rename" + r.Header.Get("If-None-Match")
		}
		first := !lost[kind] && r.Method != http.MethodGet && r.Method != http.MethodHead
		lost[kind] = lost[kind] || first
		return first
	})
	content := strings.Repeat("0123456789", 250)
	e := filecopy.Entry{Path: "d/f", Kind: filecopy.File, Size: int64(len(content)), Attributes: filecopy.Attributes{Mode: 0o640, Owner: "ada", Group: "etl"}}
	must(t, store.MakeDirectory(t.Context(), filecopy.Entry{Path: "d", Kind: filecopy.Directory, Attributes: filecopy.Attributes{Mode: 0o755}}))
	h, err := store.Begin(t.Context(), "lot", e)
	must(t, err)
	for n := range 3 {
		piece := content[n*1000 : min((n+1)*1000, len(content))]
		must(t, store.Write(t.Context(), h, filecopy.Part{Number: n, Offset: int64(n) * 1000, Size: int64(len(piece))}, strings.NewReader(piece)))
	}
	sealed, err := store.Seal(t.Context(), h, e, filecopy.SumOf(0).Extend([]byte(content)))
	must(t, err)
	version, err := store.Publish(t.Context(), sealed, e)
	must(t, err)
	view, err := seen.Open(t.Context(), filecopy.Pin{})
	must(t, err)
	got, err := view.Stat(t.Context(), "d/f")
	if err != nil || got.Version != version || got.Owner != "ada" || got.Sum != sealed.Sum {
		t.Errorf("published = %+v, %v", got, err)
	}
	if err := store.Move(t.Context(), "d/f", "d/g"); err != nil && !strings.Contains(err.Error(), "SourcePathNotFound") {
		t.Errorf("move = %v", err)
	}
	must(t, store.Keep(t.Context(), "j/x", strings.NewReader("kept")))
	must(t, store.Retire(t.Context(), "d/g", "20200101T000000Z-x-1"))
	must(t, store.Forget(t.Context(), "j/x"))
	must(t, store.Discard(t.Context(), "lot"))
	w.mu.Lock()
	defer w.mu.Unlock()
	count := 0
	for _, was := range lost {
		if was {
			count++
		}
	}
	if _, err := view.Stat(t.Context(), "d/g"); err == nil || count < 8 {
		t.Errorf("retired = %v, lost %v", err, lost)
	}
}

// TestALostRevealIsFoundDone loses the answer to the rename that shows a directory; somebody else's directory there is no such thing.
func TestALostRevealIsFoundDone(t *testing.T) {
	site := boot(t, lab.Config{})
	w := newWire(t, site)
	seen := site.tree(t)
	store := at(t, w.endpoint(), "t1/tree")
	whole, err := store.Assembly("lot")
	must(t, err)
	made := func(p filecopy.Path) {
		t.Helper()
		must(t, whole.MakeDirectory(t.Context(), filecopy.Entry{Path: p, Kind: filecopy.Directory, Attributes: filecopy.Attributes{Mode: 0o755}}))
	}
	made("")
	made("d")
	lost := 0
	w.set(func(r *http.Request) bool {
		if r.Header.Get("x-ms-rename-source") == "" {
			return false
		}
		lost++
		return lost == 1
	})
	must(t, store.Reveal(t.Context(), "lot", "d"))
	view, err := seen.Open(t.Context(), filecopy.Pin{})
	must(t, err)
	if e, err := view.Stat(t.Context(), "d"); err != nil || e.Kind != filecopy.Directory || lost < 2 {
		t.Errorf("shown = %+v, %v after %d renames", e, err, lost)
	}
	made("d")
	if err := store.Reveal(t.Context(), "lot", "d"); !errors.Is(err, filecopy.ErrChanged) {
		t.Errorf("reveal over another directory = %v", err)
	}
}

// TestNamesGoOverTheWireAsTheyAre renames paths with what URLs and headers have other uses for.
func TestNamesGoOverTheWireAsTheyAre(t *testing.T) {
	site := boot(t, lab.Config{})
	store := site.tree(t)
	view, err := store.Open(t.Context(), filecopy.Pin{})
	must(t, err)
	for _, name := range []filecopy.Path{"a?b", "a%41", "%", " a ", "a+b", "a#b", "ü", "a&b=c", "a,b;c", "q?x=1&y"} {
		put(t, store, name, string(name))
		must(t, store.Move(t.Context(), name, "d"+name))
		e, err := view.Stat(t.Context(), "d"+name)
		if err != nil || e.Size != int64(len(name)) {
			t.Errorf("%q moved = %+v, %v", name, e, err)
		}
		must(t, store.Retire(t.Context(), "d"+name, "20200101T000000Z-x-1"))
	}
	left := 0
	must(t, view.List(t.Context(), "", func(filecopy.Entry) error { left++; return nil }))
	if left != 0 {
		t.Errorf("%d are left", left)
	}
}

// TestAccessComesAndGoes writes and reads all that the service keeps, of files and directories, also below a directory with default entries.
func TestAccessComesAndGoes(t *testing.T) {
	site := boot(t, lab.Config{})
	store := site.tree(t)
	view, err := store.Open(t.Context(), filecopy.Pin{})
	must(t, err)
	defaults := []string{"default:group::r-x", "default:mask::rwx", "default:other::---", "default:user::rwx", "default:user:eve:rwx"}
	made := func(p filecopy.Path, kind filecopy.EntryKind, a filecopy.Attributes) {
		t.Helper()
		must(t, store.MakeDirectory(t.Context(), filecopy.Entry{Path: p, Kind: kind, Attributes: a}))
		for range 2 {
			e, err := view.Stat(t.Context(), p)
			if err != nil || e.Owner != a.Owner || e.Group != a.Group || e.Mode != a.Mode || strings.Join(e.ACL, ",") != strings.Join(a.ACL, ",") {
				t.Errorf("%q = %+v, %v; want %+v", p, e, err, a)
			}
			must(t, store.SetAttributes(t.Context(), p, a, filecopy.AllFields))
		}
	}
	made("d", filecopy.Directory, filecopy.Attributes{Owner: "ada", Group: "etl", Mode: 0o1770, ACL: defaults})
	made("d/plain", filecopy.Directory, filecopy.Attributes{Owner: "ada", Group: "etl", Mode: 0o755})
	made("d/named", filecopy.Directory, filecopy.Attributes{Owner: "bob", Group: "ops", Mode: 0o750, ACL: []string{"group::r--", "user:zoe:rwx"}})
	made("d", filecopy.Directory, filecopy.Attributes{Owner: "ada", Group: "etl", Mode: 0o700})
	put(t, store, "d/f", "content")
	must(t, store.SetAttributes(t.Context(), "d/f", filecopy.Attributes{Owner: "eve", Group: "dev", Mode: 0o664, ACL: []string{"group::r--", "user:zoe:rw-"}}, filecopy.AllFields))
	must(t, store.SetAttributes(t.Context(), "d/f", filecopy.Attributes{Mode: 0o604}, filecopy.FieldMode))
	e, err := view.Stat(t.Context(), "d/f")
	if err != nil || e.Owner != "eve" || e.Mode != 0o604 || strings.Join(e.ACL, ",") != "group::r--,user:zoe:rw-" {
		t.Errorf("d/f = %+v, %v", e, err)
	}
}

// TestWhatTheServiceRefusesIsNamed: an account without directories, names that are no paths, principals that the account does not know.
func TestWhatTheServiceRefusesIsNamed(t *testing.T) {
	flat := boot(t, lab.Config{Flat: true})
	_, err := at(t, flat.Endpoint(), "").Probe(t.Context())
	wants(t, "US640", err)

	site := boot(t, lab.Config{Principals: func(name string) bool { return name == "ada" }})
	store := site.tree(t)
	for _, name := range []string{"dot.", "tab\tx"} {
		_, err := site.client.NewFileClient("t1/tree/"+name).Create(t.Context(), nil)
		must(t, err)
		view, err := store.Open(t.Context(), filecopy.Pin{})
		must(t, err)
		wants(t, "US641", view.List(t.Context(), "", func(filecopy.Entry) error { return nil }))
		_, err = site.client.NewFileClient("t1/tree/"+name).Delete(t.Context(), nil)
		must(t, err)
	}
	wants(t, "US643", store.SetAttributes(t.Context(), "", filecopy.Attributes{Owner: "bob"}, filecopy.FieldOwner))
	must(t, store.SetAttributes(t.Context(), "", filecopy.Attributes{Owner: "ada"}, filecopy.FieldOwner))
	without := at(t, site.Endpoint(), "t1/tree", noOwners)
	must(t, without.MakeDirectory(t.Context(), filecopy.Entry{Path: "d", Kind: filecopy.Directory, Attributes: filecopy.Attributes{Owner: "bob", Mode: 0o700, ACL: []string{"user:eve:rwx"}}}))
}

// TestOthersMayAppend: a file that we published and somebody else appends to is another version, and no rotten one.
func TestOthersMayAppend(t *testing.T) {
	site := boot(t, lab.Config{})
	store := site.tree(t)
	put(t, store, "f", "ours")
	_, err := site.client.NewFileClient("t1/tree/f").AppendData(t.Context(), 4, streaming.NopCloser(strings.NewReader("more")), &file.AppendDataOptions{Flush: to.Ptr(true)})
	must(t, err)
	view, err := store.Open(t.Context(), filecopy.Pin{})
	must(t, err)
	e, err := view.Stat(t.Context(), "f")
	must(t, err)
	r, err := view.Read(t.Context(), e, 0)
	must(t, err)
	if b, err := io.ReadAll(r); err != nil || string(b) != "oursmore" || e.Sum.Known {
		t.Errorf("read %q, %v; sum %v", b, err, e.Sum)
	}
	must(t, r.Close())
}

// TestATreeThatIsMadeAnewIsAnother: an identity tells one directory from another of its name.
func TestATreeThatIsMadeAnewIsAnother(t *testing.T) {
	site := boot(t, lab.Config{})
	store := site.tree(t)
	first, err := store.Probe(t.Context())
	must(t, err)
	again, err := at(t, site.Endpoint(), "t1/tree").Probe(t.Context())
	if err != nil || again.Identity != first.Identity || !strings.Contains(first.Identity, "@") {
		t.Errorf("identities %q and %q, %v", first.Identity, again.Identity, err)
	}
	if _, err := at(t, site.Endpoint(), "none").Probe(t.Context()); err == nil {
		t.Error("a root that is not there was found")
	}
	if _, err := at(t, site.Endpoint(), "").Probe(t.Context()); err != nil {
		t.Errorf("the whole file system = %v", err)
	}
}
