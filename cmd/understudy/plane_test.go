package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/api"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/control/controltest"
	"github.com/understudy-dr/understudy/workload"
	"github.com/understudy-dr/understudy/workload/workloadtest"
)

// stage is a control plane over toy clusters, on the socket that a script's commands look for.
type stage struct {
	world *workloadtest.World
	plane *controltest.Plane
}

// planes are the stages of the scripts that run, by their directory.
type planes struct {
	t      *testing.T
	mu     sync.Mutex
	stages map[string]*stage
}

func (p *planes) find(ts *testscript.TestScript) *stage {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stages[ts.MkAbs(".")]
}

// serve starts the script's control plane, with the plan contoso applied. With "nobody" the socket does not name its
// callers; with "empty" nothing is applied.
func (p *planes) serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: serve [nobody|empty|scheduled|approvals]")
	}
	world := workloadtest.NewWorld("east", "west")
	sites := []understudy.Site{"east", "west"}
	plan := workload.Plan{Name: "contoso", Home: "east", Sites: sites, Workloads: []workload.Planned{
		{Spec: workloadtest.ToySpec("contoso", "orders", "east", "west"), OnFailure: understudy.Continue},
	}}
	how := strings.Join(args, "")
	if how == "scheduled" {
		daily, err := workload.ParseSchedule("every 4h")
		ts.Check(err)
		plan.Workloads[0].Spec = workloadtest.ToyScheduledSpec(understudy.StandbySecondary, "contoso", "orders", "east", "west")
		plan.Workloads[0].Schedule = daily
	}
	if how == "approvals" {
		plan.Approvals = []understudy.Verb{understudy.Reprotect, understudy.Unprotect}
	}
	plane := controltest.Launch(p.t, controltest.Setup{Registry: workload.NewRegistry(workloadtest.Toy(world)), Plan: plan, DataDir: ts.MkAbs("ledger")})
	ts.Check(plane.Ready(context.Background()))
	if how != "empty" {
		plane.Apply()
	}
	ts.Check(os.MkdirAll(ts.Getenv("UNDERSTUDY_DATA"), 0o755))
	l, err := api.Listen(filepath.Join(ts.Getenv("UNDERSTUDY_DATA"), "understudy.sock"))
	ts.Check(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := answer(ctx, l, api.New(plane.Controller, "test"), how == "nobody"); err != nil {
			p.t.Error(err)
		}
	}()
	ts.Defer(func() {
		cancel()
		<-done
		plane.Stop()
	})
	for i := range 5 {
		ts.Check(world.Write("east", string(rune('a'+i)), "v"))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stages[ts.MkAbs(".")] = &stage{world: world, plane: plane}
}

// answer serves until ctx ends; a nameless one leaves out who is at the other end.
func answer(ctx context.Context, l net.Listener, h http.Handler, nameless bool) error {
	if !nameless {
		return api.Serve(ctx, l, h)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// world changes the script's clusters behind the control plane's back.
func (p *planes) world(ts *testscript.TestScript, neg bool, args []string) {
	st := p.find(ts)
	if neg || len(args) != 2 || st == nil {
		ts.Fatalf("usage: world write|damage|delay|fail|down|up WHAT, after serve")
	}
	switch what := args[1]; args[0] {
	case "write":
		ts.Check(st.world.Write(understudy.Site(what), "z", "v"))
	case "damage":
		st.world.Flip(understudy.Site(what), 1)
	case "delay":
		d, err := time.ParseDuration(what)
		ts.Check(err)
		st.world.SetDelay(d)
	case "fail":
		st.world.Fail(understudy.StepKind(what), &understudy.Error{Code: "US999", Kind: understudy.KindBroken, Summary: "planned"})
	case "down", "up":
		st.world.SetUp(understudy.Site(what), args[0] == "up")
	default:
		ts.Fatalf("unknown: %s", args[0])
	}
}

// asks has another person than the one who runs the script order an operation, and waits until it rests in a state.
func (p *planes) asks(ts *testscript.TestScript, neg bool, args []string) {
	st := p.find(ts)
	if neg || len(args) != 3 || st == nil {
		ts.Fatalf("usage: asks NAME VERB STATE, after serve")
	}
	op := st.plane.Rest(st.plane.Begin(control.StartRequest{Verb: understudy.Verb(args[1]), By: args[0], Reason: "the drill"}).ID)
	if op.State != control.State(args[2]) {
		ts.Fatalf("%s is %s at %s: %v", op.Verb, op.State, op.Stage, op.Error)
	}
	ts.Setenv("OP", string(op.ID))
}

// rest waits until the newest operation rests.
func (p *planes) rest(ts *testscript.TestScript, neg bool, args []string) {
	st := p.find(ts)
	if neg || len(args) != 0 || st == nil {
		ts.Fatalf("usage: rest, after serve")
	}
	ops, err := st.plane.Operations(context.Background(), control.OperationsRequest{})
	ts.Check(err)
	_, err = st.plane.Wait(context.Background(), ops[0].ID)
	ts.Check(err)
}

// newest puts the id of the newest operation that a person ordered into $OP.
func (p *planes) newest(ts *testscript.TestScript, neg bool, args []string) {
	st := p.find(ts)
	if neg || len(args) != 0 || st == nil {
		ts.Fatalf("usage: newest, after serve")
	}
	ops, err := st.plane.Operations(context.Background(), control.OperationsRequest{})
	ts.Check(err)
	for _, op := range ops {
		if op.Verb != understudy.Duty {
			ts.Setenv("OP", string(op.ID))
			return
		}
	}
	ts.Fatalf("there is no operation")
}

// interrupted runs a command, sends SIGINT when what it has said matches, and wants the exit status. What it said, on
// both streams, is in the file said.
func interrupted(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: interrupted STATUS PATTERN COMMAND...")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	var path string
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if found, err := exec.LookPath(filepath.Join(dir, args[2])); err == nil {
			path = found
			break
		}
	}
	c := exec.Command(path, args[3:]...)
	c.Dir = ts.MkAbs(".")
	c.Env = []string{"HOME=" + ts.Getenv("HOME"), "PATH=" + ts.Getenv("PATH"), "UNDERSTUDY_DATA=" + ts.Getenv("UNDERSTUDY_DATA")}
	r, w, err := os.Pipe()
	ts.Check(err)
	defer func() { _ = r.Close() }()
	c.Stdout, c.Stderr = w, w
	ts.Check(c.Start())
	ts.Check(w.Close())
	var said strings.Builder
	buf, sent := make([]byte, 4096), false
	for {
		n, err := r.Read(buf)
		said.Write(buf[:n])
		if !sent && pattern.MatchString(said.String()) {
			sent = true
			ts.Check(c.Process.Signal(syscall.SIGINT))
		}
		if err != nil {
			break
		}
	}
	got := "0"
	if err := c.Wait(); err != nil {
		got = statusText(err)
	}
	if got != args[0] || !sent {
		ts.Fatalf("exit status %s, want %s, interrupted %t: %s", got, args[0], sent, said.String())
	}
	ts.Check(os.WriteFile(ts.MkAbs("said"), []byte(said.String()), 0o600))
}
