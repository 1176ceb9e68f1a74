package control_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/workloadtest"
)

// planned is an error that no step gives by itself.
func planned(kind understudy.ErrorKind) error {
	return &understudy.Error{Code: "US999", Kind: kind, Op: "toy", Summary: "planned"}
}

// refusedWith wants an error of a code.
func refusedWith(t *testing.T, err error, code understudy.Code) {
	t.Helper()
	if err == nil || understudy.AsError(err).Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
}

// order starts an operation and gives the refusal.
func (s *scene) order(req control.StartRequest) error {
	req.Plan, req.By = "contoso", "ada"
	_, err := s.Controller.Start(s.t.Context(), req)
	return err
}

func protectedScene(t *testing.T, change func(*controltest.Setup)) *scene {
	t.Helper()
	s := newScene(t, change)
	s.write("east", "a", 3)
	s.do(understudy.Protect, control.Committed)
	return s
}

func TestAFailedStepPausesAndIsRetriedAsItWas(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		s.world.Fail("fence.close", planned(understudy.KindBroken))
		op := s.do(understudy.Switchover, control.PausedByStep)
		if op.Stage != understudy.StageFence || op.Error.Summary != "planned" || !strings.HasPrefix(op.Next, "understudy retry") {
			t.Fatalf("%+v", op)
		}
		if r := s.Role("orders"); !r.None() {
			t.Fatalf("the role before the first effect of the stage: %v", r)
		}
		_, err := s.Skip(t.Context(), control.ActRequest{Operation: op.ID, By: "ada", Reason: "no"})
		refusedWith(t, err, "US244")
		op = s.Act(s.Retry, control.ActRequest{Operation: op.ID})
		if op.State != control.CommitWindow {
			t.Fatalf("%s: %v", op.State, op.Error)
		}
		r, err := s.Report(t.Context(), op.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, st := range r.Stages {
			for _, step := range st.Steps {
				if step.Step.ID == "fence.close@east" && (step.Attempts != 2 || step.State != "done") {
					t.Fatalf("%+v", step)
				}
			}
		}
	})
}

func TestWhatMayGoAwayIsTriedAgainFirst(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		s.world.Fail("halt", planned(understudy.KindRetry), planned(understudy.KindUnreachable))
		s.do(understudy.Switchover, control.CommitWindow)
	})
}

// A report says what people did, not into which state that brought the operation.
func TestAReportSaysWhatPeopleDid(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		s.world.Fail("fence.close", planned(understudy.KindBroken))
		op := s.do(understudy.Switchover, control.PausedByStep)
		op = s.Act(s.Retry, control.ActRequest{Operation: op.ID, By: "ada", Reason: "the disk is back"})
		s.do(understudy.Commit, control.Committed)
		r, err := s.Report(t.Context(), op.ID)
		if err != nil {
			t.Fatal(err)
		}
		var did []string
		for _, a := range r.Who {
			did = append(did, a.Text)
		}
		want := []string{"ordered switchover contoso to west", "had it tried again: the disk is back", "committed it"}
		if !slices.Equal(did, want) {
			t.Fatalf("%q, want %q", did, want)
		}
	})
}

func TestSkipNeedsAReasonAndAStepThatAllowsIt(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		s.world.Fail("route", planned(understudy.KindBroken))
		op := s.do(understudy.Switchover, control.PausedByStep)
		_, err := s.Skip(t.Context(), control.ActRequest{Operation: op.ID, By: "ada"})
		refusedWith(t, err, "US243")
		_, err = s.Abort(t.Context(), control.ActRequest{Operation: op.ID, By: "ada"})
		refusedWith(t, err, "US215")
		op = s.Act(s.Skip, control.ActRequest{Operation: op.ID, Reason: "clients follow by themselves"})
		if op.State != control.CommitWindow {
			t.Fatalf("%s: %v", op.State, op.Error)
		}
		r, _ := s.Report(t.Context(), op.ID)
		said := false
		for _, a := range r.Who {
			said = said || a.By == "ada" && strings.HasPrefix(a.Text, "skipped route") && strings.HasSuffix(a.Text, ": clients follow by themselves")
		}
		if !said {
			t.Fatalf("the report does not say who skipped: %+v", r.Who)
		}
	})
}

