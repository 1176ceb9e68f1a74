package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/spec"
)

// hookOutput bounds what is kept of a hook's output, in bytes: the last part, where the reason usually is.
const hookOutput = 16 << 10

// hooks runs the commands of serve's configuration. Plans name them; only the configuration says what they are.
type hooks map[understudy.HookName]*spec.Hook

// Has says whether the name is configured.
func (h hooks) Has(name understudy.HookName) bool { return h[name] != nil }

// RunHook runs the command with env beside our own environment. It gives what the command printed on both
// streams, at most the last 16 KiB.
func (h hooks) RunHook(ctx context.Context, name understudy.HookName, env []string) (string, error) {
	hook := h[name]
	if hook == nil {
		return "", hookError(name, "serve knows no such hook", nil)
	}
	bounded, cancel := context.WithTimeout(ctx, hook.Timeout)
	defer cancel()
	cmd := exec.CommandContext(bounded, hook.Exec[0], hook.Exec[1:]...)
	cmd.Env = append(cmd.Environ(), env...)
	// A hook that leaves children behind must not keep the operation waiting for its output.
	cmd.WaitDelay = 2 * time.Second
	var out tail
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	switch {
	case err == nil:
		return string(out), nil
	case ctx.Err() == nil && errors.Is(bounded.Err(), context.DeadlineExceeded):
		return string(out), hookError(name, fmt.Sprintf("it took longer than %s and was stopped", hook.Timeout), err)
	}
	return string(out), hookError(name, "it failed", err)
}

func hookError(name understudy.HookName, why string, err error) error {
	return &understudy.Error{Code: "US513", Kind: understudy.KindRefused, Op: "hook." + string(name),
		Summary: fmt.Sprintf("hook %s: %s", name, why), Fix: "its output is in `understudy report`; mend it and retry", Err: err}
}

// tail keeps the last hookOutput bytes written to it.
type tail []byte

var _ io.Writer = (*tail)(nil)

// Write implements io.Writer and never fails.
func (t *tail) Write(p []byte) (int, error) {
	*t = append(*t, p...)
	if over := len(*t) - hookOutput; over > 0 {
		*t = slices.Delete(*t, 0, over)
	}
	return len(p), nil
}
