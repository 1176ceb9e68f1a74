package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/lab"
)

// patience bounds every wait for one thing of the product on a crowded machine.
const patience = time.Minute

// plane is `understudy serve` as a process, and its command line.
type plane struct {
	t       *testing.T
	binary  string
	dir     string
	config  string
	process *lab.Process
}

// configure writes serve's configuration in a directory of its own and starts nothing.
func (e *estate) configure(t *testing.T, more string) *plane {
	t.Helper()
	p := &plane{t: t, binary: e.binary, dir: folder(t)}
	p.config = filepath.Join(p.dir, "serve.yaml")
	text := fmt.Sprintf("site: west\ndata: %s\nlimits: { lease: 2s, request: 3s }\n%s", filepath.Join(p.dir, "data"), more)
	must(t, os.WriteFile(p.config, []byte(text), 0o600))
	t.Cleanup(func() {
		if p.process == nil {
			return
		}
		must(t, p.process.Kill())
		if t.Failed() {
			log := answer(os.ReadFile(p.log()))(t)
			t.Logf("log of serve, its end:\n%s", log[max(0, len(log)-6000):])
		}
	})
	return p
}

// serve configures, starts and waits until orders are taken.
func (e *estate) serve(t *testing.T, more string) *plane {
	t.Helper()
	p := e.configure(t, more)
	p.start()
	p.ready()
	return p
}

func (p *plane) log() string    { return filepath.Join(p.dir, "serve.log") }
func (p *plane) socket() string { return filepath.Join(p.dir, "data", "understudy.sock") }

// start starts the process and waits until it serves.
func (p *plane) start() {
	p.t.Helper()
	process, err := lab.Start(lab.Command{Name: "serve", Path: p.binary, Args: []string{"serve", "-c", p.config}, Log: p.log()})
	must(p.t, err)
	p.process = process
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	must(p.t, process.WaitLog(ctx, regexp.MustCompile(`msg=serving`)))
}

// ready waits until it leads and takes orders.
func (p *plane) ready() {
	p.t.Helper()
	eventually(p.t, patience, "serve takes orders", func() error {
		l, err := get[leaderView](p, "/v1/leader")
		if err == nil && (!l.Self || l.Settling) {
			err = fmt.Errorf("the leader is %+v", l)
		}
		return err
	})
}

// kill ends it with SIGKILL, and revive starts it again on the same data.
func (p *plane) kill() { p.t.Helper(); must(p.t, p.process.Kill()) }

func (p *plane) revive() {
	p.t.Helper()
	p.start()
	p.ready()
}

// outcome is what one command left.
type outcome struct {
	args         []string
	stdout, errs string
	status       int
}

// try runs a command with JSON output.
func (p *plane) try(args ...string) outcome {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 3*patience)
	defer cancel()
	cmd := p.command(ctx, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatalf("understudy %v: %v", args, err)
	}
	return outcome{args: args, stdout: out.String(), errs: errs.String(), status: cmd.ProcessState.ExitCode()}
}

// command makes a command of the product that talks to this control plane.
func (p *plane) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.binary, append([]string{"-o", "json"}, args...)...)
	cmd.Env = append(os.Environ(), "UNDERSTUDY_SOCKET="+p.socket(), "NO_COLOR=1")
	return cmd
}

// String shows a command's outcome.
func (o outcome) String() string {
	return fmt.Sprintf("understudy %v: exit status %d\n%s%s", o.args, o.status, clip(o.stdout), clip(o.errs))
}

func clip(s string) string { return s[max(0, len(s)-4000):] }

// run wants exit status 0.
func (p *plane) run(args ...string) outcome {
	p.t.Helper()
	o := p.try(args...)
	if o.status != 0 {
		p.t.Fatal(o)
	}
	return o
}

// refused wants another exit status, and gives the error that was printed as JSON.
func (p *plane) refused(status int, args ...string) errorView {
	p.t.Helper()
	o := p.try(args...)
	if o.status != status {
		p.t.Fatalf("wanted exit status %d of %v", status, o)
	}
	lines := bytes.Split(bytes.TrimSpace([]byte(o.errs)), []byte("\n"))
	var e struct {
		Error errorView `json:"error"`
	}
	if err := json.Unmarshal(lines[len(lines)-1], &e); err != nil || e.Error.Code == "" {
		p.t.Fatalf("no error was told: %v", o)
	}
	return e.Error
}

