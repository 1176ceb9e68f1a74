package s3_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/native"
	"github.com/understudy-dr/understudy/filecopy/s3"
)

// listing is a server that lists keys which a real one over a file system cannot hold.
type listing struct {
	XMLName  xml.Name `xml:"ListBucketResult"`
	Contents []listed
}

type listed struct {
	Key  string
	Size int64
	ETag string
}

func (l listing) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/xml")
	if err := xml.NewEncoder(w).Encode(l); err != nil {
		panic(err)
	}
}

// open gives a store at a server of this process.
func open(t *testing.T, h http.Handler, change ...func(*s3.Config)) *s3.Store {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	c := s3.Config{Endpoint: s3.Endpoint{URL: server.URL, Region: "lab", Keys: labKeys}, Bucket: bucket, Root: "data/curated"}
	for _, f := range change {
		f(&c)
	}
	s, err := s3.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func list(t *testing.T, s *s3.Store) ([]filecopy.Path, error) {
	t.Helper()
	v, err := s.Open(t.Context(), filecopy.Pin{})
	if err != nil {
		t.Fatal(err)
	}
	var all []filecopy.Path
	err = v.List(t.Context(), "", func(e filecopy.Entry) error {
		all = append(all, e.Path)
		return nil
	})
	return all, err
}

func keys(names ...string) listing {
	l := listing{}
	for _, n := range names {
		// The keys are sent as they are when a client asks for them encoded.
		l.Contents = append(l.Contents, listed{Key: "data/curated/" + n, ETag: `"1"`})
	}
	return l
}

// TestKeysThatAreNoPathsAreRefused lists keys that Amazon S3 would hold.
func TestKeysThatAreNoPathsAreRefused(t *testing.T) {
	for _, names := range [][]string{{"a//b"}, {"/a"}, {"a/../b"}, {"."}, {"dir/"}, {""}, {"a\ufffdb"}, {"ok", "x", "x-y", "x/y"}} {
		_, err := list(t, open(t, keys(names...)))
		wants(t, "US630", err)
	}
	for _, names := range [][]string{{"a%FFb"}, {"a%01b"}} {
		_, err := list(t, open(t, encoded{keys(names...)}))
		wants(t, "US630", err)
	}
	good := []string{"...", "a", "a-b", "a.b/c", "ab/c", "é+ %"}
	all, err := list(t, open(t, keys(good...)))
	if err != nil || fmt.Sprint(all) != fmt.Sprint(good) {
		t.Errorf("listed %q, %v", all, err)
	}
}

// encoded says that its keys are.
type encoded struct{ of listing }

func (e encoded) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/xml")
	if err := xml.NewEncoder(w).Encode(struct {
		XMLName      xml.Name `xml:"ListBucketResult"`
		EncodingType string
		Contents     []listed
	}{EncodingType: "url", Contents: e.of.Contents}); err != nil {
		panic(err)
	}
}

// TestMarksAreLeftOutWhenAsked leaves out empty objects that end with a slash, and no others.
func TestMarksAreLeftOutWhenAsked(t *testing.T) {
	marks := func(c *s3.Config) { c.Marks = true }
	all, err := list(t, open(t, keys("", "d/", "d/a"), marks))
	if err != nil || fmt.Sprint(all) != "[d/a]" {
		t.Errorf("listed %q, %v", all, err)
	}
	full := keys("d/")
	full.Contents[0].Size = 1
	_, err = list(t, open(t, full, marks))
	wants(t, "US630", err)
}

func wants(t *testing.T, code understudy.Code, err error) {
	t.Helper()
	var e *understudy.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("error = %v, want %s", err, code)
	}
	if _, ok := understudy.Explain(code); !ok {
		t.Errorf("%s has no page", code)
	}
}

// answer is a server that says one thing to everything.
func answer(status int, code string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", code)
		}
	})
}

