package main

import (
	"strings"
	"testing"

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
			"west":  {Presence: workload.Unreachable, Error: silent},
			"east":  {Presence: workload.Present, Identity: "E1", Version: "3.9", Writable: "open"},
			"north": {Presence: workload.Present, Identity: "N1", Version: "3.9", Writable: "fenced", ClockUnknown: true},
		},
	}}}
	var b strings.Builder
	if err := writeFindings(&b, f); err != nil {
		t.Fatal(err)
	}
	want := `contoso/orders
  east       present     E1 3.9, clock +0ms, writes: open
  north      present     N1 3.9, clock not known, writes: fenced
  west       unreachable
    US100: contoso/orders@west: the cluster did not answer
          why: refused
          fix: check that the brokers run
`
	if b.String() != want {
		t.Fatalf("%s\ninstead of\n%s", b.String(), want)
	}
}
