package main

import (
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/workload"
)

// A site that does not answer is listed without figures, and with what to do; sites come in order.
func TestFindingsOfASiteThatDoesNotAnswer(t *testing.T) {
	silent := &understudy.Error{
		Code: "US100", Kind: understudy.KindUnreachable, Object: understudy.Object{Plan: "contoso", Workload: "orders", Site: "west"},
		Summary: "the cluster did not answer", Why: "refused", Fix: "check that the brokers run",
	}
	f := control.Findings{Workloads: []control.WorkloadFindings{{
		Plan: "contoso", Workload: "orders",
		Sites: map[understudy.Site]workload.SiteFacts{
			"west": {Presence: workload.Unreachable, Error: silent},
			"east": {Presence: workload.Present, Identity: "E1", Version: "3.9", Writable: "open"},
			"home": {
				Presence: workload.Present, Identity: "H1", Version: "4.4", Writable: "fenced",
				ClockSkew: 2500 * time.Millisecond, ClockAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
			},
		},
	}}}
	var b strings.Builder
	if err := writeFindings(&b, f); err != nil {
		t.Fatal(err)
	}
	want := `contoso/orders
  east       present     E1 3.9, clock not measured yet, writes: open
  home       present     H1 4.4, clock +2500ms as of 2026-03-01T12:00:00Z, writes: fenced
  west       unreachable
    US100: contoso/orders@west: the cluster did not answer
          why: refused
          fix: check that the brokers run
`
	if b.String() != want {
		t.Fatalf("%s\ninstead of\n%s", b.String(), want)
	}
}
