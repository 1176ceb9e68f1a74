package control

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/understudy-dr/understudy"
)

// Hook is a command of serve's own configuration that plans name.
type Hook struct {
	// Exec is the program and its arguments; no shell is involved.
	Exec []string
	// Timeout bounds it; zero means a minute, as in serve's configuration.
	Timeout time.Duration
}

// ExecHooks runs hooks as processes. They inherit PATH and HOME only, besides UNDERSTUDY_*: a hook that needs a
// secret reads it itself.
type ExecHooks map[understudy.HookName]Hook

// keptOutput bounds what is kept of a hook's output, in bytes.
const keptOutput = 16 << 10

// Has says whether the name is configured.
func (h ExecHooks) Has(name understudy.HookName) bool { _, ok := h[name]; return ok }

// RunHook runs the hook and returns what it printed; the newest 16 KiB of it.
func (h ExecHooks) RunHook(ctx context.Context, name understudy.HookName, env []string) (string, error) {
	hook, ok := h[name]
	if !ok || len(hook.Exec) == 0 {
		return "", &understudy.Error{
			Code: "US245", Kind: understudy.KindInvalid, Op: "control.hook",
			Summary: "there is no hook named " + string(name), Fix: "name it in serve's configuration",
		}
	}
	timeout := hook.Timeout
	if timeout == 0 {
		timeout = time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, hook.Exec[0], hook.Exec[1:]...)
	cmd.Env = slices.Concat([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env)
	cmd.WaitDelay = 5 * time.Second
	// What the hook started ends with it: a group of its own is killed as a whole.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var out tail
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	text := strings.ToValidUTF8(string(out.kept()), "?")
	if err == nil {
		return text, nil
	}
	why := err.Error()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		why = "it ran longer than " + timeout.String()
	}
	return text, &understudy.Error{
		Code: "US248", Kind: understudy.KindBroken, Op: "control.hook", Err: nil,
		Summary: fmt.Sprintf("the hook %s failed", name), Why: why + "\n" + text, Fix: "see to what it reports, then retry, or skip it",
	}
}

// tail keeps the end of what is written to it, in memory that is bounded whatever a hook prints.
type tail struct{ b []byte }

// Write takes everything.
func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p[max(0, len(p)-keptOutput):]...)
	if len(t.b) > 4*keptOutput {
		t.b = append(t.b[:0], t.kept()...)
	}
	return len(p), nil
}

func (t *tail) kept() []byte { return t.b[max(0, len(t.b)-keptOutput):] }