// TestAnswersHaveTheirMeaning looks at what errors of a server become.
func TestAnswersHaveTheirMeaning(t *testing.T) {
	e := filecopy.Entry{Path: "a", Kind: filecopy.File, Size: 1, Version: "1"}
	for _, c := range []struct {
		status int
		code   string
		want   error
	}{
		{http.StatusServiceUnavailable, "SlowDown", filecopy.ErrBusy},
		{http.StatusNotFound, "NoSuchKey", filecopy.ErrNotFound},
		{http.StatusPreconditionFailed, "PreconditionFailed", filecopy.ErrChanged},
		{http.StatusForbidden, "AccessDenied", fs.ErrPermission},
		{http.StatusForbidden, "QuotaExceeded", filecopy.ErrFull},
		{http.StatusBadRequest, "XMinioAdminBucketQuotaExceeded", filecopy.ErrFull},
		{http.StatusInsufficientStorage, "InsufficientStorage", filecopy.ErrFull},
		{http.StatusBadRequest, "BadDigest", filecopy.ErrCorrupt},
	} {
		s := open(t, answer(c.status, c.code))
		h, err := s.Begin(t.Context(), "lot", e)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Write(t.Context(), h, filecopy.Part{Size: 1}, strings.NewReader("x"))
		if !errors.Is(err, c.want) {
			t.Errorf("write at %d %s = %v, want %v", c.status, c.code, err, c.want)
		}
		v, err := s.Open(t.Context(), filecopy.Pin{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Read(t.Context(), e, 0); !errors.Is(err, c.want) || !strings.Contains(err.Error(), "bucket "+bucket) {
			t.Errorf("read at %d %s = %v, want %v", c.status, c.code, err, c.want)
		}
	}
}

// TestAServerWithoutChecksumsIsNotBelieved writes to one that takes everything and says nothing about it.
func TestAServerWithoutChecksumsIsNotBelieved(t *testing.T) {
	s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("ETag", `"1"`)
	}))
	e := filecopy.Entry{Path: "a", Kind: filecopy.File, Size: 1}
	h, err := s.Begin(t.Context(), "lot", e)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(t.Context(), h, filecopy.Part{Size: 1}, strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	_, err = s.Seal(t.Context(), h, e, filecopy.SumOf(0))
	wants(t, "US631", err)
	e.Size = 5<<40 + 1
	_, err = s.Begin(t.Context(), "lot", e)
	wants(t, "US632", err)
}

// TestKeysAreLookedUpWhenNeeded lets the lookup fail, and give nothing.
func TestKeysAreLookedUpWhenNeeded(t *testing.T) {
	broken := errors.New("no such secret")
	for _, give := range []func(context.Context) (s3.Keys, error){
		func(context.Context) (s3.Keys, error) { return s3.Keys{}, broken },
		func(context.Context) (s3.Keys, error) { return s3.Keys{Access: "only"}, nil },
	} {
		s := open(t, keys("a"), func(c *s3.Config) { c.Endpoint.Keys = give })
		if _, err := list(t, s); err == nil || !strings.Contains(err.Error(), "look up the keys") {
			t.Errorf("list = %v", err)
		}
	}
}

// TestChangedKeysAreTaken changes the keys of an account: what is asked for after a refusal is asked for with the new ones.
func TestChangedKeysAreTaken(t *testing.T) {
	asked := 0
	give := func(context.Context) (s3.Keys, error) {
		asked++
		return s3.Keys{Access: fmt.Sprint("key", asked), Secret: "secret"}, nil
	}
	valid, now := "key1", time.Now()
	s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Authorization"), "Credential="+valid+"/") {
			answer(http.StatusForbidden, "InvalidAccessKeyId").ServeHTTP(w, r)
			return
		}
		keys("a").ServeHTTP(w, r)
	}), func(c *s3.Config) {
		c.Endpoint.Keys = give
		c.Endpoint = c.Endpoint.At(func() time.Time { return now })
	})
	lists := func(want error, lookups int) {
		t.Helper()
		if _, err := list(t, s); !errors.Is(err, want) || asked != lookups {
			t.Errorf("list = %v, after %d look-ups", err, asked)
		}
	}
	lists(nil, 1)
	lists(nil, 1)
	valid = "key2"
	// They were looked up moments ago, so not again for each refusal.
	for range 3 {
		lists(fs.ErrPermission, 1)
	}
	now = now.Add(5 * time.Second)
	lists(nil, 2)
	valid = "key3"
	now = now.Add(4 * time.Minute)
	lists(fs.ErrPermission, 2)
	lists(nil, 3)
}

