package main

import (
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/spec"
)

func shell(script string, timeout time.Duration) hooks {
	return hooks{"h": &spec.Hook{Exec: []string{"/bin/sh", "-c", script}, Timeout: timeout}}
}

func TestHookGetsTheEnvironmentAndItsOutputIsKept(t *testing.T) {
	out, err := shell(`echo "$UNDERSTUDY_PLAN"; echo oops >&2`, time.Minute).RunHook(t.Context(), "h", []string{"UNDERSTUDY_PLAN=contoso"})
	if err != nil || out != "contoso\noops\n" {
		t.Fatalf("%q, %v", out, err)
	}
}

func TestHookThatFailsOrHangsIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		h    hooks
		want string
	}{
		"status":  {shell("echo why; exit 3", time.Minute), "exit status 3"},
		"hangs":   {shell("exec sleep 600", 50*time.Millisecond), "took longer than 50ms"},
		"missing": {hooks{"h": &spec.Hook{Exec: []string{"/does/not/exist"}, Timeout: time.Minute}}, "no such file"},
		"unknown": {hooks{}, "knows no such hook"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.h.RunHook(t.Context(), "h", nil)
			if err == nil || !strings.Contains(err.Error(), c.want) || understudy.AsError(err).Code != "US513" {
				t.Fatalf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestHookOutputIsBoundedAndKeepsTheEnd(t *testing.T) {
	out, err := shell(`i=0; while [ $i -lt 2000 ]; do echo "line $i padding padding"; i=$((i+1)); done`, time.Minute).RunHook(t.Context(), "h", nil)
	if err != nil || len(out) > hookOutput || !strings.HasSuffix(out, "line 1999 padding padding\n") {
		t.Fatalf("%d bytes, %v", len(out), err)
	}
}
