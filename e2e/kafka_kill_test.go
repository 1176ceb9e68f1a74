package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/lab/kafka"
)

// killedMirroring kills understudy at random points while it mirrors a load with transactions.
func killedMirroring(t *testing.T, e *estate) {
	s := protectedScene(t, e, "killed", "")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	load := s.load(e.east, 800, "load")
	till, err := e.java.Producer(t.Context(), e.east.Access(), map[string]string{"transactional.id": "killed-till"})
	must(t, err)
	for i := range 20 {
		transact(t, till, s.topic, i)
		must(t, load.WaitAcks(t.Context(), len(load.Answers().Acks)+dice.IntN(300)))
		s.p.kill()
		s.p.start()
		if i%4 != 0 {
			s.p.ready()
		}
	}
	s.p.ready()
	answers, err := load.Stop(t.Context())
	must(t, err)
	must(t, till.Close(t.Context()))
	s.same()
	l := loaded{prefix: "load", answers: answers}
	found := l.soundIn(t, e.dump(t, e.west, kafka.ReadCommitted, s.topic))
	if missing := l.missingFrom(found); len(missing) > 0 {
		t.Errorf("%d of %d acknowledged records are missing, the first %+v", len(missing), len(answers.Acks), missing[0])
	}
	t.Logf("20 kills over %d acknowledged records: none twice, none missing", len(answers.Acks))
	s.p.await(s.plan, "protected after the kills", protected)
}

// transact commits or aborts a small transaction.
func transact(t *testing.T, p *kafka.Producer, topic string, i int) {
	t.Helper()
	must(t, p.Begin(t.Context()))
	_, err := p.Send(t.Context(), numbered(topic, partitions, 6, fmt.Sprintf("tx%d", i))...)
	must(t, err)
	end := p.Commit
	if i%2 == 1 {
		end = p.Abort
	}
	must(t, end(t.Context()))
}

// brokenFailovers loses the east once, under load, for three plans: the failover of the first is left alone, serve is killed
// between the steps of the second one's, and the leader is paused in the third one's.
func brokenFailovers(t *testing.T, e *estate) {
	unbroken, swept := readScene(t, e, "unbroken"), readScene(t, e, "sweep")
	paused, first, second := pausedScene(t, e, "paused")
	loads := make(map[*scene]*kafka.Load)
	for _, s := range []*scene{swept, paused} {
		loads[s] = s.load(e.east, 100, "load")
		must(t, loads[s].WaitAcks(t.Context(), 100))
	}
	must(t, e.east.Kill())
	defer func() { must(t, e.east.Restart(context.WithoutCancel(t.Context()))) }()
	swept.crashSweep(unbroken.left(unbroken.failover()), loads[swept])
	paused.pausedLeader(first, second, loads[paused])
}

// crashSweep kills serve after every new kind of journal entry of one failover: it leaves what an unbroken one leaves
// that lost the same primary.
func (s *scene) crashSweep(want string, load *kafka.Load) {
	t, e := s.t, s.e
	l := loaded{prefix: "load"}
	op := s.failover()
	seen := map[string]bool{}
	kills := 0
	for s.killAfterNext(op.ID, seen) {
		kills++
	}
	if kills < 20 { // an unhurried run has more than 50
		t.Errorf("serve was killed only %d times in the failover", kills)
	}
	got := s.left(op)
	r := s.p.report("report", op.ID)
	var err error
	l.answers, err = load.Stop(t.Context())
	must(t, err)
	found := l.soundIn(t, e.dump(t, e.west, kafka.ReadCommitted, s.topic))
	lost, _ := l.provenAt(t, found, *r.Loss[0].Rebound)
	if got != want {
		t.Errorf("an unbroken failover leaves\n%sand this one, after %d kills,\n%s", want, kills, got)
	}
	s.opened()
	t.Logf("%d kills between the entries of one failover, which lost %d records: it left what an unbroken one leaves:\n%s", kills, lost, got)
}

