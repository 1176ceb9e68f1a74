package etcd

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// TestTheDiskIsFull takes the last room on a file system of its own from a journal that is written to. It ends and says why, cannot be opened
// without room, and has all that was acknowledged when there is room again. Who may not mount has TestFullDiskEndsTheJournalNotTheProcess.
func TestTheDiskIsFull(t *testing.T) {
	disk := t.TempDir()
	// etcd takes 128 MiB for its log ahead of time.
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=144m"); err != nil {
		t.Logf("no file system of our own: %v", err)
		return
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	dir, filler := filepath.Join(disk, "data"), filepath.Join(disk, "filler")
	p := play(t, "embedded", dir)
	expect(t, p, "committed 50")
	occupy(t, filler)
	expect(t, p, "ended: US308: .*no space left on device.*")
	<-p.Done()
	again := play(t, "damaged", dir)
	expect(t, again, "refused US308")
	<-again.Done()
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	j := openEmbedded(t, dir)
	closeAll(t, j)
	e, err := j.Get(t.Context(), "/count")
	if err != nil {
		t.Fatal(err)
	}
	// The write that was refused may be there, and nothing later.
	n, err := strconv.Atoi(string(e.Value))
	if last := lastAcknowledged(t, p); err != nil || n < last || n > last+1 {
		t.Errorf("it ends at %q, acknowledged was %d", e.Value, last)
	}
}

// occupy fills the file system that a file is on.
func occupy(t *testing.T, file string) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	for chunk := make([]byte, 64<<10); err == nil; {
		_, err = f.Write(chunk)
	}
	if !errors.Is(err, syscall.ENOSPC) || f.Close() != nil {
		t.Fatal(err)
	}
}