// decode reads what a command printed.
func decode[T any](t *testing.T, o outcome) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(o.stdout), &v); err != nil {
		t.Fatalf("%v: %v", err, o)
	}
	return v
}

// apply applies documents.
func (p *plane) apply(text string) {
	p.t.Helper()
	file := filepath.Join(p.dir, "plan.yaml")
	must(p.t, os.WriteFile(file, []byte(text), 0o600))
	p.run("apply", "-f", file)
}

// report runs a verb to its end and gives its report.
func (p *plane) report(args ...string) reportView {
	p.t.Helper()
	return decode[reportView](p.t, p.run(args...))
}

// status gives the only workload's status, and the plan's.
func (p *plane) status(plan string) (workloadView, statusView) {
	p.t.Helper()
	all := decode[[]statusView](p.t, p.run("status", plan))
	if len(all) != 1 || len(all[0].Workloads) != 1 {
		p.t.Fatalf("status is %+v", all)
	}
	return all[0].Workloads[0], all[0]
}

// await waits until the workload's status satisfies the condition.
func (p *plane) await(plan, what string, condition func(workloadView, statusView) bool) workloadView {
	p.t.Helper()
	var last workloadView
	eventually(p.t, patience, what, func() error {
		s, err := get[statusView](p, "/v1/plans/"+plan+"/status")
		if err != nil {
			return err
		}
		last = s.Workloads[0]
		if !condition(last, s) {
			b, _ := json.Marshal(s)
			return fmt.Errorf("status is %s", b)
		}
		return nil
	})
	return last
}

// protected says that the link keeps up.
func protected(w workloadView, _ statusView) bool { return w.Protection == "protected" }

// api speaks HTTP on the socket.
func (p *plane) api() *http.Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", p.socket())
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
}

// ask requests a path of the API and gives the answer, whose body the caller closes.
func (p *plane) ask(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://understudy"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := p.api().Do(req)
	if err == nil && resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		err = fmt.Errorf("%s: %s", path, resp.Status)
	}
	return resp, err
}

// get reads one document of the API.
func get[T any](p *plane, path string) (T, error) {
	var v T
	ctx, cancel := context.WithTimeout(p.t.Context(), 10*time.Second)
	defer cancel()
	resp, err := p.ask(ctx, path)
	if err != nil {
		return v, err
	}
	defer resp.Body.Close()
	return v, json.NewDecoder(resp.Body).Decode(&v)
}

// watch calls each with an operation's journal entries as they come, until each says stop or the stream ends.
func (p *plane) watch(ctx context.Context, operation string, after int64, each func(eventView) (stop bool)) error {
	resp, err := p.ask(ctx, fmt.Sprintf("/v1/operations/%s/events?after=%d", operation, after))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e eventView
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return err
		}
		if e.Kind != "progress" && each(e) {
			return nil
		}
	}
	return lines.Err()
}

// begin starts a verb without waiting for it and gives the operation.
func (p *plane) begin(args ...string) operationView {
	p.t.Helper()
	return decode[operationView](p.t, p.run(append(args, "--wait=false")...))
}

// rested waits until an operation rests and gives it.
func (p *plane) rested(id string) operationView {
	p.t.Helper()
	var op operationView
	eventually(p.t, patience, "operation "+id+" rests", func() (err error) {
		op, err = get[operationView](p, "/v1/operations/"+id)
		if err == nil && (op.State == "running" || op.State == "validated") {
			err = fmt.Errorf("it is %s at %s", op.State, op.Stage)
		}
		return err
	})
	return op
}

// duty tells how the standing duty towards an old site went, for a failed test.
func (p *plane) duty(plan, workload, site string) reportView {
	r, err := get[reportView](p, "/v1/operations/duty-"+plan+"-"+workload+"-"+site+"/report")
	if err != nil {
		p.t.Logf("no report of the duty: %v", err)
	}
	return r
}

// act posts a decision about an operation, faster than a command could.
func (p *plane) act(ctx context.Context, id, act string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://understudy/v1/operations/"+id+"/"+act, bytes.NewReader([]byte("{}")))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.api().Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", act, id, resp.Status)
	}
	return nil
}