func TestAbortInterruptsARunningStepAndGoesHome(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		s.world.SetDelay(time.Hour)
		s.write("east", "late", 2)
		op := s.Begin(control.StartRequest{Verb: understudy.Switchover})
		s.until("draining", func(st control.PlanStatus) bool {
			return st.Current != nil && st.Current.Stage == understudy.StageDrain
		})
		op = s.Act(s.Abort, control.ActRequest{Operation: op.ID, Reason: "not today"})
		if op.State != control.Aborted {
			t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
		}
		if !s.world.Open("east") || s.world.Open("west") || !s.Role("orders").IsActive("east") {
			t.Fatalf("not as before: %s", s.world.Fingerprint())
		}
		s.world.SetDelay(10 * time.Millisecond)
		s.write("east", "b", 2)
		s.until("alike", func(control.PlanStatus) bool { return len(s.world.IDs("west")) == 7 })
	})
}

// Protecting a plan again is how a workload that was added to it gets protected. Its way back leaves the others alone.
func TestAbortOfAnotherProtectLeavesWhatWasProtected(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		s.protected()
		s.world.Fail("create", planned(understudy.KindBroken))
		op := s.do(understudy.Protect, control.PausedByStep)
		if op = s.Act(s.Abort, control.ActRequest{Operation: op.ID}); op.State != control.Aborted {
			t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
		}
		s.protected()
		s.write("east", "b", 2)
		s.until("alike", func(control.PlanStatus) bool { return len(s.world.IDs("west")) == 5 })
	})
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		s.world.SetDelay(time.Hour)
		s.write("east", "late", 1)
		op := s.Begin(control.StartRequest{Verb: understudy.Switchover})
		s.until("draining", func(st control.PlanStatus) bool {
			return st.Current != nil && st.Current.Stage == understudy.StageDrain
		})
		if _, err := s.Pause(t.Context(), control.ActRequest{Operation: op.ID, By: "ada"}); err != nil {
			t.Fatal(err)
		}
		s.world.SetDelay(10 * time.Millisecond)
		op = s.Rest(op.ID)
		if op.State != control.PausedByOperator {
			t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
		}
		op = s.Act(s.Resume, control.ActRequest{Operation: op.ID})
		if op.State != control.CommitWindow {
			t.Fatalf("%s: %v", op.State, op.Error)
		}
	})
}

func TestApprovalNeedsASecondPerson(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, func(c *controltest.Setup) { c.Plan.Approvals = []understudy.Verb{understudy.Switchover} })
		op := s.do(understudy.Switchover, control.AwaitingApproval)
		_, err := s.Approve(t.Context(), control.ActRequest{Operation: op.ID, By: "ada"})
		refusedWith(t, err, "US246")
		op = s.Act(s.Approve, control.ActRequest{Operation: op.ID, By: "grace"})
		if op.State != control.CommitWindow || op.Approved.By != "grace" {
			t.Fatalf("%s: %v", op.State, op.Error)
		}
	})
}

// An approval is for what was asked: a word that is given after it needs another operation, and another approval.
func TestAnApprovalBindsAnEnvelope(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, func(c *controltest.Setup) { c.Plan.Approvals = []understudy.Verb{understudy.Failover} })
		s.world.SetUp("east", false)
		op := s.do(understudy.Failover, control.AwaitingApproval)
		op = s.Act(s.Approve, control.ActRequest{Operation: op.ID, By: "grace"})
		if op.State != control.PausedByStep || op.Error.Code != "US221" {
			t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
		}
		_, err := s.Retry(t.Context(), control.ActRequest{Operation: op.ID, By: "ada", AcceptFence: []understudy.Site{"east"}})
		refusedWith(t, err, "US242")
		if now, err := s.Operation(t.Context(), op.ID); err != nil || now.State != control.PausedByStep || len(now.Envelope.Acceptances) > 0 {
			t.Fatalf("%s, %+v, %v", now.State, now.Envelope, err)
		}
		word := control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{"east"}, Supersede: op.ID}
		next := s.Do(word, control.AwaitingApproval)
		if next = s.Act(s.Approve, control.ActRequest{Operation: next.ID, By: "grace"}); next.State != control.CommitWindow {
			t.Fatalf("%s at %s: %v", next.State, next.Stage, next.Error)
		}
	})
}

