package adls_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/adls"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/internal/line"
	"github.com/understudy-dr/understudy/filecopy/native"
	lab "github.com/understudy-dr/understudy/lab/adls"
	"github.com/understudy-dr/understudy/lab/proxy"
)

// TestTheLinkIsCutAndRightsAreRevoked cuts the way to the account amid runs, and has it refuse the signatures, as after its key was changed.
func TestTheLinkIsCutAndRightsAreRevoked(t *testing.T) {
	s := boot(t, lab.Config{})
	filecopytest.RunLink(t, func(dir string) filecopy.Mover { return native.New(dir) }, func(t *testing.T) filecopytest.Link {
		gate := filecopytest.NewGate(t, s.Addr())
		way, err := proxy.Listen("127.0.0.1:0")
		must(t, err)
		t.Cleanup(func() { _ = way.Close() })
		way.Forward(gate.Addr())
		parts := func(c *adls.Config) { c.PartSize = 1 << 20 }
		aside := s.tree(t, parts)
		return filecopytest.Link{
			Over:  at(t, "http://"+way.Addr()+"/"+lab.AccountName, fmt.Sprintf("t%d/tree", s.made.Load()), parts),
			Aside: aside, CutAfter: way.CutAfter, Heal: way.Heal, Revoke: gate.Revoke, Grant: gate.Grant,
		}
	})
}

// TestTheWayIsFrozen has the way to the account swallow everything amid runs, and close nothing.
func TestTheWayIsFrozen(t *testing.T) {
	s := boot(t, lab.Config{})
	filecopytest.RunFrozen(t, func(dir string) filecopy.Mover { return native.New(dir) }, func(t *testing.T) filecopytest.Link {
		way, err := proxy.Listen("127.0.0.1:0")
		must(t, err)
		t.Cleanup(func() { _ = way.Close() })
		way.Forward(s.Addr())
		parts := func(c *adls.Config) { c.PartSize = 1 << 20 }
		aside := s.tree(t, parts)
		over := at(t, "http://"+way.Addr()+"/"+lab.AccountName, fmt.Sprintf("t%d/tree", s.made.Load()), parts)
		over.Within(frozen())
		return filecopytest.Link{Over: over, Aside: aside, CutAfter: way.FreezeAfter, Heal: way.Heal}
	})
}

// frozen are limits for a way on this machine.
func frozen() line.Limits {
	return line.Limits{Open: 10 * time.Second, Brief: 10 * time.Second, Silence: time.Second, Answer: time.Second}
}
