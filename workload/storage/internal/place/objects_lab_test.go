package place

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/lab/azurite"
	"github.com/understudy-dr/understudy/lab/versitygw"
)

// hold is the way to a server on which one request can be kept back, as when the process that sent it was stopped.
type hold struct {
	*httptest.Server
	mu   sync.Mutex
	want func(*http.Request) bool
	held chan struct{}
	free chan struct{}
}

// holdBefore makes the way. The server sees requests as they were signed.
func holdBefore(t *testing.T, addr string) *hold {
	h := &hold{}
	forward := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr})
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		stop := h.want != nil && h.want(r)
		if stop {
			h.want = nil
		}
		h.mu.Unlock()
		if stop {
			close(h.held)
			<-h.free
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(h.Close)
	return h
}

// next has the next request of a kind held back.
func (h *hold) next(want func(*http.Request) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.want, h.held, h.free = want, make(chan struct{}), make(chan struct{})
}

// late is one object store with a tree in which a file is shown, and another version of it is staged.
type late struct {
	*testing.T
	tree   objectTree
	target filecopy.Target
	entry  filecopy.Entry
	sealed filecopy.Sealed
	way    *hold
}

func newLate(t *testing.T, way *hold, s Site) *late {
	l := &late{T: t, tree: s.Tree("/tree").(objectTree), way: way, entry: filecopy.Entry{Path: "old", Kind: filecopy.File, Size: 4}}
	l.must(l.put("old", "old!"))
	var err error
	l.target, err = l.tree.Store(t.Context(), "e3", false)
	l.must(err)
	l.must(l.target.Keep(t.Context(), "job/head.json", strings.NewReader("head")))
	h, err := l.target.Begin(t.Context(), "lot", l.entry)
	l.must(err)
	l.must(l.target.Write(t.Context(), h, filecopy.Part{Size: 4}, strings.NewReader("late")))
	l.sealed, err = l.target.Seal(t.Context(), h, l.entry, filecopy.Checksum{})
	l.must(err)
	return l
}

func (l *late) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

func (l *late) put(name, content string) error {
	sh, _, err := l.tree.site.open(l.Context())
	l.must(err)
	return sh.Put(l.Context(), l.tree.root+"/"+name, []byte(content), false)
}

func (l *late) shows() string {
	sh, _, err := l.tree.site.open(l.Context())
	l.must(err)
	b, err := sh.Get(l.Context(), l.tree.root+"/old")
	l.must(err)
	return string(b)
}

// halt bars the folder, finishes what was being shown, and removes what is staged, as a halt does.
func (l *late) halt(finish func()) {
	l.Helper()
	for range 2 {
		l.must(l.tree.Bar(l.Context(), "e3", "halted-e3"))
	}
	finish()
	l.must(l.tree.Unstage(l.Context(), "halted-e3"))
	if n, _, err := l.tree.Staged(l.Context(), "halted-e3"); err != nil || n != 0 {
		l.Errorf("%d lots are still staged, %v", n, err)
	}
	folders, err := l.tree.Folders(l.Context())
	l.must(err)
	if fmt.Sprint(folders) != "[{e3 true} {halted-e3 false}]" {
		l.Errorf("understudy's folder holds %v", folders)
	}
	halted, err := l.tree.Store(l.Context(), "halted-e3", false)
	l.must(err)
	if r, err := halted.Kept(l.Context(), "job/head.json"); err != nil {
		l.Error(err)
	} else {
		l.must(r.Close())
	}
}

// refused has the mover go on at every call that shows, keeps or takes away something.
func (l *late) refused() {
	l.Helper()
	ctx := l.Context()
	for name, call := range map[string]func() error{
		"publish": func() error { _, err := l.target.Publish(ctx, l.sealed, l.entry); return err },
		"begin":   func() error { _, err := l.target.Begin(ctx, "lot", l.entry); return err },
		"keep":    func() error { return l.target.Keep(ctx, "job/head.json", strings.NewReader("late")) },
		"kept":    func() error { _, err := l.target.Kept(ctx, "job/head.json"); return err },
		"retire":  func() error { return l.target.Retire(ctx, "old", "20260102T150405Z-1") },
		"discard": func() error { return l.target.Discard(ctx, "lot") },
	} {
		if err := call(); !errors.Is(err, ErrBarred) {
			l.Errorf("a late %s: %v", name, err)
		}
	}
	if got := l.shows(); got != "old!" {
		l.Errorf("the tree shows %q", got)
	}
}

