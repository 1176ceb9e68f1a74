package demo

import (
	"context"
	"slices"
	"strings"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

// The hooks of the plan: a person's file system cannot refuse the clerk, who is the same user as understudy, so the
// plan asks him to put down his pen, and tells him where to go on.
const (
	pauseClerk = understudy.HookName("pause-the-clerk")
	moveClerk  = understudy.HookName("move-the-clerk")
)

// hooks runs the plan's hooks in this process, where serve would run commands of its configuration.
type hooks struct {
	clerk *clerk
	lake  lake
}

var _ control.HookRunner = hooks{}

// Has implements control.HookRunner.
func (hooks) Has(name understudy.HookName) bool { return name == pauseClerk || name == moveClerk }

// RunHook implements control.HookRunner.
func (h hooks) RunHook(_ context.Context, name understudy.HookName, env []string) (string, error) {
	if name == pauseClerk {
		h.clerk.sit("")
		return "the clerk has put down his pen", nil
	}
	const key = "UNDERSTUDY_TO="
	i := slices.IndexFunc(env, func(v string) bool { return strings.HasPrefix(v, key) })
	if i < 0 {
		return "", failed("the hook "+string(name)+" was not told where to", nil)
	}
	site := strings.TrimPrefix(env[i], key)
	h.clerk.sit(h.lake.tree(understudy.Site(site)))
	return "the clerk goes on at " + site, nil
}