// A word may be given in another's name, and never makes the caller another person.
func TestAWordDoesNotChangeWhoCalls(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, func(c *controltest.Setup) { c.Plan.Approvals = []understudy.Verb{understudy.Failover} })
		s.world.SetUp("east", false)
		op := s.Do(control.StartRequest{
			Verb: understudy.Failover, AcceptFence: []understudy.Site{"east"}, By: "root", As: "ada",
		}, control.AwaitingApproval)
		if got := op.Envelope.Acceptances[0].By; op.By != "root" || got != "ada (called by root)" {
			t.Fatalf("started by %q, on the word of %q", op.By, got)
		}
		_, err := s.Approve(t.Context(), control.ActRequest{Operation: op.ID, By: "root"})
		refusedWith(t, err, "US246")
		if op = s.Act(s.Approve, control.ActRequest{Operation: op.ID, By: "grace"}); op.State != control.CommitWindow {
			t.Fatalf("%s: %v", op.State, op.Error)
		}
	})
}

func TestOrdersAreRefusedWithAReason(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		refusedWith(t, s.order(control.StartRequest{Verb: understudy.Switchover, Confirm: "contoso"}), "US206")
		refusedWith(t, s.order(control.StartRequest{Verb: understudy.Drill}), "US203")
		s.do(understudy.Protect, control.Committed)
		refusedWith(t, s.order(control.StartRequest{Verb: understudy.Switchover}), "US205")
		refusedWith(t, s.order(control.StartRequest{Verb: understudy.Switchover, Confirm: "contoso", To: "mars"}), "US207")
		refusedWith(t, s.order(control.StartRequest{Verb: understudy.Failback, Confirm: "contoso"}), "US214")
		refusedWith(t, s.order(control.StartRequest{Verb: understudy.Commit}), "US208")
		s.do(understudy.Switchover, control.CommitWindow)
		refusedWith(t, s.order(control.StartRequest{Verb: understudy.Failback, Confirm: "contoso"}), "US213")
		refusedWith(t, s.order(control.StartRequest{Verb: understudy.Reprotect, Confirm: "contoso"}), "US213")
		_, err := s.Operation(t.Context(), "op-none")
		refusedWith(t, err, "US202")
		_, err = s.Controller.Start(t.Context(), control.StartRequest{Verb: understudy.Verify, Plan: "none", By: "ada"})
		refusedWith(t, err, "US202")
		_, err = s.Controller.Start(t.Context(), control.StartRequest{Verb: understudy.Verify, Plan: "contoso"})
		refusedWith(t, err, "US204")
	})
}