// heldPublish has a mover stopped after it looked for the bar, with its request to show a file on the way, and lets that arrive after the halt and
// what comes then.
func (l *late) heldPublish(is func(*http.Request) bool, finish, then func()) error {
	l.way.next(is)
	came := make(chan error, 1)
	go func() {
		_, err := l.target.Publish(l.Context(), l.sealed, l.entry)
		came <- err
	}()
	<-l.way.held
	l.halt(finish)
	then()
	close(l.way.free)
	return <-came
}

// heldRetire has a mover stopped with its removal of what it has copied into the quarantine on the way; that arrives after something else, and after
// somebody's write.
func (l *late) heldRetire(then func()) error {
	l.Helper()
	l.way.next(func(r *http.Request) bool {
		return r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, "/tree/old")
	})
	came := make(chan error, 1)
	go func() { came <- l.target.Retire(l.Context(), "old", "20260102T150405Z-1") }()
	<-l.way.held
	then()
	l.must(l.put("old", "new!"))
	close(l.way.free)
	return <-came
}

// retires holds a removal across a halt: what is written then stays. Without a halt it goes into the quarantine as well.
func (l *late) retires(free *late) {
	l.Helper()
	err := l.heldRetire(func() { l.must(l.tree.Bar(l.Context(), "e3", "halted-e3")) })
	if got := l.shows(); !errors.Is(err, ErrBarred) || got != "new!" {
		l.Errorf("the held removal: %v, the tree shows %q", err, got)
	}
	free.must(free.heldRetire(func() {}))
	sh, _, err := free.tree.site.open(free.Context())
	free.must(err)
	for name, want := range map[string]string{"": "old!", ".1": "new!"} {
		if b, err := sh.Get(free.Context(), free.tree.at("quarantine", "20260102T150405Z-1", "old"+name)); err != nil || string(b) != want {
			free.Errorf("the quarantine holds %q, %v, want %q", b, err, want)
		}
	}
	if _, err := sh.Get(free.Context(), free.tree.root+"/old"); !errors.Is(err, filecopy.ErrNotFound) {
		free.Errorf("after a write in between, what was to go is there: %v", err)
	}
}

// forgets leaves probes behind in the tree, and tries a write there.
func (l *late) forgets() {
	l.Helper()
	stay := leaves(func(name, content string) { l.must(l.put(name, content)) })
	l.must(l.tree.Try(l.Context(), Ourselves))
	sh, _, err := l.tree.site.open(l.Context())
	l.must(err)
	there, err := sh.Names(l.Context(), l.tree.root+"/"+filecopy.ProbeName)
	l.must(err)
	for i, more := range there {
		there[i] = filecopy.ProbeName + more
	}
	if slices.Sort(there); !slices.Equal(there, stay) {
		l.Errorf("the tree holds %q, want %q", there, stay)
	}
}

func s3Late(t *testing.T, server *versitygw.Server, way *hold, bucket string) *late {
	if err := server.MakeBucket(bucket); err != nil {
		t.Fatal(err)
	}
	return newLate(t, way, S3(S3Config{URL: way.URL, Region: versitygw.Region, Bucket: bucket, Keys: "keys", Policy: true, Secret: known}))
}

// known is the one secret of these tests: the account's.
func known(_ context.Context, name string) ([]byte, error) {
	if name == "key" {
		return []byte(azurite.Key()), nil
	}
	return []byte(versitygw.AccessKey + ":" + versitygw.SecretKey), nil
}

