package kafka_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/kafka"
)

// stride says how many appends of the journal lie between two crashes of a sweep; 1 stops at every one, 0 only at one.
// Which ones these are turns with the days, so that a month of ordinary sweeps stops at all. Its runs wait for their movers
// most of the time, so width of them go at once.
var (
	stride = flag.Int("stride", ordinary, "appends between two crashes of a sweep")
	turn   = flag.Int("turn", time.Now().UTC().YearDay(), "which appends a sweep with a stride stops at; by default the day of the year")
	width  = flag.Int("width", 6, "crashes of a sweep that are tried at once")
)

// story is one operation of the sweep, on a theatre.
type story struct {
	name    string
	req     control.StartRequest
	prepare func(*stagehand)
	// order and find stand in for the start of an operation, and hooked names a stage behind which a hook fails once.
	order  func(*stagehand) error
	find   func(*controltest.Plane) (control.Operation, bool)
	hooked understudy.StageName
}

// stagehand is what a story needs while it prepares.
type stagehand struct {
	t  *testing.T
	p  *controltest.Plane
	th theatre
	// clients are those it has asked with: it asks again and again.
	clients map[understudy.Site]*kgo.Client
}

// client is its own client of a site.
func (s *stagehand) client(site understudy.Site) *kgo.Client {
	s.t.Helper()
	if s.clients == nil {
		s.clients = map[understudy.Site]*kgo.Client{}
	}
	if s.clients[site] == nil {
		s.clients[site] = client(s.t, s.th.plain(site))
	}
	return s.clients[site]
}

func (s *stagehand) do(verb understudy.Verb, want control.State) {
	s.t.Helper()
	s.p.Do(control.StartRequest{Verb: verb}, want)
}

func (s *stagehand) write(site understudy.Site, name string, n int) {
	s.t.Helper()
	cl := client(s.t, s.th.plain(site), late())
	for p := range int32(2) {
		mustLoad(s.t, cl.ProduceSync(s.t.Context(), timed(p, n, name)...).FirstErr())
	}
}

// plain is the address of a site at which no login is asked for.
func (th theatre) plain(site understudy.Site) string {
	if site == east {
		return th.east
	}
	return th.west
}

func (s *stagehand) protected() {
	s.write(east, "a", 20)
	at := kadm.Offsets{}
	at.Add(kadm.Offset{Topic: "orders", Partition: 0, At: 3, LeaderEpoch: -1})
	mustLoad(s.t, kadm.NewClient(s.client(east)).CommitAllOffsets(context.Background(), "readers", at))
	s.do(understudy.Protect, control.Committed)
	s.rest()
}

// rest waits until links keep up, both sides end alike, and old sites are dealt with.
func (s *stagehand) rest() {
	s.t.Helper()
	s.p.Until(func(w control.WorkloadStatus) bool {
		alike := func() bool { return slices.Equal(s.ends(east), s.ends(west)) && s.position(east) == s.position(west) }
		return controltest.Linked(w) && (len(w.Links) == 0 || alike()) && controltest.Dealt(w)
	})
}

// position is where the group of readers stands, or that it does not.
func (s *stagehand) position(site understudy.Site) string {
	got, err := kadm.NewClient(s.client(site)).FetchOffsets(context.Background(), "readers")
	if o, ok := got.Lookup("orders", 0); err == nil && ok {
		return fmt.Sprintf("readers at %d", o.At)
	}
	return "no readers"
}

func (s *stagehand) ends(site understudy.Site) []string {
	ends, err := kadm.NewClient(s.client(site)).ListEndOffsets(context.Background(), "orders", "idle")
	if err != nil {
		return []string{string(site)}
	}
	var out []string
	ends.Each(func(o kadm.ListedOffset) {
		out = append(out, fmt.Sprintf("%s-%d ends at %d", o.Topic, o.Partition, o.Offset))
	})
	slices.Sort(out)
	return out
}

// lost is protected, and then east is gone.
func (s *stagehand) lost() {
	s.protected()
	s.th.kill(east)
}

