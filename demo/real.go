package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/understudy-dr/understudy"
)

// real are two Apache Kafka clusters, which a process of understudy-lab runs. It takes orders on its standard input,
// one JSON document a line, and answers each on its standard output.
type real struct {
	process *exec.Cmd
	orders  io.WriteCloser
	answers <-chan []byte
	reading sync.WaitGroup
	said    *lastLines
	known   map[understudy.Site]labServer
}

// labServer is a server as understudy-lab describes it.
type labServer struct {
	Name    string `json:"name"`
	Addr    string `json:"addr"`
	SASL    string `json:"sasl"`
	WAN     string `json:"wan"`
	Version string `json:"version"`
}

// labOrder is one line to understudy-lab, and labAnswer its answer.
type labOrder struct {
	Do    string    `json:"do"`
	Name  string    `json:"name"`
	Shape *labShape `json:"shape,omitempty"`
}

// labShape are delays in milliseconds.
type labShape struct {
	Out  int64 `json:"outMs"`
	Back int64 `json:"backMs"`
}

type labAnswer struct {
	Error   string      `json:"error"`
	Servers []labServer `json:"servers"`
}

// hire starts Apache Kafka 3.9.1 at east and 4.4.0 at west, and waits until both are ready. The first time on a
// machine their jars are fetched.
func hire(ctx context.Context, lab, dir string, errs io.Writer) (servers, error) {
	r := &real{said: &lastLines{to: errs}}
	args := []string{"pair", "--dir", dir, "--names", "east,west", "--versions", "3.9.1,4.4.0", "--authorizer", "--wan-users"}
	for name, password := range passwords() {
		args = append(args, "--user", name+"="+password)
	}
	// Not bound to ctx: close ends the process in order, and its servers with it.
	r.process = exec.Command(lab, args...)
	r.process.Stderr = r.said
	// Ctrl-C reaches this process only, which then ends the other in order.
	r.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if r.orders, err = r.process.StdinPipe(); err != nil {
		return nil, failed("understudy-lab cannot be run", err)
	}
	out, err := r.process.StdoutPipe()
	if err != nil {
		return nil, failed("understudy-lab cannot be run", err)
	}
	if err := r.process.Start(); err != nil {
		return nil, missing("understudy-lab cannot be run", err.Error())
	}
	r.listen(out)
	if err := r.await(ctx); err != nil {
		r.close()
		if errors.Is(err, errEnded) {
			err = missing("the Apache Kafka servers did not start", r.said.text())
		}
		return nil, err
	}
	return r, nil
}

// errEnded says that the process has ended instead of answering.
var errEnded = errors.New("understudy-lab has ended")

// listen reads the answers until the process ends its output.
func (r *real) listen(out io.Reader) {
	lines := make(chan []byte, 1)
	r.answers = lines
	r.reading.Go(func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- slices.Clone(s.Bytes())
		}
	})
}

// await takes the next answer.
func (r *real) await(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case line, ok := <-r.answers:
		if !ok {
			return failed("understudy-lab gave no answer", errEnded)
		}
		var a labAnswer
		if err := json.Unmarshal(line, &a); err != nil {
			return failed("understudy-lab answered something else", err)
		}
		if a.Error != "" {
			return failed("understudy-lab could not do it", errors.New(a.Error))
		}
		r.known = map[understudy.Site]labServer{}
		for _, s := range a.Servers {
			r.known[understudy.Site(s.Name)] = s
		}
		return nil
	}
}

// order gives an order and waits for its answer.
func (r *real) order(ctx context.Context, o labOrder) error {
	line, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if _, err := r.orders.Write(append(line, '\n')); err != nil {
		return failed("understudy-lab takes no orders", err)
	}
	return r.await(ctx)
}

func (r *real) at(site understudy.Site) address {
	s := r.known[site]
	return address{admin: s.Addr, near: s.SASL, far: s.WAN}
}

func (r *real) kill(ctx context.Context, site understudy.Site) error {
	return r.order(ctx, labOrder{Do: "kill", Name: string(site)})
}

func (r *real) start(ctx context.Context, site understudy.Site) error {
	return r.order(ctx, labOrder{Do: "start", Name: string(site)})
}

func (r *real) delay(ctx context.Context, d time.Duration) error {
	return r.order(ctx, labOrder{Do: "shape", Name: string(east), Shape: &labShape{d.Milliseconds(), d.Milliseconds()}})
}

func (r *real) what() string {
	return fmt.Sprintf("Apache Kafka %s (east) and %s (west)", r.known[east].Version, r.known[west].Version)
}

// close ends the process: the end of its orders tells it to, a signal reminds it, and then it is killed. The servers
// die with it.
func (r *real) close() {
	_ = r.orders.Close()
	remind := time.AfterFunc(5*time.Second, func() { _ = r.process.Process.Signal(syscall.SIGTERM) })
	defer remind.Stop()
	enough := time.AfterFunc(15*time.Second, func() { _ = r.process.Process.Kill() })
	defer enough.Stop()
	for range r.answers {
		continue // late answers
	}
	r.reading.Wait()
	_ = r.process.Wait()
}

// missing says what real servers need and this machine lacks.
func missing(summary, why string) error {
	return &understudy.Error{
		Code: "US516", Kind: understudy.KindNotFound, Op: "demo", Summary: summary, Why: why,
		Fix: "install what is missing, or run understudy demo on simulated servers",
	}
}

// lastLines passes on what is written, and keeps its end.
type lastLines struct {
	to   io.Writer
	mu   sync.Mutex
	kept []byte
}

const keptBytes = 2 << 10

// Write implements io.Writer.
func (l *lastLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, p...)
	if over := len(l.kept) - keptBytes; over > 0 {
		l.kept = slices.Delete(l.kept, 0, over)
	}
	if l.to == nil {
		return len(p), nil
	}
	return l.to.Write(p)
}

// text gives the last line.
func (l *lastLines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(string(bytes.TrimSpace(l.kept)), "\n")
	return lines[len(lines)-1]
}