func TestOneRoleChangingOperationPerPlan(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		s.world.Fail("drain", planned(understudy.KindBroken))
		op := s.do(understudy.Switchover, control.PausedByStep)
		refusedWith(t, s.order(control.StartRequest{Verb: understudy.Switchover, Confirm: "contoso"}), "US212")
		refusedWith(t, s.order(control.StartRequest{Verb: understudy.Failover, Confirm: "contoso"}), "US212")
		s.do(understudy.Verify, control.Committed)
		inThePlaceOf := func(id understudy.OperationID, verb understudy.Verb, dry bool) error {
			return s.order(control.StartRequest{Verb: verb, Confirm: "contoso", Supersede: id, DryRun: dry})
		}
		for _, dry := range []bool{false, true} {
			err := inThePlaceOf("op-none", understudy.Failover, dry)
			if refusedWith(t, err, "US202"); understudy.KindOf(err) != understudy.KindNotFound || !strings.Contains(err.Error(), "op-none") {
				t.Fatalf("%+v", err)
			}
			refusedWith(t, inThePlaceOf(op.ID, understudy.Switchover, dry), "US505")
		}
		next := s.Do(control.StartRequest{Verb: understudy.Failover, Supersede: op.ID}, control.CommitWindow)
		refusedWith(t, inThePlaceOf(op.ID, understudy.Failover, false), "US210") // its place is taken
		old, err := s.Operation(t.Context(), op.ID)
		if err != nil || old.State != control.Superseded || next.Inherits != op.ID {
			t.Fatalf("%+v, %v", old, err)
		}
		_, err = s.Retry(t.Context(), control.ActRequest{Operation: op.ID, By: "ada"})
		refusedWith(t, err, "US210")
	})
}

func TestARollbackOfAFailoverIsRefused(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		s.do(understudy.Failover, control.CommitWindow)
		refusedWith(t, s.order(control.StartRequest{Verb: understudy.Rollback, Confirm: "contoso"}), "US217")
	})
}

func TestARollbackOfASwitchoverSwitchesBack(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		first := s.do(understudy.Switchover, control.CommitWindow)
		s.write("west", "w", 2)
		s.protected()
		s.do(understudy.Rollback, control.CommitWindow)
		if op, _ := s.Operation(t.Context(), first.ID); op.State != control.RolledBack {
			t.Fatalf("the switchover is %s", op.State)
		}
		s.do(understudy.Commit, control.Committed)
		if !s.world.Open("east") || len(s.world.IDs("east")) != 5 {
			t.Fatal(s.world.Fingerprint())
		}
	})
}

// twoWorkloads is a plan in which curated comes after orders, with a choice for failures.
func twoWorkloads(onFailure understudy.OnFailure) (workload.Plan, workload.Registry, map[understudy.WorkloadName]*workloadtest.World) {
	worlds := map[understudy.WorkloadName]*workloadtest.World{
		"orders": workloadtest.NewWorld("east", "west"), "curated": workloadtest.NewWorld("east", "west"),
	}
	kind := workloadtest.Toy(worlds["orders"])
	second := workloadtest.Toy(worlds["curated"])
	open := kind.Open
	kind.Open = func(ctx context.Context, s workload.Spec, o workload.Opening) (workload.Workload, error) {
		if s.Name == "curated" {
			return second.Open(ctx, s, o)
		}
		return open(ctx, s, o)
	}
	plan := toyPlan(
		workload.Planned{Spec: workloadtest.ToySpec("contoso", "orders", "east", "west"), OnFailure: understudy.Stop},
		workload.Planned{Spec: workloadtest.ToySpec("contoso", "curated", "east", "west"), OnFailure: onFailure},
	)
	return plan, workload.NewRegistry(kind), worlds
}

func TestAQuarantinedWorkloadFollowsLater(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		plan, registry, worlds := twoWorkloads(understudy.Quarantine)
		s := newScene(t, func(c *controltest.Setup) { c.Plan, c.Registry = plan, registry })
		s.do(understudy.Protect, control.Committed)
		worlds["curated"].Fail("fence.close", planned(understudy.KindBroken))
		op := s.do(understudy.Switchover, control.CommitWindow)
		if op.Parts[1].State != control.Quarantined || op.Parts[1].Error == nil {
			t.Fatalf("%+v", op.Parts)
		}
		if !s.Role("orders").IsActive("west") || !s.Role("curated").None() {
			t.Fatalf("%v, %v", s.Role("orders"), s.Role("curated"))
		}
		refusedWith(t, s.order(control.StartRequest{Verb: understudy.Commit}), "US216")
		join, err := s.Retry(t.Context(), control.ActRequest{Operation: op.ID, Workload: "curated", By: "ada"})
		if err != nil {
			t.Fatal(err)
		}
		if join = s.Rest(join.ID); join.State != control.Committed {
			t.Fatalf("%s at %s: %v", join.State, join.Stage, join.Error)
		}
		if !s.Role("curated").IsActive("west") || !worlds["curated"].Open("west") {
			t.Fatalf("%v", s.Role("curated"))
		}
		s.do(understudy.Commit, control.Committed)
	})
}

