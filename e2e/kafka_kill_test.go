package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
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
	load := s.load(e.east, 200, "load")
	till, err := e.java.Producer(t.Context(), e.east.Access(), map[string]string{"transactional.id": "killed-till"})
	must(t, err)
	for i := range 20 {
		transact(t, till, s.topic, i)
		must(t, load.WaitAcks(t.Context(), len(load.Answers().Acks)+dice.IntN(75)))
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

// brokenFailovers loses the east once, under load, for two plans: serve is killed between the steps of the first one's
// failover, and the leader is paused in the other's.
func brokenFailovers(t *testing.T, e *estate) {
	swept := protectedScene(t, e, "sweep", "")
	paused, first, second := pausedScene(t, e, "paused")
	loads := make(map[*scene]*kafka.Load)
	for _, s := range []*scene{swept, paused} {
		loads[s] = s.load(e.east, 100, "load")
		must(t, loads[s].WaitAcks(t.Context(), 100))
	}
	must(t, e.east.Kill())
	defer func() { must(t, e.east.Restart(context.WithoutCancel(t.Context()))) }()
	swept.crashSweep(loads[swept])
	paused.pausedLeader(first, second, loads[paused])
}

// crashSweep kills serve after every new kind of journal entry of one failover; it ends as an unbroken one.
func (s *scene) crashSweep(load *kafka.Load) {
	t, e := s.t, s.e
	l := loaded{prefix: "load"}
	op := s.p.begin("failover", s.plan, "--confirm", s.plan, "--accept-fence", "FA", "--as", "ada", "--max-loss", "10m")
	seen := map[string]bool{}
	kills := 0
	for s.killAfterNext(op.ID, seen) {
		kills++
	}
	if kills < 20 { // an unhurried run has more than 50
		t.Errorf("serve was killed only %d times in the failover", kills)
	}
	end := s.p.rested(op.ID)
	if end.State != "commit-window" {
		t.Fatalf("after %d kills the failover is %+v", kills, end)
	}
	r := s.p.report("report", op.ID)
	var err error
	l.answers, err = load.Stop(t.Context())
	must(t, err)
	found := l.soundIn(t, e.dump(t, e.west, kafka.ReadCommitted, s.topic))
	l.provenAt(t, found, r.Loss[0].Rebound.Safe)
	w, _ := s.p.status(s.plan)
	if fmt.Sprint(w.Role.Active) != "[west]" || w.Role.Epoch != 3 {
		t.Errorf("the role is %+v", w.Role)
	}
	s.opened()
	t.Logf("%d kills between the entries of one failover: it ended at west, epoch %d, as an unbroken one", kills, w.Role.Epoch)
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
