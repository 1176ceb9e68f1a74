package kafka_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/kafka"
)

// TestExchangedAddressesAreRefused applies sites whose addresses lead to each other's cluster: doctor, a
// switchover and the link refuse and write nothing, the abort gets past the refusal, and the right addresses go on.
func TestExchangedAddressesAreRefused(t *testing.T) {
	th := simulated(t)
	e := story{}.estate(t, th)
	right := e.Setup.Plan
	var wrong workload.Plan
	e.Setup.Options = compiling(&right, &wrong)
	p := controltest.Start(t, e.Setup)
	hand := &stagehand{t: t, p: p, th: th}
	applied(t, p, "right")
	hand.protected()
	wrong = exchanged(right)

	applied(t, p, "wrong")
	if got := refusedBy(t, p); !slices.Contains(got, "US101") {
		t.Errorf("doctor refuses %v", got)
	}
	op := p.Do(control.StartRequest{Verb: understudy.Switchover}, control.PausedByStep)
	if op.Stage != understudy.StageCheck || op.Error.Code != "US101" {
		t.Errorf("paused at %s: %v", op.Stage, op.Error)
	}
	if op = p.Act(p.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted {
		t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
	}
	applied(t, p, "right")
	hand.write(east, "b", 5)
	hand.rest()
	if got := refusedBy(t, p); len(got) > 0 {
		t.Errorf("doctor refuses the right addresses: %v", got)
	}

	before := hand.ends(east)
	applied(t, p, "wrong")
	strangers(t, th.west) // where the link would read now
	eventually(t, "the link refuses", func() bool {
		st, err := p.Status(t.Context(), "contoso")
		return err == nil && len(st.Workloads[0].Links) == 1 && st.Workloads[0].Links[0].Error != nil && st.Workloads[0].Links[0].Error.Code == "US101"
	})
	if now := hand.ends(east); !slices.Equal(now, before) {
		t.Errorf("the exchanged link wrote: %v, now %v", before, now)
	}
	groups, err := kadm.NewClient(client(t, th.east)).ListGroups(t.Context())
	if _, copied := groups["stranger"]; err != nil || copied {
		t.Errorf("the exchanged link copied a group's position: %v, %v", groups.Groups(), err)
	}
}

// TestARebuiltClusterEndsNoLink orders an unprotect while a rebuilt cluster answers at one site: it is refused before a
// link is ended, and so is a verification. The abort leaves what was there, and the right cluster is followed on.
func TestARebuiltClusterEndsNoLink(t *testing.T) {
	th := simulated(t)
	rebuilt := simulated(t)
	e := story{}.estate(t, th)
	right := e.Setup.Plan
	wrong := right
	wrong.Workloads = slices.Clone(right.Workloads)
	wrong.Workloads[0].Clusters = map[understudy.Site]any{
		east: right.Workloads[0].Clusters[east], west: &kafka.Endpoint{Brokers: []string{rebuilt.east}},
	}
	e.Setup.Options = compiling(&right, &wrong)
	p := controltest.Start(t, e.Setup)
	hand := &stagehand{t: t, p: p, th: th}
	applied(t, p, "right")
	hand.protected()

	applied(t, p, "wrong")
	op := p.Do(control.StartRequest{Verb: understudy.Verify}, control.PausedByStep)
	if op.Error.Code != "US101" || op.Parts[0].Verdict != nil {
		t.Errorf("verify: %v, verdict %+v", op.Error, op.Parts[0].Verdict)
	}
	p.Act(p.Abort, control.ActRequest{Operation: op.ID})
	op = p.Do(control.StartRequest{Verb: understudy.Unprotect}, control.PausedByStep)
	if op.Stage != understudy.StageCheck || op.Error.Code != "US101" {
		t.Errorf("paused at %s: %v", op.Stage, op.Error)
	}
	if op = p.Act(p.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted {
		t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
	}
	applied(t, p, "right")
	hand.write(east, "b", 5)
	hand.rest()
	if v := p.Do(control.StartRequest{Verb: understudy.Verify}, control.Committed).Parts[0].Verdict; v.Outcome != understudy.Match {
		t.Errorf("%+v", v)
	}
	th.kill(west)
	op = p.Do(control.StartRequest{Verb: understudy.Unprotect}, control.PausedByStep)
	if op.Stage != understudy.StageCheck || op.Error.Code != "US132" {
		t.Errorf("paused at %s: %v", op.Stage, op.Error)
	}
	if op = p.Act(p.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted {
		t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
	}
	th.restart(west)
	hand.write(east, "c", 5)
	hand.rest()
}

// strangers has somebody write records and a group's position at a site.
func strangers(t *testing.T, addr string) {
	t.Helper()
	c := client(t, addr)
	mustLoad(t, load(t, c, "orders", 2, 3, "stranger"))
	at := kadm.Offsets{}
	at.Add(kadm.Offset{Topic: "orders", Partition: 0, At: 1, LeaderEpoch: -1})
	mustLoad(t, kadm.NewClient(c).CommitAllOffsets(t.Context(), "stranger", at))
}

// compiling takes "wrong" for the second plan, and all else for the first.
func compiling(right, wrong *workload.Plan) func(*control.Options) {
	return func(o *control.Options) {
		o.Secret = func(_ context.Context, name string) ([]byte, error) { return []byte(name), nil }
		o.Compile = func(text string) (control.Plans, error) {
			if text == "wrong" {
				return control.Plans{*wrong}, nil
			}
			return control.Plans{*right}, nil
		}
	}
}

func exchanged(p workload.Plan) workload.Plan {
	p.Workloads = slices.Clone(p.Workloads)
	clusters := p.Workloads[0].Clusters
	p.Workloads[0].Clusters = map[understudy.Site]any{east: clusters[west], west: clusters[east]}
	return p
}

func applied(t *testing.T, p *controltest.Plane, text string) {
	t.Helper()
	docs, err := p.Documents(t.Context())
	mustLoad(t, err)
	_, err = p.Controller.Apply(t.Context(), control.ApplyRequest{Text: text, Base: docs.Version, By: "ada"})
	mustLoad(t, err)
}

// refusedBy lists the codes of what doctor would refuse.
func refusedBy(t *testing.T, p *controltest.Plane) []string {
	t.Helper()
	d, err := p.Doctor(t.Context(), "contoso")
	if err != nil || len(d.Workloads) != 1 || d.Workloads[0].Error != nil {
		t.Fatalf("doctor: %+v, %v", d, err)
	}
	var out []string
	for _, f := range d.Workloads[0].Findings {
		if f.Level == "refuse" {
			out = append(out, fmt.Sprint(f.Code))
		}
	}
	return out
}

// eventually polls until it holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for range 1200 {
		if holds() {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}
