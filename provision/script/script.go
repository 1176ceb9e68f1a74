// Package script provides clusters by a command of the customer, which serve's configuration names. It must not know
// what the command does: it gets one JSON document on its standard input and answers with another one on its output.
package script

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/provision"
)

// Command is the customer's command.
type Command struct {
	// Exec is the program, by its absolute path, and its arguments; no shell is involved.
	Exec []string
	// Timeout bounds one call; zero means 15 minutes.
	Timeout time.Duration
}

// Commands lists commands by the names that site files use.
type Commands map[understudy.ProvisionerName]Command

// Order is what the command reads from its standard input: one JSON document on one line.
type Order struct {
	// Action is "find", "make", "resize" or "remove".
	Action string `json:"action"`
	provision.Target
	// Size is "run" or "service", in make and resize.
	Size provision.Size `json:"size,omitempty"`
}

// Limits of what is read from the command.
const (
	defaultTimeout = 15 * time.Minute
	// mostAnswer bounds the answer and keptErrors what is kept of standard error, in bytes.
	mostAnswer = 64 << 10
	keptErrors = 4 << 10
	// grace is how long a command that was told to end may go on.
	grace = 5 * time.Second
)

// Provisioner calls the command.
type Provisioner struct {
	name    understudy.ProvisionerName
	command Command
}

var _ provision.Provisioner = Provisioner{}

// New gives the provisioner of a command under the name that site files use.
func New(name understudy.ProvisionerName, c Command) Provisioner {
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	return Provisioner{name: name, command: c}
}

// Find asks the command whether the cluster is there.
func (p Provisioner) Find(ctx context.Context, t provision.Target) (provision.Status, error) {
	return p.call(ctx, Order{Action: "find", Target: t}, "")
}

// Make has the command make the cluster; an answer other than present is an error.
func (p Provisioner) Make(ctx context.Context, t provision.Target, size provision.Size) (provision.Status, error) {
	return p.call(ctx, Order{Action: "make", Target: t, Size: size}, provision.Present)
}

// Resize has the command change the size; an answer other than present is an error.
func (p Provisioner) Resize(ctx context.Context, t provision.Target, size provision.Size) (provision.Status, error) {
	return p.call(ctx, Order{Action: "resize", Target: t, Size: size}, provision.Present)
}

// Remove has the command remove the cluster; an answer other than absent is an error.
func (p Provisioner) Remove(ctx context.Context, t provision.Target) (provision.Status, error) {
	return p.call(ctx, Order{Action: "remove", Target: t}, provision.Absent)
}

func (p Provisioner) call(ctx context.Context, o Order, want provision.State) (provision.Status, error) {
	out, err := p.run(ctx, o)
	if err != nil {
		return provision.Status{}, err
	}
	var s provision.Status
	d := json.NewDecoder(bytes.NewReader(out))
	if err := d.Decode(&s); err != nil {
		return s, p.wrong(o, "its answer is not a JSON document: "+err.Error())
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return s, p.wrong(o, "it answers with more than one JSON document")
	}
	switch {
	case s.State != provision.Present && s.State != provision.Absent:
		return s, p.wrong(o, fmt.Sprintf("its answer says state %q: it must be present or absent", s.State))
	case want != "" && s.State != want:
		return s, p.wrong(o, fmt.Sprintf("after %s it says that the cluster is %s", o.Action, s.State))
	default:
		return s, nil
	}
}

// run starts the command. It inherits PATH and HOME only; what it needs besides it reads itself.
func (p Provisioner) run(ctx context.Context, o Order) ([]byte, error) {
	if len(p.command.Exec) == 0 {
		return nil, p.wrong(o, "it has no command")
	}
	order, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, p.command.Timeout)
	defer cancel()
	cmd := exec.CommandContext(limited, p.command.Exec[0], p.command.Exec[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	cmd.Stdin = bytes.NewReader(append(order, '\n'))
	out, errs := &bounded{most: mostAnswer}, &bounded{most: keptErrors, newest: true}
	cmd.Stdout, cmd.Stderr = out, errs
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case limited.Err() != nil:
		return nil, p.failed("US282", understudy.KindTimeout, o, fmt.Sprintf("it ran longer than %s", p.command.Timeout), errs)
	case err != nil:
		return nil, p.failed("US281", understudy.KindBroken, o, err.Error(), errs)
	case out.over:
		return nil, p.wrong(o, fmt.Sprintf("its answer has more than %d bytes", mostAnswer))
	default:
		return out.kept, nil
	}
}

func (p Provisioner) failed(code understudy.Code, kind understudy.ErrorKind, o Order, why string, errs *bounded) error {
	if text := strings.TrimSpace(strings.ToValidUTF8(string(errs.kept), "?")); text != "" {
		why += "\n" + text
	}
	return &understudy.Error{
		Code: code, Kind: kind, Op: "provision.script", Object: object(o.Target), Why: why,
		Summary: fmt.Sprintf("the provisioner %s failed to %s the cluster %s", p.name, o.Action, o.Cluster),
		Fix:     "see to what it reports, then retry",
	}
}

func (p Provisioner) wrong(o Order, why string) error {
	return &understudy.Error{
		Code: "US283", Kind: understudy.KindBroken, Op: "provision.script", Object: object(o.Target), Why: why,
		Summary: fmt.Sprintf("the provisioner %s gave no usable answer to %s of the cluster %s", p.name, o.Action, o.Cluster),
		Fix:     `let the command print {"state": "present"} or {"state": "absent"}, and nothing else, then retry`,
	}
}

func object(t provision.Target) understudy.Object {
	return understudy.Object{Plan: t.Plan, Workload: t.Workload, Site: t.Site}
}

// bounded keeps the beginning of what is written, or its newest part.
type bounded struct {
	kept   []byte
	most   int
	newest bool
	over   bool
}

// Write keeps what fits, and never stops the writer.
func (b *bounded) Write(p []byte) (int, error) {
	b.kept = append(b.kept, p...)
	if extra := len(b.kept) - b.most; extra > 0 {
		b.over = true
		if b.newest {
			b.kept = b.kept[extra:]
		} else {
			b.kept = b.kept[:b.most]
		}
	}
	return len(p), nil
}
