package control_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/journal"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/workloadtest"
)

func registryOf(kinds ...workload.Kind) workload.Registry { return workload.NewRegistry(kinds...) }

func TestADryRunShowsEveryStageAndChangesNothing(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		before := s.world.Fingerprint()
		got, err := s.Controller.Start(t.Context(), control.StartRequest{Verb: understudy.Switchover, Plan: "contoso", By: "ada", DryRun: true})
		if err != nil {
			t.Fatal(err)
		}
		steps := 0
		for _, st := range got.DryRun.Stages {
			steps += len(st.Steps)
			if len(st.Refused) > 0 {
				t.Errorf("%s: %v", st.Name, st.Refused)
			}
		}
		if len(got.DryRun.Stages) != len(control.Stages(understudy.Switchover)) || steps < 8 || got.DryRun.To != "west" {
			t.Fatalf("%+v", got.DryRun)
		}
		if after := s.world.Fingerprint(); after != before || !s.Role("orders").IsActive("east") {
			t.Fatalf("before %s after %s", before, after)
		}
	})
}

func TestStatusAnswersTheFourQuestions(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		st, err := s.Status(t.Context(), "contoso")
		if err != nil || st.Verdict != "breach" || st.Next != "understudy protect contoso" {
			t.Fatalf("%+v, %v", st, err)
		}
		s.do(understudy.Protect, control.Committed)
		s.protected()
		st, _ = s.Status(t.Context(), "contoso")
		w := st.Workloads[0]
		if st.Verdict != "ok" || !w.Exposure.Known || !w.Exposure.SourceReachable || len(w.Links) != 1 || !w.Links[0].Running || w.Links[0].AcrossWAN {
			t.Fatalf("%+v", st)
		}
		s.world.SetUp("east", false)
		<-time.After(time.Minute)
		st, _ = s.Status(t.Context(), "contoso")
		if w = st.Workloads[0]; st.Verdict != "breach" || w.Exposure.Bound < time.Minute || w.Exposure.SourceReachable {
			t.Fatalf("the exposure of an unreachable source: %+v", w)
		}
		s.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{"east"}}, control.CommitWindow)
		s.until("told", func(st control.PlanStatus) bool {
			old := st.Workloads[0].Old
			return len(old) == 1 && old[0].State == "unreachable" && strings.Contains(old[0].Text, "old primary: unfenced")
		})
		m, err := s.Metrics(t.Context())
		if err != nil || !m.Leader || len(m.Workloads) != 1 || len(m.Workloads[0].Unfenced) != 1 || len(m.Operations) != 2 {
			t.Fatalf("%+v, %v", m, err)
		}
	})
}

func TestAnIdleSourceIsNotStale(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		<-time.After(time.Hour)
		st, err := s.Status(t.Context(), "contoso")
		if err != nil || st.Workloads[0].Exposure.Bound > 5*time.Second {
			t.Fatalf("%+v, %v", st.Workloads[0].Exposure, err)
		}
	})
}

func TestVerifyTurnsRed(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		op := s.do(understudy.Verify, control.Committed)
		if v := op.Parts[0].Verdict; v == nil || v.Outcome != understudy.Match || v.Compared != 3 {
			t.Fatalf("%+v", op.Parts)
		}
		s.world.Flip("west", 1)
		op = s.do(understudy.Verify, control.Committed)
		if v := op.Parts[0].Verdict; v.Outcome != understudy.Different || len(v.Differences) != 1 {
			t.Fatalf("%+v", v)
		}
		st, _ := s.Status(t.Context(), "contoso")
		if st.Workloads[0].Verified.Outcome != understudy.Different {
			t.Fatal("status does not show the newest verdict")
		}
	})
}