func stories() []story {
	return []story{
		{name: "protect", req: control.StartRequest{Verb: understudy.Protect}, prepare: func(s *stagehand) { s.write(east, "a", 20) }},
		{name: "switchover", req: control.StartRequest{Verb: understudy.Switchover}, prepare: (*stagehand).protected},
		{name: "failover", req: control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{east}}, prepare: (*stagehand).lost},
		{name: "failover of a primary that answers", req: control.StartRequest{Verb: understudy.Failover}, prepare: (*stagehand).protected},
		{name: "commit", req: control.StartRequest{Verb: understudy.Commit}, prepare: func(s *stagehand) {
			s.protected()
			s.do(understudy.Switchover, control.CommitWindow)
		}},
		{name: "reprotect", req: control.StartRequest{Verb: understudy.Reprotect}, prepare: func(s *stagehand) {
			s.lost()
			s.p.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{east}}, control.CommitWindow)
			s.write(west, "new", 5)
			s.do(understudy.Commit, control.Committed)
			s.th.restart(east)
			s.rest()
		}},
		{name: "reprotect of a secondary that took writes", req: control.StartRequest{Verb: understudy.Reprotect}, prepare: func(s *stagehand) {
			s.protected()
			s.write(west, "stray", 3)
		}},
		{name: "failback", req: control.StartRequest{Verb: understudy.Failback}, prepare: func(s *stagehand) {
			s.protected()
			s.do(understudy.Switchover, control.CommitWindow)
			s.do(understudy.Commit, control.Committed)
			s.rest()
		}},
		{name: "unprotect", req: control.StartRequest{Verb: understudy.Unprotect}, prepare: (*stagehand).protected},
	}
}

// laterStories are those about what comes after an operation, or in its place.
func laterStories() []story {
	return []story{
		{name: "verify", req: control.StartRequest{Verb: understudy.Verify}, prepare: (*stagehand).protected},
		{name: "rollback", req: control.StartRequest{Verb: understudy.Rollback}, prepare: func(s *stagehand) {
			s.protected()
			s.do(understudy.Switchover, control.CommitWindow)
			s.rest()
		}},
		story{name: "abort after the halt", hooked: understudy.StageCut, prepare: (*stagehand).stuckAtCut}.aborting(understudy.Switchover),
		story{name: "abort of protect", hooked: understudy.StageBootstrap, prepare: func(s *stagehand) {
			s.write(east, "a", 20)
			s.do(understudy.Protect, control.PausedByStep)
		}}.aborting(understudy.Protect),
		story{name: "abort of unprotect", hooked: understudy.StageHalt, prepare: func(s *stagehand) {
			s.protected()
			s.do(understudy.Unprotect, control.PausedByStep)
		}}.aborting(understudy.Unprotect),
		story{name: "abort of reprotect", hooked: understudy.StageScan, prepare: func(s *stagehand) {
			s.protected()
			s.do(understudy.Reprotect, control.PausedByStep)
		}}.aborting(understudy.Reprotect),
		{name: "failover that supersedes a stuck switchover", req: control.StartRequest{Verb: understudy.Failover}, hooked: understudy.StageCut, prepare: (*stagehand).stuckAtCut,
			order: func(s *stagehand) error {
				op, _ := s.p.Newest(understudy.Switchover)
				_, err := s.p.Controller.Start(context.Background(), control.StartRequest{
					Verb: understudy.Failover, Plan: "contoso", Confirm: "contoso", By: "ada", Supersede: op.ID,
				})
				return err
			}},
		{name: "standing duty", req: control.StartRequest{Verb: understudy.Duty}, prepare: func(s *stagehand) {
			s.lost()
			s.p.Do(control.StartRequest{Verb: understudy.Failover, AcceptFence: []understudy.Site{east}}, control.CommitWindow)
			s.do(understudy.Commit, control.Committed)
		}, order: (*stagehand).returns},
	}
}

// aborting aborts the newest operation of a verb.
func (s story) aborting(verb understudy.Verb) story {
	s.req.Verb = verb
	s.order = func(s *stagehand) error { return s.p.AbortNewest(verb) }
	s.find = controltest.Aborting(verb)
	return s
}

// stuckAtCut pauses a switchover between halt and PROMOTE.
func (s *stagehand) stuckAtCut() {
	s.protected()
	s.do(understudy.Switchover, control.PausedByStep)
}

