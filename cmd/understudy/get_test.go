package main

import (
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

// The description of a plan tells each shard's proven time; of one that nothing is proven of it claims no number.
func TestDescribeTellsEveryShard(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 29, 9, 0, 9, 0, time.UTC)
	link := understudy.Link{Plan: "contoso", Workload: "orders", From: "east", To: "west"}
	all := []control.PlanStatus{{Plan: "contoso", At: at, Workloads: []control.WorkloadStatus{{Workload: "orders", Links: []control.LinkStatus{
		{Link: link, Progress: &understudy.Progress{Link: link, Shards: []understudy.ShardProgress{
			{Shard: "orders-0", State: understudy.Protected, Safe: at.Add(-250 * time.Millisecond), Source: 12, Target: 12},
			{Shard: "orders-1", State: understudy.Bootstrapping, Source: 90, Target: 7},
		}}},
		{Link: link},
	}}}}}
	var got strings.Builder
	if err := writeDescription(&got, all); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"contoso/orders east>west  orders-0  protected      2026-11-29T09:00:08Z  250ms     12          12\n",
		"contoso/orders east>west  orders-1  bootstrapping  never                 unknown   90          7\n",
	} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, got.String())
		}
	}
}
