package api

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload/workloadtest"
)

// What a scrape of a running plane must hold: the numbers of a plan that was protected, verified, and then written
// to while its link lags. The clock is virtual, so that exposure is exact.
func TestMetricsTellExposureBacklogBytesAndVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := workloadtest.NewWorld("east", "west")
		plane := controltest.Start(t, controltest.Setup{
			Registry: workloadtest.ToyRegistry(world), DataDir: t.TempDir(), Plan: workloadtest.ToyPlan(30*time.Second, 10*time.Minute),
		})
		plane.Apply()
		write(t, world, "a", 3)
		plane.Do(control.StartRequest{Verb: understudy.Protect}, control.Committed)
		plane.Do(control.StartRequest{Verb: understudy.Verify}, control.Committed)
		world.SetDelay(time.Hour)
		write(t, world, "late", 1) // one: at the first one the mover has seen, it waits
		<-time.After(2 * time.Second)

		st, err := plane.Status(t.Context(), "contoso")
		if err != nil {
			t.Fatal(err)
		}
		lag := st.Workloads[0].Exposure
		if !lag.Known || lag.Bound < 2*time.Second || !lag.SourceReachable || st.Workloads[0].Verified == nil {
			t.Fatalf("exposure %+v", lag)
		}
		got := scrape(t, New(plane.Controller, "test"))
		of := `plan="contoso",workload="orders"`
		for _, want := range []string{
			fmt.Sprintf("understudy_exposure_seconds{%s} %v", of, lag.Bound.Seconds()),
			fmt.Sprintf("understudy_exposure_known{%s} 1", of),
			fmt.Sprintf("understudy_objective_rpo_seconds{%s} 30", of),
			fmt.Sprintf("understudy_objective_rto_seconds{%s} 600", of),
			fmt.Sprintf("understudy_backlog_records{%s} 1", of),
			fmt.Sprintf("understudy_backlog_bytes{%s} 6", of),
			`understudy_copied_records_total{from="east",plan="contoso",to="west",workload="orders"} 3`,
			`understudy_copied_bytes_total{from="east",plan="contoso",to="west",workload="orders"} 9`,
			`understudy_verify_verdict{outcome="MATCH",plan="contoso",workload="orders"} 1`,
			fmt.Sprintf("understudy_verify_last_timestamp_seconds{%s} %s", of, strconv.FormatFloat(float64(st.Workloads[0].Verified.At.UnixMilli())/1000, 'g', -1, 64)),
			fmt.Sprintf("understudy_source_reachable{%s} 1", of),
			`understudy_protection_state{plan="contoso",state="protected",workload="orders"} 1`,
			`understudy_role_active{plan="contoso",site="east",workload="orders"} 1`,
			`understudy_operations{plan="contoso",state="committed",verb="verify"} 1`,
			"understudy_leader 1",
			`understudy_build_info{version="test"} 1`,
		} {
			if !strings.Contains(got, want+"\n") {
				t.Errorf("/metrics does not say %s:\n%s", want, got)
			}
		}
	})
}

func write(t *testing.T, world *workloadtest.World, prefix string, n int) {
	t.Helper()
	for i := range n {
		if err := world.Write("east", fmt.Sprintf("%s%d", prefix, i), "v"); err != nil {
			t.Fatal(err)
		}
	}
}

// scrape reads /metrics as a caller that the listener has named.
func scrape(t *testing.T, h http.Handler) string {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, "prometheus")))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}