// TestALateMoverOfABucket is stopped after its last look at the bar: the server refuses what it has sent, since what it had staged is gone.
func TestALateMoverOfABucket(t *testing.T) {
	server := versitygw.Boot(t)
	way := holdBefore(t, server.Addr())
	l := s3Late(t, server, way, "late")
	err := l.heldPublish(func(r *http.Request) bool { return r.Header.Get("X-Amz-Copy-Source") != "" }, func() {}, func() {})
	if !errors.Is(err, filecopy.ErrNotFound) {
		t.Errorf("the held request: %v", err)
	}
	l.refused()
	// The negative control: without the halt the same request is accepted.
	free := s3Late(t, server, way, "free")
	if _, err := free.target.Publish(t.Context(), free.sealed, free.entry); err != nil || free.shows() != "late" {
		t.Errorf("without a bar the tree shows %q, %v", free.shows(), err)
	}
	free.forgets()
	s3Late(t, server, way, "retires").retires(s3Late(t, server, way, "retiresfree"))
	t.Run("a link goes on under another name", func(t *testing.T) {
		l := s3Late(t, server, way, "adopted")
		l.must(l.tree.Bar(t.Context(), "e3", "e5"))
		next, err := l.tree.Store(t.Context(), "e5", false)
		l.must(err)
		if _, err := next.Publish(t.Context(), l.sealed, l.entry); err != nil || l.shows() != "late" {
			t.Errorf("what was staged before is shown as %q, %v", l.shows(), err)
		}
		l.must(l.tree.Bar(t.Context(), "e5", "halted-e5"))
		if done, err := l.tree.Rename(t.Context(), "halted-e5", "e7"); err != nil || !done {
			t.Errorf("renaming: %v, %v", done, err)
		}
		again, err := l.tree.Store(t.Context(), "e7", false)
		l.must(err)
		if _, err := again.Kept(t.Context(), "job/head.json"); err != nil {
			t.Error(err)
		}
		l.must(l.tree.Remove(t.Context(), ""))
		if left, err := l.tree.Folders(t.Context()); err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	})
}

// finish shows what the halted link was showing, as a halt does with a set of which readers see a part.
func (l *late) finish() {
	l.Helper()
	halted, err := l.tree.Store(l.Context(), "halted-e3", false)
	l.must(err)
	_, err = halted.Publish(l.Context(), l.sealed, l.entry)
	l.must(err)
}

// empties stages an empty file in the place of the other, or where none is.
func (l *late) empties(p filecopy.Path) {
	l.Helper()
	l.entry.Path, l.entry.Size = p, 0
	h, err := l.target.Begin(l.Context(), "lot", l.entry)
	l.must(err)
	l.sealed, err = l.target.Seal(l.Context(), h, l.entry, filecopy.SumOf(0))
	l.must(err)
}

// emptied has somebody remove a new file, which is empty, after the halt has finished showing it: the request that was on its way does not bring it back.
func (l *late) emptied(is func(*http.Request) bool) {
	l.Helper()
	l.empties("new")
	sh, _, err := l.tree.site.open(l.Context())
	l.must(err)
	err = l.heldPublish(is, l.finish, func() { l.must(sh.Remove(l.Context(), l.tree.root+"/new")) })
	if !errors.Is(err, filecopy.ErrNotFound) {
		l.Errorf("the held request: %v", err)
	}
	if _, err := sh.Get(l.Context(), l.tree.root+"/new"); !errors.Is(err, filecopy.ErrNotFound) {
		l.Errorf("an empty file that was removed is there: %v", err)
	}
}