// readScene is a protected scene with one more topic, which rests, and a group that reads both.
func readScene(t *testing.T, e *estate, name string) *scene {
	t.Helper()
	s := newScene(t, e, name)
	e.create(t, kafka.Topic{Name: s.still(), Partitions: partitions, Configs: map[string]string{"cleanup.policy": "compact", "min.insync.replicas": "1"}})
	e.send(t, e.east, nil, numbered(s.still(), partitions, 30, "still")...)
	at := []kafka.Offset{{Topic: s.topic, Partition: 1, Offset: 5}, {Topic: s.still(), Offset: 7, Metadata: "read"}}
	must(t, e.java.SetOffsets(t.Context(), e.east.Access(), s.readers(), at...))
	s.p = e.serve(t, "")
	s.p.apply(s.documents())
	s.p.report("protect", s.plan)
	s.p.await(s.plan, "protected", protected)
	e.followedGroups(t, e.west, map[string][]kafka.Offset{s.readers(): at})
	return s
}

func (s *scene) still() string   { return s.plan + ".still" }
func (s *scene) readers() string { return s.plan + "-readers" }

func (s *scene) failover() operationView {
	s.t.Helper()
	return s.p.begin("failover", s.plan, "--confirm", s.plan, "--accept-fence", "FA", "--as", "ada", "--max-loss", "10m")
}

// left waits for the end of a failover and says what it left: role, and in the west settings, positions and where the logs
// start and end. How much of a load came over is chance: there the end counts from the last record.
func (s *scene) left(op operationView) string {
	t, e := s.t, s.e
	t.Helper()
	if end := s.p.rested(op.ID); end.State != "commit-window" {
		t.Fatalf("the failover is %+v", end)
	}
	var lines []string
	for _, topic := range []string{s.topic, s.still()} {
		settings := answer(e.java.Configs(t.Context(), e.west.Access(), topic))(t)
		for _, name := range slices.Sorted(maps.Keys(settings)) {
			if strings.HasPrefix(settings[name].Source, "DYNAMIC_TOPIC") {
				lines = append(lines, fmt.Sprintf("%s: %s is %s", topic, name, settings[name].Value))
			}
		}
	}
	for p, o := range answer(e.java.Offsets(t.Context(), e.west.Access(), s.readers()))(t) {
		lines = append(lines, fmt.Sprintf("%s-%d: the readers are at %d, %q", p.Topic, p.Partition, o.Offset, o.Metadata))
	}
	last := map[kafka.Partition]int64{}
	for _, r := range e.dump(t, e.west, kafka.ReadCommitted, s.topic).Records {
		last[kafka.Partition{Topic: r.Topic, Partition: r.Partition}] = r.Offset
	}
	for _, r := range e.ranges(t, e.west, kafka.ReadUncommitted, s.topic, s.still()) {
		lines = append(lines, fmt.Sprintf("%s-%d: from %d to %d after the last", r.Topic, r.Partition, r.Start, r.End-last[kafka.Partition{Topic: r.Topic, Partition: r.Partition}]))
	}
	slices.Sort(lines)
	w, _ := s.p.status(s.plan)
	lines = append(lines, fmt.Sprintf("active %v at epoch %d\n", w.Role.Active, w.Role.Epoch))
	return strings.ReplaceAll(strings.Join(lines, "\n"), s.plan, "PLAN")
}

// opened wants the west to take writes and to have the settings that shape new ones.
func (s *scene) opened() {
	s.t.Helper()
	s.e.send(s.t, s.e.west, nil, numbered(s.topic, partitions, 6, "new")...)
	c := s.settings(s.e.west)
	if got := c["max.message.bytes"].Value; got != "900000" {
		s.t.Errorf("max.message.bytes is %s in the west", got)
	}
}

// killAfterNext waits for an entry of a kind not seen before, kills serve there and starts it again; false when
// the operation rests.
func (s *scene) killAfterNext(id string, seen map[string]bool) bool {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	fresh := ""
	err := s.p.watch(ctx, id, 0, func(v eventView) bool {
		key := fmt.Sprintf("%s %s %s", v.Kind, v.Stage, v.State)
		if v.Step != nil {
			key += " " + v.Step.ID
		}
		if seen[key] {
			return false
		}
		seen[key] = true
		if v.State == "commit-window" {
			return true
		}
		fresh = key
		return true
	})
	must(s.t, err)
	if fresh == "" {
		return false
	}
	s.p.kill()
	s.p.revive()
	return true
}
