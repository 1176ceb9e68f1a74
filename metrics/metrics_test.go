package metrics

import (
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/understudy-dr/understudy"
)

func sample() Snapshot {
	return Snapshot{
		Leader: true, Version: "test",
		Workloads: []Workload{{
			Plan: "contoso", Name: "orders", Sites: []understudy.Site{"east", "west"},
			Role:       understudy.Role{Active: []understudy.Site{"east"}, From: []understudy.Site{"east"}, Epoch: 3},
			Protection: understudy.Protected, RPO: 30 * time.Second, RTO: 10 * time.Minute,
			Exposure:  understudy.Exposure{Known: true, Bound: 1500 * time.Millisecond, Records: 12, Bytes: 3456, SourceReachable: true},
			Links:     []Link{{From: "east", To: "west", CopiedRecords: 100, CopiedBytes: 2000}},
			Verdict:   understudy.Match,
			VerdictAt: time.Unix(1700000000, 0), Unfenced: []understudy.Site{"west"},
		}},
		Operations: []Operation{{Plan: "contoso", Verb: understudy.Protect, State: "committed", Count: 1}},
	}
}

// The golden is the exported surface: names, labels, units and help are frozen by it.
func TestExpositionGolden(t *testing.T) {
	f, err := os.Open("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := testutil.CollectAndCompare(newCollector(sample), f); err != nil {
		t.Fatal(err)
	}
}

func TestCollectorLint(t *testing.T) {
	problems, err := testutil.CollectAndLint(newCollector(sample))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// An exposure that nobody proved must not be exported as a number: zero would read as safe.
func TestUnknownExposureHasNoNumber(t *testing.T) {
	read := func() Snapshot {
		s := sample()
		s.Workloads[0].Exposure = understudy.Exposure{}
		return s
	}
	if n := testutil.CollectAndCount(newCollector(read), "understudy_exposure_seconds"); n != 0 {
		t.Fatalf("exported %d exposures, want none", n)
	}
}

func TestHandlerServes(t *testing.T) {
	w := httptest.NewRecorder()
	Handler(sample).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 || !prometheusText(w.Body.String()) {
		t.Fatalf("code %d body %q", w.Code, w.Body.String())
	}
}

func prometheusText(s string) bool { return len(s) > 0 && s[0] == '#' }

var _ prometheus.Collector = (*collector)(nil)
