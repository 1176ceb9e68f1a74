package e2e_test

import (
	"fmt"
	"testing"

	"github.com/understudy-dr/understudy/lab/kafka"
)

// turnedBack begins switchovers under load and aborts them before PROMOTE: everything is as before. The last
// one goes through, and loses nothing.
func turnedBack(t *testing.T, e *estate) {
	s := protectedScene(t, e, "turned", "")
	east, west := s.settings(e.east), s.settings(e.west)
	for _, stage := range []string{"freeze", "fence", "drain", "halt"} {
		s.turnBackAt(stage)
		s.sameSettings(e.east, east)
		s.sameSettings(e.west, west)
	}
	load := s.load(e.east, 150, "go")
	must(t, load.WaitAcks(t.Context(), 100))
	op := s.p.begin("switchover", s.plan, "--confirm", s.plan)
	l := loaded{prefix: "go", answers: untilRefused(t, load)}
	if end := s.p.rested(op.ID); end.State != "commit-window" {
		t.Fatalf("the switchover is %+v", end)
	}
	found := l.soundIn(t, e.dump(t, e.west, kafka.ReadCommitted, s.topic))
	if missing := l.missingFrom(found); len(missing) > 0 {
		t.Errorf("the switchover lost %d of %d acknowledged records, the first %+v", len(missing), len(l.answers.Acks), missing[0])
	}
	r := s.p.report("report", op.ID)
	r.times(t)
	t.Logf("planned switchover under load: 0 of %d lost; fence %v, promote %v, verify %v", len(l.answers.Acks), r.RTO.Fence, r.RTO.Promote, r.RTO.Verify)
	e.send(t, e.west, nil, numbered(s.topic, partitions, 30, "there")...)
	s.p.await(s.plan, "protected the other way", protected)
	s.same()
	s.p.report("rollback", s.plan, "--confirm", s.plan)
	w := s.p.await(s.plan, "protected at home again", protected)
	if fmt.Sprint(w.Role.Active) != "[east]" {
		t.Errorf("after the rollback the role is %+v", w.Role)
	}
	s.same()
}

// turnBackAt pauses a switchover at a stage and aborts it.
func (s *scene) turnBackAt(stage string) {
	t := s.t
	load := s.load(s.e.east, 100, "back-"+stage)
	must(t, load.WaitAcks(t.Context(), 50))
	op := s.p.begin("switchover", s.plan, "--confirm", s.plan)
	paused := s.stopAt(op.ID, stage)
	s.p.run("abort", op.ID)
	end := s.p.rested(op.ID)
	if end.State != "aborted" {
		t.Fatalf("paused at %s and aborted, the switchover is %+v", paused.Stage, end)
	}
	must(t, load.WaitAcks(t.Context(), len(load.Answers().Acks)+50))
	answers, err := load.Stop(t.Context())
	must(t, err)
	l := loaded{prefix: "back-" + stage, answers: answers}
	s.p.await(s.plan, "protected after the abort at "+stage, protected)
	s.same()
	found := l.soundIn(t, s.e.dump(t, s.e.west, kafka.ReadCommitted, s.topic))
	if missing := l.missingFrom(found); len(missing) > 0 {
		t.Errorf("the abort at %s lost %d acknowledged records", stage, len(missing))
	}
	t.Logf("aborted at %s: %d acknowledged, %d refused, all as before", paused.Stage, len(answers.Acks), len(answers.Refusals))
}
