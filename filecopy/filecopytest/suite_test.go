package filecopytest_test

import (
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/native"
)

// TestMemory runs the suite on the reference store, with and without snapshots.
func TestMemory(t *testing.T) {
	rot := func(t *testing.T, target filecopy.Target, s filecopy.Sealed) {
		if err := target.(*filecopytest.Memory).DamageStaged(s.Handle); err != nil {
			t.Error(err)
		}
	}
	for name, snapshots := range map[string]bool{"Live": false, "Snapshots": true} {
		t.Run(name, func(t *testing.T) {
			filecopytest.Run(t, filecopytest.Rig{
				Source: func(*testing.T) filecopy.Target { return filecopytest.NewMemory("source", snapshots) },
				Target: func(*testing.T) filecopy.Target { return filecopytest.NewMemory("target", false) },
				Mover:  func(dir string) filecopy.Mover { return native.New(dir) },
				Rot:    rot,
				// One of the two runs reads back all that it stages, so that both are crashed everywhere.
				ReadBack: snapshots,
			})
		})
	}
}