// TestALateMoverOfAContainer is stopped after its last look at the bar. Blocks that it staged outlive the halt; but the halt finishes what it was
// showing, and the commit is held to what stood there before. What an empty file is copied from does not outlive it. All further calls are refused.
func TestALateMoverOfAContainer(t *testing.T) {
	server := azurite.Boot(t)
	way := holdBefore(t, server.Addr())
	open := func(name string) *late {
		c, err := server.Client(name)
		if err == nil {
			err = c.Make(t.Context(), nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		return newLate(t, way, Blob(BlobConfig{URL: way.URL + "/" + azurite.Account, Account: azurite.Account, Container: name, Key: "key", Secret: known}))
	}
	commits := func(r *http.Request) bool {
		return r.Method == http.MethodPut && (r.URL.Query().Get("comp") == "blocklist" || r.Header.Get("X-Ms-Copy-Source") != "")
	}
	for name, want := range map[string]error{"full": ErrBarred, "empty": filecopy.ErrNotFound} {
		l := open("late-" + name)
		if name == "empty" {
			l.empties("old")
		}
		err := l.heldPublish(commits, l.finish, func() { l.must(l.put("old", "old!")) })
		if !errors.Is(err, want) {
			t.Errorf("%s: the held request: %v", name, err)
		}
		l.refused()
		if _, text, err := l.tree.Staged(t.Context(), "halted-e3"); err != nil || !strings.Contains(text, "replaces nothing but") {
			t.Errorf("the proof says %q, %v", text, err)
		}
		l.forgets()
	}
	open("retires").retires(open("retiresfree"))
	open("emptied").emptied(commits)
	free := open("emptyfree")
	free.empties("new")
	if _, err := free.target.Publish(t.Context(), free.sealed, free.entry); err != nil {
		t.Errorf("without a halt an empty file is shown: %v", err)
	}
	// The negative control: without the condition a commit replaces what was written meanwhile.
	l := open("free")
	base, err := l.tree.Store(t.Context(), "", false)
	l.must(err)
	if _, err := base.Publish(t.Context(), l.sealed, l.entry); err != nil || l.shows() != "late" {
		t.Errorf("without a condition the tree shows %q, %v", l.shows(), err)
	}
	// Without a halt somebody's write in between is replaced, as ever.
	l = open("drift")
	l.way.next(commits)
	go func() {
		<-l.way.held
		if err := l.put("old", "drift"); err != nil {
			t.Error(err)
		}
		close(l.way.free)
	}()
	if _, err := l.target.Publish(t.Context(), l.sealed, l.entry); err != nil || l.shows() != "late" {
		t.Errorf("after a write in between the tree shows %q, %v", l.shows(), err)
	}
}

// TestAFenceThatShutsOutUnderstudyIsTakenBack closes a bucket with keys that its policy binds.
func TestAFenceThatShutsOutUnderstudyIsTakenBack(t *testing.T) {
	server := versitygw.Boot(t)
	ctx := t.Context()
	root, err := server.Client(versitygw.AccessKey, versitygw.SecretKey)
	if err == nil {
		err = errors.Join(server.MakeBucket("lake"), server.AddUser(ctx, "app", "appsecret"))
	}
	const allow = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["app"]},"Action":["s3:*"],"Resource":["arn:aws:s3:::lake","arn:aws:s3:::lake/*"]}]}`
	if err == nil {
		err = root.SetPolicy(ctx, "lake", allow)
	}
	if err != nil {
		t.Fatal(err)
	}
	secrets := func(context.Context, string) ([]byte, error) { return []byte("app:appsecret"), nil }
	site := S3(S3Config{URL: server.Endpoint(), Region: versitygw.Region, Bucket: "lake", Keys: "app", Policy: true, Secret: secrets})
	gate := site.Tree("/tree").(Gate)
	var coded *understudy.Error
	if err := gate.Shut(ctx); !errors.As(err, &coded) || coded.Code != "US732" {
		t.Errorf("closing gives %v", err)
	}
	if s, err := gate.Rules(ctx); err != nil || s.State != GateOpen {
		t.Errorf("the tree is %+v, %v", s, err)
	}
	if now, err := root.Policy(ctx, "lake"); err != nil || strings.Contains(now, "Understudy") {
		t.Errorf("the policy is %s, %v", now, err)
	}
}

// TestSettingsOfABucketAreTold has a server answer two questions that versitygw does not know, in the words of the protocol, and not know what
// versitygw does.
func TestSettingsOfABucketAreTold(t *testing.T) {
	server := versitygw.Boot(t)
	if err := server.MakeBucket("lake"); err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: server.Addr()})
	way := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet && r.URL.Query().Has("versioning"):
			fmt.Fprint(w, `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>`)
		case r.Method == http.MethodGet && r.URL.Query().Has("lifecycle"):
			fmt.Fprint(w, `<LifecycleConfiguration><Rule><ID>old</ID><Filter><Prefix>logs/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>30</Days></Expiration></Rule>`+
				`<Rule><ID>off</ID><Filter><Prefix>off/</Prefix></Filter><Status>Disabled</Status><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>`)
		default:
			// As a server that does not know the condition.
			r.Header.Del("If-Match")
			forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(way.Close)
	id, err := S3(S3Config{URL: way.URL, Region: versitygw.Region, Bucket: "lake", Keys: "keys", Secret: known}).Look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprint(id.Notes)
	if len(id.Notes) != 3 || !strings.Contains(text, "keeps old versions") || !strings.Contains(text, "/logs/") || !strings.Contains(text, "US733") || !strings.Contains(text, "US633") || !id.Unnamed {
		t.Errorf("what is told is %+v", id)
	}
	straight, err := S3(S3Config{URL: server.Endpoint(), Region: versitygw.Region, Bucket: "lake", Keys: "keys", Secret: known}).Look(t.Context())
	if err != nil || len(straight.Notes) != 0 {
		t.Errorf("what is told of a server that knows the condition is %+v, %v", straight, err)
	}
}