func TestAQuarantinedWorkloadIsLetGo(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		plan, registry, worlds := twoWorkloads(understudy.Quarantine)
		s := newScene(t, func(c *controltest.Setup) { c.Plan, c.Registry = plan, registry })
		s.do(understudy.Protect, control.Committed)
		worlds["curated"].Fail("drain", planned(understudy.KindBroken))
		op := s.do(understudy.Switchover, control.CommitWindow)
		home, err := s.Abort(t.Context(), control.ActRequest{Operation: op.ID, Workload: "curated", By: "ada"})
		if err != nil {
			t.Fatal(err)
		}
		if home = s.Rest(home.ID); home.State != control.Aborted {
			t.Fatalf("%s at %s: %v", home.State, home.Stage, home.Error)
		}
		if !s.Role("curated").IsActive("east") || !worlds["curated"].Open("east") {
			t.Fatalf("%v", s.Role("curated"))
		}
		s.do(understudy.Commit, control.Committed)
		s.until("fed back", func(st control.PlanStatus) bool { return st.Workloads[0].Protection == understudy.Protected })
		s.do(understudy.Failback, control.CommitWindow)
		s.do(understudy.Commit, control.Committed)
		if !lawful(t, s.Plane)[control.Transition{From: control.Validated, On: control.Turn, To: control.Running}] {
			t.Error("nobody aborted a validated operation")
		}
	})
}

func TestStopPausesAllAndContinueGoesOn(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		plan, registry, worlds := twoWorkloads(understudy.Continue)
		s := newScene(t, func(c *controltest.Setup) { c.Plan, c.Registry = plan, registry })
		s.do(understudy.Protect, control.Committed)
		worlds["curated"].Fail("halt", planned(understudy.KindBroken))
		op := s.do(understudy.Switchover, control.PausedByStep)
		worlds["curated"].Fail("route", planned(understudy.KindBroken))
		op = s.Act(s.Retry, control.ActRequest{Operation: op.ID})
		if op.State != control.CommitWindow || op.Parts[1].State != control.Impaired {
			t.Fatalf("%s: %+v", op.State, op.Parts)
		}
	})
}

// A level that is none must not lower the floor, and nobody can mean to lose less than nothing.
func TestWhatCannotBeMeantIsRefused(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		for _, level := range []understudy.FenceLevel{"F0", "F1", "FA", "F6", "f3", "3"} {
			refusedWith(t, s.order(control.StartRequest{Verb: understudy.Failover, Confirm: "contoso", FenceFloor: level}), "US505")
		}
		less := -time.Minute
		refusedWith(t, s.order(control.StartRequest{Verb: understudy.Failover, Confirm: "contoso", MaxLoss: &less}), "US505")
		refusedWith(t, s.order(control.StartRequest{Verb: understudy.Verify, Shards: []string{"0", "["}}), "US411")
		ops, err := s.Operations(t.Context(), control.OperationsRequest{Open: true})
		if err != nil || len(ops) > 0 {
			t.Fatalf("%+v, %v", ops, err)
		}
		s.Do(control.StartRequest{Verb: understudy.Switchover, FenceFloor: understudy.F3}, control.CommitWindow)
		err = s.order(control.StartRequest{Verb: understudy.Failback, Confirm: "contoso"})
		refusedWith(t, err, "US213")
		if fix := understudy.AsError(err).Fix; fix != "understudy commit contoso, or understudy rollback contoso" {
			t.Fatalf("the fix is %q", fix)
		}
	})
}
