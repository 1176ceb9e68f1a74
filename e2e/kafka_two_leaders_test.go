package e2e_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/lab/etcd"
	"github.com/understudy-dr/understudy/lab/kafka"
)

// deposed is what a former leader says when it wakes up.
var deposed = regexp.MustCompile(`no longer leading`)

// pairOf starts two control planes on one etcd; the first leads.
func pairOf(t *testing.T, e *estate) (first, second *plane) {
	t.Helper()
	journal := fmt.Sprintf("journal: { etcd: { endpoints: [%q] } }\n", etcd.Boot(t).Endpoint())
	first = e.serve(t, journal)
	second = e.configure(t, journal)
	second.start()
	return first, second
}

// pausedScene protects a topic under the first of two control planes.
func pausedScene(t *testing.T, e *estate, name string) (s *scene, first, second *plane) {
	t.Helper()
	first, second = pairOf(t, e)
	s = newScene(t, e, name)
	s.p = first
	first.apply(s.documents())
	first.report("protect", s.plan)
	first.await(s.plan, "protected", protected)
	return s, first, second
}

// takeOver waits until the second leads, and sends orders there from now on.
func (s *scene) takeOver(second *plane) {
	s.t.Helper()
	second.ready()
	s.p = second
}

// pausedLeader freezes the leader in the middle of a failover for longer than its lease: the other one finishes,
// and what wakes up does nothing and says so.
func (s *scene) pausedLeader(first, second *plane, load *kafka.Load) {
	t, e := s.t, s.e
	refusal := second.refused(5, "failover", s.plan, "--confirm", s.plan)
	t.Logf("an order to the member that does not lead: %s %s", refusal.Code, refusal.Summary)
	op := first.begin("failover", s.plan, "--confirm", s.plan, "--accept-fence", "FA", "--as", "ada")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, first.watch(ctx, op.ID, 0, func(v eventView) bool { return v.Kind == "intent" && v.Stage == "halt" }))
	must(t, first.process.Pause())
	s.takeOver(second)
	if end := second.rested(op.ID); end.State != "commit-window" {
		t.Fatalf("the other one ends the failover as %+v", end)
	}
	s.wake(first)
	answers, err := load.Stop(t.Context())
	must(t, err)
	l := loaded{prefix: "load", answers: answers}
	r := second.report("report", op.ID)
	l.provenAt(t, l.soundIn(t, e.dump(t, e.west, kafka.ReadCommitted, s.topic)), *r.Loss[0].Rebound)
}

// zombieMover freezes a mover with appends, a group's position, a trimmed head and a setting on their way, promotes
// the west without it, writes there, and wakes it: nothing of it stays.
func zombieMover(t *testing.T, e *estate) {
	s, first, second := pausedScene(t, e, "zombie")
	e.toWest.Delay(patience / 600)
	defer e.toWest.Heal()
	load := s.load(e.east, 60, "load")
	must(t, load.WaitAcks(t.Context(), 150))
	for i := range partitions {
		must(t, e.java.DeleteRecords(t.Context(), e.east.Access(), kafka.Offset{Topic: s.topic, Partition: int32(i), Offset: 10}))
	}
	must(t, e.java.SetOffsets(t.Context(), e.east.Access(), "zombie-readers", kafka.Offset{Topic: s.topic, Offset: 15}))
	limit := "800000"
	must(t, e.java.SetConfigs(t.Context(), e.east.Access(), s.topic, map[string]*string{"max.message.bytes": &limit}))
	must(t, first.process.Pause())
	e.toWest.Heal()
	s.takeOver(second)
	second.await(s.plan, "protected by the other member", protected)
	op := second.begin("switchover", s.plan, "--confirm", s.plan)
	answers := untilRefused(t, load)
	if end := second.rested(op.ID); end.State != "commit-window" {
		t.Fatalf("the switchover is %+v", end)
	}
	must(t, e.java.SetOffsets(t.Context(), e.west.Access(), "zombie-readers", kafka.Offset{Topic: s.topic, Offset: 40}))
	s.wake(first)
	l := loaded{prefix: "load", answers: answers}
	found := l.soundIn(t, e.dump(t, e.west, kafka.ReadCommitted, s.topic))
	for _, a := range l.missingFrom(found) {
		if a.Offset >= 10 {
			t.Errorf("missing in the west: %+v", a)
			break
		}
	}
	second.await(s.plan, "protected the other way", protected)
	s.same()
}

// wake writes in the west, lets a former leader go on, and wants nothing of it to be there once it has said that
// it no longer leads.
func (s *scene) wake(zombie *plane) {
	t := s.t
	t.Helper()
	s.e.send(t, s.e.west, nil, numbered(s.topic, partitions, 30, "new")...)
	before, settings := s.e.dump(t, s.e.west, kafka.ReadUncommitted, s.topic), s.settings(s.e.west)
	groups, err := s.e.java.Offsets(t.Context(), s.e.west.Access(), s.plan+"-readers")
	must(t, err)
	must(t, zombie.process.Resume())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, zombie.process.WaitLog(ctx, deposed))
	eventually(t, patience, "the former leader knows the new one", func() error {
		l, err := get[leaderView](zombie, "/v1/leader")
		if err == nil && (l.Self || l.Holder == "") {
			err = fmt.Errorf("the leader is %+v", l)
		}
		return err
	})
	if d := before.Diff(s.e.dump(t, s.e.west, kafka.ReadUncommitted, s.topic), 5); d != nil {
		t.Errorf("the former leader left something:\n%s", strings.Join(d, "\n"))
	}
	s.sameSettings(s.e.west, settings)
	now, err := s.e.java.Offsets(t.Context(), s.e.west.Access(), s.plan+"-readers")
	must(t, err)
	if fmt.Sprint(now) != fmt.Sprint(groups) {
		t.Errorf("the former leader moved a group from %v to %v", groups, now)
	}
	log, err := os.ReadFile(zombie.log())
	must(t, err)
	said := slices.DeleteFunc(strings.Split(string(log), "\n"), func(l string) bool { return !deposed.MatchString(l) })
	t.Logf("it woke up and said: %s", said[len(said)-1])
}
