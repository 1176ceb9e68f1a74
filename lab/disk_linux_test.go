package lab_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/understudy-dr/understudy/lab"
)

func TestOwnDisk(t *testing.T) {
	d := lab.OwnDisk(t, "TestOwnDisk", 256)
	if d == nil {
		return
	}
	file, page := filepath.Join(d.Dir, "file"), make([]byte, 64<<10)
	if err := d.Fill(0); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, page, 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("a write on a full disk: %v", err)
	}
	if err := d.Free(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, page, 0o600); err != nil {
		t.Fatal(err)
	}
}
