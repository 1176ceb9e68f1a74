package distcp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/offload/yarn"
	wire "github.com/understudy-dr/understudy/wire/hdfs"
)

// places is a store of which nothing but its places is asked.
type places struct{ filecopy.Target }

func (places) SourcePath(_ filecopy.Pin, p filecopy.Path) string     { return "/from/" + string(p) }
func (places) BerthRoot(lot string) string                           { return "/area/" + lot }
func (places) BerthPath(h filecopy.Handle) (string, error)           { return "/area/" + string(h), nil }
func (places) Berth(string, filecopy.Entry) (filecopy.Handle, error) { return "", nil }
func (places) Adopt(context.Context, filecopy.Handle) error          { return nil }

// made is a carrier whose YARN is a server of the test's.
func made(t *testing.T, says http.HandlerFunc) *Carrier {
	t.Helper()
	s := httptest.NewServer(says)
	t.Cleanup(s.Close)
	y, err := yarn.New(yarn.Options{ResourceManagers: []string{s.URL}, History: s.URL, User: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{
		YARN: y, User: "ada", Files: &wire.Client{}, FilesURI: "hdfs://w", SourceURI: "hdfs://e", TargetURI: "hdfs://w",
		Poll: time.Millisecond, Patience: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// noted is a load with a memory of its own.
func noted(note string) filecopy.Load {
	return filecopy.Load{
		Name: "load", Lot: "lot", Source: places{}, Target: places{},
		Each:     func(context.Context, func(filecopy.Entry, filecopy.Handle) error) error { return nil },
		Recall:   func(context.Context) ([]byte, error) { return []byte(note), nil },
		Remember: func(_ context.Context, b []byte) error { note = string(b); return nil },
	}
}

func wants(t *testing.T, err error, code understudy.Code) {
	t.Helper()
	var e *understudy.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("error = %v, want %s", err, code)
	}
	if _, ok := understudy.Explain(code); !ok {
		t.Errorf("%s has no page", code)
	}
}

func TestOtherStoresAreRefused(t *testing.T) {
	_, err := New(Config{})
	wants(t, err, "US667")
	c := made(t, http.NotFound)
	l := noted("")
	l.Target = nil
	wants(t, c.Carry(t.Context(), l, nil), "US667")
	wants(t, c.Drop(t.Context(), l), "US667")
	l = noted("")
	l.Source = nil
	wants(t, c.Carry(t.Context(), l, nil), "US667")
}

func TestKerberosIsRefused(t *testing.T) {
	c := made(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", "Negotiate")
		w.WriteHeader(http.StatusUnauthorized)
	})
	wants(t, c.Carry(t.Context(), noted(""), func(filecopy.Carried) {}), "US660")
	wants(t, c.Drop(t.Context(), noted("")), "US660")
}

// TestWhatWasBroughtIsNotBroughtAgain asks YARN nothing.
func TestWhatWasBroughtIsNotBroughtAgain(t *testing.T) {
	c := made(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("YARN was asked for %s", r.URL) })
	if err := c.Carry(t.Context(), noted(`{"load":"load","attempt":1,"done":true}`), nil); err != nil {
		t.Error(err)
	}
}

// TestTheHistoryRemembers has a ResourceManager that has forgotten a job which ended well: it is not submitted again.
func TestTheHistoryRemembers(t *testing.T) {
	c := made(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodGet:
			t.Errorf("YARN was asked to %s %s", r.Method, r.URL)
		case r.URL.Path == "/ws/v1/history/mapreduce/jobs/job_1_0001":
			_, _ = io.WriteString(w, `{"job":{"id":"job_1_0001","state":"SUCCEEDED"}}`)
		case r.URL.Path == "/ws/v1/history/mapreduce/jobs/job_1_0001/counters":
			_, _ = io.WriteString(w, `{"jobCounters":{"id":"job_1_0001","counterGroup":[{"counterGroupName":"`+copyCounters+`","counter":[`+
				`{"name":"COPY","totalCounterValue":3},{"name":"SKIP","totalCounterValue":2},{"name":"BYTESCOPIED","totalCounterValue":30}]}]}}`)
		default:
			http.NotFound(w, r)
		}
	})
	c.hook = func(point string) error {
		if point == "ended" {
			return errKilled
		}
		return nil
	}
	var told filecopy.Carried
	err := c.Carry(t.Context(), noted(`{"load":"load","attempt":1,"application":"application_1_0001"}`), func(p filecopy.Carried) { told = p })
	if !errors.Is(err, errKilled) || told.Files != 5 || told.Bytes != 30 || !strings.Contains(told.Said, "SUCCEEDED") {
		t.Errorf("error = %v, told %+v", err, told)
	}
}

// TestSilenceOfYARN has a server that fails for a while, which is waited for, and one that fails for good.
func TestSilenceOfYARN(t *testing.T) {
	var asked atomic.Int64
	back := make(chan struct{})
	c := made(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 5 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if asked.Load() == 5 {
			close(back)
		}
		_, _ = io.WriteString(w, `{"app":{"id":"application_1_0001","state":"RUNNING","progress":50}}`)
	})
	c.Patience = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	said := ""
	err := c.Carry(ctx, noted(`{"load":"load","attempt":1,"application":"application_1_0001"}`), func(p filecopy.Carried) {
		said = p.Said
		cancel()
	})
	<-back
	if !errors.Is(err, context.Canceled) || !strings.Contains(said, "application_1_0001 is RUNNING, 50%") {
		t.Errorf("error = %v, said %q", err, said)
	}
	c = made(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	wants(t, c.Carry(t.Context(), noted(`{"load":"load","attempt":1,"application":"application_1_0001"}`), nil), "US661")
}

// TestTagsTellLotsApart keeps jobs of other trees, lots and loads apart, and within what YARN allows.
func TestTagsTellLotsApart(t *testing.T) {
	seen := map[string]bool{}
	for _, lot := range []string{"a-1", "a-2"} {
		for _, name := range []string{"x", "y"} {
			tr := &trip{Carrier: made(t, http.NotFound), load: filecopy.Load{Lot: lot, Name: name}, target: places{}}
			seen[tr.lotTag()], seen[tr.loadTag()] = true, true
			if len(tr.loadTag()) > 100 || tr.loadTag() != strings.ToLower(tr.loadTag()) {
				t.Errorf("the tag %q is none for YARN", tr.loadTag())
			}
		}
	}
	if len(seen) != 6 {
		t.Errorf("tags = %v", seen)
	}
}

func TestBandwidthIsShared(t *testing.T) {
	for rate, want := range map[int64]string{0: unlimited, 10 << 20: "2.500", 1000: "0.001"} {
		tr := &trip{load: filecopy.Load{BytesPerSecond: rate}}
		if got := tr.bandwidth(4); got != want {
			t.Errorf("%d shared by 4 is %s", rate, got)
		}
	}
}