func TestApplyKeepsWhatIsProtected(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		plan := toyPlan()
		var compiled control.Plans
		s := newScene(t, func(c *controltest.Setup) {
			c.Options = func(o *control.Options) {
				o.Compile = func(text string) (control.Plans, error) {
					if text == "bad" {
						return nil, errors.New("line 1")
					}
					if text == "none" {
						return nil, nil
					}
					return compiled, nil
				}
			}
			compiled = control.Plans{plan}
		})
		apply := func(text string, base int64) error {
			_, err := s.Controller.Apply(t.Context(), control.ApplyRequest{Text: text, Base: base, By: "ada"})
			return err
		}
		refusedWith(t, apply("plan", 0), "US218")
		if err := apply("bad", 1); err == nil || err.Error() != "line 1" {
			t.Fatal(err)
		}
		s.do(understudy.Protect, control.Committed)
		refusedWith(t, apply("none", 1), "US258")
		if err := apply("plan", 1); err != nil {
			t.Fatal(err)
		}
		s.protected()
		s.world.Fail("drain", planned(understudy.KindBroken))
		op := s.do(understudy.Switchover, control.PausedByStep)

		// While it is paused an address may be put right, and nothing else of the plan.
		other := toyPlan()
		other.Workloads[0].OnFailure = understudy.Continue
		compiled = control.Plans{other}
		refusedWith(t, apply("another plan", 2), "US257")
		moved := toyPlan()
		moved.Workloads[0].Clusters["east"] = &workloadtest.ToyEndpoint{Name: "elsewhere"}
		compiled = control.Plans{moved}
		if err := apply("another address", 2); err != nil {
			t.Fatal(err)
		}
		if op = s.Act(s.Retry, control.ActRequest{Operation: op.ID}); op.State != control.CommitWindow {
			t.Fatalf("%s at %s: %v", op.State, op.Stage, op.Error)
		}
	})
}

func TestTheLedgerIsExportedAndDiscardedByName(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		failedOver(s.Plane, s.world)
		op := s.do(understudy.Reprotect, control.Committed)
		all, err := s.Ledgers(t.Context(), "contoso")
		if err != nil || len(all) != 1 || all[0].Records != 3 || all[0].Proof == nil || all[0].Entries[0].File == "" {
			t.Fatalf("%+v, %v", all, err)
		}
		req := control.LedgerRequest{Plan: "contoso", Workload: "orders", Operation: op.ID, By: "ada"}
		var lines []string
		if err := s.ExportLedger(t.Context(), req, func(l []byte) error { lines = append(lines, string(l)); return nil }); err != nil {
			t.Fatal(err)
		}
		if len(lines) != 1 || !strings.Contains(lines[0], "lost2") {
			t.Fatal(lines)
		}
		_, err = s.DiscardLedger(t.Context(), req)
		refusedWith(t, err, "US243")
		req.Reason = "replayed by hand"
		if _, err := s.DiscardLedger(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(all[0].Dir); !os.IsNotExist(err) {
			t.Fatal("the files are still there")
		}
		refusedWith(t, s.ExportLedger(t.Context(), req, nil), "US202")
	})
}

func TestWatchersSeeEveryEntryOnceAndInOrder(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, nil)
		op := s.Begin(control.StartRequest{Verb: understudy.Verify})
		var seqs []int64
		err := s.Watch(t.Context(), op.ID, 0, func(e control.Event) error {
			if e.Kind != control.EventProgress {
				seqs = append(seqs, e.Seq)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range seqs {
			if n != int64(i+1) {
				t.Fatalf("%v", seqs)
			}
		}
		end, _ := s.Operation(t.Context(), op.ID)
		if int64(len(seqs)) != end.Seq {
			t.Fatalf("saw %d of %d", len(seqs), end.Seq)
		}
	})
}

func TestDoctorLooksAtAllSites(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := newScene(t, nil)
		s.world.SetUp("west", false)
		f, err := s.Doctor(t.Context(), "")
		if err != nil || len(f.Workloads) != 1 || f.Workloads[0].Sites["west"].Presence != workload.Unreachable || f.Workloads[0].Sites["east"].Identity == "" {
			t.Fatalf("%+v, %v", f, err)
		}
	})
}

// Documents that are not applied are looked at like those that are, and nothing of them is kept.
func TestTryLooksAtWhatIsNotApplied(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		world := workloadtest.NewWorld("east", "west")
		p := controltest.Start(t, controltest.Setup{Registry: workload.NewRegistry(workloadtest.Toy(world)), Plan: toyPlan(), DataDir: t.TempDir()})
		f, err := p.Try(t.Context(), "plan")
		if err != nil || len(f.Workloads) != 1 || f.Workloads[0].Error != nil || f.Workloads[0].Sites["east"].Identity == "" {
			t.Fatalf("%+v, %v", f, err)
		}
		if plans, err := p.Plans(t.Context()); err != nil || len(plans) != 0 {
			t.Fatalf("applied: %+v, %v", plans, err)
		}
	})
}

// stoppedJournal has met an error from which it does not go on.
type stoppedJournal struct{ journal.Journal }

func (stoppedJournal) Lead(context.Context, string, string, time.Duration) (journal.Leadership, error) {
	return nil, &understudy.Error{Code: "US309", Kind: understudy.KindBroken, Summary: "planned", Err: fmt.Errorf("%w: planned", journal.ErrStopped)}
}

