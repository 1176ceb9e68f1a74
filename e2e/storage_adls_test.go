package e2e_test

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/lab/adls"
)

// poolVendor serves an account of ADLS in this process, and can take it away. Whoever holds its key may do everything.
func poolVendor(t *testing.T) *vendor {
	t.Helper()
	config := adls.Config{Dir: t.TempDir()}
	server := answer(adls.Open(config))(t)
	t.Cleanup(func() { _ = server.Close() })
	_, port, err := net.SplitHostPort(server.Addr())
	must(t, err)
	config.Port = answer(strconv.Atoi(port))(t)
	c := answer(adls.OpenClient(server.Endpoint(), "lake"))(t)
	must(t, c.Make(t.Context()))
	return &vendor{
		site:    fmt.Sprintf("adls: { url: %q, account: %s, fileSystem: lake, prefix: prod, secret: adls-key }", server.Endpoint(), adls.AccountName),
		secrets: map[string]string{"adls-key": adls.Key()},
		get:     c.Get, list: c.List, put: c.Put, remove: c.Remove,
		denied: func(error) bool { return false },
		rules:  func(context.Context) string { return "none" },
		lose:   func() { must(t, server.Close()) },
		back: func() {
			server, err = adls.Open(config)
			must(t, err)
		},
		look: func(ctx context.Context, path string) string {
			all := answer(c.Looks(ctx, path[:strings.LastIndex(path, "/")]))(t)
			return all[path]
		},
	}
}

// flee goes home from a store that nothing closes: a switchover is refused, and a failover is let go when the store is out of everybody's reach.
func (g *objectLeg) flee() {
	t, ctx := g.t, g.t.Context()
	must(t, g.store.put(ctx, g.key("new/last"), []byte("the last one")))
	g.replicate()
	g.mirrored()
	if e := g.p.refused(5, "failback", g.plan, "--confirm", g.plan); !strings.HasPrefix(e.Why, "US731") {
		t.Errorf("a switchover away from the %s: %+v", g.name, e)
	}
	if _, v := g.p.status(g.plan); v.Current != nil {
		g.p.run("abort", v.Current.ID)
	}
	g.store.lose()
	g.p.report("failover", g.plan, "--confirm", g.plan, "--accept-fence", "FA", "--as", "ada", "--max-loss", "10m")
	if now := g.rootOf(g.lake.east); !strings.HasPrefix(now, appUser+" 0751") || !strings.Contains(now, "user:"+guestUser+":r-x") {
		t.Errorf("the root at home is %s", now)
	}
	if d := g.keep.Diff(g.kept(), 20); d != nil {
		t.Errorf("as it left home, and as it is home again:\n%s", strings.Join(d, "\n"))
	}
	g.puts(g.lake.east, g.file("home/h", 999, 11))
	g.p.report("commit", g.plan)
	g.store.back()
	if e := g.p.refused(5, "reprotect", g.plan, "--confirm", g.plan); !strings.HasPrefix(e.Why, "US221") {
		t.Errorf("a reprotect into the %s, which may have writers: %+v", g.name, e)
	}
	if _, v := g.p.status(g.plan); v.Current != nil {
		g.p.run("abort", v.Current.ID)
	}
}
