package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/lab/kafka"
)

// servedAndStopped stops serve in each way, starts it twice, and asks it while it cannot answer.
func servedAndStopped(t *testing.T, e *estate) {
	s := protectedScene(t, e, "served", "")
	s.secondServe()
	load := s.load(e.east, 150, "load")
	for _, signals := range []int{1, 2} {
		must(t, load.WaitAcks(t.Context(), len(load.Answers().Acks)+50))
		s.interrupt(signals)
		if err := s.p.refused(8, "status", s.plan); err.Code != "US502" {
			t.Errorf("a status without serve: %+v", err)
		}
		s.p.revive()
	}
	answers, err := load.Stop(t.Context())
	must(t, err)
	s.same()
	l := loaded{prefix: "load", answers: answers}
	if missing := l.missingFrom(l.soundIn(t, e.dump(t, e.west, kafka.ReadCommitted, s.topic))); len(missing) > 0 {
		t.Errorf("%d acknowledged records are missing", len(missing))
	}
	s.statuses()
	s.unreachable()
	s.wrongAddresses()
}

// secondServe starts another serve on the same data directory: it ends at once and says why.
func (s *scene) secondServe() {
	t := s.t
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.p.binary, "serve", "-c", s.p.config)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err == nil || ctx.Err() != nil {
		t.Fatalf("a second serve on one data directory: %v\n%s", err, said.String())
	}
	status := cmd.ProcessState.ExitCode()
	if status != 5 || !strings.Contains(said.String(), "is held by process") {
		t.Errorf("a second serve ends with status %d and says %s", status, said.String())
	}
	t.Logf("a second serve: status %d, %s", status, strings.TrimSpace(said.String()))
}

// interrupt sends Ctrl-C once, which drains, or twice, which stops.
func (s *scene) interrupt(times int) {
	t := s.t
	before, err := os.ReadFile(s.p.log())
	must(t, err)
	start := time.Now()
	for range times {
		must(t, syscall.Kill(s.p.process.PID(), syscall.SIGINT))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case <-s.p.process.Done():
	case <-ctx.Done():
		t.Fatalf("serve goes on after %d signals", times)
	}
	log, err := os.ReadFile(s.p.log())
	must(t, err)
	said := log[len(before):]
	if !bytes.Contains(said, []byte("draining")) {
		t.Errorf("after %d signals serve says nothing of a drain", times)
	}
	// Two signals may come as one.
	if status := s.p.process.ExitCode(); times == 1 && (status != 0 || bytes.Contains(said, []byte("stopping at once"))) {
		t.Errorf("after one signal serve ended with status %d and said\n%s", status, said)
	}
	t.Logf("Ctrl-C %d×: ended after %v", times, time.Since(start).Round(time.Millisecond))
}

// statuses are the exit statuses of commands that cannot be obeyed.
func (s *scene) statuses() {
	for _, x := range []struct {
		status int
		args   []string
	}{
		{6, []string{"status", "nobody"}},
		{6, []string{"report", "op-nobody"}},
		{4, []string{"switchover"}},
		{4, []string{"switchover", s.plan, "--nonsense"}},
		{5, []string{"switchover", s.plan}},
		{5, []string{"switchover", s.plan, "--confirm", "other"}},
		{5, []string{"commit", s.plan}},
		{4, []string{"failover", s.plan, "--confirm", s.plan, "--accept-fence", "FA"}},
		{9, []string{"verify", s.plan, "--timeout", "1ms"}},
	} {
		e := s.p.refused(x.status, x.args...)
		if e.Summary == "" {
			s.t.Errorf("%v says nothing", x.args)
		}
	}
	eventually(s.t, patience, "the verification ends by itself", func() error {
		if _, v := s.p.status(s.plan); v.Workloads[0].Verified == nil || v.Workloads[0].Verified.Outcome != "MATCH" {
			return fmt.Errorf("verified: %+v", v.Workloads[0].Verified)
		}
		return nil
	})
}

// unreachable cuts the path to the primary: the exposure grows, and everything says so until it is back.
func (s *scene) unreachable() {
	t := s.t
	s.e.toEast.Cut()
	first := s.p.await(s.plan, "the source does not answer", func(w workloadView, _ statusView) bool {
		return !w.Exposure.SourceReachable
	})
	s.p.await(s.plan, "the exposure grows", func(w workloadView, _ statusView) bool {
		return w.Exposure.Bound > first.Exposure.Bound+time.Second
	})
	o := s.p.try("doctor", s.plan)
	d := decode[doctorView](t, o)
	if east := d.Workloads[0].Sites["east"]; o.status != 8 || east.Presence != "unreachable" || east.Error == nil {
		t.Errorf("doctor with a lost site: %v", o)
	}
	op := s.p.try("switchover", s.plan, "--confirm", s.plan)
	if op.status == 0 {
		t.Errorf("a planned switchover away from a site that does not answer: %v", op)
	}
	s.aborted()
	s.e.toEast.Heal()
	s.p.await(s.plan, "protected again", protected)
	s.same()
}

// aborted ends what a refusal left open.
func (s *scene) aborted() {
	s.t.Helper()
	_, v := s.p.status(s.plan)
	if v.Current == nil {
		return
	}
	s.p.run("abort", v.Current.ID)
	if op := s.p.rested(v.Current.ID); op.State != "aborted" {
		s.t.Fatalf("the abort of what was refused is %+v, error %+v", op, op.Error)
	}
}

// wrongAddresses applies documents in which the sites are one cluster, and in which they are each other's:
// nothing is written, and the right ones go on.
func (s *scene) wrongAddresses() {
	t, e := s.t, s.e
	rest := planFile(s.plan, s.plan+`\..*`)
	s.p.apply(siteFile("east", e.east.WANAddr()) + siteFile("west", e.east.WANAddr()) + rest)
	s.refuses("US107")
	s.p.apply(siteFile("east", e.west.WANAddr()) + siteFile("west", e.east.WANAddr()) + rest)
	s.refuses("US101")
	before := e.dump(t, e.east, kafka.ReadUncommitted, s.topic)
	e.send(t, e.west, nil, numbered(s.topic, partitions, 3, "stranger")...)
	w := s.p.await(s.plan, "the link refuses exchanged clusters", func(w workloadView, _ statusView) bool {
		return len(w.Links) == 1 && w.Links[0].Error != nil
	})
	t.Logf("exchanged clusters: %s %s", w.Links[0].Error.Code, w.Links[0].Error.Summary)
	if d := before.Diff(e.dump(t, e.east, kafka.ReadUncommitted, s.topic), 5); d != nil {
		t.Errorf("the exchanged link wrote:\n%s", strings.Join(d, "\n"))
	}
}

// refuses wants doctor and a switchover to refuse what is applied.
func (s *scene) refuses(code string) {
	s.t.Helper()
	o := s.p.try("doctor", s.plan)
	if o.status != 5 || !strings.Contains(o.stdout, code) {
		s.t.Errorf("doctor should refuse with %s: %v", code, o)
	}
	o = s.p.try("switchover", s.plan, "--confirm", s.plan)
	if o.status != 5 {
		s.t.Errorf("a switchover should be refused: %v", o)
	}
	s.aborted()
}
