package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

// Why something fails reaches who asks for the status, also where the error holds it as its cause only.
func TestStatusTellsTheCause(t *testing.T) {
	failed := &understudy.Error{
		Code: "US103", Kind: understudy.KindRefused, Object: understudy.Object{Plan: "contoso", Workload: "orders"},
		Summary: "the broker refused the request", Err: errors.New("POLICY_VIOLATION: no"),
	}
	sent, err := json.Marshal([]control.PlanStatus{{
		Plan: "contoso",
		Workloads: []control.WorkloadStatus{{Workload: "orders", Old: []control.OldSite{{Site: "east", State: "unfenced", Text: "old primary: unfenced", Error: failed}}, Links: []control.LinkStatus{{
			Link: understudy.Link{From: "east", To: "west"}, Error: failed,
			Progress: &understudy.Progress{Shards: []understudy.ShardProgress{{Shard: "orders-0", State: understudy.Broken, Error: failed}}},
			Schedule: &control.ScheduleStatus{Next: time.Now(), Error: failed, Sweeps: []control.SweepStatus{{Sweep: understudy.Relist, Error: failed}}},
		}}}},
		Current: &control.Operation{Retrying: &control.Retrying{Step: "fence", Workload: "orders", Error: failed}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var got []control.PlanStatus // as it comes over the API
	if err := json.Unmarshal(sent, &got); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := writeStatus(&b, got); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "US103: contoso/orders: the broker refused the request: POLICY_VIOLATION: no"); n != 6 {
		t.Fatalf("the cause is told %d times, not 6:\n%s", n, b.String())
	}
}
