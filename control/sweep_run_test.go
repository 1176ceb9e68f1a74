package control_test

import (
	"context"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/workloadtest"
)

// behind is protected, with records that no run has copied yet.
func behind(p *controltest.Plane, w *workloadtest.World) {
	protectedEstate(p, w)
	write(w, "east", "d", "e")
}

// sweptRuns are the stories of architectures without a mover.
func sweptRuns() []sweptStory {
	standby := func() workload.Plan { return scheduledPlan(understudy.StandbySecondary) }
	demand := func() workload.Plan { return onDemand() }
	lost := func(p *controltest.Plane, w *workloadtest.World) {
		behind(p, w)
		w.SetUp("east", false)
		<-time.After(5 * time.Second)
	}
	staged := func(p *controltest.Plane, w *workloadtest.World) {
		behind(p, w)
		w.Fail("run.publish", &understudy.Error{Code: "US999", Kind: understudy.KindBroken, Summary: "planned"})
		<-time.After(time.Minute) // so that the operations have an order
		run(p, understudy.Replicate, control.PausedByStep)
		<-time.After(time.Minute)
	}
	stagedAndLost := func(p *controltest.Plane, w *workloadtest.World) {
		staged(p, w)
		w.SetUp("east", false)
	}
	returned := func(p *controltest.Plane, w *workloadtest.World) {
		lost(p, w)
		p.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{"east"}}, control.CommitWindow)
		write(w, "west", "new1", "new2")
		run(p, understudy.Commit, control.Committed)
		w.SetUp("east", true)
		fencedOld(p)
	}
	word := control.StartRequest{AcceptFence: []understudy.Site{"east"}}
	abort := func(p *controltest.Plane) error {
		op, _ := p.Newest(understudy.Replicate)
		_, err := p.Abort(context.Background(), control.ActRequest{Operation: op.ID, By: "ada"})
		return err
	}
	aborting := func(p *controltest.Plane) (control.Operation, bool) {
		op, _ := p.Newest(understudy.Replicate)
		return op, op.Aborting
	}
	return []sweptStory{
		{name: "scheduled protect", plan: standby, verb: understudy.Protect, prepare: func(_ *controltest.Plane, w *workloadtest.World) { write(w, "east", "a", "b") }},
		{name: "replicate", plan: standby, verb: understudy.Replicate, prepare: behind},
		{name: "replicate in the place of a failed run", plan: standby, verb: understudy.Replicate, prepare: staged, order: replicateAgain, find: secondRun},
		{name: "abort of a failed run", plan: standby, prepare: staged, order: abort, find: aborting},
		{name: "scheduled switchover", plan: standby, verb: understudy.Switchover, prepare: behind},
		{name: "scheduled switchover that meets a run", plan: standby, verb: understudy.Switchover, prepare: staged},
		{name: "scheduled failover", plan: standby, verb: understudy.Failover, prepare: lost, req: word},
		{name: "scheduled failover that rolls forward", plan: standby, verb: understudy.Failover, prepare: stagedAndLost, req: word},
		{name: "scheduled reprotect", plan: standby, verb: understudy.Reprotect, prepare: returned},
		{name: "on-demand protect", plan: demand, verb: understudy.Protect, prepare: func(_ *controltest.Plane, w *workloadtest.World) { write(w, "east", "a", "b") }},
		{name: "on-demand replicate", plan: demand, verb: understudy.Replicate, prepare: behind},
		{name: "on-demand failover", plan: demand, verb: understudy.Failover, prepare: lost, req: word},
		{name: "on-demand unprotect", plan: demand, verb: understudy.Unprotect, prepare: behind},
	}
}

// replicateAgain orders a run, and secondRun finds it behind the one that failed.
func replicateAgain(p *controltest.Plane) error {
	_, err := p.Controller.Start(context.Background(), control.StartRequest{Verb: understudy.Replicate, Plan: "contoso", By: "ada"})
	return err
}

func secondRun(p *controltest.Plane) (control.Operation, bool) {
	ops, err := p.Operations(context.Background(), control.OperationsRequest{})
	if err != nil {
		panic(err)
	}
	op, ok := p.Newest(understudy.Replicate)
	return op, ok && op.ID != ops[len(ops)-2].ID // the failed run came after protect, the first of all
}