func TestRunEndsWithAJournalThatHasStopped(t *testing.T) {
	err := control.New(control.Options{Journal: stoppedJournal{}}).Run(t.Context(), t.Context())
	if e := understudy.AsError(err); e == nil || e.Code != "US309" || !errors.Is(err, journal.ErrStopped) {
		t.Fatalf("%v", err)
	}
}

func TestHooksRunAsProcesses(t *testing.T) {
	t.Parallel()
	hooks := control.ExecHooks{
		"say":  {Exec: []string{"/bin/sh", "-c", "echo $UNDERSTUDY_STAGE; env | wc -l"}},
		"fail": {Exec: []string{"/bin/sh", "-c", "echo no; exit 3"}},
		"slow": {Exec: []string{"/bin/sh", "-c", "exec tail -f /dev/null"}, Timeout: 50 * time.Millisecond},
		"kids": {Exec: []string{"/bin/sh", "-c", "tail -f /dev/null & echo $!; wait"}, Timeout: 3 * time.Second},
		"loud": {Exec: []string{"/bin/sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x"}},
	}
	out, err := hooks.RunHook(t.Context(), "say", []string{"UNDERSTUDY_STAGE=route"})
	if err != nil || !strings.HasPrefix(out, "route\n") {
		t.Fatalf("%q, %v", out, err)
	}
	_, err = hooks.RunHook(t.Context(), "fail", nil)
	refusedWith(t, err, "US248")
	if !strings.Contains(understudy.AsError(err).Why, "no") {
		t.Fatal(err)
	}
	_, err = hooks.RunHook(t.Context(), "slow", nil)
	refusedWith(t, err, "US248")
	out, err = hooks.RunHook(t.Context(), "kids", nil)
	refusedWith(t, err, "US248")
	pid, perr := strconv.Atoi(strings.TrimSpace(out))
	if perr != nil {
		t.Fatalf("the hook said %q", out)
	}
	for range 200 {
		if syscall.Kill(pid, 0) != nil || zombie(pid) {
			pid = 0
			break
		}
		<-time.After(50 * time.Millisecond) // a killed process takes a moment on a busy machine
	}
	if pid != 0 {
		t.Fatalf("process %d, which the hook started, lives on", pid)
	}
	_, err = hooks.RunHook(t.Context(), "none", nil)
	refusedWith(t, err, "US245")
	if out, err = hooks.RunHook(t.Context(), "loud", nil); err != nil || len(out) != 16<<10 {
		t.Fatalf("%d bytes, %v", len(out), err)
	}
	if hooks.Has("none") || !hooks.Has("say") {
		t.Fatal("Has")
	}
}

// zombie says whether a process has ended and waits only to be reaped by whoever took it over.
func zombie(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(b), ") Z ")
}

func TestAFailedHookPausesAndMayBeSkipped(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		s := protectedScene(t, func(c *controltest.Setup) {
			c.Plan.Hooks = map[understudy.StageName]understudy.HookName{understudy.StageRoute: "flip-dns"}
			c.Options = func(o *control.Options) {
				o.Hooks = hookFunc{"flip-dns": func() (string, error) { return "", planned(understudy.KindBroken) }}
			}
		})
		op := s.do(understudy.Switchover, control.PausedByStep)
		if op.Stage != understudy.StageRoute || !op.Promoted {
			t.Fatalf("%+v", op)
		}
		op = s.Act(s.Skip, control.ActRequest{Operation: op.ID, Reason: "done by hand"})
		if op.State != control.CommitWindow {
			t.Fatalf("%s: %v", op.State, op.Error)
		}
	})
}

// However roles are moved, and whatever the engines have seen, the role epoch grows with every change.
func TestRoleEpochsOnlyGrow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := understudy.Role{}
		for range rapid.IntRange(1, 20).Draw(t, "changes") {
			was := r.Epoch
			seen := understudy.RoleEpoch(rapid.Int64Range(0, 100).Draw(t, "seen"))
			switch rapid.IntRange(0, 2).Draw(t, "move") {
			case 0:
				r = control.Above(r, seen).Fenced()
			case 1:
				r = control.Above(r, seen).Promoted("east")
			default:
				r = control.Above(r, seen).Promoted("west")
			}
			if r.Epoch <= was || r.Epoch <= seen {
				t.Fatalf("from %d, having seen %d, to %d", was, seen, r.Epoch)
			}
			if len(r.Active) > 1 || len(r.Sources()) > 1 {
				t.Fatal("two active sites")
			}
		}
	})
}
