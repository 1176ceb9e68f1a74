package blob_test

import (
	"testing"
	"time"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/blob"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/internal/line"
	"github.com/understudy-dr/understudy/filecopy/native"
	"github.com/understudy-dr/understudy/lab/azurite"
	"github.com/understudy-dr/understudy/lab/proxy"
)

// TestTheLinkIsCutAndRightsAreRevoked cuts the way to the emulator amid runs, and has it refuse the account's signatures, as after its key was changed.
func TestTheLinkIsCutAndRightsAreRevoked(t *testing.T) {
	s := boot(t)
	filecopytest.RunLink(t, func(dir string) filecopy.Mover { return native.New(dir) }, func(t *testing.T) filecopytest.Link {
		gate := filecopytest.NewGate(t, s.server.Addr())
		way, err := proxy.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = way.Close() })
		way.Forward(gate.Addr())
		root := s.root()
		over, err := blob.New(blob.Config{URL: "http://" + way.Addr() + "/" + azurite.Account, Keys: labKeys, Container: lake, Root: root, PartSize: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		return filecopytest.Link{
			Over: over, Aside: s.at(t, root, 1<<20), CutAfter: way.CutAfter, Heal: way.Heal, Revoke: gate.Revoke, Grant: gate.Grant,
		}
	})
}

// TestTheWayIsFrozen has the way to the emulator swallow everything amid runs, and close nothing.
func TestTheWayIsFrozen(t *testing.T) {
	s := boot(t)
	filecopytest.RunFrozen(t, func(dir string) filecopy.Mover { return native.New(dir) }, func(t *testing.T) filecopytest.Link {
		way, err := proxy.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = way.Close() })
		way.Forward(s.server.Addr())
		root := s.root()
		over, err := blob.New(blob.Config{URL: "http://" + way.Addr() + "/" + azurite.Account, Keys: labKeys, Container: lake, Root: root, PartSize: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		over.Within(frozen())
		return filecopytest.Link{Over: over, Aside: s.at(t, root, 1<<20), CutAfter: way.FreezeAfter, Heal: way.Heal}
	})
}

// frozen are limits for a way on this machine.
func frozen() line.Limits {
	return line.Limits{Open: 10 * time.Second, Brief: 10 * time.Second, Silence: time.Second, Answer: time.Second}
}