// returns brings the old primary back, and waits until somebody meets it.
func (s *stagehand) returns() error {
	s.th.restart(east)
	return s.p.Meets(understudy.Duty)
}

// TestCrashSweep stops the engine just before and just after appends to its journal, in every operation, and
// wants the same end: roles, settings, rules, records and the offsets at which the logs end.
func TestCrashSweep(t *testing.T) {
	fences := map[string]func(*testing.T) theatre{"append limit": simulated, "denied": simulatedDenied}
	if raced {
		delete(fences, "denied") // it runs once more without the race detector, with both fences
	}
	t.Logf("-turn %d stops where this sweep does", *turn)
	for name, raise := range fences {
		for _, s := range append(stories(), laterStories()...) {
			t.Run(name+"/"+s.name, func(t *testing.T) {
				t.Parallel()
				n := controltest.Sweep(t, controltest.Course{Around: controltest.Plain, Stride: *stride, Turn: *turn, Width: *width},
					func(t *testing.T) controltest.Estate { return s.estate(t, raise(t)) })
				if n < 2 || n < 4 && *stride == 1 {
					t.Fatalf("only %d crashes", n)
				}
				t.Logf("%d crashes", n)
			})
		}
	}
}

// crashesOfFailover is the same for the steps of a failover on real brokers, which play one run after another.
func crashesOfFailover(t *testing.T, th theatre) {
	for _, s := range stories() {
		if s.req.Verb != understudy.Failover {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			n := controltest.Sweep(t, controltest.Course{Around: controltest.Plain, Stride: 16, Offset: 3},
				func(t *testing.T) controltest.Estate { return s.estate(t, th.anew(t)) })
			t.Logf("%d crashes", n)
		})
	}
}

func (s story) estate(t *testing.T, th theatre) controltest.Estate {
	spec := workload.Spec{
		Plan: "contoso", Name: "orders", Kind: "kafka", Architecture: understudy.ActivePassive, Engine: understudy.Native, RPO: time.Minute,
		Home: east, Sites: []understudy.Site{east, west}, Config: topics(), Clusters: map[understudy.Site]any{},
	}
	for site, e := range th.at {
		spec.Clusters[site] = e
	}
	hook := &controltest.FailingOnce{}
	e := controltest.Estate{
		Setup: controltest.Setup{
			Registry: workload.NewRegistry(kafka.Kind()), DataDir: t.TempDir(),
			Plan: workload.Plan{Name: "contoso", Home: east, Sites: spec.Sites, Workloads: []workload.Planned{{Spec: spec, OnFailure: understudy.Stop}}},
			Options: func(o *control.Options) {
				o.Hooks = hook
				o.Secret = func(_ context.Context, name string) ([]byte, error) { return []byte(name), nil }
			},
		},
		Prepare: func(p *controltest.Plane) { s.prepare(&stagehand{t: t, p: p, th: th}) },
		Fingerprint: func(p *controltest.Plane) string {
			hand := &stagehand{t: t, p: p, th: th}
			hand.rest()
			return hand.fingerprint(s.req.Verb)
		},
	}
	// A person would wait until the link keeps up again after the crash, and then retry.
	e.Answer = controltest.Retrying(func(p *controltest.Plane) { p.Until(controltest.Linked) })
	e.Order, e.Find = controltest.Ordering(s.req)
	if s.order != nil {
		e.Order = func(p *controltest.Plane) error { return s.order(&stagehand{t: t, p: p, th: th}) }
	}
	if s.find != nil {
		e.Find = s.find
	}
	if s.hooked != "" {
		e.Setup.Plan.Hooks = map[understudy.StageName]understudy.HookName{s.hooked: "fails-once"}
	}
	return e
}

// fingerprint is all that must be alike, however often the engine was stopped.
func (s *stagehand) fingerprint(verb understudy.Verb) string {
	var b strings.Builder
	b.WriteString(s.p.Outcome(verb, "orders"))
	for _, site := range []understudy.Site{east, west} {
		fmt.Fprintf(&b, "%s: %v\n", site, s.ends(site))
		if reached := s.ends(site); len(reached) > 0 && reached[0] == string(site) {
			continue
		}
		b.WriteString(s.site(site))
	}
	b.WriteString(s.ledgers())
	return b.String()
}
