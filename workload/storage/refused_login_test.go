package storage_test

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/storage"
)

// refusing gives the endpoints of stores that answer and let nobody in: with other keys, and with none that could be read.
func refusing(t *testing.T, p *pair) map[string]any {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("x-ms-error-code", "AuthenticationFailed")
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(s.Close)
	p.open.Secret = func(_ context.Context, name string) ([]byte, error) {
		if name == "lost" {
			return nil, os.ErrNotExist
		}
		return []byte("nobody:a2V5"), nil
	}
	// A store that lets us look at the bucket alone, and whose answers have no mark of their own.
	trees := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodHead:
		case strings.HasSuffix(r.URL.Path, ".understudy/store"):
			w.Header().Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
			w.Header().Set("ETag", `"1"`)
			_, _ = w.Write([]byte("mark"))
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	t.Cleanup(trees.Close)
	return map[string]any{
		"no rights in the trees": &storage.S3{URL: trees.URL, Region: "r", Bucket: "lake", Secret: "s3"},
		"wrong keys":             &storage.S3{URL: s.URL, Region: "r", Bucket: "lake", Secret: "s3"},
		"lost keys":              &storage.Blob{URL: s.URL, Account: "a", Container: "lake", Secret: "lost"},
	}
}

// TestARefusedLoginIsNoSilence looks at an old primary that answers and does not let us in: it may let ordinary writers in, so a failover's fence
// wants the login mended, whoever gives their word.
func TestARefusedLoginIsNoSilence(t *testing.T) {
	p := newPair(t)
	for name, endpoint := range refusing(t, p) {
		p.spec.Clusters[east] = endpoint
		w := p.opened(t)
		obs, err := w.Observe(t.Context())
		must(t, err)
		s := obs.Sites[east]
		if s.Presence != workload.Present || s.Error == nil || s.Error.Kind != understudy.KindDenied || s.Error.Fix == "" || s.Writable != "unknown" {
			t.Errorf("%s: east is %+v", name, s)
			continue
		}
		told := slices.ContainsFunc(obs.Findings, func(f workload.Finding) bool {
			return f.Level == "refuse" && f.Code == s.Error.Code && f.Object.Site == east && f.Fix == s.Error.Fix
		})
		if !told || obs.Sites[west].Presence != workload.Present || obs.Sites[west].Error != nil {
			t.Errorf("%s: west is %+v, findings %+v", name, obs.Sites[west], obs.Findings)
		}
		for v, stage := range map[understudy.Verb]understudy.StageName{
			understudy.Failover: understudy.StageFence, understudy.Switchover: understudy.StageCheck, understudy.Duty: understudy.StageFence,
			understudy.Replicate: understudy.StageCheck,
		} {
			_, err := w.Decide(p.stage(v, stage, nil), obs)
			wants(t, s.Error.Code, err)
		}
		// What nobody closed there need not be opened, and what was closed does not stay so unsaid.
		steps, err := w.Decide(p.stage(understudy.Abort, understudy.StageUnfence, nil), obs)
		must(t, err)
		if len(steps) != 1 || steps[0].Site != west {
			t.Errorf("%s: the abort does %+v", name, steps)
		}
		_, err = w.Decide(p.stage(understudy.Abort, understudy.StageUnfence, understudy.Keep{"closed/east/jars": json.RawMessage(`{"mode":493}`)}), obs)
		wants(t, s.Error.Code, err)
		_, err = w.Decide(p.stage(understudy.Unprotect, understudy.StageHalt, nil), obs)
		wants(t, "US702", err)
		if e := understudy.AsError(err); e != nil && !strings.Contains(e.Why, s.Error.Summary) {
			t.Errorf("%s: unprotect says %+v", name, e)
		}
		let := p.stage(understudy.Unprotect, understudy.StageRelease, nil)
		let.Envelope.Acceptances = []understudy.Acceptance{{Site: east, By: "ada"}}
		if _, err = w.Decide(let, obs); err != nil {
			t.Errorf("%s: letting it go: %v", name, err)
		}
		_, err = w.Decide(p.stage(understudy.Replicate, understudy.StageProvision, nil), obs)
		must(t, err)
	}
}

// TestADoubtIsNoSilence looks at an old primary of which nothing shows whether it is there: we were given a secret that is none, or whoever answers has a
// certificate that fails, or speaks no TLS. A failover's fence wants that mended first, whoever gives their word.
func TestADoubtIsNoSilence(t *testing.T) {
	p := newPair(t)
	secure := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("it was sent %s %s", r.Method, r.URL) }))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(secure.Config.Handler)
	t.Cleanup(plain.Close)
	p.open.Secret = func(_ context.Context, name string) ([]byte, error) {
		return []byte(map[string]string{"keys": "a:b", "azure": "a2V5", "none": "."}[name]), nil
	}
	for name, c := range map[string]struct {
		endpoint any
		code     understudy.Code
	}{
		"keys that are none":          {&storage.S3{URL: "http://127.0.0.1:1", Region: "r", Bucket: "lake", Secret: "none"}, "US743"},
		"certificates that are none":  {&storage.S3{URL: secure.URL, Region: "r", Bucket: "lake", Secret: "keys", CA: "none"}, "US743"},
		"a key that is none":          {&storage.Blob{URL: secure.URL, Account: "a", Container: "lake", Secret: "none"}, "US743"},
		"a server's certificate":      {&storage.S3{URL: secure.URL, Region: "r", Bucket: "lake", Secret: "keys"}, "US744"},
		"a server without TLS":        {&storage.S3{URL: strings.Replace(plain.URL, "http:", "https:", 1), Region: "r", Bucket: "lake", Secret: "keys"}, "US744"},
		"a file system's certificate": {&storage.ADLS{URL: secure.URL, Account: "a", FileSystem: "lake", Secret: "azure"}, "US744"},
	} {
		p.spec.Clusters[east] = c.endpoint
		w := p.opened(t)
		obs, err := w.Observe(t.Context())
		must(t, err)
		s := obs.Sites[east]
		if s.Presence != workload.Present || s.Error == nil || s.Error.Code != c.code || s.Error.Kind != understudy.KindInvalid || s.Error.Fix == "" || s.Writable != "unknown" {
			t.Errorf("%s: east is %+v", name, s)
			continue
		}
		for v, stage := range map[understudy.Verb]understudy.StageName{
			understudy.Failover: understudy.StageFence, understudy.Switchover: understudy.StageCheck, understudy.Duty: understudy.StageFence,
		} {
			given := p.stage(v, stage, nil)
			given.Envelope.Acceptances = []understudy.Acceptance{{Site: east, By: "ada"}}
			_, err := w.Decide(given, obs)
			wants(t, c.code, err)
		}
	}
}
