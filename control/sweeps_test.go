package control_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

// sweepsOf counts the runs that did a sweep.
func (s *scene) sweepsOf(w understudy.Sweep) int {
	n := 0
	for _, op := range s.runs() {
		if slices.Contains(op.Sweeps, w) {
			n++
		}
	}
	return n
}

func TestSweepsGoWithTheNextRunAfterTheirTime(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := scheduledScene(t, nil)
		sweeps := s.status().Links[0].Schedule.Sweeps
		if len(sweeps) != 2 || sweeps[0].Sweep != understudy.Relist || time.Until(sweeps[0].Next) < 23*time.Hour || !sweeps[1].Next.IsZero() {
			t.Fatalf("after protect: %+v", sweeps)
		}
		<-time.After(23 * time.Hour)
		if n := s.sweepsOf(understudy.Relist); n != 0 {
			t.Fatalf("%d runs relisted on the first day", n)
		}
		<-time.After(2 * time.Hour)
		if n := s.sweepsOf(understudy.Relist); n != 1 {
			t.Fatalf("%d runs relisted after a day", n)
		}
		now := s.status().Links[0].Schedule.Sweeps[0]
		if !now.Due.IsZero() || now.Done.IsZero() || time.Until(now.Next) < 22*time.Hour {
			t.Fatalf("after a day: %+v", now)
		}
		<-time.After(72 * time.Hour)
		if n, all := s.sweepsOf(understudy.Relist), len(s.runs()); n != 4 || all < 20 {
			t.Fatalf("%d of %d runs relisted in four days", n, all)
		}
		op := s.Do(control.StartRequest{Verb: understudy.Replicate, Sweeps: []understudy.Sweep{understudy.Repair}}, control.Committed)
		if !slices.Equal(op.Sweeps, []understudy.Sweep{understudy.Repair}) || s.status().Links[0].Schedule.Sweeps[1].Done.IsZero() {
			t.Fatalf("on demand: %+v", op.Sweeps)
		}
	})
}

// TestASweepThatAGuardRefusesDoesNotHoldUpTheRuns lets a person see the refusal until the sweep succeeds, and tries a sweep again that failed otherwise.
func TestASweepThatAGuardRefusesDoesNotHoldUpTheRuns(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := scheduledScene(t, nil)
		s.world.Fail("run.capture", &understudy.Error{Code: "US605", Kind: understudy.KindRefused, Summary: "planned"})
		op := s.Rest(s.Begin(control.StartRequest{Verb: understudy.Replicate, Sweeps: []understudy.Sweep{understudy.Repair}}).ID)
		if op.State != control.PausedByStep {
			t.Fatalf("%s: %v", op.State, op.Error)
		}
		<-time.After(time.Minute)
		<-time.After(5 * time.Hour)
		repair := s.status().Links[0].Schedule.Sweeps[1]
		if next := s.runs()[0]; next.State != control.Committed || len(next.Sweeps) != 0 || repair.Error == nil || repair.Error.Code != "US605" || !repair.Due.IsZero() {
			t.Fatalf("the next run: %+v; the sweep: %+v", next, repair)
		}
		s.Do(control.StartRequest{Verb: understudy.Replicate, Sweeps: []understudy.Sweep{understudy.Repair}}, control.Committed)
		if repair := s.status().Links[0].Schedule.Sweeps[1]; repair.Error != nil || repair.Done.IsZero() {
			t.Fatalf("the sweep: %+v", repair)
		}
		<-time.After(18*time.Hour + 30*time.Minute)
		s.world.SetUp("east", false)
		<-time.After(3 * time.Hour)
		s.world.SetUp("east", true)
		<-time.After(4 * time.Hour)
		if n := s.sweepsOf(understudy.Relist); n < 2 || s.status().Links[0].Schedule.Sweeps[0].Done.IsZero() {
			t.Fatalf("%d runs relisted; %+v", n, s.status().Links[0].Schedule.Sweeps)
		}
	})
}

func TestAcceptancesAreForOneRunAndNeverForAll(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := scheduledScene(t, nil)
		word := []understudy.Consent{{Shard: "/jars", Deletes: 12, By: "somebody else"}}
		op := s.Do(control.StartRequest{Verb: understudy.Replicate, Accept: word}, control.Committed)
		if c := op.Envelope.Consents; len(c) != 1 || c[0].By != "ada" || c[0].At.IsZero() || c[0].Deletes != 12 {
			t.Fatalf("the envelope: %+v", c)
		}
		r, err := s.Report(t.Context(), op.ID)
		if err != nil || !slices.ContainsFunc(r.Who, func(a control.Actor) bool { return a.By == "ada" && strings.Contains(a.Text, "/jars: 12 deletes") }) {
			t.Fatalf("the report: %+v, %v", r.Who, err)
		}
		if op := s.Do(control.StartRequest{Verb: understudy.Replicate}, control.Committed); len(op.Envelope.Consents) != 0 {
			t.Fatalf("the next run: %+v", op.Envelope)
		}
		for name, req := range map[string]control.StartRequest{
			"nothing":        {Verb: understudy.Replicate, Accept: []understudy.Consent{{Shard: "/jars"}}},
			"less":           {Verb: understudy.Replicate, Accept: []understudy.Consent{{Deletes: -1}}},
			"another verb":   {Verb: understudy.Switchover, Accept: word},
			"a strange wish": {Verb: understudy.Replicate, Sweeps: []understudy.Sweep{"polish"}},
		} {
			req.Plan, req.By, req.Confirm = "contoso", "ada", "contoso"
			_, err := s.Start(t.Context(), req)
			if understudy.AsError(err) == nil || understudy.AsError(err).Code != "US278" {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
