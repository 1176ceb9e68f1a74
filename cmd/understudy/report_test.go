package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

// failedOver is the report of a failover that has everything a report can tell.
func failedOver() control.Report {
	at := func(seconds int) time.Time { return time.Date(2026, 11, 28, 12, 0, seconds, 0, time.UTC) }
	lost := int64(3)
	step := func(id, state string, r *understudy.Receipt) control.StepReport {
		return control.StepReport{Workload: "orders", Step: understudy.Step{ID: id, Summary: "do " + id}, State: state, Receipt: r}
	}
	skipped := step("route.dns", "skipped", nil)
	skipped.Skipped = "ada: clients follow by themselves"
	return control.Report{
		Operation: control.Operation{
			ID: "op-1", Verb: understudy.Failover, Plan: "contoso", State: control.PausedByStep, From: "east", To: "west", Created: at(0), By: "ada",
			Parts: []control.Part{{Workload: "orders", State: control.Included, Verdict: &understudy.Verdict{Outcome: understudy.Different, Compared: 9, Bytes: 90, Shards: 1, Coverage: "all",
				Differences: []understudy.Difference{{Shard: "0", Outcome: understudy.Different, First: 4, Last: 6, Text: "other bytes"}}}},
				{Workload: "curated", State: control.Quarantined}},
			Retrying: &control.Retrying{Workload: "orders", Step: "halt", Since: at(5), At: at(9), Times: 4,
				Error: &understudy.Error{Code: "US001", Kind: understudy.KindUnreachable, Summary: "west does not answer"}},
			Error: &understudy.Error{Code: "US001", Kind: understudy.KindBroken, Summary: "it broke", Why: "a disk", Fix: "mend it"}, Next: "understudy retry op-1",
		},
		Stages: []control.StageReport{
			{Name: understudy.StageFence, Began: at(0), Ended: at(2), Steps: []control.StepReport{step("close", "done", &understudy.Receipt{Summary: "closed 4 topics"}), skipped},
				Notes: []string{"orders: none, from east, epoch 2"}},
			{Name: understudy.StageHalt, Began: at(2), Steps: []control.StepReport{step("halt", "running", nil)}},
		},
		RTO: control.RTO{Total: 12 * time.Second, Detect: 5 * time.Second, Confirm: 30 * time.Millisecond, Approve: time.Millisecond, Fence: 2 * time.Second,
			Promote: 4 * time.Second, Verify: 969 * time.Millisecond, Route: 20 * time.Millisecond},
		Loss: []control.LossReport{{Workload: "orders", Objective: 30 * time.Second, Bound: &understudy.Exposure{Known: true, Bound: 1500 * time.Millisecond},
			Rebound: &understudy.Exposure{}, Realised: &lost}},
		Ledger:   []control.LedgerRecord{{Workload: "orders", Records: 3, Bytes: 42, Dir: "ledger/orders"}},
		Warnings: []string{"a super user could still write"},
		Who:      []control.Actor{{By: "ada", At: at(0), Text: "ordered failover contoso to west"}},
	}
}

// A report tells people stages, steps, recovery time, exposure, ledger and who.
func TestReportGolden(t *testing.T) {
	var got strings.Builder
	if err := writeReport(&got, failedOver()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "report.txt")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Fatalf("the report reads otherwise; if that is meant, UPDATE=1 go test -run TestReportGolden ./cmd/understudy:\n%s", d)
	}
}
