package control_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
)

// logged is a log that a test reads while others write.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// A step that is tried again does not look like one that hangs: each cause is in the log once, and the last one in
// status and report until the step has ended.
func TestAStepThatIsTriedAgainSaysWhy(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		log := &logged{}
		s := protectedScene(t, func(c *controltest.Setup) {
			c.Options = func(o *control.Options) {
				o.Log, o.StepBudget = slog.New(slog.NewTextHandler(log, nil)), 10*time.Minute
			}
		})
		for range 40 {
			s.world.Fail("halt", planned(understudy.KindUnreachable))
		}
		s.world.Fail("halt", &understudy.Error{Code: "US999", Kind: understudy.KindRetry, Summary: "another cause"})
		op := s.Begin(control.StartRequest{Verb: understudy.Switchover})
		var seen *control.Retrying
		s.until("tried often", func(st control.PlanStatus) bool {
			seen = st.Current.Retrying
			return seen != nil && seen.Times > 9
		})
		if seen.Error.Summary != "planned" || seen.Workload != "orders" || !strings.HasPrefix(seen.Step, "halt") || !seen.At.After(seen.Since) {
			t.Fatalf("%+v", seen)
		}
		r, err := s.Report(t.Context(), op.ID)
		if err != nil || r.Operation.Retrying == nil || r.Operation.Retrying.Error.Summary != "planned" {
			t.Fatalf("the report: %+v, %v", r.Operation.Retrying, err)
		}
		if op = s.Rest(op.ID); op.State != control.CommitWindow || op.Retrying != nil {
			t.Fatalf("%s: %+v", op.State, op.Retrying)
		}
		if n := log.count("is tried again by itself"); n != 2 || log.count("another cause") != 1 {
			t.Fatalf("%d lines for two causes", n)
		}
	})
}

// What control refuses, each by its own code.
func TestRefusalsByTheirCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		code understudy.Code
		play func(*scene) error
	}{
		{"a link that diverged does not keep up", "US250", func(s *scene) error {
			s.world.Force("west", "foreign", "v")
			s.until("seen", func(st control.PlanStatus) bool { return st.Workloads[0].Protection == understudy.Diverged })
			return s.do(understudy.Switchover, control.PausedByStep).Error
		}},
		{"the new side is down", "US251", func(s *scene) error {
			s.world.SetUp("west", false)
			return s.do(understudy.Failover, control.PausedByStep).Error
		}},
		{"a step takes too long", "US241", func(s *scene) error {
			s.world.Stall("fence.close")
			return s.do(understudy.Switchover, control.PausedByStep).Error
		}},
		{"nothing is quarantined", "US247", func(s *scene) error {
			op := s.do(understudy.Switchover, control.CommitWindow)
			_, err := s.Retry(s.t.Context(), control.ActRequest{Operation: op.ID, Workload: "orders", By: "ada"})
			return err
		}},
		{"a ledger that a rollback may need", "US249", func(s *scene) error {
			s.protected()
			s.world.SetDelay(time.Hour)
			s.write("east", "lost", 3)
			s.world.SetUp("east", false)
			<-time.After(5 * time.Second)
			s.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{"east"}}, control.CommitWindow)
			s.world.SetDelay(10 * time.Millisecond)
			s.do(understudy.Commit, control.Committed)
			s.world.SetUp("east", true)
			s.until("fenced", func(st control.PlanStatus) bool {
				old := st.Workloads[0].Old
				return len(old) == 1 && old[0].State == "fenced"
			})
			rep := s.do(understudy.Reprotect, control.Committed)
			s.protected()
			s.do(understudy.Failback, control.CommitWindow)
			_, err := s.DiscardLedger(s.t.Context(), control.LedgerRequest{Plan: "contoso", Workload: "orders", Operation: rep.ID, By: "ada", Reason: "read"})
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T) { refusedWith(t, c.play(protectedScene(t, nil)), c.code) })
		})
	}
}
