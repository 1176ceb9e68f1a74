package local_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/filecopytest"
	"github.com/understudy-dr/understudy/filecopy/local"
	"github.com/understudy-dr/understudy/filecopy/native"
)

func fresh(t *testing.T) filecopy.Target {
	t.Helper()
	root := filepath.Join(t.TempDir(), "tree")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := local.New(local.Config{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSuite(t *testing.T) {
	filecopytest.Run(t, filecopytest.Rig{
		Source: fresh,
		Target: fresh,
		Mover:  func(dir string) filecopy.Mover { return native.New(dir) },
		Stride: 3,
	})
}
