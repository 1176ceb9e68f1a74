package adls_test

import (
	"fmt"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/adls"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
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