func TestConfigurationsAreChecked(t *testing.T) {
	at := s3.Endpoint{URL: "https://s3.example.com", Keys: labKeys}
	for _, c := range []s3.Config{
		{Endpoint: at},
		{Endpoint: s3.Endpoint{URL: "s3.example.com", Keys: labKeys}, Bucket: bucket},
		{Endpoint: s3.Endpoint{URL: "https://user:pass@s3.example.com", Keys: labKeys}, Bucket: bucket},
		{Endpoint: s3.Endpoint{URL: "https://s3.example.com/bucket", Keys: labKeys}, Bucket: bucket},
		{Endpoint: s3.Endpoint{URL: "https://s3.example.com"}, Bucket: bucket},
		{Endpoint: s3.Endpoint{URL: "https://s3.example.com", Keys: labKeys, CA: []byte("no certificate")}, Bucket: bucket},
		{Endpoint: at, Bucket: bucket, Root: "a//b"},
		{Endpoint: at, Bucket: bucket, Root: "a/../b"},
		{Endpoint: at, Bucket: bucket, Root: "a", Area: "a/below"},
		{Endpoint: at, Bucket: bucket, Root: "a/b", Area: "a"},
		{Endpoint: at, Bucket: bucket, Root: "a", PartSize: 1 << 20},
	} {
		if _, err := s3.New(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

func TestNamesAndSizesAreChecked(t *testing.T) {
	s := open(t, keys())
	for name, good := range map[filecopy.Path]bool{
		"": true, "a/b": true, "a\nb": true, "é": true, "a:b": true, "~": true, filecopy.Path(strings.Repeat("n", 700)): true,
		"\xff": false, "a\x01": false, "\ufffd": false, "a//b": false, "..": false, "nul\x00": false, filecopy.Path(strings.Repeat("n", 1000)): false,
	} {
		err := s.CheckName(name)
		if (err == nil) != good || err != nil && !errors.Is(err, filecopy.ErrName) {
			t.Errorf("CheckName(%.40q) = %v", name, err)
		}
	}
	whole := open(t, keys(), func(c *s3.Config) { c.Root = "" })
	if err := whole.CheckName(".understudy/x"); !errors.Is(err, filecopy.ErrName) {
		t.Errorf("the mover's area is a name: %v", err)
	}
	for size, want := range map[int64]int64{0: 16 << 20, 1 << 30: 16 << 20, 160_000 << 20: 16 << 20, 160_001 << 20: 17 << 20, 5 << 40: 525 << 20} {
		if got := s.Describe().Capabilities.PartSize(size); got != want {
			t.Errorf("parts of a file of %d bytes have %d", size, got)
		}
	}
}

// TestABusyServerIsSpared puts a gate before a real server that asks for fewer requests while more than two wait.
func TestABusyServerIsSpared(t *testing.T) {
	site := boot(t)
	at, err := url.Parse(site.server.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	var inside, refused atomic.Int64
	// The signature covers the host that the client named.
	through := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(at)
		r.Out.Host = r.In.Host
	}}
	gate := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer inside.Add(-1)
		if inside.Add(1) > 2 && r.Method == http.MethodPut {
			refused.Add(1)
			answer(http.StatusServiceUnavailable, "SlowDown").ServeHTTP(w, r)
			return
		}
		through.ServeHTTP(w, r)
	})
	server := httptest.NewServer(gate)
	defer server.Close()
	c := site.config("busy/tree")
	c.Endpoint.URL = server.URL
	target, err := s3.New(c)
	if err != nil {
		t.Fatal(err)
	}
	source := filecopytest.NewMemory("source", false)
	for i := range 60 {
		plant(t, source, filecopy.Path(fmt.Sprintf("f%02d", i)), strings.Repeat("x", 1+i))
	}
	job := filecopy.Job{Name: "busy", Source: source, Target: target, Limits: filecopy.Limits{MinParallel: 1, MaxParallel: 16}}
	set, err := native.New(t.TempDir()).Run(t.Context(), job, nil)
	if err != nil || set.Files != 60 || refused.Load() == 0 {
		t.Errorf("set = %+v, %v after %d refusals", set, err, refused.Load())
	}
}

// plant writes a file in one part.
func plant(t *testing.T, to filecopy.Target, p filecopy.Path, content string) {
	t.Helper()
	e := filecopy.Entry{Path: p, Kind: filecopy.File, Size: int64(len(content)), Attributes: filecopy.Attributes{Mode: 0o644}}
	h, err := to.Begin(t.Context(), "planted", e)
	if err == nil {
		err = to.Write(t.Context(), h, filecopy.Part{Size: e.Size}, strings.NewReader(content))
	}
	var sealed filecopy.Sealed
	if err == nil {
		sealed, err = to.Seal(t.Context(), h, e, filecopy.SumOf(0).Extend([]byte(content)))
	}
	if err == nil {
		_, err = to.Publish(t.Context(), sealed, e)
	}
	if err != nil {
		t.Fatal(err)
	}
}
